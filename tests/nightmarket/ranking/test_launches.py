"""Products without sales: who wants them is learned from other launches; a new one needs no training to be scored."""

import numpy as np
import pandas as pd
import pytest

from nightmarket.evaluation.metrics import audience_auc, rank_metrics
from nightmarket.histories.calendar import last_day, week_of
from nightmarket.histories.catalogue import catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.promotions import Promotions
from nightmarket.ranking.candidate_set import Budget, CandidateSet
from nightmarket.ranking.lists import fill
from nightmarket.ranking.point_in_time import PointInTimeStatistics
from nightmarket.ranking.ranker import Ranker, TrainingRows, Trees, fit

CUSTOMERS, KINDS, OLD, LAUNCHES = 240, 6, 60, 36
FIRST_CUT, CUT = last_day(15), last_day(19)
"""Cuts."""
NO_PROMOTIONS = Promotions(*(np.zeros(0, t) for t in (np.int32, np.int32, np.float32, np.float32)))


def products(num: int) -> pd.DataFrame:
    kind = np.arange(num) % KINDS
    return pd.DataFrame(
        {
            "department": "food",
            "category": [f"c{k // 2}" for k in kind],
            "type": [f"t{k}" for k in kind],
            "maker": [f"m{i % 4}" for i in range(num)],
            "brand": None,
            "text_id": np.arange(num) % 20,
            "recommendable": True,
        }
    )


