"""Recommenders side by side in several shops: made-up ones with the truth as a ceiling, Complete Journey, MovieLens.

    python -m bench.domains --shops fashion fashion_zh --seeds 7 8 --windows 3
    python -m bench.domains --shops journey movielens --methods popularity ease_purchases
    python -m bench.domains --ours PACKAGE.MODULE:FUNCTION

NDCG@10 on *all*, *new* and *launch* over the whole catalogue, on the last windows of 28 days; settings are chosen on
the window before them, on the first seed. Intervals are bootstraps over customers; below a figure stands the reference
minus it. `truth` is the ranking by what made the shop, `informed` what is left of it for somebody who knows the
products as well, but the customers from their events alone. `--ours` names a function like
bench.domains.question.Recommender. The last line is one JSON object: {shop: {task: {method: {value, low, high}}}},
beside it paired, windows, cost, settings.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.domains import data, measure
from bench.domains.data import Domain
from bench.domains.informed import Informed
from bench.domains.measure import AnswerError
from bench.domains.question import Question, Recommender, targets
from bench.domains.results import OURS, Results, markdown, say
from bench.domains.roster import INFORMED, OWNED, ROSTER, TRUTH, Ceiling, Chosen
from bench.machine import machine
from bench.shops.truth import Truth


def tuned(domain: Domain, name: str, back: int) -> dict[str, dict[str, Any]]:
    """Settings of each task of a method: the best on the window `back` windows before the last."""
    method, window = ROSTER[name], domain.window(back)
    wanted = targets(domain.shop, window)
    question = Question.of(domain.shop, window, wanted.asked)
    best: dict[str, tuple[float, dict[str, Any]]] = {}
    for settings in method.grid:
        lists = measure.ask(Chosen(method, dict.fromkeys(method.tasks, settings)), question).lists
        tried = [(lists, settings)] + ([({"all": lists["new"]}, settings | {OWNED: False})] if "new" in lists else [])
        for answer, used in tried:
            for task, figures in measure.scores(answer, wanted).items():
                value = float(np.nanmean(figures)) if (~np.isnan(figures)).any() else 0.0
                if task not in best or value > best[task][0]:
                    best[task] = (value, used)
    return {task: settings for task, (_, settings) in best.items()}


def choose(domain: Domain, asked: argparse.Namespace, results: Results) -> dict[str, Recommender]:
    """The methods with their settings; one that fails is named and left out."""
    chosen: dict[str, Recommender] = {}
    for name in asked.methods:
        try:
            settings = tuned(domain, name, asked.windows)
        except AnswerError as error:
            print(f"{domain.shop.name}, {name}: {error}", file=sys.stderr, flush=True)
            continue
        results.settings[domain.shop.name][name] = settings
        chosen[name] = Chosen(ROSTER[name], settings)
        print(f"{domain.shop.name}, {name}: {settings}", flush=True)
    return chosen


def ceilings(truth: Truth | None) -> dict[str, Recommender]:
    """What is as good as can be in a made-up shop; none in a public one."""
    if truth is None:
        return {}
    made: dict[str, Recommender] = {TRUTH: Ceiling(truth)}
    return made | {INFORMED: Informed(truth)} if Informed.can_guess(truth.profile) else made


def judge(domain: Domain, seed: int, windows: int, methods: dict[str, Recommender], results: Results) -> None:
    """Ask every method about every window, the earliest first."""
    for back in reversed(range(windows)):
        window = domain.window(back)
        wanted = targets(domain.shop, window)
        question = Question.of(domain.shop, window, wanted.asked)
        for name, method in methods.items():
            try:
                answer = measure.ask(method, question)
            except AnswerError as error:
                print(f"{domain.shop.name}, {name}: {error}", file=sys.stderr, flush=True)
                continue
            figures = measure.scores(answer.lists, wanted)
            results.add(domain.shop.name, name, seed, wanted.asked, figures, answer.seconds, answer.peak_mib)
        print(f"{domain.shop.name}, seed {seed}, window {windows - back}: {wanted.asked.size} customers", flush=True)


def run(asked: argparse.Namespace) -> Results:
    """Every shop and seed."""
    results = Results()
    ours: dict[str, Recommender] = {OURS: _function(asked.ours)} if asked.ours else {}
    for name in asked.shops:
        chosen: dict[str, Recommender] = {}
        for seed in asked.seeds[:1] if name in data.PUBLIC else asked.seeds:
            domain = data.load(name, seed, asked.customers, asked.products)
            chosen = chosen or choose(domain, asked, results)
            judge(domain, seed, asked.windows, ours | chosen | ceilings(domain.truth), results)
    return results


def _function(name: str) -> Recommender:
    module, _, function = name.partition(":")
    recommender: Recommender = getattr(importlib.import_module(module), function)
    return recommender


def main(words: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = ["fashion", "fashion_zh", "electronics", "marketplace", "journey", "movielens"]
    parser.add_argument("--shops", nargs="+", choices=data.names(), default=usual, metavar="SHOP")
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8], help="of made-up shops")
    parser.add_argument("--windows", type=int, default=3, help="of 28 days that judge; the one before them tunes")
    parser.add_argument("--methods", nargs="+", choices=tuple(ROSTER), default=list(ROSTER), metavar="METHOD")
    parser.add_argument("--customers", type=float, default=1.0, help="times as many as the made-up profiles have")
    parser.add_argument("--products", type=float, default=1.0)
    parser.add_argument("--ours", metavar="MODULE:FUNCTION", help="our recommender")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the JSON object here too")
    asked = parser.parse_args(words)
    started = time.perf_counter()
    content = run(asked).content()
    content["run"] = {"seconds": round(time.perf_counter() - started), "seeds": asked.seeds, "machine": machine()}
    say(content, markdown(content), asked.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
