"""segment: groups with portraits on a small made-up shop, with and without campaigns."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.segments.grouping import Assigner
from tasks.__main__ import main

OUT = "artifacts/segment"


@pytest.fixture(scope="module")
def segmented(whole_night, tmp_path_factory):
    """The files of the stage, run on the shop of the whole night without copying it."""
    folder = tmp_path_factory.mktemp("segmented")
    (folder / "artifacts").mkdir()
    for name in ("validate", "prepare", "reviews"):
        (folder / "artifacts" / name).symlink_to(whole_night / "artifacts" / name)
    (folder / "params.yaml").write_text(yaml.safe_dump({"segment": {}}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main("segment") == 0
    return folder


def result(folder):
    return json.loads((folder / OUT / "segments.json").read_text(encoding="utf-8"))


def test_every_customer_has_one_segment_and_none_is_small(segmented):
    customers = pq.read_table(segmented / "artifacts/prepare/customers.parquet").to_pandas()
    rows = pq.read_table(segmented / OUT / "segments.parquet").to_pandas()
    assert rows.customer_id.tolist() == customers.customer_id.tolist()
    sizes = rows.segment.value_counts()
    told = result(segmented)
    assert {s["segment"]: s["size"] for s in told["segments"]} == sizes.drop("other", errors="ignore").to_dict()
    assert all(s["size"] >= 20 for s in told["segments"])
    assert told["other"] == sizes.get("other", 0)
    assert rows.probability.dropna().between(0, 1).all()


def test_portraits_say_what_when_and_how_they_answer(segmented):
    for portrait in result(segmented)["segments"]:
        assert portrait["name"]["en"]
        assert portrait["name"]["zh"]
        assert portrait["rfm"]["spend_per_week"] > 0
        assert len(portrait["when"]["weekdays"]) == 7
        assert sum(day["share"] for day in portrait["when"]["weekdays"]) == pytest.approx(1)
        assert sum(part["share"] for part in portrait["when"]["parts"]) == pytest.approx(1)
        assert portrait["strategy"]["en"]
        for row in portrait["responses"]:
            assert row["customers"] >= 20
            assert row["low"] <= row["rate"] <= row["high"]


def test_portraits_hold_topics_of_baskets_and_reviews(copied_night):
    """Two made-up topics: the first half of the customers has the one, the second the other."""
    num = pq.read_table("artifacts/prepare/customers.parquet").num_rows
    topics = [{"name": "milk, bread"}, {"name": "soap"}]
    content = {"baskets": {"topics": topics}, "reviews": {"topics": []}}
    Path("artifacts/reviews/topics.json").write_text(json.dumps(content), encoding="utf-8")
    segment = pq.read_table("artifacts/segment/segments.parquet")["segment"].to_pylist()
    inside = np.array([name == segment[0] for name in segment])
    rows = {"customer": np.repeat(np.arange(num), 2), "topic": np.tile([0, 1], num)}
    rows["num_baskets"] = np.where(inside[rows["customer"]] == (rows["topic"] == 0), 9, 1)
    schema = pq.read_schema("artifacts/reviews/baskets.parquet")
    pq.write_table(pa.table(rows).cast(schema), "artifacts/reviews/baskets.parquet", write_page_checksum=True)
    assert main("segment") == 0
    told = {portrait["segment"]: portrait["reviews"] for portrait in result(copied_night)["segments"]}
    first = told[segment[0]]["baskets"]
    assert [row["name"] for row in first] == ["milk, bread"]
    assert first[0]["lift"] == pytest.approx(9.0, rel=1e-3)
    assert first[0]["people"] == inside.sum()
    assert all(portrait["reviews"] == [] for portrait in told.values())


def test_the_classifier_reads_back(segmented):
    content = json.loads((segmented / OUT / "assigner.json").read_text(encoding="utf-8"))
    assert list(Assigner.from_json(content).segments) == [s["segment"] for s in result(segmented)["segments"]]


def test_the_stage_gives_the_same_files_twice(segmented, monkeypatch):
    before = {path.name: path.read_bytes() for path in (segmented / OUT).iterdir()}
    monkeypatch.chdir(segmented)
    assert main("segment") == 0
    assert {path.name: path.read_bytes() for path in (segmented / OUT).iterdir()} == before


def test_without_campaigns_portraits_say_that_nothing_was_measured(copied_night):
    for name in ("campaigns", "offers", "exposures", "responses"):
        (copied_night / f"artifacts/validate/clean/{name}.parquet").unlink()
    assert main("segment") == 0
    told = result(copied_night)
    assert "there is no table campaigns, exposures, responses" in told["responses"]
    assert all(s["responses"] == [] and s["strategy"]["kind"] is None for s in told["segments"])


def test_too_few_customers_give_an_empty_result_with_a_sentence(copied_night):
    path = copied_night / "artifacts/prepare/purchases.parquet"
    lines = pq.read_table(path)
    pq.write_table(lines.filter(lines["customer"].to_numpy() < 50), path, write_page_checksum=True)
    assert main("segment") == 0
    told = result(copied_night)
    assert told["reason"] == "50 customers bought; groups need at least 80"
    assert told["segments"] == []
    rows = pq.read_table(copied_night / OUT / "segments.parquet").to_pandas()
    assert set(rows.segment) == {"other"}


def test_who_objected_to_profiling_is_in_no_segment(whole_night, tmp_path, monkeypatch):
    (tmp_path / "artifacts").mkdir()
    for name in ("validate", "reviews"):
        (tmp_path / "artifacts" / name).symlink_to(whole_night / "artifacts" / name)
    shutil.copytree(whole_night / "artifacts/prepare", tmp_path / "artifacts/prepare")
    path = tmp_path / "artifacts/prepare/customers.parquet"
    customers = pq.read_table(path).to_pandas()
    customers["objected"] = customers["customer"] % 10 == 3
    customers.to_parquet(path, index=False)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"segment": {}}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main("segment") == 0
    rows = pq.read_table(tmp_path / OUT / "segments.parquet").to_pandas()
    assert rows["customer_id"].tolist() == customers.loc[~customers["objected"], "customer_id"].tolist()
    assert result(tmp_path)["other"] == (~customers["objected"]).sum()  # too few are left to be grouped
