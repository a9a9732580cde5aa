"""Every test runs the real step on the files of a small shop, as `python -m tasks snapshot` does."""

import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.testing.shop import make_shop
from tasks.__main__ import main
from tasks.files import manifest
from tasks.privacy import pseudonyms

SHOP = make_shop(num_customers=40, num_products=60, num_weeks=6)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A fresh checkout with params.yaml and a folder of CSV files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    (tmp_path / "tables").mkdir()
    for name in ("customers", "products", "events"):
        pyarrow.csv.write_csv(SHOP[name], tmp_path / "tables" / f"{name}.csv")
    settings()
    return tmp_path


def settings(**snapshot):
    section = {"source": "folder", "folder": "tables", "time_zone": "Asia/Shanghai", "business_date": "2024-02-12"}
    Path("params.yaml").write_text(yaml.safe_dump({"snapshot": section | snapshot}))


def raw(name):
    return pq.read_table(f"data/raw/{name}.parquet")


def about():
    return json.loads(Path("data/raw/snapshot.json").read_text())


def refused(capsys):
    """The one line that a failing snapshot leaves on stderr."""
    capsys.readouterr()
    assert main("snapshot") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("nightmarket: snapshot: ")
    return lines[0]


def test_it_writes_contract_columns_in_source_order_with_times_in_utc(place):
    assert main("snapshot") == 0
    events = raw("events")
    assert events.schema.field("timestamp").type == pa.timestamp("us")
    assert events["product_id"].to_pylist() == SHOP["events"]["product_id"].to_pylist()
    first = SHOP["events"]["timestamp"][0].as_py()
    assert (first - events["timestamp"][0].as_py()).total_seconds() == 8 * 3600
    assert about()["tables"]["events"]["rows"] == SHOP["events"].num_rows
    assert about()["as_of"] == "2024-02-12"
    assert about()["last_full_day"] == "2024-02-11"


def test_customers_are_the_same_keyed_hash_in_every_table_and_their_ids_are_nowhere(place, capsys):
    assert main("snapshot") == 0
    key = Path(".nightmarket/customer.key")
    assert key.stat().st_mode & 0o777 == 0o600
    secret = bytes.fromhex(key.read_text())
    wanted = [
        hmac.digest(secret, name.encode(), "sha256").hex()[:32] for name in SHOP["customers"]["customer_id"].to_pylist()
    ]
    assert raw("customers")["customer_id"].to_pylist() == wanted
    assert set(raw("events")["customer_id"].to_pylist()) <= set(wanted)
    said = capsys.readouterr().out
    for text in (said, Path("data/raw/snapshot.json").read_text()):
        assert key.read_text().strip() not in text
        assert wanted[0] not in text
    assert about()["key_id"] == hashlib.sha256(secret).hexdigest()[:8]


def test_ids_and_countries_keep_their_spelling(place):
    assert main("snapshot") == 0
    assert raw("products")["product_id"][0].as_py() == "0000011"
    assert "NA" in raw("customers")["attr_country"].to_pylist()


def test_the_same_source_leaves_the_snapshot_alone_and_a_changed_one_replaces_it(place, capsys):
    assert main("snapshot") == 0
    before = {path: path.stat().st_mtime_ns for path in Path("data/raw").iterdir()}
    assert main("snapshot") == 0
    assert "snapshot: unchanged" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in Path("data/raw").iterdir()} == before
    pyarrow.csv.write_csv(SHOP["events"].slice(0, 500), "tables/events.csv")
    assert main("snapshot") == 0
    assert about()["tables"]["events"]["rows"] == 500
    assert about()["previous"]["events"] == SHOP["events"].num_rows


def crown(version, text="weights"):
    """A champion folder as far as the pin looks at it."""
    folder = Path("data/champion")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "finetune/encoder").mkdir(parents=True)
    (folder / "finetune/encoder/model.safetensors").write_text(text)
    (folder / "finetune/history.json").write_text(json.dumps({"trained_until": 17370}))
    (folder / "receipt.json").write_text(json.dumps({"version": version, "run_id": "r"}))
    manifest.write(folder)


