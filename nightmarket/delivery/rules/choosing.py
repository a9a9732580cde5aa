"""Lists that keep the rules: pins first, then each customer's best that every limit allows, then what is popular.

A live site asks the same function for one visitor (B = 1) that the night asks for hundreds of customers:

    rules: NightRules                      # of tonight, see `tonight`
    who = Recipients(market, age, channel, bought)       # arrays (B,), see `tonight`
    chosen = choose(rules, who, row, item, score, num, may)       # candidates (N,): customer's row, product, score
    chosen.item                            # (B, num) products, best first; -1 where nothing more is allowed

Shapes: B customers, N candidates, P products that are looked at, `num` places.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s
from nightmarket.delivery.rules.declared import Bury, Cap, Margin, Pin
from nightmarket.delivery.rules.tonight import HeldRule, NightRules, Recipients

May = Callable[[Int32s, Int32s], Bools]
"""(rows (N,), items (N,)) → which pairs the shop may offer whatever its rules say: stock, markets, ages, returns."""
FIRST, LARGEST = 256, 2048
"""Products that lists are filled up from at a time: few are needed, unless limits leave few."""
NOT_KNOWN = -1e29
"""Scores below are of what an order knows nothing of; they are not part of a customer's spread."""


@dataclass(frozen=True)
class Chosen:
    """The lists: B customers, `num` places.

    item    (B, num) products, -1 where nothing more is allowed
    at      (B, num) the candidate (0..N-1) in that place, -1 for a product that was none
    pinned  (B, num) places that a rule holds
    """

    item: Int32s
    at: Int64s
    pinned: Bools


def choose(
    rules: NightRules,
    who: Recipients,
    row: Int32s,
    item: Int32s,
    score: Float64s,
    num: int,
    may: May,
    *,
    pins: bool = True,
    fill_up: bool = True,
) -> Chosen:
    """The best lists of `num` products that keep the rules.

    row, item, score  (N,)  candidates, a customer's distinct: the customer's row in `who`, product, what orders them
    pins      whether pinned places are held
    fill_up   whether a list that the candidates leave short is filled up with what is popular

    A list holds one of a group of sizes and colours. It is shorter than `num` only where no product is left that all
    limits allow: of `rules.popular`, where it is filled up. The same arguments give the same lists.
    """

    def allowed(rows: Int32s, items: Int32s) -> Bools:
        kept = may(rows, items).copy()
        kept[kept] = rules.allowed(who, rows[kept], items[kept])
        return kept

    kept = np.flatnonzero(allowed(row, item))
    row, item, score = row[kept], item[kept], _with_margin(rules, who, row[kept], item[kept], score[kept])
    by_score = np.lexsort((item, -score, row))
    own = _Candidates.of(row[by_score], item[by_score], kept[by_score], who.num)
    lists = _Lists(rules, who, num)
    if pins:
        _pin(lists, own, allowed)
    everybody = np.arange(who.num, dtype=np.int32)
    last = lists.buried()
    passes = [False, True] if last is not None else [True]
    for buried_too in passes:
        ok = own.item >= 0
        if not buried_too and last is not None:
            ok &= ~last(everybody, own.item)
        lists.take(everybody, own.item, own.at, ok)
        if fill_up:
            _fill_up(lists, allowed, None if buried_too else last)
    order = np.argsort(lists.item < 0, axis=1, kind="stable")  # a pin behind places that nothing is left for moves up
    return Chosen(*(np.take_along_axis(values, order, axis=1) for values in (lists.item, lists.at, lists.pinned)))


@dataclass(frozen=True)
class _Candidates:
    """Each customer's candidates, best first, -1 after the last; `at` their places among all."""

    item: Int32s
    at: Int64s

    @classmethod
    def of(cls, row: Int32s, item: Int32s, at: Int64s, num_rows: int) -> "_Candidates":
        """Of pairs by row, best first."""
        place = np.arange(row.size) - np.searchsorted(row, row)
        shape = (num_rows, int(place.max(initial=-1)) + 1)
        items, places = np.full(shape, -1, np.int32), np.full(shape, -1, np.int64)
        items[row, place], places[row, place] = item, at
        return cls(items, places)


