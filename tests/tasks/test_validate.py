"""Every test brings a small shop through the real `snapshot` and `validate`."""

import functools
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.contracts import refusals
from nightmarket.testing.shop import as_of, make_shop
from tasks import validate
from tasks.__main__ import main
from tasks.files import storage

SHOP = make_shop(num_customers=60, num_products=60, num_weeks=6, seed=3)
EVENTS = SHOP["events"]
ROOT = Path(__file__).parents[2]
OUT = Path("artifacts/validate")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A fresh checkout with params.yaml and a folder of parquet files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    (tmp_path / "tables").mkdir()
    for name in ("products", "events"):
        bring(name, SHOP[name])
    settings()
    return tmp_path


def settings(snapshot=None, **validate):
    section = {"source": "folder", "folder": "tables", "business_date": as_of(6)}
    Path("params.yaml").write_text(yaml.safe_dump({"snapshot": section | (snapshot or {}), "validate": validate}))


def bring(name, table):
    pq.write_table(table, f"tables/{name}.parquet")


def changed(table, column, rows, value):
    """The table with one column's value replaced in some rows."""
    values = table[column].to_pylist()
    for row in rows:
        values[row] = value
    index = table.column_names.index(column)
    return table.set_column(index, column, pa.array(values, table.schema.field(column).type))


def night():
    assert main("snapshot") == 0
    assert main("validate") == 0
    return json.loads((OUT / "report.json").read_text())


def refused(capsys):
    """The one line that validate leaves on stderr for this input, with what it wrote before still there."""
    before = {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()}
    assert main("snapshot") == 0
    capsys.readouterr()
    assert main("validate") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()} == before
    assert not list(Path("artifacts").glob(".*")) if before else not Path("artifacts").exists()
    return lines[0]


def test_what_is_set_aside_is_told_by_the_rows_of_the_file(place, capsys):
    """The latest rows come first and are left out, so that the table's rows are not the file's."""
    backwards = EVENTS.take(pa.array(range(EVENTS.num_rows)[::-1]))
    bring("events", changed(backwards, "kind", [EVENTS.num_rows - 3, EVENTS.num_rows - 1], "theft"))
    settings({"business_date": "2024-02-01"})
    assert night()["after_business_date"]["events"] > 10
    said = capsys.readouterr().out
    assert re.search(rf"events.parquet: kind is none of [\w, ]+: 2, first in row {EVENTS.num_rows - 2:,}", said)
    assert quarantine("events")["row"].to_pylist()[1] == clean("events").num_rows + 1


def clean(name):
    return pq.read_table(OUT / "clean" / f"{name}.parquet")


def quarantine(name):
    return pq.read_table(OUT / "quarantine" / f"{name}.parquet")


def test_a_spotless_shop_passes_unchanged_and_the_docs_quote_nobody(place):
    for name, table in SHOP.items():
        bring(name, table)
    report = night()
    assert report["tables"]["events"] == {
        "rows": EVENTS.num_rows,
        "kept": EVENTS.num_rows,
        "set_aside": 0,
        "reasons": {},
        "previous_rows": None,
    }
    assert report["warnings"] == []
    assert report["expectations"] > 100
    for name in SHOP:
        assert clean(name).equals(pq.read_table(f"data/raw/{name}.parquet"))
    assert not list((OUT / "quarantine").iterdir())
    assert (OUT / "docs" / "index.html").exists()
    assert (OUT / "clean" / "snapshot.json").read_bytes() == Path("data/raw/snapshot.json").read_bytes()


def test_an_answer_that_is_neither_yes_nor_no_is_set_aside_and_an_empty_list_is_a_list(place):
    answers = ["yes"] * 57 + ["maybe", "", "no"]
    bring("customers", SHOP["customers"].append_column("consent_email", pa.array(answers)))
    bring("suppressions", pa.table({"customer_id": pa.array([], pa.string())}))
    report = night()
    assert report["tables"]["customers"]["reasons"] == {"consent_email is none of yes, no": 1}
    assert report["tables"]["suppressions"]["rows"] == 0
    clean = pq.read_table(OUT / "clean/customers.parquet")
    assert clean["consent_email"].to_pylist() == ["yes"] * 57 + [None, "no"]


