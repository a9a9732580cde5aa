"""drift: silent on the small shop's own nights, loud when tonight's week is another shop's."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.drift import predictions
from nightmarket.drift.nights import MIN_NIGHTS
from tasks import drift
from tasks.__main__ import main
from tasks.files import manifest

OUT = "artifacts/drift"


@pytest.fixture
def night(whole_night, tmp_path, monkeypatch):
    """The night with its model as champion; tables that a test changes are copies."""
    folder = tmp_path / "night"
    for part in ("artifacts/validate", "artifacts/prepare", "artifacts/embed"):
        shutil.copytree(whole_night / part, folder / part)
    (folder / "params.yaml").write_text(yaml.safe_dump({"drift": {}}), encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    windows = json.loads((folder / "artifacts/prepare/windows.json").read_text())
    crown(folder, windows["test"]["cut"])
    return folder


def crown(folder, trained_until):
    (folder / "data/champion").mkdir(parents=True, exist_ok=True)
    receipt = {"version": 3, "trained_until": trained_until}
    (folder / "data/champion/receipt.json").write_text(json.dumps(receipt))


def drift_of(folder):
    return json.loads((folder / OUT / "drift.json").read_text(encoding="utf-8"))


def change_last_week(folder, **columns):
    """Events of the last seven days, changed: {column: function of the column}."""
    path = folder / "artifacts/validate/clean/events.parquet"
    table = pq.read_table(path)
    last = pc.max(table["timestamp"]).as_py()
    recent = np.array([(last - when).days < 7 for when in table["timestamp"].to_pylist()])
    for name, changed in columns.items():
        values = table[name].to_numpy(zero_copy_only=False).copy()
        values[recent] = changed(values[recent])
        made = pa.array(values, table.schema.field(name).type, from_pandas=True)
        table = table.set_column(table.column_names.index(name), name, made)
    pq.write_table(table, path)


def test_the_shops_own_last_week_is_no_drift_and_the_files_repeat_byte_for_byte(night):
    assert main("drift") == 0
    content = drift_of(night)
    assert content["tested"]
    assert not content["drifted"], content["words"]
    assert content["champion"] == 3
    assert content["num_nights"] >= MIN_NIGHTS
    assert content["words"].startswith("no drift: tonight’s week lies within what ")
    tables = {(column["table"], column["kind"]) for column in content["columns"]}
    assert {("events", "volume"), ("events", "number"), ("events", "missing"), ("products", "vectors")} <= tables
    shares = pq.read_table(night / OUT / "shares.parquet").to_pandas()
    sums = shares[shares["column"] == "hour"].groupby("table")[["reference", "week"]].sum()
    assert np.allclose(sums.to_numpy(), 1)
    nights = pq.read_table(night / OUT / "nights.parquet")
    assert nights.num_rows == content["num_nights"] + 1
    before = {path.name: path.read_bytes() for path in (night / OUT).iterdir()}
    assert main("drift") == 0
    assert before == {path.name: path.read_bytes() for path in (night / OUT).iterdir()}


def test_values_in_another_unit_are_found_and_said_in_the_shops_own_figures(night):
    change_last_week(night, value=lambda values: values * 100)
    assert main("drift") == 0
    content = drift_of(night)
    assert content["drifted"]
    first = {column["name"]: column for column in content["columns"] if column["drifted"]}
    assert {"value", "price paid"} <= set(first)
    before, now = (float(part.split()[0].replace(",", "")) for part in first["value"]["words"][7:].split(", "))
    assert now > 30 * before
    assert content["p"] <= content["alpha"]


def test_values_that_are_gone_are_told_as_missing(night):
    change_last_week(night, value=lambda values: np.full(values.shape, np.nan))
    assert main("drift") == 0
    words = {column["words"] for column in drift_of(night)["columns"] if column["drifted"]}
    assert "value: missing in 0.0% before, 100.0% now" in words


def test_an_old_champion_is_compared_with_its_own_window_and_a_short_one_tests_nothing(night):
    windows = json.loads((night / "artifacts/prepare/windows.json").read_text())
    crown(night, windows["test"]["cut"] - 14)
    assert main("drift") == 0
    older = drift_of(night)
    crown(night, windows["first_day"] + 69)
    assert main("drift") == 0
    content = drift_of(night)
    assert older["reference"][1] < drift_of(night)["week"][0]
    assert not content["tested"]
    assert not content["drifted"]
    assert content["p"] is None
    assert "nothing was tested" in content["words"]
    assert f"{MIN_NIGHTS} are needed" in content["words"]


def test_a_champion_of_a_shop_of_weeks_tests_nothing_and_says_so(night):
    windows = json.loads((night / "artifacts/prepare/windows.json").read_text())
    crown(night, windows["first_day"] + 12)
    assert main("drift") == 0
    content = drift_of(night)
    assert (content["tested"], content["drifted"], content["num_nights"]) == (False, False, 0)
    assert (content["p"], content["score"], content["limit"]) == (None, None, None)
    assert "the training window holds 0 nights" in content["words"]


def test_a_source_that_falls_silent_is_named(night):
    path = night / "artifacts/validate/clean/events.parquet"
    table = pq.read_table(path)
    rng = np.random.default_rng(3)
    source = np.where(rng.random(table.num_rows) < 0.4, "web", "shop")
    table = table.append_column("source", pa.array(source))
    last = pc.max(table["timestamp"]).as_py()
    recent = np.array([(last - when).days < 7 for when in table["timestamp"].to_pylist()])
    pq.write_table(table.filter(pa.array(~(recent & (source == "web")))), path)
    assert main("drift") == 0
    words = [
        column["words"] for column in drift_of(night)["columns"] if column["drifted"] and column["kind"] == "volume"
    ]
    assert any(sentence.startswith("rows of web: 0 ") for sentence in words), words


def test_tonights_lists_are_compared_with_those_that_the_receipt_carries(night, whole_night, monkeypatch):
    for part in ("rank", "finetune"):
        shutil.copytree(whole_night / "artifacts" / part, night / "data/champion" / part)
    params = {"drift": {}, "score": {"num_recommendations": 10}}
    (night / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    manifest.write(night / "data/champion")
    assert main("score") == 0
    assert json.loads((whole_night / "artifacts/evaluate/predictions.json").read_text()) is None  # 80 customers
    monkeypatch.setattr(predictions, "MIN_GROUP", 10)
    receipt = night / "data/champion/receipt.json"
    receipt.write_text(json.dumps(json.loads(receipt.read_text()) | {"predictions": drift._lists()}))
    assert main("drift") == 0
    assert not any(column["drifted"] for column in drift_of(night)["predictions"]["columns"])
    content = drift_of(night)["predictions"]
    assert [column["name"] for column in content["columns"]] == ["probability", "department", "own"]
    assert {column["table"] for column in drift_of(night)["columns"]} >= {"predictions"}
    path = night / "artifacts/score/recommendations.parquet"
    table = pq.read_table(path)
    same = pa.array(np.full(table.num_rows, 0.9, np.float32))
    pq.write_table(table.set_column(table.column_names.index("probability"), "probability", same), path)
    assert main("drift") == 0
    assert drift_of(night)["drifted"]
    assert drift_of(night)["predictions"]["words"].startswith("predictions drifted: probability of what is recommended")


def test_a_receipt_without_lists_says_so(night):
    assert main("drift") == 0
    assert "receipt does not say" in drift_of(night)["predictions"]["words"]


def test_a_group_of_few_customers_is_never_named(night):
    assert main("drift") == 0
    people = pq.read_table(night / "artifacts/prepare/customers.parquet").to_pandas()
    shares = pq.read_table(night / OUT / "shares.parquet").to_pandas()
    for name in (column for column in people if column.startswith("attr_")):
        few = people[name].value_counts()
        few = set(few[few < 20].index)
        assert not few & set(shares[shares["column"] == name]["value"])
