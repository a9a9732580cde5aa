"""What a reason may say besides a row's own numbers: titles, the customer's own products, what shares baskets."""

from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Int32s, Int64s, Values
from nightmarket.ranking.point_in_time import Customers, PointInTimeStatistics

LONGEST_TITLE = 40
NUM_PARTNERS = 100
MIN_TOGETHER = 3
"""Common baskets below which "bought together" would be an accident."""
MIN_LIFT = 2.0
LIKE = 0.3
"""Cosine of two texts' terms below which one is not called like the other."""
_ENTRIES = 4_000_000
"""Counted pairs of a basket that are held at a time."""


class Facts:
    """Look-ups at one cut; each is made on first use.

    products  row i is item i: title, and where there are any type, category, maker
    """

    def __init__(self, statistics: PointInTimeStatistics, products: pd.DataFrame) -> None:
        self.statistics = statistics
        self.titles = _names(products, "title")
        self.kinds = _names(products, "type")
        self.categories = _names(products, "category")
        self.has_maker: Bools = _names(products, "maker") != ""
        self._partners: dict[int, Int32s] = {}
        self._last: Customers | None = None
        self._ordered: dict[str, tuple[Int64s, Int32s, Int32s]] = {}

    def own_like(self, level: str, customer: Int32s, item: Int32s) -> tuple[Int32s, Int32s]:
        """The customer's own product of the same code at a level: (N,) the one in most baskets, and these baskets.

        level  "text", "line", "kind" or "maker". Never the item itself, nor a product without a title; -1 and 0
        where there is none. Of equal ones the one bought last, then the lower code.
        """
        around = self.around(customer)
        if level not in self._ordered:
            self._ordered[level] = self._best_first(level, around)
        group, mine, num = self._ordered[level]
        own_items, baskets = np.full(item.size, -1, np.int32), np.zeros(item.size, np.int32)
        if group.size == 0:
            return own_items, baskets
        codes = self.statistics.catalogue.codes(level)
        asked = (customer - around.rows.start).astype(np.int64) * _span(codes) + codes[item]
        place = np.searchsorted(group, asked)
        for step in (1, 0):  # the second best first, so that the best takes its place unless it is the item itself
            at = np.minimum(place + step, group.size - 1)
            good = (group[at] == asked) & (mine[at] != item) & (place + step < group.size)
            own_items[good], baskets[good] = mine[at[good]], num[at[good]]
        return own_items, baskets

    def _best_first(self, level: str, around: Customers) -> tuple[Int64s, Int32s, Int32s]:
        """Own products as (customer and code in one number, item, baskets), the best of each number first."""
        own, codes = around.levels["item"], self.statistics.catalogue.codes(level)
        kept = np.flatnonzero(self.titles[own.code] != "")
        item, num = own.code[kept], own.num[kept].astype(np.int32)
        group = own.customer[kept].astype(np.int64) * _span(codes) + codes[item]
        order = np.lexsort((item, -own.last[kept], -num, group))
        return group[order], item[order], num[order]

    def looked_like(self, customer: Int32s, item: Int32s) -> tuple[Int32s, Int32s]:
        """The product of the item's kind that the customer looked at and whose words are likest: (N,) and its visits.

        Never the item itself, nor a product without a title, nor one that shares less than LIKE of the words' weight;
        -1 and 0 where there is none, or the shop records no looks.
        """
        statistics, around = self.statistics, self.around(customer)
        likest, visits = np.full(item.size, -1, np.int32), np.zeros(item.size, np.int32)
        own, kind = around.touches["item"], statistics.catalogue.kind
        if own.key.size == 0 or statistics.terms is None:
            return likest, visits
        first = np.searchsorted(own.customer, customer - around.rows.start)
        last = np.searchsorted(own.customer, customer - around.rows.start, side="right")
        row = np.repeat(np.arange(item.size), last - first)
        place = np.arange(row.size) - np.repeat(np.cumsum(last - first) - last, last - first)
        mine = own.code[place]
        good = (kind[mine] == kind[item[row]]) & (mine != item[row]) & (self.titles[mine] != "")
        row, place, mine = row[good], place[good], mine[good]
        terms, text = statistics.terms, statistics.catalogue.text
        like = np.asarray(terms[text[mine]].multiply(terms[text[item[row]]]).sum(axis=1)).ravel()
        order = np.flatnonzero(like >= LIKE)
        order = order[np.lexsort((-mine[order], like[order], row[order]))]  # the last one written is the likest
        likest[row[order]], visits[row[order]] = mine[order], own.visits[place[order]].astype(np.int32)
        return likest, visits

    def goes_with(self, customer: Int32s, item: Int32s) -> tuple[Int32s, Int32s]:
        """The customer's own product that goes best with the item: (N,) the product, and the baskets that held both.

        Baskets of all customers count. Partners share MIN_TOGETHER baskets or more, MIN_LIFT times what chance would
        give, and have another title; of an item's NUM_PARTNERS best by Jaccard's index, common baskets / baskets of
        either, the first that the customer bought. By the bare count four of five would go with bananas or milk.
        -1 and 0 where the customer bought none.
        """
        self._learn(np.unique(item))
        partners, together = np.full(item.size, -1, np.int32), np.zeros(item.size, np.int32)
        around = self.around(customer)
        own, inside = around.levels["item"], customer - around.rows.start
        for start in range(0, item.size, 8192):
            rows = slice(start, start + 8192)
            block = np.stack([self._partners[int(i)] for i in item[rows]])
            partner, count = block[:, 0], block[:, 1]
            bought = own.find(np.repeat(inside[rows], NUM_PARTNERS), np.maximum(partner, 0).ravel()) >= 0
            bought = bought.reshape(partner.shape) & (partner >= 0)
            best = bought.argmax(axis=1)[:, None]
            some = bought.any(axis=1)
            partners[rows] = np.where(some, np.take_along_axis(partner, best, 1)[:, 0], -1)
            together[rows] = np.where(some, np.take_along_axis(count, best, 1)[:, 0], 0)
        return partners, together

    def shop_buyers(self, customer: Int32s, item: Int32s) -> Int32s:
        """(N,) customers who bought the item in the last 4 weeks in the channel where this customer has most baskets.

        0 where there is one channel only. Of equal channels the lower code.
        """
        keys, num, span = self._shops
        if span < 2 or keys.size == 0:
            return np.zeros(item.size, np.int32)
        around = self.around(customer)
        lines = around.lines
        place = lines.customer.astype(np.int64) * span + lines.channel
        visit = np.unique(place * (int(lines.basket.max(initial=0)) + 1) + lines.basket)
        pair, baskets = np.unique(visit // (int(lines.basket.max(initial=0)) + 1), return_counts=True)
        order = np.lexsort((-pair, baskets))  # the last one written has most baskets, then the lower code
        usual = np.zeros(around.num, np.int64)
        usual[pair[order] // span] = pair[order] % span
        asked = usual[customer - around.rows.start] * self.statistics.catalogue.num_items + item
        at = np.minimum(np.searchsorted(keys, asked), keys.size - 1)
        return np.where(keys[at] == asked, num[at], 0).astype(np.int32)

    @cached_property
    def buyers_before(self) -> Int64s:
        """(I,) customers who bought each item in the 4 weeks before the last 4."""
        first, last = self.statistics.today - 56, self.statistics.today - 29
        return np.asarray(self.statistics.histories.between(first, last).matrix().getnnz(axis=0), np.int64)

    def around(self, customer: Int32s) -> Customers:
        """What is known of the customers from the lowest to the highest code. The last such slice is kept, and serves
        for every slice inside it."""
        first, last = int(customer.min(initial=np.iinfo(np.int32).max)), int(customer.max(initial=-1)) + 1
        if self._last is None or not self._last.rows.start <= first <= last <= self._last.rows.stop:
            self._last, self._ordered = self.statistics.customers(slice(min(first, last), last)), {}
        return self._last

    @cached_property
    def _baskets(self) -> tuple[sparse.csr_matrix, sparse.csr_matrix, Int64s]:
        """(B, I) which basket held which item, its transpose, and the baskets of each item."""
        histories = self.statistics.histories
        basket = np.unique(histories.basket, return_inverse=True)[1]
        shape = (int(basket.max(initial=-1)) + 1, self.statistics.catalogue.num_items)
        held = sparse.csr_matrix((np.ones(basket.size, np.float32), (basket, histories.item)), shape=shape)
        held.sum_duplicates()
        held.data[:] = 1.0
        return held, held.T.tocsr(), np.asarray(held.getnnz(axis=0), np.int64)

    def _learn(self, items: Int32s) -> None:
        """Find the partners of items that were not asked for before, as many at a time as memory allows."""
        new = np.array([i for i in items.tolist() if i not in self._partners], np.int64)
        if new.size == 0:
            return
        held, by_item, num = self._baskets
        cost = np.cumsum(by_item[new] @ held.getnnz(axis=1))
        edges = [0, *(np.flatnonzero(np.diff(cost // _ENTRIES)) + 1).tolist(), new.size]
        for first, last in pairwise(edges):
            chunk = new[first:last]
            common = (by_item[chunk] @ held).tocsr()
            for row, item in enumerate(chunk.tolist()):
                part = slice(common.indptr[row], common.indptr[row + 1])
                self._partners[item] = self._best_partners(item, common.indices[part], common.data[part], num)

    def _best_partners(self, item: int, other: Int32s, common: Values, num: Int64s) -> Int32s:
        """(2, NUM_PARTNERS) partners and common baskets, best first, -1 and 0 where there are fewer."""
        chance = num[item] * num[other] / max(self._baskets[0].shape[0], 1)
        titles = self.titles[other]
        good = (common >= MIN_TOGETHER) & (common >= MIN_LIFT * chance) & (titles != self.titles[item]) & (titles != "")
        other, common = other[good], common[good]
        order = np.lexsort((other, -common / (num[item] + num[other] - common)))[:NUM_PARTNERS]
        best = np.stack([np.full(NUM_PARTNERS, -1), np.zeros(NUM_PARTNERS)]).astype(np.int32)
        best[0, : order.size], best[1, : order.size] = other[order], common[order]
        return best

    @cached_property
    def _shops(self) -> tuple[Int64s, Int64s, int]:
        """Customers of the last 4 weeks by channel x item, as sorted keys and their numbers; and how many channels."""
        histories, num_items = self.statistics.histories, self.statistics.catalogue.num_items
        recent = self.statistics.last_weeks(4)
        key = (recent.channel.astype(np.int64) * num_items + recent.item) * histories.num_customers + recent.customer
        keys, num = np.unique(np.unique(key) // max(histories.num_customers, 1), return_counts=True)
        return keys, num, int(histories.channel.max(initial=-1)) + 1


def _span(codes: Int32s) -> int:
    return int(codes.max(initial=0)) + 1


def _names(products: pd.DataFrame, column: str) -> Values:
    """(I,) the column's texts on one line, shortened; "" where it has none."""
    if column not in products:
        return np.full(len(products), "", object)
    distinct = {name: _short(name) for name in products[column].dropna().unique()}
    return products[column].map(distinct).fillna("").to_numpy(object)


def _short(name: object) -> str:
    whole = " ".join(str(name).split())
    return whole if len(whole) <= LONGEST_TITLE else whole[: LONGEST_TITLE - 1].rstrip(" ,") + "…"
