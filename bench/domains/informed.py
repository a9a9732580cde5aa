"""What is left of the truth for somebody who knows the shop, but its customers only from what they did.

The ceiling knows each customer's tastes, size, level of price and wish. `Informed` knows all else as exactly (how
people choose, every product's style, look, quality and conversion), and of customers what Bayes' rule makes of their
looks and carts up to the cut: lists are ranked by the truth's probabilities, averaged over draws of who each customer
may be. A recommender has to learn the products too. The inference is approximate (no shortlists, looks as if
independent, a few draws): what it reaches can be reached, and more is not ruled out. For shops in which everybody
always looks for something (`rests` 0) and that sell no accessories.

Shapes: C customers, N events, K main kinds, R particles, L levels of price.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from bench.domains.collaborative import lists
from bench.domains.question import Question
from bench.shops.assortment import STYLES, size_class
from bench.shops.clientele import Clientele, likes, size_shares
from bench.shops.profiles import LEVELS, LOOKS, ShopProfile
from bench.shops.tables import places
from bench.shops.truth import START_DAY, Truth
from nightmarket.contracts.arrays import Float32s, Float64s, Int32s, Int64s, Values

DRAWS = 12
PARTICLES = 3000
SEED = 17
SESSIONS_APART = 0.7
"""Sessions of one wish say the same thing twice: how much each counts towards what kinds a customer likes."""


@dataclass(frozen=True)
class Spell:
    """What customers look for, as one draw has it, with no products in mind: in place of bench.shops.visits.Spells."""

    kind: Int64s

    def at(self, customers: Int64s, week: int) -> tuple[Int64s, Int64s]:
        """Kind (B,) and shortlist (B, 3) in any week."""
        return self.kind[customers], np.full((customers.size, 3), -1)


class Informed:
    """A recommender of a made-up shop that guesses its customers from their events."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth

    @staticmethod
    def can_guess(profile: ShopProfile) -> bool:
        """Whether the shop is one that this is meant for."""
        return profile.taste > 0 and profile.rests == 0 and profile.accessory_rate == 0

    def __call__(self, question: Question, num: int) -> Mapping[str, Int32s]:
        """Lists of every task."""
        truth, shop, window = self.truth, question.shop, question.window
        who = places(truth.customer_ids, shop.customer_ids[question.asked])
        columns = places(truth.product_ids, shop.product_ids)
        rng = np.random.default_rng([SEED, window.cut])
        guesses = Seen(truth, question).guesses(rng)

        def score(rows: Int64s) -> Float32s:
            total = sum(guess.expected(window.cut, window.days, who[rows]) for guess in guesses)
            return np.asarray(total, np.float32)[:, columns]

        return lists(question, score, num)


