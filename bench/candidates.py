"""What each candidate generator is worth: recall of products bought for the first time, at equal budget.

    python -m bench.candidates [--ends 2017-11-27 2017-10-30] [--budgets 30 60 100 200]

Reads artifacts/prepare of the checkout. For each window, the share of *new* targets among a generator's best products;
then the share that all candidates hold together, at the ranker's own budgets, and without one generator at a time.
"""

import argparse
import json
import sys

import numpy as np
from numpy.typing import NDArray

from bench.machine import machine
from bench.windows import DAYS, window_before
from nightmarket.evaluation.metrics import hits
from nightmarket.evaluation.protocol import Task, targets
from nightmarket.ranking.candidate_set import Budget, CandidateSet
from nightmarket.ranking.generators import CandidateGenerator
from tasks.files.prepared import Prepared
from tasks.models import recommender

Targets = tuple[NDArray[np.int64], NDArray[np.int32]]


def window(data: Prepared, end: str, budgets: list[int]) -> tuple[str, dict[str, list[float]]]:
    """A Markdown table of one window, which ends before Monday `end`, and each generator's recall per budget."""
    cut = window_before(end)
    wanted = targets(data.histories, cut)[Task.NEW]
    indptr, items = wanted.indptr, wanted.items
    candidate_set = CandidateSet(recommender.statistics(data, cut), Budget(), None, np.zeros(0, np.int32), DAYS)
    alone = {generator.name: np.zeros(len(budgets)) for generator in candidate_set.generators}
    together: dict[str, int] = dict.fromkeys(("all", *alone), 0)
    size = dict.fromkeys(together, 0)
    for rows in candidate_set.statistics.slices(256):
        customers = candidate_set.statistics.customers(rows)
        bounds = indptr[rows.start : rows.stop + 1]
        here = (bounds - bounds[0], items[bounds[0] : bounds[-1]])
        lists = {generator.name: generator.recommend(customers, max(budgets)) for generator in candidate_set.generators}
        for name, recommended in lists.items():
            alone[name] += hits(recommended, *here).cumsum(axis=1)[:, np.array(budgets) - 1].sum(axis=0)
        for left_out in together:
            union = _union(lists, candidate_set.generators, left_out, here)
            together[left_out] += union[0]
            size[left_out] += union[1]
    total, num = items.size, candidate_set.statistics.histories.num_customers
    head = f"| generator | {' | '.join(f'recall@{k}' for k in budgets)} | all candidates without it |"
    lines = [head, "|---|" + "---|" * (len(budgets) + 1)]
    for name, num_hits in alone.items():
        shares = " | ".join(f"{share:.4f}" for share in num_hits / total)
        lines.append(f"| {name} | {shares} | {together[name] / total:.4f} ({size[name] / num:.0f} each) |")
    whole = f"{together['all'] / total:.4f} ({size['all'] / num:.0f} each)"
    table = "\n".join([*lines, f"| all candidates | {' | '.join('' for _ in budgets)} | {whole} |"])
    return table, {name: (num_hits / total).tolist() for name, num_hits in alone.items()}


def _union(
    lists: dict[str, np.ndarray], generators: list[CandidateGenerator], left_out: str, wanted: Targets
) -> tuple[int, int]:
    """New targets that the generators' candidates hold, and how many candidates there are."""
    parts = [lists[generator.name][:, : generator.num] for generator in generators if generator.name != left_out]
    together = np.sort(np.concatenate(parts, axis=1), axis=1)
    together[:, 1:][together[:, 1:] == together[:, :-1]] = -1
    return int(hits(together, *wanted).sum()), int((together >= 0).sum())


def main() -> None:
    """Measure every window that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ends", nargs="+", default=["2017-11-27", "2017-10-30"], metavar="MONDAY")
    parser.add_argument("--budgets", type=int, nargs="+", default=[30, 60, 100, 200])
    args = parser.parse_args()
    data, figures = Prepared(), {}
    for end in args.ends:
        table, figures[end] = window(data, end, args.budgets)
        print(f"\nwindow before {end}\n\n{table}", flush=True)
    print(json.dumps({"budgets": args.budgets, "recall": figures, "machine": machine(), "seed": None}))


if __name__ == "__main__":
    sys.exit(main())
