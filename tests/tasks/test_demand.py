"""demand: a forecast per product type on a small made-up shop, and its empty result on a short history."""

import json
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.histories.calendar import monday, week_of
from tasks.__main__ import main

OUT = "artifacts/demand"


def run_on(night, folder):
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "prepare").symlink_to(night / "artifacts" / "prepare")
    (folder / "params.yaml").write_text(yaml.safe_dump({"demand": {}}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main("demand") == 0
    return folder


@pytest.fixture(scope="module")
def forecast_night(whole_night, tmp_path_factory):
    return run_on(whole_night, tmp_path_factory.mktemp("forecast_night"))


def metrics(folder):
    return json.loads((folder / OUT / "metrics.json").read_text(encoding="utf-8"))


def test_every_type_has_one_row_per_week_after_the_last_complete_one(forecast_night):
    rows = pq.read_table(forecast_night / OUT / "forecast.parquet").to_pandas()
    windows = json.loads((forecast_night / "artifacts/prepare/windows.json").read_text())
    last = monday(week_of(windows["test"]["last_target"]))
    assert metrics(forecast_night)["last_complete_week"] == last.isoformat()
    weeks = {date.fromisoformat(str(day)[:10]) for day in rows.week}
    assert weeks == {last + timedelta(weeks=h + 1) for h in range(4)}
    assert not rows.duplicated(["kind", "week"]).any()
    assert (rows.low95 <= rows.low80).all()
    assert (rows.low80 <= rows.units).all()
    assert (rows.units <= rows.high80).all()
    assert (rows.high80 <= rows.high95).all()


def test_the_forecast_is_judged_on_the_last_weeks(forecast_night):
    told = metrics(forecast_night)["forecast"]
    assert told["horizon"] == 4
    for name in ("ours", "naive", "seasonal naive"):
        assert told["classes"]["all"][name]["wape"] > 0
    assert 0 < told["classes"]["all"]["coverage80"]["value"] <= told["classes"]["all"]["coverage95"]["value"] <= 1


def test_the_response_is_told_with_its_placebo_and_claims_nothing(forecast_night):
    told = metrics(forecast_night)["response"]
    text = json.dumps(told)
    assert "incremental" not in text
    assert "causal" not in text
    if told["reason"] is None:
        assert "observational" in told["words"]["en"]
        assert "placebo" in told["words"]["en"]


def test_what_runs_out_is_told_where_every_product_that_sells_has_a_stock(copied_night):
    path = copied_night / "artifacts/prepare/products.parquet"
    products = pq.read_table(path).to_pandas()
    counted = products.assign(stock=3.0, cost=2.0)
    pq.write_table(pa.Table.from_pandas(counted, preserve_index=False), path, write_page_checksum=True)
    assert main("demand") == 0
    rows = pq.read_table(copied_night / OUT / "supply.parquet").to_pandas()
    told = metrics(copied_night)["supply"]
    assert told["reason"] is None
    assert told["stocked"] == len(rows) > 0
    assert told["short"] == (rows.missing > 0).sum()
    assert 0 <= told["coverage"]["low"] <= told["coverage"]["value"] <= 1
    chances = rows[[f"out_week{week}" for week in (1, 2, 3, 4)]].to_numpy()
    assert ((chances > 0) & (chances < 1)).all()
    assert (chances[:, 1:] >= chances[:, :-1]).all()
    assert (rows.missing == (rows.quantity - rows.stock).clip(lower=0)).all()
    priced = rows[rows.missing_cost.notna()]
    assert (priced.missing_cost == 2 * priced.missing).all()


def test_without_a_stock_nothing_is_said_of_it(forecast_night):
    assert "counted stock" in metrics(forecast_night)["supply"]["reason"]
    assert pq.read_metadata(forecast_night / OUT / "supply.parquet").num_rows == 0


def test_a_few_weeks_give_an_empty_forecast_with_a_sentence(copied_night):
    path = copied_night / "artifacts/prepare/purchases.parquet"
    lines = pq.read_table(path)
    last = json.loads((copied_night / "artifacts/prepare/windows.json").read_text())["test"]["last_target"]
    pq.write_table(lines.filter(lines["day"].to_numpy() > last - 35), path, write_page_checksum=True)
    assert main("demand") == 0
    assert "needs 7" in metrics(copied_night)["forecast"]["reason"]
    assert pq.read_table(copied_night / OUT / "forecast.parquet").num_rows == 0


def test_views_are_no_demand(whole_night, tmp_path):
    prepared = tmp_path / "artifacts/prepare"
    prepared.mkdir(parents=True)
    for path in (whole_night / "artifacts/prepare").iterdir():
        (prepared / path.name).symlink_to(path)
    windows = json.loads((prepared / "windows.json").read_text()) | {"target": "view"}
    (prepared / "windows.json").unlink()
    (prepared / "windows.json").write_text(json.dumps(windows))
    (tmp_path / "params.yaml").write_text("demand: {}\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main("demand") == 0
    assert metrics(tmp_path)["forecast"]["reason"].startswith("no purchases are on record")
    assert pq.read_metadata(tmp_path / OUT / "forecast.parquet").num_rows == 0
