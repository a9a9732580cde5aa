"""The next product of a visit after its first events, by the age of what the night knew: ours beside simple methods.

    python -m bench.next_item --shops fashion electronics --seeds 7 8 --windows 3

Each window is the visits of one day: the shop's last one, and those 28 days apart before it. A visit is asked about
after its first 1, 2 and 5 events, by a night that had seen the day before, and by nights one and seven days older.
Three targets: `next`, the first product met later that is new to the visit; `taken`, what is put into the cart or
bought later and was not met yet; `taken_again`, the same where lists may hold what was met. Settings of the simple
methods are chosen on `next`, at one event and age 0, on the window before the judged ones, on the first seed. Our order
is learned once for a window, by the oldest of these nights, from the fortnight before it. Intervals draw visitors with
all of their visits. The last line is one JSON object.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.domains.results import say
from bench.machine import machine
from bench.next_item.peers import PEERS, Scorer
from bench.next_item.results import OURS, Results, markdown
from bench.next_item.visits import Asked, Made, questions
from bench.shops.profiles import PROFILES
from nightmarket.contracts.arrays import Int32s
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.ranking.sessions.answers import answer
from nightmarket.ranking.sessions.features import Asked as Question
from nightmarket.ranking.sessions.orders import SessionOrder, SessionOrders
from nightmarket.ranking.sessions.shop import SessionShop

TOLD, AGES, PLACES = (1, 2, 5), (0, 1, 7), 10
DAYS, APART = 1, 28
"""Of a window, and from one window to the next."""
TIMED = 50
"""Answers to each set of questions whose time is taken."""
LISTS = {False: ("next", "taken"), True: ("taken_again",)}
"""Whether lists may hold what was met, and what they are asked for."""
INPUTS = ("score_near", "score_factors", "score_taste")
"""Of ours, each ordering by itself the candidates that ours orders."""


def ours(shop: SessionShop, orders: SessionOrders, made: Made, asked: Asked) -> dict[tuple[str, bool], Int32s]:
    """(10,) of our order and of each of INPUTS, without and with what was met: the candidates and their features are
    the same for all."""
    question = Question(shop, made.ask(shop, asked.cut))
    items = question.candidates()
    rows = question.features(items)
    lists = {}
    for again in LISTS:
        kept = np.ones(items.size, bool) if again else ~np.isin(items, asked.met)
        every = {OURS: orders.taken if again else orders.next} | {name: SessionOrder(name, None) for name in INPUTS}
        for name, order in every.items():
            score = order.score(rows[kept])
            lists[name, again] = _padded(items[kept][np.lexsort((items[kept], -score))[:PLACES]])
    return lists


def theirs(shop: SessionShop, scorer: Scorer, asked: Asked, again: bool) -> Int32s:
    """(10,) of what is on sale on the day."""
    score = scorer(asked.met).astype(np.float64)
    score[~shop.on_sale(np.arange(score.size, dtype=np.int32), asked.day)] = -np.inf
    if not again:
        score[asked.met] = -np.inf
    near = np.argpartition(-score, min(2 * PLACES, score.size - 1))[: 2 * PLACES]
    best = near[np.lexsort((near, -score[near]))[:PLACES]]
    return _padded(best[np.isfinite(score[best])].astype(np.int32))


def _padded(items: Int32s) -> Int32s:
    return np.pad(items, (0, PLACES - items.size), constant_values=-1)


def tuned(made: Made, day: int, most: int) -> dict[str, dict[str, Any]]:
    """Settings of each simple method, the best for the next product after one event on one day."""
    shop, rng = made.shop(day - 1), np.random.default_rng(day)
    asked = list(questions(made.events, day, 1, most, rng))
    indptr, wanted = np.arange(len(asked) + 1), np.concatenate([question.targets["next"] for question in asked])
    chosen = {}
    for name, (make, grid) in PEERS.items():
        values = []
        for settings in grid:
            scorer = make(made.events, shop, **settings)
            lists = np.stack([theirs(shop, scorer, question, False) for question in asked])
            values.append(float(rank_metrics(lists, indptr, wanted, (PLACES,))[f"ndcg@{PLACES}"].mean()))
        chosen[name] = grid[int(np.argmax(values))]
    return chosen


def judge(made: Made, name: str, seed: int, last: int, settings: dict[str, Any], results: Results, most: int) -> None:
    """One window of DAYS days that ends with the day `last`."""
    days = range(last - DAYS + 1, last + 1)
    orders = made.orders(days[0] - 1 - max(AGES))  # of the oldest night: learned once for the window
    results.orders[name] += [orders.next.content(), orders.taken.content()]
    for age in AGES:
        for day in days:
            shop = made.shop(day - 1 - age)
            scorers = {peer: PEERS[peer][0](made.events, shop, **settings[peer]) for peer in PEERS}
            for told in TOLD:
                asked = list(questions(made.events, day, told, most, np.random.default_rng(day)))
                if not asked:
                    continue
                own = [ours(shop, orders, made, question) for question in asked]
                for question in asked[:TIMED]:
                    visit, began = made.ask(shop, question.cut), time.perf_counter()
                    answer(shop, orders, visit, PLACES)
                    results.milliseconds.append(1000 * (time.perf_counter() - began))
                for again, targets in LISTS.items():
                    lists = {method: np.stack([of[method, again] for of in own]) for method in (OURS, *INPUTS)}
                    lists |= {
                        peer: np.stack([theirs(shop, scorer, question, again) for question in asked])
                        for peer, scorer in scorers.items()
                    }
                    for target in targets:
                        wanted = [question.targets[target] for question in asked]
                        for method, ranked in lists.items():
                            units = [question.unit for question in asked]
                            results.add((name, target, str(told), str(age)), method, seed, units, ranked, wanted)


def run(asked: argparse.Namespace) -> Results:
    """Every shop and seed."""
    results = Results()
    for name in asked.shops:
        settings: dict[str, Any] = {}
        for seed in asked.seeds:
            made = Made(name, seed, asked.customers, asked.products)
            settings = settings or tuned(made, made.last - APART * asked.windows, asked.visits)
            results.settings[name] = settings
            for back in reversed(range(asked.windows)):
                judge(made, name, seed, made.last - APART * back, settings, results, asked.visits)
                print(f"{name}, seed {seed}, window {asked.windows - back}", file=sys.stderr, flush=True)
    return results


def main(words: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shops", nargs="+", choices=tuple(PROFILES), default=["fashion", "electronics"], metavar="SHOP"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8])
    parser.add_argument("--windows", type=int, default=3, help="of a day that judge; the one before them tunes")
    parser.add_argument("--visits", type=int, default=1000, help="of a day, at most")
    parser.add_argument("--customers", type=float, default=1.0, help="times as many as the made-up profiles have")
    parser.add_argument("--products", type=float, default=1.0)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the JSON object here too")
    asked = parser.parse_args(words)
    started = time.perf_counter()
    content = run(asked).content()
    content["run"] = {"seconds": round(time.perf_counter() - started), "seeds": asked.seeds, "machine": machine()}
    say(content, markdown(content), asked.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
