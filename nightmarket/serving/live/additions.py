"""Products that came or changed since the night, in a bundle that has them too: N of them, then I items.

A further product stands where its text places it: it has the taste of the products whose texts are most like its own,
which are its neighbours, and it is among the young ones of its kind. A product that the night knows keeps what visitors
did with it and takes on the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Values
from nightmarket.delivery.deliverable import Deliverable, SizesKept, market_names
from nightmarket.delivery.rules.declared import LeastStock, Margin, NotAgain
from nightmarket.delivery.rules.selecting import selected
from nightmarket.delivery.rules.tonight import HeldRule, family
from nightmarket.histories.calendar import NEVER
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.texts import levels, product_texts
from nightmarket.ranking.factors import Factors
from nightmarket.ranking.sessions.co_visits import CoVisits
from nightmarket.ranking.sessions.shop import PRODUCT, Ragged, SessionShop
from nightmarket.serving.live.bundle import BESIDE, LEVELS, LiveBundle
from nightmarket.serving.live.ragged import dropped, grown, placed
from nightmarket.serving.live.rules import LiveRules
from nightmarket.serving.live.stock import LastStock
from nightmarket.serving.live.strings import CodedNames, hashed

ALIKE = 10
"""Products with the texts most like a further one's, from which it takes its place."""
NEAR = 0.1
"""Value of a neighbour of a further product where the texts are the same; of products met together it is a share."""
RATES = ("conversion", "cart_rate")
"""Of PRODUCT, those that a product has which nobody met."""
COLUMNS = ("title", "brand", "maker", "category", "size", "description", "price", "cost", "stock", "markets",
           "min_age", "group_id", "not_a_product")  # fmt: skip
"""Of what is put, besides product_id, from_day, until_day and day, on which it was put; all of them may be empty."""


def with_products(bundle: LiveBundle, products: pd.DataFrame) -> LiveBundle:
    """A bundle that has these products too, each once; what it shares with the one before is not copied."""
    put = _Put.of(bundle, products)
    kind_names = [next((name for name in reversed(path) if name), "") for path in put.paths]
    rows = put.item.tolist()
    catalogue = put.catalogue
    words = bundle.words and bundle.words.with_texts(put.new_texts, put.item, catalogue.text[put.item])
    group, further_groups = _groups(put)
    goods = _goods(put, group)
    demand = np.append(bundle.demand, put.item[~np.isin(put.item, bundle.demand)]).astype(np.int32)
    changed: dict[str, Any] = {
        "shop": _shop(put),
        "goods": goods,
        "products": bundle.products.more(put.new_ids),
        "titles": bundle.titles.put(dict(zip(rows, put.table["title"], strict=True))),
        "kinds": bundle.kinds.put(dict(zip(rows, kind_names, strict=True))),
        "page_names": put.page_names.made,
        "pages": _pages(put),
        "pages_of": put.pages_of,
        "brand_names": put.brand_names.made,
        "brands": put.moved(bundle.brands, bundle.shop.catalogue.brand, catalogue.brand, len(put.brand_names.made)),
        "maker_names": put.maker_names.made,
        "further_groups": further_groups,
        "demand": demand,
        "cycle": grown(bundle.cycle, put.num),
        "words": words,
        "text_hash": np.append(bundle.text_hash, hashed(put.new_texts)) if bundle.text_hash.size else bundle.text_hash,
        "beside": {name: placed(of, *_NOTHING, put.num) for name, of in bundle.beside.items() if name in BESIDE},
        "rules": bundle.rules and _rules(put, bundle.rules, goods, demand),
        "facts": {**bundle.facts, "num_products": put.num, "most_of_a_group": goods.most_of_a_group},
        "stock": LastStock(),
    }
    return replace(bundle, **changed)


_NOTHING = (np.zeros(0, np.int32), np.zeros(0, np.int32))


