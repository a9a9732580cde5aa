"""What people do in a made-up shop, week by week.

Everybody looks for one kind, the wish, with three products of it in mind, the shortlist. A wish lasts from week to week
and ends by itself or after a week in which something was bought; then there is another one, or a rest. A session shows
two to eight products: some are popular or promoted, some are of the kind that the session is about, by taste. Some
sessions put a product into the cart, some carts are bought; what lies in the cart is drawn first and is one of the
views, so that its probability is known. After a main product come accessories that fit it.

Shapes: C customers and guests, S sessions of a week, V views, N events.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from bench.shops.assortment import FAMILIES_PER_KIND, STYLES, Assortment, size_class
from bench.shops.choice import Choice, Grouped, Shelves
from bench.shops.clientele import Clientele, size_shares
from bench.shops.profiles import ShopProfile
from nightmarket.contracts.arrays import Bools, Float64s, Int32s, Int64s, Values

KINDS = ("view", "cart", "purchase", "return", "search")
VIEW, CART, PURCHASE, RETURN, SEARCH = range(len(KINDS))
DAY, WEEK = 86_400, 7 * 86_400
DAY_SHARES = np.array([0.12, 0.12, 0.12, 0.13, 0.15, 0.18, 0.18])
"""Of a week's sessions, Monday first."""
SHORTLIST = 3
REVISIT = 0.3
"""Sessions of those with a wish that look at the shortlist again."""
OWN_SIZE = 0.7
"""Views of a size that would be bought; the others are of any size."""
ABOUT = 0.8
"""Views, besides those of what is popular, that are of the kind which the session is about."""
ACCESSORY_WEEKS = 6


def season(week: Values) -> Float64s:
    """How many sessions a week has, over an average one."""
    return np.asarray(1 + 0.2 * np.sin(2 * np.pi * np.asarray(week) / 26))


