"""Candidates, features and peers: against definitions computed the slow way, and against leaks from the future."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from nightmarket.contracts import InputError
from nightmarket.histories.calendar import last_day
from nightmarket.histories.catalogue import catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.promotions import Promotions
from nightmarket.ranking.baseline_lists import line_scorer, walk
from nightmarket.ranking.baselines import (
    TifuSettings,
    ease,
    line_affinity,
    neighbours,
    popularity,
    recency_frequency,
    tifu_vectors,
)
from nightmarket.ranking.candidate_set import Batch, Budget, CandidateSet, TextScores, ahead
from nightmarket.ranking.collaborative import Ease, Neighbours, log_counts, reference
from nightmarket.ranking.explanations.paths import Paths
from nightmarket.ranking.lists import fill, mask_entries
from nightmarket.ranking.pairs import pairs
from nightmarket.ranking.point_in_time import PointInTimeStatistics
from nightmarket.ranking.ranker import Ranker, TrainingRows, Trees, fit, thinned
from nightmarket.retrieval.top import top_items

NUM_CUSTOMERS, NUM_ITEMS, ORIGIN = 60, 40, 19
CUT = last_day(ORIGIN)
NO_PROMOTIONS = Promotions(*(np.zeros(0, t) for t in (np.int32, np.int32, np.float32, np.float32)))


@pytest.fixture(scope="module")
def shop() -> Histories:
    """24 weeks; item 39 is first sold in week 20."""
    rng = np.random.default_rng(5)
    num = 3000
    customer = rng.integers(0, NUM_CUSTOMERS, num)
    item = np.minimum((rng.integers(0, 10, num) + customer * 3) % (NUM_ITEMS - 1), NUM_ITEMS - 2)
    week = rng.integers(0, 24, num)
    item[(week >= 20) & (rng.random(num) < 0.2)] = NUM_ITEMS - 1
    day = week * 7 + 4 + rng.integers(0, 7, num)
    order = np.lexsort((item, day, customer))
    customer, item, week, day = (x[order].astype(np.int32) for x in (customer, item, week, day))
    basket = np.unique(np.stack([customer, day]), axis=1, return_inverse=True)[1].astype(np.int32).ravel()
    value = rng.random(num).astype(np.float32) + 1
    ones = np.ones(num, np.float32)
    return Histories(customer, item, week, day, ones, value, 0 * ones, basket, 0 * basket, NUM_CUSTOMERS, NUM_ITEMS)


@pytest.fixture(scope="module")
def products() -> pd.DataFrame:
    index = np.arange(NUM_ITEMS)
    return pd.DataFrame(
        {
            "department": "food",
            "category": [f"c{i % 4}" for i in index],
            "type": [f"t{i % 8}" for i in index],
            "maker": [f"m{i % 5}" for i in index],
            "brand": None,
            "text_id": index,
            "recommendable": index != 7,
        }
    )


def statistics(
    shop: Histories, products: pd.DataFrame, promotions: Promotions = NO_PROMOTIONS
) -> PointInTimeStatistics:
    return PointInTimeStatistics(shop.until(CUT), catalogue(products), CUT, promotions)


def candidate_set(shop: Histories, products: pd.DataFrame, **settings) -> CandidateSet:
    launching = np.array([NUM_ITEMS - 1], np.int32)
    budget = Budget(ease=5, neighbours=5, popular=5, kind=5, line=5, launch=1, taste=5)
    return CandidateSet(statistics(shop, products), budget, settings.pop("text", None), launching, 28, **settings)


def rows_of(made: CandidateSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    batches = list(made.batches())
    return tuple(np.concatenate([getattr(b, name) for b in batches]) for name in ("customer", "item", "features"))


def test_no_feature_sees_the_weeks_after_the_origin(shop, products):
    """A planted future: every later line is replaced by other customers, items and prices; nothing may change."""
    rng = np.random.default_rng(0)
    future = shop.week > ORIGIN
    changed = {
        "item": np.where(future, rng.integers(0, NUM_ITEMS, len(shop)), shop.item).astype(np.int32),
        "value": np.where(future, 1000.0, shop.value).astype(np.float32),
        "quantity": np.where(future, 50.0, shop.quantity).astype(np.float32),
    }
    other = Histories(**{**vars(shop), **changed})
    for ours, theirs in zip(
        rows_of(candidate_set(shop, products)), rows_of(candidate_set(other, products)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(
        candidate_set(shop, products).launches(), candidate_set(other, products).launches(), strict=True
    ):
        np.testing.assert_array_equal(ours.features, theirs.features)


def test_promotions_of_the_target_weeks_are_seen_only_with_the_plan(shop, products):
    later = Promotions(
        np.array([3], np.int32), np.array([ORIGIN + 1], np.int32), np.ones(1, np.float32), np.ones(1, np.float32)
    )
    args = (Budget(), None, np.zeros(0, np.int32), 28)
    blind = CandidateSet(statistics(shop, products), *args)
    same = CandidateSet(statistics(shop, products, later), *args)
    planned = CandidateSet(statistics(shop, products, later), *args, promotion_plan=True)
    np.testing.assert_array_equal(rows_of(blind)[2], rows_of(same)[2])
    _, item, features = rows_of(planned)
    shown = features[:, planned.features.index("plan_display")]
    assert shown[item == 3].tolist() == [0.25] * int((item == 3).sum())
    assert not shown[item != 3].any()


def test_features_equal_their_definition_computed_line_by_line(shop, products):
    made = candidate_set(shop, products)
    customer, item, features = rows_of(made)
    column = {name: features[:, i] for i, name in enumerate(made.features)}
    before = shop.until(CUT)
    today = made.statistics.today
    for row in range(0, len(customer), 97):
        c, i = customer[row], item[row]
        mine = (before.customer == c) & (before.item == i)
        baskets = dict(zip(before.basket[mine], before.day[mine], strict=True))
        assert column["item_num"][row] == len(baskets)
        fresh = sum(2 ** (-(today - d) / 90) for d in baskets.values())
        assert column["item_fresh"][row] == pytest.approx(fresh, rel=1e-5)
        days = sorted(set(baskets.values()))
        if days:
            assert column["item_age"][row] == today - days[-1]
        if len(days) > 1:
            gap = (days[-1] - days[0]) / (len(days) - 1)
            assert column["item_gap"][row] == pytest.approx(gap)
            assert column["item_due"][row] == pytest.approx((today - days[-1]) / gap, rel=1e-5)
        recent = before.between(CUT - 27, CUT)
        assert column["buyers_4w"][row] == len(set(recent.customer[recent.item == i].tolist()))


def test_own_recommendable_products_are_candidates_and_others_never(shop, products):
    customer, item, _ = rows_of(candidate_set(shop, products))
    before = shop.until(CUT)
    asked = set(zip(customer.tolist(), item.tolist(), strict=True))
    for c, i in set(zip(before.customer.tolist(), before.item.tolist(), strict=True)):
        assert ((c, i) in asked) == (i != 7)
    assert NUM_ITEMS - 1 not in item  # on sale only after the origin


def test_launches_propose_only_what_comes_on_sale(shop, products):
    made = list(candidate_set(shop, products).launches())
    assert {int(i) for batch in made for i in batch.item} == {NUM_ITEMS - 1}


def test_of_purchases_alone_an_announced_product_is_proposed_by_its_line_and_kind(shop, products):
    announced = NUM_ITEMS - 1
    dated = products.assign(from_day=np.where(products.index == announced, CUT + 3, 0), until_day=CUT + 999)
    known = PointInTimeStatistics(shop.until(CUT), catalogue(dated), CUT, NO_PROMOTIONS, coming_days=28)
    made = CandidateSet(known, Budget(young=5), None, np.zeros(0, np.int32), 28)
    assert made.launched.tolist() == [announced]
    assert announced not in rows_of(made)[1], "it has no sales to be scored by"
    (young,) = list(made.young())
    assert young.item.tolist() == [announced] * NUM_CUSTOMERS
    bought = shop.until(CUT)
    kind = np.bincount(bought.customer[bought.item % 8 == announced % 8], minlength=NUM_CUSTOMERS) > 0
    score = young.features[:, made.features.index("score_kind")]
    assert (score[kind] > 0).all()
    assert (score[~kind] == 0).all()
    assert kind.any()
    assert not kind.all()


def test_a_launch_that_the_customer_bought_already_is_a_candidate_of_launches_and_nothing_older_is(shop, products):
    """Launches are judged by all purchases of them, those that are bought again too."""
    before = shop.until(CUT)
    young = int(np.bincount(before.item[before.item != 7]).argmax())
    dated = products.assign(from_day=np.where(products.index == young, CUT - 20, 0), until_day=CUT + 999)
    known = PointInTimeStatistics(before, catalogue(dated), CUT, NO_PROMOTIONS, coming_days=28)
    made = CandidateSet(known, Budget(young=5), None, np.zeros(0, np.int32), 28)
    assert young in made.launched
    pairs = [(int(c), int(i)) for batch in made.young() for c, i in zip(batch.customer, batch.item, strict=True)]
    assert len(set(pairs)) == len(pairs)
    owners = np.unique(before.customer[before.item == young])
    assert owners.size
    assert {(int(c), young) for c in owners} <= set(pairs)
    assert {i for _, i in pairs} <= set(made.launched.tolist())


def test_text_vectors_enter_as_a_score_and_as_a_source(shop, products):
    rng = np.random.default_rng(1)
    vectors = TextScores(
        *(rng.normal(size=(n, 3)).astype(np.float32) for n in (NUM_CUSTOMERS, NUM_CUSTOMERS, NUM_ITEMS))
    )
    made = candidate_set(shop, products, text=vectors)
    customer, item, features = rows_of(made)
    score = features[:, made.features.index("score_tower")]
    expected = (vectors.customers[customer] * vectors.items[item]).sum(axis=1)
    np.testing.assert_allclose(score, expected, rtol=1e-4, atol=1e-5)


def test_ease_from_customers_equals_ease_from_items(shop):
    history = shop.until(CUT)
    counts = np.log1p(history.matrix().toarray().astype(np.float64))
    inverse = np.linalg.inv(counts.T @ counts + 20.0 * np.eye(NUM_ITEMS))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    scores = ease(history, CUT, ridge=20.0)(slice(0, NUM_CUSTOMERS))
    np.testing.assert_allclose(scores, counts @ weights, rtol=2e-3, atol=2e-3)


def test_a_customer_outside_the_reference_is_scored_like_one_inside(shop):
    """Whoever is not in the sample, or came today, is scored by the same formula, without fitting again."""
    history = shop.until(CUT)
    model = Ease(log_counts(history), np.arange(NUM_ITEMS, dtype=np.int32), 20.0)
    counts = log_counts(history)
    inside = model.score(counts, np.arange(NUM_CUSTOMERS))
    outside = model.score(counts, np.full(NUM_CUSTOMERS, -1))
    np.testing.assert_allclose(inside, outside, rtol=1e-3, atol=1e-4)


def test_the_reference_is_an_even_sample_that_knows_its_members(shop):
    history = shop.until(CUT)
    known = reference(history, 7)
    assert known.chosen.size == 7
    place = known.place(slice(0, NUM_CUSTOMERS))
    assert place[known.chosen].tolist() == list(range(7))
    assert (place < 0).sum() == NUM_CUSTOMERS - 7
    whole, part = history.matrix(), known.histories.matrix()
    assert (whole[known.chosen] != part).nnz == 0


def test_nearest_customers_never_include_oneself(shop):
    rows = shop.until(CUT).matrix()
    norm = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1))).ravel()
    unit = (rows.toarray() / norm[:, None]).astype(np.float32)
    weights = Neighbours(sparse.csr_matrix(unit), 3).weights(sparse.csr_matrix(unit), np.arange(NUM_CUSTOMERS))
    close = unit @ unit.T
    np.fill_diagonal(close, -np.inf)
    for c in range(NUM_CUSTOMERS):
        assert weights[c, c] == 0
        assert close[c][weights[c].indices].min() >= np.sort(close[c])[-3] - 1e-6


def test_rows_do_not_depend_on_how_many_customers_are_walked_at_a_time(shop, products):
    made = candidate_set(shop, products)
    for batches in (made.batches, made.launches):
        few, many = list(batches(7)), list(batches(1000))
        for name in ("customer", "item", "features"):
            np.testing.assert_allclose(
                np.concatenate([getattr(b, name) for b in few]), getattr(many[0], name), rtol=1e-5, atol=1e-6
            )


def test_item_totals_equal_their_definition(shop, products):
    made = statistics(shop, products)
    history = made.histories
    for item in range(0, NUM_ITEMS, 7):
        mine = history.item == item
        lately = mine & (history.week > ORIGIN - 4)
        assert made.buyers["4w"][item] == len(set(history.customer[lately].tolist()))
        assert made.buyers["ever"][item] == len(set(history.customer[mine].tolist()))
        assert made.baskets[item] == len(set(history.basket[mine].tolist()))
        days = {c: set(history.day[mine & (history.customer == c)].tolist()) for c in set(history.customer[mine])}
        assert made.again[item] == sum(len(days_of_customer) > 1 for days_of_customer in days.values())


def test_rare_products_have_few_buyers_and_some(shop, products):
    made = statistics(shop, products)
    assert set(made.rare.tolist()) == {i for i in range(NUM_ITEMS) if 0 < made.buyers["ever"][i] < 10 and i != 7}


def test_an_audience_is_every_customer_by_the_same_features(shop, products):
    made = candidate_set(shop, products)
    item = np.array([NUM_ITEMS - 1], np.int32)
    asked = {int(c): row for b in made.audience(item, 16) for c, row in zip(b.customer, b.features, strict=True)}
    assert sorted(asked) == list(range(NUM_CUSTOMERS))
    for batch in made.launches():
        for c, row in zip(batch.customer, batch.features, strict=True):
            np.testing.assert_allclose(asked[int(c)], row, rtol=1e-5)


def test_launch_rows_hold_every_purchase_and_a_share_of_the_rest(shop, products):
    made = candidate_set(shop, products)
    bought = shop.between(CUT + 1, CUT + 28).matrix()
    batches = list(made.sampled_launches(bought, 0.2, np.random.default_rng(0)))
    customer = np.concatenate([b.customer for b in batches])
    buyers = bought[:, [NUM_ITEMS - 1]].nonzero()[0]
    assert set(buyers.tolist()) <= set(customer.tolist())
    assert len(buyers) < customer.size < NUM_CUSTOMERS


def test_tifu_weighs_a_basket_by_its_place_in_its_group():
    three = np.arange(4, dtype=np.int32)
    ones = np.ones(4, np.float32)
    lines = Histories(0 * three, three, three, three, ones, ones, ones, three, 0 * three, 1, 4)
    vector = tifu_vectors(lines, TifuSettings(num_groups=2, within_decay=0.5, group_decay=0.1)).toarray()[0]
    # Two groups of two baskets; newest basket last. Each weight is divided by group length and number of groups.
    np.testing.assert_allclose(vector, np.array([0.05, 0.1, 0.5, 1.0]) / 4, rtol=1e-6)


def test_neighbours_are_the_nearest_and_never_oneself(shop):
    vectors = shop.until(CUT).matrix()
    nearest = neighbours(vectors, 3)
    dense = vectors.toarray()
    distance = ((dense[:, None] - dense[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    for c in range(NUM_CUSTOMERS):
        assert nearest[c, c] == 0
        chosen = distance[c][nearest[c].indices]
        assert chosen.max() <= np.sort(distance[c])[2]


def test_recency_frequency_prefers_the_fresh_and_falls_back_to_popularity(shop):
    history = shop.until(CUT)
    scores = recency_frequency(history, CUT)(slice(0, 1))[0]
    own = set(history.item[history.customer == 0].tolist())
    best = set(np.argsort(-scores)[: len(own)].tolist())
    assert best == own
    rest = [i for i in np.argsort(-scores) if i not in own][:3]
    shared = popularity(history, CUT)(slice(0, 1))[0]
    assert rest == [i for i in np.argsort(-shared) if i not in own][:3]


def test_line_affinity_ranks_a_product_nobody_bought(shop, products):
    known = catalogue(products)
    history = shop.until(CUT)
    scores = line_affinity(history, known.line, known.kind, 140)(slice(0, NUM_CUSTOMERS))
    launch = NUM_ITEMS - 1
    siblings = (known.line == known.line[launch]).nonzero()[0]
    bought = np.isin(history.item, siblings)
    buyers = np.unique(history.customer[bought])
    others = np.setdiff1d(np.arange(NUM_CUSTOMERS), buyers)
    if others.size and buyers.size:
        assert scores[buyers, launch].min() > scores[others, launch].max()


def test_pairs_of_an_empty_history_are_found_nowhere(shop):
    nothing = shop.until(-1)
    empty = pairs(nothing, np.arange(NUM_ITEMS, dtype=np.int32), NUM_ITEMS, 0)
    assert empty.find(np.array([0, 1], np.int32), np.array([0, 1], np.int32)).tolist() == [-1, -1]


def test_the_trees_find_a_planted_preference_and_survive_their_text_form():
    rng = np.random.default_rng(2)
    features = rng.random((4000, 3)).astype(np.float32)
    label = rng.random(4000) < 0.02 + 0.5 * (features[:, 1] > 0.8)
    rows = TrainingRows(features, label, np.full(100, 40), np.ones(4000, np.float32), np.arange(100))
    names = ["a", "b", "c"]
    for objective in ("binary", "lambdarank"):
        trees = Trees(20, 7, 0.2, 20, 0.0, 0, objective)
        ranker = fit([rows], names, names, trees)
        score = ranker.score(features, names)
        assert score[features[:, 1] > 0.8].mean() > score[features[:, 1] <= 0.8].mean()
        assert max(ranker.gains(), key=ranker.gains().get) == "b"
        np.testing.assert_array_equal(Ranker.load(ranker.text()).score(features, names), score)
        assert fit([rows], names, names, trees).text() == ranker.text()


ONE_TREE = Trees(1, 2, 0.1, 1, 0.0, 0)


def test_a_shortlist_holds_each_customers_best_and_everything_where_little_is_there():
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(6000, 3)).astype(np.float32)
    label = rows[:, 0] + 0.3 * rng.normal(size=6000) > 1
    part = TrainingRows(rows, label, np.full(60, 100), np.ones(6000, np.float32), np.arange(60))
    forest = fit([part], ["a", "b", "c"], ["a", "b", "c"], Trees(50, 15, 0.1, 20, 1.0, 17))
    customer = np.repeat(np.arange(7, 67, dtype=np.int32), 100)
    near = forest.shortlist(rows, customer, 40)
    assert (np.bincount(customer[near] - 7) == 40).all()
    assert (np.diff(near) > 0).all()
    best = (
        np.argsort(-forest.score(rows, ["a", "b", "c"]).reshape(60, 100), axis=1)[:, :10] + 100 * np.arange(60)[:, None]
    )
    assert np.isin(best, near).all(), "the best ten by all trees are among the best 40 by the first fifth"
    assert (forest.shortlist(rows, customer, 100) == np.arange(6000)).all()


def test_batches_made_side_by_side_come_in_order_and_their_errors_too():
    def made(number: int) -> int:
        if number == 30:
            raise ValueError("the thirtieth")
        return number

    assert list(ahead(made, range(30))) == list(range(30))
    several = ahead(made, range(40))
    assert [next(several) for _ in range(30)] == list(range(30))
    with pytest.raises(ValueError, match="the thirtieth"):
        next(several)


def test_training_without_a_purchase_says_so():
    rows = TrainingRows(
        np.zeros((4, 1), np.float32), np.zeros(4, bool), np.array([4]), np.ones(4, np.float32), np.arange(1)
    )
    with pytest.raises(InputError, match="no candidate was bought"):
        fit([rows], ["a"], ["a"], ONE_TREE)


def test_a_forest_reads_its_own_columns_and_refuses_rows_without_them():
    rng = np.random.default_rng(3)
    table = rng.random((500, 4)).astype(np.float32)
    rows = TrainingRows(table, table[:, 2] > 0.7, np.array([500]), np.ones(500, np.float32), np.arange(1))
    ranker = fit([rows], list("abcd"), ["a", "c"], Trees(5, 4, 0.3, 5, 0.0, 0))
    assert ranker.features == ("a", "c")
    np.testing.assert_array_equal(ranker.score(table, list("abcd")), ranker.score(table[:, [2, 1, 0, 3]], list("cbad")))
    with pytest.raises(InputError, match="1 features that are not made here, first 'c'"):
        ranker.score(np.zeros((1, 2), np.float32), ["a", "b"])


def test_rows_are_split_by_customer():
    group = np.full(400, 3)
    owner = np.repeat(np.arange(400), 3)
    rows = TrainingRows(
        owner[:, None].astype(np.float32), owner % 2 == 0, group, np.ones(1200, np.float32), np.arange(400) + 7
    )
    held = np.zeros(500, bool)
    held[[7, 10, 406, 499]] = True
    first, second = rows.split(held)
    assert set(second.features[:, 0]) == {0, 3, 399}  # the customers 7, 10 and 406
    assert not set(first.features[:, 0]) & set(second.features[:, 0])
    assert first.label.size + second.label.size == 1200
    assert second.customer.tolist() == [7, 10, 406]
    assert second.group.sum() == second.label.size


def test_thinning_keeps_every_purchase_and_weighs_back_to_the_whole():
    rng = np.random.default_rng(0)
    label = rng.random(50_000) < 0.02
    own = rng.random(50_000) < 0.3
    keep, weight = thinned(label, own, 0.5, 0.2, rng)
    assert keep[label].all()
    assert keep[~label].mean() == pytest.approx(0.3 * 0.5 + 0.7 * 0.2, abs=0.01)
    assert weight[keep].sum() == pytest.approx(50_000, rel=0.01)


def test_top_items_are_exact_with_ties_to_the_lower_code():
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 50, (20, 300)).astype(np.float32)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    best = top_items(scores, 5)
    np.testing.assert_array_equal(best, expected)
    only_two = np.full((1, 6), -np.inf, np.float32)
    only_two[0, [4, 1]] = 1.0
    assert top_items(only_two, 4).tolist() == [[1, 4, -1, -1]]


def test_fill_puts_the_best_first_for_each_customer():
    lists = np.full((3, 2), -1, np.int32)
    customer = np.array([2, 0, 2, 2, 0], np.int32)
    fill(lists, customer, np.array([5, 6, 7, 8, 9], np.int32), np.array([0.1, 0.2, 0.9, 0.5, 0.2]))
    assert lists.tolist() == [[6, 9], [-1, -1], [7, 8]]


def test_masked_entries_never_come_first(shop):
    bought = shop.matrix()[:4]
    scores = np.ones((4, NUM_ITEMS), np.float32)
    mask_entries(scores, bought)
    assert np.isneginf(scores[bought.toarray() > 0]).all()
    assert (scores[bought.toarray() == 0] == 1).all()


def test_a_customer_whose_scores_are_all_equal_gets_the_first_items():
    assert top_items(np.zeros((2, 100_000), np.float32), 3).tolist() == [[0, 1, 2]] * 2


def test_a_task_without_a_product_has_empty_lists(shop, products):
    nothing = CandidateSet(statistics(shop, products), Budget(), None, np.zeros(0, np.int32), 28)
    lists = walk(line_scorer(nothing), nothing, ("all", "debut"), 5)
    assert (lists["debut"] == -1).all()
    assert (lists["all"] >= 0).all()


def test_where_nothing_was_bought_a_forest_orders_nothing_and_survives_its_text_form():
    silent = Ranker.load(Ranker.silent(["a", "b"]).text())
    rows = np.random.default_rng(1).random((5, 2)).astype(np.float32)
    assert silent.score(rows, ["a", "b"]).tolist() == [0.0] * 5
    assert (Paths(silent.booster).contributions(rows) == 0).all()
    assert silent.gains() == {"a": 0.0, "b": 0.0}


def test_no_candidates_have_no_labels():
    nothing = np.zeros(0, np.int32)
    batch = Batch(None, nothing, nothing, np.zeros((0, 1), np.float32))
    assert batch.label(sparse.csr_matrix((3, 3))).shape == (0,)
