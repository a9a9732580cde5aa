"""Metrics at the edges: codes that could be mixed up between customers, places beyond the list, nobody, nothing."""

import math

import numpy as np
import pytest

from bench.abuse import metrics as abuse
from nightmarket.contracts import InputError
from nightmarket.evaluation.metrics import audience_auc, coverage, hits, novelty, rank_metrics


def lists(*rows):
    return np.array(rows, np.int32)


@pytest.mark.parametrize(
    ("recommended", "targets"),
    [
        ([[5], [2]], [[0, 9], [3]]),
        ([[9], [0]], [[5], [2]]),
        ([[4], [0]], [[9], [5]]),
        ([[9], [0]], [[9 + 1], [1]]),
        ([[8], [0]], [[7], [0 + 1]]),
    ],
)
def test_no_pair_of_codes_makes_a_hit_of_two_customers_items(recommended, targets):
    """However high the code of a list or of a target is, it never reads as an item of the next customer."""
    indptr = np.cumsum([0, *map(len, targets)])
    assert not hits(lists(*recommended), indptr, np.concatenate(targets).astype(np.int32)).any()


def test_every_code_is_told_apart_from_every_other_one():
    """All lists of one item against all targets of one item, for two customers: a hit where they are equal."""
    for num in (1, 2, 3, 4):
        for first, second, wanted, other in np.ndindex(num, num, num, num):
            hit = hits(lists([first], [second]), np.array([0, 1, 2]), np.array([wanted, other], np.int32))
            assert hit.ravel().tolist() == [first == wanted, second == other]


def test_the_item_with_code_zero_can_be_a_hit_and_padding_before_it_is_none():
    assert hits(lists([-1, 0]), np.array([0, 1]), np.array([0], np.int32)).tolist() == [[False, True]]


def test_a_list_that_names_a_product_twice_is_refused():
    """Three places of the one product wanted would be an NDCG of 1 + 1/log2(3) + 1/2 = 2.1."""
    twice = lists([1, 2, -1, -1], [7, 7, 7, 3], [4, 5, 4, -1])
    with pytest.raises(InputError, match=r"^2 of 3 lists name a product more than once, first in row 1; name each"):
        rank_metrics(twice, np.array([0, 0, 1, 1]), np.array([7], np.int32))


def test_nobody_has_a_hit_where_there_are_no_targets():
    assert not hits(lists([0, 1]), np.array([0, 0]), np.zeros(0, np.int32)).any()


def test_a_perfect_list_scores_one_however_many_targets_there_are():
    for num_targets in (1, 3, 9, 12, 30):
        metrics = rank_metrics(lists(range(25)), np.array([0, num_targets]), np.arange(num_targets, dtype=np.int32))
        assert [metrics[f"ndcg@{k}"][0] for k in (10, 20)] == pytest.approx([1.0, 1.0])
        assert metrics["recall@10"][0] == pytest.approx(min(10, num_targets) / num_targets)
        assert metrics["mrr@20"][0] == 1.0


def test_cutoffs_are_10_and_20_unless_told_otherwise():
    metrics = rank_metrics(lists(range(25)), np.array([0, 2]), np.array([10, 20], np.int32))
    assert {name: values[0] for name, values in metrics.items()} == pytest.approx(
        {
            "ndcg@10": 0.0, "recall@10": 0.0, "hit@10": 0.0, "mrr@10": 0.0,
            "ndcg@20": (1 / math.log2(12)) / (1 + 1 / math.log2(3)),
            "recall@20": 0.5, "hit@20": 1.0, "mrr@20": 1 / 11,
        }
    )  # fmt: skip


def test_coverage_and_novelty_look_at_ten_places_and_skip_padding():
    shown = lists(range(12), [0, 1, 2, 3, 4, 5, 6, 7, 8, -1, 11, 10])
    assert coverage(shown, 12) == 10 / 12
    assert coverage(shown, 12, k=12) == 1.0
    buyers = np.array([4] * 10 + [1, 2])
    assert novelty(shown, buyers, 8) == pytest.approx(1.0)
    assert novelty(shown, buyers, 8, k=12) == pytest.approx((19 + 2 * 3 + 2 * 2) / 23)


def test_an_empty_catalogue_a_single_customer_and_empty_lists_have_figures_too():
    assert coverage(lists([-1]), 0) == 0.0
    assert coverage(lists([0]), 1) == 1.0
    assert novelty(lists([0]), np.array([1]), 1) == 0.0
    assert novelty(lists([0]), np.array([0]), 1) == 0.0
    assert novelty(lists([-1]), np.array([1]), 4) == 0.0
    assert novelty(lists([0]), np.array([0]), 0) == 0.0


def test_the_lists_and_targets_stay_as_they_were():
    recommended, targets = lists([3, -1], [0, 1]), np.array([3, 1], np.int32)
    before = recommended.copy(), targets.copy()
    rank_metrics(recommended, np.array([0, 1, 2]), targets)
    assert (recommended == before[0]).all()
    assert (targets == before[1]).all()


def test_the_area_under_the_curve_counts_pairs_of_a_buyer_and_another_and_ties_half():
    scores = np.array([[0.9, 1.0, 3.0, 5.0], [0.5, 1.0, 2.0, 6.0], [0.5, 2.0, 1.0, 7.0], [0.1, 3.0, 0.0, 8.0]])
    bought = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 0, 1]], bool)
    auc = audience_auc(scores, bought)
    assert auc[0] == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert auc[1] == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    assert np.isnan(auc[2:]).all(), "nobody, or everybody, bought it"
    single = audience_auc(np.array([[1.0], [2.0], [3.0]]), np.array([[False], [False], [True]]))
    assert single.tolist() == [1.0]
    all_but_one = audience_auc(np.array([[1.0], [2.0], [3.0]]), np.array([[True], [False], [True]]))
    assert all_but_one.tolist() == [0.5]


def test_no_list_that_can_be_has_a_figure_above_one_and_none_that_cannot_has_any():
    assert all(figure.holds for figure in abuse.figures(quick=True))