@dataclass
class Events:
    """(N,) each: place of the customer (guests follow the customers), product (-1 in a search), second since the first
    Monday, what was done, session."""

    customer: Int64s
    product: Int64s
    second: Int64s
    kind: Values
    session: Int64s

    @classmethod
    def join(cls, parts: Sequence["Events"]) -> Self:
        """One after the other."""
        columns = ([getattr(part, field.name) for part in parts] for field in fields(cls))
        return cls(*(np.concatenate(column) if column else np.zeros(0, np.int64) for column in columns))

    def where(self, rows: Values) -> "Events":
        """Those rows."""
        return Events(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Spells:
    """From when a customer looks for what: columns customer, week, kind (-1: nothing), shortlist (3 models)."""

    customer: Int64s
    week: Int64s
    kind: Int64s
    shortlist: Int64s

    def at(self, customers: Int64s, week: int) -> tuple[Int64s, Int64s]:
        """Kind (B,) and shortlist (B, 3) in a week; rows are sorted by customer, then week."""
        span = int(self.week.max(initial=0)) + 2
        key = self.customer * span + self.week
        row = np.searchsorted(key, customers * span + min(max(week, 0), span - 1), side="right") - 1
        return self.kind[row], self.shortlist[row]


@dataclass(frozen=True)
class Diary:
    """All that happened. `decided`: (customer, second) of carts whose owner decided to buy."""

    events: Events
    spells: Spells
    decided: tuple[Int64s, Int64s]


def product_of(
    assortment: Assortment,
    classes: Int32s,
    clientele: Clientele,
    rng: np.random.Generator,
    customer: Int64s,
    model: Int64s,
    own: Bools | bool = True,
) -> Int64s:
    """(V,) the product of a model in the size that the customer would buy, or, where not `own`, in any."""
    start = np.searchsorted(assortment.model, np.arange(assortment.num_models + 1))
    count = (start[1:] - start[:-1])[model]
    dice = rng.random(model.size)
    anyhow = (dice * count).astype(np.int64)
    cls = classes[assortment.kind[model]]
    size = clientele.size[customer, np.maximum(cls, 0)]
    running = np.cumsum(size_shares(), axis=1)[size]
    suited = np.minimum((dice[:, None] > running).sum(axis=1), 3)
    place = np.where((cls >= 0) & own, np.minimum(suited, count - 1), anyhow)
    return np.asarray(start[model] + place)


class Simulation:
    """The state of a shop in the course of its weeks."""

    def __init__(self, profile: ShopProfile, assortment: Assortment, clientele: Clientele, seed: int) -> None:
        self.profile, self.assortment, self.clientele, self.seed = profile, assortment, clientele, seed
        self.shelves = Shelves.build(profile, assortment)
        self._taste = clientele.taste(slice(None))
        self._view_taste = clientele.taste(slice(None), profile.view_taste)
        self._likes = np.cumsum(clientele.kind, axis=1)
        self._classes = size_class(profile)
        num = clientele.rate.size
        self.wish = np.full(num, -1, np.int64)
        self.shortlist = np.full((num, SHORTLIST), -1, np.int64)
        self.fulfilled = np.zeros(num, bool)
        self._owned = np.zeros(0, np.int64)
        self._parts: list[Events] = []
        self._spells: list[tuple[Int64s, int, Int64s, Int64s]] = []
        self._decided: list[tuple[Int64s, Int64s]] = []
        self._mains: list[tuple[int, Events]] = []
        self._sessions = 0

    def run(self, fork: tuple[int, int] | None = None) -> Diary:
        """Every week; from the week fork[0] on with other dice, those of the seed fork[1]."""
        for week in range(self.profile.weeks):
            seed = fork[1] if fork and week >= fork[0] else self.seed
            self._week(week, np.random.default_rng([seed, 3, week]))
        events = Events.join(self._parts)
        returned = self._returns(events, np.random.default_rng([self.seed, 4]))
        events = Events.join([events, returned])
        events = events.where(np.argsort(events.second, kind="stable"))
        return Diary(events, self._all_spells(), tuple(map(np.concatenate, zip(*self._decided, strict=True))))  # type: ignore[arg-type]

    def _week(self, week: int, rng: np.random.Generator) -> None:
        cart = Choice(self.shelves, self.shelves.cart_weights(week, self.seed))
        popular = Grouped(
            np.zeros(self.assortment.num_models, np.int32), 1, self.shelves.popular_weights(week, self.seed)[None, :]
        )
        self._renew(week, rng, cart)
        people = self.clientele
        rests = self.wish < 0
        often = people.rate * season(week) * ((people.joined <= week) & (week < people.left))
        num = rng.poisson(np.where(rests, often * self.profile.resting_sessions, often))
        who = np.repeat(np.arange(num.size), num)
        about = np.where(
            (rng.random(who.size) < self.profile.follows) & ~rests[who], self.wish[who], self._kinds(rng, who)
        )
        start = week * WEEK + rng.choice(7, who.size, p=DAY_SHARES) * DAY + _second_of_day(rng, who.size)
        session = self._sessions + np.arange(who.size)
        self._sessions += who.size
        carted, decided = self._carts(week, rng, who, about, cart, popular)
        end, viewed = self._views(week, rng, Events(who, carted, start, about, session), popular)
        self._parts.append(viewed)
        self._searches(rng, Events(who, about, start - 6, about, session))
        self._decided.append((who[decided], end[decided]))
        self.fulfilled[:] = False
        self.fulfilled[who[decided]] = True
        filled = carted >= 0
        carts = Events(
            who[filled], carted[filled], end[filled] + 20, np.full(filled.sum(), CART, np.int8), session[filled]
        )
        self._parts.append(carts)
        bought = self._buy(
            rng, Events(who, carted, end + 140, np.full(who.size, PURCHASE, np.int8), session), filled & decided
        )
        if self.profile.accessory_rate:
            self._accessories(week, rng, bought)

    def _renew(self, week: int, rng: np.random.Generator, cart: Choice) -> None:
        """Wishes that end, and those that begin, on Monday."""
        profile, num = self.profile, self.wish.size
        rests = self.wish < 0
        dice = rng.random((3, num))
        if week == 0:
            resting = dice[0] < 0.6 * profile.rests
            changed = np.ones(num, bool)
        else:
            ends = ~rests & ((dice[0] < profile.wish_ends) | (self.fulfilled & (dice[1] < profile.wish_fulfilled)))
            wakes = rests & (dice[0] < profile.wakes)
            resting = ends & (dice[2] < profile.rests)
            changed = ends | wakes
        who = np.flatnonzero(changed)
        kind = np.where(resting[who], -1, self._kinds(rng, who))
        many = np.repeat(who, SHORTLIST)
        chosen = cart.draw(rng, self._taste, many, self.clientele.level[many], np.repeat(kind, SHORTLIST))
        self.wish[who], self.shortlist[who] = kind, chosen.reshape(-1, SHORTLIST)
        self._spells.append((who, week, kind, self.shortlist[who]))

    def _kinds(self, rng: np.random.Generator, who: Int64s) -> Int64s:
        """(S,) a kind that each likes."""
        likes = self._likes[who]
        return np.minimum((rng.random(who.size)[:, None] * likes[:, -1:] >= likes).sum(axis=1), likes.shape[1] - 1)

    def _remembered(self, week: int, rng: np.random.Generator, who: Int64s) -> Int64s:
        """(S,) a model of the shortlist, -1 where it is not on sale any more."""
        model = self.shortlist[who, rng.integers(0, SHORTLIST, who.size)]
        return np.where((model >= 0) & self.assortment.live(week)[model], model, -1)

    def _carts(
        self, week: int, rng: np.random.Generator, who: Int64s, about: Int64s, cart: Choice, popular: Grouped
    ) -> tuple[Int64s, Bools]:
        """Product that each session puts into the cart (S,), -1 for none; and whether its owner decides to buy (S,)."""
        profile = self.profile
        filled = (rng.random(who.size) < profile.cart) & (self.wish[who] >= 0)
        route = rng.random((2, who.size))
        impulse = route[0] < profile.impulse
        listed = ~impulse & (route[1] < profile.shortlist)
        model = np.full(who.size, -1, np.int64)
        rows = np.flatnonzero(filled & impulse)
        model[rows] = popular.draw(rng, np.zeros(rows.size, np.int64), np.zeros(rows.size, np.int32))
        rows = np.flatnonzero(filled & listed)
        model[rows] = self._remembered(week, rng, who[rows])
        kind = np.where(listed, self.wish[who], about)
        rows = np.flatnonzero(filled & ~impulse & (model < 0))
        model[rows] = cart.draw(rng, self._taste, who[rows], self.clientele.level[who[rows]], kind[rows])
        decided = filled & (rng.random(who.size) < profile.buy)
        product = np.full(who.size, -1, np.int64)
        rows = np.flatnonzero(model >= 0)
        product[rows] = product_of(self.assortment, self._classes, self.clientele, rng, who[rows], model[rows])
        return product, decided

    def _views(self, week: int, rng: np.random.Generator, sessions: Events, popular: Grouped) -> tuple[Int64s, Events]:
        """The second of each session's last view (S,), and the views; a session's cart is among them."""
        num = sessions.customer.size
        count = rng.integers(2, 9, num)
        owner = np.repeat(np.arange(num), count)
        slot = np.arange(owner.size) - np.repeat(np.cumsum(count) - count, count)
        who = sessions.customer[owner]
        kind = np.where(rng.random(owner.size) < ABOUT, sessions.kind[owner], self._kinds(rng, who))
        popularly = rng.random(owner.size) < self.profile.misled
        model = np.full(owner.size, -1, np.int64)
        rows = np.flatnonzero(popularly)
        model[rows] = popular.draw(rng, np.zeros(rows.size, np.int64), np.zeros(rows.size, np.int32))
        rows = np.flatnonzero(~popularly)
        choice = Choice(self.shelves, self.shelves.view_weights(week))
        model[rows] = choice.draw(rng, self._view_taste, who[rows], self.clientele.level[who[rows]], kind[rows])
        again = np.flatnonzero((slot == 0) & (self.wish[who] >= 0) & (rng.random(owner.size) < REVISIT))
        listed = self._remembered(week, rng, who[again]) if self.profile.shortlist else np.full(again.size, -1)
        model[again] = np.where(listed >= 0, listed, model[again])
        seen = np.flatnonzero(model >= 0)
        product = np.full(owner.size, -1, np.int64)
        own = rng.random(seen.size) < OWN_SIZE
        product[seen] = product_of(self.assortment, self._classes, self.clientele, rng, who[seen], model[seen], own)
        in_cart = slot == (rng.random(num) * count).astype(np.int64)[owner]
        product = np.where(in_cart & (sessions.product[owner] >= 0), sessions.product[owner], product)
        pause = rng.integers(15, 90, owner.size)
        passed = np.cumsum(pause)
        first = (np.cumsum(count) - count)[owner]
        second = sessions.second[owner] + passed - passed[first]
        end = second[np.cumsum(count) - 1] if num else np.zeros(0, np.int64)
        kept = product >= 0
        views = Events(who, product, second, np.full(owner.size, VIEW, np.int8), sessions.session[owner])
        return end, views.where(kept)

    def _searches(self, rng: np.random.Generator, sessions: Events) -> None:
        """Queries; the field `product` holds what is asked for: -2 - (kind * STYLES + style)."""
        rows = np.flatnonzero(rng.random(sessions.customer.size) < self.profile.searching)
        who = sessions.customer[rows]
        liked = np.cumsum(self.clientele.style, axis=1)[who]
        style = np.minimum((rng.random(rows.size)[:, None] * liked[:, -1:] >= liked).sum(axis=1), STYLES - 1)
        asked = -2 - (sessions.product[rows] * STYLES + style)
        kind = np.full(rows.size, SEARCH, np.int8)
        self._parts.append(Events(who, asked, sessions.second[rows], kind, sessions.session[rows]))

    def _buy(self, rng: np.random.Generator, wanted: Events, rows: Bools) -> Events:
        """Purchases of the rows that take place: what one owns is rarely bought again."""
        wanted = wanted.where(rows)
        key = wanted.customer * self.assortment.model.size + wanted.product
        place = np.minimum(np.searchsorted(self._owned, key), max(self._owned.size - 1, 0))
        owned = self._owned[place] == key if self._owned.size else np.zeros(key.size, bool)
        taken = ~owned | (rng.random(key.size) < self.profile.again)
        self._owned = np.union1d(self._owned, key[taken])
        bought = wanted.where(taken)
        self._parts.append(bought)
        return bought

    def _accessories(self, week: int, rng: np.random.Generator, bought: Events) -> None:
        """Short visits for what fits main products of the last weeks."""
        self._mains = [(then, main) for then, main in self._mains if week - then <= ACCESSORY_WEEKS] + [(week, bought)]
        families = self.assortment.num_main * FAMILIES_PER_KIND
        choice = Grouped(self.assortment.family, families, self.shelves.accessory_weights(week))
        for then, main in self._mains:
            num = rng.poisson(accessory_rate(self.profile, week - then), main.customer.size)
            row = np.repeat(np.arange(num.size), num)
            who, family = main.customer[row], self.assortment.family[self.assortment.model[main.product[row]]]
            later = rng.integers(60, 600, row.size)
            if week > then:
                later = week * WEEK + rng.choice(7, row.size, p=DAY_SHARES) * DAY + _second_of_day(rng, row.size)
            second = later if week > then else main.second[row] + later
            session = self._sessions + np.arange(row.size)
            self._sessions += row.size
            several = [choice.draw(rng, family, self.clientele.level[who]) for _ in range(3)]
            chosen = np.flatnonzero(several[0] >= 0)
            for step, model in enumerate(several):
                seen = chosen[(model[chosen] >= 0) & (rng.random(chosen.size) < (1.0, 0.6, 0.4)[step])]
                self._accessory(VIEW, who[seen], model[seen], second[seen] - 30 * step, session[seen])
            who, model, second, session = (part[chosen] for part in (who, several[0], second, session))
            self._accessory(CART, who, model, second + 20, session)
            product = np.searchsorted(self.assortment.model, model)
            purchase = Events(who, product, second + 60, np.full(who.size, PURCHASE, np.int8), session)
            self._buy(rng, purchase, np.ones(who.size, bool))

    def _accessory(self, kind: int, who: Int64s, model: Int64s, second: Int64s, session: Int64s) -> None:
        product = np.searchsorted(self.assortment.model, model)  # accessories have one size
        self._parts.append(Events(who, product, second, np.full(who.size, kind, np.int8), session))

    def _returns(self, events: Events, rng: np.random.Generator) -> Events:
        """What comes back: more often in a wrong size or a style that one does not like."""
        bought = events.where(events.kind == PURCHASE)
        model = self.assortment.model[bought.product]
        cls, size = self._classes[self.assortment.kind[model]], self.assortment.size[bought.product]
        wrong = (cls >= 0) & (size != self.clientele.size[bought.customer, np.maximum(cls, 0)])
        disliked = self.clientele.style[bought.customer, self.assortment.style[model]] < 0.5 / STYLES
        chance = self.profile.returns * (1 + 7 * wrong) * (1 + 2 * disliked)
        back = rng.random(model.size) < chance
        later = rng.integers(3 * DAY, 20 * DAY, model.size)
        returned = bought.where(back)
        returned.kind, returned.second = np.full(back.sum(), RETURN, np.int8), returned.second + later[back]
        return returned.where(returned.second < self.profile.weeks * WEEK)

    def _all_spells(self) -> Spells:
        who = np.concatenate([part[0] for part in self._spells])
        week = np.concatenate([np.full(part[0].size, part[1]) for part in self._spells])
        kind, listed = (np.concatenate([part[place] for part in self._spells]) for place in (2, 3))
        order = np.lexsort((week, who))
        return Spells(who[order], week[order], kind[order], listed[order])


def accessory_rate(profile: ShopProfile, age: int) -> float:
    """Accessories expected of a main product, `age` weeks after the week of its purchase."""
    return profile.accessory_rate * 0.5**age if 0 <= age <= ACCESSORY_WEEKS else 0.0


def _second_of_day(rng: np.random.Generator, num: int) -> Int64s:
    """(num,) between 7:00 and 23:00, most in the evening."""
    return (7 * 3600 + rng.beta(2.5, 1.6, num) * 15.9 * 3600).astype(np.int64)
