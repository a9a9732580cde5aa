"""What may be shown to a visitor, and what is known of each of it: N events, M candidates, F features.

`FEATURES` documents each column; NaN means "not known", which the trees treat as a value of its own. A column whose
name begins with score_ orders a list by itself.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Int32s
from nightmarket.histories.interactions import BOUGHT, CARTED, KINDS, LOOKED, STRENGTH
from nightmarket.ranking.factors import RIDGE, UNSEEN, Factors
from nightmarket.ranking.sessions.shop import LEVELS, PRODUCT, SessionShop
from nightmarket.ranking.sessions.visits import Visit

FEATURES: dict[str, str] = {
    "score_met": "what this visit did with it, the last events most",
    "score_near": "how often what was just met is met with it, the last events most",
    "score_near_last": "the same of the last event alone",
    "score_leads": "how often it is carted or bought after what was just met",
    "score_follows": "how often it follows what the visitor bought",
    "score_past_near": "how often what was met in earlier visits is met with it",
    "score_factors": "product of the factors of this visit and of the item",
    "score_taste": "product of the factors of all that the visitor did and of the item",
    "near_lift": "score_near over the item's popularity",
    **{f"{level}_now": f"share of this visit's events at its {level}" for level in LEVELS},
    **{f"{level}_past": f"share of the earlier visits' events at its {level}" for level in LEVELS},
    "price_now": "log of its price over the mean of this visit",
    "price_past": "log of its price over the mean of earlier visits",
    "seen_ago": "days since the visitor last met it in an earlier visit",
    "seen_num": "events with it in earlier visits",
    "carted_past": "carts with it in earlier visits",
    "days_on_sale": "days since it came on sale",
    "score_popular": "what was done with it lately",
    **{f"product_{name}": "of the product" for name in PRODUCT[1:]},
    "events_now": "events of this visit",
    "events_past": "remembered events of earlier visits",
}
NAMES = list(FEATURES)
FADE = 0.8
"""What an event of the visit weighs beside the one after it."""
PAST_HALF_LIFE = 14.0
"""Days in which an event of an earlier visit halves."""
WEIGHT = np.array([{"cart": 2.0, "wishlist": 2.0, "purchase": 2.0, "return": 0.0}.get(kind, 1.0) for kind in KINDS])
"""Of an event by its kind."""
VISIT_STRENGTH = 3.0
"""Of an event of this visit as a sign of taste, beside one of an earlier visit."""
LOOK = float(STRENGTH[KINDS.index("view")])
SEEDS, NEIGHBOURS_NOW, NEIGHBOURS_PAST = 10, 40, 15
"""Items of a visit, and of earlier ones, whose neighbours are proposed, and how many of each."""
KINDS_NOW, KINDS_PAST = 3, 3
"""Kinds of a visit, and of earlier ones, whose items are proposed."""
PURCHASE, RETURN = KINDS.index("purchase"), KINDS.index("return")
IS_CART, IS_BOUGHT, IS_LOOK = (np.isin(np.arange(len(KINDS)), kinds) for kinds in (CARTED, BOUGHT, LOOKED))


@dataclass(frozen=True)
class Asked:
    """A visit beside what the night knows."""

    shop: SessionShop
    visit: Visit

    @cached_property
    def now(self) -> tuple[Int32s, Float32s]:
        """Items of this visit's events, oldest first, and their weights."""
        here = self.visit.session
        later = np.arange(np.count_nonzero(here))[::-1]
        return self.visit.item[here], (WEIGHT[self.visit.kind[here]] * FADE**later).astype(np.float32)

    @cached_property
    def past(self) -> tuple[Int32s, Float32s]:
        """Items of the events of earlier visits, and their weights."""
        there = ~self.visit.session
        faded = np.exp2(-self.visit.ago[there] / PAST_HALF_LIFE)
        return self.visit.item[there], (WEIGHT[self.visit.kind[there]] * faded).astype(np.float32)

    @cached_property
    def bought(self) -> tuple[Int32s, Float32s]:
        """What the visitor bought, and weights by age."""
        rows = self.visit.kind == PURCHASE
        return self.visit.item[rows], np.exp2(-self.visit.ago[rows] / PAST_HALF_LIFE).astype(np.float32)

    @cached_property
    def given_back(self) -> Int32s:
        """Items that the visitor gave back, and did not buy again since."""
        kind, item = self.visit.kind, self.visit.item
        rows = np.flatnonzero((kind == RETURN) | (kind == PURCHASE))
        last = dict(zip(item[rows].tolist(), kind[rows].tolist(), strict=True))
        return np.array(sorted(what for what, how in last.items() if how == RETURN), np.int32)

    def candidates(self) -> Int32s:
        """(M,) items that may be shown, ascending."""
        shop, kind = self.shop, self.shop.catalogue.kind
        item, weight = self.now
        before, weight_before = self.past
        seeds = _heaviest(item, weight, SEEDS)
        earlier = _heaviest(before, weight_before, SEEDS)
        kinds = np.union1d(_heaviest(kind[item], weight, KINDS_NOW), _heaviest(kind[before], weight_before, KINDS_PAST))
        proposed = [
            shop.near.of_items(seeds, NEIGHBOURS_NOW),
            shop.leads.of_items(seeds, NEIGHBOURS_NOW),
            shop.near.of_items(earlier, NEIGHBOURS_PAST),
            shop.follows.of_items(earlier, NEIGHBOURS_PAST),
            shop.of_kind.rows(kinds),
            shop.young.rows(kinds),
            shop.popular,
            before,
            item,
            self.visit.listed,
            self.visit.page,
        ]
        chosen = np.unique(np.concatenate(proposed)).astype(np.int32)
        return chosen[self.allowed(chosen)]

    def allowed(self, items: Int32s) -> Bools:
        """(M,) which of the items can be had, fit the page, and were not given back."""
        visit = self.visit
        kept = self.shop.on_sale(items, visit.day)
        if visit.may is not None:
            kept &= visit.may(items)
        if self.given_back.size:
            kept &= ~np.isin(items, self.given_back)
        return kept

    def features(self, items: Int32s) -> Float32s:
        """(M, F) columns FEATURES of items, which are ascending."""
        shop, visit = self.shop, self.visit
        columns = np.full((len(NAMES), items.size), np.nan, np.float32)
        put = dict(zip(NAMES, columns, strict=True))
        self._of_neighbours(put, items)
        self._of_factors(put, items)
        self._of_levels(columns, put, items)
        self._of_item(put, items)
        put["days_on_sale"][:] = visit.day - shop.first_day[items]
        first = NAMES.index("score_popular")
        columns[first : first + len(PRODUCT)] = shop.products[items].T
        put["events_now"][:] = self.now[0].size
        put["events_past"][:] = self.past[0].size
        return np.ascontiguousarray(columns.T)

    def _of_neighbours(self, put: dict[str, Float32s], items: Int32s) -> None:
        shop = self.shop
        put["score_near"][:] = shop.near.sums(*self.now, items)
        put["near_lift"][:] = put["score_near"] / np.sqrt(shop.popularity[items] + 1)
        last = self.now[0][-1:]
        put["score_near_last"][:] = shop.near.sums(last, np.ones(last.size, np.float32), items)
        put["score_leads"][:] = shop.leads.sums(*self.now, items)
        put["score_past_near"][:] = shop.near.sums(*self.past, items)
        put["score_follows"][:] = shop.follows.sums(*self.bought, items)

    def _of_levels(self, columns: Float32s, put: dict[str, Float32s], items: Int32s) -> None:
        """Shares of the events at each level's code of the items, and their prices beside those of the events."""
        shop = self.shop
        price, codes = shop.log_price, shop.level_keys
        wanted = codes[:, items].ravel()
        for when, (own, weight) in (("now", self.now), ("past", self.past)):
            total = float(weight.sum())
            if total <= 0:
                continue
            keys, place = np.unique(codes[:, own].ravel(), return_inverse=True)
            shares = np.bincount(place, np.tile(weight, len(LEVELS))) / total
            at = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
            first = NAMES.index(f"kind_{when}")
            same = np.where(keys[at] == wanted, shares[at], 0)
            columns[first : first + len(LEVELS)] = same.reshape(len(LEVELS), items.size)
            known = ~np.isnan(price[own]) & (weight > 0)
            if known.any():
                mean = float(price[own][known] @ weight[known]) / float(weight[known].sum())
                put[f"price_{when}"][:] = price[items] - np.float32(mean)

    def _of_item(self, put: dict[str, Float32s], items: Int32s) -> None:
        """What the visitor did with the items, in this visit and in earlier ones."""
        put["score_met"][:] = (items[:, None] == self.now[0]).astype(np.float32) @ self.now[1]
        there = ~self.visit.session
        same = items[:, None] == self.visit.item[there]
        put["seen_num"][:] = same.sum(axis=1)
        put["carted_past"][:] = (same & IS_CART[self.visit.kind[there]]).sum(axis=1)
        ago = np.where(same, self.visit.ago[there].astype(np.float32), np.float32(np.inf)).min(axis=1, initial=np.inf)
        put["seen_ago"][:] = np.where(np.isfinite(ago), ago, np.nan)

    def _of_factors(self, put: dict[str, Float32s], items: Int32s) -> None:
        factors = self.shop.factors
        if factors is None:
            return
        vectors = factors.items[items].astype(np.float32)
        item, weight = self.now
        if item.size:
            put["score_factors"][:] = vectors @ folded(factors, item, weight)
        before, weight_before = self.past
        if item.size + before.size:
            weights = np.concatenate([VISIT_STRENGTH * weight, weight_before])
            put["score_taste"][:] = vectors @ folded(factors, np.concatenate([item, before]), weights)


def folded(factors: Factors, items: Int32s, weights: Float32s) -> Float32s:
    """(D,) factors of who met the items (N,) with these weights, as `Factors.customers` has them of one customer."""
    strength = np.maximum(LOOK * weights, 0)
    vectors = factors.items[items].astype(np.float32)
    ridge = RIDGE * (float(strength.sum()) + UNSEEN * factors.usual)
    left = (vectors * strength[:, None]).T @ vectors + factors.gram
    left[np.diag_indices_from(left)] += np.float32(ridge)
    right = np.where(strength > 0, strength + np.float32(factors.unseen), 0) @ vectors
    own: Float32s = np.linalg.solve(left, right)
    return own


def _heaviest(codes: Int32s, weights: Float32s, most: int) -> Int32s:
    """The distinct codes that weigh most."""
    total: dict[int, float] = {}
    for code, weight in zip(codes.tolist(), weights.tolist(), strict=True):
        total[code] = total.get(code, 0.0) + weight
    return np.array(sorted(total, key=lambda code: (-total[code], code))[:most], np.int32)
