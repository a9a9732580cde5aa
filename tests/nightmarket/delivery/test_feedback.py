"""A campaign's feedback by period: it adds up, and what came before an action's rates changed no longer counts."""

import numpy as np
import pytest

from bench.abuse import bandit as abuse
from nightmarket.contracts import InputError
from nightmarket.delivery.feedback import Feedback


def fed(rates, periods, num=600, seed=0, feedback=None):
    """Feedback of some periods in which each action is tried alike, at these rates (G, A)."""
    rng = np.random.default_rng(seed)
    groups, actions = rates.shape
    feedback = feedback or Feedback.empty(groups, actions)
    for _ in range(periods):
        group, action = rng.integers(0, groups, num), rng.integers(0, actions, num)
        feedback = feedback.after(group, action, (rng.random(num) < rates[group, action]).astype(float))
    return feedback


def test_periods_add_up_to_the_rates_where_nothing_changed():
    feedback = fed(np.full((2, 3), 0.1), 8)
    assert feedback.since().tolist() == [0, 0, 0]
    assert (feedback.rates().tries == feedback.tries.sum(axis=0)).all()
    assert feedback.rates().tries.sum() == 8 * 600


def test_an_offer_that_stops_is_noticed_within_a_period_and_the_others_keep_their_past():
    rates = np.array([[0.05, 0.12, 0.04], [0.04, 0.10, 0.05]])
    gone = np.where(np.arange(3) == 1, 0.0, rates)
    feedback = fed(gone, 1, seed=1, feedback=fed(rates, 6))
    assert feedback.since().tolist() == [0, 6, 0]
    before, after = fed(rates, 6).thompson(), feedback.thompson()
    assert before.chances[:, 1].min() > 0.8
    assert after.chances[:, 1].max() < 0.1


def test_an_offer_that_comes_back_is_noticed_too():
    rates = np.array([[0.05, 0.0]])
    feedback = fed(np.array([[0.05, 0.3]]), 1, seed=1, feedback=fed(rates, 6))
    assert feedback.since().tolist() == [0, 6]


def test_the_last_split_of_two_wins_and_one_period_has_none():
    feedback = fed(
        np.array([[0.3]]), 3, seed=2, feedback=fed(np.array([[0.0]]), 3, seed=1, feedback=fed(np.array([[0.3]]), 1))
    )
    assert feedback.since()[0] in (1, 4)
    assert fed(np.array([[0.3]]), 1).since().tolist() == [0]
    assert Feedback.empty(2, 3).thompson().chances == pytest.approx(np.full((2, 3), 1 / 3), abs=1e-3)


def test_a_period_without_decisions_is_one_and_wrong_rewards_are_refused():
    none = np.zeros(0, np.int64)
    feedback = fed(np.full((2, 3), 0.1), 2).after(none, none, np.zeros(0))
    assert feedback.tries.shape == (3, 2, 3)
    with pytest.raises(InputError, match="neither 0 nor 1"):
        feedback.after(np.array([0]), np.array([0]), np.array([np.nan]))


def test_a_campaign_whose_best_offer_stops_loses_little_and_leaves_it_within_a_day():
    ran = [abuse.campaign(abuse.WORLDS["the best offer stops"], seed) for seed in (11, 12)]
    after = [day for day in range(abuse.LEARNED, abuse.DAYS) if day != abuse.STOPS]
    assert np.mean([past.loss[after] for past in ran]) <= 0.12
    assert max(past.stopped[abuse.STOPS + 1 :].max() for past in ran) <= 0.1
