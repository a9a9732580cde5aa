"""What may be delivered to whom tonight: what is there to be sold, where, from which age, and not twice in two sizes.

Stock, markets and ages are those of tonight. They hold for what is delivered and are no feature: on an earlier day
nobody knew them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s
from nightmarket.delivery.consent import ages
from nightmarket.histories.calendar import NEVER
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.histories import Histories
from nightmarket.histories.variants import groups

ADULT = 18
"""Who is of unknown age gets nothing that is sold from this age on."""
May = Callable[[Int32s, Int32s], Bools]


@dataclass(frozen=True)
class Deliverable:
    """Who may be offered what; C customers, I items.

    on_sale    (I,)  recommendable, not ended, and in stock, or announced for later
    least_age  (I,)  years; 0 for everybody
    age        (C,)  years, NaN where it is not known
    sold_in    (I, M)  markets in which each item is sold; an item that names none is sold everywhere
    market     (C,)  the customer's, -1 for one that nobody knows; all are -1 where no customer names one
    gone_back  ascending keys customer * I + item of what a customer gave back, and never kept
    group      (I,)  products that are one in several sizes or colours, -1 for one of its own
    sizes      how often the customers bought each size, None where there is no group
    markets    names of the M markets in small letters; without the last one, for markets that no product names
    """

    on_sale: Bools
    least_age: Float64s
    age: Float64s
    sold_in: Bools
    market: Int32s
    gone_back: Int64s
    group: Int32s
    sizes: "SizesKept | None"
    markets: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        products: pd.DataFrame,
        customers: pd.DataFrame,
        catalogue: Catalogue,
        histories: Histories,
        cut: int,
        today: date,
    ) -> "Deliverable":
        """What the tables of tonight say.

        products   row i is item i; of stock, min_age, markets, group_id, title, size, brand, price what there is
        customers  row c is customer c; of birth_year, attr_age, market what there is
        cut        the last day that is known
        """
        nothing = pd.Series(np.nan, products.index)
        stock = products.get("stock", nothing).to_numpy(np.float64, na_value=np.nan)
        announced = (catalogue.from_day > cut) & (catalogue.from_day != NEVER)
        on_sale = catalogue.recommendable & (catalogue.until_day > cut + 1) & (~(stock <= 0) | announced)
        sold_in, market, markets = _markets(products, customers)
        codes = groups(products)
        return cls(
            on_sale=on_sale,
            least_age=products.get("min_age", nothing).fillna(0).to_numpy(np.float64),
            age=ages(customers, today),
            sold_in=sold_in,
            market=market,
            gone_back=_gone_back(histories, cut),
            group=codes,
            sizes=SizesKept.of(catalogue, histories.until(cut)) if (codes >= 0).any() else None,
            markets=markets,
        )

    def sold_to(self, customer: Int32s, item: Int32s) -> Bools:
        """(N,) whether each item is sold to each customer: there, in their market, and to somebody of their age."""
        age = np.nan_to_num(self.age[customer], nan=ADULT - 1)
        allowed = self.on_sale[item] & (self.least_age[item] <= age)
        return np.asarray(allowed & self._sold(self.market[customer], item))

    def may(self, customer: Int32s, item: Int32s) -> Bools:
        """(N,) whether each customer may be offered each item: sold to them, and nothing that they gave back."""
        allowed = self.sold_to(customer, item)
        keys = customer.astype(np.int64) * self.on_sale.size + item
        place = np.minimum(np.searchsorted(self.gone_back, keys), max(self.gone_back.size - 1, 0))
        back = self.gone_back[place] == keys if self.gone_back.size else np.zeros(keys.size, bool)
        return np.asarray(allowed & ~back)

    @property
    def most_of_a_group(self) -> int:
        """Products of the largest group, of which a list holds one."""
        return int(np.bincount(self.group[self.group >= 0]).max(initial=1))

    def for_anybody(self, market: int = -1) -> Bools:
        """(I,) what may be offered to somebody of whom nothing is known, or only the market, by its number."""
        items = np.arange(self.on_sale.size, dtype=np.int32)
        where = np.full(items.size, market, np.int32)
        return np.asarray(self.on_sale & (self.least_age < ADULT) & self._sold(where, items))

    def _sold(self, market: Int32s, item: Int32s) -> Bools:
        if not self.sold_in.size or not (self.market >= 0).any():
            return np.ones(item.size, bool)
        everywhere: Bools = np.logical_not(self.sold_in.any(axis=1))
        here = self.sold_in[item, np.maximum(market, 0)] & (market >= 0)
        return np.asarray(everywhere[item] | here)

    def offered(self, items: Int32s) -> Bools:
        """(C,) who may be offered any of the items."""
        num = self.age.size
        out = np.zeros(num, bool)
        for item in items[self.on_sale[items]].tolist():
            left = np.flatnonzero(~out).astype(np.int32)
            if not left.size:
                break
            out[left] = self.may(left, np.full(left.size, item, np.int32))
        return out

    def first_of_groups(self, customer: Int32s, item: Int32s, score: Float64s) -> tuple[Bools, Float64s]:
        """Which of the candidates (N,) stays of each customer and group: the size that the customer bought most often,
        in its kind and then at all, or else the best; with the best score of its group."""
        keep, group = np.ones(item.size, bool), self.group[item]
        rows = np.flatnonzero(group >= 0)
        if self.sizes is None or not rows.size:
            return keep, score
        in_kind, at_all = self.sizes.bought(customer[rows], item[rows])
        order = np.lexsort((item[rows], -score[rows], -at_all, -in_kind, group[rows], customer[rows]))
        sorted_rows = rows[order]
        begins = np.flatnonzero(
            (np.diff(customer[sorted_rows], prepend=-1) != 0) | (np.diff(group[sorted_rows], prepend=-2) != 0)
        )
        keep[rows] = False
        keep[sorted_rows[begins]] = True
        best = score.copy()
        best[sorted_rows[begins]] = np.maximum.reduceat(score[sorted_rows], begins)
        return keep, best


@dataclass(frozen=True)
class SizesKept:
    """Lines that each customer kept of each size, in a kind of product and at all.

    cell, size        (I,)  the number of its kind and size, and of its size; -1 for a product without a size
    in_kind, overall  (C, cells), (C, sizes)
    """

    cell: Int32s
    size: Int32s
    in_kind: sparse.csr_matrix
    overall: sparse.csr_matrix

    @classmethod
    def of(cls, catalogue: Catalogue, lines: Histories) -> "SizesKept":
        """Of the lines that were kept."""
        size = catalogue.size
        cell = np.unique(np.stack([catalogue.kind, size]), axis=1, return_inverse=True)[1].astype(np.int32)
        cell = np.where(size >= 0, cell.ravel(), -1).astype(np.int32)
        matrices = []
        for code in (cell, size):
            known = code[lines.item] >= 0
            shape = (lines.num_customers, int(code.max(initial=-1)) + 1)
            entries = (np.ones(int(known.sum())), (lines.customer[known], code[lines.item][known]))
            matrices.append(sparse.coo_matrix(entries, shape=shape).tocsr())
        return cls(cell, size, *matrices)

    def bought(self, customer: Int32s, item: Int32s) -> tuple[Float64s, Float64s]:
        """(N,) lines of the item's size in its kind, and of its size at all; 0 where it has none."""
        return _entries(self.in_kind, customer, self.cell[item]), _entries(self.overall, customer, self.size[item])