def test_bad_rows_are_set_aside_with_their_position_and_every_reason(place):
    bad = changed(EVENTS, "product_id", [5, 9], None)
    bad = changed(bad, "quantity", [9], None)
    bad = changed(bad, "value", [11], float("inf"))
    bad = changed(changed(bad, "timestamp", [12], None), "basket_id", [12], None)
    bad = changed(bad, "kind", [13], "theft")
    bring("events", bad)
    report = night()
    aside = quarantine("events").select(["row", "reason"]).to_pylist()
    assert aside == [
        {"row": 5, "reason": "product_id is missing"},
        {"row": 9, "reason": "product_id is missing; quantity is missing"},
        {"row": 11, "reason": "value is not finite"},
        {"row": 12, "reason": "timestamp is missing"},
        {"row": 13, "reason": "kind is none of view, click, search, wishlist, cart, purchase, rating, return"},
    ]
    assert report["tables"]["events"]["reasons"]["product_id is missing"] == 2
    assert report["tables"]["events"]["kept"] == clean("events").num_rows == EVENTS.num_rows - 5
    stays = [row for row in range(EVENTS.num_rows) if row not in (5, 9, 11, 12, 13)]
    assert clean("events")["basket_id"].to_pylist() == EVENTS["basket_id"].take(pa.array(stays)).to_pylist()
    pages = " ".join(page.read_text() for page in OUT.glob("docs/**/*.html"))
    assert "2 unexpected values found" in pages
    for value in ("theft", clean("events")["customer_id"][0].as_py()):
        assert value not in pages
    for outside in ('src="http', "<script", 'rel="stylesheet" href="http'):
        assert outside not in pages
    first = (OUT / "docs" / "index.html").read_text()
    assert "product_id is missing: 2; timestamp is missing: 1; kind is none of" in first


def test_a_table_judged_in_many_blocks_gives_the_same_verdict(place, monkeypatch):
    bad = changed(EVENTS, "product_id", [5, 900], None)
    bad = changed(bad, "kind", [7, 300, 900], "theft")
    bring("events", changed(changed(bad, "timestamp", [450], None), "basket_id", [450], None))
    whole = night()
    rows, kept = quarantine("events"), clean("events")
    monkeypatch.setattr(storage, "CHUNK", 100)
    monkeypatch.setattr(validate, "fold", functools.partial(refusals.fold, max_values=150))
    assert main("validate") == 0
    assert json.loads((OUT / "report.json").read_text()) == whole
    assert quarantine("events").equals(rows)
    assert clean("events").equals(kept)


def test_the_same_snapshot_gives_the_same_files(place):
    bring("events", changed(EVENTS, "kind", [3], "theft"))
    night()
    first = {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()}
    assert main("validate") == 0
    assert {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()} == first


def test_future_timestamps_are_set_aside(place):
    settings(snapshot={"business_date": None})
    bring("events", changed(EVENTS, "timestamp", [2], datetime(2093, 1, 1)))
    report = night()
    assert report["tables"]["events"]["reasons"] == {"timestamp lies after the business date": 1}
    assert quarantine("events")["row"].to_pylist() == [2]


def test_a_repeated_id_is_set_aside_and_an_exact_copy_costs_nothing(place):
    products = SHOP["products"]
    twin = changed(products.slice(3, 1), "title", [0], "another title")
    bring("products", pa.concat_tables([products, twin, products.slice(0, 10)]))
    settings(max_bad_share=0.02)
    report = night()
    assert report["tables"]["products"]["reasons"] == {
        "an exact copy of an earlier row": 10,
        "a row with the same product_id came before": 1,
    }
    assert clean("products")["product_id"].to_pylist() == products["product_id"].to_pylist()


def test_a_product_that_was_set_aside_has_ended_and_its_events_stay(place, capsys):
    bring("products", changed(SHOP["products"], "price", [0], -1.0))
    settings(max_bad_share=0.1)
    report = night()
    lost = pc.sum(pc.equal(EVENTS["product_id"], SHOP["products"]["product_id"][0])).as_py()
    assert report["tables"]["products"]["reasons"] == {"price is below 0": 1}
    assert report["tables"]["events"]["reasons"] == {}
    assert report["notes"]["events"] == {"rows of 1 products that are not in products, kept as ended ones": lost}
    assert f"events.parquet: product_id is not in products: {lost}, first in row" in capsys.readouterr().out
    ended = clean("products").slice(SHOP["products"].num_rows - 1).to_pylist()
    seen = EVENTS.filter(pc.equal(EVENTS["product_id"], SHOP["products"]["product_id"][0]))["timestamp"]
    assert [row["product_id"] for row in ended] == [SHOP["products"]["product_id"][0].as_py()]
    assert ended[0]["available_until"].date() == pc.max(seen).as_py().date() + timedelta(days=1)


def test_a_day_without_events_is_a_warning(place, capsys):
    bring("events", EVENTS.filter(pc.less(EVENTS["timestamp"], pa.scalar(datetime(2024, 2, 9)))))
    report = night()
    assert report["warnings"] == ["events: none on 2024-02-11, the last full day; the latest are of 2024-02-08"]
    assert report["warnings"][0] in capsys.readouterr().out


