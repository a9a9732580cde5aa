"""Off-policy evaluation on worlds whose truth is known, then on the small Open Bandit Data.

    python -m bench.offpolicy [--replications 500] [--seed 0]

Open Bandit Data is read from the `obp` wheel (extra `demo`). The last line is one JSON object.
"""

import argparse
import importlib.util
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench.machine import machine
from nightmarket.delivery.policies import Rates, Softmax, choose, learn, mixed
from nightmarket.evaluation.offpolicy.evaluation import PolicyEvaluation, evaluate, propensity_test
from nightmarket.evaluation.offpolicy.logs import Log
from tests.made_up.clicks import NUM_ACTIONS, click_rates, logged, target, truth, world


def accuracy(num: int, replications: int, seed: int, value: float) -> dict[str, dict[str, float]]:
    """Per estimator: mean relative error, and how often the 95% interval covers."""
    evaluations = [evaluate(log, target(log.context), i) for i, log in enumerate(_logs(num, replications, seed))]
    rows = {}
    for place, estimate in enumerate(evaluations[0].estimates):
        every = [evaluation.estimates[place] for evaluation in evaluations]
        rows[estimate.name] = {"error": float(np.mean([abs(estimated.value - value) / value for estimated in every]))}
        if all(estimated.low is not None for estimated in every):
            rows[estimate.name]["coverage"] = float(
                np.mean([estimated.low <= value <= estimated.high for estimated in every])
            )
    return rows


def false_alarms(replications: int, seed: int) -> dict[str, float]:
    """Share of logs whose true propensities are called wrong."""
    rows = {}
    for num in (1000, 4000):
        tests = [propensity_test(log, number) for number, log in enumerate(_logs(num, replications, seed + 10_000))]
        rows[f"{num} rows"] = float(np.mean([z > limit for z, limit in tests]))
    return rows


def models(replications: int, seed: int, value: float) -> dict[str, dict[str, float]]:
    """A true reward model, and one that takes all actions for equal: errors, and how often the result says so."""
    rows = {}
    for name in ("true model", "wrong model"):
        evaluations = []
        for number, log in enumerate(_logs(10_000, replications, seed)):
            q = (
                click_rates(log.context)
                if name == "true model"
                else np.full((len(log), NUM_ACTIONS), log.reward.mean())
            )
            evaluations.append(evaluate(log, target(log.context), number, q=q))
        rows[name] = {
            "dm_error": float(np.mean([abs(evaluation.of("DM").value - value) / value for evaluation in evaluations])),
            "dr_error": float(np.mean([abs(evaluation.of("DR").value - value) / value for evaluation in evaluations])),
            "said_to_err": float(np.mean([evaluation.model_errs for evaluation in evaluations])),
        }
    return rows


def refused(replications: int, seed: int) -> dict[str, float]:
    """Share of spoiled logs that are refused with the reason that was planted; each is 1 where all is well."""
    caught: Counter[str] = Counter()
    for number, log in enumerate(_logs(5000, replications, seed)):
        for check, spoiled, policy in _spoiled(log, seed + number):
            verdict = evaluate(spoiled, policy, number)
            caught[check] += any(refusal.check == check.split(":")[0] for refusal in verdict.refusals)
    return {check: count / replications for check, count in caught.items()}


def _spoiled(log: Log, seed: int) -> Iterator[tuple[str, Log, np.ndarray]]:
    rng = np.random.default_rng(seed)
    policy = target(log.context)
    yield "propensities: shuffled", replace(log, propensity=rng.permutation(log.propensity)), policy
    propensity = log.propensity.copy()
    propensity[0] = policy[0, log.action[0]] / (0.5 * (policy[np.arange(len(log)), log.action] / propensity).sum())
    yield "one row: a huge weight", replace(log, propensity=propensity), policy
    short = log.where(np.arange(len(log)) < 1200)
    yield "ess: below 500", short, target(short.context)
    rare = np.zeros(len(log))
    rare[rng.choice(len(log), 38, replace=False)] = 1.0
    yield "clicks: 38", replace(log, reward=rare), logged(log.context)


def gate(replications: int, seed: int, num: int = 20_000) -> dict[str, float]:
    """How often a learned softmax policy is certified where nothing can be gained, and where much can."""
    rows = {}
    for name, rates in {
        "all actions alike": np.full((2, NUM_ACTIONS), 0.1),
        "actions differ": np.stack([np.linspace(0.04, 0.16, NUM_ACTIONS), np.linspace(0.16, 0.04, NUM_ACTIONS)]),
    }.items():
        passed = 0
        for number in range(replications):
            rng = np.random.default_rng([seed, number])
            group = rng.integers(0, 2, num)
            drawn = choose(np.full((num, NUM_ACTIONS), 1 / NUM_ACTIONS), rng)
            clicks = (rng.random(num) < rates[group, drawn.action]).astype(float)
            log = Log(np.eye(2)[group], drawn.action, clicks, drawn.propensity, NUM_ACTIONS)
            passed += learn(log, group, 2, number).passed
        rows[name] = passed / replications
    return rows


def _logs(num: int, replications: int, seed: int) -> Iterator[Log]:
    return (world(num, seed + number) for number in range(replications))


