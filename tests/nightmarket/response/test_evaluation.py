"""Metrics of responses against scikit-learn and against hand-computed fractions."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from nightmarket.response.evaluation import auc, average_precision, figures, lift, mean_figure, ndcg


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(3)
    probability = np.round(rng.random(400), 2)  # with ties
    return probability, rng.random(400) < probability / 2, rng.integers(0, 90, 400).astype(np.int32)


def test_area_and_average_precision_are_scikit_learns(pairs):
    probability, label, _ = pairs
    weights = np.random.default_rng(1).integers(0, 4, (3, 400)).astype(float)
    for row, area, precision in zip(
        weights, auc(probability, label, weights), average_precision(probability, label, weights), strict=True
    ):
        assert area == pytest.approx(roc_auc_score(label, probability, sample_weight=row))
        assert precision == pytest.approx(average_precision_score(label, probability, sample_weight=row))


def test_lift_of_the_top_tenth():
    label = np.zeros(20, bool)
    label[[0, 1, 9, 15]] = True
    assert lift(-np.arange(20.0), label, np.ones((1, 20)))[0] == pytest.approx(5)  # 2 of 2 against 4 of 20


def test_intervals_hold_the_figure_and_probabilities_drawn_from_themselves_are_calibrated(pairs):
    probability, label, customer = pairs
    intervals = figures(probability / 2, label, customer, seed=1, num=200)
    for name in ("auc", "average_precision", "log_loss", "lift"):
        assert intervals[name]["low"] < intervals[name]["value"] < intervals[name]["high"]
    assert intervals["ece"]["value"] < 0.08
    assert figures(probability, label, customer, seed=1, num=200)["ece"]["value"] > 0.2
    assert "auc" not in figures(probability, np.zeros(400, bool), customer, seed=1)


def test_ndcg_of_offers():
    scores, taken = np.array([[3.0, 2, 1], [3, 2, 1], [3, 2, 1]]), np.zeros((3, 3), bool)
    taken[0, 0] = taken[1, 1] = True
    assert ndcg(scores, taken, 2) == pytest.approx([1, 1 / np.log2(3), np.nan], nan_ok=True)


def test_values_of_one_customer_are_drawn_together():
    values = np.array([0.0, 1.0] * 50)
    alone = mean_figure(values, np.arange(100, dtype=np.int32), 1)
    together = mean_figure(values, np.repeat(np.arange(50), 2).astype(np.int32), 1)
    assert together["high"] - together["low"] < 1e-9 < alone["high"] - alone["low"]
