"""The whole stack killed: the flow nightly on a real Prefect server, with DVC, git and MLflow, in a small project."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.faults.children import contents
from bench.faults.kills import Tally
from tasks.files import manifest, storage

ROOT = Path(__file__).resolve().parents[2]
LOGIN = "bench:for-one-session-only"
REPORT = """\
  report:
    cmd: python -m bench.faults.toy report
    deps: [artifacts/rank, data/champion/receipt.json, data/champion/manifest.json]
    outs: [artifacts/report]
    meta: {phase: deliver, timeout_s: 300, retries: 0}
"""
"""The stage `report` of a small project."""
FILES = {
    "dvc.yaml": """\
stages:
  rank:
    cmd: python -m bench.faults.toy rank
    deps: [data/raw/events.parquet, data/raw/products.parquet, data/raw/snapshot.json]
    outs: [artifacts/validate, artifacts/prepare, artifacts/finetune, artifacts/rank, artifacts/evaluate]
    meta: {timeout_s: 300, retries: 0}
"""
    + REPORT,
    "params.yaml": "snapshot: {source: folder, folder: tables}\nregister: {}\n",
    ".gitignore": "__pycache__/\n/mlruns/\n/.runs/\n/.prefect/\n/.nightmarket/\n/tables/\n/data/raw\n/data/champion\n"
    "/data/.*\n/artifacts/\n",
    ".dvc/config": "[core]\n    analytics = false\n[cache]\n    type = reflink,copy\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": "",
}

CHAINS: tuple[tuple[str, ...], ...] = (
    ("lock.taken", "lock.named", "worktree.added", "worktree.record:2", "worktree.filled", "run.ready"),
    ("swap.flushed", "run.snapshot", "run.tracked", "inputs.known", "swap.swapped"),
    ("file.renamed:8", "stage.ran", "run.stage", "commit.begin", "commit.added", "commit.made"),
    ("run.registered", "publish.begin", "publish.record:1", "publish.recorded"),
    ("publish.copied", "publish.champion", "publish.filled", "publish.done", "run.ended", "worktree.leaving"),
    ("register.followed", "register.recorded"),
    ("champion.filled",),
)
"""Kills of one night in the order in which it passes them; after each chain the night is run to its end.

