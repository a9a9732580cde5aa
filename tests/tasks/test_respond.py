"""The stage `respond` on a made-up shop."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tasks.__main__ import main
from tasks.campaigns import responder
from tasks.files.prepared import Prepared

OUT = Path("artifacts/respond")


def read(name: str) -> dict:
    return json.loads((OUT / name).read_text(encoding="utf-8"))


def test_a_responder_comes_back_and_speaks_of_every_customer(copied_night):
    data = Prepared()
    loaded = responder.load(OUT)
    campaigns = responder.campaigns(data)
    assert [campaign.start_day for campaign in campaigns] == sorted(campaign.start_day for campaign in campaigns)
    market = responder.market(data, campaigns[-1].start_day)
    chances, offers = loaded.chances(market, campaigns[-1]), loaded.offer_chances(market, campaigns[-1])
    assert chances.shape == (data.histories.num_customers,)
    assert offers.shape == (data.histories.num_customers, len(campaigns[-1].offers))
    assert ((chances > 0) & (chances < 1)).all()
    assert (market.histories.day < campaigns[-1].start_day).all()


def test_only_finished_campaigns_are_judged(copied_night):
    metrics, data = read("metrics.json"), Prepared()
    last = int(data.histories.day.max())
    ended = {campaign.campaign_id for campaign in responder.campaigns(data) if campaign.end_day <= last}
    assert set(metrics["campaigns"]) <= ended
    table = pq.read_table(OUT / "predictions.parquet")
    assert metrics["test"]["num_pairs"] == table.num_rows
    assert set(table["campaign_id"].to_pylist()) == set(metrics["campaigns"])
    drivers = read("drivers.json")
    assert drivers["overall"]["en"]
    assert set(drivers["campaigns"]) == set(metrics["campaigns"])


def test_the_same_seed_writes_the_same_files(copied_night):
    before = {name: (OUT / name).read_bytes() for name in ("responder.json", "metrics.json", "predictions.parquet")}
    assert main("respond") == 0
    assert before == {name: (OUT / name).read_bytes() for name in before}


def test_days_are_local_and_an_exposure_without_a_moment_is_at_the_start(copied_night):
    path = responder.CLEAN / "exposures.parquet"
    table = pd.read_parquet(path)
    table["timestamp"] = pd.NaT
    table["timestamp"] = table["timestamp"].astype("datetime64[us]")
    table.to_parquet(path)
    record = responder.record(Prepared())
    starts = np.array([campaign.start_day for campaign in record.campaigns])
    np.testing.assert_array_equal(record.contacts.day, starts[record.contacts.campaign])
    raw = pd.read_parquet(responder.CLEAN / "campaigns.parquet").sort_values("start")
    local = raw["start"].dt.tz_localize("UTC").dt.tz_convert("Asia/Shanghai").dt.tz_localize(None)
    assert starts.tolist() == ((local - pd.Timestamp("1970-01-01")).dt.days).tolist()


def test_without_a_table_the_result_is_empty_and_says_why(copied_night):
    (responder.CLEAN / "responses.parquet").unlink()
    assert main("respond") == 0
    assert responder.load(OUT) is None
    assert "responses" in read("metrics.json")["reason"]
    assert pq.read_table(OUT / "predictions.parquet").num_rows == 0
    assert responder.market(Prepared(), 20_000).answers.customer.size == 0


def test_two_campaigns_are_too_few_to_learn_from(copied_night):
    path = responder.CLEAN / "responses.parquet"
    table = pd.read_parquet(path)
    table[table["campaign_id"].isin(["K01", "K02"])].to_parquet(path)
    assert main("respond") == 0
    assert responder.load(OUT) is None
    assert read("responder.json")["reason"] == "2 finished campaigns with responses; at least 3 are needed"


def test_a_shop_without_offers_still_learns_who_responds(copied_night):
    (responder.CLEAN / "offers.parquet").unlink()
    assert main("respond") == 0
    data = Prepared()
    campaign = responder.campaigns(data)[-1]
    assert campaign.offers == ()
    assert responder.load(OUT).offer_chances(responder.market(data, campaign.start_day), campaign).shape[1] == 0