def _entries(matrix: sparse.csr_matrix, row: Int32s, column: Int32s) -> Float64s:
    out = np.zeros(row.size)
    known = column >= 0
    if known.any():
        out[known] = np.asarray(matrix[row[known], column[known]]).ravel()
    return out


def _markets(products: pd.DataFrame, customers: pd.DataFrame) -> tuple[Bools, Int32s, tuple[str, ...]]:
    """Where each item is sold (I, M), each customer's market (C,), and the names of the markets."""
    nowhere = np.full(len(customers), -1, np.int32)
    if "markets" not in products:
        return np.zeros((len(products), 0), bool), nowhere, ()
    lists = [market_names(text) for text in products["markets"]]
    names = {name: number for number, name in enumerate(dict.fromkeys(name for named in lists for name in named))}
    sold_in = np.zeros(
        (len(products), len(names) + 1), bool
    )  # the last one: a market in which nothing of its own is sold
    for item, named in enumerate(lists):
        sold_in[item, [names[name] for name in named]] = True
    if "market" not in customers:
        return sold_in, nowhere, tuple(names)
    theirs = [text.strip().casefold() if isinstance(text, str) else "" for text in customers["market"]]
    return sold_in, np.array([names.get(name, len(names)) if name else -1 for name in theirs], np.int32), tuple(names)


def market_names(text: object) -> list[str]:
    """Names of markets, between commas and the like, or codes as DE and AT between blanks."""
    if not isinstance(text, str):
        return []
    tidy = re.sub(r"[\[\]{}\"']", " ", text).casefold().strip()
    codes = re.fullmatch(r"[a-z]{2,3}(\s+[a-z]{2,3})*", tidy)
    return [word.strip() for word in (tidy.split() if codes else re.split(r"[,;|/]", tidy)) if word.strip()]


def _gone_back(histories: Histories, cut: int) -> Int64s:
    """Keys of what came back and of which the customer keeps nothing."""
    if histories.returned is None:
        return np.zeros(0, np.int64)
    keys = histories.customer.astype(np.int64) * histories.num_items + histories.item
    back = (histories.returned <= cut) & (histories.day <= cut)
    return np.setdiff1d(keys[back], keys[~back & (histories.day <= cut)])
