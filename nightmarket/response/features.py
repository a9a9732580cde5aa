"""One row per customer and campaign: habits, past answers, affinity to the offers, likeness to those who answered.

Counts and amounts are given as log(1 + x), so that a linear model can use what trees use.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Float64s, Int32s
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.histories import Histories
from nightmarket.response.market import Campaign, Market

LINE_HALF_LIFE = 60.0
"""Days after which a purchase counts half."""


@dataclass(frozen=True)
class Affinity:
    """N customers, O offers; every array (N, O).

    items  fresh lines of products on the offer
    lines  fresh lines of the offer's product lines (a maker's goods of one kind), each by the offer's share of it
    kinds  the same for kinds of product
    last   days since a product on the offer was bought, 400 where never
    """

    items: Float32s
    lines: Float32s
    kinds: Float32s
    last: Float32s


def affinity(lines: Histories, catalogue: Catalogue, campaign: Campaign, day: int) -> Affinity:
    """From the customers' lines before `day`."""
    member = membership(campaign, catalogue.num_items)
    age = (day - lines.day).astype(np.float32)
    fresh = np.exp2(-age / LINE_HALF_LIFE)
    num_offers = len(campaign.offers)

    def level(codes: Int32s, shares: sparse.csr_matrix) -> Float32s:
        shape = (lines.num_customers, shares.shape[0])
        bought = sparse.coo_matrix((fresh, (lines.customer, codes[lines.item])), shape=shape).tocsr()
        return np.asarray((bought @ shares).todense(), np.float32)

    last = np.full((lines.num_customers, num_offers), 400, np.float32)
    on = np.diff(member.indptr)[lines.item] > 0
    if on.any():
        hit = member[lines.item[on]].tocoo()
        np.minimum.at(last, (lines.customer[on][hit.row], hit.col), np.minimum(age[on][hit.row], 400))
    return Affinity(
        items=level(np.arange(catalogue.num_items, dtype=np.int32), member),
        lines=level(catalogue.line, shares_of(member, catalogue.line)),
        kinds=level(catalogue.kind, shares_of(member, catalogue.kind)),
        last=last,
    )


def membership(campaign: Campaign, num_items: int) -> sparse.csr_matrix:
    """(I, O) 1 where the offer applies to the item."""
    offer = np.repeat(np.arange(len(campaign.offers)), [o.items.size for o in campaign.offers])
    item = np.concatenate([o.items for o in campaign.offers]) if campaign.offers else np.zeros(0, np.int32)
    ones = np.ones(item.size, np.float32)
    return sparse.coo_matrix((ones, (item, offer)), shape=(num_items, len(campaign.offers))).tocsr()


def shares_of(member: sparse.csr_matrix, codes: Int32s) -> sparse.csr_matrix:
    """(G, O) share of each code's items that an offer applies to."""
    num_codes = int(codes.max(initial=0)) + 1
    size = np.bincount(codes, minlength=num_codes)
    ones = np.ones(codes.size, np.float32)
    groups = sparse.coo_matrix((ones, (codes, np.arange(codes.size))), shape=(num_codes, codes.size)).tocsr()
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(size, 1)) @ groups @ member)


HALF_LIFE = 90.0
"""Days after which a purchase counts half."""
LIKENESS_PRIOR = 20.0
"""Answers that the answerers' mean basket is shrunk by."""


def likeness(market: Market, campaign: Campaign, customers: Int32s) -> dict[str, NDArray]:
    """Columns (N,) of the customers (N, ascending), from all that was known on the market's day.

    `alike` is Rocchio's relevance feedback (1971): a customer's mix of kinds of product, times the difference between
    the mean mix of those who answered campaigns and of all who were shown them.
    """
    everyone = np.union1d(customers, np.union1d(market.contacts.customer, market.answers.customer)).astype(np.int32)
    lines = market.of(everyone)
    fresh = np.exp2(-(market.day - lines.day) / HALF_LIFE)
    kind = market.catalogue.kind
    mix = _mix(lines.customer, kind[lines.item], fresh, (everyone.size, int(kind.max(initial=0)) + 1))
    here = np.searchsorted(everyone, customers)
    shown = np.searchsorted(everyone, market.contacts.customer)
    said = np.searchsorted(everyone, market.answered.customer)
    columns = {"alike": mix[here] @ _direction(mix, shown, said)}
    if market.vectors is not None:
        spread = sparse.csr_matrix(_mix(lines.customer, lines.item, fresh, (everyone.size, lines.num_items)))
        profile = _unit(spread @ market.vectors)
        columns["text_alike"] = profile[here] @ _direction(profile, shown, said)
        columns |= _text(market, campaign, profile[here])
    return columns