def ask_for_warm_start():
    content = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(content | {"finetune": {"warm_start": True}}))


def pinned():
    return json.loads(Path("data/raw/warm/start.json").read_text())


def test_the_champions_weights_are_pinned_with_the_snapshot_and_stay_until_there_is_another(place, capsys):
    ask_for_warm_start()
    assert main("snapshot") == 0
    assert pinned() == {"version": None, "why": "there was no champion when the snapshot was taken"}
    crown(1)
    assert main("snapshot") == 0
    assert "snapshot: unchanged" in capsys.readouterr().out
    assert pinned()["version"] is None
    pyarrow.csv.write_csv(SHOP["events"].slice(0, 500), "tables/events.csv")
    assert main("snapshot") == 0
    assert pinned() == {"version": 1, "run_id": "r", "trained_until": 17370}
    assert Path("data/raw/warm/encoder/model.safetensors").read_text() == "weights"
    crown(2, "other weights")
    assert main("snapshot") == 0
    assert pinned()["version"] == 1
    assert Path("data/raw/warm/encoder/model.safetensors").read_text() == "weights"


def test_nothing_is_pinned_unless_it_is_asked_for_and_a_damaged_champion_never(place):
    crown(1)
    assert main("snapshot") == 0
    assert pinned() == {"version": None, "why": "finetune.warm_start was off when the snapshot was taken"}
    ask_for_warm_start()
    Path("data/champion/finetune/encoder/model.safetensors").write_text("weights, changed")
    assert main("snapshot") == 0
    assert "finetune/encoder/model.safetensors differs from its checksum" in pinned()["why"]
    assert [path.name for path in Path("data/raw/warm").iterdir()] == ["start.json"]


def test_promises_of_registered_versions_come_with_the_snapshot(place):
    """Real MLflow: two versions decided, one pending; known rows are kept though their run is gone."""
    assert main("snapshot") == 0
    assert json.loads(Path("data/raw/versions.json").read_text()) == []
    decide(1, "popularity", 0.40, 0.10)
    decide(2, "version 1", 0.42, 0.02)
    decide(3, "version 2", 0.43, 0.01, gate="pending")
    assert main("snapshot") == 0  # a new version alone makes no new snapshot
    assert json.loads(Path("data/raw/versions.json").read_text()) == []
    pyarrow.csv.write_csv(SHOP["events"].slice(0, 500), "tables/events.csv")
    assert main("snapshot") == 0
    rows = json.loads(Path("data/raw/versions.json").read_text())
    assert [(row["version"], row["value"], row["against"], row["gate"]) for row in rows] == [
        (1, 0.40, "popularity", "opened"),
        (2, 0.42, "version 1", "opened"),
    ]
    assert rows[1]["difference"] == {"value": 0.02, "low": 0.0, "high": 0.04}
    shutil.rmtree("mlruns/artifacts")
    pyarrow.csv.write_csv(SHOP["events"].slice(0, 400), "tables/events.csv")
    assert main("snapshot") == 0
    assert json.loads(Path("data/raw/versions.json").read_text()) == rows


def decide(number, against, value, difference, gate="opened"):
    """A version of the registry with its gate's word."""
    from nightmarket.serving.registry import MODEL, Registry

    home = Path.cwd() / "mlruns"
    home.mkdir(exist_ok=True)
    registry = Registry(f"sqlite:///{home / 'mlflow.db'}", (home / "artifacts").as_uri(), "nightmarket")
    run = registry.client.create_run(registry.experiment)
    version = registry.client.create_model_version(
        MODEL, run.info.artifact_uri, run.info.run_id, tags={"gate": gate, "package_sha256": "x"}
    )
    assert int(version.version) == number
    numbers = {"value": difference, "low": difference - 0.02, "high": difference + 0.02}
    word = {"against": against, "as_of": "2026-01-01", "differences": {"all": numbers}}
    registry.keep(version, "decision.json", word | {"metrics": {"all": {"ndcg@10": {"value": value}}}})


