"""Two made-up shops with columns, zones, currencies and ids of their own through the real steps."""

import functools
import hmac
import json
import re
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.segments.behaviour import PARTS
from nightmarket.testing.dialects import DIALECTS, entry
from nightmarket.testing.shop import as_of, make_shop, write_shop
from tasks.__main__ import main
from tasks.campaigns.visits import visits
from tasks.segment import read_visits
from tasks.snapshot import Settings

ROOT = Path(__file__).parents[2]
WEEKS = 24
NORTH = make_shop(num_customers=50, num_products=50, num_weeks=WEEKS, seed=4)
SOUTH = make_shop(num_customers=30, num_products=40, num_weeks=WEEKS, seed=5)
THEIRS = {"customer_id": "会员号", "product_id": "商品编码", "timestamp": "下单时间", "value": "实付"}
RATE = 0.11


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A fresh checkout with a folder of parquet files and one of CSV files under other names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
    for name in ("customers", "products", "events", "promotions"):
        bring("north", name, NORTH[name])
    bring("south", "products", SOUTH["products"])
    bring("south", "events", SOUTH["events"].drop_columns(["discount", "channel"]))
    settings()
    return tmp_path


def bring(shop, name, table):
    if shop == "south":
        table = table.rename_columns([THEIRS.get(column, column) for column in table.column_names])
        pyarrow.csv.write_csv(table, f"south/{name}.csv")
    else:
        pq.write_table(table, f"north/{name}.parquet")


def settings(north=None, south=None, validate=None, **snapshot):
    mapping = {"products": {"product_id": "商品编码"}, "events": dict(THEIRS)}
    folders = [
        {"name": "north", "folder": "north"} | (north or {}),
        {"name": "south", "folder": "south", "time_zone": "Asia/Shanghai", "currency": "CNY", "rate": RATE}
        | {"mapping": mapping}
        | (south or {}),
    ]
    section = {"source": "folders", "time_zone": "Europe/London", "currency": "GBP", "business_date": as_of(WEEKS)}
    content = {"snapshot": section | {"folders": folders} | snapshot, "validate": validate or {}}
    Path("params.yaml").write_text(yaml.safe_dump(content | {"prepare": {"target_days": 14, "origins": 2}}))


def raw(name, source=None):
    table = pq.read_table(f"data/raw/{name}.parquet")
    return table if source is None else table.filter(pc.equal(table["source"], source))


def about():
    return json.loads(Path("data/raw/snapshot.json").read_text())


def night():
    assert main("snapshot") == 0
    assert main("validate") == 0
    return json.loads(Path("artifacts/validate/report.json").read_text())


def refused(capsys, step="snapshot"):
    """The one line that a failing step leaves on stderr."""
    capsys.readouterr()
    assert main(step) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix(f"nightmarket: {step}: ")


def pseudonyms(ids):
    key = bytes.fromhex(Path(".nightmarket/customer.key").read_text())
    return [hmac.digest(key, name.encode(), "sha256").hex()[:32] for name in ids]


def test_each_shop_arrives_in_the_contract_with_its_own_ids_money_and_hours(place):
    assert main("snapshot") == 0
    north, south = raw("events", "north"), raw("events", "south")
    assert raw("events")["source"].to_pylist() == ["north"] * north.num_rows + ["south"] * south.num_rows
    theirs = SOUTH["events"]
    assert south["product_id"].to_pylist() == [f"south:{name}" for name in theirs["product_id"].to_pylist()]
    assert south["basket_id"][0].as_py() == f"south:{theirs['basket_id'][0]}"
    assert south["customer_id"].to_pylist() == pseudonyms(f"south:{name}" for name in theirs["customer_id"].to_pylist())
    np.testing.assert_allclose(south["value"].to_numpy(), theirs["value"].to_numpy() * RATE)
    assert north["value"].to_pylist() == NORTH["events"]["value"].to_pylist()
    assert theirs["timestamp"][0].as_py() - south["timestamp"][0].as_py() == timedelta(hours=8)
    assert north["timestamp"].to_pylist()[:50] == NORTH["events"]["timestamp"].to_pylist()[:50]  # London in winter
    assert set(north["channel"].to_pylist()) == {f"north:S{number}" for number in range(4)}
    assert set(south["channel"].to_pylist()) == {"south"}
    np.testing.assert_allclose(
        raw("products", "south")["price"].to_numpy(), SOUTH["products"]["price"].to_numpy() * RATE
    )
    assert about()["sources"][1] == {
        "name": "south",
        "time_zone": "Asia/Shanghai",
        "currency": "CNY",
        "rate": RATE,
        "customers": "own",
        "products": "own",
        "last_full_day": str((datetime.fromisoformat(as_of(WEEKS)) - timedelta(days=1)).date()),
    }


