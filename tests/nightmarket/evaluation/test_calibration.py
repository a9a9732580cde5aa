"""Calibration error, log-loss, Brier score and reliability: against hand-made truth."""

import numpy as np
import pytest

from nightmarket.evaluation.calibration import bins, calibration_figures, ece, reliability


def test_the_error_is_the_gap_between_said_and_bought_in_each_bin():
    probability = np.array([0.1] * 10 + [0.5] * 10)
    label = np.array([True] * 2 + [False] * 8 + [True] * 4 + [False] * 6)
    assert ece(probability, label, 2) == pytest.approx((0.1 + 0.1) / 2)
    assert ece(np.array([0.2, 0.8]), np.array([False, True]), 1) == pytest.approx(0.0)
    assert ece(np.zeros(0), np.zeros(0, bool)) == 0.0


def test_bins_hold_equal_mass_and_never_part_equal_probabilities():
    rng = np.random.default_rng(0)
    sizes = np.bincount(bins(rng.random(1500), 15))
    assert sizes.size == 15
    assert (np.abs(sizes - 100) <= 1).all()
    tied = np.repeat([0.1, 0.1, 0.1, 0.7], 25)
    assert bins(tied, 15).tolist() == [0] * 75 + [1] * 25
    assert bins(np.full(9, 0.3)).tolist() == [0] * 9


def test_true_probabilities_have_an_error_near_nought_and_doubled_ones_do_not():
    rng = np.random.default_rng(1)
    probability = rng.beta(1, 8, 60_000)
    label = rng.random(probability.size) < probability
    assert ece(probability, label) < 0.006
    assert ece(np.minimum(2 * probability, 1), label) == pytest.approx(probability.mean(), abs=0.01)


def test_losses_are_the_textbooks():
    probability, label = np.array([0.9, 0.2, 0.0]), np.array([True, False, False])
    figures = calibration_figures(probability, label, np.arange(3, dtype=np.int32))
    assert figures["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 3, abs=1e-6)
    assert figures["brier"] == pytest.approx((0.01 + 0.04) / 3)
    assert (figures["predicted"], figures["observed"]) == (pytest.approx(1.1 / 3), pytest.approx(1 / 3))
    wrong = calibration_figures(np.array([0.0]), np.array([True]), np.zeros(1, np.int32))
    assert np.isfinite(wrong["log_loss"])


def test_intervals_take_the_customer_for_the_unit():
    """Customers who buy all or nothing: 400 pairs of 40 customers know as much as 40 coins."""
    covered, wide = 0, []
    for i in range(200):
        rng = np.random.default_rng(i)
        customer = np.repeat(np.arange(40), 10).astype(np.int32)
        label = np.repeat(rng.random(40) < 0.3, 10)
        (row,) = reliability(np.full(400, 0.3), label, customer, 15)
        covered += row["low"] <= 0.3 <= row["high"]
        wide.append(row["high"] - row["low"])
    assert covered >= 0.89 * 200
    assert np.mean(wide) == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 40), rel=0.1)


def test_without_pairs_there_are_no_bins():
    figures = calibration_figures(np.zeros(0), np.zeros(0, bool), np.zeros(0, np.int32))
    assert (figures["bins"], figures["num_pairs"], figures["ece"]) == ([], 0, 0.0)
