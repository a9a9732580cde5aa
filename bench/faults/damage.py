"""Flip or cut bytes wherever something is kept, and see whether it is found before it is used."""

import contextlib
import hashlib
import logging
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.faults.scenarios import _package
from flows.engine.run import dag, recovery, worktree
from nightmarket.contracts import InputError
from nightmarket.encoding.hashes import text_hashes
from tasks.files import manifest, storage
from tasks.files.checkpoints import Checkpoint
from tasks.models.vectors import Store
from tasks.pipeline.inputs import Inputs

DVC = """\
stages:
  rank:
    cmd: python write.py
    deps: [write.py]
    outs: [artifacts/rank]
  evaluate:
    cmd: python write.py
    deps: [artifacts/rank]
    outs: [artifacts/evaluate]
"""


@dataclass
class Found:
    """How many bytes were damaged, by place, how many were found, and those that were not."""

    damaged: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All places together."""
        return sum(self.damaged.values())


@contextlib.contextmanager
def damaged(path: Path, draw: random.Random) -> Iterator[str]:
    """One byte of the file flipped, or its end cut off; afterwards it is as it was, but for its time."""
    whole, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(mode | 0o200)
    if draw.random() < 0.3:
        size = draw.randrange(len(whole))
        path.write_bytes(whole[:size])
        said = f"cut to {size} bytes"
    else:
        at, bit = draw.randrange(len(whole)), draw.randrange(1, 256)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        said = f"byte {at} xor {bit}"
    try:
        yield said
    finally:
        path.write_bytes(whole)
        path.chmod(mode)


def project(folder: Path, seed: int) -> None:
    """A real DVC project of one stage with a table, numbers, weights and a text, pushed to a remote; and a champion."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "artifacts/evaluate").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    out = folder / "artifacts/rank"
    table = pa.table({"a": rng.normal(size=300), "name": [f"milk {i % 7}" for i in range(300)]})
    storage.write_table(table, out / "table.parquet")
    storage.write_json({"numbers": rng.normal(size=20).tolist()}, out / "ranker.json")
    _package(out / "model", seed, version=1)
    (folder / "dvc.yaml").write_text(DVC)
    (folder / "write.py").write_text("print('nothing')\n")
    (folder / "artifacts/evaluate/metrics.json").write_text("{}\n")
    quiet = {"cwd": folder, "check": True, "capture_output": True, "env": _environment(folder)}
    dvc = [sys.executable, "-m", "dvc"]
    for command in (
        ["git", "init", "-q"],
        [*dvc, "init", "-q"],
        [*dvc, "remote", "add", "-d", "store", str(folder / "remote")],
        [*dvc, "config", "remote.store.verify", "true"],
        [*dvc, "commit", "-q", "-f"],
        [*dvc, "push", "-q"],
    ):
        subprocess.run(command, **quiet)  # type: ignore[call-overload]
    _package(folder / "data/champion", seed, version=1)
    manifest.write(folder / "data/champion")


def _environment(folder: Path) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return {**inherited, "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site"), "HOME": str(folder)}


def corruptions(folder: Path, seed: int, wanted: int, say: Callable[[str], None]) -> Found:
    """Damage `wanted` bytes over DVC's cache and remote, a stage's inputs, tables, weights and what nights share."""
    logging.disable(logging.ERROR)  # what DVC says of a damaged listing is not for us
    project(folder, seed)
    os.chdir(folder)
    os.environ["NIGHTMARKET_HOME"] = str(folder)
    os.environ["DVC_SITE_CACHE_DIR"] = str(folder / ".dvc/tmp/site")
    draw, tally = random.Random(seed), Found()
    checks: list[tuple[str, float, Callable[[Path, random.Random], str]]] = [
        ("cache", 0.25, _cache),
        ("remote", 0.08, _remote),
        ("inputs", 0.25, _inputs),
        ("parquet pages", 0.14, _pages),
        ("weights", 0.2, _weights),
        ("checkpoints", 0.04, _checkpoint),
        ("embeddings", 0.04, _embeddings),
    ]
    recovery.verify_cache(folder, say)
    for place, share, check in checks:
        for number in range(round(share * wanted)):
            missed = check(folder, draw)
            tally.damaged[place] = tally.damaged.get(place, 0) + 1
            if missed:
                tally.missed.append(f"--seed {seed}, {place} {number}: {missed}")
        say(f"{tally.total} bytes damaged ({place}), {len(tally.missed)} not found")
    return tally


