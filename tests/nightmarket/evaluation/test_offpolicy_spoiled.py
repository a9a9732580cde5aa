"""Logs that were spoiled are refused for what was done to them, and true ones with gaps are judged."""

from dataclasses import replace

import numpy as np
import pytest

from bench.abuse import offpolicy as abuse
from nightmarket.contracts import InputError
from nightmarket.evaluation.offpolicy.estimators import cross_fitted, scores
from nightmarket.evaluation.offpolicy.evaluation import evaluate, rounded_to, weight_test
from nightmarket.evaluation.offpolicy.logs import Log
from nightmarket.evaluation.offpolicy.steadiness import change, repeated
from nightmarket.evaluation.offpolicy.support import untried
from tests.made_up import clicks

REASONS = {
    "rewards fall": {"drift"},
    "rewards fall while the policy learns": {"drift"},
    "rewards step down when the policy changes": {"drift"},
    "the last 20% of rewards not in": {"unfinished"},
    "rewards take a while": {"unfinished"},
    "rewards of some actions come later": {"drift", "unfinished"},
    "every row twice": {"repeated"},
    "every row twice, few kinds of rows": {"repeated"},
    "actions without support in 15% of contexts": {"untried", "support"},
    "a group without the policy's action": {"untried", "support", "mean weight"},
    "50 actions, propensities rounded to .01": {"rounding"},
}


def spoiled(name, seed, num=10_000):
    return abuse.SABOTAGE[name](np.random.default_rng([5, seed]), num)


@pytest.mark.parametrize("name", abuse.SABOTAGE)
def test_what_was_done_to_a_log_is_the_reason_for_its_refusal(name):
    log, target = spoiled(name, 0)
    evaluation = evaluate(log, target, 0)
    assert evaluation.verdict == "refused"
    assert {refusal.check for refusal in evaluation.refusals} & REASONS[name]


@pytest.mark.parametrize("name", abuse.TRUE)
def test_true_propensities_are_judged_whatever_the_contexts_may_have(name):
    log, target = abuse.TRUE[name](np.random.default_rng(9), 10_000)
    assert evaluate(log, target, 0).refusals == ()


def changed(log, target):
    q = cross_fitted(log, 0)
    return change(log, q, scores(log, target, q))


def test_rewards_that_are_not_in_are_told_by_their_part_and_size():
    log, target = spoiled("the last 20% of rewards not in", 1)
    seen = changed(log, target)
    assert (seen.part, seen.action, seen.unfinished) == (0.2, None, True)
    before = log.reward[: int(0.8 * len(log))].mean() / log.reward.mean()
    assert seen.share == pytest.approx(-before, rel=0.06)
    assert "in the last 20% of the log: they may not be in yet; leave out" in seen.words()
    whole = log.where(np.arange(len(log)) < 0.8 * len(log))
    assert evaluate(whole, target[: len(whole)], 0).verdict == "certified better"


def test_time_is_what_the_log_says_and_not_the_order_of_its_rows():
    log, target = spoiled("rewards fall", 2)
    order = np.random.default_rng(0).permutation(len(log))
    mixed = replace(
        log, context=log.context[order], action=log.action[order], reward=log.reward[order],
        propensity=log.propensity[order], time=order.astype(float), row=log.row[order], unit=log.unit[order],
    )  # fmt: skip
    assert changed(mixed, target[order]).unsteady
    assert not changed(replace(mixed, time=np.arange(len(log))), target[order]).unsteady


def test_a_change_that_is_certain_but_small_is_let_pass():
    rng = np.random.default_rng(0)
    num = 400_000
    action = rng.integers(0, 2, num)
    reward = 10 + rng.normal(size=num) + 0.1 * np.linspace(-1, 1, num)
    log = Log(np.zeros((num, 0)), action, reward, np.full(num, 0.5), 2)
    seen = changed(log, np.full((num, 2), 0.5))
    assert seen.z > seen.limit
    assert not seen.unsteady


def test_steady_logs_are_seldom_called_unsteady():
    """1 in 1,000 says the limit; of 60, more than 2 would be a wonder."""
    worlds = [abuse.TRUE["true"], abuse.TRUE["true, the policy learns"]]
    logs = [worlds[seed % 2](np.random.default_rng([6, seed]), 3000) for seed in range(60)]
    assert sum(changed(*log).unsteady for log in logs) <= 2


def test_rows_said_again_are_counted_in_whatever_order():
    log = clicks.world(3000, 1)
    assert repeated(log) == 0
    for order in (np.repeat(np.arange(3000), 2), np.tile(np.arange(3000), 2)):
        again = Log(log.context[order], log.action[order], log.reward[order], log.propensity[order], 10)
        assert repeated(again) == 0.5
    some = np.r_[np.arange(3000), np.arange(300)]
    part = Log(log.context[some], log.action[some], log.reward[some], log.propensity[some], 10)
    assert repeated(part) == pytest.approx(300 / 3300, rel=0.35)


def test_customers_who_are_shown_the_same_again_are_no_repeated_rows():
    """One context per customer, five decisions each, most without a reward."""
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(800), 5)
    context = rng.normal(size=(800, 2))[unit]
    log = Log(context, rng.integers(0, 2, 4000), (rng.random(4000) < 0.05) * 1.0, np.full(4000, 0.5), 2, unit=unit)
    assert repeated(log) == 0
    few = Log(np.zeros((4000, 0)), log.action, log.reward, log.propensity, 2)
    assert repeated(few) == 0


def test_what_the_log_could_not_take_there_is_counted_as_untried():
    log, target = spoiled("actions without support in 15% of contexts", 3)
    closed = log.context[:, 0] > 1.036
    missing = target[np.ix_(closed, [5, 7, 8])].sum() / len(log)
    assert untried(log, target, 0) == pytest.approx(missing, rel=0.5)
    eligible = np.ones(target.shape, bool)
    eligible[np.ix_(closed, [5, 7, 8])] = False
    assert untried(replace(log, eligible=eligible), target, 0) == pytest.approx(missing)
    assert untried(clicks.world(10_000, 4), target, 0) < 0.01


def test_weights_that_fall_short_within_an_action_are_found():
    log, target = spoiled("a group without the policy's action", 4)
    z, limit = weight_test(log, target)
    assert z > limit
    honest = clicks.world(10_000, 5)
    z, limit = weight_test(honest, clicks.target(honest.context))
    assert z < limit


def test_an_action_that_was_not_eligible_is_refused_in_one_line():
    whole = {"context": np.zeros((3, 1)), "action": np.array([0, 1, 0]), "reward": np.ones(3),
             "propensity": np.full(3, 0.5), "num_actions": 2}  # fmt: skip
    with pytest.raises(InputError, match=r"1 values of action are not eligible, the first in row 1"):
        Log(**whole, eligible=np.array([[True, True], [True, False], [True, True]]))
    with pytest.raises(InputError, match=r"eligible is \(3, 3\), the log is \(3, 2\)"):
        Log(**whole, eligible=np.ones((3, 3), bool))
    some = Log(**whole, eligible=np.ones((3, 2), bool)).where(np.array([True, False, True]))
    assert some.eligible.shape == (2, 2)


def test_rounding_is_that_of_many_propensities_and_not_of_a_design():
    rng = np.random.default_rng(0)
    assert rounded_to(rng.uniform(0.01, 0.9, 500).round(2)) == 0.01
    assert rounded_to(rng.uniform(0.01, 0.9, 5000).round(3)) == 0.001
    assert rounded_to(rng.uniform(0.01, 0.9, 500)) == 0
    assert rounded_to(np.repeat([0.05, 0.9], 200)) == 0