def test_a_damaged_snapshot_is_made_again(place):
    assert main("snapshot") == 0
    good = Path("data/raw/events.parquet").read_bytes()
    Path("data/raw/events.parquet").write_bytes(good[:-100])
    assert main("snapshot") == 0
    assert Path("data/raw/events.parquet").read_bytes() == good
    assert about()["previous"] == {}


def test_a_kill_between_the_two_renames_loses_nothing(place):
    assert main("snapshot") == 0
    fingerprint = about()["fingerprint"]
    Path("data/raw").rename("data/.raw.old")
    assert main("snapshot") == 0
    assert about()["fingerprint"] == fingerprint
    assert not Path("data/.raw.old").exists()


def test_rows_from_the_business_date_on_are_left_out_and_counted(place):
    settings(business_date="2024-01-15", time_zone="UTC")
    assert main("snapshot") == 0
    late = sum(time >= datetime(2024, 1, 15) for time in SHOP["events"]["timestamp"].to_pylist())
    assert 0 < late == about()["after_business_date"]["events"]
    assert raw("events").num_rows == SHOP["events"].num_rows - late


def test_a_mapping_renames_columns_and_extra_ones_are_dropped_and_named(place):
    events = SHOP["events"].rename_columns(
        ["user", "sku", "when", "kind", "pieces", "value", "discount", "basket_id", "channel"]
    )
    pyarrow.csv.write_csv(events.append_column("till", events["sku"]), "tables/events.csv")
    settings(
        mapping={"events": {"customer_id": "user", "product_id": "sku", "timestamp": "when", "quantity": "pieces"}}
    )
    assert main("snapshot") == 0
    assert raw("events")["quantity"].to_pylist() == SHOP["events"]["quantity"].to_pylist()
    assert about()["dropped_columns"] == {"events": ["till"]}


def test_what_tells_one_customer_from_another_stays_outside(place):
    lines = ["customer_id,age,mail"] + [
        f"{number * 7 + 1:06d},{20 + number % 7},somebody{number}@example.org" for number in range(90)
    ]
    Path("tables/customers.csv").write_text("\n".join(lines))
    assert main("snapshot") == 0
    assert raw("customers").column_names == ["customer_id", "text", "birth_year", "market", "language", "attr_age"]
    assert about()["dropped_columns"] == {"customers": ["mail"]}


def test_an_attribute_takes_the_name_that_the_mapping_gives_it(place, capsys):
    settings(mapping={"customers": {"attr_region": "country"}})
    assert main("snapshot") == 0
    assert raw("customers").column_names == [
        "customer_id",
        "text",
        "birth_year",
        "market",
        "language",
        "attr_region",
        "attr_age",
    ]
    assert raw("customers")["attr_region"].to_pylist() == SHOP["customers"]["country"].to_pylist()
    settings(mapping={"customers": {"attr_region": "customer_id"}})
    assert "customers.csv has no column 'customer_id' (snapshot.mapping.customers.attr_region)" in refused(capsys)
    settings(mapping={"products": {"attr_region": "title"}})
    assert "there is no column 'attr_region'" in refused(capsys)