@dataclass
class _NewNames:
    """Names and their numbers, those that are new numbered on."""

    names: CodedNames
    fresh: dict[str, int] = field(default_factory=dict)

    def code(self, name: str) -> int:
        known = self.names.find(name)
        return known if known >= 0 else self.fresh.setdefault(name, len(self.names) + len(self.fresh))

    @property
    def made(self) -> CodedNames:
        return self.names.more(list(self.fresh))


@dataclass
class _Put:
    """What is put beside the bundle that it is put into.

    table     COLUMNS with `path`, the category path, and its levels, as rules compare them
    texts     (N,) as the night makes them
    item      (N,) their numbers; new: (N,) which the bundle does not know
    paths     (N,) department, category, type
    pages_of  (3, I) with theirs
    """

    bundle: LiveBundle
    table: pd.DataFrame
    item: Int32s
    new: Bools
    num: int
    new_ids: list[str]
    texts: list[str]
    paths: list[tuple[str, ...]]
    page_names: _NewNames
    pages_of: Int32s
    brand_names: _NewNames
    maker_names: _NewNames
    new_texts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, bundle: LiveBundle, products: pd.DataFrame) -> "_Put":
        table = products.reset_index(drop=True)
        before = len(bundle.products)
        known = np.array([bundle.products.find(product) for product in table["product_id"]], np.int32)
        new = known < 0
        item = np.where(new, before - 1 + np.cumsum(new), known).astype(np.int32)
        num = before + int(new.sum())
        texts = product_texts(table).tolist()
        path = table.pop("category")
        table = table.assign(path=path).join(levels(path))
        paths = list(zip(*(table[level] for level in LEVELS), strict=True))
        page_names, pages_of = _NewNames(bundle.page_names), grown(bundle.pages_of.T, num, -1).T
        for row, path in zip(item.tolist(), paths, strict=True):
            names = [" > ".join(path[: depth + 1]) for depth in range(len(path))]
            pages_of[:, row] = [page_names.code(name) if path[0] else -1 for name in names]
        brands, makers = _NewNames(bundle.brand_names), _NewNames(bundle.maker_names)
        new_ids = [str(name) for name in table["product_id"][new]]
        return cls(bundle, table, item, new, num, new_ids, texts, paths, page_names, pages_of, brands, makers)

    def moved(self, rows: Ragged, before: Int32s, now: Int32s, num: int) -> Ragged:
        """Items by code, those whose code is another one than before at the ends of their new rows."""
        other = self.new.copy()
        other[~self.new] = before[self.item[~self.new]] != now[self.item[~self.new]]
        item = self.item[other]
        told = now[item] >= 0
        return placed(dropped(rows, item), now[item[told]], item[told], num)

    @cached_property
    def catalogue(self) -> Catalogue:
        """That of the bundle with them."""
        before, num = self.bundle.shop.catalogue, self.num
        made = {name: grown(values, num, -1) for name, values in vars(before).items() if values.dtype == np.int32}
        made["brand"][self.item] = [self.brand_names.code(name) for name in self.table["brand"]]
        if len(self.bundle.maker_names):
            made["maker"][self.item] = [self.maker_names.code(name) for name in self.table["maker"]]
        for depth, level in enumerate(("department", "category", "kind")):
            made[level][self.item] = self._of_pages(depth, getattr(before, level))
        line = _Pairs(made["kind"], made["maker"], before.line)
        made["line"][self.item] = [line.code(row) for row in self.item.tolist()]
        made["size"][self.item[self.new]] = -1
        made["text"][self.item] = self._texts()
        new = self.item[self.new]  # which size of what it is, the next night sees
        made["group"][new] = int(before.group.max(initial=-1)) + 1 + np.arange(new.size)
        made["from_day"][self.item], made["until_day"][self.item] = self.table["from_day"], self.table["until_day"]
        recommendable = grown(before.recommendable, num, False)
        recommendable[self.item] = self._recommendable(before, made["kind"][self.item])
        price = grown(before.list_price, num, np.nan)
        price[self.item] = self.table["price"].to_numpy(np.float32)
        return Catalogue(**made, recommendable=recommendable, list_price=price)

    def _of_pages(self, depth: int, codes: Int32s) -> list[int]:
        """The catalogue's code of each path down to a level: that of a product with the same, or a further one."""
        code_of: dict[int, int] = {}
        fresh = int(codes.max(initial=-1)) + 1
        for page in self.pages_of[depth, self.item].tolist():
            if page in code_of:
                continue
            same = np.flatnonzero(self.bundle.pages_of[depth] == page)[:1]
            code_of[page] = int(codes[same[0]]) if same.size else fresh
            fresh += not same.size
        return [code_of[page] for page in self.pages_of[depth, self.item].tolist()]

    def _texts(self) -> list[int]:
        """The number of each one's text; texts that nobody had are `new_texts`."""
        num = self._num_texts
        known = dict(zip(self.bundle.text_hash.tolist(), range(num), strict=False))
        codes = []
        for text, key in zip(self.texts, hashed(self.texts).tolist(), strict=True):
            if key not in known:
                known[key] = num + len(self.new_texts)
                self.new_texts.append(text)
            codes.append(known[key])
        return codes

    @property
    def _num_texts(self) -> int:
        words = self.bundle.words
        return words.items.indptr.size - 1 if words else int(self.bundle.shop.catalogue.text.max(initial=-1)) + 1

    def _recommendable(self, before: Catalogue, kind: Int32s) -> Bools:
        """A product is what others of its kind are; the first one of its kind is recommended, unless it is none."""
        num = int(max(kind.max(initial=0), before.kind.max(initial=0))) + 1
        known, recommended = (np.bincount(of, minlength=num) for of in (before.kind, before.kind[before.recommendable]))
        product = self.table["not_a_product"].isin(["", "no"]).to_numpy(bool)
        return np.asarray(product & ((known[kind] == 0) | (recommended[kind] > 0)))


