"""Groups: who is in them, what they say, and how often a warning is a false alarm."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nightmarket.contracts import InputError
from nightmarket.evaluation.groups import groups, student
from nightmarket.histories.histories import Histories


def histories(lines: np.ndarray) -> Histories:
    """Customer c with lines[c] purchase lines."""
    customer = np.repeat(np.arange(lines.size), lines).astype(np.int32)
    zero, ones = np.zeros(customer.size, np.int32), np.ones(customer.size, np.float32)
    return Histories(customer, zero, zero, zero, ones, ones, ones, zero, zero, lines.size, 1)


def judged(ours, customers, lines=None, theirs=None, seed=1, num_resamples=20):
    num = len(customers)
    lines = np.ones(num, np.int64) if lines is None else lines
    theirs = {"ease": np.full(num, 0.2)} if theirs is None else theirs
    return groups(np.asarray(ours, float), theirs, customers, histories(lines), seed, num_resamples)


def test_a_group_holds_its_customers_their_mean_and_their_gain():
    rng = np.random.default_rng(0)
    ours, lines = rng.random(400), rng.integers(1, 101, 400)
    ours[:7] = np.nan
    table = pd.DataFrame({"customer_id": "x", "attr_home": rng.choice(["own", "rent"], 400)})
    content = judged(ours, table, lines)
    known = ~np.isnan(ours)
    assert set(content["by"]) == {"history", "attr_home"}
    for level, figure in content["by"]["attr_home"].items():
        member = known & (table.attr_home == level)
        assert figure["num_customers"] == member.sum()
        assert figure["value"] == pytest.approx(ours[member].mean())
        assert figure["gain"]["value"] == pytest.approx((ours[member] - 0.2).mean())
        assert figure["low"] < figure["value"] < figure["high"]
    low, middle, high = np.quantile(lines[known], [0.25, 0.5, 0.75], method="lower")
    quarters = {
        f"up to {low:g} lines": lines <= low,
        f"over {low:g} up to {middle:g} lines": (lines > low) & (lines <= middle),
        f"over {middle:g} up to {high:g} lines": (lines > middle) & (lines <= high),
        f"over {high:g} lines": lines > high,
    }
    assert {level: figure["num_customers"] for level, figure in content["by"]["history"].items()} == {
        level: (known & member).sum() for level, member in quarters.items()
    }
    assert content["confidence"] == pytest.approx(1 - 0.05 / 6)


def test_small_levels_are_pooled_and_a_pool_that_stays_small_is_left_out():
    levels = ["a"] * 100 + ["b"] * 60 + ["c"] * 30 + ["d"] * 30
    content = judged(np.full(220, 0.4), pd.DataFrame({"attr_x": levels}))
    assert {level: f["num_customers"] for level, f in content["by"]["attr_x"].items()} == {
        "a": 100,
        "b": 60,
        "other": 60,
    }
    content = judged(np.full(190, 0.4), pd.DataFrame({"attr_x": levels[:190]}))
    assert set(content["by"]["attr_x"]) == {"a", "b"}
    content = judged(np.full(120, 0.4), pd.DataFrame({"attr_x": ["a"] * 100 + ["b"] * 20}))
    assert "attr_x" not in content["by"]


def test_customers_that_the_figure_does_not_concern_do_not_make_a_level_large():
    ours = np.full(200, 0.4)
    ours[100:160] = np.nan
    content = judged(ours, pd.DataFrame({"attr_x": ["a"] * 100 + ["b"] * 100}))
    assert "attr_x" not in content["by"]


@pytest.mark.parametrize(
    ("column", "levels"),
    [
        ([None, "x", float("nan"), "y"] * 60, {"unknown", "x", "y"}),
        (pd.array([1, 2, None, 2] * 60, dtype="Int64"), {"1", "2", "unknown"}),
        (pd.array([True, False, None, True] * 60, dtype="boolean"), {"True", "False", "unknown"}),
        (pd.Categorical(["s", "t", "s", "t"] * 60), {"s", "t"}),
        ([["a"], ["b"], ["a"], ["b"]] * 60, {"['a']", "['b']"}),
        (np.arange(240.0), {"up to 59", "over 59 up to 119", "over 119 up to 179", "over 179"}),
        (
            [None, np.inf, *range(238)],
            {"up to 59", "over 59 up to 118", "over 118 up to 177", "over 177"},
        ),
        ([f"name {i}" for i in range(240)], None),
        (pd.date_range("2020-01-01", periods=240), None),
        ([None] * 240, None),
        (["same"] * 240, None),
    ],
)
def test_a_column_of_any_type_makes_groups_or_is_left_out(column, levels):
    content = judged(np.full(240, 0.4), pd.DataFrame({"attr_x": column}))
    assert set(content["by"].get("attr_x", ())) == (levels or set())


def test_the_strongest_baseline_is_the_one_to_beat():
    table = pd.DataFrame({"attr_x": ["a", "b"] * 80})
    ours = np.full(160, 0.3)
    theirs = {"weak": np.full(160, 0.1), "strong": np.where(np.arange(160) % 2, 0.4, 0.25)}
    content = judged(ours, table, theirs=theirs)
    assert content["against"] == "strong"
    assert [(w["attribute"], w["level"], w["num_customers"]) for w in content["warnings"]] == [("attr_x", "b", 80)]
    assert content["by"]["attr_x"]["b"]["behind"]
    assert not content["by"]["attr_x"]["a"]["behind"]
    alone = judged(ours, table, theirs={})
    assert (alone["against"], alone["warnings"]) == (None, [])


def test_arrays_of_other_customers_are_refused():
    with pytest.raises(InputError, match="must be the same"):
        judged(np.zeros(10), pd.DataFrame({"attr_x": ["a"] * 10}), lines=np.ones(9, int))


def test_students_interval_is_the_textbooks():
    values = np.array([1.0, 2.0, 4.0, np.nan])
    low, high = stats.t.interval(0.99, 2, loc=7 / 3, scale=stats.sem([1, 2, 4]))
    assert student(values, 0.01) == pytest.approx((7 / 3, low, high))
    assert student(np.array([3.0]), 0.05) == (3.0, -np.inf, np.inf)


def night(rng, behind):
    """Quality as it looks: many customers get nothing, groups differ in level, and both models mean the same to all,
    but for one group, which is `behind` while the others are as much before it together."""
    num = 600
    table = pd.DataFrame({f"attr_{i}": rng.integers(0, 6, num).astype(str) for i in range(4)})
    level = 0.2 + 0.03 * table.attr_0.astype(int).to_numpy()
    theirs, other = (np.where(rng.random(num) < level, rng.beta(2, 5, num), 0.0) for _ in range(2))
    ours = np.where(rng.random(num) < 0.4, theirs, other)
    ours = ours + np.where(table.attr_1 == "3", -behind, behind / 5)
    return judged(ours, table, rng.integers(1, 200, num), {"ease": theirs}, num_resamples=2)


def test_where_no_group_is_worse_off_a_night_seldom_warns():
    """28 groups a night. If 2.5% of the nights warn, more than 10 of 120 do so once in 5,000 times."""
    alarms = sum(bool(night(np.random.default_rng(i), 0.0)["warnings"]) for i in range(120))
    assert alarms <= 10


def test_a_group_that_falls_behind_is_found_and_named():
    by_night = [night(np.random.default_rng(i), 0.12)["warnings"] for i in range(40)]
    named = [("attr_1", "3") in {(w["attribute"], w["level"]) for w in warnings} for warnings in by_night]
    assert np.mean(named) >= 0.9
    assert sum(len(warnings) > 1 for warnings in by_night) <= 5