def test_consent_and_reach_are_read_in_many_spellings_and_only_what_the_shop_brings_is_there(place):
    rows = [
        ("customer_id", "Consent Email", "consent_email_at", "acceptsSMS", "reachable_email", "birth_year"),
        ("000001", "Yes", "2024-01-02 10:00", "subscribed", "1", "1980"),
        ("000008", "n", "", "unsubscribed", "0", ""),
        ("000015", "", "", "同意", "true", "2010"),
        ("000022", "JA", "", "pending", "", "1999"),
        ("000029", "perhaps", "", "N/A", "false", "1999"),
    ]
    Path("tables/customers.csv").write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    settings(mapping={"customers": {"consent_sms": "acceptsSMS"}})
    assert main("snapshot") == 0
    customers = raw("customers")
    names = ["customer_id", "text", "birth_year", "market", "language", "consent_email", "consent_email_at",
             "consent_sms",
             "reachable_email"]  # fmt: skip
    assert customers.column_names == names
    assert customers["consent_email"].to_pylist() == ["yes", "no", None, "yes", "perhaps"]
    assert customers["consent_sms"].to_pylist() == ["yes", "no", "yes", "no", None]
    assert customers["reachable_email"].to_pylist() == ["yes", "no", "yes", None, "no"]
    assert customers["consent_email_at"].to_pylist() == [datetime(2024, 1, 2, 2), *[None] * 4]
    assert customers["birth_year"].to_pylist() == [1980, None, 2010, 1999, 1999]


@pytest.mark.parametrize("values", [[True, False, None], [1, 0, None], [1.0, 0.0, None], ["TRUE", "0.0", "-"]])
def test_yes_and_no_may_be_switches_and_numbers(place, values):
    Path("tables/customers.csv").unlink()
    pq.write_table(pa.table({"customer_id": ["1", "2", "3"], "consent_app": values}), "tables/customers.parquet")
    assert main("snapshot") == 0
    assert raw("customers")["consent_app"].to_pylist() == ["yes", "no", None]


def test_addresses_never_enter_the_snapshot_however_few_they_are(place):
    lines = ["customer_id,Email,contact,mobile_number,wap,city"]
    lines += [f"{number},,a{number % 3}@example.org,1,+49 170 123456{number},Ulm" for number in range(4)]
    Path("tables/customers.csv").write_text("\n".join(lines))
    assert main("snapshot") == 0
    assert raw("customers").column_names == ["customer_id", "text", "birth_year", "market", "language", "attr_city"]


def test_suppressions_have_pseudonyms_and_none_is_cut_at_the_business_date(place, capsys):
    ids = SHOP["customers"]["customer_id"].to_pylist()
    lines = ["customer_id,channel,from,reason", f"{ids[0]},,2030-01-01,unsubscribed", f"{ids[1]},email,,"]
    Path("tables/suppressions.csv").write_text("\n".join(lines))
    assert main("snapshot") == 0
    suppressions = raw("suppressions")
    assert suppressions["customer_id"].to_pylist() == raw("customers")["customer_id"].to_pylist()[:2]
    assert suppressions["channel"].to_pylist() == [None, "email"]
    lines = ["customer_id", *(f"x{name}" for name in ids)]
    Path("tables/suppressions.csv").write_text("\n".join(lines))
    assert "suppressions.csv: customer_id: 0 of 40 ids are in" in refused(capsys)


def test_a_file_with_a_header_alone_is_an_empty_table(place):
    Path("tables/customers.csv").write_text("\ufeffcustomer_id;age\n", encoding="utf-8")
    assert main("snapshot") == 0
    assert raw("customers").column_names == ["customer_id", "text", "birth_year", "market", "language", "attr_age"]
    assert about()["tables"]["customers"]["rows"] == 0


def test_optional_columns_that_are_missing_hold_purchases_of_one_unit_and_nulls(place):
    pyarrow.csv.write_csv(SHOP["events"].select(["customer_id", "product_id", "timestamp"]), "tables/events.csv")
    assert main("snapshot") == 0
    events = raw("events")
    assert set(events["kind"].to_pylist()) == {"purchase"}
    assert set(events["quantity"].to_pylist()) == {1.0}
    assert events["value"].null_count == events.num_rows
    filled = ["kind", "quantity", "value", "discount", "coupon", "basket_id", "channel"]
    assert about()["filled_columns"]["events"] == filled