@dataclass
class _Pairs:
    """Codes of pairs of a kind and a maker; `codes` (I,) of the items that have one already."""

    kind: Int32s
    maker: Int32s
    codes: Int32s
    found: dict[tuple[int, int], int] = field(default_factory=dict)

    def code(self, item: int) -> int:
        pair = int(self.kind[item]), int(self.maker[item])
        if pair not in self.found:
            num = self.codes.size
            same = np.flatnonzero((self.kind[:num] == pair[0]) & (self.maker[:num] == pair[1]))
            same = same[same != item][:1]
            fresh = max(int(self.codes.max(initial=-1)), *self.found.values(), -1) + 1
            self.found[pair] = int(self.codes[same[0]]) if same.size else fresh
        return self.found[pair]


def _pages(put: _Put) -> Ragged:
    """Those on the pages of their paths; the others stand where they stood."""
    before, num = put.bundle.pages, len(put.page_names.made)
    other = put.new.copy()
    own = put.item[~put.new]
    other[~put.new] = (put.bundle.pages_of[:, own] != put.pages_of[:, own]).any(axis=0)
    item = put.item[other]
    pages = put.pages_of[:, item].ravel()
    items = np.tile(item, len(LEVELS))
    return placed(dropped(before, item), pages[pages >= 0], items[pages >= 0], num)


def _shop(put: _Put) -> SessionShop:
    shop, catalogue, num = put.bundle.shop, put.catalogue, put.num
    kinds = max(int(catalogue.kind.max(initial=-1)) + 1, shop.of_kind.indptr.size - 1)  # one may have no product left
    new = put.item[put.new]
    first = grown(shop.first_day, num)
    from_day, day = put.table["from_day"].to_numpy(np.int32), put.table["day"].to_numpy(np.int32)
    first[new] = np.where(from_day < NEVER, from_day, day)[put.new]
    products = grown(shop.products, num)
    if len(shop.products):  # as what nobody met: rates are the usual ones
        products[new] = shop.products[np.argmin(shop.popularity)]
        products[np.ix_(new, np.flatnonzero(~np.isin(PRODUCT, RATES)))] = 0
    alike = _alike(put)
    kept = catalogue.recommendable[new]
    return replace(
        shop,
        catalogue=catalogue,
        near=_with_near(shop.near, alike, num),
        leads=_with_near(shop.leads, {}, num),
        follows=_with_near(shop.follows, {}, num),
        factors=shop.factors and _with_factors(shop.factors, alike, num),
        of_kind=put.moved(shop.of_kind, shop.catalogue.kind, _but(catalogue.kind, new), kinds),
        young=placed(shop.young, catalogue.kind[new[kept]], new[kept], kinds, first=True),
        popularity=grown(shop.popularity, num),
        products=products,
        first_day=first,
    )


