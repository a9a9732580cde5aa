"""Made-up shops: their truth says how often what is bought, and the same seed makes the same shop."""

from dataclasses import replace

import numpy as np
import pytest

from bench.shops import truth as truths
from bench.shops.assortment import make_assortment
from bench.shops.clientele import make_clientele
from bench.shops.profiles import PROFILES
from bench.shops.tables import make_shop, write_shop
from bench.shops.truth import START_DAY, Truth
from bench.shops.visits import PURCHASE, WEEK, Simulation

SMALL = {"num_customers": 250, "num_products": 200, "weeks": 20, "season_weeks": 8}
SEED = 3


def small(name: str, **changes):
    """A profile's shop in which a test can count."""
    return replace(PROFILES[name], **(SMALL | changes))


def futures(profile, week: int, num: int):
    """The truth, and how many of `num` futures from a Monday on had each purchase in the next four weeks, (C, P)."""
    assortment = make_assortment(profile, np.random.default_rng([SEED, 1]))
    clientele = make_clientele(profile, assortment, np.random.default_rng([SEED, 2]))
    bought = np.zeros((profile.num_customers, profile.num_products))
    truth = None
    for future in range(num):
        diary = Simulation(profile, assortment, clientele, SEED).run((week, 1000 + future))
        lines = diary.events.where(diary.events.kind == PURCHASE)
        if truth is None:
            columns = (lines.customer, lines.product, lines.second)
            ids = np.arange(profile.num_customers), np.arange(profile.num_products)
            truth = Truth(profile, SEED, assortment, clientele, diary.spells, diary.decided, columns, *ids)
        inside = (lines.second >= week * WEEK) & (lines.second < (week + 4) * WEEK)
        lines = lines.where(inside & (lines.customer < profile.num_customers))
        np.maximum.at(counts := np.zeros_like(bought), (lines.customer, lines.product), 1)
        bought += counts
    return truth, bought


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion", "electronics"])
def test_products_are_bought_as_often_as_the_truth_says(name):
    """From one state of the shop on, many futures: pair by pair, and in sum."""
    num, week = 60, 14
    truth, bought = futures(small(name, sessions=60.0), week, num)
    chance = truth.probabilities(START_DAY + 7 * week - 1, 28, np.arange(SMALL["num_customers"])).astype(float)
    assert not bought[chance == 0].any()
    spread = np.sqrt(num * (chance * (1 - chance)).sum())
    assert abs(bought.sum() - num * chance.sum()) < 3 * spread + 0.02 * bought.sum()
    often = num * chance > 2
    off = (bought - num * chance)[often] / np.sqrt(num * chance * (1 - chance))[often]
    assert often.sum() > 80
    assert abs(off.mean()) < 0.2
    assert 0.75 < off.var() < 1.3


@pytest.mark.slow
def test_the_truth_holds_between_mondays_too():
    truth, bought = futures(small("fashion", wish_ends=0.3), 14, 40)
    everybody = np.arange(SMALL["num_customers"])
    whole = truth.expected(START_DAY + 7 * 14 - 1, 28, everybody)
    first = truth.expected(START_DAY + 7 * 14 - 1, 10, everybody)
    assert (first <= whole + 1e-6).all()
    assert first.sum() / whole.sum() == pytest.approx(10 / 28, rel=0.15)
    assert bought.sum() / 40 == pytest.approx(whole.sum(), rel=0.12)


def test_purchases_of_one_future_fall_where_the_probability_is():
    profile = small("fashion", sessions=60.0)
    _, truth = make_shop(profile, SEED)
    cut = START_DAY + 7 * 16 - 1
    chance = truth.probabilities(cut, 28, np.arange(profile.num_customers))
    who, product, second = truth.bought
    inside = second >= 16 * WEEK
    bought = np.zeros(chance.shape, bool)
    bought[who[inside], product[inside]] = True
    order = np.argsort(-chance, axis=None)
    for group in np.array_split(order, 8)[:3]:
        expected = float(chance.reshape(-1)[group].sum())
        assert bought.reshape(-1)[group].sum() == pytest.approx(expected, abs=4 * np.sqrt(expected) + 1)
    assert bought[chance == 0].sum() == 0