def test_words_that_stand_for_no_id_are_missing_ids(place):
    Path("tables/customers.csv").write_text("customer_id,country\nNULL,NA\n7,None\n#N/A,\\N\n")
    assert main("snapshot") == 0
    assert raw("customers")["customer_id"].is_null().to_pylist() == [True, False, True]
    assert raw("customers")["attr_country"].to_pylist() == ["NA", None, None]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("7,milk,a > b\n1.23E+11,tea,a", r"'product_id' \(products.product_id\) holds 1 values .* first in line 3"),
        ('7,milk,a > b\n""8","tea",a', "products.csv, line 3: a quote too many"),
        ('7,milk,a > b\n8,"tea,a\n9,"rice",b', "products.csv, line 3: a quote too many, or one that is never closed"),
        ("7,milk,a > b\n8,te\0a,a", "products.csv: line 3 holds a NUL byte"),
    ],
)
def test_text_that_cannot_be_meant_is_refused_with_its_line(place, capsys, rows, says):
    Path("tables/products.csv").write_text(f"product_id,title,category\n{rows}\n")
    assert re.search(says, refused(capsys))


def test_a_file_without_a_header_is_refused_and_none_of_its_values_told(place, capsys):
    path = Path("tables/events.csv")
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    assert refused(capsys).endswith("events.csv, line 1: a row where the names of the columns must be; put them there")


def test_quotes_inside_quoted_text_arrive(place):
    Path("tables/products.csv").write_text('product_id,title,category\n7,"5"" pipe, ""best""",a\n8,"""x""",b\n')
    assert main("snapshot") == 0
    assert raw("products")["title"].to_pylist() == ['5" pipe, "best"', '"x"']


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_titles_arrive_in_each_encoding(place, encoding):
    Path("tables/products.csv").write_text("product_id,title,category\n1,有机全脂牛奶,食品\n2,茶,\n", encoding=encoding)
    assert main("snapshot") == 0
    assert raw("products")["title"].to_pylist() == ["有机全脂牛奶", "茶"]
    assert raw("products")["category"].to_pylist() == ["食品", None]


def test_parquet_and_csv_of_the_same_tables_give_the_same_rows(place):
    assert main("snapshot") == 0
    from_csv = {name: raw(name) for name in ("customers", "products", "events")}
    for name in from_csv:
        Path(f"tables/{name}.csv").unlink()
        pq.write_table(SHOP[name], f"tables/{name}.parquet")
    assert main("snapshot") == 0
    for name, table in from_csv.items():
        assert raw(name).equals(table), name


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2024-01-05 09:03:00", datetime(2024, 1, 5, 1, 3)),
        ("2024-01-05T09:03:00.5Z", datetime(2024, 1, 5, 9, 3, 0, 500000)),
        ("2024-01-05 09:03+01:00", datetime(2024, 1, 5, 8, 3)),
        ("2024/1/5 9:03", datetime(2024, 1, 5, 1, 3)),
        ("2024-01-05", datetime(2024, 1, 4, 16)),
    ],
)
def test_times_without_an_offset_are_local_to_the_shop(place, written, utc):
    Path("tables/events.csv").write_text(f"customer_id,product_id,timestamp\na,1,2024-01-01\nb,2,{written}\n")
    assert main("snapshot") == 0
    assert raw("events")["timestamp"].to_pylist() == [datetime(2023, 12, 31, 16), utc]


HEAD = "customer_id,product_id,timestamp,quantity\n"


