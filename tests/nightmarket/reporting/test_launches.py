import numpy as np
import pytest

from nightmarket.evaluation.figures import Metrics
from nightmarket.reporting.launches import line, shelf, view
from nightmarket.reporting.night import Night

NEVER = np.iinfo(np.int32).max
TITLES = ["old", "found", "lost", "unsold"]


def lines(rows):
    """customer, item, week; a basket per customer and week."""
    table = np.array(rows, np.int64).reshape(-1, 3)
    basket = table[:, 0] * 10_000 + table[:, 2]
    return {"customer": table[:, 0], "item": table[:, 1], "week": table[:, 2], "basket": basket}


def shop():
    """Twelve weeks, 100 to 111: product 0 sells from the start, 1 and 2 since week 109, 3 never."""
    rows = [(0, 0, 100), (1, 0, 104), *((customer, 1, 109) for customer in range(5)), (0, 1, 111), (0, 1, 111)]
    rows += [(1, 2, 110)]
    first = np.array([100, 109, 110, NEVER])
    return shelf(first, lines(rows), 111, TITLES, np.array([9, 2, 0, 0]))


def test_what_is_new_is_counted_by_spans_of_four_weeks():
    content = shop()
    assert content["spans"] == [
        {"last_week": 107, "launched": 0, "found": 0},
        {"last_week": 111, "launched": 2, "found": 1},
    ], "the first four weeks, in which all seems new, make no span"
    assert (content["never_sold"], content["recommended"]) == (1, 2)


def test_the_new_products_in_most_baskets_stand_first_with_their_weeks():
    assert shop()["new"] == [{"title": "found", "first_week": 109, "baskets": [0, 5, 0, 1], "lists": 2}], (
        "two lines of one basket count once, and one basket is not worth a row"
    )


def test_buyers_outside_the_span_do_not_count():
    first = np.array([100, 105])
    rows = [(0, 0, 100), *((customer, 1, 105) for customer in range(3)), *((customer, 1, 110) for customer in range(9))]
    assert [span["found"] for span in shelf(first, lines(rows), 111, TITLES[:2], np.zeros(2, int))["spans"]] == [0, 0]


def test_a_shop_of_a_few_weeks_cannot_tell_what_is_new():
    content = shelf(np.array([100]), lines([(0, 0, 100)]), 103, ["a"], np.zeros(1, int))
    assert (content["spans"], content["new"]) == ([], [])
    told = view(Night(as_of="2018-01-01", launches=content))
    assert told is not None
    assert told.verdict == "The data is too short to tell what is new."
    assert line(Night(as_of="2018-01-01", launches=content)) == ""


def test_no_purchase_at_all_is_no_error():
    assert shelf(np.array([NEVER]), lines([]), 103, ["a"], np.zeros(1, int))["never_sold"] == 1


def test_the_words_compare_with_the_spans_before():
    spans = [{"last_week": week, "launched": 9, "found": buyers} for week, buyers in ((2495, 3), (2499, 7), (2503, 4))]
    told = {"last_week": 2503, "spans": spans, "never_sold": 0, "recommended": 0, "new": []}
    shown = view(Night(as_of="2018-01-01", launches=told, summary={"num_customers": 80}))
    assert shown is not None
    assert shown.verdict == (
        "9 products were sold for the first time in the four weeks to 31 December 2017; 4 of them found five buyers "
        "or more. In the 2 spans of four weeks before, it was 3 to 7."
    )
    assert shown.sentences == ("No new product stands on tonight’s lists.",)
    assert line(Night(as_of="2018-01-01", launches=told)) == (
        "4 of 9 new products found five buyers in four weeks; before, 3 to 7."
    )


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.01, 0.03, "is ahead of"), (-0.01, 0.03, "cannot be distinguished from"), (-0.03, -0.01, "is behind")],
)
def test_the_launch_model_is_held_against_the_best_rule(low, high, said):
    figures = {"ndcg@10": {"value": 0.04, "low": 0.03, "high": 0.05}}
    auc = {"audience_auc": {"value": 0.78, "low": 0.76, "high": 0.81, "num_launches": 46}}
    difference = {"affinity": {"ndcg@10": {"value": (low + high) / 2, "low": low, "high": high}}}
    metrics = {"debut": {"nightmarket": figures | auc, "affinity": figures}, "paired": {"debut": difference}}
    shown = view(Night(as_of="2018-01-01", metrics=Metrics.read(metrics)))
    assert shown is not None
    assert [figure.value for figure in shown.figures] == [".780", ".0400"]
    assert "46 launches" in shown.figures[0].meaning
    assert said in shown.quality
