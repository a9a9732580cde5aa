"""Day parts and preferences, on a simulated truth."""

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.delivery.timing import Preference, Slot, damping, log_likelihood, slot_of_hour, slots


def visits(strength, num, rng, rate=12):
    """True shares of customers drawn from a Dirichlet, and visits of two periods."""
    share = np.array([0.1, 0.2, 0.4, 0.3])
    truth = rng.dirichlet(share * strength, num)
    size = rng.poisson(rate, (2, num))
    return truth, [np.array([rng.multinomial(n, p) for n, p in zip(sizes, truth, strict=True)]) for sizes in size]


@pytest.mark.parametrize("strength", [1.5, 8.0, 40.0])
def test_the_prior_is_found_again_and_shrinking_beats_both_extremes(strength):
    truth, (before, after) = visits(strength, 3000, np.random.default_rng(4))
    fitted = Preference.fit(before)
    assert fitted.strength == pytest.approx(strength, rel=0.35)
    shrunken = fitted.of(before)
    assert np.allclose(shrunken.sum(axis=1), 1)
    raw = (before + 1e-3) / (before + 1e-3).sum(axis=1, keepdims=True)
    error = {name: np.abs(p - truth).mean() for name, p in {"own": raw, "all": fitted.share, "both": shrunken}.items()}
    assert error["both"] < min(error["own"], error["all"])
    assert log_likelihood(shrunken, after) > max(log_likelihood(fitted.share, after), log_likelihood(raw, after))


def test_customers_who_do_not_differ_get_the_population_s_shares():
    rng = np.random.default_rng(5)
    counts = rng.multinomial(10, [0.1, 0.2, 0.4, 0.3], 4000)
    fitted = Preference.fit(counts)
    assert np.abs(fitted.of(counts) - [0.1, 0.2, 0.4, 0.3]).max() < 0.05


def test_without_visits_every_slot_is_alike():
    fitted = Preference.fit(np.zeros((5, 4), int))
    assert np.allclose(fitted.of(np.zeros((5, 4), int)), 0.25)


def test_quiet_hours_run_over_midnight():
    assert Slot(21, 24).quiet(21, 8)
    assert Slot(6, 9).quiet(21, 8)
    assert not Slot(9, 12).quiet(21, 8)
    assert not Slot(18, 21).quiet(21, 8)
    assert Slot(12, 15).quiet(13, 14)
    assert not Slot(0, 24).quiet(5, 5)


def test_every_hour_belongs_to_one_slot():
    parts = slots(("6-9", "18-21"))
    of_hour = slot_of_hour(parts)
    assert of_hour.tolist() == [-1] * 6 + [0] * 3 + [-1] * 9 + [1] * 3 + [-1] * 3


@pytest.mark.parametrize("names", [("9",), ("9-9",), ("21-6",), ("9-25",), ("a-b",), ("9-12", "11-13")])
def test_what_is_no_slot_is_told(names):
    with pytest.raises(InputError, match=r"is no slot; write hours|overlap; every hour"):
        slots(names)


def test_the_best_slot_keeps_its_chance():
    factor = damping(np.array([[0.5, 0.25, 0.0]]), 0.2)
    assert np.allclose(factor, [[1.0, 0.9, 0.8]])