BROKEN_LINE = '"a\nb",1,2024-01-01,1\na,1,2024-02-30,1\n'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            HEAD + "a,1,2024-01-01,1\na,1,2024-01-01,two\nb,2,2024-01-02,?\n",
            "'quantity' (events.quantity) holds 2 values that are not a number like 1234.5, first in line 3",
        ),
        (HEAD + BROKEN_LINE, "'timestamp' (events.timestamp) holds 1 values that are not a time like"),
        (HEAD + BROKEN_LINE, "first in line 4"),
        (HEAD + "a,1,2024-01-01,1\na,1,1,1,1\n", "events.csv, line 3: 5 fields where the header has 4 (1 such rows)"),
        ("customer_id,timestamp\na,2024-01-01\n", "has no column 'product_id' (it has customer_id, timestamp)"),
        ("", "events.csv is empty: the first line must name the columns"),
        ("a,a\n1,2\n", "has no column 'customer_id' (it has a (1), a (2))"),
        (
            "customer_id,ada@kunde.example,quantity\n",
            "(it has 3 columns, whose names look like values: is the first line",
        ),
        ("+8619977000,+8619977000\n", "two columns are named alike, by what looks like a value; rename one"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_file_column_count_and_line(place, capsys, content, says):
    assert main("snapshot") == 0
    before = Path("data/raw/snapshot.json").read_bytes()
    Path("tables/events.csv").write_text(content)
    assert says in refused(capsys)
    assert Path("data/raw/snapshot.json").read_bytes() == before
    assert sorted(path.name for path in Path("data").iterdir()) == ["raw"]


def test_a_relative_folder_and_the_key_lie_in_the_main_checkout_wherever_the_run_is(place, monkeypatch):
    run = place / ".runs" / "tonight"
    run.mkdir(parents=True)
    monkeypatch.setenv("NIGHTMARKET_HOME", str(place))
    monkeypatch.chdir(run)
    settings()
    assert main("snapshot") == 0
    assert (run / "data/raw/events.parquet").exists()
    assert (place / ".nightmarket/customer.key").exists()


def test_a_missing_folder_is_refused(place, capsys):
    settings(folder="nowhere")
    assert "there is no folder" in refused(capsys)
    settings(folder=None)
    assert "snapshot.folder: source is folder, and none is named" in refused(capsys)


def test_a_missing_table_is_refused_with_what_was_found(place, capsys):
    Path("tables/events.csv").rename("tables/sales.csv")
    line = refused(capsys)
    assert "has no events.csv or events.parquet" in line
    assert "found: customers.csv, products.csv, sales.csv" in line


def test_a_wrong_type_in_parquet_is_refused(place, capsys):
    Path("tables/events.csv").unlink()
    numbers = pa.array(range(SHOP["events"].num_rows))
    pq.write_table(SHOP["events"].set_column(2, "timestamp", numbers), "tables/events.parquet")
    rows = SHOP["events"].num_rows
    assert f"column 'timestamp' (events.timestamp) holds {rows:,} values that are not a time like" in refused(capsys)


def test_a_file_of_mixed_encodings_is_refused_with_both_lines(place, capsys):
    lines = ["product_id,title,category", "1,有机全脂牛奶,", "2,茉莉香米,"]
    Path("tables/products.csv").write_bytes("\n".join(lines[:2]).encode() + b"\n" + lines[2].encode("gb18030") + b"\n")
    assert "products.csv: line 3 is not UTF-8 while line 2 is; save the whole file as UTF-8" in refused(capsys)


def test_latin_1_is_not_taken_for_chinese(place):
    Path("tables/products.csv").write_bytes("product_id,title,category\n1,Müller Käse,\n".encode("latin-1"))
    assert main("snapshot") == 0
    assert raw("products")["title"].to_pylist() == ["Müller Käse"]


def test_a_truncated_parquet_file_is_refused_by_name(place, capsys):
    Path("tables/events.csv").unlink()
    pq.write_table(SHOP["events"], "tables/events.parquet")
    whole = Path("tables/events.parquet").read_bytes()
    Path("tables/events.parquet").write_bytes(whole[: len(whole) // 2])
    assert "events.parquet cannot be read as parquet: it is cut off or damaged" in refused(capsys)


def test_a_link_that_leaves_the_folder_is_refused(place, capsys):
    Path("tables/events.csv").rename("outside.csv")
    Path("tables/events.csv").symlink_to(place / "outside.csv")
    assert "is a link that leaves the folder" in refused(capsys)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"foldr": "x"}, "snapshot.foldr: unknown key; did you mean folder?"),
        ({"time_zone": "Europe/Nowhere"}, "'Europe/Nowhere' is not a time zone"),
        ({"time_zone": "\ud800"}, "holds half of a character"),
        ({"business_date": "soon"}, "snapshot.business_date"),
        ({"mapping": {"sales": {"a": "b"}}}, "there is no table 'sales'"),
        ({"mapping": {"events": {"customer": "b"}}}, "there is no column 'customer'"),
        ({"mapping": {"events": {"value": "paid"}}}, "events.csv has no column 'paid'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(place, capsys, section, says):
    settings(**section)
    assert says in refused(capsys)


def test_a_key_that_others_may_read_is_refused(place, capsys):
    assert main("snapshot") == 0
    Path(".nightmarket/customer.key").chmod(0o644)
    line = refused(capsys)
    assert "can be read by others; run `chmod 600" in line
    assert Path(".nightmarket/customer.key").read_text().strip() not in line


def test_from_the_shell_a_refusal_is_one_line_and_exit_code_2(place):
    settings(folder="nowhere")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-m", "tasks", "snapshot"], capture_output=True, text=True, env=environment)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1


def test_the_demo_comes_whole_with_promotions_and_readable_titles(place):
    settings(source="demo", time_zone="America/New_York", business_date=None)
    assert main("snapshot") == 0
    manifest = about()
    rows = {name: table["rows"] for name, table in manifest["tables"].items()}
    assert rows["events"] == 1_469_307
    assert rows["promotions"] == 20_940_529
    assert rows["customers"] == 2_469
    assert manifest["as_of"] == "2018-01-01"
    products = raw("products").slice(0, 3).to_pylist()
    assert products[0]["title"] == "Ice - crushed/cubed, 22 LB"
    assert products[0]["category"] == "GROCERY > FRZN ICE > ICE - CRUSHED/CUBED"
    assert products[1]["category"] == "MISCELLANEOUS"
    assert products[2]["title"] == "Bread: italian/french"
    campaign = raw("campaigns").slice(0, 1).to_pylist()[0]
    assert campaign["start"] == datetime(2017, 3, 3, 5)
    assert campaign["end"] == datetime(2017, 4, 10, 3, 59, 59)
    first = raw("events").slice(0, 1).to_pylist()[0]
    assert (first["product_id"], first["value"], first["timestamp"]) == (
        "1095275",
        0.5,
        datetime(2017, 1, 1, 11, 53, 26),
    )
    assert raw("customers")["customer_id"][0].as_py() == first["customer_id"]


def test_a_forgotten_customer_is_in_no_table_and_in_no_dictionary_of_a_file(place):
    assert main("snapshot") == 0
    before, rows = about()["fingerprint"], raw("events").num_rows
    first = raw("customers")["customer_id"].to_pylist()[0]
    theirs = raw("events")["customer_id"].cast(pa.string()).to_pylist().count(first)
    assert theirs > 0
    pseudonyms.forget([first], "2024-02-12")
    assert main("snapshot") == 0
    assert about()["fingerprint"] != before
    assert raw("events").num_rows == rows - theirs
    for name in ("customers", "events"):
        with pq.ParquetFile(f"data/raw/{name}.parquet", read_dictionary=["customer_id"]) as file:
            for group in range(file.num_row_groups):
                for chunk in file.read_row_group(group, ["customer_id"])["customer_id"].chunks:
                    assert first not in chunk.dictionary.to_pylist()
    assert first not in Path(".nightmarket/forgotten.json").read_text()
