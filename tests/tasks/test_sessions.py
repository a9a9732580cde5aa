"""sessions: a live site's questions, by ids, to what a whole night wrote."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from nightmarket.contracts import InputError
from nightmarket.ranking.sessions.learning import SessionOrders
from tasks.__main__ import main
from tasks.files import catalogue
from tasks.files.prepared import Prepared
from tasks.models.live import Live


@pytest.fixture
def live(copied_night) -> Live:
    assert main("sessions") == 0
    return Live.load()


def test_a_guest_is_answered_from_the_first_product_on(live):
    data = Prepared()
    now = datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=data.windows.deliver.cut + 1)
    met = data.products["product_id"][data.histories.item[-1]]
    answer = live.answer([(met, "view", now), ("no such product", "view", now)], now=now)
    assert len(answer) == 10
    assert met not in {place.product_id for place in answer}
    assert {place.product_id for place in answer} <= set(data.products.loc[data.recommendable, "product_id"])
    assert all(place.reason and place.title for place in answer)
    assert answer == live.answer([(met, "view", now)], now=now)
    gone = [place.product_id for place in answer[:3]]
    assert not set(gone) & {place.product_id for place in live.answer([(met, "view", now)], now=now, gone=gone)}


def test_with_nothing_known_it_is_what_most_buy_and_on_a_page_what_most_buy_of_it(live):
    data = Prepared()
    assert [place.product_id for place in live.answer()] == [live.product_ids[item] for item in live.shop.popular[:10]]
    kind = data.products.loc[data.recommendable, ["department", "category", "type"]].iloc[0].tolist()
    for depth in (1, 2, 3):
        page = " > ".join(kind[:depth])
        shown = {place.product_id for place in live.answer(category=page)}
        same = (data.products[["department", "category", "type"]].to_numpy()[:, :depth] == kind[:depth]).all(axis=1)
        assert shown
        assert shown <= set(data.products.loc[same, "product_id"])


def test_a_known_customer_is_answered_by_their_list_and_an_unknown_one_as_a_guest(copied_night):
    data = Prepared()
    customer = data.customers["customer_id"].iloc[3]
    chosen = data.products.loc[data.recommendable, "product_id"].iloc[[40, 7]].tolist()
    rows = {"customer_id": [customer] * 2, "rank": [1, 2], "product_id": chosen, "title": chosen, "score": [1.0, 0.5]}
    rows |= {"probability": [0.1, 0.1], "reason": ["", ""], "reason_kind": ["", ""]}
    catalogue.RECOMMENDATIONS.write(rows)
    assert main("sessions") == 0
    live = Live.load()
    answer = live.answer(customer=customer)
    assert [place.product_id for place in answer[:2]] == chosen
    assert answer != live.answer()
    assert live.answer(customer="nobody") == live.answer()


def test_an_answer_holds_nothing_out_of_stock_and_one_of_several_sizes(copied_night):
    path = "artifacts/prepare/products.parquet"
    products = pq.read_table(path).to_pandas()
    assert main("sessions") == 0
    first = [place.product_id for place in Live.load().answer(num=6)]
    stock = np.where(products["product_id"].isin(first[:2]), 0.0, 5.0)
    group = np.where(products["product_id"].isin(first[2:4]), "model", None)
    products.assign(stock=stock, group_id=group).to_parquet(path)
    shown = [place.product_id for place in Live.load().answer(num=6)]
    assert not set(first[:2]) & set(shown)
    assert first[2] in shown
    assert first[3] not in shown
    assert len(shown) == 6


def test_a_question_that_cannot_be_understood_is_one_line(live):
    with pytest.raises(InputError, match="category: no product has this path; one that there is: '"):
        live.answer(category="no > such page")
    with pytest.raises(InputError, match="events: no event is of the kind 'glance'; view, "):
        live.answer([("p", "glance", datetime.now(UTC))])


def test_a_shop_younger_than_the_days_that_teach_is_answered_by_what_goes_with_what(copied_night):
    (copied_night / "params.yaml").write_text("sessions: {days: 182}\n", encoding="utf-8")
    lines = pq.read_table("artifacts/prepare/purchases.parquet")
    recent = lines.filter(lines["day"].to_numpy() > lines["day"].to_numpy().max() - 100)
    pq.write_table(recent, "artifacts/prepare/purchases.parquet")
    assert main("sessions") == 0
    live = Live.load()
    assert live.orders == SessionOrders.plain()
    assert len(live.answer()) == 10


def test_what_is_out_of_stock_or_not_for_the_visitor_is_in_no_answer(live):
    popular = [place.product_id for place in live.answer()]
    products = Prepared().products
    row = {product: at for at, product in enumerate(products["product_id"])}
    products.loc[row[popular[0]], ["stock", "min_age"]] = [0, None]
    products.loc[row[popular[1]], ["stock", "min_age"]] = [1, 18]
    catalogue.PRODUCTS.write(products)
    customers = Prepared().customers.drop(columns="attr_age", errors="ignore")
    catalogue.CUSTOMERS.write(customers.assign(birth_year=[1980.0, *[float("nan")] * (len(customers) - 1)]))
    again = Live.load()
    shown = [place.product_id for place in again.answer()]
    assert len(shown) == 10
    assert not set(popular[:2]) & set(shown)
    adult, child = customers["customer_id"].iloc[:2]
    assert popular[0] not in {place.product_id for place in again.answer(customer=adult, num=200)}
    assert popular[1] in {place.product_id for place in again.answer(customer=adult, num=200, again=True)}
    assert popular[1] not in {place.product_id for place in again.answer(customer=child, num=200, again=True)}