Where a stage is tried again and the second try goes well, the night ends: such a hook is the last of its chain.
"""


class Project:
    """A project at a fixed place, after its first night; `fresh` brings it back to that."""

    def __init__(self, folder: Path, api: str) -> None:
        self.home, self.base, self.api = folder / "shop", folder / "base", api
        shutil.rmtree(folder, ignore_errors=True)
        for name, text in FILES.items():
            (self.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / name).write_text(text, encoding="utf-8")
        git = ["git", "-C", str(self.home), "-c", "user.name=b", "-c", "user.email=b@localhost"]
        subprocess.run(["git", "init", "-q", str(self.home)], check=True)
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "the project"], check=True)
        self.day(1)
        done = self.nightly()
        assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
        self.old = self.state()
        self.day(2)
        shutil.copytree(self.home, self.base, symlinks=True)
        done = self.nightly()
        assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
        self.new = self.state()

    def fresh(self) -> None:
        """The morning after the first night, with new data."""
        shutil.rmtree(self.home)
        shutil.copytree(self.base, self.home, symlinks=True)

    def day(self, number: int) -> None:
        """The retailer's tables of a day."""
        tables = self.home / "tables"
        tables.mkdir(exist_ok=True)
        rows = [f"c{i % 9},p{i % 7},2024-0{1 + i % number}-1{i % 9} 10:00:00,1" for i in range(40 * number)]
        (tables / "events.csv").write_text("\n".join(["customer_id,product_id,timestamp,quantity", *rows, ""]))
        products = [f"p{i},milk {i},food" for i in range(7)]
        (tables / "products.csv").write_text("\n".join(["product_id,title,category", *products, ""]))

    @property
    def environment(self) -> dict[str, str]:
        """What a run sees."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PREFECT_"))}
        return {
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "PREFECT_API_URL": self.api,
            "PREFECT_API_AUTH_STRING": LOGIN,
            "PREFECT_HOME": str(self.home.parent / ".prefect"),
            "NIGHTMARKET_HOME": str(self.home),
            "HOME": str(self.home.parent),
            "OMP_NUM_THREADS": "1",
        }

    def nightly(self, fault: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        """One run of the flow."""
        environment = {**self.environment, **({storage.FAULT: fault} if fault else {}), **more}
        command = [sys.executable, "-m", "flows", "nightly"]
        return subprocess.run(command, cwd=self.home, env=environment, capture_output=True, text=True, timeout=300)

    def state(self) -> Any:
        """Every byte that a run publishes; of the champion, what does not carry the registration's own number."""
        parts = [contents(self.home / "data/champion" / part) for part in ("rank", "finetune")]
        return {
            "champion": storage.read_json(self.home / "data/champion/receipt.json")["version"],
            "parts": parts,
            "raw": contents(self.home / "data/raw", ("versions.json",)),  # a killed run may have registered one more
            "artifacts": contents(self.home / "artifacts"),
            "left": sorted(path.name for path in (self.home / ".runs").glob("*")),
            "half": sorted(path.name for path in (self.home / "data").glob(".*") if path.name != ".gitignore"),
            "journal": (self.home / ".nightmarket/publishing.json").exists(),
            "aside": sorted(path.name for path in (self.home / ".nightmarket").glob("set-aside/*")),
        }

    def wrong(self) -> str:
        """What is wrong right after a kill: the champion must be whole, every published file old or new."""
        manifest.verify(self.home / "data/champion")
        now = {part: contents(self.home / part, ("versions.json",)) for part in ("data/raw", "artifacts")}
        number = storage.read_json(self.home / "data/champion/receipt.json")["version"]
        parts = [contents(self.home / "data/champion" / part) for part in ("rank", "finetune")]
        if (number, parts) not in [(state["champion"], state["parts"]) for state in (self.old, self.new)]:
            return "the champion is neither the old nor the new one"
        for folder, key in (("data/raw", "raw"), ("artifacts", "artifacts")):
            for name, sha in now[folder].items():
                if sha not in (self.old[key].get(name), self.new[key].get(name)):
                    return f"{folder}/{name} is neither the old nor the new file"
        return ""


@contextmanager
def prefect(folder: Path) -> Iterator[str]:
    """A Prefect server for as long as it is needed; yields its address."""
    from flows.engine.server import server

    os.environ["PREFECT_API_AUTH_STRING"] = LOGIN
    prefect_server = server.PrefectServer(folder)
    try:
        prefect_server.wait()
        yield prefect_server.url
    finally:
        prefect_server.stop()


def kills(folder: Path, chains: Sequence[Sequence[str]], say: Callable[[str], None]) -> Tally:
    """Each chain of kills against one night, and then the night to its end."""
    tally = Tally()
    with prefect(folder / "server") as api:
        project = Project(folder / "stack", api)
        say("the small project has had its first nights")
        for chain in chains:
            project.fresh()
            done: list[str] = []
            for fault in chain:
                began = time.monotonic()
                ran = project.nightly(fault)
                replay = f"--part stack --hook {'+'.join([*done, fault])}"
                hook = fault.split(":")[0]
                killed = len(re.findall(rf"(?m)^(?:.*\| )?killed at {re.escape(hook)}$", ran.stdout + ran.stderr))
                if not killed:
                    tally.violations.append(f"{replay}: {fault} was not passed; the chain needs another order")
                    continue
                done.append(fault)
                tally.hooks[hook] = tally.hooks.get(hook, 0) + killed
                if said := project.wrong():
                    tally.violations.append(f"{replay}: {said}")
                say(f"{tally.kills} kills of the whole stack ({fault}, {time.monotonic() - began:.0f} s)")
            ran = project.nightly()
            replay = f"--part stack --hook {'+'.join(done)}"
            if ran.returncode:
                tally.violations.append(f"{replay}: the next run failed: {ran.stderr.strip().splitlines()[-1:]}")
            elif (state := project.state()) != project.new:
                differs = [key for key in state if state[key] != project.new[key]]
                tally.violations.append(f"{replay}: the next run left other {', '.join(differs)}")
    return tally
