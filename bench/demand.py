"""Forecasts of units per product type beside the simple ones and beside statsforecast, on rolling origins; the price
response with its placebo.

    python -m bench.demand [--windows 3] [--series 150]

Reads artifacts/prepare of the checkout (run `make nightly` first). The last line is one JSON object.
"""

import argparse
import json
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

from bench.machine import machine
from nightmarket.demand import response as price_response
from nightmarket.demand.forecast import evaluate
from nightmarket.demand.methods import METHODS
from nightmarket.demand.panels import panel
from nightmarket.demand.series import Weekly, kind_paths, weekly
from nightmarket.evaluation.intervals import paired
from nightmarket.histories.calendar import last_whole_week, monday
from tasks.files.prepared import Prepared

SEED = 17


def shop() -> tuple[Prepared, Weekly, np.ndarray, list[str]]:
    """Prepared data, weekly units, and the type of each product."""
    data = Prepared()
    lines = data.histories
    code, names = pd.factorize(kind_paths(data.products))
    last = last_whole_week(data.windows.test.last_target)
    return data, weekly(lines, code, list(names), last), code, list(names)


def libraries(history: Weekly, num: int, ahead: int) -> list[dict[str, Any]]:
    """statsforecast's automatic methods on the `num` types with most units, last weeks: WAPE, and the paired
    difference of absolute errors per type from the method that the stage takes most, in shares of all units."""
    from statsforecast import models

    past = history.until(history.units.shape[1] - ahead)
    top = np.argsort(-past.units.sum(axis=1), kind="stable")[:num]
    units, start = past.units[top], past.start[top]
    order = {kind: i for i, kind in enumerate(history.kinds)}
    truth = history.units[[order[past.kinds[i]] for i in top], -ahead:]
    ours = np.abs(truth - METHODS["IMAPA"](units, start)[:, None]).mean(axis=1)
    rows = [{"model": "IMAPA here", "wape": float(ours.sum() / truth.mean(axis=1).sum()), "ms_per_series": None}]
    for name, model in (
        ("AutoETS", models.AutoETS(season_length=1)),
        ("AutoCES", models.AutoCES(season_length=1)),
        ("AutoTheta", models.AutoTheta(season_length=1)),
        ("IMAPA", models.IMAPA()),
    ):
        model.forecast(y=units[0].copy(), h=ahead)  # compiles
        started = time.perf_counter()
        pairs = zip(units, start, strict=True)
        said = np.stack([model.forecast(y=row[first:].copy(), h=ahead)["mean"] for row, first in pairs])
        spent = 1000 * (time.perf_counter() - started) / num
        error = np.abs(truth - np.maximum(said, 0)).mean(axis=1)
        gain, share = paired(ours, error, SEED), num / truth.mean(axis=1).sum()
        rows.append(
            {"model": f"statsforecast {name}", "wape": float(error.sum() / truth.mean(axis=1).sum())}
            | {"ms_per_series": spent, "ours_minus_it": {k: v * share for k, v in gain._asdict().items()}}
        )
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--series", type=int, default=150, help="types that statsforecast is tried on; 0: not at all")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    started = time.perf_counter()
    data, history, code, names = shop()
    by_window: dict[str, Any] = {}
    print(
        "| window ends | class | types | units | WAPE | naive | seasonal naive | ours - naive | cover 80 | cover 95 |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for back in range(args.windows):
        part = history.until(history.units.shape[1] - 4 * back)
        evaluated = evaluate(part, SEED)
        if evaluated is None:
            break
        end = monday(part.last_week).isoformat()
        by_window[end] = {"methods": evaluated.methods} | evaluated.metrics
        for name, row in evaluated.metrics["classes"].items():
            gain = row["naive"]["ours_minus_it_wape"]
            print(
                f"| {end} | {name} | {row['kinds']:,} | {row['units']:,.0f} | {row['ours']['wape']:.3f} | "
                f"{row['naive']['wape']:.3f} | {row['seasonal naive']['wape']:.3f} | "
                f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] | "
                f"{row['coverage80']['value']:.3f} | {row['coverage95']['value']:.3f} |"
            )
    others: dict[str, Any] = {}
    for back in range(args.windows if args.series else 0):
        part = history.until(history.units.shape[1] - 4 * back)
        end = monday(part.last_week).isoformat()
        others[end] = libraries(part, min(args.series, len(part.kinds)), 4)
        print(f"\n| {end}, types with most units | WAPE | ours minus it | ms per series |\n|---|---|---|---|")
        for row in others[end]:
            gain = row.get("ours_minus_it")
            told = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]" if gain else ""
            print(f"| {row['model']} | {row['wape']:.3f} | {told} | {row['ms_per_series'] or 0:.1f} |")
    measured = price_response.response(
        panel(data.histories, history.first_week, history.last_week, data.promotions), code, names
    )
    response: dict[str, Any] = {}
    if measured is not None:
        response = {"pooled": measured.pooled, "placebo_next_week": measured.placebo, "between": measured.between,
                    "refused": measured.refused}  # fmt: skip
        print(f"\n{price_response.words(measured)['en']}")
    run = {"seconds": time.perf_counter() - started, "machine": machine(), "seed": SEED}
    print(json.dumps({"windows": by_window, "peers": others, "response": response} | run))


if __name__ == "__main__":
    sys.exit(main())