def _but(codes: Int32s, items: Int32s) -> Int32s:
    out = codes.copy()
    out[items] = -1
    return out


def _alike(put: _Put) -> dict[int, tuple[Int32s, Float32s]]:
    """{item: items of the night with the texts most like its own, and how much, at most 1} of each further one."""
    words = put.bundle.words
    made = {}
    for row in np.flatnonzero(put.new).tolist() if words else ():
        assert words is not None
        try:
            scores = words.scores(put.texts[row])
        except InputError:  # a text without a word
            continue
        best = np.argsort(-scores, kind="stable")[:ALIKE].astype(np.int32)
        best = best[(scores[best] > 0) & (np.diff(words.items.indptr)[best] > 0)]
        items = words.items.item[words.items.indptr[best]]
        if items.size:
            made[int(put.item[row])] = items, (scores[best] / scores[best].max()).astype(np.float32)
    return made


def _with_near(rows: CoVisits, alike: Mapping[int, tuple[Int32s, Float32s]], num: int) -> CoVisits:
    """Further items with the neighbours that their texts give them; no item of before has another one."""
    indptr = np.append(rows.indptr, np.full(num + 1 - rows.indptr.size, rows.indptr[-1]))
    if not alike:
        return CoVisits(indptr, rows.item, rows.value)
    counts = np.zeros(num, np.int64)
    for item, (near, _) in alike.items():
        counts[item] = near.size
    ordered = [alike[item] for item in sorted(alike)]
    return CoVisits(
        indptr + np.append(0, np.cumsum(counts)),
        np.concatenate([rows.item, *(near for near, _ in ordered)]),
        np.concatenate([rows.value, *((NEAR * weight).astype(np.float16) for _, weight in ordered)]),
    )


def _with_factors(factors: Factors, alike: Mapping[int, tuple[Int32s, Float32s]], num: int) -> Factors:
    items = grown(factors.items, num)
    for item, (near, weight) in alike.items():
        items[item] = (weight @ factors.items[near].astype(np.float32)) / weight.sum()
    return replace(factors, items=items)


def _groups(put: _Put) -> tuple[Int32s, dict[str, int]]:
    """(I,) groups, by the shop's own names of them, and the numbers of those that are new; which titles are one product
    in several sizes is the night's matter."""
    bundle, code = put.bundle, grown(put.bundle.goods.group, put.num, -1)
    further, fresh = dict(bundle.further_groups), int(code.max(initial=-1)) + 1
    named = {*range(len(bundle.group_names)), *further.values()}
    for item, name in zip(put.item.tolist(), put.table["group_id"], strict=True):
        if name:
            known = bundle.group_names.find(name)
            code[item] = known if known >= 0 else further.setdefault(name, max(fresh, *further.values(), 0) + 1)
        elif code[item] in named:
            code[item] = -1
    return code, further


