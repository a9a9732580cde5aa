"""What a group buys and says, when, and how much: figures for a portrait."""

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.histories.histories import Histories
from nightmarket.segments.behaviour import PARTS, Assortment, Visits, amounts, open_days

LEAST_SHARE = 0.005
"""A category counts in a portrait from this share of the group's spend."""


def bought(lines: Histories, assortment: Assortment, member_C: Bools, num: int = 5) -> list[dict[str, Any]]:
    """Categories that the group buys more than all customers: lift of the share of spend, highest first; of units
    where nothing says what was paid.

    member_C  (C,) who is in the group; a category counts from .5% of the group's spend and 20 of its people
    """
    category = assortment.category[lines.item]
    inside = member_C[lines.customer]
    size = len(assortment.names)
    amount = amounts(lines)
    everybody = np.bincount(category, weights=amount, minlength=size)
    group = np.bincount(category[inside], weights=amount[inside], minlength=size)
    people = np.unique(lines.customer[inside].astype(np.int64) * size + category[inside]) % size
    buyers = np.bincount(people, minlength=size)
    share, usual = group / max(group.sum(), 1e-9), everybody / max(everybody.sum(), 1e-9)
    lift = share / np.maximum(usual, 1e-12)
    counts = (buyers >= MIN_GROUP) & (share >= LEAST_SHARE) & (lift > 1)
    order = np.flatnonzero(counts)[np.argsort(-lift[counts], kind="stable")][:num]
    return [
        {
            "category": assortment.names[i],
            "lift": float(lift[i]),
            "share": float(share[i]),
            "share_all": float(usual[i]),
            "buyers": int(buyers[i]),
        }
        for i in order
    ]


def more_often(
    counts_CT: NDArray, total_C: NDArray, member_C: Bools, questions: int, num: int = 3
) -> list[dict[str, Any]]:
    """Topics that the group has more of than everybody else: lift of the share with interval, highest first.

    counts_CT, total_C  documents (baskets, reviews) of each customer by topic, and all of them
    questions           groups x topics that are looked at: the intervals hold together with 95% (Bonferroni)

    Only topics of 20 people of the group or more whose interval lies above 1. The lift is the ratio of two ratios, each
    with the variance over customers (linearised), on the logarithmic scale (delta method).
    """
    z = NormalDist().inv_cdf(1 - 0.025 / max(questions, 1))
    rows: list[dict[str, Any]] = []
    for topic in range(counts_CT.shape[1]):
        mine, others = (_ratio(counts_CT[who, topic], total_C[who]) for who in (member_C, ~member_C))
        people = int((counts_CT[member_C, topic] > 0).sum())
        if people < MIN_GROUP or min(mine[0], others[0]) <= 0:
            continue
        lift = mine[0] / others[0]
        reach = z * np.sqrt(mine[1] / mine[0] ** 2 + others[1] / others[0] ** 2)
        row = {"topic": topic, "lift": lift, "low": lift * np.exp(-reach), "high": lift * np.exp(reach)}
        row |= {"share": mine[0], "share_others": others[0]}
        if row["low"] > 1:
            rows.append({name: float(value) for name, value in row.items()} | {"topic": topic, "people": people})
    return sorted(rows, key=lambda row: -row["lift"])[:num]


def _ratio(part: NDArray, whole: NDArray) -> tuple[float, float]:
    """Ratio of sums over customers, and its variance."""
    total = float(whole.sum())
    if total <= 0:
        return 0.0, 0.0
    ratio, num = float(part.sum()) / total, int((whole > 0).sum())
    return ratio, float(((part - ratio * whole) ** 2).sum()) / total**2 * num / max(num - 1, 1)


def when(seen: Visits, member_C: Bools) -> dict[str, Any]:
    """Shares of the group's visits by day part and weekday (Monday first), and their lift over all customers."""
    inside = member_C[seen.customer]
    out: dict[str, Any] = {"parts": None, "weekdays": _against(seen.weekday, inside, 7)}
    if seen.timed:
        parts = _against(seen.part, inside, len(PARTS))
        out["parts"] = [{"part": part} | row for part, row in zip(PARTS, parts, strict=True)]
    return out


def _against(code: NDArray, inside: Bools, size: int) -> list[dict[str, float]]:
    everybody, group = np.bincount(code, minlength=size), np.bincount(code[inside], minlength=size)
    share, usual = group / max(group.sum(), 1), everybody / max(everybody.sum(), 1)
    return [{"share": float(share[i]), "lift": float(share[i] / usual[i]) if usual[i] else 0.0} for i in range(size)]


def rfm(lines: Histories, member_C: Bools, today: int, closed: Int64s | None = None) -> dict[str, float]:
    """Medians over the group's buyers: days since the last purchase, baskets and spend per week, spend per basket."""
    inside = lines.where(member_C[lines.customer])
    num = lines.num_customers
    first, last = np.full(num, 2**31 - 1), np.full(num, -(2**31))
    np.minimum.at(first, inside.customer, inside.day)
    np.maximum.at(last, inside.customer, inside.day)
    spend = np.bincount(inside.customer, weights=inside.value, minlength=num)
    width = int(inside.basket.max(initial=0)) + 1
    baskets = np.bincount(np.unique(inside.customer.astype(np.int64) * width + inside.basket) // width, minlength=num)
    known = baskets > 0
    weeks = np.maximum(open_days(first[known], today, closed) / 7, 1)
    figures = {
        "recency_days": today - last[known],
        "baskets_per_week": baskets[known] / weeks,
        "spend_per_week": spend[known] / weeks,
        "basket_value": spend[known] / baskets[known],
        "baskets": baskets[known],
        "spend": spend[known],
    }
    return {name: float(np.median(values)) if values.size else 0.0 for name, values in figures.items()}
