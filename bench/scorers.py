"""Every scorer on rolling windows, beside the baselines: quality, time, memory; and as a source of candidates.

    python -m bench.scorers --ends 2017-11-27 2017-10-30 2017-12-25 [--scorers NAME ...] [--set FIELD=VALUE ...]
                           [--sources]

Reads artifacts/prepare and artifacts/embed of the checkout (run `make nightly` first) and writes nothing. Text vectors
are those of the untouched encoder, so that no window sees an encoder that was trained on its targets. Each scorer is
fitted in a process of its own. `--sources` adds what each scorer's best products hold of the `new` targets, next to the
sources that the ranker has. Prints Markdown; the last line is one JSON object.
"""

import argparse
import itertools
import json
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from bench.machine import machine
from bench.windows import DAYS, window_before
from nightmarket.evaluation.intervals import bootstrap, paired
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.evaluation.protocol import Targets, Window, targets
from nightmarket.ranking.baseline_lists import baselines
from nightmarket.ranking.candidate_set import Budget, CandidateSet
from nightmarket.ranking.lists import mask_entries
from nightmarket.retrieval.scorers.material import ScorerData
from nightmarket.retrieval.scorers.scorer import SCORERS, config_of
from nightmarket.retrieval.scorers.training import fit
from nightmarket.retrieval.top import top_items
from tasks.files import storage
from tasks.files.prepared import Prepared
from tasks.models import recommender

TASKS = ("all", "new", "debut")
DEPTH = 100
SEED = 17
Lists = dict[str, NDArray[np.int32]]


def lists_of(scorer: Any, data: Prepared, window: Window) -> Lists:
    """The best DEPTH items per task, by scores (B, A) of `scorer(slice, items)`; masked as in tasks/evaluate.

    A scorer scores only the items that it is asked for, so this does not walk the whole catalogue as a baseline does.
    """
    past = data.histories.until(window.cut)
    bought, num = past.matrix(), past.num_customers
    sold = np.unique(past.item).astype(np.int32)
    launching = data.launching(window)
    lists = {task: np.full((num, DEPTH), -1, np.int32) for task in TASKS}
    for start in range(0, num, 256):
        rows = slice(start, min(start + 256, num))
        scores = scorer(rows, sold)
        lists["all"][rows] = named(top_items(scores, DEPTH), sold)
        mask_entries(scores, bought[rows][:, sold].tocsr())
        lists["new"][rows] = named(top_items(scores, DEPTH), sold)
        if launching.size:
            lists["debut"][rows] = named(top_items(scorer(rows, launching), DEPTH), launching)
    return lists


def named(places: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.int32]:
    """Places among the items as item codes; -1 stays."""
    return np.where(places >= 0, items[np.maximum(places, 0)], -1).astype(np.int32)


