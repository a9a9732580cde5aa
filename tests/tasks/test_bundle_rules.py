"""bundle: the shop's rules hold in live answers, at the moment of the answer; checked as those of the night are."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import yaml

from nightmarket.contracts import InputError
from nightmarket.delivery.rules.choosing import Chosen
from nightmarket.delivery.rules.declared import plain
from nightmarket.delivery.rules.tonight import Recipients
from nightmarket.evaluation.protocol import Window
from nightmarket.ranking.sessions.cycles import cycles
from nightmarket.ranking.sessions.orders import SessionOrders
from nightmarket.ranking.sessions.shop import build
from nightmarket.serving.live import Ask, LiveEvent, LiveRecommender
from tasks.bundle import write
from tasks.campaigns import tonight
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.merchandising.rules_file import ShopRules
from tasks.models import recommender
from tests.nightmarket.delivery.test_shop_rules import a_rule, check_lists

NUM, PEOPLE, FILES = 8, 6, 25
MARKETS = ("de", "at", "cn")
PICKED = "picked by the shop"


class RuledShop:
    """A night's tables with what rules look at, and the bundle of any file of rules."""

    def __init__(self, folder, seed=3):
        rng, data = np.random.default_rng(seed), Prepared()
        products, num = data.products, len(data.products)
        products["brand"] = np.where(rng.random(num) < 0.1, None, rng.choice(["Acme", "Bolt", "Corn", "Dune"], num))
        products["stock"] = np.where(rng.random(num) < 0.2, np.nan, rng.integers(1, 9, num))
        products["price"] = rng.integers(1, 9, num).astype(float)
        products["cost"] = np.where(rng.random(num) < 0.3, np.nan, products["price"] * rng.random(num))
        group = pd.Series([f"g{code}" for code in rng.integers(0, 12, num)])
        products["group_id"] = group.where(rng.random(num) < 0.3, None)
        catalogue.PRODUCTS.write(products)
        customers = data.customers.drop(columns=["attr_age", "birth_year"], errors="ignore")
        size = len(customers)
        born = np.where(rng.random(size) < 0.3, np.nan, 2015 - rng.integers(10, 60, size))
        customers = customers.assign(market=rng.choice([*map(str.upper, MARKETS), None], size), birth_year=born)
        catalogue.CUSTOMERS.write(customers)
        self.folder, self.data = folder, Prepared()
        self.cut = self.data.windows.deliver.cut
        self.today = date(1970, 1, 1) + timedelta(days=self.cut + 1)
        self.noon = (datetime(1970, 1, 1, 4, tzinfo=UTC) + timedelta(days=self.cut + 1)).timestamp()
        self.shop = build(recommender.statistics(self.data, Window.after(self.cut)), None)
        self.goods = tonight.deliverable(self.data)
        table = self.data.products.astype({"brand": object})
        self.table = table.where(table.notna(), None).assign(stock=table["stock"].astype(float), price=table["price"])
        lines = self.data.histories.until(self.cut)
        self.lines = lines
        self.days = cycles(lines.customer, lines.item, lines.day, self.data.catalogue)
        self.ids = self.data.products["product_id"].tolist()

    def live(self, entries, name="ruled"):
        path = self.folder / "some-rules.yaml"
        path.write_text(yaml.safe_dump({"rules": entries}), encoding="utf-8")
        place = self.folder / name
        write(place, self.shop, SessionOrders.plain(), self.data, "1", None, ShopRules.load(path, NUM))
        return LiveRecommender.open(place)

    def recipient(self, code, channel):
        if code < 0:
            return replace(Recipients.unknown(1, channel), bought=((), (), ()))
        mine = self.lines.customer == code
        bought = (
            np.zeros(mine.sum(), np.int32),
            self.lines.item[mine],
            (self.cut + 1 - self.lines.day[mine]).astype(np.int32),
        )
        market = self.data.customers["market"].iloc[code]
        market = plain(market) if isinstance(market, str) else None
        return Recipients(np.array([market], object), self.goods.age[[code]], channel, bought)

    def chosen(self, answer):
        items = [self.ids.index(place.product) for place in answer.products]
        pinned = [place.reason == PICKED for place in answer.products]
        short = NUM - len(items)
        return Chosen(
            np.array([items + [-1] * short], np.int32), np.full((1, NUM), -1), np.array([pinned + [False] * short])
        )


@pytest.fixture
def ruled(copied_night):
    return RuledShop(copied_night)


def ids(answer):
    return [place.product for place in answer.products]