def test_a_table_that_one_shop_alone_has_is_fine_and_one_that_nobody_has_stays_away(place):
    assert main("snapshot") == 0
    assert set(raw("promotions")["source"].to_pylist()) == {"north"}
    assert list(about()["tables"]["promotions"]["sources"]) == ["north"]
    assert "offers" not in about()["tables"]


def test_of_two_shops_one_alone_may_have_consent_and_where_both_do_no_holds(place):
    people = NORTH["customers"]["customer_id"].to_pylist()
    theirs = {"会员号": people[:3], "consent_email": ["no", "yes", ""], "consent_sms_at": ["2024-01-01", "", ""]}
    pyarrow.csv.write_csv(pa.table(theirs), "south/customers.csv")
    mine = NORTH["customers"].append_column("consent_email", pa.array(["yes", "", *["yes"] * (len(people) - 2)]))
    bring("north", "customers", mine)
    bring("south", "suppressions", pa.table({"customer_id": people[:1], "channel": ["email"]}))
    shared = {"customers": "shared"}
    mapping = {"customers": {"customer_id": "会员号"}, "events": THEIRS, "products": {"product_id": "商品编码"}}
    settings(north=shared, south=shared | {"mapping": mapping | {"suppressions": {"customer_id": "会员号"}}})
    assert main("snapshot") == 0
    customers = raw("customers")
    assert customers["consent_email"].to_pylist()[:4] == ["no", "yes", "yes", "yes"]
    assert customers["consent_sms_at"].null_count == customers.num_rows - 1
    assert raw("suppressions")["channel"].to_pylist() == ["email"]
    settings(south={"mapping": mapping | {"suppressions": {"customer_id": "会员号"}}})
    assert main("snapshot") == 0
    assert raw("customers", "south")["consent_email"].to_pylist() == ["no", "yes", None]
    assert main("validate") == 0


def test_shared_customers_are_the_same_person_and_keep_the_attributes_of_both(place):
    people = NORTH["customers"]["customer_id"].to_pylist()
    known = pa.table({"会员号": [*people[:3], "0999999"], "level": ["gold", "blue", "gold", "blue"]})
    pyarrow.csv.write_csv(known, "south/customers.csv")
    shared = {"customers": "shared"}
    mapping = {"customers": {"customer_id": "会员号"}, "events": THEIRS, "products": {"product_id": "商品编码"}}
    settings(north=shared, south=shared | {"mapping": mapping})
    assert main("snapshot") == 0
    customers = raw("customers")
    assert customers["customer_id"].to_pylist() == pseudonyms([*people, "0999999"])
    assert customers.column_names == [
        "customer_id",
        "text",
        "birth_year",
        "market",
        "language",
        "source",
        "attr_age",
        "attr_country",
        "attr_level",
    ]
    assert customers["attr_level"].to_pylist()[:4] == ["gold", "blue", "gold", None]
    assert customers["attr_age"].to_pylist()[:3] == NORTH["customers"]["age"].to_pylist()[:3]
    assert customers["source"].to_pylist()[-2:] == ["north", "south"]
    assert set(raw("events", "south")["customer_id"].to_pylist()) <= set(
        pseudonyms(SOUTH["customers"]["customer_id"].to_pylist())
    )


def test_of_shared_products_the_first_shop_fills_the_row_and_the_other_its_gaps(place, capsys):
    ours = NORTH["products"].slice(0, 2).select(["product_id", "title", "category", "brand"])
    ours = ours.set_column(3, "brand", pa.array([None, "Own"], pa.string()))
    bring("north", "products", ours)
    settings(north={"products": "shared"}, south={"products": "shared"}, validate={"max_bad_share": 0.2})
    assert main("snapshot") == 0
    products = raw("products").to_pylist()
    first, second = products[:2]
    assert first["title"] == NORTH["products"]["title"][0].as_py()
    assert first["brand"] == SOUTH["products"]["brand"][0].as_py()
    assert second["brand"] == "Own"
    assert second["price"] == pytest.approx(SOUTH["products"]["price"][1].as_py() * RATE)
    assert [row["source"] for row in products] == ["north"] * 2 + ["south"] * 38
    assert [row["product_id"] for row in products] == SOUTH["products"]["product_id"].to_pylist()
    parts = about()["tables"]["products"]["sources"]
    assert (parts["south"]["rows"], parts["south"]["merged"]) == (38, 2)
    titles = [a != b for a, b in zip(ours["title"].to_pylist(), SOUTH["products"]["title"].to_pylist(), strict=False)]
    assert about()["conflicts"]["products"]["columns"].get("title", 0) == sum(titles) > 0
    assert "rows differ between shops" in capsys.readouterr().out
    told = night()["tables"]["products"]["sources"]["south"]
    assert (told["rows"], told["merged"], told["kept"], told["set_aside"]) == (40, 2, 38, 0)


