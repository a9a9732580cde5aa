"""Live answers against the lists of last night: made-up shops in order of time, the next purchase of a visit.

The ranker is trained once, on the weeks before; every judged night delivers with it and learns the orders of answers
anew, from what it had seen. Each visit of the next day that ends with a purchase is asked about once, after a number of
its events before that purchase that is drawn, none among them. The live path gets what a site would send; the list of
last night is the customer's, for a guest and for somebody new what is popular. Two targets: the next purchase, where
answers may hold what the visit has met (`again`), and the next purchase that is new to the visit.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.domains.measure import Pool, minus
from bench.live.features import asked
from bench.next_item.visits import Made
from nightmarket.contracts.arrays import Int32s
from nightmarket.evaluation.protocol import Task, Window
from nightmarket.histories.interactions import BOUGHT
from nightmarket.ranking.generators import best_sellers
from nightmarket.ranking.model import Model, recommend
from nightmarket.ranking.sessions.features import Asked
from nightmarket.ranking.sessions.learning import Cut
from nightmarket.ranking.sessions.shop import Ragged
from nightmarket.serving.live import LiveRecommender
from tasks.bundle import write
from tasks.files import catalogue
from tasks.models import recommender

PLACES = 10
LISTED = 20
TARGETS = {"next purchase": True, "next purchase new to the visit": False}
"""Whether answers may hold what the visit has met."""
Figures = dict[tuple[str, str, str], list[tuple[int, np.ndarray, np.ndarray]]]


def replay(
    names: list[str], seeds: list[int], nights: int, customers: float, products: float
) -> tuple[dict[str, Any], str]:
    """{shop: {target: {live, nightly, difference: {value, low, high}, ratio, visits}}}, and a table."""
    figures: Figures = defaultdict(list)
    for name in names:
        for seed in seeds:
            made = Made(name, seed, customers, products, ranked=True)
            for back in reversed(range(nights)):
                _judge(made, name, seed, made.last - 1 - back, figures)
    content: dict[str, Any] = {name: {target: _content(figures, name, target) for target in TARGETS} for name in names}
    rows = ["| shop | target | visits | last night's lists | live | difference | times |", "|---" * 7 + "|"]
    for name in names:
        for target, said in content[name].items():
            live, nightly, gap = (said[part] for part in ("live", "nightly", "difference"))
            gap = f"{gap['value']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"
            cells = (
                name,
                target,
                said["visits"],
                f"{nightly['value']:.4f}",
                f"{live['value']:.4f}",
                gap,
                said["ratio"],
            )
            rows.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return content, "\n".join(rows)


def _content(figures: Figures, name: str, target: str) -> dict[str, Any]:
    live, nightly = (Pool.of(figures[name, target, path]) for path in ("live", "nightly"))
    said = {"live": live, "nightly": nightly, "difference": minus(live, nightly)}
    parts = {
        part: {key: round(value, 5) for key, value in pool.interval()._asdict().items()} for part, pool in said.items()
    }
    ratio = parts["live"]["value"] / max(parts["nightly"]["value"], 1e-9)
    return {**parts, "ratio": round(ratio, 2), "visits": int(live.value.size)}


def _judge(made: Made, name: str, seed: int, night: int, figures: Figures) -> None:
    """The visits of the day after a night."""
    lists, popular = _lists(made, night)
    num = (lists >= 0).sum(axis=1)
    rows = Ragged(np.append(0, np.cumsum(num)).astype(np.int64), lists[lists >= 0])
    shop, rng = made.shop(night), np.random.default_rng(night)
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch), shop, made.orders(night), made.data, str(night), rows)
        live = LiveRecommender.open(scratch, verify=False)
    place = {product: item for item, product in enumerate(made.product_ids)}
    parts: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for cut, met, bought in _visits(made, night + 1, rng):
        taught = Asked(shop, made.ask(shop, cut))
        theirs = lists[cut.customer] if cut.customer >= 0 and lists[cut.customer, 0] >= 0 else popular
        unit = cut.customer if cut.customer >= 0 else -1 - cut.first
        for target, again in TARGETS.items():
            wanted = bought if again else bought[~np.isin(bought, met)]
            if not wanted.size:
                continue
            ours = [place[it.product] for it in live.recommend(asked(made, cut, taught, again=again)).products]
            listed = theirs if again else theirs[~np.isin(theirs, met)]
            for path, items in (("live", np.array(ours)), ("nightly", listed)):
                hit = np.flatnonzero(items[:PLACES] == wanted[0])
                parts[target, path].append((unit, float(1 / np.log2(hit[0] + 2)) if hit.size else 0.0))
    for (target, path), values in parts.items():
        units, value = zip(*values, strict=True)
        figures[name, target, path].append((seed, np.array(units, np.int64), np.array(value)))


def _lists(made: Made, night: int) -> tuple[Int32s, Int32s]:
    """The night's lists (C, LISTED), -1 padded, and what those get whom it does not know (LISTED,)."""
    model: Model = made.model
    window = Window.after(night)
    candidate_set = recommender.candidate_set(model, made.data, catalogue.FINETUNE.path, window)
    lists = recommend(model, candidate_set, num=LISTED)[False][Task.ALL]
    statistics = candidate_set.statistics
    score = best_sellers(statistics, model.popular_span)
    active = statistics.active
    return lists, active[np.argsort(-score[active], kind="stable")[:LISTED]]


def _visits(made: Made, day: int, rng: np.random.Generator) -> Iterator[tuple[Cut, Int32s, Int32s]]:
    """Visits of a day that end with a purchase, each cut before it; what it has met by then; what it buys, in order."""
    events = made.events
    first = np.flatnonzero(np.diff(events.session, prepend=-1) != 0)
    end = np.append(first[1:], len(events))
    buys = np.isin(events.kind, BOUGHT)
    for session in np.flatnonzero(events.day[first] == day).tolist():
        begin, stop = int(first[session]), int(end[session])
        rows = begin + np.flatnonzero(buys[begin:stop])
        if not rows.size:
            continue
        told = int(rng.integers(begin, rows[0] + 1))
        yield Cut(int(events.customer[begin]), begin, told, stop), events.item[begin:told], events.item[rows]
