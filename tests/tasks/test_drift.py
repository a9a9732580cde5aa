"""drift: silent on the small shop's own nights, loud when tonight's week is another shop's."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.drift.nights import MIN_NIGHTS
from tasks.__main__ import main

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
    crown(folder, windows["test"]["fit_until"])
    return folder


def crown(folder, trained_until):
    (folder / "data/champion").mkdir(parents=True, exist_ok=True)
    receipt = {"version": 3, "trained_until": trained_until}
    (folder / "data/champion/receipt.json").write_text(json.dumps(receipt))


def told(folder):
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
    found = told(night)
    assert found["tested"]
    assert not found["drifted"], found["words"]
    assert found["champion"] == 3
    assert found["num_nights"] >= MIN_NIGHTS
    assert found["words"].startswith("no drift: tonight’s week lies within what ")
    tables = {(one["table"], one["kind"]) for one in found["columns"]}
    assert {("events", "volume"), ("events", "number"), ("events", "missing"), ("products", "vectors")} <= tables
    shares = pq.read_table(night / OUT / "shares.parquet").to_pandas()
    sums = shares[shares["column"] == "hour"].groupby("table")[["reference", "week"]].sum()
    assert np.allclose(sums.to_numpy(), 1)
    nights = pq.read_table(night / OUT / "nights.parquet")
    assert nights.num_rows == found["num_nights"] + 1
    before = {path.name: path.read_bytes() for path in (night / OUT).iterdir()}
    assert main("drift") == 0
    assert before == {path.name: path.read_bytes() for path in (night / OUT).iterdir()}


def test_values_in_another_unit_are_found_and_said_in_the_shops_own_figures(night):
    change_last_week(night, value=lambda values: values * 100)
    assert main("drift") == 0
    found = told(night)
    assert found["drifted"]
    first = {one["name"]: one for one in found["columns"] if one["drifted"]}
    assert {"value", "price paid"} <= set(first)
    before, now = (float(part.split()[0].replace(",", "")) for part in first["value"]["words"][7:].split(", "))
    assert now > 30 * before
    assert found["p"] <= found["alpha"]


def test_values_that_are_gone_are_told_as_missing(night):
    change_last_week(night, value=lambda values: np.full(values.shape, np.nan))
    assert main("drift") == 0
    words = {one["words"] for one in told(night)["columns"] if one["drifted"]}
    assert "value: missing in 0.0% before, 100.0% now" in words


def test_an_old_champion_is_compared_with_its_own_window_and_a_short_one_tests_nothing(night):
    windows = json.loads((night / "artifacts/prepare/windows.json").read_text())
    crown(night, windows["test"]["fit_until"] - 2)
    assert main("drift") == 0
    older = told(night)
    crown(night, windows["first_week"] + 9)
    assert main("drift") == 0
    found = told(night)
    assert older["reference"][1] < told(night)["week"][0]
    assert not found["tested"]
    assert not found["drifted"]
    assert found["p"] is None
    assert "nothing was tested" in found["words"]
    assert f"{MIN_NIGHTS} are needed" in found["words"]


def test_a_group_of_few_customers_is_never_named(night):
    assert main("drift") == 0
    people = pq.read_table(night / "artifacts/prepare/customers.parquet").to_pandas()
    shares = pq.read_table(night / OUT / "shares.parquet").to_pandas()
    for name in (column for column in people if column.startswith("attr_")):
        few = people[name].value_counts()
        few = set(few[few < 20].index)
        assert not few & set(shares[shares["column"] == name]["value"])
