"""A night in two halves: every side stage made to fail in every way, alone and with the others, on a small shop.

    python -m bench.halves                                  each stage in one way, one in every way, all at once
    python -m bench.halves --full                           each stage in each way: over an hour on two cores
    python -m bench.halves --stages segment --ways kill     these cases alone
    python -m bench.halves --keep FILE                      the table as JSON too

The shop has real stages, git, DVC, MLflow and a Prefect server. After a whole night comes one on a week more of data,
in which a stage fails: the recommendations must be what they are on a night without the fault, byte for byte; what the
stage writes, and what needs it, must be markers and not the files of the night before; page, terminal, commit and
Prefect must say so. Then a night without the fault must end in what a shop has that never saw it, with the stage really
run: the run-cache is emptied before. Exit code 1 where any of this falls short.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench.faults import stack
from bench.faults.children import contents
from bench.faults.planted import CODE
from bench.machine import machine
from nightmarket.testing.models import write_bert
from nightmarket.testing.shop import as_of, write_shop
from tasks.files import storage
from tasks.pipeline import unavailable

ROOT = Path(__file__).resolve().parents[1]
NEEDS: dict[str, tuple[str, ...]] = {
    "respond": ("plan", "compose"),
    "reviews": (),
    "segment": ("plan", "compose"),
    "demand": (),
    "care": (),
    "related": (),
    "bundle": (),
    "plan": ("compose",),
    "compose": (),
    "readout": (),
    "drift": (),
    "report": (),
}
"""Side stage → those that cannot do without it."""
SIDES = tuple(name for name in NEEDS if name != "report")
WAYS = {
    "raise": ("begin:1:raise", "exit code 1, RuntimeError"),
    "exit": ("begin:1:exit", "exit code 3"),
    "kill": ("ran:1:kill", "killed; out of memory?"),
    "hang": ("begin:1:hang", "ran past its limit of"),
    "broken": ("ran:1:broken", "it wrote a broken file: artifacts/"),
}
"""How a stage is made to fail: the moment and the kind of the fault, and how its reason begins."""
HANG_S = 15
WEEKS = 30
PARAMS: dict[str, Any] = {
    "snapshot": {"source": "folder", "folder": "tables", "time_zone": "Asia/Shanghai"},
    "prepare": {"target_days": 21, "launch_origins": 2, "origins": 2},
    "finetune": {"max_steps": 4, "validate_every": 2, "validate_customers": 20, "random_texts": 64, "hidden": 16},
    "rank": {"num_trees": 8, "launch_trees": 4, "num_leaves": 7},
    "respond": {"num_resamples": 100},
    "evaluate": {"num_resamples": 100},
    "score": {"num_recommendations": 5},
    "plan": {"budget": 30.0, "margin": 0.5, "channels": {"email": {"cost": 0.01, "capacity": 4}}},
}
LISTS = ("score/recommendations.parquet", "score/summary.json")
CODES = re.compile(rb"\b[0-9a-f]{32,64}\b")
"""Commits, runs and checksums, which differ from registration to registration."""
Say = Callable[[str], None]


class Shop:
    """The project at a fixed place, and copies of it after its first and its second whole night."""

    def __init__(self, folder: Path, api: str, seed: int, say: Say) -> None:
        self.home, self.folder, self.api = folder / "shop", folder, api
        self.said: list[str] = []
        shutil.rmtree(folder, ignore_errors=True)
        self.home.mkdir(parents=True)
        for name in CODE:
            source, ignore = ROOT / name, shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, self.home / name, ignore=ignore) if source.is_dir() else shutil.copy(
                source, self.home / name
            )
        tables = write_shop(self.home / "tables", num_customers=120, num_products=150, num_weeks=WEEKS, seed=seed)
        words = sorted({word for title in tables["products"]["title"].to_pylist() for word in title.lower().split()})
        write_bert(folder / "encoder", words)
        params = PARAMS | {"embed": {"model": str(folder / "encoder")}}
        sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        files = stack.FILES | {"params.yaml": yaml.safe_dump({name: {} for name in sections} | params)}
        dag = (self.home / "dvc.yaml").read_text(encoding="utf-8")
        files["dvc.yaml"] = re.sub(r"retries: \d+", r"\g<0>, retry_delay_s: 0", dag)
        for name, text in files.items():
            (self.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / name).write_text(text, encoding="utf-8")
        for arguments in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "the shop"]):
            self.git(*arguments)
        self.days = [(date.fromisoformat(as_of(WEEKS)) - timedelta(days=days)).isoformat() for days in (7, 0)]
        for number, day in enumerate(self.days):
            done = self.nightly(day)
            if done.returncode:
                raise SystemExit(
                    f"halves: night {number + 1} without a fault: {done.stdout[-1500:]}{done.stderr[-1500:]}"
                )
            shutil.copytree(self.home, folder / f"night-{number + 1}", symlinks=True)
            say(f"night {number + 1} without a fault is over")
        self.whole = self.state()

    def git(self, *arguments: str) -> str:
        """Git in the project."""
        command = ["git", "-C", str(self.home), "-c", "user.name=b", "-c", "user.email=b@localhost", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def run(self, *command: str, fault: str = "") -> subprocess.CompletedProcess[str]:
        """A command of ours in the project."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PREFECT_"))}
        environment = kept | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(self.home),
            "PREFECT_API_URL": self.api,
            "PREFECT_API_AUTH_STRING": stack.LOGIN,
            "PREFECT_HOME": str(self.folder / ".prefect"),
            "NIGHTMARKET_HOME": str(self.home),
            "DVC_SITE_CACHE_DIR": str(self.home / ".dvc/tmp/site"),
            "HOME": str(self.folder),
            "OMP_NUM_THREADS": "1",
            **({storage.FAULT: fault} if fault else {}),
        }
        return subprocess.run(
            [sys.executable, "-m", *command], cwd=self.home, env=environment, capture_output=True, text=True
        )

    def nightly(self, day: str = "", fault: str = "", *more: str) -> subprocess.CompletedProcess[str]:
        """One night; "" is the day of the second one."""
        return self.run("flows", "nightly", "--business-date", day or self.days[1], *more, fault=fault)

    def fresh(self, night: int, stages: Sequence[str] = ()) -> None:
        """The morning after a whole night, with an empty run-cache; the files of these stages are the first night's."""
        shutil.rmtree(self.home)
        shutil.copytree(self.folder / f"night-{night}", self.home, symlinks=True)
        shutil.rmtree(self.home / ".dvc/cache/runs")
        lock, first = (_yaml(place / "dvc.lock") for place in (self.home, self.folder / "night-1"))
        if stages:
            lock["stages"] |= {name: first["stages"][name] for name in stages}
            (self.home / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
            done = self.run("dvc", "checkout", "--force", *stages)
            assert done.returncode == 0, done.stderr

    def state(self) -> dict[str, str]:
        """What people have: SHA-256 of each artifact, the page without codes; and dvc.lock without the champion."""
        files = contents(self.home / "artifacts")
        page = self.home / "artifacts/report/index.html"
        files["report/index.html"] = CODES.sub(b"#", page.read_bytes()).decode(errors="replace")
        for name, entry in _yaml(self.home / "dvc.lock")["stages"].items():
            deps = [dep for dep in entry["deps"] if not dep["path"].startswith(("data/champion", "artifacts/report"))]
            outs = [] if name == "report" else entry["outs"]
            files[f"dvc.lock: {name}"] = json.dumps(entry | {"deps": deps, "outs": outs}, sort_keys=True)
        champion = storage.read_json(self.home / "data/champion/receipt.json")
        return files | {"champion": str(champion["version"])}

    def parts(self, stage: str, state: dict[str, str]) -> dict[str, str]:
        """What a stage wrote, of a state."""
        return {name: sha for name, sha in state.items() if name.startswith(f"{stage}/")}

    def due(self) -> set[str]:
        """The stages that DVC calls due in the checkout."""
        return set(json.loads(self.run("dvc", "status", "--json").stdout or '{"dvc status": "failed"}'))


def case(shop: Shop, stages: Sequence[str], ways: Sequence[str], night: int, say: Say) -> dict[str, Any]:
    """One night in which the stages fail in these ways, and the next; what was wrong of either."""
    began = time.monotonic()
    shop.fresh(night, stages if night == 2 else ())
    before = shop.state()
    with _short(shop.home, [stage for stage, way in zip(stages, ways, strict=True) if way == "hang"]):
        fault = ",".join(f"{stage}.{WAYS[way][0]}" for stage, way in zip(stages, ways, strict=True))
        done = shop.nightly("", fault, "--force", "score")
    wrong = _failed_well(shop, done, dict(zip(stages, ways, strict=True)), before)
    again = shop.nightly()
    wrong += _whole_again(shop, again, stages)
    row = {
        "stages": list(stages),
        "ways": list(ways),
        "from night": night,
        "exit codes": [done.returncode, again.returncode],
        "wrong": wrong,
        "seconds": round(time.monotonic() - began),
    }
    say(f"{_named(row)} ({row['seconds']} s): {'; '.join(wrong) or 'as it should be'}")
    return row


def _failed_well(shop: Shop, done: Any, failed: dict[str, str], before: dict[str, str]) -> list[str]:
    """What is wrong after a night in which stages failed."""
    if done.returncode != unavailable.INCOMPLETE:
        return [f"exit code {done.returncode}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]}"]
    wrong, now, whole = [], shop.state(), shop.whole
    wrong += [f"{name} is not what it is without the fault" for name in LISTS if now[name] != whole[name]]
    if now["champion"] != whole["champion"]:
        wrong.append(f"version {now['champion']} delivers, not {whole['champion']}")
    lost = set(failed) | {name for stage in failed for name in NEEDS[stage]}
    wrong += [f"{stage}: {said}" for stage in lost for said in _marked(shop, stage, failed, before)]
    touched = lost | {"report"} | ({"segment", "plan", "compose"} if "reviews" in lost else set())
    touched |= {"bundle"} if "related" in lost else set()  # what stands beside a product is in it where it is there
    touched |= {"care"} if {"reviews", "segment"} & lost else set()  # it counts by segment where there are any
    kept = [name for name in whole if not name.startswith("dvc.lock") and name.split("/")[0] not in touched]
    wrong += [f"{name} changed" for name in kept if now.get(name) != whole[name]]
    page = (shop.home / "artifacts/report/index.html").read_text(encoding="utf-8")
    head = "Tonight’s page could not be made" if "report" in failed else "This night is incomplete"
    wrong += [f"the page does not say “{head}”"] if head not in page else []
    last, message = done.stdout.rstrip().splitlines()[-1], shop.git("log", "-1", "--format=%B", _newest(shop))
    for stage in sorted(lost):
        what = str(storage.unavailable(next(iter(_outputs(shop.home, stage)))))
        wrong += [f"the page does not name {stage}"] if not re.search(rf"(?i){stage} (failed|needs)", page) else []
        wrong += [f"the terminal does not say why {stage}"] if f"missing  {what}" not in done.stdout else []
        wrong += [f"the last line does not name {stage}"] if stage not in last else []
        wrong += [f"the commit does not name {stage}"] if f"incomplete: {what}" not in message else []
    if (due := shop.due()) != lost:
        wrong.append(f"DVC calls {', '.join(sorted(due))} due")
    return wrong


def _marked(shop: Shop, stage: str, failed: dict[str, str], before: dict[str, str]) -> Iterator[str]:
    """What is wrong with the outputs of a stage that must be unavailable."""
    for path in _outputs(shop.home, stage):
        what = storage.unavailable(path)
        starts = [WAYS[failed[stage]][1]] if stage in failed else []
        starts += ["needs "] if any(stage in NEEDS[name] for name in failed) else []
        if what is None or what.stage != stage or not what.reason.startswith(tuple(starts)):
            yield f"{path.name} says {what}"
        files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        extra = [file.name for file in files if file.name not in ("unavailable.json", "index.html") and path.is_dir()]
        if extra:
            yield f"{', '.join(extra)} beside the marker"
    old = shop.parts(stage, before)
    yield from (
        f"{name} is yesterday's" for name, sha in shop.parts(stage, shop.state()).items() if old.get(name) == sha
    )


def _whole_again(shop: Shop, done: Any, failed: Sequence[str]) -> list[str]:
    """What is wrong after the next night, which had no fault."""
    if done.returncode:
        return [f"next night: exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"]
    now = shop.state()
    differs = [name for name in now.keys() | shop.whole.keys() if now.get(name) != shop.whole.get(name)]
    wrong = [f"next night: {', '.join(sorted(differs)[:4])} differ from a shop's that never failed"] if differs else []
    idle = [stage for stage in failed if f"{stage}: done in" not in done.stdout + done.stderr]
    return (
        wrong
        + ([f"next night: {', '.join(idle)} did not run"] if idle else [])
        + [f"next night: DVC calls {stage} due" for stage in shop.due()]
    )


def strict(shop: Shop, say: Say) -> dict[str, Any]:
    """A strict night in which a side stage fails: nothing is published."""
    began = time.monotonic()
    shop.fresh(2, ["demand"])
    before = shop.state()
    done = shop.nightly("", "demand.begin:1:raise", "--strict")
    wrong = [] if done.returncode == 1 else [f"exit code {done.returncode}"]
    wrong += [] if shop.state() == before else ["something was published"]
    row = {"stages": ["demand"], "ways": ["raise, --strict"], "from night": 2, "exit codes": [done.returncode]}
    say(f"demand with --strict: {'; '.join(wrong) or 'as it should be'}")
    return row | {"wrong": wrong, "seconds": round(time.monotonic() - began)}


@contextlib.contextmanager
def _short(home: Path, stages: Sequence[str]) -> Iterator[None]:
    """Time-outs of these stages that are over soon."""
    path = home / "dvc.yaml"
    text = path.read_text(encoding="utf-8")
    changed = text
    for stage in stages:
        head, mark, rest = changed.partition(f"\n  {stage}:\n")
        changed = head + mark + re.sub(r"timeout_s: \d+", f"timeout_s: {HANG_S}", rest, count=1)
    path.write_text(changed, encoding="utf-8")
    yield
    path.write_text(text, encoding="utf-8")


def _outputs(home: Path, stage: str) -> list[Path]:
    entry = _yaml(home / "dvc.yaml")["stages"][stage]
    return [home / out for kind in ("outs", "metrics") for out in entry.get(kind, ())]


def _newest(shop: Shop) -> str:
    return shop.git("for-each-ref", "--sort=-committerdate", "--count=1", "--format=%(refname)", "refs/runs").strip()


def _yaml(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _named(row: dict[str, Any]) -> str:
    ways = row["ways"] if len(set(row["ways"])) > 1 else row["ways"][:1]
    stages = row["stages"] if len(row["stages"]) == 1 else [f"{len(row['stages'])} at once"]
    return f"{stages[0]}: {', '.join(ways)}"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The cases, one a line."""
    lines = ["| stages | how they fail | exit codes | lists | next night | s |", "|---|---|---|---|---|---|"]
    for row in rows:
        name, _, how = _named(row).partition(": ")
        now = [said for said in row["wrong"] if not said.startswith("next night")]
        later = [said for said in row["wrong"] if said.startswith("next night")]
        codes = ", ".join(map(str, row["exit codes"]))
        cells = (name, how, codes, "; ".join(now) or "identical", "; ".join(later) or "whole", row["seconds"])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> int:
    """Exit code 1 where anything fell short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--full", action="store_true", help="each stage in each way")
    parser.add_argument("--stages", nargs="+", choices=NEEDS, help="these alone, one by one")
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="in these ways alone")
    parser.add_argument("--keep", type=Path, help="write the rows there as JSON")
    given = parser.parse_args()
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as made, stack.prefect(Path(made) / "server") as api:
        shop = Shop(Path(made) / "halves", api, given.seed, _say)
        in_turn = dict(zip(NEEDS, itertools.cycle(WAYS), strict=False))
        alone = [*in_turn.items(), *(("segment", way) for way in WAYS if way != in_turn["segment"])]
        if given.full or given.stages or given.ways:
            alone = list(itertools.product(given.stages or NEEDS, given.ways or WAYS))
        if not (given.stages or given.ways):
            rows.append(case(shop, SIDES, [in_turn[stage] for stage in SIDES], 1, _say))
            rows.append(case(shop, tuple(NEEDS), ["raise"] * len(NEEDS), 1, _say))
            rows.append(strict(shop, _say))
        rows += [case(shop, [stage], [way], 2, _say) for stage, way in alone]
    wrong = [row for row in rows if row["wrong"]]
    line = {
        "cases": len(rows),
        "wrong": len(wrong),
        "stages": len({stage for row in rows for stage in row["stages"]}),
        "seconds": round(time.monotonic() - began),
        "machine": machine(("dvc", "mlflow", "prefect")),
    }
    if given.keep:
        given.keep.write_text(json.dumps({"summary": line, "rows": rows}, indent=1, ensure_ascii=False) + "\n")
    print(table(rows))
    print(json.dumps(line))
    return bool(wrong)


def _say(line: str) -> None:
    print(f"halves: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
