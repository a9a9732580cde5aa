"""Who will buy what: the probabilities from which a made-up shop was made.

For a customer and a cut the truth knows what they like, what they look for at that moment and what is on sale, and
nothing that dice decide later. Purchases of a product are, given the wish, a Poisson process; `expected` is its mean
over what may become of the wish, week by week, exact for cuts at the end of a Sunday and nearly so for others; the
probability of a purchase is 1 - exp(-expected).

Shapes: B customers, M models, P products, K kinds, L levels of price, Y pairs of style and look, W weeks of a window.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from bench.shops.assortment import FAMILIES_PER_KIND, Assortment, size_class
from bench.shops.choice import Shelves
from bench.shops.clientele import Clientele, size_shares
from bench.shops.profiles import LEVELS, ShopProfile
from bench.shops.visits import ACCESSORY_WEEKS, DAY, DAY_SHARES, SHORTLIST, WEEK, Spells, accessory_rate, season
from nightmarket.contracts.arrays import Float32s, Float64s, Int64s, Values

START_DAY = 19_723
"""Monday 2024-01-01, in days since 1970-01-01: the first day of every made-up shop."""


@dataclass(frozen=True)
class _Week:
    """A week of the window: its number, the share of its sessions that lies in the window, and the share of them that
    lies after the cut."""

    week: int
    inside: float
    left: float


class Truth:
    """What made a shop. `customer_ids` (C,) and `product_ids` (P,) are in the order of the arrays.

    bought   (customer, product, second) of every purchase, for what one owns
    decided  (customer, second)
    """

    def __init__(
        self,
        profile: ShopProfile,
        seed: int,
        assortment: Assortment,
        clientele: Clientele,
        spells: Spells,
        decided: tuple[Int64s, Int64s],
        bought: tuple[Int64s, Int64s, Int64s],
        customer_ids: Values,
        product_ids: Values,
    ) -> None:
        self.profile, self.seed, self.assortment, self.clientele = profile, seed, assortment, clientele
        self.spells, self.decided, self.bought = spells, decided, bought
        self.customer_ids, self.product_ids = customer_ids, product_ids
        self.shelves = Shelves.build(profile, assortment)
        self._weeks: dict[int, tuple[Float32s, Float64s]] = {}

    def on_sale(self, cut: int, days: int) -> Values:
        """(P,) whether a product is on sale on some day of the window after the day `cut`."""
        first, last = (cut + 1 - START_DAY) // 7, (cut + days - START_DAY) // 7
        return ((self.assortment.first <= last) & (self.assortment.end > first))[self.assortment.model]

    def probabilities(self, cut: int, days: int, customers: Int64s) -> Float32s:
        """(B, P) that a customer buys a product at least once in the `days` after the day `cut`.

        customers  (B,) places in `customer_ids`
        """
        expected = self.expected(cut, days, customers)
        return np.negative(np.expm1(np.negative(expected, out=expected), out=expected), out=expected)

    def expected(self, cut: int, days: int, customers: Int64s) -> Float32s:
        """(B, P) purchases of a product that a customer has in the `days` after the day `cut`, up to the first."""
        weeks = self._window(cut, days)
        models, mains = self._main_models(weeks, cut, customers)
        expected = self._sized(models, customers)
        if self.profile.accessory_rate:
            self._add_accessories(expected, weeks, cut, customers, mains)
        owner, product, second = self.bought
        place = np.full(self.clientele.rate.size, -1, np.int64)
        place[customers] = np.arange(customers.size)
        rows = np.flatnonzero((second < (cut + 1 - START_DAY) * DAY) & (place[owner] >= 0))
        owned = np.unique(np.stack([place[owner[rows]], product[rows]]), axis=1)
        expected[owned[0], owned[1]] *= self.profile.again
        return expected

    def _window(self, cut: int, days: int) -> list[_Week]:
        """The weeks of the window, the week of the cut first."""
        first, last = cut + 1 - START_DAY, cut + days - START_DAY
        weeks = []
        for week in range((cut - START_DAY) // 7, last // 7 + 1):
            day = np.arange(7) + 7 * week
            inside = DAY_SHARES[(day >= first) & (day <= last)].sum()
            weeks.append(_Week(week, float(inside), float(DAY_SHARES[day >= first].sum())))
        return weeks

    def _prepared(self, week: int) -> tuple[Float32s, Float64s]:
        """Weights (L, M) of the choice for the cart in a week, and their sums over cells (L, K, Y)."""
        if week not in self._weeks:
            weights = self.shelves.cart_weights(week, self.seed)
            self._weeks[week] = (weights, self.shelves.cell_sums(weights))
            while len(self._weeks) > 8:
                self._weeks.pop(next(iter(self._weeks)))
        return self._weeks[week]

    def _totals(self, sums: Float64s, taste: Float32s, level: Values) -> Float64s:
        """(B, K) taste times the weights of each kind's cells (L, K, Y)."""
        totals = np.zeros((level.size, sums.shape[1]))
        for step in range(sums.shape[0]):
            rows = level == step
            totals[rows] = taste[rows] @ sums[step].T
        return totals

    def _main_models(self, weeks: list[_Week], cut: int, customers: Int64s) -> tuple[Float32s, list[Float32s]]:
        """Expected purchases of main models (B, M): their sum, and each week's part where accessories need it."""
        profile, people = self.profile, self.clientele
        taste, level, likes = people.taste(customers), people.level[customers], people.kind[customers]
        likes = np.pad(likes, ((0, 0), (0, self.assortment.num_kinds - likes.shape[1])))
        wish, shortlist = self.spells.at(customers, weeks[0].week)
        chances = Chances(profile, weeks, wish >= 0, self._fulfilled(cut, customers))
        models = np.zeros((customers.size, self.assortment.num_models), np.float32)
        mains: list[Float32s] = []
        wished = (wish[:, None] == np.arange(self.assortment.num_kinds)).astype(np.float64)
        rate = people.rate[customers].astype(np.float64)
        begun = []
        for place, week in enumerate(weeks):
            here = (people.joined[customers] <= week.week) & (week.week < people.left[customers])
            weekly = rate * season(week.week) * here * profile.cart * profile.buy
            chances.step(place, weekly)
            weights, sums = self._prepared(week.week)
            totals = self._totals(sums, taste, level)
            begun.append((weights, totals))
            if week.inside == 0:
                mains.append(np.zeros((0, 0), np.float32))
                continue
            part = models if not profile.accessory_rate else np.zeros_like(models)
            buys = weekly * week.inside
            active = chances.first + chances.later.sum(axis=1)
            part += _outer(buys * profile.impulse * active, self.shelves.popular_weights(week.week, self.seed))
            planned = buys * (1 - profile.impulse)
            later = chances.later.sum(axis=1)
            by_kind = (planned * (1 - profile.shortlist))[:, None] * (
                chances.first[:, None] * (profile.follows * wished + (1 - profile.follows) * likes)
                + later[:, None] * likes
            )
            from_list = -np.expm1(-chances.listed(place, weekly))
            lost = self._add_shortlist(part, week.week, from_list * chances.first_open, shortlist)
            by_kind += lost[:, None] * wished
            for earlier in np.flatnonzero(chances.later.any(axis=0)):
                of_cohort = (SHORTLIST * from_list[:, 0] * chances.later_open[:, earlier])[:, None] * likes
                by_kind += self._add_later(part, begun[earlier], week.week, of_cohort, taste, level)
            self._add_choice(part, weights, totals, by_kind, taste, level)
            if profile.accessory_rate:
                models += part
                mains.append(part)
        return models, mains

    def _add_choice(
        self, models: Float32s, weights: Float32s, totals: Float64s, by_kind: Float64s, taste: Float32s, level: Values
    ) -> None:
        """Spread purchases per kind (B, K) over the kind's models by taste and weight, in place."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(totals > 0, by_kind / totals, 0).astype(np.float32)
        spread = share[:, self.assortment.kind]
        spread *= taste[:, self.shelves.pair]
        spread *= weights[level]
        models += spread

    def _add_shortlist(self, models: Float32s, week: int, buys: Float64s, shortlist: Int64s) -> Float64s:
        """Add first purchases from the shortlists, in place; what is no more on sale comes back (B,).

        buys  (B, n) of what fills n + 1 places
        """
        there = (shortlist >= 0) & self.assortment.live(week)[shortlist]
        rows, slots = np.nonzero(there)
        many = (shortlist[rows] == shortlist[rows, slots][:, None]).sum(axis=1)
        np.add.at(models, (rows, shortlist[rows, slots]), (buys[rows, many - 1] / many).astype(np.float32))
        lost: Float64s = buys[:, 0] * (~there).sum(axis=1)
        return lost

    def _add_later(
        self,
        models: Float32s,
        begun: tuple[Float32s, Float64s],
        week: int,
        by_kind: Float64s,
        taste: Float32s,
        level: Values,
    ) -> Float64s:
        """Purchases per kind (B, K) from shortlists that were chosen in an earlier week; the rest comes back (B, K)."""
        weights, totals = begun
        left = weights * self.assortment.live(week)
        self._add_choice(models, left, totals, by_kind, taste, level)
        kept = self._totals(self.shelves.cell_sums(left), taste, level)
        with np.errstate(divide="ignore", invalid="ignore"):
            missing = np.where(totals > 0, 1 - kept / totals, 1.0)
        return by_kind * np.maximum(missing, 0)

    def _fulfilled(self, cut: int, customers: Int64s) -> Values:
        """(B,) whether a customer decided to buy in the week of the cut, up to the cut."""
        who, second = self.decided
        end = (cut + 1 - START_DAY) * DAY
        begin = (cut - START_DAY) // 7 * WEEK
        known = np.zeros(self.clientele.rate.size, bool)
        known[who[(second >= begin) & (second < end)]] = True
        return known[customers]

    def _sized(self, models: Float32s, customers: Int64s) -> Float32s:
        """(B, P) models in the sizes that customers buy."""
        classes = size_class(self.profile)[self.assortment.kind]
        spread = models[:, self.assortment.model]
        if (classes < 0).all():
            return spread
        own = self.clientele.size[customers]
        shares = size_shares()
        start = np.searchsorted(self.assortment.model, np.arange(self.assortment.num_models + 1))
        last = (np.diff(start) - 1)[self.assortment.model]
        for cls in range(own.shape[1]):
            columns = np.flatnonzero(classes[self.assortment.model] == cls)
            by_size = shares[own[:, cls]]
            part = by_size[:, self.assortment.size[columns]]
            cropped = np.flatnonzero((self.assortment.size[columns] == last[columns]) & (last[columns] < 3))
            for column in cropped:  # the last model may lack its largest sizes
                part[:, column] = by_size[:, self.assortment.size[columns[column]] :].sum(axis=1)
            spread[:, columns] *= part
        return spread

    def _add_accessories(
        self, expected: Float32s, weeks: list[_Week], cut: int, customers: Int64s, mains: list[Float32s]
    ) -> None:
        """Add what follows main purchases, before the cut and expected after it, in place."""
        family, families = self.assortment.family, self.assortment.num_main * FAMILIES_PER_KIND
        main = self.assortment.main()
        bought = self._families_before(weeks, cut, customers)
        for week, part in zip(weeks, mains, strict=True):
            if part.size:
                of_family = np.zeros((families, customers.size))
                np.add.at(of_family, family[main], part[:, main].T)
                bought.append((week.week, True, of_family.T))
        columns = np.flatnonzero(~main[self.assortment.model])
        models = self.assortment.model[columns]
        shares = {week.week: self._accessory_shares(week.week, models) for week in weeks}
        level = self.clientele.level[customers]
        for then, after_cut, of_family in bought:
            follow = np.zeros((len(LEVELS), models.size))
            for week in weeks:  # an accessory comes at once, or on any day of a later week
                inside = week.inside if week.week > then else float(after_cut)
                follow += accessory_rate(self.profile, week.week - then) * inside * shares[week.week]
            follow = -np.expm1(-follow) if after_cut else follow
            expected[:, columns] += (of_family[:, family[models]] * follow[level]).astype(np.float32)

    def _accessory_shares(self, week: int, models: Values) -> Float64s:
        """(L, N) share of each accessory among those that fit the same family."""
        weights, family = self.shelves.accessory_weights(week)[:, models], self.assortment.family[models]
        sums = np.stack([np.bincount(family, row) for row in weights])[:, family]
        return np.divide(weights, sums, out=np.zeros(weights.shape), where=sums > 0)

    def _families_before(self, weeks: list[_Week], cut: int, customers: Int64s) -> list[tuple[int, bool, Float64s]]:
        """(week, False, (B, families)) main purchases of customers in the weeks up to the cut."""
        owner, product, second = self.bought
        place = np.full(self.clientele.rate.size, -1, np.int64)
        place[customers] = np.arange(customers.size)
        model = self.assortment.model[product]
        end = (cut + 1 - START_DAY) * DAY
        kept = (place[owner] >= 0) & self.assortment.main()[model] & (second < end)
        families = self.assortment.num_main * FAMILIES_PER_KIND
        before = []
        for week in range(max(weeks[0].week - ACCESSORY_WEEKS, 0), weeks[0].week + 1):
            rows = np.flatnonzero(kept & (second // WEEK == week))
            key = place[owner[rows]] * families + self.assortment.family[model[rows]]
            counts = np.bincount(key, minlength=customers.size * families).reshape(customers.size, families)
            before.append((week, False, counts.astype(np.float64)))
        return before


class Chances:
    """How probable it is, week by week, that a customer still looks for what they looked for at the cut, or for
    something that they began to look for in a later week, and has not yet bought a given product of its shortlist."""

    def __init__(self, profile: ShopProfile, weeks: list[_Week], active: Values, fulfilled: Values) -> None:
        num = active.size
        self._profile, self._weeks = profile, weeks
        self.first: Float64s = active.astype(np.float64)
        """(B,) still the wish of the cut"""
        self.later: Float64s = np.zeros((num, len(weeks)))
        """(B, W) a wish that began in that week of the window"""
        self.first_open: Float64s = np.repeat(self.first[:, None], SHORTLIST, axis=1)
        """(B, n) the same, and a product that fills n + 1 places of the shortlist is not bought yet"""
        self.later_open: Float64s = np.zeros((num, len(weeks)))
        """(B, W) the same for a product that fills one place"""
        self._rests: Float64s = 1 - self.first
        self._decided: Float64s = fulfilled.astype(np.float64)
        self._weekly: Float64s = np.zeros(num)

    def listed(self, place: int, weekly: Float64s) -> Float64s:
        """(B, n) purchases from the shortlist, in the week `place` of the window, of what fills n + 1 of its places."""
        rate = weekly * self._weeks[place].inside * (1 - self._profile.impulse) * self._profile.shortlist / SHORTLIST
        return np.multiply.outer(rate, np.arange(1.0, SHORTLIST + 1))

    def _lasts(self, others: Float64s) -> Float64s:
        """(B,) that a wish lasts into the next week, when so many other purchases were decided on average."""
        none = (1 - self._decided) * np.exp(-others)
        return (1 - self._profile.wish_ends) * (1 - self._profile.wish_fulfilled * (1 - none))

    def step(self, place: int, weekly: Float64s) -> None:
        """Go to the week `place` of the window, in which (B,) purchases are decided on average."""
        profile = self._profile
        if place:
            decided = self._weekly * self._weeks[place - 1].left
            listed = self.listed(place - 1, self._weekly)
            open_lasts = np.stack([np.exp(-own) * self._lasts(decided - own) for own in listed.T], axis=1)
            lasts = self._lasts(decided)
            ended = (1 - lasts) * (self.first + self.later.sum(axis=1))
            begins = (1 - profile.rests) * ended + profile.wakes * self._rests
            self._rests = (1 - profile.wakes) * self._rests + profile.rests * ended
            self.first, self.later = self.first * lasts, self.later * lasts[:, None]
            self.first_open, self.later_open = self.first_open * open_lasts, self.later_open * open_lasts[:, :1]
            self.later[:, place] = self.later_open[:, place] = begins
            self._decided = np.zeros_like(self._decided)
        self._weekly = weekly


def _outer(left: Float64s, right: Float64s) -> Float32s:
    return np.multiply.outer(left.astype(np.float32), right.astype(np.float32))


def save(truth: Truth, folder: Path) -> None:
    """Write truth.json and truth.npz."""
    arrays: dict[str, Any] = {"customer_ids": truth.customer_ids, "product_ids": truth.product_ids}
    for part in ("assortment", "clientele", "spells"):
        value = getattr(truth, part)
        arrays |= {f"{part}.{field.name}": getattr(value, field.name) for field in fields(value)}
    arrays |= {f"decided.{place}": column for place, column in enumerate(truth.decided)}
    arrays |= {f"bought.{place}": column for place, column in enumerate(truth.bought)}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "truth.npz", **arrays)
    about = {"seed": truth.seed, "profile": asdict(truth.profile)}
    (folder / "truth.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def load(folder: Path) -> Truth:
    """Read what `save` wrote."""
    about = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    told = {name: tuple(value) if isinstance(value, list) else value for name, value in about["profile"].items()}
    with np.load(folder / "truth.npz", allow_pickle=False) as stored:

        def part(kind: type) -> Any:
            prefix = kind.__name__.lower()
            columns = {field.name: stored[f"{prefix}.{field.name}"] for field in fields(kind)}
            return kind(**{name: value if value.ndim else int(value) for name, value in columns.items()})

        decided = (stored["decided.0"], stored["decided.1"])
        bought = (stored["bought.0"], stored["bought.1"], stored["bought.2"])
        ids = stored["customer_ids"], stored["product_ids"]
        return Truth(
            ShopProfile(**told), about["seed"], part(Assortment), part(Clientele), part(Spells), decided, bought, *ids
        )
