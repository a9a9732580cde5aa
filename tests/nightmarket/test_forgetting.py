import numpy as np
import pytest

from nightmarket.evaluation.forgetting import Group, compared, frequent_lists, strong_groups
from nightmarket.histories.calendar import last_day
from nightmarket.histories.histories import Histories

DEPARTMENTS = ["BAKERY"] * 5 + ["DAIRY"] * 11


def histories(lines, num_customers, num_items=16):
    """Purchases given as (customer, item, week)."""
    table = np.array(sorted(lines, key=lambda line: (line[0], line[2])), dtype=np.int32)
    ones = np.ones(len(table), np.float32)
    codes = np.zeros(len(table), np.int32)
    customer, item, week = table.T
    columns = {"quantity": ones, "value": ones, "discount": ones, "basket": codes, "channel": codes}
    shape = {"num_customers": num_customers, "num_items": num_items}
    return Histories(customer=customer, item=item, week=week, day=7 * week + 4, **columns, **shape)


def shop():
    """Even customers buy the same bread every week, odd ones ever another milk; all buy on in weeks 9 and 10."""
    lines = []
    for customer in range(40):
        for week in range(1, 11):
            lines.append((customer, customer % 5 if customer % 2 == 0 else 5 + week, week))
    return histories(lines, 40)


def test_the_baseline_ranks_by_count_and_recency():
    # item 3 three times long ago, item 1 twice lately: at a half-life of a week the later ones weigh more
    lines = [(0, 3, 1), (0, 3, 2), (0, 3, 3), (0, 1, 9), (0, 1, 10)]
    assert frequent_lists(histories(lines, 2), last_day(10), half_life=7.0)[0].tolist() == [1, 3] + [-1] * 8
    assert frequent_lists(histories(lines, 2), last_day(10), half_life=1e6)[0].tolist() == [3, 1] + [-1] * 8
    assert frequent_lists(histories(lines, 2), last_day(8))[0].tolist() == [3] + [-1] * 9
    assert (frequent_lists(histories(lines, 2), last_day(10))[1] == -1).all()


def test_groups_are_those_whom_the_baseline_served_in_the_month_before_the_cut():
    groups = {
        group.name: group.customers.tolist() for group in strong_groups(shop(), DEPARTMENTS, last_day(10), 14, least=5)
    }
    regulars = list(range(0, 40, 2))
    assert groups == {"best served quarter of the customers": regulars, "department BAKERY": regulars}


def test_groups_see_nothing_after_the_cut():
    before = strong_groups(shop(), DEPARTMENTS, last_day(8), 14, least=5)
    known = shop().until(last_day(8))
    past = list(zip(known.customer.tolist(), known.item.tolist(), known.week.tolist(), strict=True))
    rewritten = histories(past + [(c, 9 - c % 10, w) for c in range(40) for w in (9, 10)], 40)
    after = strong_groups(rewritten, DEPARTMENTS, last_day(8), 14, least=5)
    assert [(g.name, g.customers.tolist()) for g in before] == [(g.name, g.customers.tolist()) for g in after]


@pytest.mark.parametrize("week", [2, 0])
def test_a_history_without_a_past_before_the_month_has_no_groups(week):
    assert strong_groups(shop(), DEPARTMENTS, last_day(week), 14, least=5) == []


def test_groups_that_are_too_small_are_not_judged():
    assert strong_groups(shop(), DEPARTMENTS, last_day(10), 14, least=21) == []
    groups = strong_groups(shop(), DEPARTMENTS, last_day(10), 14, least=5)
    few = dict.fromkeys(range(8), 0.5)
    assert compared(groups, few, few, 1, least=5) == {}


def test_a_group_that_lost_is_forgotten_and_one_that_won_is_not():
    groups = strong_groups(shop(), DEPARTMENTS, last_day(10), 14, least=5)
    rng = np.random.default_rng(2)
    old = dict.fromkeys(range(40), 0.5)
    worse = {c: 0.5 + rng.normal(0, 0.02) + (-0.1 if c % 2 == 0 else 0.2) for c in range(40)}
    kept = compared(groups, worse, old, 1, least=5)["department BAKERY"]
    assert kept.forgotten
    assert kept.num_customers == 20
    assert kept.difference.value == pytest.approx(np.mean([worse[c] - 0.5 for c in range(0, 40, 2)]))
    assert not any(kept.forgotten for kept in compared(groups, old, old, 1, least=5).values())
    better = {c: 1.0 - value for c, value in worse.items()}
    assert not any(kept.forgotten for kept in compared(groups, better, old, 1, least=5).values())


def test_customers_with_one_figure_only_do_not_count():
    groups = strong_groups(shop(), DEPARTMENTS, last_day(10), 14, least=5)
    new, old = dict.fromkeys(range(30), 0.5), dict.fromkeys(range(4, 40), 0.6)
    assert compared(groups, new, old | {6: float("nan")}, 1, least=5)["department BAKERY"].num_customers == 12


def test_under_two_equal_models_some_group_looks_forgotten_in_at_most_five_nights_of_a_hundred():
    """Overlapping groups of 60, differences with heavy tails; three standard errors of 400 nights are allowed for."""
    rng = np.random.default_rng(7)
    groups = [Group(str(i), np.sort(rng.choice(200, 60, replace=False)).astype(np.int32)) for i in range(6)]
    alarms = unwidened = 0
    for night in range(400):
        old, new = rng.beta(0.4, 0.6, (2, 200))
        swap = rng.random(200) < 0.7  # most customers get the same list from both models
        new[swap] = old[swap]
        together = compared(groups, dict(enumerate(new)), dict(enumerate(old)), night, num=1000)
        alarms += any(kept.forgotten for kept in together.values())
        alone = [compared([group], dict(enumerate(new)), dict(enumerate(old)), night, num=1000) for group in groups]
        unwidened += any(kept.forgotten for comparison in alone for kept in comparison.values())
    assert alarms / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert unwidened > alarms
