"""Survive any fault: processes killed at named moments, bytes flipped, races, full disks, broken tables, odd inputs.

    python -m bench.reliability                     everything; the last line is one JSON object
    python -m bench.reliability --quick             two minutes of it
    python -m bench.reliability --part kills --seed 7 --scenario champion --hook swap.swapped:1:kill     one kill again

A hook is a place in our code (tasks.files.storage.hook) at which a process can be made to end; NAME:N:KIND is the
N-th time that it is passed, and `half` cuts the file that is being written before the kill.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("faults") / "results.json"
PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "reliability.md"
TABLE = "| figure | |\n|---|---|\n"
"""The page's last table."""

FULL = {"kills": 1000, "stack": 7, "corruptions": 2000, "races": 200, "classes": 0, "days": 200, "fuzz": 100_000}
QUICK = {
    "kills": 120,
    "stack": 0,
    "corruptions": 150,
    "races": 3,
    "classes": 25,
    "days": 5,
    "fuzz": 4000,
    "waits": 0,
    "away": 0,
    "cold": 0,
    "disk": 0,
}
"""A part of which there is to be nothing is left out."""
MIXED = ("away", "stack", "waits", "planted", "malformed", "races", "kills", "disk", "registry", "corruptions", "fuzz")
"""Longest first."""
ALONE = ("cold",)
PARTS = (*MIXED, *ALONE)
SIDE_BY_SIDE = 3
"""Two cores, and one part or another that waits."""

Say = Callable[[str], None]


def part(name: str, folder: Path, seed: int, much: dict[str, int], say: Say) -> dict[str, Any]:
    """One part, in this process; heavy libraries are imported by the part that needs them."""
    if name == "kills":
        from bench.faults import kills

        tally = kills.spread(folder, seed, much["kills"], say)
        return {"hooks": tally.hooks, "violations": tally.violations}
    if name == "registry":
        from bench.faults import chains

        tally = chains.registrations(folder, seed, quick=much["stack"] == 0, say=say)
        return {"hooks": tally.hooks, "violations": tally.violations}
    if name == "stack":
        from bench.faults import stack

        tally = stack.kills(folder, stack.CHAINS[: much["stack"]], say)
        return {"hooks": tally.hooks, "violations": tally.violations}
    if name == "corruptions":
        from bench.faults import damage

        corruptions = damage.corruptions(folder / "damage", seed, much["corruptions"], say)
        return {"places": corruptions.damaged, "missed": corruptions.missed}
    if name == "races":
        from bench.faults import registry

        promotions, wrong = registry.races(folder / "races", seed, much["races"], say)
        return {"rounds": much["races"], "promotions": promotions, "wrong": wrong}
    if name == "waits":
        from bench.faults import waits

        return vars(waits.bounded(folder, say))
    if name == "away":
        from bench.faults import away

        return vars(away.matrix(folder, say))
    if name == "cold":
        from bench.faults import cold

        return vars(cold.nights(folder, cold.NIGHTS, cold.LOAD, seed, say))
    if name == "planted":
        from bench.faults import planted

        return planted.search_all(folder, seed, small=much["stack"] == 0, say=say)
    if name == "malformed":
        from bench.faults import malformed

        return vars(malformed.evaluate(folder / "tables", seed, much["classes"], much["days"], say))
    if name == "disk":
        from bench.faults import disk

        return disk.full(folder, seed, say)
    from bench.faults import fuzz

    odd = fuzz.fuzz(folder / "fuzz", seed, much["fuzz"], say)
    return {"inputs": odd.inputs, "wrong": odd.wrong}


def summary(parts: dict[str, Any], seed: int) -> dict[str, Any]:
    """The last line."""
    from bench.machine import machine

    hooks: dict[str, int] = {}
    for name in ("kills", "registry", "stack"):
        for hook, number in parts.get(name, {}).get("hooks", {}).items():
            hooks[hook] = hooks.get(hook, 0) + number
    violations = [
        violation for name in ("kills", "registry", "stack") for violation in parts.get(name, {}).get("violations", [])
    ]
    damaged = sum(parts.get("corruptions", {}).get("places", {}).values())
    tables = parts.get("malformed", {})
    full = parts.get("disk", {}).get("stages", {})
    return {
        "kills": sum(hooks.values()),
        "hooks": len(hooks),
        "kills_of_the_whole_stack": sum(parts.get("stack", {}).get("hooks", {}).values()),
        "violations": len(violations),
        "corruptions": damaged,
        "corruptions_found": damaged - len(parts.get("corruptions", {}).get("missed", [])),
        "races": parts.get("races", {}).get("rounds", 0),
        "races_wrong": len(parts.get("races", {}).get("wrong", [])),
        "malformed": tables.get("classes", 0),
        "malformed_caught": tables.get("caught", 0),
        "malformed_located": tables.get("located", 0),
        "valid_days": tables.get("days", 0),
        "false_alarms": len(tables.get("alarms", [])),
        "odd_inputs": sum(parts.get("fuzz", {}).get("inputs", {}).values()),
        "odd_inputs_wrong": len(parts.get("fuzz", {}).get("wrong", [])),
        "full_disks": len(full),
        "full_disks_wrong": sum(bool(said) for said in full.values()),
        "longest_wait_s": max(parts.get("waits", {}).get("seconds", {}).values(), default=0),
        "waits_wrong": len(parts.get("waits", {}).get("wrong", [])),
        "prefect_faults": len(parts.get("away", {}).get("seconds", {})),
        "prefect_faults_undelivered": len(parts.get("away", {}).get("wrong", [])),
        "prefect_faults_untold": len(parts.get("away", {}).get("untold", [])),
        "cold_nights": len(parts.get("cold", {}).get("seconds", [])),
        "cold_nights_undelivered": len(parts.get("cold", {}).get("wrong", [])),
        "planted_secrets": parts.get("planted", {}).get("secrets", 0),
        "planted_customers": parts.get("planted", {}).get("customers", 0),
        "planted_found": len(parts.get("planted", {}).get("wrong", [])),
        "seed": seed,
        "machine": machine(("dvc", "mlflow", "prefect", "pyarrow")),
    }