def measure(end: str, name: str, changed: dict[str, Any]) -> tuple[Lists, dict[str, float]]:
    """Lists of one scorer on one window, and what they cost. Runs in a process of its own."""
    data = Prepared()
    window = window_before(end)
    vectors = storage.read_tensors(storage.ARTIFACTS / "embed" / "vectors.safetensors")["vectors"].astype(np.float32)
    material = ScorerData(data.histories, vectors, data.text_id, data.recommendable)
    clock = [(time.perf_counter(), time.process_time())]
    scorer = fit(name, material, window.cut, config_of(name, **changed), SEED)
    clock.append((time.perf_counter(), time.process_time()))
    lists = lists_of(scorer.scores, data, window)
    clock.append((time.perf_counter(), time.process_time()))
    (fit_s, fit_cpu), (score_s, score_cpu) = (
        (after[0] - before[0], after[1] - before[1]) for before, after in itertools.pairwise(clock)
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    cost = {"fit_s": fit_s, "fit_cpu_s": fit_cpu, "score_s": score_s, "score_cpu_s": score_cpu, "peak_gb": peak}
    return lists, {key: round(value, 2) for key, value in cost.items()}


def shares(lists: dict[str, Lists], candidate_set: CandidateSet, wanted: Targets) -> dict[str, dict[str, float]]:
    """Share of the `new` targets that is among each source's best 40 and 100, mean over customers; and among all
    sources of the ranker together, alone and with 40 of a scorer besides.
    """
    num = candidate_set.statistics.histories.num_customers
    own: Lists = {source.name: np.full((num, DEPTH), -1, np.int32) for source in candidate_set.generators}
    for rows in candidate_set.statistics.slices(256):
        customers = candidate_set.statistics.customers(rows)
        for source in candidate_set.generators:
            own[source.name][rows] = source.recommend(customers, DEPTH)
    every = own | {name: of_task["new"] for name, of_task in lists.items() if name in SCORERS}
    budget = {source.name: source.num for source in candidate_set.generators}
    table = {}
    for name, recommended in every.items():
        parts = [own[s][:, :n] for s, n in budget.items() if s != name]
        parts.append(recommended[:, : budget.get(name, 0) + 40])
        table[name] = {
            "recall@40": recall(recommended[:, :40], wanted),
            "recall@100": recall(recommended, wanted),
            "all sources and 40 more of it": recall(np.concatenate(parts, axis=1), wanted),
        }
    table["all sources"] = {"union": recall(np.concatenate([own[s][:, :n] for s, n in budget.items()], 1), wanted)}
    return table


def recall(recommended: NDArray[np.int32], wanted: Targets) -> float:
    """Mean over customers of the share of their targets that the lists (duplicates allowed) hold."""
    indptr, items = wanted.indptr, wanted.items
    num = len(indptr) - 1
    owner = np.repeat(np.arange(num), np.diff(indptr))
    span = int(max(items.max(initial=0), recommended.max(initial=0))) + 2
    held = np.isin(owner * span + items, (np.arange(num)[:, None] * span + recommended)[recommended >= 0])
    with np.errstate(invalid="ignore"):
        return round(float(np.nanmean(np.bincount(owner, held, minlength=num) / np.diff(indptr))), 4)


def report(end: str, lists: dict[str, Lists], costs: dict[str, dict], wanted: dict[str, Targets]) -> dict[str, Any]:
    """Print the window's table; the figures as a dictionary."""
    print(f"\nwindow before {end}\n\n| scorer | all | new | debut | fit s (CPU s) | score s (CPU s) | peak GB |")
    print("|---|---|---|---|---|---|---|")
    scores = {
        name: {
            task: rank_metrics(lists_of_task, wanted[task].indptr, wanted[task].items, cutoffs=(10,))["ndcg@10"]
            for task, lists_of_task in of_scorer.items()
        }
        for name, of_scorer in lists.items()
    }
    figures: dict[str, Any] = {}
    for name, of_task in scores.items():
        figures[name] = {task: bootstrap(values, SEED)._asdict() for task, values in of_task.items()}
        if name in SCORERS:
            for task, peer in (("all", "recency_frequency"), ("new", "ease"), ("debut", "affinity")):
                figures[name][f"{task} - {peer}"] = paired(of_task[task], scores[peer][task], SEED)._asdict()
        cells = []
        for task in TASKS:
            value = figures[name].get(task)
            cells.append(f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]" if value else "")
        cost = costs.get(name)
        if cost:
            cells += [f"{cost[f'{w}_s']:.0f} ({cost[f'{w}_cpu_s']:.0f})" for w in ("fit", "score")]
            cells.append(f"{cost['peak_gb']:.1f}")
        else:
            cells += [""] * 3
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return figures


def main() -> None:
    """Measure every window and scorer that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ends", nargs="+", default=["2017-11-27", "2017-10-30", "2017-12-25"], metavar="MONDAY")
    parser.add_argument("--scorers", nargs="*", default=list(SCORERS), metavar="NAME")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", dest="changed")
    parser.add_argument(
        "--jobs", type=int, default=1, help="scorers fitted at a time; 1 where seconds are to be compared"
    )
    parser.add_argument("--sources", action="store_true")
    args = parser.parse_args()
    changed = {key: yaml.safe_load(value) for key, value in (pair.split("=", 1) for pair in args.changed)}
    for name in args.scorers:
        config_of(name, **changed)
    data = Prepared()
    result: dict[str, Any] = {"windows": {}, "set": changed}
    for end in args.ends:
        window = window_before(end)
        candidate_set = CandidateSet(recommender.statistics(data, window), Budget(), None, data.launching(window), DAYS)
        wanted = targets(data.histories, window, candidate_set.launched)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(args.jobs, mp_context=spawn, max_tasks_per_child=1) as pool:
            waiting = {name: pool.submit(measure, end, name, changed) for name in args.scorers}
            lists, costs = dict(baselines(candidate_set, DEPTH)), {}
            for name, future in waiting.items():
                lists[name], costs[name] = future.result()
        result["windows"][end] = {"ndcg@10": report(end, lists, costs, wanted), "cost": costs}
        if args.sources:
            table = shares(lists, candidate_set, wanted["new"])
            result["windows"][end]["sources"] = table
            print("\n| source | recall@40 | recall@100 | all sources and 40 more of it |\n|---|---|---|---|")
            for name, row in table.items():
                print(f"| {name} | {' | '.join(f'{value:.4f}' for value in row.values())} |", flush=True)
    result |= {"machine": machine(), "seed": SEED}
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
