"""The order of a task's lists is changed on clear evidence alone."""

from dataclasses import replace

import numpy as np
import pytest

from nightmarket.evaluation.protocol import Targets, Task
from nightmarket.ranking.candidate_set import Budget
from nightmarket.ranking.model import Forests, Model
from nightmarket.ranking.recipe import AND, FOREST, UNKNOWN, HeldOut, choose, fused, of_customers, rivals

NUM, ITEMS = 60, 30
NAMES = ["item_num", "buyers_ever", "score_good", "score_bad"]


def held(seed: int, good: float = 1.0) -> HeldOut:
    """60 customers with 30 candidates and one target each, which `score_good` puts first for a share `good` of them."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, ITEMS, NUM).astype(np.int32)
    customer = np.repeat(np.arange(NUM, dtype=np.int32), ITEMS)
    item = np.tile(np.arange(ITEMS, dtype=np.int32), NUM)
    features = rng.random((NUM * ITEMS, 4)).astype(np.float32)
    features[:, :2] = 0
    known = rng.random(NUM) < good
    features[customer * ITEMS + target[customer], 2] = np.where(known[customer], 2.0, -1.0)
    wanted = Targets(np.arange(NUM + 1), target)
    return HeldOut(
        NAMES, customer, item, features, {Task.ALL: wanted, Task.NEW: wanted}, np.arange(NUM, dtype=np.int32)
    )


def noise(part: HeldOut) -> np.ndarray:
    return np.random.default_rng(1).random(part.item.size)


def test_a_score_that_is_clearly_better_in_every_window_orders_the_lists():
    choice = choose(Task.ALL, [held(1), held(2)], noise, rivals(NAMES))
    assert (choice.order, choice.rival) == ("score_good", "score_good")
    assert choice.difference.high < 0
    assert choice.simple.value == 1


def test_a_forest_that_is_as_good_stays():
    choice = choose(Task.ALL, [held(1), held(2)], lambda part: part.column("score_good"), rivals(NAMES))
    assert choice.order == FOREST
    assert choice.difference.value == 0


def test_a_gain_that_one_window_of_three_does_not_share_does_not_put_the_forest_aside():
    parts = [held(1), held(2), held(3, good=0.0)]
    choice = choose(Task.NEW, parts, noise, rivals(NAMES))
    assert choice.difference.high < 0
    assert choice.order == f"{FOREST}{AND}score_good"


def test_two_orders_that_are_level_and_err_in_different_places_are_joined():
    """Each knows the targets of its own half of the customers, and is not far off for the others."""
    parts = [held(1, good=0.5), held(2, good=0.5)]
    targets_missed = [part.features[:, 2] == -1 for part in parts]
    for part, missed in zip(parts, targets_missed, strict=True):
        part.features[missed, 2] = 0.9

    def forest(part: HeldOut) -> np.ndarray:
        score, missed = noise(part), targets_missed[0 if part is parts[0] else 1]
        score[part.column("score_good") == 2.0] = 0.84
        return np.where(missed, 2.0, score)

    choice = choose(Task.NEW, parts, forest, rivals(NAMES))
    assert choice.difference.low < 0 < choice.difference.high
    assert choice.order == f"{FOREST}{AND}score_good"
    assert choice.joined.low > max(choice.forest.high, choice.simple.high)


def test_joined_orders_add_up_places_and_what_one_does_not_know_gets_nothing_from_it():
    customer = np.array([0, 0, 0, 1, 1])
    first, second = np.array([3.0, 2.0, 1.0, 1.0, 2.0]), np.array([1.0, 3.0, UNKNOWN, 5.0, UNKNOWN])
    expected = [1 / 61 + 1 / 62, 1 / 62 + 1 / 61, 1 / 63, 1 / 62 + 1 / 61, 1 / 61]
    assert fused(customer, first, second) == pytest.approx(expected)


def test_where_nobody_buys_again_a_simple_score_may_put_new_products_first():
    parts = [held(1), held(2)]
    for part in parts:
        part.features[:, 0] = part.features[:, 3] > 0.7
        part.features[part.features[:, 2] == 2.0, 0] = 0
        part.features[:, 2] = np.where(part.features[:, 0] > 0, 3.0, part.features[:, 2])  # owned ones come first
    choice = choose(Task.ALL, parts, noise, ["score_good"])
    assert (choice.order, choice.simple.value) == ("score_good, new first", 1.0)


def test_three_windows_of_four_are_enough():
    assert choose(Task.ALL, [held(1), held(2), held(3), held(4, good=0.0)], noise, rivals(NAMES)).order == "score_good"


def popular(parts: list[HeldOut], good: float, missed: float = 0.9) -> list[HeldOut]:
    """The same, with a score_popular in the place of score_bad: the targets of a share `good` come first, the others
    behind all that has a score above `missed`."""
    made = []
    for part in parts:
        rng, wanted = np.random.default_rng(5), part.targets[Task.ALL].items
        part.features[:, 3] = rng.random(part.item.size)
        part.features[part.customer * ITEMS + wanted[part.customer], 3] = np.where(rng.random(NUM) < good, 2.0, missed)[
            part.customer
        ]
        made.append(replace(part, names=[*NAMES[:3], "score_popular"]))
    return made


def test_what_is_popular_orders_the_lists_alone_where_nothing_learned_is_better():
    parts = popular([held(1, good=0.0)], good=0.15, missed=-1.0)
    choice = choose(Task.NEW, parts, noise, ["score_popular"])
    assert choice.difference.low <= 0 <= choice.difference.high  # not by evidence against the forest
    assert (choice.order, choice.rival) == ("score_popular", "score_popular")
    assert choice.simple.value >= max(choice.forest.value, choice.joined.value)


def test_a_forest_that_is_not_clearly_better_than_what_is_popular_is_joined_with_it_at_least():
    """Ahead by half a list in fifty, which may be chance: see the interval."""
    parts = popular([held(1)], good=0.5)

    def forest(part: HeldOut) -> np.ndarray:
        ahead = np.where(part.customer % 16 == 0, part.column("score_good"), part.column("score_popular"))
        return np.asarray(ahead)

    choice = choose(Task.NEW, parts, forest, ["score_popular"])
    assert choice.forest.value > choice.simple.value
    assert choice.difference.low <= 0
    assert choice.order == f"{FOREST}{AND}score_popular"


def test_a_forest_that_is_clearly_better_orders_alone():
    parts = popular([held(1)], good=0.1)
    choice = choose(Task.NEW, parts, lambda part: part.column("score_good"), ["score_popular"])
    assert choice.difference.low > 0
    assert choice.order == FOREST


def test_too_few_customers_say_nothing():
    part = held(1)
    few = Targets(np.minimum(np.arange(NUM + 1), 20), part.targets[Task.ALL].items[:20])
    tried = HeldOut(NAMES, part.customer, part.item, part.features, {Task.ALL: few}, part.who)
    assert choose(Task.ALL, [tried], noise, rivals(NAMES)) is None


def test_new_products_are_judged_without_what_the_customer_owns():
    part = held(1)
    part.features[:, 0] = part.features[:, 2] < 1  # all but the targets are owned
    assert part.ndcg(Task.NEW, noise(part)).mean() == 1 > part.ndcg(Task.ALL, noise(part)).mean()


def test_what_a_score_does_not_know_comes_last():
    part = held(1)
    part.features[part.features[:, 2] < 2, 2] = np.nan
    assert part.ndcg(Task.ALL, part.column("score_good")).mean() == 1
    assert np.isfinite(part.column("score_good")).all()


def test_targets_of_some_customers_are_counted_from_nought():
    wanted = of_customers(Targets(np.array([0, 2, 2, 3, 6]), np.array([5, 6, 7, 8, 9, 4])), np.array([1, 3]))
    assert wanted.indptr.tolist() == [0, 0, 3]
    assert wanted.items.tolist() == [8, 9, 4]
    assert rivals(["item_num", "score_ease", "buyers_4w"]) == ["score_ease", "buyers_4w"]


@pytest.mark.parametrize("task", [Task.ALL, Task.NEW])
def test_customers_without_a_target_do_not_count(task):
    part = held(1)
    half = Targets(np.minimum(np.arange(NUM + 1), 30), part.targets[task].items[:30])
    tried = HeldOut(NAMES, part.customer, part.item, part.features, {task: half}, part.who)
    assert np.isnan(tried.ndcg(task, noise(part))).sum() == 30


def test_a_version_that_stands_in_puts_first_what_most_bought_lately_ties_by_all_buyers():
    model = Model(Forests(None), None, Budget(), 28, False, False, 0, {Task.ALL: "score_good"}).popular()
    rows = np.array([[9, 1, 5], [0, 3, 5], [0, 3, 7]], np.float32)
    score = model.order(Task.NEW, None, np.zeros(3, np.int32), rows, ["score_good", "buyers_4w", "buyers_ever"])
    assert np.argsort(-score).tolist() == [2, 1, 0]
    assert not any(model.by_forest(task) for task in Task)


def test_a_score_that_knows_almost_nothing_orders_no_list():
    parts = [held(1), held(2)]
    for part in parts:
        part.features[:, 2] = np.where(part.features[:, 2] == 2.0, 2.0, np.nan)  # one product of each customer
    assert not parts[0].fills(Task.ALL, "score_good")
    choice = choose(Task.ALL, parts, noise, rivals(NAMES))
    assert choice.rival == "score_bad"
    assert choose(Task.ALL, parts, noise, ["score_good"]) is None