def _goods(put: _Put, group: Int32s) -> Deliverable:
    goods, before, item = put.bundle.goods, put.bundle.shop.catalogue, put.item
    day, until = put.table["day"].to_numpy(np.int32), put.table["until_day"].to_numpy(np.int32)
    valid = put.catalogue.recommendable[item] & (until > day)
    stock = put.table["stock"].to_numpy(np.float64)
    on_sale = grown(goods.on_sale, put.num, False)
    was = on_sale[item]
    was[~put.new] |= before.until_day[item[~put.new]] <= put.bundle.shop.cut + 1
    on_sale[item] = valid & np.where(np.isnan(stock), was | put.new, stock > 0)
    least_age = grown(goods.least_age, put.num)
    least_age[item] = np.nan_to_num(put.table["min_age"].to_numpy(np.float64))
    customers, items = np.divmod(goods.gone_back, max(goods.on_sale.size, 1))
    sizes = goods.sizes
    if sizes is not None:
        sizes = replace(sizes, cell=grown(sizes.cell, put.num, -1), size=grown(sizes.size, put.num, -1))
    elif (group >= 0).any():
        none, unknown = sparse.csr_matrix((goods.age.size, 0)), np.full(put.num, -1, np.int32)
        sizes = SizesKept(unknown, unknown, none, none)
    return replace(
        goods, on_sale=on_sale, least_age=least_age, gone_back=customers * put.num + items, group=group,
        sizes=sizes, **_markets(put, goods),
    )  # fmt: skip


def _markets(put: _Put, goods: Deliverable) -> dict[str, Any]:
    """Where they are sold. Customers of a market that no product named before have none of its own until the night."""
    named = [market_names(text) for text in put.table["markets"]]
    fresh = [name for name in dict.fromkeys(name for names in named for name in names) if name not in goods.markets]
    markets = (*goods.markets, *fresh)
    if not markets:
        return {"sold_in": np.zeros((put.num, 0), bool)}
    before = len(goods.markets)
    sold_in = np.zeros((put.num, len(markets) + 1), bool)
    sold_in[: len(goods.sold_in), :before] = goods.sold_in[:, :before]
    sold_in[put.item] = False
    for item, names in zip(put.item.tolist(), named, strict=True):
        for name in names:
            sold_in[item, markets.index(name)] = True
    market = np.where(goods.market == before, len(markets), goods.market).astype(np.int32) if fresh else goods.market
    return {"sold_in": sold_in, "markets": markets, "market": market}


def _rules(put: _Put, rules: LiveRules, goods: Deliverable, demand: Int32s) -> LiveRules:
    """The shop's rules, which speak of these products too."""
    night = rules.rules
    codes = {}
    for level, before in night.codes.items():
        of = {"type": "kind"}.get(level, level)
        same = _Same(getattr(put.bundle.shop.catalogue, of), getattr(put.catalogue, of), before)
        codes[level] = same.codes(put.item, put.num)
    held = tuple(_held(put, rule) for rule in night.held)
    renewed = replace(night, held=held, family=family(goods.group), group=goods.group, popular=demand, codes=codes)
    return LiveRules(renewed, rules.markets, rules.market, rules.bought)


@dataclass(frozen=True)
class _Same:
    """What a cap counts: items of one code of the catalogue's are one there."""

    before: Int32s
    now: Int32s
    counted: Int32s

    def codes(self, item: Int32s, num: int) -> Int32s:
        out = grown(self.counted, num, -1)
        fresh = int(self.counted.max(initial=-1)) + 1
        for row in item.tolist():
            same = np.flatnonzero(self.before == self.now[row])[:1]
            out[row] = self.counted[same[0]] if same.size else fresh + self.now[row]
        return out


def _held(put: _Put, held: HeldRule) -> HeldRule:
    """A rule with what it says of these products."""
    rule = held.rule
    try:
        means = selected(rule.about, put.table, lambda _: "", lambda *_: None)
    except InputError:  # an attribute, which no product that is put has
        means = np.zeros(put.item.size, bool)
    items = grown(held.items, put.num, False)
    value: Values | None = None if held.value is None else grown(held.value, put.num)
    if isinstance(rule, LeastStock):
        assert value is not None
        units = np.where(means, put.table["stock"].to_numpy(np.float64), -np.inf)
        value[put.item], means = units, means & (units < rule.least_stock)
    elif isinstance(rule, NotAgain) and rule.not_again != "cycle":
        assert value is not None
        value[put.item] = float(rule.not_again)
    elif isinstance(rule, Margin):
        assert value is not None
        value[put.item[put.new]] = 0.0  # the mean and the spread of margins are the night's
    items[put.item] = means
    return replace(held, items=items, value=value)
