"""One row per customer and campaign: everything a response may hang on, as known on the market's day."""

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Float32s, Int32s
from nightmarket.response.affinity import Affinity, affinity
from nightmarket.response.habits import answered, context, coupon_use, shopping
from nightmarket.response.likeness import likeness
from nightmarket.response.market import Campaign, Market


def campaign_rows(market: Market, campaign: Campaign, customers: Int32s) -> tuple[list[str], Float32s]:
    """Names (F,) and values (N, F) of the customers (N, ascending) and a campaign, as known on the market's day."""
    lines = market.of(customers)
    columns = shopping(lines, market.day) | answered(market, campaign, customers) | coupon_use(market, customers)
    fresh = np.bincount(lines.customer, np.exp2(-(market.day - lines.day) / 60), customers.size)
    columns |= likeness(market, campaign, customers) | {"known": market.known[customers]}
    columns |= on_offer(affinity(lines, market.catalogue, campaign, market.day), fresh)
    columns |= {name: np.full(customers.size, value) for name, value in context(market, campaign).items()}
    return list(columns), np.column_stack(list(columns.values())).astype(np.float32)


def on_offer(found: Affinity, fresh: NDArray) -> dict[str, NDArray]:
    """A campaign's offers summed up per customer. fresh (N,): the customer's lines in all, halved every 60 days."""
    if found.items.shape[1] == 0:
        return {name: np.zeros(fresh.size) for name in ON_OFFER}
    best = -np.sort(-found.items, axis=1)[:, :5]
    near = -np.sort(-found.kinds, axis=1)[:, :5]
    values = (
        np.log1p(found.items.sum(axis=1)),
        np.log1p(found.lines.sum(axis=1)),
        np.log1p(found.kinds.sum(axis=1)),
        found.items.sum(axis=1) / (fresh + 5),
        found.kinds.sum(axis=1) / (fresh + 5),
        np.log1p(best[:, 0]),
        np.log1p(best.sum(axis=1)),
        np.log1p(near.sum(axis=1)),
        np.log1p((found.items > 0).sum(axis=1)),
        np.log1p(found.last.min(axis=1)),
    )
    return dict(zip(ON_OFFER, values, strict=True))


ON_OFFER = (
    "own_items",
    "own_lines",
    "own_kinds",
    "own_share",
    "kind_share",
    "best_offer",
    "best_offers",
    "near_offers",
    "own_offers",
    "days_since_item",
)
