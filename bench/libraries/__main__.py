"""Other people's recommenders on our split.

    python -m bench.libraries setup                  bench/libraries/.venv from requirements.txt, once
    python -m bench.libraries export                 npz files of the windows (run `make nightly` first)
    python -m bench.libraries tune [--libraries NAME …] [--settings 8] [--cpu-seconds 2400]
                                                 random search on the tuning window
    python -m bench.libraries run  [--libraries NAME …] [--ends MONDAY …] [--seeds 3]
    python -m bench.libraries collect                results.json from the fits that are there
    python -m bench.libraries table [--ours [MONDAY=]PATH …]

Fits are kept in bench/libraries/store; a fit that is there is not made again. `table` writes
docs/explanation/libraries.md from results.json, with nightmarket beside the peers; the paired differences need the
store. The figures stand in results.json; the last line of `collect` and `table` says where, on which machine and with
which seeds.
"""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.libraries import evaluator, results, table, trial, tuning
from bench.libraries.keeping import ENDS, STORE, TUNING, read_truth
from bench.libraries.roster import ROSTER
from bench.machine import machine

PAGE = trial.ROOT / "docs" / "explanation" / "libraries.md"


def setup() -> None:
    """Make the peers' environment; a half-made one is made anew."""
    folder = trial.PYTHON.parents[1]
    python = shutil.which("python3.11") or sys.executable
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
    wanted = Path(__file__).with_name("requirements.txt")
    subprocess.run(
        [str(trial.PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(wanted)], check=True
    )


def tune(name: str, budget: tuning.Budget) -> None:
    """Search a peer's settings on the tuning window and keep what was tried."""
    entry = ROSTER[name]
    truth = read_truth(STORE / TUNING)
    failures: dict[str, str] = {}

    def measure(settings: dict[str, Any]) -> tuple[dict[str, float], float]:
        try:
            tried = trial.run(name, TUNING, settings, seed=0)
        except trial.TrialError as error:
            failures[json.dumps(settings)] = str(error)
            print(f"{name} {settings}: {error}", flush=True)
            return dict.fromkeys(entry.tasks, -1.0), 0.0
        scores = evaluator.per_customer(tried.lists, truth)
        figures = {task: evaluator.interval(of_task["ndcg@10"])["value"] for task, of_task in scores.items()}
        print(f"{name} {settings}: {figures}, {tried.cpu_seconds:.0f} CPU s", flush=True)
        return figures, tried.cpu_seconds

    path = results.search_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = dataclasses.asdict(budget) | {"tried": []}
    for row in tuning.search(entry, measure, budget) if entry.space else ():
        if failure := failures.get(json.dumps(row["settings"])):
            row["failed"] = failure
        content["tried"].append(row)
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def run(names: list[str], ends: list[str], seeds: int) -> None:
    """Fit the chosen settings on every window: first seed of all peers, then the other seeds."""
    for seed in range(seeds):
        for end in ends:
            for name in names:
                if seed and not ROSTER[name].stochastic:
                    continue
                for task in ROSTER[name].tasks:
                    try:
                        trial.run(name, end, results.chosen(name, task), seed)
                    except trial.TrialError as error:
                        print(f"{name}, window before {end}, seed {seed}: {error}", flush=True)
            print(f"window before {end}, seed {seed}: done", flush=True)


def main(words: list[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("setup", "export", "tune", "run", "collect", "table"))
    parser.add_argument("--libraries", nargs="+", choices=list(ROSTER), default=list(ROSTER), metavar="NAME")
    parser.add_argument("--ends", nargs="+", default=list(ENDS), metavar="MONDAY")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--settings", type=int, default=tuning.Budget.most_settings, help="most settings of a search")
    parser.add_argument("--cpu-seconds", type=float, default=tuning.Budget.most_cpu_seconds, help="of a search")
    parser.add_argument("--ours", nargs="+", default=[], metavar="[MONDAY=]PATH")
    args = parser.parse_args(words)
    os.environ.setdefault("NIGHTMARKET_HOME", str(trial.ROOT))
    if args.command == "setup":
        setup()
    elif args.command == "export":
        from bench.libraries.windows import export  # brings the stages' libraries, which nothing else here needs

        for end in args.ends:
            export(trial.ROOT, STORE, end)
    elif args.command == "tune":
        for name in args.libraries:
            tune(name, tuning.Budget(args.settings, args.cpu_seconds))
    elif args.command == "run":
        run(args.libraries, args.ends, args.seeds)
    elif args.command == "collect":
        content = results.collect(list(ENDS), args.seeds)
        if results.RESULTS.exists():
            kept = results.read()
            content |= {"ours": kept["ours"], "paired": kept["paired"]}
        results.write(content)
    else:
        content = results.read()
        try:
            results.add_ours(content, args.ours)
            table.place(PAGE, table.markdown(content))
        except (ValueError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
        results.write(content)
    if args.command in ("collect", "table"):
        where = results.RESULTS.relative_to(trial.ROOT).as_posix()
        print(
            json.dumps(
                {"results": where, "libraries": args.libraries, "machine": machine(), "seeds": list(range(args.seeds))}
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
