"""Who answers: one object per process, opened once, asked by any number of threads; it never writes."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s, Int8s, Int32s, Int64s
from nightmarket.delivery.rules.tonight import Recipients
from nightmarket.histories.calendar import day_of
from nightmarket.histories.interactions import KINDS
from nightmarket.ranking.explanations.wording import LANGUAGES
from nightmarket.ranking.sessions.answers import Ranked, answer
from nightmarket.ranking.sessions.features import IS_BOUGHT, Asked
from nightmarket.ranking.sessions.reasons import ShownNames, reasons
from nightmarket.ranking.sessions.shop import SessionShop
from nightmarket.ranking.sessions.visits import Visit
from nightmarket.serving.live import bundle as halves
from nightmarket.serving.live import parts
from nightmarket.serving.live.additions import with_products
from nightmarket.serving.live.allowed import Allowed, not_due, tired_of
from nightmarket.serving.live.answering import ShownFacts
from nightmarket.serving.live.bundle import LiveBundle
from nightmarket.serving.live.exploring import POOL, around_pins, explored
from nightmarket.serving.live.messages import ShopNames, Understood, understood
from nightmarket.serving.live.neighbours import alike, together, with_first
from nightmarket.serving.live.questions import IMPRESSION, Answer, Ask, Explanation, LiveEvent, Recommended, Step
from nightmarket.serving.live.ruled import RuledList

ON_PAGE = 100
"""Products of a page, a brand, a price that are proposed: those most in demand."""
GUEST = -1
EVERY = 1 << 30
FORGETTING, FORGIVING = 0.05, 0.98
"""What a faster answer, and one that was not given for want of time, change in how long a step is thought to take."""


class LiveRecommender:
    """Answers from a bundle; threads may share it."""

    def __init__(self, bundle: LiveBundle) -> None:
        self._bundle = bundle
        self._slowest: dict[Step, float] = {"reranked": 0.0, "nightly": 0.0}
        self._rng = np.random.default_rng

    @classmethod
    def open(cls, folder: Path | str, verify: bool = True, model: Path | str | None = None) -> "LiveRecommender":
        """Map artifacts/bundle, or a copy of it.

        verify  read every file once against its checksum
        model   a model half kept from another night, after a rollback; tonight's state serves it

        Raises InputError for what is missing or damaged.
        """
        place = Path(folder)
        live = cls(halves.read(Path(model) if model else place / parts.MODEL, place / parts.STATE, verify))
        live.answered(Ask(float(live.made_from["known_until"])), "reranked")  # what is made once is made now
        return live

    @staticmethod
    def bundle_of(folder: Path | str) -> str:
        """What `bundle` would be of the files that lie there now. Raises InputError."""
        both = (parts.identity(parts.manifest(Path(folder) / half)) for half in (parts.MODEL, parts.STATE))
        return "".join(identity[:8] for identity in both)

    def with_products(self, products: pd.DataFrame) -> "LiveRecommender":
        """The same night with products that came or changed since, as `additions` has them; this one stays."""
        made = LiveRecommender(with_products(self._bundle, products))
        made._slowest = self._slowest
        made.answered(Ask(float(made.made_from["known_until"])), "reranked")
        return made

    def knows(self, product: str) -> bool:
        """Whether it is among the products."""
        return self._bundle.products.find(product) >= 0

    @property
    def version(self) -> str:
        """Of the model half."""
        return str(self._bundle.facts["version"])

    @property
    def bundle(self) -> str:
        """16 hexadecimal digits that change with either half."""
        return self._bundle.identity

    @property
    def made_from(self) -> Mapping[str, Any]:
        """version, cut, last_day, num_products, num_customers and the like."""
        return dict(self._bundle.facts)

    def recommend(self, ask: Ask) -> Answer:
        """The best products for a visitor, fewer than asked for only where no more may be shown to them.

        Raises InputError for a category or a brand that no product has.
        """
        begun = time.perf_counter()
        question = Question(self._bundle, ask)
        step = self._step(ask, question)
        made = self._answer(ask, question, step)
        if step in self._slowest:
            took = 1000 * (time.perf_counter() - begun)
            self._slowest[step] = max(took, FORGETTING * took + (1 - FORGETTING) * self._slowest[step])
        return made

    def answered(self, ask: Ask, step: Step) -> Answer:
        """The answer by a step of the caller's choice; the lowest for who objected to profiling."""
        question = Question(self._bundle, ask)
        return self._answer(ask, question, "popular" if question.objected else step)

    def _answer(self, ask: Ask, question: "Question", step: Step) -> Answer:
        most = POOL * ask.count if ask.explore else ask.count
        enough = most * question.sizes if question.rules is None else EVERY
        if step == "reranked":
            ranked = answer(self._bundle.shop, self._bundle.orders, question.visit, enough, ask.again)
            items, score = question.first_of_groups(ranked)
        else:
            items = question.listed() if step == "nightly" else np.zeros(0, np.int32)
            score = -np.arange(items.size, dtype=np.float64)
        if question.rules is not None:
            ruled = RuledList.of(question, items, score, most)
            rows, propensity = around_pins(ruled.pinned, ruled.last, ask.count, ask.explore, self._rng())
            return Answer(question.said_by(ruled.of_rows(rows), propensity), self.version, step)
        items, score = question.filled(items[:most], score[:most], most)
        rows, propensity = explored(items.size, ask.count, ask.explore, self._rng())
        return Answer(question.said(items[rows], score[rows], propensity), self.version, step)

    def _step(self, ask: Ask, question: "Question") -> Step:
        """The best one that the time is enough for, by how long each took lately; one that is passed over is thought a
        little faster each time, so that it is tried again."""
        if question.objected:
            return "popular"
        steps: tuple[Step, ...] = ("reranked",) if ask.best == "reranked" else ()
        steps += ("nightly",) if question.visit.listed.size and ask.best != "popular" else ()
        for step in steps:
            if ask.budget_ms is None or ask.budget_ms > self._slowest[step]:
                return step
            self._slowest[step] *= FORGIVING
        return "popular"

    def rank(self, ask: Ask, products: Sequence[str]) -> Answer:
        """These products for this visitor, best first; unknown ones, and those that they may not be shown, left out."""
        question = Question(self._bundle, ask)
        items = np.unique(self._bundle.products.find_all(products))
        items = items[question.allowed(items)]
        if question.objected:
            score, step = self._bundle.shop.popularity[items].astype(np.float64), "popular"
        else:
            score = self._bundle.orders.taken.score(Asked(self._bundle.shop, question.visit).features(items))
            step = "reranked"
        best = np.lexsort((items, -score))
        said = question.ordered(items[best], score[best], best.size)
        return Answer(said, self.version, "popular" if step == "popular" else "reranked")

    def search(self, ask: Ask, query: str) -> Answer:
        """Products that a line of words asks for, best first, of those that the visitor may be shown; also what they
        bought lately or were often shown.

        Raises InputError for words without a letter or digit, and a category or a brand that no product has.
        """
        bundle, question = self._bundle, Question(self._bundle, ask, rests=False)
        if bundle.words is None:
            raise InputError("query: the night's bundle holds no words; run the stage `bundle` again")
        enough = ask.count * question.sizes if question.rules is None else EVERY
        items, score = bundle.words.find(query, bundle.shop.popularity, question.allowed, enough)
        items, best = question.first_of_groups(Ranked(items, score.astype(np.float64)))
        return Answer(question.ordered(items, best, ask.count, pins=False), self.version, "reranked")

    def assist(self, ask: Ask, message: str) -> tuple[Understood, Answer, tuple[ShownFacts, ...]]:
        """What a customer's message says, products for it, and what the tables say of these; none where a person should
        answer.

        ask  who asks; what the message names narrows it
        """
        said = understood(message, self._names)
        answered = Answer((), self.version, "popular")
        if said.intent == "find":
            anywhere = replace(ask, brand=said.brand, price_from=said.price_from, price_to=said.price_to)
            on_page = replace(anywhere, category=said.category)
            tries: list[Callable[[], Answer]] = [lambda: self.search(on_page, said.query)] if said.query else []
            if said.category or not said.query:
                tries.append(lambda: self.recommend(on_page))
            if said.query and said.category:
                tries.append(lambda: self.search(anywhere, said.query))
            answered = next((made for attempt in tries if (made := attempt()).products), answered)
        return said, answered, tuple(self._facts(place.product) for place in answered.products)

    @cached_property
    def _names(self) -> ShopNames:
        bundle = self._bundle
        num = np.diff(bundle.pages.indptr)
        best: dict[str, tuple[int, str]] = {}
        for path, products in zip(bundle.page_names.texts, num.tolist(), strict=True):
            name = path.split(" > ")[-1]
            if products > best.get(name, (0, ""))[0]:
                best[name] = products, path
        return ShopNames(bundle.brand_names.texts, {name: path for name, (_, path) in best.items()})

    def _facts(self, product: str) -> ShownFacts:
        bundle, item = self._bundle, self._bundle.products.find(product)
        catalogue = bundle.shop.catalogue
        brand = bundle.brand_names.texts[int(catalogue.brand[item])]
        price = float(catalogue.list_price[item])
        return ShownFacts(product, bundle.titles[item], brand, bundle.kinds[item], price)

    def similar(self, product: str, count: int) -> Answer:
        """Alternatives to a product, best first. Raises InputError for a product that the night does not know."""
        return self._beside(product, count, halves.SIMILAR, alike)

    def goes_with(self, product: str, count: int) -> Answer:
        """What goes with a product, best first. Raises InputError for a product that the night does not know."""
        return self._beside(product, count, halves.GOES_WITH, together)

    def _beside(
        self, product: str, count: int, table: str, make: Callable[[SessionShop, int], tuple[Int32s, Float64s]]
    ) -> Answer:
        """What somebody may be shown of whom nothing is known but that they look at the product: from the night's
        table, and below it what `make` finds."""
        bundle, item = self._bundle, self._bundle.products.find(product)
        if item < 0:
            raise InputError("product: the night knows no product of this id")
        noon = 86_400.0 * (bundle.shop.cut + 1) + 43_200
        question = Question(bundle, Ask(noon, count, events=(LiveEvent("view", product, noon),)))
        items, score = make(bundle.shop, item)
        if table in bundle.beside:
            items, score = with_first(bundle.beside[table].row(item), items, score)
        group = bundle.goods.group
        kept = question.allowed(items) & ((group[items] < 0) | (group[items] != group[item]))
        items, score = items[kept], score[kept]
        best = np.lexsort((items, -score))
        items, score = question.first_of_groups(Ranked(items[best], score[best]))
        said = question.ordered(items, score, count, pins=False)
        return Answer(said, self.version, "reranked")

    def why(self, customer: str) -> Explanation:
        """What the night knows of a customer."""
        bundle = self._bundle
        code = bundle.customers.find(customer)
        if code < 0:
            return Explanation(customer, self.version, False, False, (), (), ())
        item, kind, second = bundle.shop.past.of(code)
        rows = zip(kind.tolist(), item.tolist(), second.tolist(), strict=True)
        events = tuple(LiveEvent(KINDS[how], bundle.products.texts[what], float(when)) for how, what, when in rows)
        names, times = np.unique([bundle.kinds[what] for what in item.tolist()], return_counts=True)
        order = np.lexsort((names, -times))
        kinds = tuple((str(names[row]), float(times[row] / item.size)) for row in order if names[row])
        now = float(second[-1]) if second.size else 86_400.0 * (bundle.shop.cut + 1)
        question = Question(bundle, Ask(now, customer=customer))
        listed = bundle.listed.row(code)
        said = question.said(listed, -np.arange(listed.size, dtype=np.float64), np.ones(listed.size))
        return Explanation(customer, self.version, True, bool(bundle.objected[code]), events, kinds, said)