class _Limit:
    """At most so many of each code in a list.

    code   (I,) what a product counts as, -1 for one that does not count
    limit  (B,)
    """

    def __init__(self, code: Int32s, limit: Int64s) -> None:
        self.code, self.limit = code, limit
        self.count = np.zeros((limit.size, int(code.max(initial=-1)) + 2), np.int16)  # the last column counts nothing

    def room(self, rows: Int32s, item_BP: Int32s) -> Bools:
        """(b, P) whether there is room for each product in the lists of the rows (b,)."""
        code = self.code[item_BP]
        return np.asarray((code < 0) | (self.count[rows[:, None], code] < self.limit[rows, None]))

    def open(self, rows: Int32s, items: Int32s) -> Bools:
        """(P,) which products have room in the list of any of the rows (b,)."""
        free = np.append((self.count[rows, :-1] < self.limit[rows, None]).any(axis=0), True)
        return np.asarray(free[self.code[items]])

    def put(self, rows: Int32s, items: Int32s) -> tuple[Int32s, Bools]:
        """Count a product in each of the rows (b,): its code, and whether there is no more room for it."""
        code = self.code[items]
        self.count[rows[code >= 0], code[code >= 0]] += 1
        return code, np.asarray((code >= 0) & (self.count[rows, code] >= self.limit[rows]))


class _Lists:
    """Lists in the making."""

    def __init__(self, rules: NightRules, who: Recipients, num: int) -> None:
        self.rules, self.who, self.num = rules, who, num
        self.item = np.full((who.num, num), -1, np.int32)
        self.at = np.full((who.num, num), -1, np.int64)
        self.pinned = np.zeros((who.num, num), bool)
        self.limits = [_Limit(rules.group, np.ones(who.num, np.int64))] if (rules.group >= 0).any() else []
        for held in rules.held:
            if isinstance(held.rule, Cap):
                codes = rules.codes.get(held.rule.per, np.zeros(rules.num_items, np.int32))
                most = np.where(rules.holds(held.rule, who), held.rule.cap, num)
                self.limits.append(_Limit(np.where(held.items, codes, -1).astype(np.int32), most))

    def buried(self) -> "Callable[[Int32s, Int32s], Bools] | None":
        """(rows (b,), items (b, P)) → which of them come after all others; None where nothing is buried."""
        held = [(held.items, self.rules.holds(held.rule, self.who)) for held in self.rules.held
                if isinstance(held.rule, Bury)]  # fmt: skip
        if not held:
            return None

        def last(rows: Int32s, item_BP: Int32s) -> Bools:
            out = np.zeros(item_BP.shape, bool)
            for items, holds in held:
                out |= items[item_BP] & holds[rows, None]
            return out

        return last

    def short(self) -> Int32s:
        """Rows whose lists have a free place."""
        return np.flatnonzero((self.item < 0).any(axis=1)).astype(np.int32)

    def room(self, rows: Int32s, item_BP: Int32s) -> Bools:
        """(b, P) which products are not in the rows' lists and fit into them."""
        ok = item_BP >= 0
        for place in np.flatnonzero((self.item[rows] >= 0).any(axis=0)).tolist():
            ok &= item_BP != self.item[rows, place, None]
        for limit in self.limits:
            ok &= limit.room(rows, item_BP)
        return ok

    def open(self, rows: Int32s, items: Int32s) -> Int32s:
        """Those of the products (P,) that fit into the list of any of the rows."""
        for limit in self.limits:
            items = items[limit.open(rows, items)]
        return items

    def put(self, rows: Int32s, place: Int64s, items: Int32s, at: Int64s) -> list[tuple[Int32s, Bools]]:
        """One product into a place of each of the rows (b,); what each limit says of it."""
        self.item[rows, place], self.at[rows, place] = items, at
        return [limit.put(rows, items) for limit in self.limits]

    def take(self, rows: Int32s, item_BP: Int32s, at_BP: Int64s, ok: Bools) -> None:
        """Fill free places, first to last, with the first products (b, P) of those `ok` for which there is room."""
        if item_BP.shape[1] == 0:
            return
        ok = ok & self.room(rows, item_BP)
        for _ in range(self.num):
            here = np.flatnonzero(ok.any(axis=1) & (self.item[rows] < 0).any(axis=1))
            if not here.size:
                return
            first, into = ok[here].argmax(axis=1), (self.item[rows[here]] < 0).argmax(axis=1)
            items = item_BP[here, first]
            said = self.put(rows[here], into, items, at_BP[here, first])
            ok[here, first] = False
            for limit, (code, full) in zip(self.limits, said, strict=True):
                closed = here[full]
                ok[closed] &= limit.code[item_BP[closed]] != code[full, None]