def test_the_same_seed_makes_the_same_shop_and_another_seed_another():
    profile = small("marketplace", num_customers=60, bot_views=50)
    first, second, other = (make_shop(profile, seed)[0] for seed in (1, 1, 2))
    assert all(first[name].equals(second[name]) for name in first)
    assert not first["events"].equals(other["events"])


def test_a_truth_that_was_written_says_the_same(tmp_path):
    profile = small("electronics", num_customers=60)
    write_shop(tmp_path, profile, SEED)
    _, truth = make_shop(profile, SEED)
    read = truths.load(tmp_path / "truth")
    cut, some = START_DAY + 100, np.arange(20)
    assert read.profile == profile
    assert (read.product_ids == truth.product_ids).all()
    assert np.array_equal(read.probabilities(cut, 28, some), truth.probabilities(cut, 28, some))


def test_a_fashion_shop_has_what_its_description_says():
    tables, _ = make_shop(PROFILES["fashion"].scaled(0.1), SEED)
    events, products = tables["events"].to_pandas(), tables["products"].to_pandas()
    counts = events["kind"].value_counts()
    assert 0.3 < counts["cart"] / events["basket_id"].nunique() < 0.4
    assert 0.4 < counts["purchase"] / counts["cart"] < 0.5
    views = events[events["kind"] == "view"].groupby("basket_id").size()
    assert views.max() <= 8
    assert 4.5 < views.mean() < 5.5
    bought = events[events["kind"] == "purchase"].merge(
        events[events["kind"] == "view"], on=["basket_id", "customer_id", "product_id"], suffixes=("", "_view")
    )
    assert bought.drop_duplicates(["basket_id", "product_id"]).shape[0] == counts["purchase"]
    assert (bought["timestamp"] > bought["timestamp_view"]).any()
    assert products["group_id"].value_counts().max() == 4
    assert events["timestamp"].is_monotonic_increasing
    assert events.loc[events["kind"] == "search", "query"].str.len().min() > 0


def test_nobody_buys_what_is_not_on_sale():
    tables, _ = make_shop(small("fashion"), SEED)
    joined = tables["events"].to_pandas().merge(tables["products"].to_pandas(), on="product_id")
    joined = joined[joined["kind"] != "return"]
    assert (joined["timestamp"] >= joined["available_from"]).all()
    assert (joined["timestamp"] < joined["available_until"]).all()


def test_a_marketplace_has_guests_and_bots_and_its_customers_are_known():
    profile = replace(PROFILES["marketplace"].scaled(0.05, 0.05), bots=2, bot_views=2000)
    tables, truth = make_shop(profile, SEED)
    events = tables["events"].to_pandas()
    sessions = events[~events["basket_id"].duplicated()]
    assert 0.25 < sessions["customer_id"].isna().mean() < 0.45
    a_day = events.groupby(["customer_id", events["timestamp"].dt.date]).size()
    assert set(a_day[a_day > 1000].reset_index()["customer_id"]).isdisjoint(truth.customer_ids)
    assert a_day.max() == 2000


@pytest.mark.parametrize("name", ["random", "one_product", "newcomers", "no_texts", "fashion_zh", "passing"])
def test_a_breaker_is_a_whole_shop(name):
    changes = {"num_products": 1} if name == "one_product" else {}
    tables, truth = make_shop(small(name, num_customers=150, **changes), SEED)
    cut = START_DAY + 7 * 16 - 1
    chance = truth.probabilities(cut, 28, np.arange(150))
    assert chance.shape == (150, tables["products"].num_rows)
    assert np.isfinite(chance).all()
    assert (tables["events"]["kind"].to_pandas() == "purchase").any()
    assert (tables["products"]["title"].null_count == tables["products"].num_rows) == (name == "no_texts")


def test_in_a_random_shop_everybody_buys_everything_on_sale_alike():
    profile = small("random")
    _, truth = make_shop(profile, SEED)
    cut = START_DAY + 7 * 15 - 1
    chance = truth.expected(cut, 7, np.arange(250))
    live = truth.on_sale(cut, 7)
    assert (chance[:, ~live] == 0).all()
    spread = chance[:, live].max(axis=1) / np.maximum(chance[:, live].min(axis=1), 1e-12)
    assert np.median(spread) < 1.01