def test_shops_that_share_and_one_that_does_not_stand_in_the_order_of_the_list(place):
    Path("east").mkdir()
    for name in ("products", "events", "customers"):
        pq.write_table(NORTH[name], f"east/{name}.parquet")
    kinds = pa.array(["theft"] * 5 + ["purchase"] * (NORTH["events"].num_rows - 5))
    pq.write_table(NORTH["events"].set_column(3, "kind", kinds), "east/events.parquet")
    section = yaml.safe_load(Path("params.yaml").read_text())["snapshot"]
    north, south = section["folders"]
    both = {"products": "shared", "customers": "shared"}
    settings(folders=[north | both, south, {"name": "east", "folder": "east"} | both])
    report = night()
    assert raw("events")["source"].unique().to_pylist() == ["north", "south", "east"]
    aside = {name: part["set_aside"] for name, part in report["tables"]["events"]["sources"].items()}
    assert aside == {"north": 0, "south": 0, "east": 5}
    assert raw("products")["source"].unique().to_pylist() == ["north", "south"]
    assert raw("products", "south")["product_id"][0].as_py().startswith("south:")
    assert raw("customers").num_rows == NORTH["customers"].num_rows
    assert about()["tables"]["products"]["sources"]["east"]["merged"] == 50


def test_a_shop_may_leave_the_description_of_shared_products_to_another(place, capsys):
    Path("south/products.csv").unlink()
    settings(south={"mapping": {"events": THEIRS}})
    line = refused(capsys)
    assert line.startswith("south: ")
    assert "has no products.csv" in line
    settings(north={"products": "shared"}, south={"products": "shared", "mapping": {"events": THEIRS}})
    assert main("snapshot") == 0
    Path("north/products.parquet").unlink()
    assert "north, south: share their products, and none has a table products" in refused(capsys)


def test_the_business_date_is_the_local_day_of_each_shop(place):
    lines = [f"c,{SOUTH['products']['product_id'][0]},{day}" for day in ("2024-05-31 23:30", "2024-06-01 00:10")]
    Path("south/events.csv").write_text("会员号,商品编码,下单时间\n" + "\n".join(lines) + "\n")
    mapping = {"products": {"product_id": "商品编码"}, "events": {name: THEIRS[name] for name in list(THEIRS)[:3]}}
    settings(south={"mapping": mapping}, business_date="2024-06-01")
    assert main("snapshot") == 0
    assert raw("events", "south")["timestamp"].to_pylist() == [datetime(2024, 5, 31, 15, 30)]
    parts = about()["tables"]["events"]["sources"]
    assert parts["south"]["after_business_date"] == 1
    assert parts["north"]["after_business_date"] == sum(
        time >= datetime(2024, 6, 1) for time in NORTH["events"]["timestamp"].to_pylist()
    )
    assert raw("events", "north")["timestamp"].to_pylist()[-1] < datetime(2024, 5, 31, 23)  # summer time


