"""bundle: a live site's questions, by ids, to what a whole night wrote."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from nightmarket.contracts import InputError
from nightmarket.serving.live import Ask, LiveEvent, LiveRecommender, parts
from tasks.__main__ import main
from tasks.files import catalogue, manifest, storage
from tasks.files.prepared import Prepared

BUNDLE = catalogue.BUNDLE.path


def opened() -> LiveRecommender:
    assert main("bundle") == 0
    return LiveRecommender.open(BUNDLE)


@pytest.fixture
def live(copied_night) -> LiveRecommender:
    return opened()


@pytest.fixture
def noon(live) -> float:
    """Of the day after the night."""
    return (datetime(1970, 1, 1, 4, tzinfo=UTC) + timedelta(days=live.made_from["cut"] + 1)).timestamp()


def ids(answer) -> list[str]:
    return [place.product for place in answer.products]


def test_a_guest_is_answered_from_the_first_product_on(live, noon):
    data = Prepared()
    met = data.products["product_id"][data.histories.item[-1]]
    ask = Ask(noon, events=(LiveEvent("view", met, noon), LiveEvent("view", "no such product", noon)))
    answer = live.recommend(ask)
    assert answer.step == "reranked"
    assert len(set(ids(answer))) == 10
    assert met not in ids(answer)
    assert set(ids(answer)) <= set(data.products.loc[data.recommendable, "product_id"])
    assert all(place.reason and place.propensity == 1 for place in answer.products)
    scores = [place.score for place in answer.products]
    assert scores == sorted(scores, reverse=True)
    assert answer == live.recommend(replace(ask, events=ask.events[:1]))
    gone = frozenset(ids(answer)[:3])
    assert not gone & set(ids(live.recommend(replace(ask, leave_out=gone))))
    assert not gone & set(ids(live.recommend(replace(ask, out_of_stock=gone))))


def test_an_event_counts_in_the_very_next_answer_and_a_guest_who_logs_in_keeps_theirs(live, noon):
    data = Prepared()
    nothing = Ask(noon)
    met = data.products["product_id"].iloc[int(data.histories.item[-1])]
    did = replace(nothing, events=(LiveEvent("cart", met, noon - 5),))
    assert ids(live.recommend(did)) != ids(live.recommend(nothing))
    assert any("cart" in place.reason for place in live.recommend(did).products)
    known = data.customers["customer_id"].iloc[3]
    assert ids(live.recommend(replace(did, customer=known))) != ids(live.recommend(Ask(noon, customer=known)))


def test_an_answer_for_the_basket_may_hold_what_the_visit_has_met(live, noon):
    product = ids(live.recommend(Ask(noon)))[0]
    ask = Ask(noon, count=200, events=(LiveEvent("cart", product, noon - 5),))
    assert product not in ids(live.recommend(ask))
    assert product in ids(live.recommend(replace(ask, again=True)))
    assert live.made_from["known_until"] < noon < live.made_from["known_until"] + 86_400


def test_a_page_holds_its_products_alone_and_so_do_a_brand_and_a_price(live, noon):
    data = Prepared()
    table = data.products.loc[data.recommendable]
    path = table[["department", "category", "type"]].iloc[0].tolist()
    for depth in (1, 2, 3):
        shown = set(ids(live.recommend(Ask(noon, category=" > ".join(path[:depth])))))
        same = (data.products[["department", "category", "type"]].to_numpy()[:, :depth] == path[:depth]).all(axis=1)
        assert shown
        assert shown <= set(data.products.loc[same, "product_id"])
    brand = table["brand"].iloc[0]
    shown = set(ids(live.recommend(Ask(noon, brand=brand, count=5))))
    assert shown
    assert shown <= set(table.loc[table["brand"] == brand, "product_id"])
    if table["list_price"].notna().any():
        low, high = table["list_price"].quantile([0.2, 0.5])
        shown = set(ids(live.recommend(Ask(noon, price_from=low, price_to=high))))
        assert shown
        assert shown <= set(table.loc[table["list_price"].between(low, high), "product_id"])


def with_lists(customer: str, chosen: list[str]) -> LiveRecommender:
    num = len(chosen)
    rows = {"customer_id": [customer] * num, "rank": range(1, num + 1), "product_id": chosen, "title": chosen}
    rows |= {"score": np.arange(num)[::-1], "probability": [0.1] * num, "reason": [""] * num, "reason_kind": [""] * num}
    catalogue.RECOMMENDATIONS.write({name: list(values) for name, values in rows.items()})
    return opened()


def test_a_known_customer_is_answered_by_their_list_and_an_unknown_one_as_a_guest(live, noon):
    data = Prepared()
    customer = data.customers["customer_id"].iloc[3]
    chosen = data.products.loc[data.recommendable, "product_id"].iloc[[40, 7]].tolist()
    known = set(live.why(customer).events)
    live = with_lists(customer, chosen)
    resting = {event.product for event in known if event.kind == "purchase"}
    assert ids(live.recommend(Ask(noon, customer=customer)))[:2] == [it for it in chosen if it not in resting]
    assert live.recommend(Ask(noon, customer=customer)) != live.recommend(Ask(noon))
    assert live.recommend(Ask(noon, customer="nobody")) == live.recommend(Ask(noon))


def test_with_less_time_the_answer_is_the_list_of_the_night_and_then_what_is_in_demand(live, noon):
    data = Prepared()
    customer = data.customers["customer_id"].iloc[3]
    chosen = data.products.loc[data.recommendable, "product_id"].iloc[[40, 7]].tolist()
    live = with_lists(customer, chosen)
    ask = Ask(noon, customer=customer, count=6)
    live.recommend(ask)
    assert live.recommend(replace(ask, budget_ms=10_000)).step == "reranked"
    listed = live.recommend(replace(ask, budget_ms=0.01))
    assert listed.step == "nightly"
    assert ids(listed)[:2] == chosen
    assert len(set(ids(listed))) == 6
    assert live.recommend(replace(ask, budget_ms=0.01)).step == "popular"
    assert live.recommend(Ask(noon, budget_ms=0)).step == "popular"
    assert any(live.recommend(replace(ask, budget_ms=0.01)).step == "reranked" for _ in range(1000))  # tried again
    page = data.products.loc[data.recommendable, "department"].iloc[0]
    popular = ids(live.recommend(Ask(noon, category=page, budget_ms=0)))
    assert set(popular) <= set(data.products.loc[data.products["department"] == page, "product_id"])


def test_an_answer_holds_nothing_out_of_stock_and_one_of_several_sizes(live, noon):
    path = "artifacts/prepare/products.parquet"
    products = pq.read_table(path).to_pandas()
    first = ids(live.recommend(Ask(noon, count=6)))
    stock = np.where(products["product_id"].isin(first[:2]), 0.0, 5.0)
    group = np.where(products["product_id"].isin(first[2:4]), "model", None)
    products.assign(stock=stock, group_id=group).to_parquet(path)
    live = opened()
    shown = ids(live.recommend(Ask(noon, count=6)))
    assert not set(first[:2]) & set(shown)
    assert len(set(first[2:4]) & set(shown)) == 1
    assert len(shown) == 6
    back = ids(live.recommend(Ask(noon, count=200, back_in_stock=frozenset(first[:1]))))
    assert first[0] in back
    assert first[1] not in back


def test_what_is_not_sold_in_the_market_or_to_the_age_is_in_no_answer(live, noon):
    popular = ids(live.recommend(Ask(noon)))
    products = Prepared().products
    row = {product: at for at, product in enumerate(products["product_id"])}
    products["markets"] = None
    products.loc[row[popular[0]], "markets"] = "AT, DE"
    products.loc[row[popular[1]], "min_age"] = 18
    catalogue.PRODUCTS.write(products)
    customers = Prepared().customers.drop(columns="attr_age", errors="ignore")
    born = [1980.0, *[float("nan")] * (len(customers) - 1)]
    catalogue.CUSTOMERS.write(customers.assign(birth_year=born, market=["DE"] * (len(customers) - 1) + ["FR"]))
    live = opened()
    adult, child, abroad = customers["customer_id"].iloc[[0, 1, -1]]
    every = Ask(noon, count=200)
    may = {who: set(ids(live.recommend(replace(every, customer=who)))) for who in (adult, child, abroad, None)}
    bought = {event.product for who in (adult, child) for event in live.why(who).events}
    assert popular[1] in may[adult] | bought
    assert not any(popular[1] in may[who] for who in (child, abroad, None))
    assert popular[0] in may[adult] | may[child] | bought
    assert popular[0] not in may[abroad] | may[None]
    assert popular[0] in ids(live.recommend(replace(every, market="de")))
    assert popular[0] not in ids(live.recommend(replace(every, customer=adult, market="FR")))


def test_what_was_shown_five_times_rests_until_something_is_done_with_it(live, noon):
    first = ids(live.recommend(Ask(noon)))[0]
    shown = tuple(LiveEvent("impression", first, noon - 60 + second) for second in range(5))
    assert first in ids(live.recommend(Ask(noon, events=shown[:4])))
    assert first not in ids(live.recommend(Ask(noon, events=shown)))


def test_who_objected_to_profiling_gets_what_is_in_demand_whatever_they_do(live, noon):
    customers = Prepared().customers
    customer = customers["customer_id"].iloc[0]
    catalogue.CUSTOMERS.write(customers.assign(objected=customers["customer_id"] == customer))
    live = opened()
    met = Prepared().products["product_id"].iloc[0]
    answer = live.recommend(Ask(noon, customer=customer, events=(LiveEvent("cart", met, noon),)))
    assert answer.step == "popular"
    assert answer.products == live.recommend(Ask(noon, budget_ms=0)).products
    assert live.why(customer).objected
    assert not live.why(customer).events


def test_exploring_gives_places_to_chance_and_says_with_which(live, noon):
    calm = ids(live.recommend(Ask(noon, count=5)))
    often = [live.recommend(Ask(noon, count=5, explore=0.5)) for _ in range(40)]
    firsts = [answer.products[0] for answer in often]
    pool = 25
    for place in firsts:
        best = place.product == calm[0]
        assert place.propensity == pytest.approx(0.5 / pool + 0.5 * best)
    assert 8 <= sum(place.product == calm[0] for place in firsts) <= 35
    assert all(len(set(ids(answer))) == 5 for answer in often)


def test_these_products_are_put_in_order_for_the_visitor(live, noon):
    products = ids(live.recommend(Ask(noon, count=12)))
    met = products[7]
    answer = live.rank(Ask(noon, events=(LiveEvent("cart", met, noon),)), [*products, "no such product"])
    assert sorted(ids(answer)) == sorted(products)


def test_beside_a_product_stand_others_that_may_be_shown(live, noon):
    data = Prepared()
    product = ids(live.recommend(Ask(noon)))[0]
    kind = data.products.set_index("product_id")["type"]
    alternatives = ids(live.similar(product, 5))
    assert len(set(alternatives)) == 5
    assert (kind[alternatives] == kind[product]).sum() >= 3
    beside = live.goes_with(product, 5).products
    assert beside
    assert product not in {*alternatives, *(place.product for place in beside)}
    for ask in (live.similar, live.goes_with):
        with pytest.raises(InputError, match="product: the night knows no product of this id"):
            ask("no such product", 5)


def test_words_find_products_that_can_be_had_also_where_a_letter_is_missing(live, noon):
    data = Prepared()
    table = data.products.loc[data.recommendable]
    row = table.loc[table["title"].str.isascii() & (table["title"].str.split().str.len() > 1)].iloc[0]
    ask = Ask(noon, count=200)
    first = ids(live.search(ask, row["title"]))
    assert row["product_id"] in first
    assert set(first) <= set(table["product_id"])
    longest = max(row["title"].split(), key=len)
    torn = row["title"].replace(longest, longest[:-2] + longest[-1])
    assert row["product_id"] in ids(live.search(ask, torn))
    dear = table.loc[table["product_id"].isin(first), "list_price"].median()
    cheap = ids(live.search(replace(ask, price_to=float(dear)), row["title"]))
    assert 0 < len(cheap) < len(first)
    gone = frozenset(first[:1])
    assert gone.isdisjoint(ids(live.search(replace(ask, out_of_stock=gone), row["title"])))
    bought = tuple(LiveEvent("purchase", first[0], noon - second) for second in (9, 8))
    assert first[0] not in ids(live.recommend(replace(ask, events=bought)))
    assert first[0] in ids(live.search(replace(ask, events=bought), row["title"]))  # who asks for it may buy it again
    assert not live.search(ask, "qqqqqq").products
    with pytest.raises(InputError, match="query: say what to look for"):
        live.search(ask, "?!")


def test_a_bundle_of_before_there_was_a_search_answers_all_else(live, noon):
    arrays = {name: np.array(values) for name, values in parts.mapped(BUNDLE / "state/arrays.safetensors").items()}
    storage.write_tensors(
        {name: values for name, values in arrays.items() if not name.startswith("words.")},
        BUNDLE / "state/arrays.safetensors",
    )
    manifest.write(BUNDLE / "state")
    older = LiveRecommender.open(BUNDLE)
    assert ids(older.recommend(Ask(noon))) == ids(live.recommend(Ask(noon)))
    with pytest.raises(InputError, match="the night's bundle holds no words"):
        older.search(Ask(noon), "milk")


def test_why_says_what_the_night_knows(live):
    data = Prepared()
    customer = data.customers["customer_id"].iloc[3]
    said = live.why(customer)
    assert said.known
    own = data.products["product_id"].to_numpy()[data.histories.item[data.histories.customer == 3]]
    assert {event.product for event in said.events} <= set(own)
    assert sum(share for _, share in said.kinds) == pytest.approx(1)
    assert not live.why("nobody").known


def test_a_question_that_cannot_be_understood_is_one_line(live, noon):
    with pytest.raises(InputError, match="category: no product has this one; one that there is: '"):
        live.recommend(Ask(noon, category="no > such page"))
    with pytest.raises(InputError, match="events: no event is of the kind 'glance'; view, "):
        Ask(noon, events=(LiveEvent("glance", "p", noon),))
    with pytest.raises(InputError, match="count: at least 1"):
        Ask(noon, count=0)
    with pytest.raises(InputError, match="explore: a share"):
        Ask(noon, explore=2)
    with pytest.raises(InputError, match="the lower one first"):
        Ask(noon, price_from=2, price_to=1)


def test_a_shop_younger_than_the_days_that_teach_is_answered_by_what_goes_with_what(copied_night):
    (copied_night / "params.yaml").write_text("bundle: {days: 182}\n", encoding="utf-8")
    lines = pq.read_table("artifacts/prepare/purchases.parquet")
    recent = lines.filter(lines["day"].to_numpy() > lines["day"].to_numpy().max() - 100)
    pq.write_table(recent, "artifacts/prepare/purchases.parquet")
    live = opened()
    facts = json.loads((BUNDLE / "model/facts.json").read_text())
    assert facts["orders"]["next"]["order"] == "score_near"
    assert len(live.recommend(Ask(86_400.0 * (live.made_from["cut"] + 2))).products) == 10


@pytest.mark.parametrize("name", ["model/arrays.safetensors", "state/facts.json", "state/arrays.safetensors"])
def test_a_damaged_or_missing_file_is_one_line_and_opens_nothing(live, name):
    path = BUNDLE / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(InputError, match="differs from its checksum; run the stage `bundle` again"):
        LiveRecommender.open(BUNDLE)
    path.unlink()
    with pytest.raises(InputError, match="is missing; run the stage `bundle` again"):
        LiveRecommender.open(BUNDLE)


def test_the_model_half_knows_no_customer_and_serves_another_nights_state(live, noon):
    customers = Prepared().customers["customer_id"]
    model = (BUNDLE / "model/arrays.safetensors").read_bytes()
    assert not any(name.encode() in model for name in customers)
    before = live.recommend(Ask(noon))
    kept = BUNDLE.parent / "kept"
    shutil.copytree(BUNDLE / "model", kept)
    lines, products = catalogue.PURCHASES.read().to_pandas(), Prepared().products
    turned = np.arange(len(products))[::-1]
    catalogue.PRODUCTS.write(products.iloc[turned])
    catalogue.PURCHASES.write(lines.assign(item=turned[lines["item"]].astype(np.int32)))
    fresh = opened()
    old = LiveRecommender.open(BUNDLE, model=kept)
    assert old.bundle != fresh.bundle == LiveRecommender.bundle_of(BUNDLE)
    met = before.products[0].product
    ask = Ask(noon, count=6, events=(LiveEvent("view", met, noon),))
    assert {place.reason for place in old.recommend(ask).products} == {
        place.reason for place in live.recommend(ask).products
    }
