"""Products that were put: found, recommended and beside others at once, under the shop's rules; the night's bundle with
the same product in its tables is the judge."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml

from nightmarket.contracts import InputError
from nightmarket.evaluation.protocol import Window
from nightmarket.ranking import behaviour
from nightmarket.ranking.sessions.orders import SessionOrders
from nightmarket.ranking.sessions.shop import build
from nightmarket.serving.live import Ask, LiveEvent, LiveRecommender, parts
from nightmarket.serving.live.answering import ShownFacts
from nightmarket.testing.shop import write_shop
from tasks.__main__ import main
from tasks.bundle import write
from tasks.files import manifest, storage
from tasks.files.prepared import Prepared
from tasks.live.products import ProductRow, frame
from tasks.merchandising.rules_file import ShopRules
from tasks.models import recommender

pytestmark = pytest.mark.slow
RULES = [
    {"hide": {"brand": "Grotto"}},
    {"least_age": 16, "products": {"brand": "Elder"}},
    {"least_stock": 3, "products": {"brand": "Rare"}},
]


class Shop:
    def __init__(self, folder, rules):
        self.folder, self.data = folder, Prepared()
        self.cut = self.data.windows.deliver.cut
        self.day = datetime(1970, 1, 1, 9, tzinfo=UTC) + timedelta(days=self.cut + 2)
        self.noon = self.day.timestamp() + 3 * 3600
        statistics = recommender.statistics(self.data, Window.after(self.cut))
        factors = behaviour.latent(statistics)
        shop = build(statistics, factors and factors.filed())
        (folder / "some-rules.yaml").write_text(yaml.safe_dump({"rules": rules}), encoding="utf-8")
        for name, of in (("plain", ShopRules()), ("ruled", ShopRules.load(folder / "some-rules.yaml", 10))):
            write(folder / name, shop, SessionOrders.plain(), self.data, "1", None, of)
        self.night, self.ruled = (LiveRecommender.open(folder / name) for name in ("plain", "ruled"))
        table = self.data.products[self.data.recommendable].sort_values("text_id")
        self.known = table.iloc[3]

    def path(self, row):
        return " > ".join(row[level] for level in ("department", "category", "type"))

    def row(self, product, **content):
        at = round(self.day.timestamp() * 1e6)
        return ProductRow(product, json.dumps({"title": product, **content}), at)

    def put(self, *rows, on=None):
        return (on or self.night).with_products(frame(rows, ZoneInfo("UTC")))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("put")
    write_shop(folder / "tables", num_customers=60, num_products=120, num_weeks=20, seed=5)
    section = {"source": "folder", "folder": "tables"}
    (folder / "params.yaml").write_text(yaml.safe_dump({"snapshot": section, "prepare": {"target_days": 21}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("NIGHTMARKET_HOME", raising=False)
        for stage in ("snapshot", "validate", "prepare"):
            assert main(stage) == 0
        yield Shop(folder, RULES)


def ids(answer):
    return [place.product for place in answer.products]


def test_a_new_product_is_found_recommended_and_has_a_place_beside_others(shop):
    path = shop.path(shop.known)
    title = f"Zwölffach gedämpfte 獬豸獬 {shop.known['title']}"
    live = shop.put(shop.row("n-1", title=title, category=path, brand=shop.known["brand"], price=12.5))
    assert not shop.night.knows("n-1")
    assert shop.night.search(Ask(shop.noon), "獬豸獬").products == ()
    for words in ("獬豸獬", "gedämpfte", "gedämpftes"):
        assert ids(live.search(Ask(shop.noon), words)) == ["n-1"]
    assert ids(live.search(Ask(shop.noon, price_to=12), "獬豸獬")) == []
    viewed = (LiveEvent("view", shop.known["product_id"], shop.noon - 60),)
    assert "n-1" in ids(live.recommend(Ask(shop.noon, count=100, events=viewed)))
    assert "n-1" in ids(live.recommend(Ask(shop.noon, count=200, category=path)))
    assert "n-1" in ids(live.recommend(Ask(shop.noon, count=200, brand=shop.known["brand"])))
    beside = live.similar("n-1", 5)
    kinds = shop.data.products.set_index("product_id").loc[ids(beside), "type"]
    assert len(beside.products) == 5
    assert (kinds == shop.known["type"]).all()
    assert "n-1" in ids(live.similar(shop.known["product_id"], 100))
    after = ids(live.recommend(Ask(shop.noon, count=5, events=(LiveEvent("view", "n-1", shop.noon - 9),))))
    assert "n-1" not in after
    assert len(set(after)) == 5
    assert live.version == shop.night.version
    assert live.bundle == shop.night.bundle


def test_what_is_put_beside_what_the_night_knows_changes_no_other_answer(shop):
    live = shop.put(shop.row("n-2", category="nothing > like > this", price=3.0))
    viewed = (LiveEvent("view", shop.known["product_id"], shop.noon - 60),)
    for ask in (Ask(shop.noon, count=30), Ask(shop.noon, count=30, events=viewed)):
        before, now = shop.night.recommend(ask).products, live.recommend(ask).products
        assert [place for place in now if place.product != "n-2"] == list(before)[: len(now)]
    assert ids(live.recommend(Ask(shop.noon, category="nothing > like > this", count=5))) == ["n-2"]


def test_a_changed_product_takes_on_what_was_put_and_keeps_what_was_done_with_it(shop):
    product, events = shop.known["product_id"], (LiveEvent("view", shop.known["product_id"], shop.noon - 60),)
    content = {"title": "Entirely renamed", "category": shop.path(shop.known), "price": 77777.0}
    live = shop.put(shop.row(product, **content))
    assert ids(live.search(Ask(shop.noon, price_from=77777, price_to=77777), "renamed")) == [product]
    assert ids(live.recommend(Ask(shop.noon, price_from=70000))) == [product]
    old = [place.product for place in shop.night.search(Ask(shop.noon, count=200), shop.known["title"]).products]
    assert product in old
    near = ids(shop.night.recommend(Ask(shop.noon, events=events)))
    assert len(set(near) & set(ids(live.recommend(Ask(shop.noon, events=events))))) >= len(near) // 2
    ended = shop.put(shop.row(product, **content, available_until=0))
    assert product not in ids(ended.recommend(Ask(shop.noon, count=200)))
    for path in ("one > of > its own", "another", None, shop.path(shop.known)):
        ended = shop.put(shop.row("alone", category=path), on=ended)
        assert "alone" in ids(ended.recommend(Ask(shop.noon, count=200, category=path)))
    back = shop.put(shop.row(product, **content), on=ended)
    assert product in ids(back.recommend(Ask(shop.noon, count=200)))


def test_stock_markets_age_and_days_of_sale_hold(shop):
    live = shop.put(
        shop.row("sold-out", stock=0), shop.row("there", stock=2), shop.row("abroad", markets="XX"),
        shop.row("adult", min_age=18), shop.row("later", available_from=2**52), shop.row("child", min_age=12),
        shop.row("service", not_a_product="fee"), shop.row("bare", description="\n"),
    )  # fmt: skip
    everything = set(ids(live.recommend(Ask(shop.noon, count=200))))
    mine = {"sold-out", "there", "abroad", "adult", "later", "child", "service", "bare"}
    assert everything & mine == {"there", "child", "bare", "abroad"}  # no customer has a market
    for market, sold in (("xx", True), ("de", False)):
        assert ("abroad" in ids(live.recommend(Ask(shop.noon, count=200, market=market)))) == sold
    assert "there" not in ids(live.recommend(Ask(shop.noon, count=200, out_of_stock=frozenset({"there"}))))
    assert "sold-out" in ids(live.recommend(Ask(shop.noon, count=200, back_in_stock=frozenset({"sold-out"}))))


def test_the_shops_rules_speak_of_what_was_put(shop):
    stocked = {"old": ("Elder", 5), "few": ("Rare", 2), "many": ("Rare", 5)}
    rows = [shop.row(name, brand=brand, stock=units) for name, (brand, units) in stocked.items()]
    rows += [shop.row("cave", brand="Grotto"), shop.row("free", brand="Free")]
    live = shop.put(*rows, on=shop.ruled)
    got = set(ids(live.recommend(Ask(shop.noon, count=200))))
    assert got & {"cave", "old", "few", "many", "free"} == {"old", "many", "free"}
    renamed = shop.put(shop.row("cave", brand="Free"), on=live)
    assert "cave" in ids(renamed.recommend(Ask(shop.noon, count=200)))
    assert set(ids(shop.put(*rows).recommend(Ask(shop.noon, count=200)))) >= {"cave", "few"}


def test_sizes_of_one_product_take_one_place(shop):
    live = shop.put(*(shop.row(f"shoe-{size}", group_id="shoe", price=5.0) for size in (40, 41)))
    live = shop.put(shop.row("shoe-42", group_id="shoe", price=5.0), on=live)
    got = [product for product in ids(live.recommend(Ask(shop.noon, count=200))) if product.startswith("shoe")]
    assert len(got) == 1


def test_products_put_one_by_one_or_together_are_the_same(shop):
    rows = [shop.row(f"m-{at}", category=f"a > {at % 3}", brand=f"b{at % 2}", price=float(at), title=f"word{at} 獬豸")
            for at in range(12)]  # fmt: skip
    together, single = shop.put(*rows), shop.night
    for row in rows:
        single = shop.put(row, on=single)
    for ask in (Ask(shop.noon, count=200), Ask(shop.noon, count=9, category="a > 1"), Ask(shop.noon, brand="b1")):
        assert set(ids(together.recommend(ask))) == set(ids(single.recommend(ask)))
    assert set(ids(together.search(Ask(shop.noon, count=50), "獬豸"))) == set(
        ids(single.search(Ask(shop.noon, count=50), "獬豸"))
    )
    again = shop.put(*rows, on=together)
    assert len(again._bundle.products) == len(together._bundle.products)
    assert again._bundle.words.items.indptr.size == together._bundle.words.items.indptr.size
    assert np.array_equal(again._bundle.shop.popularity, together._bundle.shop.popularity)


def test_a_message_finds_what_it_names_and_says_what_the_tables_do(shop):
    rows = [shop.row("d1", title="Red dress", brand="Nordwind", category="women > dresses", price=15.0),
            shop.row("d2", title="Blue dress", brand="Nordwind", category="women > dresses", price=25.0),
            shop.row("d3", title="红色连衣裙", brand="华为", category="女装 > 连衣裙", price=150.0)]  # fmt: skip
    live, ask = shop.put(*rows), Ask(shop.noon, count=5)
    said, answered, facts = live.assist(ask, "a red dress by Nordwind, size M, under twenty dollars")
    assert (said.brand, said.category, said.size, said.price_to) == ("Nordwind", "women > dresses", "M", 20)
    assert ids(answered) == ["d1"]
    assert facts == (ShownFacts("d1", "Red dress", "Nordwind", "dresses", 15.0),)
    assert ids(live.assist(ask, "两百以内的连衣裙")[1]) == ["d3"]
    assert set(ids(live.assist(ask, "dresses under $100")[1])) == {"d1", "d2"}
    assert live.assist(ask, "dresses under $1")[1].products == ()
    assert live.assist(ask, "我要退款")[1].products == ()
    gone = Ask(shop.noon, count=5, out_of_stock=frozenset({"d3"}))
    assert "d3" not in ids(live.assist(gone, "两百以内的连衣裙")[1])


def test_a_bundle_of_another_layout_is_refused_in_words(shop, tmp_path):
    for lost in ("catalogue.group", "past.item"):
        shutil.copytree(shop.folder / "plain", tmp_path / lost)
        state = tmp_path / lost / parts.STATE
        kept = {name: np.array(values) for name, values in parts.mapped(state / parts.ARRAYS).items() if name != lost}
        storage.write_tensors(kept, state / parts.ARRAYS)
        manifest.write(state)
        with pytest.raises(InputError, match="run the stage `bundle` again"):
            LiveRecommender.open(tmp_path / lost)
