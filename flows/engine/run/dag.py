"""The DAG, read from dvc.yaml through DVC: which stages there are, in which order, and what each needs."""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nightmarket.contracts import InputError
from tasks.pipeline import declaration


@dataclasses.dataclass(frozen=True)
class ScheduledStage:
    """One stage of dvc.yaml, with what its `meta` asks for."""

    name: str
    upstream: tuple[str, ...] = ()
    phase: str = "retrain"
    pool: str = "cpu"
    timeout_s: float = 3600.0
    retries: int = 0
    retry_delay_s: float = 5.0
    side: bool = False


@contextlib.contextmanager
def repo(root: Path) -> Iterator[Any]:
    """A DVC repository opened for one piece of work; DVC's own state goes stale when it is shared."""
    os.environ.setdefault("DVC_SITE_CACHE_DIR", str(site_cache()))
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    from dvc.repo import Repo

    for noisy in ("dvc", "dvc_data", "dvc_objects"):  # what they say is for people at a prompt
        logging.getLogger(noisy).setLevel(logging.ERROR)

    with Repo(str(root), _wait_for_lock=True) as opened:
        yield opened


def site_cache() -> Path:
    """Where DVC keeps its file-hash database: inside the project, not in a folder shared by all users."""
    from tasks.files import storage

    return storage.home() / ".dvc" / "tmp" / "site"


def read(root: Path) -> list[ScheduledStage]:
    """Every stage, each after all that it depends on; where DVC leaves a choice, in the order of dvc.yaml.

    Raises InputError when the folder holds no dvc.yaml, or one that DVC refuses.
    """
    if not (root / "dvc.yaml").exists():
        raise InputError(f"{root} holds no dvc.yaml; run from the folder of the checkout")
    try:
        with repo(root) as opened:
            graph = opened.index.graph
            named = {node.name: node for node in graph if getattr(node, "name", None)}
            stages = {name: _stage(node, graph) for name, node in named.items()}
            listed = [getattr(node, "name", None) for node in opened.index.stages]
            order = {name: position for position, name in enumerate(listed) if name}
    except dvc_error() as error:
        raise InputError(f"dvc.yaml: {' '.join(str(error).split())}") from None
    return _sorted(stages, order)


def step(name: str) -> ScheduledStage:
    """A step, which has no entry in dvc.yaml, with what its module declares."""
    declared = declaration.step(name)
    return ScheduledStage(name, timeout_s=declared.timeout_s, retries=declared.retries)


def _stage(node: Any, graph: Any) -> ScheduledStage:
    import networkx

    above = networkx.descendants(graph, node)  # DVC's edges point from a stage to what it depends on
    known = {field.name for field in dataclasses.fields(ScheduledStage)} - {"name", "upstream"}
    meta = {key: value for key, value in (node.meta or {}).items() if key in known}
    upstream = sorted(other.name for other in above if getattr(other, "name", None))
    return ScheduledStage(name=node.name, upstream=tuple(upstream), **meta)


def _sorted(stages: dict[str, ScheduledStage], order: dict[str, int]) -> list[ScheduledStage]:
    done: list[ScheduledStage] = []
    waiting = sorted(stages.values(), key=lambda stage: order[stage.name])
    while waiting:
        names = {stage.name for stage in done}
        ready = next(stage for stage in waiting if names.issuperset(stage.upstream))
        done.append(ready)
        waiting.remove(ready)
    return done


def status(root: Path) -> dict[str, list[Any]]:
    """What `dvc status` says: stage name or .dvc file → what changed. Empty where everything is up to date.

    A stage is up to date when its command, parameters, dependencies and outputs all equal what dvc.lock records: the
    same test by which `dvc repro` skips it.
    """
    with repo(root) as opened:
        return {key.rpartition(":")[2]: value for key, value in opened.status().items()}


def dvc_error() -> type[Exception]:
    """What DVC raises; its import takes a second."""
    from dvc.exceptions import DvcException

    return DvcException
