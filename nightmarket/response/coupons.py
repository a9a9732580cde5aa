"""One row per customer and offer of a campaign: which offers will a customer who responds take?"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Int32s
from nightmarket.response.features import affinity, membership, shares_of
from nightmarket.response.market import Campaign, Market

NAMES = (
    "items",
    "lines",
    "kinds",
    "items_share",
    "lines_share",
    "kinds_share",
    "items_rank",
    "kinds_rank",
    "days_since_item",
    "size",
    "sold",
    "buyers",
    "taken_before",
    "taken_items",
    "taken_kinds",
    "own_taken_kinds",
)
_STEP = 1024


def offer_rows(market: Market, campaign: Campaign, customers: Int32s) -> Iterator[tuple[slice, Float32s]]:
    """Values (n, O, F) in the order of NAMES, some customers at a time; `customers` (N, ascending)."""
    common = _common(market, campaign)
    taken = _taken_kinds(market)
    shares = shares_of(membership(campaign, market.catalogue.num_items), market.catalogue.kind)
    for start in range(0, customers.size, _STEP):
        rows = slice(start, min(start + _STEP, customers.size))
        levels_of = affinity(market.of(customers[rows]), market.catalogue, campaign, market.day)
        own = np.asarray((taken[customers[rows]] @ shares).todense(), np.float32)
        levels = (levels_of.items, levels_of.lines, levels_of.kinds)
        columns = [np.log1p(level) for level in levels]
        columns += [level / np.maximum(level.sum(axis=1, keepdims=True), 1e-6) for level in levels]
        columns += [_rank(levels_of.items), _rank(levels_of.kinds), np.log1p(levels_of.last)]
        columns += [np.broadcast_to(column, own.shape) for column in common] + [np.log1p(own)]
        yield rows, np.stack(columns, axis=2).astype(np.float32)


def _common(market: Market, campaign: Campaign) -> list[NDArray]:
    """(O,) columns that are the same for every customer."""
    catalogue, lines = market.catalogue, market.histories
    member = membership(campaign, catalogue.num_items)
    fresh = np.exp2(-(market.day - lines.day) / 60)
    sold = np.bincount(lines.item, fresh, catalogue.num_items)
    lately = market.day - lines.day <= 91
    pair = np.unique(lines.item[lately].astype(np.int64) * lines.num_customers + lines.customer[lately])
    buyers = np.bincount(pair // max(lines.num_customers, 1), minlength=catalogue.num_items)
    taken = _redemptions(market)
    before: dict[str, int] = {}
    for (k, place), num in taken.items():
        name = market.campaigns[k].offers[place].offer_id
        before[name] = before.get(name, 0) + num
    per_item = np.zeros(catalogue.num_items)
    for (k, place), num in taken.items():
        items = market.campaigns[k].offers[place].items
        per_item[items] += num / max(items.size, 1)
    per_kind = np.bincount(catalogue.kind, per_item)
    return [
        np.log1p([offer.items.size for offer in campaign.offers]),
        np.log1p(member.T @ sold),
        np.log1p(member.T @ buyers),
        np.log1p([before.get(offer.offer_id, 0) for offer in campaign.offers]),
        np.log1p(member.T @ per_item),
        np.log1p(shares_of(member, catalogue.kind).T @ per_kind),
    ]


def _redemptions(market: Market) -> dict[tuple[int, int], int]:
    """How often each (campaign, place of the offer) was taken so far."""
    known = market.answers.offer >= 0
    pairs = np.column_stack([market.answers.campaign[known], market.answers.offer[known]])
    taken, num = np.unique(pairs, axis=0, return_counts=True)
    return {(int(k), int(place)): int(n) for (k, place), n in zip(taken, num, strict=True)}


def _taken_kinds(market: Market) -> sparse.csr_matrix:
    """(C, kinds) offers that a customer took, spread over the kinds of product that they applied to."""
    kind = market.catalogue.kind
    num_kinds = int(kind.max(initial=0)) + 1
    parts: list[tuple[NDArray, NDArray, NDArray]] = []
    for customer, k, place in zip(market.answers.customer, market.answers.campaign, market.answers.offer, strict=True):
        if place < 0 or not market.campaigns[k].offers[place].items.size:
            continue
        kinds, num = np.unique(kind[market.campaigns[k].offers[place].items], return_counts=True)
        parts.append((np.full(kinds.size, customer), kinds, num / num.sum()))
    shape = (market.histories.num_customers, num_kinds)
    if not parts:
        return sparse.csr_matrix(shape, dtype=np.float32)
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.coo_matrix((values.astype(np.float32), (rows, columns)), shape=shape).tocsr()


def _rank(values: Float32s) -> NDArray:
    """(N, O) place of each offer among the customer's, from 0 for the best; log(1 + place)."""
    order = np.argsort(np.argsort(-values, axis=1, kind="stable"), axis=1)
    return np.log1p(order)
