"""Policies that choose at random: the chances are true, the feedback adds up, regret falls, the gate holds."""

import json

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.delivery.policies import (
    LinUCB,
    Posterior,
    Rates,
    Softmax,
    Thompson,
    best_chances,
    choose,
    learn,
    mixed,
)
from nightmarket.evaluation.offpolicy.logs import Log

RATES = np.array([0.02, 0.03, 0.03, 0.04, 0.05, 0.05, 0.06, 0.07, 0.08, 0.12])


def feedback(rng, num, rates):
    """Rows of a uniform log over one group per row of `rates` (G, A)."""
    group, action = (rng.integers(0, size, num) for size in rates.shape)
    return group, action, (rng.random(num) < rates[group, action]).astype(float)


def policies(rng):
    group, action, reward = feedback(rng, 4000, np.tile(RATES, (3, 1)))
    rates = Rates.empty(3, 10).updated(group, action, reward)
    context = rng.normal(size=(4000, 3))
    linear = LinUCB.empty(3, 10, explore=0.2).updated(context, action, reward)
    where = rng.integers(0, 3, 20_000)
    return [
        (Thompson.of(rates, 0.1), where),
        (Softmax.of(rates, 2.0, 0.1), where),
        (linear, np.tile(rng.normal(size=(4, 3)), (5000, 1))),
    ]


@pytest.mark.parametrize("number", range(3), ids=["thompson", "softmax", "linucb"])
def test_propensities_sum_to_one_lie_above_zero_and_are_the_frequencies(number):
    policy, where = policies(np.random.default_rng(0))[number]
    chances = policy.probabilities(where)
    assert chances.sum(axis=1) == pytest.approx(np.ones(len(where)))
    assert chances.min() >= 0.01 - 1e-12
    drawn = policy.choose(where, np.random.default_rng(1))
    assert (drawn.propensity == chances[np.arange(len(where)), drawn.action]).all()
    counts = np.bincount(drawn.action, minlength=10)
    error = np.sqrt((chances * (1 - chances)).sum(axis=0))
    assert (np.abs(counts - chances.sum(axis=0)) < 4.5 * error).all()


def test_thompsons_chances_are_those_of_drawing_a_rate_per_action_and_taking_the_largest():
    rng = np.random.default_rng(2)
    alpha, beta = rng.uniform(1, 30, (4, 8)), rng.uniform(50, 900, (4, 8))
    drawn = rng.beta(alpha, beta, (100_000, 4, 8)).argmax(axis=2)
    for group in range(4):
        seen = np.bincount(drawn[:, group], minlength=8) / 100_000
        assert best_chances(Posterior(alpha, beta))[group] == pytest.approx(seen, abs=0.007)
    two = best_chances(Posterior(np.array([[1.0, 2.0]]), np.array([[1.0, 1.0]])))
    assert two[0] == pytest.approx([1 / 3, 2 / 3], abs=1e-3)  # integral of 2 x (1 - x) over the unit interval


def test_feedback_adds_up_in_any_order_and_any_cut():
    rng = np.random.default_rng(3)
    group, action, reward = feedback(rng, 900, np.tile(RATES, (2, 1)))
    context = rng.integers(-3, 4, (900, 4)).astype(float)  # whole numbers, so that sums are exact
    whole, linear = Rates.empty(2, 10).updated(group, action, reward), LinUCB.empty(4, 10)
    at_once = linear.updated(context, action, reward)
    mixed_up = rng.permutation(900)
    day, parts = Rates.empty(2, 10), np.split(mixed_up, [1, 300, 500])
    for rows in parts:
        day = day.updated(group[rows], action[rows], reward[rows])
        linear = linear.updated(context[rows], action[rows], reward[rows])
    assert (day.tries == whole.tries).all()
    assert (day.clicks == whole.clicks).all()
    assert (linear.gram == at_once.gram).all()
    assert (linear.moment == at_once.moment).all()


def test_the_state_survives_json():
    rng = np.random.default_rng(4)
    group, action, reward = feedback(rng, 500, np.tile(RATES, (2, 1)))
    rates = Rates.empty(2, 10).updated(group, action, reward)
    again = Rates.from_json(json.loads(json.dumps(rates.to_json())))
    assert (Thompson.of(again).chances == Thompson.of(rates).chances).all()
    linear = LinUCB.empty(2, 10, alpha=0.5).updated(rng.normal(size=(500, 2)), action, reward)
    back = LinUCB.from_json(json.loads(json.dumps(linear.to_json())))
    where = rng.normal(size=(20, 2))
    assert (back.probabilities(where) == linear.probabilities(where)).all()


def test_rates_that_differ_by_chance_shrink_together_and_those_that_differ_do_not():
    rng, shrunken, plain = np.random.default_rng(5), [], []
    for _ in range(10):
        same = Rates.empty(1, 10).updated(*feedback(rng, 20_000, np.full((1, 10), 0.05)))
        shrunken.append(np.ptp(same.posterior().mean))
        plain.append(np.ptp(same.clicks / same.tries))
    assert np.mean(shrunken) < 0.3 * np.mean(plain)
    apart = Rates.empty(1, 10).updated(*feedback(rng, 20_000, RATES[None]))
    assert apart.posterior().mean[0] == pytest.approx(RATES, abs=0.02)
    truth = rng.beta(4, 76, (6, 10))
    few = Rates.empty(6, 10).updated(*feedback(rng, 6000, truth))
    plain = few.clicks / few.tries
    assert ((few.posterior().mean - truth) ** 2).mean() < 0.75 * ((plain - truth) ** 2).mean()


