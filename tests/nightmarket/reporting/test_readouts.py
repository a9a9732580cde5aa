"""Experiments, campaigns without one, policies and the ledger on the page, from what the library itself gives."""

import json
import re

import numpy as np
import pytest

from nightmarket.evaluation.experiments.effect_index import effect_index
from nightmarket.evaluation.experiments.effects import Metric
from nightmarket.evaluation.experiments.ledger import Lift, ledger, trust
from nightmarket.evaluation.experiments.readout import Experiment, blocked, read_out
from nightmarket.evaluation.offpolicy.evaluation import evaluate
from nightmarket.evaluation.offpolicy.logs import Log
from nightmarket.evaluation.uplift.effects import refused
from nightmarket.reporting import readouts
from nightmarket.reporting.night import Night
from nightmarket.reporting.page import render

HALF = {"control": 0.5, "v2": 0.5}


def night(**readout):
    return Night(as_of="2018-01-01", readout=json.loads(json.dumps({"sentence": "", **readout})))


def experiment(rates, counts):
    arm = np.repeat(np.array(list(counts), object), list(counts.values()))
    response = np.concatenate([np.arange(num) < round(num * rates[name]) for name, num in counts.items()])
    metric = Metric("responded", response.astype(float))
    start = np.full(arm.size, np.datetime64("2017-12-01", "us"))
    readout = read_out(Experiment("autumn", arm, start, (metric,), "control", HALF, 20_000))
    return readout.content() | {"mixed": 0, "complete": arm.size, "final": False, "planned": 20_000}


def test_an_experiment_begins_with_its_verdict_in_words():
    shipped = experiment({"control": 0.05, "v2": 0.065}, {"control": 10_000, "v2": 10_000})
    view = readouts.view(night(experiments=[shipped]))
    assert view is not None
    (shown,) = view.experiments
    assert (shown.verdict, shown.kind) == ("Ship v2", "opened")
    assert shown.arms.startswith("Customers: control 10,000 and v2 10,000; split as planned")
    (row,) = shown.rows
    assert (row.name, row.figure) == ("responded, v2", "+30.0%")
    low, high = (float(n) for n in re.findall(r"[\d.]+", row.reach))
    sequence = shipped["comparisons"][0]["sequence"]
    assert [low, high] == pytest.approx([100 * sequence[part] / 0.05 for part in ("low", "high")], abs=0.06)
    assert "autumn: Ship v2" in render(night(experiments=[shipped]))


def test_a_broken_split_shows_no_figure():
    broken = experiment({"control": 0.05, "v2": 0.2}, {"control": 10_000, "v2": 9_000})
    view = readouts.view(night(experiments=[broken, blocked("spring", "shares name an arm that is not there")]))
    assert view is not None
    first, second = view.experiments
    assert (first.verdict, first.kind, first.rows) == ("Blocked: not to be read", "closed", ())
    assert first.arms.endswith("not split as planned.")
    assert (second.verdict, second.arms) == ("Blocked: not to be read", "")
    assert second.reason == "Shares name an arm that is not there."


def observed(name, words, value=None):
    exposed = np.arange(200) < 100
    content = refused("observed", exposed, ["26% of the exposed have no counterpart"]).to_json()
    figure = None if value is None else {"value": value, "low": value - 60, "high": value + 60, "error": 20.0}
    more = {"on_exposed": figure, "naive": figure and figure | {"value": 275.0}, "words": words}
    return content | {"campaign_id": name, "kind": "Type A", "left_out": None} | more


def test_campaigns_that_nobody_drew_at_random_carry_no_claim():
    told = [observed("17", "No claim: attr_home_size 2 still differs."), observed("18", "No claim: may be zero.", 4.3)]
    view = readouts.view(night(observed=told))
    assert view is not None
    assert view.observed is not None
    assert "were not chosen at random, so no effect is claimed." in view.observed.verdict
    assert view.observed.verdict.endswith("Drawn: 1 of 2; the others have a reason below and no figure.")
    (row,) = view.observed.rows
    assert (row.name, row.figure, row.reach, row.difference) == ("Campaign 18", "+4", "[−56, +64]", "+275")
    assert row.note == "Type A, 100 reached, no claim"
    assert view.observed.reasons == (
        ("18", "No claim: may be zero."),
        ("17", "No claim: home size 2 still differs."),
    ), "the latest first"


def test_the_page_never_speaks_of_incremental_effects_without_a_lot():
    html = render(night(observed=[observed("18", "No claim: may be zero.", 4.3)], experiments=[], off_policy=[]))
    assert "incremental" not in html.lower()


def test_a_policy_that_is_refused_shows_why_and_no_figure():
    rng = np.random.default_rng(0)
    log = Log(np.zeros((200, 0)), rng.integers(0, 2, 200), rng.random(200).round(), np.full(200, 0.5), 2)
    said = evaluate(log, np.tile([1.0, 0.0], (200, 1)), 0)
    policy = {"verdict": said.verdict, "words": said.words, "logging": said.logging.value}
    (view,) = readouts.logs(night(off_policy=[{"campaign_id": "x", "decisions": 200, "policies": {"first": policy}}]))
    (row,) = view.policies
    assert (row.verdict, row.chip) == ("refused", "bad")
    assert row.said.startswith("No verdict, collect more exploration: ")
    assert "fewer than 500" in row.said
    broken = {"campaign_id": "y", "decisions": 9, "policies": {}, "reason": "a propensity is 0 in 3 rows"}
    assert "a propensity is 0 in 3 rows" in render(night(off_policy=[broken]))


def test_strategies_stand_beside_a_hundred():
    name = np.repeat(np.array(["coupon", "mailer"], object), 100)
    ones = np.ones(200)
    by_kind = [
        strategy.content()
        for strategy in effect_index(name, ones, np.zeros(200), (np.arange(200) % 4 == 0).astype(float))
    ]
    view = readouts.view(night(effect_index={"of": "responses", "by_kind": by_kind, "by_campaign": [], "by_arm": []}))
    assert view is not None
    assert view.index is not None
    ((title, _, rows),) = view.index.tables
    assert title == "By kind of campaign"
    assert [(row.name, row.figure, row.note) for row in rows] == [
        ("coupon", "100", "25.0% responded"),
        ("mailer", "100", "25.0% responded"),
    ]


def test_the_ledger_sets_the_promise_beside_the_result():
    shipped = experiment({"control": 0.05, "v2": 0.065}, {"control": 10_000, "v2": 10_000})
    difference = {"value": 0.02, "low": 0.01, "high": 0.03}
    versions = [{"version": 2, "metric": "ndcg@10", "value": 0.42, "against": "version 1", "difference": difference}]
    rows = ledger(versions, {"best offer": Lift(0.04, 0.01, 0.07)}, [shipped])
    told = {"rows": [row.content() for row in rows]} | {
        kind: trust(rows, kind).content() for kind in ("offline", "ope")
    }
    view = readouts.ledger(night(ledger=told))
    assert view is not None
    named = {row[0]: row[1:] for row in view.rows}
    assert named["v2"][0] == "autumn, against control"
    assert named["v2"][3].startswith("+30.0% [")
    assert named["best offer"] == ("not tested", "–", "+4.0% [+1.0%, +7.0%]", "–")
    assert all("cannot be said before there are 3" in said for said in view.sentences)


def test_without_a_readout_the_page_says_so():
    assert "Nothing was read out tonight." in render(Night(as_of="2018-01-01"))
    html = render(night())
    for said in ("No experiment is on record", "There is no finished campaign", "No exposure carries a propensity"):
        assert said in html
    assert readouts.ledger(Night(as_of="2018-01-01")) is None
