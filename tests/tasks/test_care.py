"""care: a row per customer who bought, what was said of it judged, and a line where nothing can be told."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.contracts import Unavailable
from nightmarket.reporting.night import Night
from nightmarket.reporting.page import render
from tasks.__main__ import main
from tasks.files import catalogue
from tasks.pipeline import generate, unavailable

PREPARED = "artifacts/prepare"


@pytest.fixture
def shop(whole_night, tmp_path, monkeypatch):
    """A folder with links to the night's tables: what a test writes takes a link's place."""
    for stage in ("prepare", "segment"):
        folder = tmp_path / "artifacts" / stage
        folder.mkdir(parents=True)
        for path in (whole_night / "artifacts" / stage).iterdir():
            (folder / path.name).symlink_to(path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"care": {}}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def replace(path, content):
    path.unlink()
    if isinstance(content, pa.Table):
        pq.write_table(content, path, write_page_checksum=True)
    else:
        path.write_text(json.dumps(content), encoding="utf-8")


def with_column(table, name, values):
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


def test_every_customer_who_bought_has_a_row_with_spans_that_hold_what_is_expected(shop):
    assert main("care") == 0
    rows = catalogue.CARE_CUSTOMERS.read().to_pandas()
    lines, customers = catalogue.PURCHASES.read(), catalogue.CUSTOMERS.read().to_pandas()
    bought = customers["customer_id"].to_numpy()[np.unique(lines["customer"].to_numpy())]
    assert rows.customer_id.tolist() == bought.tolist()
    assert rows.active.between(0, 1).all()
    assert rows.staying.between(0, 1).all()
    for name in ("purchases", "value"):
        assert (rows[f"{name}_low80"] <= rows[f"expected_{name}"]).all()
        assert (rows[f"expected_{name}"] <= rows[f"{name}_high80"]).all()
    assert (rows.expected_purchases >= rows.active - 1e-9).all()
    last = lines.to_pandas().groupby("customer")["day"].max()
    assert [(day - date(1970, 1, 1)).days for day in rows["last"]] == last.tolist()
    assert (rows.due > rows["last"]).all()


def test_it_is_judged_on_the_last_weeks_that_are_over(shop):
    assert main("care") == 0
    told = catalogue.CARE_METRICS.read()
    windows = catalogue.WINDOWS.read()
    end = date.fromordinal(date(1970, 1, 1).toordinal() + windows["test"]["last_target"])
    assert told["reason"] is None
    assert told["tested"]["window"][1] == end.isoformat()
    assert (end - date.fromisoformat(told["tested"]["window"][0])).days + 1 == 7 * told["weeks"]
    for quantity in ("chance", "purchases", "value"):
        assert told["tested"][quantity]["bgnbd"]["error"]["value"] > 0
        assert told["tested"][quantity]["ours_minus_recency_frequency"]["error"]["low"] is not None
    assert sum(told["standing"][name] for name in ("few", "active", "leaving", "gone")) == told["num_customers"]
    assert all(segment["num_customers"] >= 20 for segment in told["segments"])


def test_who_objected_to_profiling_is_in_no_row_and_changes_nobodys(shop):
    customers = catalogue.CUSTOMERS.read()
    objected = np.arange(customers.num_rows) % 10 == 3
    replace(shop / PREPARED / "customers.parquet", customers.append_column("objected", pa.array(objected)))
    assert main("care") == 0
    with_them = catalogue.CARE_CUSTOMERS.read().to_pandas()
    gone = set(np.array(customers["customer_id"].to_pylist())[objected])
    assert gone.isdisjoint(with_them.customer_id)
    assert catalogue.CARE_METRICS.read()["objected"] == objected.sum()
    lines = catalogue.PURCHASES.read()
    replace(shop / PREPARED / "purchases.parquet", lines.filter(pa.array(~objected[lines["customer"].to_numpy()])))
    assert main("care") == 0
    without_them = catalogue.CARE_CUSTOMERS.read().to_pandas()
    assert without_them.active.tolist() == pytest.approx(with_them.active.tolist())


def test_without_prices_value_is_empty_and_the_rest_is_there(shop):
    lines = catalogue.PURCHASES.read()
    replace(shop / PREPARED / "purchases.parquet", with_column(lines, "value", np.zeros(lines.num_rows)))
    assert main("care") == 0
    rows = catalogue.CARE_CUSTOMERS.read().to_pandas()
    assert rows.expected_value.isna().all()
    assert rows.value_high80.isna().all()
    assert rows.expected_purchases.gt(0).all()
    assert catalogue.CARE_METRICS.read()["expected_value"] is None


def test_the_list_for_a_spreadsheet_has_the_same_rows_who_is_worth_keeping_first(shop):
    assert main("care") == 0
    rows, listed = catalogue.CARE_CUSTOMERS.read().to_pandas(), pd.read_csv(catalogue.CARE_LIST.path)
    assert listed.columns.tolist() == rows.columns.tolist()
    assert sorted(listed.customer_id) == sorted(rows.customer_id)
    assert listed.worth_keeping.is_monotonic_decreasing
    assert listed.at_risk[~listed.worth_keeping].is_monotonic_decreasing


def test_the_page_says_what_the_stage_wrote(shop):
    assert main("care") == 0
    told = catalogue.CARE_METRICS.read()
    html = render(Night(told["as_of"], care=told))
    section = html.partition('<section id="care"')[2].partition("</section>")[0]
    assert f"Of {told['num_customers']} customers, {told['standing']['active']} buy as usual" in section
    assert section.count('<tr role="row"') > len(told["tested"]["value"]["ours"]["tenths"])
    assert "BG/NBD with gamma-gamma by" in section
    assert "could not be made" not in html
    nothing = render(Night(told["as_of"], care={"as_of": told["as_of"], "reason": "too few"}))
    assert "Nothing can be said of single customers: too few." in nothing


def young(shop):
    lines = catalogue.PURCHASES.read()
    last = catalogue.WINDOWS.read()["test"]["last_target"]
    windows = catalogue.WINDOWS.read() | {"first_day": last - 90}
    replace(shop / PREPARED / "windows.json", windows)
    replace(shop / PREPARED / "purchases.parquet", lines.filter(pa.array(lines["day"].to_numpy() > last - 90)))


def views(shop):
    replace(shop / PREPARED / "windows.json", catalogue.WINDOWS.read() | {"target": "view"})


def once(shop):
    lines = catalogue.PURCHASES.read()
    first = np.unique(lines["customer"].to_numpy(), return_index=True)[1]
    replace(shop / PREPARED / "purchases.parquet", lines.take(pa.array(first)))


def twelve(shop):
    lines = catalogue.PURCHASES.read()
    replace(shop / PREPARED / "purchases.parquet", lines.filter(pa.array(lines["customer"].to_numpy() < 12)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (young, "too short: 16 complete weeks"),
        (views, "no purchases are on record"),
        (once, "second day"),
        (twelve, "12 customers had bought; 20 are needed"),
    ],
)
def test_where_nothing_can_be_told_a_line_says_why(shop, change, reason, capsys):
    change(shop)
    assert main("care") == 0
    assert reason in catalogue.CARE_METRICS.read()["reason"]
    assert catalogue.CARE_CUSTOMERS.read().num_rows == 0
    assert reason in capsys.readouterr().out


def test_it_goes_on_without_segments(shop):
    for path in (shop / "artifacts/segment").iterdir():
        path.unlink()
    for name, text in generate.files().items():
        (shop / name).write_text(text, encoding="utf-8")
    unavailable.leave(Unavailable("segment", "exit code 1"))
    assert main("care") == 0
    assert catalogue.CARE_METRICS.read()["segments"] == []