@pytest.mark.slow
def test_live_answers_break_no_rule_of_random_files_at_any_step(ruled):
    rng = np.random.default_rng(8)
    free = ruled.live([], "free")
    popular = np.array([ruled.ids.index(product) for product in ids(free.recommend(Ask(ruled.noon, count=200)))])
    checked = 0
    while checked < FILES:
        entries = [a_rule(rng, ruled.table, ruled.today) for _ in range(int(rng.integers(1, 6)))]
        try:
            live = ruled.live(entries)
        except InputError:
            continue  # contradictions, which a night refuses too
        checked += 1
        for code in [-1, *rng.integers(0, len(ruled.data.customers), PEOPLE - 1).tolist()]:
            customer = ruled.data.customers["customer_id"].iloc[code] if code >= 0 else None
            channel = rng.choice(["app", "mail", None])
            met = tuple(LiveEvent("view", ruled.ids[item], ruled.noon - 9) for item in rng.integers(0, 100, 2))
            ask = Ask(ruled.noon, NUM, customer, met[: int(rng.integers(0, 3))], channel=channel)
            may = {*ids(free.recommend(replace(ask, count=200)))}
            on_sale = np.array([product in may for product in ruled.ids])
            known = (entries, ruled.table, ruled.goods.group, popular, ruled.recipient(code, channel), ruled.days)
            for step in ("reranked", "nightly", "popular"):
                chosen = ruled.chosen(live.answered(ask, step))
                check_lists(*known, chosen, on_sale, ruled.today)
            if not any("pin" in entry for entry in entries):
                tried = ruled.chosen(live.answered(replace(ask, explore=0.5), "reranked"))
                nothing = np.zeros(len(on_sale), bool)  # what is left out is left out by chance
                check_lists(*known, tried, nothing, ruled.today)


def test_stock_that_changed_since_the_night_decides_by_the_rules_own_limit(ruled):
    first = ids(ruled.live([]).recommend(Ask(ruled.noon)))
    live = ruled.live([{"least_stock": 3}])
    row = {product: at for at, product in enumerate(ruled.ids)}
    plenty, ask = [product for product in first if not ruled.table["stock"][row[product]] < 3], Ask(ruled.noon)
    assert set(plenty) <= set(ids(live.recommend(ask)))
    units = {plenty[0]: 2.0, plenty[1]: 3.0}
    now = ids(live.recommend(replace(ask, count=200, units=units)))
    assert plenty[0] not in now
    assert plenty[1] in now
    few = next(product for product, stock in zip(ruled.ids, ruled.table["stock"], strict=True) if stock < 3)
    assert few not in ids(live.recommend(replace(ask, count=200)))
    assert few in ids(live.recommend(replace(ask, count=200, units={few: 7.0})))


def test_what_is_bought_on_the_site_is_not_offered_again_from_the_next_answer_on(ruled):
    product = ids(ruled.live([]).recommend(Ask(ruled.noon)))[0]
    rows = np.flatnonzero(ruled.goods.group == ruled.goods.group[ruled.ids.index(product)])
    live, later = ruled.live([{"not_again": 3}]), ruled.noon + 86_400 * 400
    ask = Ask(later, count=200, events=(LiveEvent("purchase", product, later - 86_400 * 2),), again=True)
    assert product not in ids(live.recommend(ask))
    assert rows.size


def test_rules_begin_and_end_by_the_shops_own_midnight_without_a_new_night(ruled):
    product = ids(ruled.live([]).recommend(Ask(ruled.noon)))[3]
    tomorrow = ruled.today + timedelta(days=1)
    live = ruled.live([{"pin": {"id": product}, "valid_from": tomorrow, "valid_until": tomorrow}])
    firsts = [live.recommend(Ask(ruled.noon + 86_400 * day)).products[0] for day in range(3)]
    assert [place.product == product for place in firsts] == [False, True, False]
    assert firsts[1].reason == PICKED
    chinese = live.recommend(Ask(ruled.noon + 86_400, language="zh")).products[0]
    assert chinese.product == product
    assert chinese.reason != PICKED


def test_a_page_a_ranking_and_what_stands_beside_a_product_keep_the_limits(ruled):
    free = ruled.live([], "free")
    hidden = ids(free.recommend(Ask(ruled.noon)))[0]
    live = ruled.live([{"hide": {"id": hidden}}, {"cap": 1, "per": "type"}, {"bury": {"brand": "Acme"}}])
    kind = dict(zip(ruled.ids, ruled.table["type"], strict=True))
    page = ruled.table["department"][ruled.ids.index(hidden)]
    some = ids(free.recommend(Ask(ruled.noon, count=60)))
    answers = [live.recommend(Ask(ruled.noon, count=30, category=page)), live.rank(Ask(ruled.noon), some)]
    answers += [live.similar(some[1], 20), live.goes_with(some[1], 20)]
    for answer in answers:
        listed = [kind[product] for product in ids(answer)]
        assert hidden not in ids(answer)
        assert len(listed) == len({*listed})
    assert set(ids(answers[1])) <= set(some)
    brand = dict(zip(ruled.ids, ruled.table["brand"], strict=True))
    acme = [brand[product] == "Acme" for product in ids(answers[1])]
    assert acme == sorted(acme)
    assert True in acme