def _mix(rows: Int32s, codes: Int32s, weight: NDArray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Unit rows of log counts."""
    counts = sparse.coo_matrix((weight, (rows, codes)), shape=shape).tocsr()
    counts.data = np.log1p(counts.data)
    length = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(length, 1e-9)) @ counts)


def _direction(mix: sparse.csr_matrix | NDArray, shown: NDArray, said: NDArray) -> NDArray:
    """(D,) from those who were shown campaigns to those who answered, shrunk where there are few."""
    if said.size == 0 or shown.size == 0:
        return np.zeros(mix.shape[1])
    among, all_of = (np.bincount(rows, minlength=mix.shape[0]) / rows.size for rows in (said, shown))
    return np.asarray(mix.T @ (among - all_of)).ravel() * said.size / (said.size + LIKENESS_PRIOR)


def _text(market: Market, campaign: Campaign, profile: NDArray) -> dict[str, NDArray]:
    """Cosine of customers' texts and the offers' texts: of all offers together, and the best single one."""
    assert market.vectors is not None
    if not campaign.items.size:
        return {name: np.zeros(len(profile)) for name in ("text_match", "text_best")}
    member = membership(campaign, market.catalogue.num_items)
    offers = _unit(member.T @ market.vectors)
    return {
        "text_match": profile @ _unit(market.vectors[campaign.items].mean(axis=0, keepdims=True))[0],
        "text_best": (profile @ offers.T).max(axis=1),
    }


def _unit(vectors: NDArray) -> NDArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


Columns = dict[str, NDArray]
ANSWER_PRIOR = 2.0
"""Campaigns that a customer's response rate is shrunk by, towards what others would have done."""
NEVER = 400
"""Days since an event that never was."""


def shopping(lines: Histories, day: int) -> Columns:
    """How customers (N) shop, from their lines before `day`."""
    num = lines.num_customers
    age = day - lines.day
    new_basket = np.diff(lines.basket, prepend=-1) != 0  # baskets are numbered by customer, then day
    first, last = np.full(num, day), np.full(num, day - NEVER)
    np.minimum.at(first, lines.customer, lines.day)
    np.maximum.at(last, lines.customer, lines.day)
    columns: Columns = {}
    for name, span in {"4w": 28, "13w": 91, "ever": NEVER * 10}.items():
        inside = age <= span
        columns[f"baskets_{name}"] = np.log1p(np.bincount(lines.customer[inside & new_basket], minlength=num))
        columns[f"spend_{name}"] = np.log1p(np.bincount(lines.customer[inside], lines.value[inside], num))
    lately = age <= 91
    paid = np.bincount(lines.customer[lately], lines.value[lately], num)
    saved = np.bincount(lines.customer[lately], lines.discount[lately], num)
    reduced = np.bincount(lines.customer[lately], lines.discount[lately] > 0, num)
    count = np.bincount(lines.customer[lately], minlength=num)
    pair = np.unique(lines.customer[lately].astype(np.int64) * lines.num_items + lines.item[lately])
    columns["variety"] = np.log1p(np.bincount(pair // lines.num_items, minlength=num))
    columns["basket_value"] = columns["spend_13w"] - columns["baskets_13w"]
    columns["discount_share"] = saved / np.maximum(paid + saved, 1)
    columns["reduced_share"] = (reduced + 1) / (count + 4)
    columns["days_since_visit"] = np.log1p(np.minimum(day - last, NEVER))
    columns["days_known"] = np.log1p(np.maximum(day - first, 0))
    columns["trend"] = columns["spend_4w"] - np.log1p(np.expm1(columns["spend_13w"]) * 28 / 91)
    return columns


def coupon_use(market: Market, customers: Int32s) -> Columns:
    """How customers (N, ascending) use coupons of any kind, a campaign's or not, before the market's day."""
    place = np.full(market.histories.num_customers, -1)
    place[customers] = np.arange(customers.size)
    used = market.coupons.where(place[market.coupons.customer] >= 0)
    row, age = place[used.customer], market.day - used.day

    def count(owner: NDArray, weight: NDArray | None = None) -> NDArray:
        return np.log1p(np.bincount(owner, weight, customers.size))

    baskets = np.unique(np.stack([row, used.basket]), axis=1)[0]
    return {
        "coupons_13w": count(row[age <= 91]),
        "coupons_ever": count(row),
        "coupons_fresh": count(row, np.exp2(-age / 60)),
        "coupons_value": count(row, used.value.astype(float)),
        "coupons_baskets": count(baskets),
    }


def answered(market: Market, campaign: Campaign, customers: Int32s) -> Columns:
    """How customers (N, ascending) answered what they were shown before the market's day."""
    place = np.full(market.histories.num_customers, -1)
    place[customers] = np.arange(customers.size)

    def count(customer: Int32s, weight: NDArray | None = None) -> Float64s:
        rows = place[customer]
        known = rows >= 0
        return np.bincount(rows[known], None if weight is None else weight[known], customers.size).astype(float)

    shown, said = market.contacts, market.answered
    expected = _expected(market)
    ended = np.array([c.end_day < market.day for c in market.campaigns], bool)
    same = np.array([c.kind == campaign.kind for c in market.campaigns], bool)
    contacted, answered = count(shown.customer), count(said.customer)
    due = count(shown.customer, expected[shown.campaign])
    base = float(expected[ended].mean()) if ended.any() else 0.1
    columns: Columns = {
        "told": np.log1p(contacted),
        "answered": np.log1p(answered),
        "taken": np.log1p(count(market.answers.customer)),
        "answer_rate": (answered + ANSWER_PRIOR * base) / (contacted + ANSWER_PRIOR),
        "answer_lift": (answered + 0.3) / (due + 0.3),
        "told_kind": np.log1p(count(shown.customer, same[shown.campaign])),
        "answered_kind": np.log1p(count(said.customer, same[said.campaign])),
        "told_now": np.log1p(count(shown.customer, ~ended[shown.campaign])),
        "answered_now": np.log1p(count(said.customer, ~ended[said.campaign])),
        "fresh_taken": np.log1p(count(market.answers.customer, np.exp2(-(market.day - market.answers.day) / 60))),
    }
    columns["rate_kind"] = (np.expm1(columns["answered_kind"]) + ANSWER_PRIOR * columns["answer_rate"]) / (
        np.expm1(columns["told_kind"]) + ANSWER_PRIOR
    )
    columns["answer_lift"] = np.log(columns["answer_lift"])
    for name, events in {"days_since_told": shown, "days_since_answer": said}.items():
        last = np.full(market.histories.num_customers, market.day - NEVER)
        np.maximum.at(last, events.customer, events.day)
        columns[name] = np.log1p(np.minimum(market.day - last[customers], NEVER))
    return columns


def _expected(market: Market) -> Float32s:
    """(K,) share of those shown who responded so far, per campaign, shrunk towards the share over all."""
    said = np.bincount(market.answered.campaign, minlength=len(market.campaigns))
    share = (said.sum() + 1) / (market.shown.sum() + 10)
    return ((said + 20 * share) / (market.shown + 20)).astype(np.float32)


def context(market: Market, campaign: Campaign) -> dict[str, float]:
    """What is the same for every customer: the campaign's terms and how its kind did before."""
    expected = _expected(market)
    ended = [k for k, other in enumerate(market.campaigns) if other.end_day < market.day and market.shown[k]]
    alike = [k for k in ended if market.campaigns[k].kind == campaign.kind]
    weight = market.shown[ended].astype(float)
    base = float(np.average(expected[ended], weights=weight)) if ended else 0.1
    seen = float(market.shown[alike].sum())
    rate = (float((expected[alike] * market.shown[alike]).sum()) + 50 * base) / (seen + 50)
    return {
        "length": float(np.log1p(campaign.end_day - campaign.start_day + 1)),
        "num_offers": float(np.log1p(len(campaign.offers))),
        "num_items": float(np.log1p(campaign.items.size)),
        "kind_rate": float(np.log(rate / (1 - rate))),
    }


def campaign_rows(market: Market, campaign: Campaign, customers: Int32s) -> tuple[list[str], Float32s]:
    """Names (F,) and values (N, F) of the customers (N, ascending) and a campaign, as known on the market's day."""
    lines = market.of(customers)
    columns = shopping(lines, market.day) | answered(market, campaign, customers) | coupon_use(market, customers)
    fresh = np.bincount(lines.customer, np.exp2(-(market.day - lines.day) / 60), customers.size)
    columns |= likeness(market, campaign, customers) | {"known": market.known[customers]}
    columns |= on_offer(affinity(lines, market.catalogue, campaign, market.day), fresh)
    columns |= {name: np.full(customers.size, value) for name, value in context(market, campaign).items()}
    return list(columns), np.column_stack(list(columns.values())).astype(np.float32)


def on_offer(shares: Affinity, fresh: NDArray) -> dict[str, NDArray]:
    """A campaign's offers summed up per customer. fresh (N,): the customer's lines in all, halved every 60 days."""
    if shares.items.shape[1] == 0:
        nothing = np.zeros((fresh.size, 1), np.float32)
        shares = Affinity(nothing, nothing, nothing, nothing)
    best = -np.sort(-shares.items, axis=1)[:, :5]
    near = -np.sort(-shares.kinds, axis=1)[:, :5]
    return {
        "own_items": np.log1p(shares.items.sum(axis=1)),
        "own_lines": np.log1p(shares.lines.sum(axis=1)),
        "own_kinds": np.log1p(shares.kinds.sum(axis=1)),
        "own_share": shares.items.sum(axis=1) / (fresh + 5),
        "kind_share": shares.kinds.sum(axis=1) / (fresh + 5),
        "best_offer": np.log1p(best[:, 0]),
        "best_offers": np.log1p(best.sum(axis=1)),
        "near_offers": np.log1p(near.sum(axis=1)),
        "own_offers": np.log1p((shares.items > 0).sum(axis=1)),
        "days_since_item": np.log1p(shares.last.min(axis=1)),
    }