class Question:
    """What is asked, in the night's numbers.

    objected  the visitor did, to profiling: nothing that they did is used
    rules     those of the shop that are valid on the day; None where none is
    allowed   what they may be shown
    visit     what they did, and what the night knows of it
    """

    def __init__(self, bundle: LiveBundle, ask: Ask, rests: bool = True) -> None:
        """rests: whether what the visitor does not need yet, or was often shown, is left out."""
        self._bundle, self._ask = bundle, ask
        self.code = bundle.customers.find(ask.customer) if ask.customer is not None else GUEST
        self.objected = self.code >= 0 and bool(bundle.objected[self.code])
        self.memory = GUEST if self.objected else self.code
        item, kind, second = self._events()
        zone_day = day_of(datetime.fromtimestamp(ask.now, bundle.time_zone).date())
        bought = IS_BOUGHT[kind]
        resting = not_due(bundle, self.memory, item[bought], second[bought], ask.now)
        never = np.concatenate([resting, tired_of(bundle, ask)]).astype(np.int32) if rests else resting[:0]
        stock = bundle.stock.of(bundle.products, ask)
        self.rules = bundle.rules.on(zone_day, stock) if bundle.rules is not None else None
        self.who = None if self.rules is None else self._recipient(zone_day, item[bought], second[bought])
        self.allowed = Allowed.of(bundle, ask, self.code, zone_day, never, stock, self.rules, self.who)
        before = bundle.shop.past.of(self.memory)
        self.visit = Visit(
            np.concatenate([before[0], item]),
            np.concatenate([before[1], kind]),
            np.concatenate([before[2], second]),
            int(ask.now),
            zone_day,
            bundle.listed.row(self.code) if self.code >= 0 else bundle.demand[:0],
            self.allowed.popular(ON_PAGE) if self.allowed.narrow else bundle.demand[:0],
            self.allowed,
        )

    def _recipient(self, day: int, item: Int32s, second: Int64s) -> Recipients:
        """Whom the rules see.

        item, second  (P,) purchases since the night
        """
        bundle, code = self._bundle, self.code
        assert bundle.rules is not None
        days = [day_of(datetime.fromtimestamp(at, bundle.time_zone).date()) for at in second.tolist()]
        age = float(bundle.goods.age[code]) if code >= 0 else np.nan
        market = bundle.rules.market_of(code, self._ask.market)
        since = (item, np.array(days, np.int32))
        return bundle.rules.recipient(self.memory, age, market, self._ask.channel, day, since)

    @property
    def sizes(self) -> int:
        """Products of the largest group, of which an answer holds one."""
        return int(self._bundle.facts["most_of_a_group"])

    def _events(self) -> tuple[Int32s, Int8s, Int64s]:
        """What the visitor did since the night, oldest first, without what the night remembers of them."""
        if self.objected:
            return self._bundle.shop.past.of(GUEST)
        known = set(zip(*(values.tolist() for values in self._bundle.shop.past.of(self.memory)), strict=True))
        rows = []
        for event in sorted(self._ask.events, key=lambda event: event.at):
            item = self._bundle.products.find(event.product) if event.kind != IMPRESSION else -1
            row = (item, KINDS.index(event.kind), int(event.at)) if item >= 0 else None
            if row is not None and row not in known:
                rows.append(row)
        table = np.array(rows, np.int64).reshape(-1, 3)
        return table[:, 0].astype(np.int32), table[:, 1].astype(np.int8), table[:, 2]

    def listed(self) -> Int32s:
        """The customer's list of the night, without what may not be shown and what this visit has met."""
        items = self.visit.listed
        return items[self.allowed(items) & ~np.isin(items, self.met)]

    @property
    def met(self) -> Int32s:
        """What the answer may not hold because this visit has met it."""
        return self.visit.item[:0] if self._ask.again else self.visit.item[self.visit.session]

    def first_of_groups(self, ranked: Ranked) -> tuple[Int32s, Float64s]:
        """One product of each group: for a customer the size that they buy, for a guest the best."""
        goods, items, score = self._bundle.goods, ranked.items, ranked.score
        if goods.sizes is None or not items.size:
            return items, score
        if self.memory >= 0:
            owner = np.full(items.size, self.memory, np.int32)
            kept, score = goods.first_of_groups(owner, items, -np.arange(items.size, dtype=np.float64))
            order = np.flatnonzero(kept)
            order = order[np.argsort(-score[order], kind="stable")]
            return items[order], ranked.score[np.round(-score[order]).astype(np.int64)]
        kept = self._leading(items)
        return items[kept], score[kept]

    def _leading(self, items: Int32s) -> Bools:
        group = self._bundle.goods.group[items]
        first = np.isin(np.arange(group.size), np.unique(group, return_index=True)[1])
        return np.asarray(first | (group < 0))

    def filled(self, items: Int32s, score: Float64s, count: int) -> tuple[Int32s, Float64s]:
        """The items, and after them what is in demand and may be shown, where they are fewer than asked for."""
        if items.size >= count:
            return items, score
        met = np.append(items, self.met)
        more = self.allowed.popular(count * self.sizes + met.size)
        every = np.append(items, more[~np.isin(more, met)]).astype(np.int32)
        if self._bundle.goods.sizes is not None:
            every = every[self._leading(every)]
        every = every[:count]
        last = float(score[-1]) if score.size else 0.0
        return every, np.append(score, last - 1 - np.arange(every.size - items.size))

    def ordered(self, items: Int32s, score: Float64s, count: int, pins: bool = True) -> tuple[Recommended, ...]:
        """The first `count` of these items alone, best first, or what the rules make of them."""
        if self.rules is None:
            return self.said(items[:count], score[:count], np.ones(min(items.size, count)))
        ruled = RuledList.of(self, items, score, count, pins=pins, others=False)
        return self.said_by(ruled, np.ones(ruled.items.size))

    def said_by(self, ruled: "RuledList", propensity: Float64s) -> tuple[Recommended, ...]:
        """The places of an answer that rules made, with reasons."""
        said = self.said(ruled.items, ruled.score, propensity)
        picked = LANGUAGES[self._ask.language].say("pinned")
        places = zip(said, ruled.pinned.tolist(), strict=True)
        return tuple(place._replace(reason=picked) if pinned else place for place, pinned in places)

    def said(self, items: Int32s, score: Float64s, propensity: Float64s) -> tuple[Recommended, ...]:
        """The places of an answer, with reasons."""
        bundle = self._bundle
        names = ShownNames(bundle.titles, bundle.kinds, self._ask.language)
        why = reasons(Asked(bundle.shop, self.visit), items, names)
        rows = zip(items.tolist(), score.tolist(), why, propensity.tolist(), strict=True)
        return tuple(Recommended(bundle.products.texts[item], *rest) for item, *rest in rows)
