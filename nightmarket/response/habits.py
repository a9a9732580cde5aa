"""What is known of a customer before a campaign: how they shop, and how they answered earlier campaigns.

Counts and amounts are given as log(1 + x), so that a linear model can use what trees use.
"""

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float32s, Float64s, Int32s
from nightmarket.histories import Histories
from nightmarket.response.market import Campaign, Market

Columns = dict[str, NDArray]
PRIOR = 2.0
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
    told, answered, due = count(shown.customer), count(said.customer), count(shown.customer, expected[shown.campaign])
    base = float(expected[ended].mean()) if ended.any() else 0.1
    columns: Columns = {
        "told": np.log1p(told),
        "answered": np.log1p(answered),
        "taken": np.log1p(count(market.answers.customer)),
        "answer_rate": (answered + PRIOR * base) / (told + PRIOR),
        "answer_lift": (answered + 0.3) / (due + 0.3),
        "told_kind": np.log1p(count(shown.customer, same[shown.campaign])),
        "answered_kind": np.log1p(count(said.customer, same[said.campaign])),
        "told_now": np.log1p(count(shown.customer, ~ended[shown.campaign])),
        "answered_now": np.log1p(count(said.customer, ~ended[said.campaign])),
        "fresh_taken": np.log1p(count(market.answers.customer, np.exp2(-(market.day - market.answers.day) / 60))),
    }
    columns["rate_kind"] = (np.expm1(columns["answered_kind"]) + PRIOR * columns["answer_rate"]) / (
        np.expm1(columns["told_kind"]) + PRIOR
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
