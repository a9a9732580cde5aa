"""Effects of campaigns: worlds whose truth is known, then every finished campaign of the demo.

    python -m bench.uplift [--replications 300] [--seed 0]

Reads artifacts/validate/clean and artifacts/prepare of the checkout (run `make nightly` first). Outcome: spend on
recommendable products while the campaign ran, currency per household. The last line is one JSON object.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import pandas as pd

from bench.machine import machine
from nightmarket.evaluation.uplift.campaigns import campaigns_of, case
from nightmarket.evaluation.uplift.doubly_robust import Estimate
from nightmarket.evaluation.uplift.effects import Effect, observational, randomized
from tasks.files import storage
from tasks.models.recommender import PREPARED, Prepared, prepared

CLEAN = storage.ARTIFACTS / "validate" / "clean"
EFFECT = 8.0
NAMES = ("activity", "visits", *(f"noise {i}" for i in range(8)))
WORLDS = {
    "no effect, known confounders": (0.0, 0.0),
    "effect, known confounders": (EFFECT, 0.0),
    "no effect, hidden confounder": (0.0, 1.0),
    "effect, hidden confounder": (EFFECT, 1.0),
}


def world(seed: int, effect: float, hidden: float, num: int = 2400) -> tuple[np.ndarray, ...]:
    """covariates (C, 10), exposed, outcome, placebo and negative control (C,): the active are exposed more often and
    spend more, in a curve; with `hidden` something that no covariate tells does the same."""
    rng = np.random.default_rng(seed)
    activity, unknown = rng.gamma(2, 20, num), hidden * rng.normal(size=num)
    covariates = np.column_stack([activity, rng.poisson(activity / 10), rng.normal(size=(num, 8))])
    exposed = rng.random(num) < 1 / (1 + np.exp(-(np.log(activity / 30) + unknown)))
    level = activity + 10 * np.sqrt(activity) + 20 * unknown
    noise = rng.normal(scale=20, size=(3, num))
    return covariates, exposed, level + noise[0] + effect * exposed, level + noise[1], level / 2 + noise[2]


def simulated(replications: int, seed: int) -> dict[str, dict[str, float]]:
    """Per world: bias, coverage of the 95% interval and share of replications with a claim."""
    by_world = {}
    for name, (effect, hidden) in WORLDS.items():
        effects = []
        for number in range(replications):
            covariates, exposed, outcome, placebo, control = world(seed + number, effect, hidden)
            effects.append(observational(covariates, exposed, outcome, placebo, control, NAMES, number))
        by_world[name] = _summary(effects, effect)
    lots = []
    for number in range(replications):
        covariates, _, outcome, _, _ = world(seed + number, 0.0, 1.0)
        drawn = np.random.default_rng([seed, number]).random(outcome.size) < 0.3
        lots.append(randomized(covariates, drawn, 0.3, outcome + EFFECT * drawn, NAMES, number))
    by_world["effect, drawn by lot"] = _summary(lots, EFFECT)
    return by_world


def _summary(effects: list[Effect], truth: float) -> dict[str, float]:
    known = [effect.on_exposed for effect in effects if effect.on_exposed is not None]
    plain = [effect.naive.value for effect in effects if effect.naive is not None]
    return {
        "truth": truth,
        "naive": float(np.mean(plain)),
        "adjusted": float(np.mean([estimate.value for estimate in known])),
        "coverage": float(np.mean([estimate.covers(truth) for estimate in known])),
        "claims": float(np.mean([effect.verdict == "positive" for effect in effects])),
    }


def table(name: str) -> pd.DataFrame:
    """A clean table of the demo."""
    return storage.read_table(CLEAN / f"{name}.parquet").to_pandas()


def measured(data: Prepared, seed: int) -> tuple[dict[str, Effect], float]:
    """The effect of every finished campaign, and the CPU seconds it took, tables not read."""
    customers = storage.read_table(PREPARED / "customers.parquet").to_pandas()
    tables = {name: table(name) for name in ("campaigns", "exposures", "responses", "offers")}
    started = time.process_time()
    known = campaigns_of(
        tables["campaigns"], tables["exposures"], tables["responses"], tables["offers"],
        customers["customer_id"], data.products["product_id"], data.windows["time_zone"],
    )  # fmt: skip
    category = pd.factorize(data.products["category"].fillna(""))[0].astype(np.int32)
    attributes = customers[[name for name in customers if name.startswith("attr_")]]
    done = [campaign for campaign in known if campaign.last <= data.histories.day.max()]
    effects = {}
    for campaign in done:
        material = case(data.histories, category, campaign, known, attributes)
        effects[campaign.name] = observational(
            material.covariates,
            material.exposed,
            material.outcome,
            material.placebo,
            material.negative_control,
            material.names,
            seed,
            len(done),
        )
    return effects, time.process_time() - started


def _shown(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:+.0f} [{estimate.low:+.0f}, {estimate.high:+.0f}]"


def main() -> None:
    """Simulate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    truth = simulated(args.replications, args.seed)
    print("| world | truth | naive | adjusted | interval covers | claimed |\n|---|---|---|---|---|---|")
    for name, row in truth.items():
        figures = " | ".join(f"{row[key]:.1f}" for key in ("truth", "naive", "adjusted"))
        print(f"| {name} | {figures} | {row['coverage']:.3f} | {row['claims']:.3f} |", flush=True)
    effects, seconds = measured(prepared(), args.seed)
    print("\n| campaign | exposed | others | naive | adjusted | before | not on offer | verdict |\n" + "|---" * 8 + "|")
    for name, effect in effects.items():
        parts = [_shown(x) for x in (effect.naive, effect.on_exposed, effect.placebo, effect.negative_control)]
        print(f"| {name} | {effect.num_exposed} | {effect.num_others} | {' | '.join(parts)} | {effect.words} |")
    slim: dict[str, Any] = {
        name: {"verdict": effect.verdict}
        | {
            key: None if estimate is None else [round(x, 1) for x in (estimate.value, estimate.low, estimate.high)]
            for key, estimate in {
                "naive": effect.naive,
                "adjusted": effect.on_exposed,
                "placebo": effect.placebo,
            }.items()
        }
        for name, effect in effects.items()
    }
    run = {"cpu_seconds_demo": round(seconds, 2), "machine": machine(), "seed": args.seed}
    print(json.dumps({"simulated": truth, "campaigns": slim} | run))


if __name__ == "__main__":
    main()