def _with_margin(rules: NightRules, who: Recipients, row: Int32s, item: Int32s, score: Float64s) -> Float64s:
    """(N,) the scores, moved by the margins: by so many spreads of the customer's own scores as the rule says."""
    wishes = [held for held in rules.held if isinstance(held.rule, Margin)]
    if not wishes or not row.size:
        return score
    known = score > NOT_KNOWN
    num = np.maximum(np.bincount(row[known], minlength=who.num), 1)
    mean = np.bincount(row[known], score[known], who.num) / num
    spread = np.sqrt(np.bincount(row[known], (score[known] - mean[row[known]]) ** 2, who.num) / num)
    moved = score.copy()
    for held in wishes:
        assert held.value is not None
        moved += np.where(known & rules.holds(held.rule, who)[row], held.value[item] * spread[row], 0.0)
    return moved


def _pin(lists: _Lists, own: _Candidates, allowed: May) -> None:
    """Hold the pinned places, first to last; of two rules for a place the earlier one."""
    pins = [held for held in lists.rules.held if isinstance(held.rule, Pin)]
    places = [(place, held) for held in pins if isinstance(held.rule, Pin) for place in held.rule.place]
    for place, held in sorted(places, key=lambda pair: (pair[0], pair[1].number)):
        if place > lists.num:
            continue
        rows = np.flatnonzero(lists.rules.holds(held.rule, lists.who) & (lists.item[:, place - 1] < 0)).astype(np.int32)
        rows = rows if _by_id(held) is not None else _place(lists, rows, place - 1, own, held)
        for chunk in _chunks(_pool(held, lists.rules)):
            if not rows.size:
                break
            ok = _allowed(allowed, rows, chunk, lists.room(rows, np.tile(chunk, (rows.size, 1))))
            here = ok.any(axis=1)
            items = chunk[ok[here].argmax(axis=1)]
            at = _place_of(own, rows[here], items)
            lists.put(rows[here], np.full(items.size, place - 1), items, at)
            lists.pinned[rows[here], place - 1] = True
            rows = rows[~here]


def _by_id(held: HeldRule) -> tuple[str, ...] | None:
    return held.rule.pin.id if isinstance(held.rule, Pin) else None


def _pool(held: HeldRule, rules: NightRules) -> Int32s:
    """The pinned products that can be had: in the order in which ids are written, or else the most popular first."""
    popular = rules.popular[held.items[rules.popular]]
    return popular if held.order is None else held.order[np.isin(held.order, popular)]


def _place(lists: _Lists, rows: Int32s, place: int, own: _Candidates, held: HeldRule) -> Int32s:
    """Put each row's own best of the pinned products into the place; the rows that have none."""
    if own.item.shape[1] == 0:
        return rows
    item = own.item[rows]
    ok = held.items[item] & lists.room(rows, item)
    here = ok.any(axis=1)
    first = ok[here].argmax(axis=1)
    chosen = rows[here]
    lists.put(chosen, np.full(chosen.size, place), own.item[chosen, first], own.at[chosen, first])
    lists.pinned[chosen, place] = True
    return rows[~here]


def _place_of(own: _Candidates, rows: Int32s, items: Int32s) -> Int64s:
    """(b,) each product's place among all candidates, -1 for one that is none of its customer's."""
    if own.item.shape[1] == 0:
        return np.full(rows.size, -1, np.int64)
    same = own.item[rows] == items[:, None]
    return np.where(same.any(axis=1), own.at[rows, same.argmax(axis=1)], -1)


def _fill_up(lists: _Lists, allowed: May, last: "Callable[[Int32s, Int32s], Bools] | None") -> None:
    """Fill the lists that are short with what is popular; without what is buried, where `last` says what that is."""
    rows = lists.short()
    for part in _chunks(lists.rules.popular):
        if not rows.size:
            return
        chunk = lists.open(rows, part)
        if not chunk.size:
            continue
        item = np.tile(chunk, (rows.size, 1))
        ok = lists.room(rows, item)
        if last is not None:
            ok &= ~last(rows, item)
        ok = _allowed(allowed, rows, chunk, ok)
        lists.take(rows, item, np.full(item.shape, -1, np.int64), ok)
        rows = rows[(lists.item[rows] < 0).any(axis=1)]


def _allowed(allowed: May, rows: Int32s, items: Int32s, ok: Bools) -> Bools:
    """(b, P) those `ok` that are allowed; the others are not asked."""
    row, column = np.nonzero(ok)
    kept = np.zeros_like(ok)
    kept[row, column] = allowed(rows[row], items[column])
    return kept


def _chunks(items: Int32s) -> "list[Int32s]":
    """The products in parts that grow."""
    parts, start, size = [], 0, FIRST
    while start < items.size:
        parts.append(items[start : start + size])
        start, size = start + size, min(2 * size, LARGEST)
    return parts
