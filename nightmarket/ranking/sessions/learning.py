"""Learn, from visits of the days after a cut, in which order what may be shown is met next.

Each visit is asked about once, after some of its events, exactly as a live site asks; what the visitor meets later in
it that is new to it, or puts into the cart or buys, are the positives. N events, Q visits, R rows, F features.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from nightmarket.evaluation.intervals import paired
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.histories.interactions import BOUGHT, CARTED, Interactions
from nightmarket.ranking.compiled import CompiledForest
from nightmarket.ranking.lists import fill
from nightmarket.ranking.ranker import TrainingRows, Trees, fit
from nightmarket.ranking.sessions.features import NAMES, Asked
from nightmarket.ranking.sessions.orders import FOREST, GOALS, SessionOrder, SessionOrders
from nightmarket.ranking.sessions.shop import SessionShop
from nightmarket.ranking.sessions.visits import Visit

MOST_EVENTS = 6
"""Events of a visit after which it is asked about, at most."""
HELD = 0.25
"""Of the visits, on which the forest is set against each score that orders by itself."""
MIN_VISITS = 100
KEPT = 60
"""Candidates of a visit that are learned from, of those that were not met."""
PLACES = 10
SEED = 17
TREES = Trees(
    num_trees=120, num_leaves=8, learning_rate=0.08, min_leaf_rows=100, l2=20.0, seed=SEED, objective="lambdarank"
)
"""Small trees: a fortnight's visits are few. On another made-up shop than those that judge, LambdaRank ordered them
better than the probability of a later event."""


@dataclass(frozen=True)
class Cut:
    """A visit, rows first..end - 1 of the events, of which those before `told` are known."""

    customer: int
    first: int
    told: int
    end: int


def cuts(events: Interactions, since: int, rng: np.random.Generator, most: int) -> list[Cut]:
    """Visits that begin after the day `since`, each told up to one of its first events, drawn; none may be told."""
    first = np.flatnonzero(np.diff(events.session, prepend=-1) != 0)
    end = np.append(first[1:], len(events))
    chosen = rng.permutation(np.flatnonzero((events.day[first] > since) & (end - first > 1)))[:most]
    told = first[chosen] + rng.integers(0, np.minimum(end[chosen] - first[chosen], MOST_EVENTS))
    rows = zip(
        events.customer[first[chosen]].tolist(),
        first[chosen].tolist(),
        told.tolist(),
        end[chosen].tolist(),
        strict=True,
    )
    return [Cut(*row) for row in rows]


def visit_at(shop: SessionShop, events: Interactions, cut: Cut, bounds: Int64s) -> Visit:
    """What a live site asks after the last event of a cut visit that is told, or before the first one: what the night
    remembers of the customer, and what happened since.

    bounds  (C+1,) customer c's events are [bounds[c]:bounds[c+1]]
    """
    item, kind, second = shop.past.of(cut.customer)
    begin = cut.first
    if cut.customer >= 0:
        begin = bounds[cut.customer] + int(
            np.searchsorted(events.day[bounds[cut.customer] : cut.first], shop.cut, side="right")
        )
    rows, now = slice(begin, cut.told), max(cut.told - 1, cut.first)
    return Visit(
        np.concatenate([item, events.item[rows]]),
        np.concatenate([kind, events.kind[rows]]),
        np.concatenate([second, events.second[rows]]),
        int(events.second[now]),
        int(events.day[now]),
    )


@dataclass
class Lessons:
    """What is learned from of one goal, and what is kept aside: of each visit features, items and what it met later."""

    rows: list[tuple[Float32s, Bools]] = field(default_factory=list)
    held: list[tuple[Float32s, Int32s, Int32s]] = field(default_factory=list)

    def add(self, held: bool, features: Float32s, items: Int32s, later: Int32s, rng: np.random.Generator) -> None:
        """One visit; it teaches where something that it met later was proposed."""
        if held and later.size:
            self.held.append((features, items, later))
        label = np.isin(items, later)
        if not held and label.any():
            chosen = label | (rng.random(items.size) < KEPT / items.size)
            self.rows.append((features[chosen], label[chosen]))

    def order(self, seed: int) -> SessionOrder:
        """What was learned."""
        if len(self.rows) < MIN_VISITS:
            return SessionOrder.plain(len(self.rows))
        forest = fit([_rows(self.rows)], NAMES, NAMES, replace(TREES, seed=seed), "sessions")
        return _chosen(CompiledForest.of(forest.text()), self.held, len(self.rows))


def learn(shop: SessionShop, events: Interactions, most: int, seed: int) -> SessionOrders:
    """The orders of answers, from at most so many visits after the day that the shop is known up to.

    events  of customers and guests, those of the days after `shop.cut` among them
    """
    rng = np.random.default_rng(seed)
    asked = cuts(events, shop.cut, rng, most)
    bounds = np.searchsorted(events.customer, np.arange(events.num_customers + 1))
    held = rng.random(len(asked)) < HELD
    lessons = {goal: Lessons() for goal in GOALS}
    takes = np.isin(events.kind, (*CARTED, *BOUGHT))
    for cut, aside in zip(asked, held.tolist(), strict=True):
        visit = Asked(shop, visit_at(shop, events, cut, bounds))
        later, taken = events.item[cut.told : cut.end], takes[cut.told : cut.end]
        items = visit.candidates()
        features = visit.features(items)
        new = ~np.isin(items, events.item[cut.first : cut.told])
        unmet = np.setdiff1d(later, events.item[cut.first : cut.told])
        lessons["next"].add(aside, features[new], items[new], unmet, rng)
        lessons["taken"].add(aside, features, items, np.unique(later[taken]), rng)
    return SessionOrders(**{goal: of_goal.order(seed) for goal, of_goal in lessons.items()})


def _rows(parts: list[tuple[Float32s, Bools]]) -> TrainingRows:
    """Of several visits, each a group."""
    label = np.concatenate([label for _, label in parts])
    group = np.array([label.size for _, label in parts])
    weight = np.ones(label.size, np.float32)  # LambdaRank orders the rows of a visit; thinned ones need no weight
    features = np.concatenate([features for features, _ in parts])
    who = np.arange(group.size, dtype=np.int32)
    return TrainingRows(features, label, group, weight, who)


def _chosen(forest: CompiledForest, told: list[tuple[Float32s, Int32s, Int32s]], num: int) -> SessionOrder:
    """The forest, unless a column is better for visits that it did not learn from."""
    learned = SessionOrder(FOREST, forest, num_visits=num)
    ours = _ndcg(learned, told)
    columns = [name for name in NAMES if name.startswith("score_")]
    theirs = {name: _ndcg(SessionOrder(name, None), told) for name in columns}
    rival = max(theirs, key=lambda name: float(theirs[name].mean()) if told else 0.0)
    difference = paired(ours, theirs[rival], SEED) if told else None
    order = FOREST if difference is None or difference.value > 0 else rival
    return SessionOrder(order, forest, rival, difference, num)


def _ndcg(order: SessionOrder, told: list[tuple[Float32s, Int32s, Int32s]]) -> Float64s:
    """(H,) of the held visits."""
    ranked = np.full((len(told), PLACES), -1, np.int32)
    for row, (features, items, _) in enumerate(told):
        fill(ranked[row : row + 1], np.zeros(items.size, np.int32), items, order.score(features))
    indptr = np.append(0, np.cumsum([later.size for *_, later in told])).astype(np.int64)
    targets = np.concatenate([later for *_, later in told]) if told else np.zeros(0, np.int32)
    return rank_metrics(ranked, indptr, targets, (PLACES,))[f"ndcg@{PLACES}"]
