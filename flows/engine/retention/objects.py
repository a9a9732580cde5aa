"""DVC's cache and records: where an object lies, what a folder's list names, what the records say was put out."""

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.engine.run import dag
from flows.engine.run.worktree import RECORDS

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def path(cache: Path, md5: str) -> Path:
    """Where the object lies in a cache, or would."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def listed(cache: Path, md5: str) -> dict[str, str]:
    """{path inside the folder: MD5}; nothing of a file, and of a folder whose list is gone or damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if md5.endswith(".dir"):
            return {entry["relpath"]: entry["md5"] for entry in json.loads(path(cache, md5).read_bytes())}
    return {}


def records(root: Path) -> dict[str, str]:
    """{name: text} of the records that are there."""
    return {record: (root / record).read_text(encoding="utf-8") for record in RECORDS if (root / record).exists()}


def outs(texts: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, entry) of every output that these records name; an empty text names none."""
    for name, text in texts.items():
        content = yaml.load(text, Loader=_LOADER) or {}
        for stage in content["stages"].values() if "stages" in content else [content]:
            for out in stage.get("outs", ()):
                yield (Path(name).parent / out["path"]).as_posix(), out


def forget_entries(cache: Path, lost: Callable[[str], bool]) -> int:
    """Delete the entries of DVC's run-cache that lead to objects which are lost; how many."""
    number = 0
    for path in [entry for entry in (cache / "runs").glob("*/*/*") if entry.is_file()]:
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            entry = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER) or {}
            if any(lost(str(out.get("md5"))) for out in entry.get("outs", [])):
                path.unlink()
                number += 1
    return number


def remotes(home: Path) -> list[str]:
    """Names of DVC's remotes."""
    with dag.repo(home) as repo:
        return list(repo.config["remote"])


def from_remote(home: Path, name: str, md5s: Collection[str]) -> int:
    """Delete those of the objects that a remote holds; how many."""
    there = on_remote(home, name, md5s)
    with dag.repo(home) as repo:
        odb = repo.cloud.get_remote_odb(name=name, hash_name="md5")
        for md5 in there:
            odb.delete(md5)
    return len(there)


def on_remote(home: Path, name: str, md5s: Collection[str]) -> list[str]:
    """Those of the objects that a remote holds."""
    with dag.repo(home) as repo:
        return list(repo.cloud.get_remote_odb(name=name, hash_name="md5").oids_exist(sorted(md5s)))
