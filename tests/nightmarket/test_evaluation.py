"""Metrics against figures worked out by hand, intervals against what they must do."""

import math
from fractions import Fraction

import numpy as np
import pytest

from nightmarket.evaluation.intervals import bootstrap, paired
from nightmarket.evaluation.metrics import coverage, novelty, rank_metrics

LISTS = np.array([[3, 1, 2], [0, 1, -1], [5, 4, 3]], np.int32)
INDPTR = np.array([0, 2, 2, 3])
TARGETS = np.array([2, 3, 4], np.int32)


def test_metrics_equal_those_worked_out_by_hand():
    metrics = rank_metrics(LISTS, INDPTR, TARGETS, cutoffs=(3,))
    first = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3))  # hits at places 1 and 3 of two targets
    third = 1 / math.log2(3)  # the one target at place 2
    assert metrics["ndcg@3"][[0, 2]] == pytest.approx([first, third])
    assert metrics["recall@3"][[0, 2]].tolist() == [1.0, 1.0]
    assert metrics["mrr@3"][[0, 2]].tolist() == [1.0, float(Fraction(1, 2))]
    assert metrics["hit@3"][[0, 2]].tolist() == [1.0, 1.0]


def test_a_customer_without_targets_counts_nowhere():
    metrics = rank_metrics(LISTS, INDPTR, TARGETS)
    assert all(np.isnan(values[1]) for values in metrics.values())


def test_a_cutoff_below_the_hit_sees_no_hit():
    metrics = rank_metrics(LISTS, INDPTR, TARGETS, cutoffs=(1,))
    assert metrics["ndcg@1"][2] == 0.0
    assert metrics["recall@1"][0] == 0.5


def test_padding_is_never_a_hit_even_if_an_item_has_the_highest_code():
    lists = np.array([[-1, -1]], np.int32)
    assert rank_metrics(lists, np.array([0, 1]), np.array([0], np.int32), cutoffs=(2,))["hit@2"][0] == 0.0


def test_a_target_of_one_customer_is_no_hit_for_the_next():
    lists = np.array([[7], [7]], np.int32)
    metrics = rank_metrics(lists, np.array([0, 1, 2]), np.array([7, 8], np.int32), cutoffs=(1,))
    assert metrics["hit@1"].tolist() == [1.0, 0.0]


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    inside = 0
    for trial in range(300):
        low, high = bootstrap(rng.exponential(1.0, 200), seed=trial, num=400)[1:]
        inside += low <= 1.0 <= high
    assert 0.90 <= inside / 300 <= 0.98


def test_the_same_seed_gives_the_same_interval_and_nan_customers_are_left_out():
    values = np.array([0.1, np.nan, 0.7, 0.4])
    assert bootstrap(values, 1) == bootstrap(values, 1)
    assert bootstrap(values, 1).value == pytest.approx(0.4)
    assert np.isnan(bootstrap(np.array([np.nan]), 1)).all()


def test_a_paired_interval_is_narrower_than_two_separate_ones():
    rng = np.random.default_rng(0)
    base = rng.random(500)
    better = base + 0.01
    difference = paired(better, base, seed=0)
    assert difference.low > 0
    assert difference.high - difference.low < 1e-6
    assert bootstrap(better, 0).low < bootstrap(base, 0).high


def test_coverage_and_novelty_by_hand():
    assert coverage(LISTS, num_items=6, k=1) == pytest.approx(3 / 6)
    buyers = np.array([1, 2, 0, 4, 4, 4])
    shown = [3, 0, 5]
    expected = np.mean([-math.log2(max(buyers[i], 1) / 4) for i in shown])
    assert novelty(LISTS, buyers, num_customers=4, k=1) == pytest.approx(expected)