def test_a_change_of_one_folder_is_noticed_and_its_place_does_not_matter(place, capsys):
    assert main("snapshot") == 0
    before = about()["fingerprint"]
    Path("south").rename("elsewhere")
    settings(south={"folder": "elsewhere"})
    assert main("snapshot") == 0
    assert "snapshot: unchanged" in capsys.readouterr().out
    settings(south={"folder": "elsewhere", "rate": 0.12})
    assert main("snapshot") == 0
    assert about()["fingerprint"] != before
    Path("elsewhere").rename("south")
    settings()
    bring("south", "products", SOUTH["products"].slice(0, 39))
    assert main("snapshot") == 0
    assert about()["tables"]["products"]["sources"]["south"]["rows"] == 39
    assert about()["previous_sources"]["products"] == {"north": 50, "south": 40}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"name": "North"}, "two folders are named"),
        ({"name": "south shop"}, "must be 1 to 20 letters or digits"),
        ({"folder": "nowhere"}, "snapshot.folders.1.folder: there is no folder"),
        ({"folder": "north"}, "south: its folder is that of north"),
        ({"rate": None}, "south is in CNY and has no rate; say what 1 CNY is in GBP"),
        ({"currency": None}, "south has a rate and no currency"),
        ({"currency": "GBP"}, "south has a rate, and its currency is that of snapshot.currency"),
        ({"rate": -1}, "snapshot.folders.1.rate"),
        ({"zone": "Asia/Shanghai"}, "snapshot.folders.1.zone: unknown key; there are "),
        ({"time_zone": "Asia/Nowhere"}, "'Asia/Nowhere' is not a time zone"),
        ({"customers": "some"}, "snapshot.folders.1.customers"),
        (
            {"mapping": {"products": {"product_id": "商品编码", "title": "name"}}},
            "south: products.csv has no column 'name' (mapping.products.title)",
        ),
        ({"mapping": {"sales": {}}}, "snapshot.folders.1.mapping: there is no table 'sales'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_with_the_shops_name(place, capsys, entry, says):
    settings(south=entry)
    assert says in refused(capsys)
    assert not Path("data/raw").exists()


def test_settings_of_one_folder_and_of_several_do_not_mix(place, capsys):
    settings(mapping={"events": {"value": "paid"}})
    assert "folder and mapping belong to the entries of folders" in refused(capsys)
    settings(folders=[])
    assert "snapshot.folders: source is folders, and none is listed" in refused(capsys)
    settings(currency=None)
    assert "south is in CNY; say in snapshot.currency what all money becomes" in refused(capsys)


def test_a_value_that_cannot_be_read_is_refused_with_the_shops_name_and_quotes_nobody(place, capsys):
    text = Path("south/events.csv").read_text().splitlines()
    text[2] = text[2].replace(text[2].split(",")[2], '"the day after Mrs Lee came"')
    Path("south/events.csv").write_text("\n".join(text))
    line = refused(capsys)
    assert line.startswith("south: events.csv: column '下单时间' (events.timestamp) holds 1 values")
    assert "first in line 3" in line
    assert "Lee" not in line


def without_last_day(table):
    last = pc.max(table["timestamp"]).as_py().replace(hour=0, minute=0, second=0)
    return table.filter(pc.less(table["timestamp"], pa.scalar(last, pa.timestamp("us"))))


def test_what_goes_wrong_in_a_small_shop_is_found_where_the_total_looks_fine(place, capsys):
    """One night after another, each with one fault in the south."""
    events = SOUTH["events"].drop_columns(["discount", "channel"])
    report = night()
    south = report["tables"]["events"]["sources"]["south"]
    assert (south["rows"], south["previous_rows"]) == (events.num_rows, None)
    assert south["never_filled"] == ["discount"]
    assert report["sources"][1]["rate"] == RATE
    assert report["warnings"] == []
    kept = Path("artifacts/validate/report.json").read_bytes()

    bring("south", "events", events.slice(0, events.num_rows // 3))
    assert main("snapshot") == 0
    line = refused(capsys, "validate")
    assert line.startswith(
        f"events.csv of south has {events.num_rows // 3:,} rows, 67% fewer than the {events.num_rows:,}"
    )

    bring("south", "events", events.slice(0, 0))
    assert main("snapshot") == 0
    assert refused(capsys, "validate").startswith("events.csv of south is empty (0 rows before")

    unknown = pa.array(["theft"] * 60 + events["kind"].to_pylist()[60:])
    bring("south", "events", events.set_column(events.column_names.index("kind"), "kind", unknown))
    assert main("snapshot") == 0
    line = refused(capsys, "validate")
    assert line.startswith(f"events.csv of south: 60 of {events.num_rows:,} rows are bad (")
    assert 0.02 * (NORTH["events"].num_rows + events.num_rows) > 60  # the total alone would have passed

    nothing = pa.nulls(events.num_rows, pa.float64())
    bring("south", "events", events.set_column(events.column_names.index("value"), "value", nothing))
    assert main("snapshot") == 0
    assert refused(capsys, "validate").startswith("events.csv of south: value is empty in every row")
    assert Path("artifacts/validate/report.json").read_bytes() == kept

    bring("south", "events", without_last_day(without_last_day(events)))
    report = night()
    day = about()["last_full_day"]
    assert len(report["warnings"]) == 1
    assert report["warnings"][0].startswith(
        f"events of south: none on {day}, the last full day; the latest are of 2024"
    )
    first = Path("artifacts/validate/docs/index.html").read_text()
    assert "<td>events of south<td>" in first
    assert "never filled: discount" in first


def test_prepare_counts_days_where_the_shop_is_and_knows_where_a_customer_came_from(place):
    night()
    assert main("prepare") == 0
    frame = functools.partial(lambda name: pq.read_table(f"artifacts/prepare/{name}.parquet").to_pandas())
    lines, customers = frame("purchases"), frame("customers")
    events = pd.concat([NORTH["events"].to_pandas(), SOUTH["events"].to_pandas()])
    local = (events.timestamp.dt.normalize() - pd.Timestamp("1970-01-01")).dt.days
    assert sorted(lines.day) == sorted(local)
    ids = customers.customer_id[customers.attr_source == "south"]
    assert set(ids) == set(raw("events", "south")["customer_id"].to_pylist())
    assert set(customers.attr_source) == {"north", "south"}
    at = np.add.reduce(visits(customers, "Europe/London", date(2030, 1, 1)), axis=0)
    assert set(np.flatnonzero(at)) == set(events.timestamp.dt.hour)  # Shanghai's hours are not London's
    parts = read_visits(customers, "Europe/London").part
    assert {PARTS[part] for part in parts} == {"morning", "midday", "evening"}
    promotions = frame("promotions")
    assert promotions.display.max() <= 1.0
    assert (promotions.sort_values(["week", "item"]).index == promotions.index).all()
    shown = NORTH["promotions"].to_pandas()
    item = promotions.item.iloc[0]
    name = frame("products").product_id.iloc[item]
    monday = pd.Timestamp("1970-01-05") + pd.Timedelta(weeks=int(promotions.week.iloc[0]))
    rows = shown[(f"north:{name.removeprefix('north:')}" == name) & (shown.product_id == name.removeprefix("north:"))]
    rows = rows[pd.to_datetime(rows.week) == monday]
    assert promotions.display.iloc[0] == pytest.approx((rows.display != "0").sum() / shown.channel.nunique())


def test_the_example_of_the_documentation_reads_the_two_made_up_shops(place):
    """As its commands make them, but smaller; what a command prints is what the example says."""
    document = (ROOT / "docs" / "how-to" / "several-shops.md").read_text(encoding="utf-8")
    text = next(text for text in re.findall(r"```yaml\n(.*?)```", document, re.DOTALL) if "source: folders" in text)
    example = yaml.safe_load(text)
    assert set(example["snapshot"]) <= set(Settings.model_fields)
    for name, dialect, fmt in (("london", "english", "parquet"), ("shanghai", "chinese", "csv")):
        folder = Path("shops") / name
        write_shop(folder, num_customers=30, num_products=40, num_weeks=8, fmt=fmt, dialect=dialect)
        (printed,) = yaml.safe_load(entry(folder, DIALECTS[dialect]))
        (told,) = (shop for shop in example["snapshot"]["folders"] if shop["name"] == name)
        defaults = {"time_zone": example["snapshot"]["time_zone"], "currency": example["snapshot"]["currency"]}
        assert printed == defaults | told
    Path("params.yaml").write_text(yaml.safe_dump(example))
    assert main("snapshot") == 0
    assert about()["dropped_columns"] == {}
    products = raw("products", "shanghai").to_pylist()
    assert not any(letter.isascii() and letter.isalpha() for row in products for letter in row["category"])
    assert {"attr_age", "attr_country"} <= set(raw("customers").column_names)


def test_one_folder_leaves_no_trace_of_several(place):
    for name in ("customers", "products", "events"):
        pyarrow.csv.write_csv(SOUTH[name], f"south/{name}.csv")
    section = {"source": "folder", "folder": "south", "business_date": as_of(WEEKS)}
    Path("params.yaml").write_text(yaml.safe_dump({"snapshot": section, "validate": {}}))
    report = night()
    for name in ("customers", "products", "events"):
        assert "source" not in raw(name).column_names
        assert "sources" not in report["tables"][name]
        assert set(about()["tables"][name]) == {"rows", "sha256", "file"}
    assert set(about()) == {
        "tables", "dropped_columns", "filled_columns", "after_business_date", "source", "as_of", "last_full_day",
        "time_zone", "fingerprint", "key_id", "previous",
    }  # fmt: skip
    assert not {"sources", "currency", "conflicts"} & set(report)
