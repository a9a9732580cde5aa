"""readout: experiments, campaigns without one, logs with propensities and the ledger, on a small shop."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from nightmarket.contracts.tables import BY_NAME, arrow_schema
from tasks.__main__ import main
from tasks.files import storage
from tasks.registry import versions

NUM = 1600
PRODUCTS = 6
START = pd.Timestamp("2026-03-02")
END = pd.Timestamp("2026-03-30")


def clean(name, rows):
    """Write a clean table; columns that are not given are empty."""
    schema = arrow_schema(BY_NAME[name])
    num = len(next(iter(rows.values()))) if rows else 0
    columns = [pa.array(rows.get(field.name, [None] * num), field.type) for field in schema]
    storage.write_table(pa.table(columns, schema=schema), storage.ARTIFACTS / "validate/clean" / f"{name}.parquet")


def clean_tables(**tables):
    for name, rows in tables.items():
        clean(name, rows)
    about = {"as_of": "2026-04-20", "time_zone": "UTC"}
    storage.write_json(about, storage.ARTIFACTS / "validate/clean/snapshot.json")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A shop whose 1,600 customers buy on 60 days; the campaign K1 has arms v7 and v6, of which v7 works."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    params({})
    rng = np.random.default_rng(5)
    customers = np.array([f"c{number:04d}" for number in range(NUM)], object)
    level = rng.gamma(2, 10, NUM)
    arm = np.where(rng.permutation(NUM) < NUM // 2, "v7", "v6").astype(object)
    who = np.repeat(np.arange(NUM), 12)
    day = rng.integers(-60, 28, who.size)
    value = np.round(level[who] * rng.gamma(4, 0.25, who.size), 2)
    when = START + pd.to_timedelta(day, "D") + pd.Timedelta(hours=12)
    responded = rng.random(NUM) < np.where(arm == "v7", 0.30, 0.15)
    clicked = rng.random(NUM) < 0.4
    events = {
        "customer_id": [*customers[who], *customers[clicked]],
        "product_id": ["p0"] * (who.size + int(clicked.sum())),
        "timestamp": [*when, *([START + pd.Timedelta(days=2)] * int(clicked.sum()))],
        "kind": ["purchase"] * who.size + ["click"] * int(clicked.sum()),
        "value": [*value, *([None] * int(clicked.sum()))],
    }
    tables = {
        "events": events,
        "campaigns": {"campaign_id": ["K1"], "kind": ["coupon"], "start": [START], "end": [END]},
        "exposures": {
            "customer_id": list(customers),
            "campaign_id": ["K1"] * NUM,
            "product_id": ["p0"] * NUM,
            "timestamp": [START + pd.Timedelta(days=1)] * NUM,
            "arm": list(arm),
        },
        "responses": {
            "customer_id": list(customers[responded]),
            "campaign_id": ["K1"] * int(responded.sum()),
            "timestamp": [START + pd.Timedelta(days=3)] * int(responded.sum()),
        },
        "offers": {},
    }
    clean_tables(**tables)
    prepared(customers, who, day, value, rng)
    return tables


def prepared(customers, who, day, value, rng):
    """artifacts/prepare as far as the stage reads it."""
    order = np.lexsort((day, who))
    today = (START - pd.Timestamp("1970-01-01")).days + day[order]
    item = rng.integers(0, PRODUCTS, who.size)
    lines = {
        "customer": who[order].astype(np.int32),
        "item": item.astype(np.int32),
        "week": (today // 7).astype(np.int32),
        "day": today.astype(np.int32),
        "quantity": np.ones(who.size, np.float32),
        "value": value[order].astype(np.float32),
        "discount": np.zeros(who.size, np.float32),
        "basket": np.arange(who.size, dtype=np.int32),
        "channel": np.zeros(who.size, np.int32),
    }
    folder = storage.ARTIFACTS / "prepare"
    storage.write_table(pa.table(lines), folder / "purchases.parquet")
    names = [f"p{number}" for number in range(PRODUCTS)]
    products = {"product_id": names, "category": [f"type {number}" for number in range(PRODUCTS)]}
    storage.write_table(pa.table(products), folder / "products.parquet")
    age = np.where(np.arange(len(customers)) % 3 == 0, "young", "old")
    table = {"customer": np.arange(len(customers), dtype=np.int32), "customer_id": list(customers), "attr_age": age}
    storage.write_table(pa.table(table), folder / "customers.parquet")


def params(section):
    with open("params.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump({"readout": section}, file)


def read():
    assert main("readout") == 0
    return json.loads((storage.ARTIFACTS / "readout/readout.json").read_text(encoding="utf-8"))


def promise(tables):
    """v7 promised 5% over v6."""
    difference = {"value": 0.02, "low": 0.01, "high": 0.03}
    row = {"version": 7, "metric": "ndcg@10 on all", "value": 0.42, "against": "version 6", "difference": difference}
    storage.write_json([row], storage.RAW / "versions.json")


def test_an_experiment_is_read_and_joins_the_ledger(shop):
    promise(shop)
    content = read()
    (experiment,) = content["experiments"]
    assert (experiment["name"], experiment["control"], experiment["verdict"]["word"], experiment["verdict"]["arm"]) == (
        "K1",
        "v6",
        "ship",
        "v7",
    )
    first = experiment["comparisons"][0]
    arms = shop["exposures"]["arm"]
    answered = set(shop["responses"]["customer_id"])
    rate = {
        arm: np.mean([customer in answered for customer, at in zip(shop["exposures"]["customer_id"], arms, strict=True)
                      if at == arm])
        for arm in ("v6", "v7")
    }  # fmt: skip
    assert first["metric"] == "response rate"
    assert first["effect"] == pytest.approx(rate["v7"] - rate["v6"], abs=0.01)
    assert [row["metric"] for row in experiment["comparisons"]] == ["response rate", "purchase value"]  # no values came
    assert experiment["comparisons"][1]["variance_reduction"] > 0.2
    assert {segment["level"] for segment in experiment["segments"]} == {"young", "old"}
    (row,) = content["ledger"]["rows"]
    assert (row["name"], row["experiment"], row["verdict"]) == ("v7", "K1", "ship")
    assert row["offline"]["value"] == pytest.approx(0.05)
    assert row["ab"]["value"] == pytest.approx(first["effect"] / first["control"])
    assert "cannot be said" in content["ledger"]["offline"]["sentence"]
    assert content["observed"] == []


def test_outcomes_that_still_come_in_are_not_read(shop):
    params({"outcome_days": 28})
    about = {"as_of": "2026-03-20", "time_zone": "UTC"}
    storage.write_json(about, storage.ARTIFACTS / "validate/clean/snapshot.json")
    (experiment,) = read()["experiments"]
    assert (experiment["complete"], experiment["final"], experiment["verdict"]["word"]) == (0, False, "continue")
    assert experiment["sample_ratio"]["found"] == {"v6": 800, "v7": 800}
    params({"outcome_days": 14})
    (experiment,) = read()["experiments"]
    assert (experiment["complete"], experiment["final"]) == (NUM, False)
    assert experiment["verdict"]["word"] == "ship"


def test_planned_shares_decide_whether_the_split_is_right(shop):
    params({"experiments": {"K1": {"shares": {"v6": 0.9, "v7": 0.1}}}})
    (experiment,) = read()["experiments"]
    assert experiment["verdict"]["word"] == "blocked"
    assert experiment["comparisons"] == []


def test_a_plan_for_a_campaign_that_is_not_there_is_refused(shop, capsys):
    params({"experiments": {"K9": {"control": "v6"}}})
    assert main("readout") == 2
    assert "'K9', which is no campaign" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ({"control": "v5"}, "the planned control 'v5' is no arm; there are v6, v7"),
        ({"shares": {"v6": 0.5, "v8": 0.5}}, "1 arms are not in the plan, first 'v7'"),
    ],
)
def test_a_plan_that_does_not_fit_blocks_its_experiment_and_not_the_night(shop, plan, why):
    promise(shop)
    params({"experiments": {"K1": plan}})
    content = read()
    (experiment,) = content["experiments"]
    assert experiment["verdict"]["word"] == "blocked"
    assert why in experiment["verdict"]["reason"]
    assert [(row["name"], row["ab"]) for row in content["ledger"]["rows"]] == [("v7", None)]


def test_customers_with_two_arms_are_set_aside_and_many_block(shop):
    exposures = shop["exposures"]
    num = 15
    twice = {name: [*column, *column[:num]] for name, column in exposures.items()}
    twice["arm"] = [*exposures["arm"], *("v6" if arm == "v7" else "v7" for arm in exposures["arm"][:num])]
    clean("exposures", twice)
    (experiment,) = read()["experiments"]
    assert experiment["mixed"] == num
    assert sum(experiment["sample_ratio"]["found"].values()) == NUM - num
    num = 40
    twice = {name: [*column, *column[:num]] for name, column in exposures.items()}
    twice["arm"] = [*exposures["arm"], *("v6" if arm == "v7" else "v7" for arm in exposures["arm"][:num])]
    clean("exposures", twice)
    (experiment,) = read()["experiments"]
    assert experiment["verdict"]["word"] == "blocked"
    assert "40 customers were shown more than one arm" in experiment["verdict"]["reason"]


def test_a_holdout_is_compared_by_what_it_buys(shop):
    held = ["holdout" if arm == "v6" else arm for arm in shop["exposures"]["arm"]]
    clean("exposures", shop["exposures"] | {"arm": held})
    content = read()
    (experiment,) = content["experiments"]
    assert experiment["control"] == "holdout"
    assert [comparison["metric"] for comparison in experiment["comparisons"]] == ["purchase value"]
    assert [arm["name"] for arm in content["effect_index"]["by_arm"]] == ["K1: v7"]


def test_a_plan_with_a_holdout_brings_its_shares_in_the_log(shop):
    """The exposures of a plan: nine tenths sent, one tenth kept back, each with its propensity."""
    held = np.arange(NUM) % 10 == 0
    arms = {"arm": list(np.where(held, "holdout", "send")), "propensity": np.where(held, 0.1, 0.9)}
    clean("exposures", shop["exposures"] | arms)
    content = read()
    (log,) = content["experiments"]
    assert log["sample_ratio"]["expected"] == {"holdout": pytest.approx(160), "send": pytest.approx(1440)}
    assert log["sample_ratio"]["passed"]
    assert content["off_policy"] == []


def test_the_ledger_is_printed_without_a_registry(shop, capsys):
    promise(shop)
    assert versions.main() == 2
    assert "run the stage that writes it" in capsys.readouterr().err
    read()
    assert versions.main() == 0
    said = capsys.readouterr().out
    assert "| v7 | v6 | +5.0% [+2.5%, +7.5%] |  | +134.4% [" in said
    assert "cannot be said before there are 3" in said


def test_without_arms_a_campaign_is_never_called_incremental(shop):
    exposed = {name: column[:700] for name, column in shop["exposures"].items()} | {"arm": [None] * 700}
    clean("exposures", exposed)
    content = read()
    assert content["experiments"] == []
    (campaign,) = content["observed"]
    assert (campaign["campaign_id"], campaign["assignment"]) == ("K1", "observed")
    assert "incremental" not in json.dumps(content)


def test_the_index_counts_clicks_after_the_exposure(shop):
    index = read()["effect_index"]
    (kind,) = index["by_kind"]
    clicks = shop["events"]["kind"].count("click")
    assert (index["of"], kind["impressions"], kind["clicks"]) == ("clicks", NUM, clicks)
    assert kind["click_through"]["value"] == pytest.approx(clicks / NUM)
    assert {arm["name"] for arm in index["by_arm"]} == {"K1: v6", "K1: v7"}


def test_logged_propensities_are_judged_and_thin_logs_refused(shop):
    rng = np.random.default_rng(1)
    num = 6000
    offer = rng.choice(["o1", "o2"], num, p=[0.8, 0.2])
    customers = [f"c{number:04d}" for number in rng.integers(0, NUM, num)]
    at = [START + pd.Timedelta(minutes=int(minute)) for minute in np.arange(num)]
    exposures = {
        "customer_id": customers,
        "campaign_id": ["K1"] * num,
        "offer_id": list(offer),
        "timestamp": at,
        "propensity": np.where(offer == "o1", 0.8, 0.2),
    }
    clean("exposures", exposures)
    hit = rng.random(num) < np.where(offer == "o2", 0.25, 0.1)
    responses = {
        "customer_id": [customer for customer, log in zip(customers, hit, strict=True) if log],
        "campaign_id": ["K1"] * int(hit.sum()),
        "offer_id": list(offer[hit]),
        "timestamp": [moment + pd.Timedelta(seconds=30) for moment, log in zip(at, hit, strict=True) if log],
    }
    clean("responses", responses)
    content = read()
    (log,) = content["off_policy"]
    assert set(log["policies"]) == {"uniform", "always o1", "always o2"}
    assert log["policies"]["always o2"]["verdict"] == "certified better"
    assert log["policies"]["always o1"]["difference"]["high"] < 0
    assert {row["name"] for row in content["ledger"]["rows"]} == {"uniform", "always o1", "always o2"}
    few = {name: list(column)[:200] for name, column in exposures.items()}
    clean("exposures", few)
    (log,) = read()["off_policy"]
    assert all(policy["verdict"] == "refused" and "value" not in policy for policy in log["policies"].values())
    clean("exposures", few | {"offer_id": ["o1"] * 200})
    (log,) = read()["off_policy"]
    assert "1 distinct actions" in log["reason"]


def test_empty_tables_give_an_empty_result_and_a_sentence(shop):
    for name in ("campaigns", "exposures", "responses"):
        (storage.ARTIFACTS / "validate/clean" / f"{name}.parquet").unlink()
    content = read()
    assert content["experiments"] == content["observed"] == content["off_policy"] == []
    assert "campaigns and exposures" in content["sentence"]