class Seen:
    """What is known at a cut of the customers of a made-up shop."""

    def __init__(self, truth: Truth, question: Question) -> None:
        self.truth, shop = truth, question.shop
        self.week = (question.window.cut - START_DAY) // 7
        kept = np.flatnonzero(question.known & (shop.customer >= 0) & (shop.product >= 0))
        owner = places(truth.customer_ids, shop.customer_ids)[shop.customer[kept]]
        kept, owner = kept[owner >= 0], owner[owner >= 0]
        self.num = truth.clientele.rate.size
        self.customer, self.weeks = owner, (shop.day[kept] - START_DAY) // 7
        self.product = places(truth.product_ids, shop.product_ids)[shop.product[kept]]
        self.model = truth.assortment.model[self.product]
        self.looked, self.carted, self.bought = (shop.kind[kept] == kind for kind in ("view", "cart", "purchase"))
        sessions = pc.rank(shop.tables["events"]["basket_id"].combine_chunks(), tiebreaker="dense").to_numpy()
        self.session = np.unique(sessions[kept], return_inverse=True)[1]

    def guesses(self, rng: np.random.Generator) -> "list[Truth]":
        """Truths of customers as they may be, in equal measure."""
        truth, profile, people = self.truth, self.truth.profile, self.truth.clientele
        style = self._drawn(
            likes(rng, PARTICLES, STYLES, profile.styles_liked, profile.style_rest),
            self._counts(truth.assortment.style, STYLES),
            rng,
        )
        kinds = likes(rng, PARTICLES, people.kind.shape[1], profile.kinds_liked, profile.kind_rest)
        visits = self._sessions(people.kind.shape[1])
        sessions = visits.sum(axis=0)
        of_kind = (SESSIONS_APART * sessions) @ np.log(0.95 * kinds + 0.05 / kinds.shape[1]).T
        kind = [kinds[pick] for pick in _picks(of_kind, rng)]
        looks, carts = self._counts(truth.assortment.look, LOOKS)
        look = profile.look_evenness + carts + (1 - profile.misled) * profile.view_taste * looks
        level, size = _picks(self._levels(), rng), self._sizes(rng)
        made = []
        for draw in range(DRAWS):
            clientele = replace(
                people,
                style=style[draw],
                look=(look / look.sum(axis=1, keepdims=True)).astype(np.float32),
                kind=kind[draw],
                level=level[draw].astype(np.int32),
                size=size[draw],
            )
            made.append(self._as(clientele, Spell(self._wish(visits, kind[draw], rng))))
        return made

    def _as(self, clientele: Clientele, spells: Any) -> Truth:
        of = self.truth
        return Truth(
            of.profile,
            of.seed,
            of.assortment,
            clientele,
            spells,
            of.decided,
            of.bought,
            of.customer_ids,
            of.product_ids,
        )

    def _tally(self, code: Values, num: int, mask: Values) -> Float64s:
        counts = np.bincount(self.customer[mask] * num + code[mask], minlength=self.num * num)
        return counts.reshape(self.num, num).astype(np.float64)

    def _counts(self, code: Values, num: int) -> tuple[Float64s, Float64s]:
        """(C, num) looks and carts at models of each code (M,)."""
        return self._tally(code[self.model], num, self.looked), self._tally(code[self.model], num, self.carted)

    def _drawn(
        self, particles: Float32s, counts: tuple[Float64s, Float64s], rng: np.random.Generator
    ) -> list[Float32s]:
        """Preferences (C, num) of each draw, of particles (R, num) by how well they explain looks and carts."""
        profile = self.truth.profile
        chance = np.zeros((self.num, len(particles)))
        for seen, stray, power in zip(
            counts, (profile.misled, profile.impulse), (profile.view_taste, 1.0), strict=True
        ):
            usual = (seen.sum(axis=0) + 1) / (seen.sum() + seen.shape[1])
            chosen = particles**power * usual
            chosen = (1 - stray) * chosen / chosen.sum(axis=1, keepdims=True) + stray * usual
            chance += seen @ np.log(chosen).T
        return [particles[pick] for pick in _picks(chance, rng)]

    def _sessions(self, num: int) -> Float64s:
        """(W, C, K) sessions of each week by the kind that most of their looks go to."""
        rows = np.flatnonzero(self.looked | self.carted)
        kind, weeks = self.truth.assortment.kind[self.model[rows]], self.weeks[rows]
        cells = np.bincount(self.session[rows] * num + kind, minlength=(int(self.session.max(initial=0)) + 1) * num)
        most = cells.reshape(-1, num).argmax(axis=1)
        first = np.unique(self.session[rows], return_index=True)
        visits = np.zeros((self.week + 1, self.num, num))
        np.add.at(visits, (weeks[first[1]], self.customer[rows][first[1]], most[first[0]]), 1)
        return visits

    def _wish(self, visits: Float64s, kind: Float32s, rng: np.random.Generator) -> Int64s:
        """(C,) the kind that each customer looks for, drawn from what their sessions say week by week."""
        profile = self.truth.profile
        odds = np.log1p(profile.follows / ((1 - profile.follows) * np.maximum(kind, 1e-6)))
        bought = np.zeros((self.week + 1, self.num), bool)
        bought[self.weeks[self.bought], self.customer[self.bought]] = True
        chance = kind.astype(np.float64)
        for week in range(self.week + 1):
            if week:
                lasts = (1 - profile.wish_ends) * (1 - profile.wish_fulfilled * bought[week - 1])[:, None]
                chance = lasts * chance + (1 - lasts) * kind
            chance = chance * np.exp(np.minimum(visits[week] * odds, 50))
            chance /= chance.sum(axis=1, keepdims=True)
        dice = rng.random(self.num)[:, None]
        return np.minimum((chance.cumsum(axis=1) < dice).sum(axis=1), kind.shape[1] - 1)

    def _levels(self) -> Float64s:
        """(C, L) log of how well each level of price explains looks and carts."""
        shelves, profile = self.truth.shelves, self.truth.profile
        chance = np.zeros((self.num, len(LEVELS)))
        for mask, stray, power in ((self.looked, profile.misled, 0.5), (self.carted, profile.impulse, 1.0)):
            fit = shelves.price**power
            chosen = np.log((1 - stray) * fit / fit.mean(axis=1, keepdims=True) + stray)
            for level in range(len(LEVELS)):
                chance[:, level] += np.bincount(self.customer[mask], chosen[level, self.model[mask]], self.num)
        return chance

    def _sizes(self, rng: np.random.Generator) -> list[Int32s]:
        """Sizes (C, classes) of each draw, by the sizes of what was looked at and put into carts."""
        truth, shares = self.truth, size_shares()
        size, cls = truth.assortment.size[self.product], size_class(truth.profile)[truth.assortment.kind[self.model]]
        drawn = [np.zeros_like(truth.clientele.size) for _ in range(DRAWS)]
        for own in range(drawn[0].shape[1]):
            chance = np.zeros((self.num, len(shares)))
            for mask, stray in ((self.looked, truth.profile.misled), (self.carted, truth.profile.impulse)):
                counts = self._tally(np.maximum(size, 0), len(shares), mask & (cls == own))
                chance += counts @ np.log((1 - stray) * shares + stray / len(shares)).T
            for draw, pick in enumerate(_picks(chance, rng)):
                drawn[draw][:, own] = pick
        return drawn


def _picks(chance: Float64s, rng: np.random.Generator) -> list[Int64s]:
    """(C,) a column of each draw, by log chances (C, R)."""
    share = np.exp(chance - chance.max(axis=1, keepdims=True)).cumsum(axis=1)
    dice = rng.random((DRAWS, len(share))) * share[:, -1]
    return [np.minimum((share < row[:, None]).sum(axis=1), share.shape[1] - 1) for row in dice]