def tell(line: dict[str, Any]) -> None:
    """Write the figures into the documentation."""
    head = PAGE.read_text(encoding="utf-8").partition(TABLE)[0]
    rows = [f"| `{name}` | {number:,} |" for name, number in line.items() if name not in ("seed", "machine")]
    PAGE.write_text(f"{head}{TABLE}" + "\n".join(rows) + "\n", encoding="utf-8")


def everything(wanted: list[str], seed: int, quick: bool, folder: Path) -> dict[str, Any]:
    """The parts, some at a time, each in a process of its own; {part: what it found, and `took_s`}."""
    waiting = [name for name in PARTS if name in wanted]
    running: dict[str, tuple[float, subprocess.Popen[bytes]]] = {}
    by_part: dict[str, Any] = {}
    while waiting or running:
        while waiting and len(running) < (1 if waiting[0] in ALONE else SIDE_BY_SIDE):
            name = waiting.pop(0)
            command = [sys.executable, "-m", "bench.reliability", "--only", name, "--seed", str(seed)]
            command += ["--folder", str(folder / name), *(["--quick"] if quick else [])]
            running[name] = time.monotonic(), subprocess.Popen(command)
        for name, (began, process) in list(running.items()):
            if process.poll() is not None:
                del running[name]
                result = folder / name / "result.json"
                if not result.exists():
                    raise SystemExit(f"{name} ended with exit code {process.returncode}")
                by_part[name] = json.loads(result.read_text(encoding="utf-8"))
                by_part[name]["took_s"] = round(time.monotonic() - began)
                _say(f"{name} took {by_part[name]['took_s']} s")
        time.sleep(0.2)
    return by_part


def main() -> int:
    """Exit code 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two minutes")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--scenario", help="with --hook: one kill, or chain of kills with +, again")
    parser.add_argument("--hook")
    parser.add_argument("--keep", type=Path, help="write what was found there as JSON, in place of the same parts")
    parser.add_argument("--only", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.basicConfig(level=logging.ERROR)
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as made:
        folder = (given.folder or Path(made)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if given.hook:
            from bench.faults import chains

            tally = chains.again(folder, given.seed, given.scenario, given.hook, _say)
            print(json.dumps({"kills": tally.kills, "violations": tally.violations}))
            return bool(tally.violations)
        if given.only:
            result = part(given.only, folder, given.seed, QUICK if given.quick else FULL, _say)
            (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
            return 0
        began, much = time.monotonic(), QUICK if given.quick else FULL
        parts = everything([name for name in given.part if much.get(name, 1)], given.seed, given.quick, folder)
    _say(f"all of it took {time.monotonic() - began:.0f} s")
    if given.keep:
        before = json.loads(given.keep.read_text(encoding="utf-8"))["parts"] if given.keep.exists() else {}
        parts = before | parts
    line = summary(parts, given.seed)
    if given.keep:
        given.keep.write_text(json.dumps({"summary": line, "parts": parts}, indent=1, ensure_ascii=False) + "\n")
        if given.keep.resolve() == RESULTS:
            tell(line)
    for name, result in parts.items():
        for kind in ("violations", "missed", "wrong", "alarms", "vague"):
            for said in result.get(kind, []):
                print(f"{name}: {said}")
    print(json.dumps(line))
    wrong = ("violations", "races_wrong", "false_alarms", "odd_inputs_wrong", "full_disks_wrong", "waits_wrong")
    wrong += ("planted_found", "prefect_faults_undelivered", "prefect_faults_untold", "cold_nights_undelivered")
    lost = line["corruptions"] - line["corruptions_found"] + line["malformed"] - line["malformed_caught"]
    return bool(lost + sum(line[name] for name in wrong))


def _say(line: str) -> None:
    print(f"reliability: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