@pytest.fixture(scope="module")
def shop() -> Histories:
    """Each customer buys one kind; products OLD.. come on sale after FIRST_CUT or CUT, and are tried by those
    who buy their kind."""
    rng = np.random.default_rng(8)
    rows = []
    for customer in range(CUSTOMERS):
        kind = customer % KINDS
        for week in range(24):
            for _ in range(2):
                rows.append((customer, kind + KINDS * int(rng.integers(0, OLD // KINDS)), week))
            for item in range(OLD, OLD + LAUNCHES):
                start = 16 if item < OLD + LAUNCHES // 2 else 20
                if week >= start and item % KINDS == kind and rng.random() < 0.08:
                    rows.append((customer, item, week))
    customer, item, week = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    day = (week * 7 + 4 + rng.integers(0, 7, week.size)).astype(np.int32)
    order = np.lexsort((day, customer))
    customer, item, week, day = (x[order] for x in (customer, item, week, day))
    basket = np.unique(np.stack([customer, day]), axis=1, return_inverse=True)[1].astype(np.int32).ravel()
    ones = np.ones(customer.size, np.float32)
    num_items = OLD + LAUNCHES
    return Histories(customer, item, week, day, ones, ones, 0 * ones, basket, 0 * basket, CUSTOMERS, num_items)


def candidate_set(
    shop: Histories,
    cut: int,
    launching: np.ndarray,
    num_items: int = OLD + LAUNCHES,
    promotions: Promotions = NO_PROMOTIONS,
    plan: bool = False,
) -> CandidateSet:
    statistics = PointInTimeStatistics(shop.until(cut), catalogue(products(num_items)), cut, promotions)
    return CandidateSet(statistics, Budget(), None, launching.astype(np.int32), 28, plan)


@pytest.fixture(scope="module")
def forest(shop: Histories) -> Ranker:
    """Trained on the launches after FIRST_CUT."""
    made = candidate_set(shop, FIRST_CUT, np.arange(OLD, OLD + LAUNCHES // 2))
    bought = shop.between(FIRST_CUT + 1, FIRST_CUT + 28).matrix()
    parts = []
    for batch in made.sampled_launches(bought, 0.5, np.random.default_rng(0)):
        label = np.asarray(bought[batch.customer, batch.item]).ravel() > 0
        who, group = np.unique(batch.customer, return_counts=True)
        parts.append(TrainingRows(batch.features, label, group, np.where(label, 1, 2).astype(np.float32), who))
    return fit(parts, made.launch_features, made.launch_features, Trees(30, 7, 0.2, 20, 1.0, 0))


def lists(made: CandidateSet, forest: Ranker) -> np.ndarray:
    places = np.full((CUSTOMERS, 10), -1, np.int32)
    for batch in made.launches():
        fill(places, batch.customer, batch.item, forest.score(batch.features, made.launch_features))
    return places


def test_launches_find_who_buys_their_kind_and_permuted_customers_lose_it(shop, forest):
    made = candidate_set(shop, CUT, np.arange(OLD + LAUNCHES // 2, OLD + LAUNCHES))
    window = shop.between(CUT + 1, CUT + 28)
    targets = window.where(window.item >= OLD + LAUNCHES // 2).targets()
    recommended = lists(made, forest)
    own = np.nanmean(rank_metrics(recommended, *targets, cutoffs=(10,))["ndcg@10"])
    other = np.random.default_rng(1).permutation(CUSTOMERS)
    theirs = np.nanmean(rank_metrics(recommended[other], *targets, cutoffs=(10,))["ndcg@10"])
    assert own > 0.5
    assert theirs < 0.5 * own


def test_an_audience_is_ranked_across_customers(shop, forest):
    items = np.arange(OLD + LAUNCHES // 2, OLD + LAUNCHES, dtype=np.int32)
    made = candidate_set(shop, CUT, items)
    scores = np.zeros((CUSTOMERS, items.size))
    for batch in made.audience(items):
        rows = slice(batch.customer[0], batch.customer[-1] + 1)
        scores[rows] = forest.score(batch.features, made.launch_features).reshape(-1, items.size)
    bought = shop.between(CUT + 1, CUT + 28).matrix()[:, items].toarray() > 0
    assert np.nanmean(audience_auc(scores, bought)) > 0.85


def test_a_new_product_and_a_new_customer_are_scored_by_the_forest_as_it_is(shop, forest):
    """One more product, one more customer with a single basket: neither was there when anything was trained."""
    new_item, new_customer = OLD + LAUNCHES, CUSTOMERS
    line = {"customer": new_customer, "item": 2, "week": 19, "day": CUT - 5, "basket": shop.basket.max() + 1}
    grown = {}
    for name, values in vars(shop).items():
        if name.startswith("num_"):
            grown[name] = values + 1
        elif values is not None:
            grown[name] = np.append(values, np.asarray(line.get(name, 1), values.dtype))
    made = candidate_set(Histories(**grown), CUT, np.array([new_item - 1, new_item]), new_item + 1)
    chance = {}
    for batch in made.audience(np.array([new_item], np.int32)):
        scores = forest.score(batch.features, made.launch_features)
        chance |= dict(zip(batch.customer.tolist(), scores.tolist(), strict=True))
    assert len(chance) == CUSTOMERS + 1
    assert np.isfinite(list(chance.values())).all()
    kind = new_item % KINDS
    buyers = [value for customer, value in chance.items() if customer < CUSTOMERS and customer % KINDS == kind]
    others = [value for customer, value in chance.items() if customer < CUSTOMERS and customer % KINDS != kind]
    assert min(buyers) > max(others)


def test_the_area_under_the_curve_equals_its_definition():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, (40, 3)).astype(float)
    bought = rng.random((40, 3)) < 0.3
    bought[:, 2] = False
    for column, area in enumerate(audience_auc(scores, bought)[:2]):
        yes, no = scores[bought[:, column], column], scores[~bought[:, column], column]
        pairs = (yes[:, None] > no).sum() + 0.5 * (yes[:, None] == no).sum()
        assert area == pytest.approx(pairs / (yes.size * no.size))
    assert np.isnan(audience_auc(scores, bought)[2])


SHOWN = OLD + LAUNCHES - 1
PROMOTIONS = Promotions(
    np.full(5, SHOWN, np.int32),
    np.array([-14, -9, -1, 1, 2], np.int32) + np.int32(week_of(CUT)),
    np.array([0.5, 0.0, 0.2, 0.0, 0.8], np.float32),
    np.array([0.0, 0.0, 1.0, 0.4, 0.0], np.float32),
)
"""Nothing is shown in the second of these weeks: a row of zeros is no promotion."""


def promoted(promotions: Promotions, plan: bool, shop: Histories) -> dict[int, dict[str, float]]:
    """The promotion features of two launches, the second of which was promoted."""
    items = np.array([SHOWN - 1, SHOWN], np.int32)
    made = candidate_set(shop, CUT, items, promotions=promotions, plan=plan)
    batch = next(made.audience(items))
    named = [name for name in made.launch_features if name.startswith(("display", "mailer", "promotion", "plan"))]
    return {
        int(item): {name: float(row[made.launch_features.index(name)]) for name in named}
        for item, row in zip(batch.item[:2], batch.features[:2], strict=True)
    }


def test_what_is_known_of_a_launchs_promotions(shop):
    features = promoted(PROMOTIONS, False, shop)
    assert features[SHOWN] == pytest.approx(
        {
            "display": 0.05,
            "mailer": 0.25,
            "display_now": 0.0,
            "mailer_now": 0.0,
            "display_most": 0.5,
            "promotion_since": 14,
            "promotion_ago": 1,
            "promotion_weeks": 1,
        }
    )
    never = features[SHOWN - 1]
    assert np.isnan([never.pop("promotion_since"), never.pop("promotion_ago")]).all()
    assert set(never.values()) == {0.0}


def test_a_launch_knows_its_coming_promotions_only_with_the_plan(shop):
    past = Promotions(**{name: values[:3] for name, values in vars(PROMOTIONS).items()})
    assert promoted(PROMOTIONS, False, shop)[SHOWN] == promoted(past, False, shop)[SHOWN]
    features = promoted(PROMOTIONS, True, shop)
    assert {name: value for name, value in features[SHOWN].items() if name.startswith("plan_")} == pytest.approx(
        {
            "plan_display": 0.2,
            "plan_mailer": 0.1,
            "plan_display_most": 0.8,
            "plan_mailer_most": 0.4,
            "plan_display_more": 0.15,
            "plan_weeks": 2,
            "plan_wait": 1,
            "plan_display_1": 0.0,
            "plan_display_2": 0.8,
            "plan_display_3": 0.0,
            "plan_display_4": 0.0,
        }
    )
    assert np.isnan(features[SHOWN - 1]["plan_wait"])
