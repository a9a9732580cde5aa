import csv
import datetime
import hashlib
import json
import os

import pyarrow as pa
import pytest

from nightmarket.contracts import InputError
from tasks.campaigns import export
from tasks.files import storage
from tasks.privacy.pseudonyms import customer_keys

DAY = datetime.date(2018, 1, 8)
SAID = {"known": False, "listed": False, "ground": "told at purchase", "min_age": 18, "channels": ["email", "push"]}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The current folder is a checkout whose source, the demo, has no lists."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    (tmp_path / "params.yaml").write_text("snapshot: {source: demo}")
    customer_keys()


def plan(folder, **changes):
    """Four contacts: two sent, two held out."""
    columns = {
        "customer_id": ["a1", "b2", "c3", "d4"],
        "segment": ["常客", "=HYPERLINK(1)", "@SUM", "new"],
        "offer": ["-5 元", "满 100 减 20", "gift", "+1"],
        "offer_kind": ["discount", "threshold", "gift", "coupon"],
        "channel": ["email", "push", "email", "push"],
        "day": pa.array([DAY] * 4),
        "slot": ["evening"] * 4,
        "probability": [0.1, 0.2, 0.3, 0.4],
        "expected_value": [1.0, 2.0, 3.0, 4.0],
        "cost": [0.5] * 4,
        "expected_profit": [-0.25, 1.5, 2.5, 3.5],
        "propensity": [0.9, 0.9, 0.1, 0.1],
        "arm": ["send", "send", "holdout", "holdout"],
    }
    folder.mkdir(exist_ok=True)
    storage.write_table(pa.table(columns | changes), folder / "plan.parquet")
    arms = pa.table({"customer_id": ["a1", "b2", "c3", "d4", "e5"], "arm": ["send", "send", *["holdout"] * 3]})
    storage.write_table(arms, folder / "eligible.parquet")
    storage.write_json({"num_sent": 2, "consent": SAID}, folder / "summary.json")
    return folder


def exported(tmp_path, name="spring", excel=False, **changes):
    planned = plan(tmp_path / "planned", **changes)
    who = {"approved_by": "Li", "note": "go"}
    return export.export(planned, tmp_path, name, approved=export.digest(planned), receipt=who, excel=excel)


def rows(path, encoding="utf-8"):
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file))


def test_the_holdout_lies_in_a_file_of_its_own_with_its_propensities(tmp_path):
    target = exported(tmp_path)
    assert [row["customer_id"] for row in rows(target / "send.csv")] == ["a1", "b2"]
    held = rows(target / "holdout.csv")
    assert [(row["customer_id"], row["propensity"]) for row in held] == [("c3", "0.1"), ("d4", "0.1")]
    assert storage.read_table(target / "send.parquet")["customer_id"].to_pylist() == ["a1", "b2"]
    assert storage.read_table(target / "holdout.parquet").num_rows == 2
    first = list(rows(target / "send.csv")[0])
    assert first[:4] == ["customer_id", "channel", "day", "slot"]
    assert rows(target / "send.csv")[0]["day"] == "2018-01-08"


def test_text_that_a_spreadsheet_would_run_is_escaped_and_numbers_are_not(tmp_path):
    target = exported(tmp_path)
    sent, held = rows(target / "send.csv"), rows(target / "holdout.csv")
    assert [row["offer"] for row in sent + held] == ["'-5 元", "满 100 减 20", "gift", "'+1"]
    assert [row["segment"] for row in sent + held] == ["常客", "'=HYPERLINK(1)", "'@SUM", "new"]
    assert sent[0]["expected_profit"] == "-0.25"
    assert storage.read_table(target / "send.parquet")["offer"].to_pylist()[0] == "-5 元"


def test_hours_do_not_look_like_a_date_in_the_csv(tmp_path):
    target = exported(tmp_path, slot=["9-12", "12-15", "6-9", "evening"])
    slots = [row["slot"] for row in rows(target / "send.csv") + rows(target / "holdout.csv")]
    assert slots == ["09:00-12:00", "12:00-15:00", "06:00-09:00", "evening"]
    assert storage.read_table(target / "send.parquet")["slot"].to_pylist() == ["9-12", "12-15"]


def test_excel_gets_its_byte_order_mark_and_nobody_else(tmp_path):
    plain, marked = exported(tmp_path, "plain"), exported(tmp_path, "marked", excel=True)
    assert (marked / "send.csv").read_bytes() == b"\xef\xbb\xbf" + (plain / "send.csv").read_bytes()
    assert rows(marked / "send.csv", "utf-8-sig") == rows(plain / "send.csv")


def test_the_receipt_names_who_what_and_every_file(tmp_path):
    target = exported(tmp_path)
    receipt = json.loads((target / "receipt.json").read_text())
    assert (receipt["approved_by"], receipt["note"], receipt["name"]) == ("Li", "go", "spring")
    assert receipt["files"]["send.csv"]["rows"] == 2
    for name, facts in receipt["files"].items():
        assert facts["sha256"] == hashlib.sha256((target / name).read_bytes()).hexdigest()
    assert {path.name for path in target.iterdir()} == {*receipt["files"], "receipt.json"}
    assert [path.name for path in target.parent.iterdir()] == ["spring"]


def test_a_plan_that_changed_after_its_approval_is_not_exported(tmp_path):
    planned = plan(tmp_path / "planned")
    approved = export.digest(planned)
    plan(planned, offer=["a", "b", "c", "e"])
    with pytest.raises(InputError, match="changed after it was approved"):
        export.export(planned, tmp_path, "spring", approved=approved, receipt={}, excel=False)
    assert not (tmp_path / "exports").exists()


def test_a_customer_in_both_arms_stops_the_export(tmp_path):
    with pytest.raises(InputError, match="1 customers are in the holdout and are sent to"):
        exported(tmp_path, customer_id=["a1", "b2", "a1", "d4"])
    with pytest.raises(InputError, match="1 customers are in the holdout"):  # kept back without a row of her own
        exported(tmp_path, customer_id=["a1", "e5", "c3", "d4"])
    with pytest.raises(InputError, match="1 other values"):
        exported(tmp_path, arm=["send", "send", "control", "holdout"])


def test_an_exported_name_is_never_written_over(tmp_path):
    target = exported(tmp_path)
    before = (target / "receipt.json").read_bytes()
    with pytest.raises(InputError, match="exports/spring is there already"):
        exported(tmp_path)
    assert (target / "receipt.json").read_bytes() == before


def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    planned = plan(tmp_path / "planned")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        export.export(planned, tmp_path, "x", approved=export.digest(planned), receipt={}, excel=False)
    assert list((tmp_path / "exports").iterdir()) == []


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "a\n", "-rf", "x" * 61, "a\x00", "C:"])
def test_a_name_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(InputError, match="letters, digits"):
        export.folder(tmp_path, name)


def test_a_chinese_name_is_a_name(tmp_path):
    assert export.folder(tmp_path, "双十一-2026_a").parent == tmp_path / "exports"