def _objects(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


def _cache(folder: Path, draw: random.Random) -> str:
    cache = worktree.cache(folder) / "files/md5"
    path = draw.choice(_objects(cache))
    whole = path.read_bytes()
    name = path.parent.name + path.name
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(damaged(path, draw))
        caught = recovery.verify_cache(folder, lambda _: None) == [name] and not path.exists()
        path.write_bytes(whole)
    return "" if caught else f"{name} {said}"


def _remote(folder: Path, draw: random.Random) -> str:
    """The object is fetched only if it is what it should be."""
    path = draw.choice(_objects(folder / "remote/files/md5"))
    name = path.parent.name + path.name
    here = worktree.cache(folder) / "files/md5" / path.parent.name / path.name
    kept = here.read_bytes()
    here.unlink()
    with damaged(path, draw) as said, contextlib.suppress(Exception), dag.repo(folder) as repo:
        repo.fetch()
    with contextlib.suppress(FileNotFoundError):
        fetched = here.read_bytes()
        torn = hashlib.md5(fetched, usedforsecurity=False).hexdigest() != name.removesuffix(".dir")
        if torn and not recovery.verify_cache(folder, lambda _: None):
            return f"{name} {said}"
    if not path.exists():  # DVC deletes what it found damaged
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kept)
    here.parent.mkdir(parents=True, exist_ok=True)
    here.unlink(missing_ok=True)
    here.write_bytes(kept)
    return ""


def _inputs(folder: Path, draw: random.Random) -> str:
    """A stage refuses an input that is not what its stage wrote."""
    path = draw.choice(_objects(folder / "artifacts/rank"))
    with damaged(path, draw) as said:
        return _caught(lambda: Inputs("evaluate"), f"{path.name} {said}")


def _pages(folder: Path, draw: random.Random) -> str:
    """A table's pages, read as a whole and in chunks; a byte outside the pages is found by the inputs' checksum."""
    path = folder / "artifacts/rank/table.parquet"
    good = storage.read_table(path)
    with damaged(path, draw) as said:
        for read in (storage.read_table, lambda path: pa.Table.from_batches(storage.stream_table(path))):
            try:
                table = read(path)
            except InputError:
                continue
            if not table.slice(0, 0).equals(good.slice(0, 0)) or table["a"].to_pylist() == good["a"].to_pylist():
                missed = _caught(lambda: Inputs("evaluate"), said)
            else:
                missed = f"{said}: other numbers were read"
            if missed:
                return missed
    return ""


def _weights(folder: Path, draw: random.Random) -> str:
    path = draw.choice(_objects(folder / "data/champion"))
    before = storage.read_json(folder / "data/champion/manifest.json")
    with damaged(path, draw) as said:
        with contextlib.suppress(InputError):
            if storage.read_json(folder / "data/champion/manifest.json") == before and path.name == manifest.NAME:
                return ""  # white space between the entries
        return _caught(lambda: manifest.verify(folder / "data/champion"), f"{path.name} {said}")


def _checkpoint(folder: Path, draw: random.Random) -> str:
    kept = Checkpoint("finetune", "damage")
    kept.save({"weight": np.arange(20.0)}, {"step": 1})
    logging.getLogger("nightmarket").setLevel(logging.CRITICAL)
    with damaged(kept.path, draw) as said:
        return "" if kept.load() is None else said


def _embeddings(folder: Path, draw: random.Random) -> str:
    shutil.rmtree(folder / "vectors", ignore_errors=True)
    store = Store(folder / "vectors", date(2026, 3, 1), 30)
    store.add(text_hashes(["milk", "bread"]), np.ones((2, 4), np.float16))
    path = next((folder / "vectors").glob("*.safetensors"))
    whole = path.read_bytes()
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(damaged(path, draw))
        entries = store.read()
        path.write_bytes(whole)
    return "" if entries is None else said


def _caught(use: Callable[[], object], said: str) -> str:
    try:
        use()
    except InputError:
        return ""
    except Exception as error:
        return f"{said}: {type(error).__name__} instead of a line that says what is damaged"
    return said