def open_bandit_folder() -> Path | None:
    """Where the small Open Bandit Data lies, or None without the extra `demo`."""
    spec = importlib.util.find_spec("obp")
    return Path(spec.origin).parent / "dataset" / "obd" if spec and spec.origin else None


def open_bandit_log(path: Path) -> Log:
    """One CSV of the Open Bandit Data (Saito et al., 2021): item shown, click, propensity; the place as context."""
    table = pd.read_csv(path, usecols=["item_id", "position", "click", "propensity_score"])
    return Log(
        context=np.eye(3)[table["position"].to_numpy() - 1],
        action=table["item_id"].to_numpy(np.int64),
        reward=table["click"].to_numpy(np.float64),
        propensity=table["propensity_score"].to_numpy(np.float64),
        num_actions=int(table["item_id"].max()) + 1,
    )


def open_bandit_verdicts(log: Log, seed: int) -> dict[str, PolicyEvaluation]:
    """Policies learned on one half and judged on the other: softmaxes of three kinds, the item with the best rate, and
    what a careless analyst would do, the items that were clicked in the very rows that judge."""
    learning, judging = log.halves(seed)
    verdicts = {"softmax, gated": learn(log, log.context.argmax(axis=1), 3, seed).verdict}

    def evaluated(name: str, chances: np.ndarray, seen: Log) -> None:
        verdicts[name] = evaluate(judging, np.tile(chances, (len(judging), 1)), seed, chosen_on=seen.row)

    for name, seen in {"fair": learning, "careless": judging}.items():
        rates = Rates.empty(1, log.num_actions).updated(np.zeros(len(seen), np.int64), seen.action, seen.reward)
        for sharpness in (1.0, 4.0, 16.0):
            evaluated(f"softmax {sharpness:g}, {name}", Softmax.of(rates, sharpness).chances[0], seen)
        best = np.eye(log.num_actions)[(rates.clicks / np.maximum(rates.tries, 1))[0].argmax()]
        evaluated(f"best item, {name}", mixed(best[None], 0.05)[0], seen)
        clicked = (rates.clicks[0] > 0) / max((rates.clicks[0] > 0).sum(), 1)
        evaluated(f"clicked items, {name}", mixed(clicked[None], 0.05)[0], seen)
    verdicts["uniform"] = evaluate(judging, np.full((len(judging), log.num_actions), 1 / log.num_actions), seed)
    return verdicts


def overfitted(log: Log, seed: int) -> dict[str, PolicyEvaluation]:
    """Policies made from all clicks of the log, judged on the same rows and declared as fixed beforehand."""
    rates = Rates.empty(1, log.num_actions).updated(np.zeros(len(log), np.int64), log.action, log.reward)
    clicked, share = rates.clicks[0] > 0, rates.clicks[0] / np.maximum(rates.tries[0], 1)
    made = {f"softmax {x:g}": Softmax.of(rates, x).chances[0] for x in (1.0, 4.0, 16.0, 64.0)} | {
        "clicked items": mixed((clicked / clicked.sum())[None], 0.05)[0],
        "by rate": mixed((share / share.sum())[None], 0.05)[0],
        "uniform": np.full(log.num_actions, 1 / log.num_actions),
    }
    return {name: evaluate(log, np.tile(chances, (len(log), 1)), seed) for name, chances in made.items()}


def open_bandit(seed: int, splits: int) -> dict[str, dict[str, int]]:
    """Verdicts per log, over `splits` ways to halve it."""
    folder = open_bandit_folder()
    rows = {}
    for path in sorted(folder.glob("*/*/*.csv")) if folder else ():
        if path.stem == "item_context":
            continue
        log = open_bandit_log(path)
        verdicts: Counter[str] = Counter()
        for split in range(splits):
            verdicts.update(evaluation.verdict for evaluation in open_bandit_verdicts(log, seed + split).values())
        name = f"{path.parts[-3]} {path.stem}"
        rows[name] = {"clicks": int(log.reward.sum()), "certified better": 0, **verdicts}
        whole = list(overfitted(log, seed).values())
        rows[name]["overfitted, interval above zero"] = sum(
            (evaluation.difference.low or 0.0) > 0 for evaluation in whole
        )
        rows[name]["overfitted, certified better"] = sum(
            evaluation.verdict == "certified better" for evaluation in whole
        )
        print(f"Open Bandit, {name}: {rows[name]}", flush=True)
    return rows


def main() -> None:
    """Simulate, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    some, value = max(args.replications // 5, 1), truth()
    results: dict[str, dict] = {}
    for num, replications in ((10_000, args.replications), (50_000, some)):
        results[f"{num}"] = accuracy(num, replications, args.seed, value)
        for name, row in results[f"{num}"].items():
            figures = ", ".join(f"{key} {figure:.4f}" for key, figure in row.items())
            print(f"{num:,} rows, {replications} logs, {name}: {figures}", flush=True)
    for name, part in {
        "models": models(some, args.seed, value),
        "false_alarms": false_alarms(4 * args.replications, args.seed),
        "refused": refused(some, args.seed),
        "gate": gate(some, args.seed),
    }.items():
        results[name] = part
        print(f"{name}: {part}", flush=True)
    results["open_bandit"] = open_bandit(args.seed, 3)
    print(json.dumps({"value": value, **results, "machine": machine(), "seed": args.seed}))


if __name__ == "__main__":
    main()