def bad_kind(events):
    return changed(events, "kind", range(7, 400), "theft")


def strangers(events):
    """Products of another shop."""
    return changed(events, "product_id", range(events.num_rows), "9")


def every(column, value):
    return lambda table: changed(table, column, range(table.num_rows), value)


@pytest.mark.parametrize(
    ("table", "damage", "says"),
    [
        (
            "events",
            bad_kind,
            "events.parquet: 393 of {rows} rows are bad ({share}; validate.max_bad_share allows 2.00%): kind is none "
            "of view, click, search, wishlist, cart, purchase, rating, return in 393, first in row 8; fix the",
        ),
        (
            "events",
            strangers,
            "events.parquet: product_id is in products.parquet in none of {rows} rows, from row 1 on",
        ),
        ("events", every("value", None), "events.parquet: value is empty in every row ({rows} rows, from row 1 on)"),
        ("products", every("price", None), "products.parquet: price is empty in every row (60 rows, from row 1 on)"),
        ("events", every("value", float("inf")), "value is not finite in {rows}, first in row 1"),
        (
            "products",
            lambda table: changed(table, "product_id", range(9, 60), "1"),
            "a row with the same product_id came before in 50, first in row 11",
        ),
        (
            "events",
            lambda table: table.slice(0, 0),
            "events.parquet is empty (0 rows before 2024-02-12); bring its rows",
        ),
        (
            "customers",
            lambda table: table.slice(0, 0),
            "customers.parquet is empty (0 rows before 2024-02-12); bring its rows, or",
        ),
        ("offers", lambda table: table, "offers.parquet refers to campaigns, which the snapshot lacks"),
    ],
)
def test_a_broken_table_stops_the_run_in_one_line(place, capsys, table, damage, says):
    (OUT / "clean").mkdir(parents=True)
    (OUT / "clean" / "events.parquet").write_text("last night's")
    bring(table, damage(SHOP[table]))
    rows = EVENTS.num_rows
    assert says.format(rows=f"{rows:,}", share=f"{393 / rows:.2%}") in refused(capsys)


OPTIONAL = ("campaigns", "offers", "exposures", "responses", "reviews", "promotions")


def test_tables_with_a_header_alone_are_no_fault_unless_they_had_rows_before(place, capsys):
    for name in OPTIONAL:
        bring(name, SHOP[name].slice(0, 0))
    assert {name: night()["tables"][name]["rows"] for name in OPTIONAL} == dict.fromkeys(OPTIONAL, 0)
    bring("promotions", SHOP["promotions"])
    night()
    bring("promotions", SHOP["promotions"].slice(0, 0))
    assert "promotions.parquet is empty" in refused(capsys)


def test_a_table_that_shrank_stops_the_run_unless_that_is_allowed(place, capsys):
    night()
    bring("events", EVENTS.slice(EVENTS.num_rows - 100))
    line = refused(capsys)
    assert f"events.parquet has 100 rows, {1 - 100 / EVENTS.num_rows:.0%} fewer than the {EVENTS.num_rows:,}" in line
    settings(max_volume_drop=1.0)
    report = night()
    assert report["tables"]["events"]["previous_rows"] in (EVENTS.num_rows, 100)


def test_a_snapshot_that_was_tampered_with_or_cut_off_is_refused_by_file(place, capsys):
    night()
    path = Path("data/raw/events.parquet")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole.replace(b"purchase", b"purchasE", 1)):
        path.write_bytes(damaged)
        assert main("validate") == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert "data/raw/events.parquet is not the file that the snapshot wrote" in line
    path.unlink()
    assert main("validate") == 2
    assert "data/raw/events.parquet is missing" in capsys.readouterr().err


def test_without_a_snapshot_there_is_one_line(place, capsys):
    assert main("validate") == 2
    assert "data/raw/snapshot.json is missing" in capsys.readouterr().err


def test_an_unknown_key_is_refused_by_name(place, capsys):
    settings(max_bad_shard=0.1)
    assert main("validate") == 2
    assert "validate.max_bad_shard: unknown key; did you mean max_bad_share?" in capsys.readouterr().err


def test_from_the_shell_a_broken_table_is_one_line_and_exit_code_2(place):
    bring("events", bad_kind(EVENTS))
    assert main("snapshot") == 0
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-m", "tasks", "validate"], capture_output=True, text=True, env=environment)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    assert ran.stderr.startswith("nightmarket: validate: events.parquet: 393 of")