def regret(decide, rates, context, rng, days=24, each=500):
    """Clicks lost a decision against the best action of each context, over the second half of the days."""
    lost = []
    for day in range(days):
        where = rng.integers(0, len(rates), each)
        chances = decide.probabilities(context[where])
        drawn = choose(chances, rng)
        reward = (rng.random(each) < rates[where, drawn.action]).astype(float)
        decide.learn(context[where], drawn.action, reward)
        if day >= days // 2:
            lost.append((rates[where].max(axis=1) - rates[where, drawn.action]).mean())
    return float(np.mean(lost))


class Learner:
    """A bandit's nightly round: probabilities from the state, the state from the feedback."""

    def __init__(self, kind, num_groups, num_actions):
        self.kind, self.num_actions = kind, num_actions
        self.rates = Rates.empty(num_groups, num_actions)
        self.linear = LinUCB.empty(num_groups, num_actions, alpha=0.5, explore=0.02)

    def probabilities(self, context):
        group = context.argmax(axis=1)
        if self.kind == "uniform":
            return np.full((len(group), self.num_actions), 1 / self.num_actions)
        if self.kind == "thompson":
            return Thompson.of(self.rates, 0.01).probabilities(group)
        if self.kind == "linucb":
            return self.linear.probabilities(context)
        plain = self.rates.clicks / np.maximum(self.rates.tries, 1)
        return mixed(np.eye(self.num_actions)[plain.argmax(axis=1)], 0.1)[group]

    def learn(self, context, action, reward):
        self.rates = self.rates.updated(context.argmax(axis=1), action, reward)
        self.linear = self.linear.updated(context, action, reward)


def test_regret_falls_below_uniform_and_epsilon_greedy():
    """Three groups whose best actions differ; six worlds."""
    by_kind = {kind: [] for kind in ("uniform", "greedy", "thompson", "linucb")}
    for seed in range(6):
        rates = np.array([np.random.default_rng([seed, g]).permutation(RATES * 2) for g in range(3)])
        for kind, regrets in by_kind.items():
            regrets.append(regret(Learner(kind, 3, 10), rates, np.eye(3), np.random.default_rng(seed)))
    mean = {kind: np.mean(regrets) for kind, regrets in by_kind.items()}
    for kind in ("thompson", "linucb"):
        assert mean[kind] < 0.2 * mean["uniform"]
        assert mean[kind] < 0.7 * mean["greedy"]


def log_of(rng, num, rates, click_boost=1.0):
    group = rng.integers(0, len(rates), num)
    chances = mixed(np.tile(np.linspace(1, 2, rates.shape[1]) / np.linspace(1, 2, rates.shape[1]).sum(), (num, 1)), 0.2)
    drawn = choose(chances, rng)
    reward = (rng.random(num) < rates[group, drawn.action] * click_boost).astype(float)
    return Log(np.eye(len(rates))[group], drawn.action, reward, drawn.propensity, rates.shape[1]), group


def test_a_better_policy_passes_the_gate_on_rows_that_did_not_learn_it():
    rng = np.random.default_rng(6)
    rates = np.stack([RATES, RATES[::-1]]) * 2
    log, group = log_of(rng, 12_000, rates)
    learned = learn(log, group, 2, seed=0)
    assert learned.passed
    truth = (learned.policy.chances * rates).sum(axis=1).mean()
    dr = learned.verdict.of("DR")
    assert dr.low - 0.01 < truth < dr.high + 0.01
    assert truth > log.reward.mean() + 0.02
    assert learned.verdict.diagnostics.num_rows == 6000


def test_where_all_actions_are_alike_hardly_any_policy_passes():
    """One in 40 may; of 60, more than 6 pass once in 600 times."""
    passed = [learn(*log_of(np.random.default_rng(i), 4000, np.full((2, 5), 0.1)), 2, seed=i).passed for i in range(60)]
    assert sum(passed) <= 6


def test_too_few_clicks_do_not_pass_however_good_it_looks():
    log, group = log_of(np.random.default_rng(7), 6000, np.stack([RATES, RATES[::-1]]), 0.08)
    learned = learn(log, group, 2, seed=0)
    assert learned.verdict.verdict == "refused"
    assert {"clicks", "effective clicks"} & {refusal.check for refusal in learned.verdict.refusals}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mixed(np.full((2, 2), 0.5), 0.0), "what is never tried"),
        (lambda: choose(np.array([[0.5, 0.5], [0.5, 0.6]]), np.random.default_rng(0)), "the first is row 1"),
        (lambda: Rates.empty(1, 2).updated(np.array([0]), np.array([2]), np.array([1.0])), "action are not 0 to 1"),
        (lambda: Rates.empty(1, 2).updated(np.array([0]), np.array([1]), np.array([0.5])), "neither 0 nor 1"),
        (lambda: LinUCB.empty(3, 2).updated(np.ones((1, 2)), np.array([0]), np.array([1.0])), "3 features needed"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(InputError, match=words):
        call()
