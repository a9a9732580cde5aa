"""A registered version made again from its raw snapshot, in a folder of its own that leaves nothing behind.

Below .nightmarket/rebuilds/NAME lie a worktree of the version's commit, a DVC cache that holds nothing but the raw
snapshot, and an empty home for what stages keep between runs. So no output can come from a cache, from the run-cache or
from a checkpoint: what stands there at the end was computed there. Objects are hashed as they are fetched.
"""

import contextlib
import dataclasses
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.engine.reporting import prefect_run
from flows.engine.retention import objects
from flows.engine.run import dag, dvc_config, stage, worktree
from nightmarket.contracts import InputError
from nightmarket.serving import comparison
from tasks.files import catalogue, locks, manifest, storage
from tasks.registry import champion, lineage

FOLDER = Path(".nightmarket/rebuilds")
LOCK = Path(".nightmarket/rebuild.lock")
CACHE_REMOTE = "checkout-cache"
PARTS = ("rank", "finetune")
METRICS = "evaluate/metrics.json"


@dataclasses.dataclass(frozen=True)
class Rebuild:
    """The folder of one rebuild: `tree` is the worktree; `recorded` the entries of dvc.lock that it must come to."""

    home: Path
    place: Path
    recorded: Mapping[str, comparison.Entry]
    stages: tuple[dag.ScheduledStage, ...]

    @property
    def tree(self) -> Path:
        """The worktree of the version's commit."""
        return self.place / "tree"

    def fetch(self) -> None:
        """Bring what the stages start from: from the checkout's cache, then from the remote, where there is one.

        Raises InputError that names the first object which is neither here nor there.
        """
        sources = self._sources()
        targets = [str(self.tree / source) for source in sources]  # DVC reads a relative one from the current folder
        default = _default_remote(self.tree)
        remotes = [CACHE_REMOTE, *([default] if default else [])]
        with _dvc_silent():
            for remote in remotes:
                with dag.repo(self.tree) as repo, contextlib.suppress(dag.dvc_error()):
                    repo.fetch(targets=targets, remote=remote)
                if not (left := [name for source in sources for name in self._missing(source)]):
                    break
            else:
                raise InputError(_cannot(left, default))
            with dag.repo(self.tree) as repo:
                repo.checkout(targets=targets, force=True)

    def _sources(self) -> list[str]:
        """The .dvc files that the stages depend on."""
        import networkx

        wanted = {scheduled.name for scheduled in self.stages}
        with dag.repo(self.tree) as repo:
            graph = repo.index.graph
            above = [networkx.descendants(graph, node) for node in graph if getattr(node, "name", None) in wanted]
            plain = {node for nodes in above for node in nodes if not getattr(node, "name", None)}
            return sorted(Path(node.path).relative_to(self.tree).as_posix() for node in plain)

    def _missing(self, source: str) -> list[str]:
        """Files of a .dvc file whose objects are not in the rebuild's cache, or are not what their name says."""
        cache, missing = self.place / "cache", []
        for path, out in objects.outs({source: (self.tree / source).read_text(encoding="utf-8")}):
            md5 = str(out["md5"])
            if not objects.path(cache, md5).exists():
                missing.append(f"{path} ({md5})")
            for name, listed_md5 in objects.listed(cache, md5).items():
                if not objects.path(cache, listed_md5).exists():
                    missing.append(f"{path}/{name} ({listed_md5})")
        return missing

    async def rerun(self, hold: int, threads: str) -> dict[str, float]:
        """Compute every stage that retrains, and say after each whether it came out as on record; {stage: seconds}.

        threads   OMP_NUM_THREADS of the stages: as many as the version was trained with
        """
        log, seconds = prefect_run.run_logger(), {}
        own = {"DVC_SITE_CACHE_DIR": str(self.place / "site"), "NIGHTMARKET_RUN": self.place.name}
        own |= {"OMP_NUM_THREADS": threads}
        env = stage.environment(self.place / "home", own)
        for number, scheduled in enumerate(self.stages, 1):
            command = [*stage.dvc_repro(scheduled.name, force=True)[:-1], "--no-run-cache", scheduled.name]

            async def work(command: list[str] = command, name: str = scheduled.name) -> None:
                await stage.run_command(name, command, tree=self.tree, env=env, hold=[hold])

            started = time.perf_counter()
            await stage.attempt(scheduled, work)
            seconds[scheduled.name] = time.perf_counter() - started
            outs = (
                comparison.hashes(entry.get(scheduled.name, {}), "outs") for entry in (self.recorded, self.rebuilt())
            )
            same = "as on record" if len({tuple(sorted(each.items())) for each in outs}) == 1 else "DIFFERS"
            log.info(
                "%s: %s (%d of %d stages, %.0f s)",
                scheduled.name,
                same,
                number,
                len(self.stages),
                seconds[scheduled.name],
            )
        return seconds

    def rebuilt(self) -> dict[str, comparison.Entry]:
        """What DVC recorded here, by stage."""
        return (yaml.safe_load((self.tree / "dvc.lock").read_text(encoding="utf-8")) or {}).get("stages") or {}

    def weights(self) -> dict[str, str]:
        """{file: SHA-256} of the package that registering would make."""
        package = self.place / "package"
        for part in PARTS:
            shutil.copytree(self.tree / storage.ARTIFACTS / part, package / part, copy_function=champion.link)
        return manifest.build(package)

    def metrics(self) -> Any:
        """The figures that came out."""
        return catalogue.METRICS.at(self.tree).read()

    def environment(self, threads: str) -> dict[str, Any]:
        """Of this rebuild; constraints.txt is the checkout's, from which this environment was installed."""
        history = catalogue.FINETUNE_HISTORY.at(self.tree).read()
        environment = lineage.environment(str(history.get("device", "unknown")), self.home / lineage.CONSTRAINTS)
        return environment | {"threads": int(threads)}


@contextlib.contextmanager
def rebuild(home: Path, name: str, commit: str, lock_hash: str) -> Iterator[Rebuild]:
    """A folder for the rebuild of the commit; it goes when the block ends, however it ends.

    Only under the rebuild lock. Raises InputError when the commit is not there, or holds another training than the
    version's.
    """
    try:
        worktree.git(home, "cat-file", "-e", f"{commit}^{{commit}}")
    except InputError:
        raise InputError(
            f"commit {commit} is not in this repository; where it was made: git fetch THERE 'refs/runs/*:refs/runs/*'"
        ) from None
    place = home / FOLDER / name
    tree = place / "tree"
    try:
        place.mkdir(parents=True)
        worktree.git(home, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        _configure(home, tree, place / "cache")
        recorded = lineage.retraining(tree / "dvc.lock")
        if lineage.lock_hash(tree / "dvc.lock") != lock_hash:
            raise InputError(
                f"the dvc.lock of commit {commit[:10]} is not the one that this version was registered with: it was "
                "trained from files that were never committed, so it cannot be rebuilt from the commit"
            )
        wanted = [scheduled for scheduled in dag.read(tree) if scheduled.name in recorded]
        (tree / "dvc.lock").unlink()
        yield Rebuild(home, place, {scheduled.name: recorded[scheduled.name] for scheduled in wanted}, tuple(wanted))
    finally:
        _remove(home, place)


def reap(home: Path) -> list[str]:
    """Remove what killed rebuilds left; only under the rebuild lock."""
    left = sorted(path for path in (home / FOLDER).glob("*") if path.is_dir())
    for place in left:
        _remove(home, place)
    return [place.name for place in left]


def reap_dead(home: Path) -> None:
    """Remove what killed rebuilds left, unless one is at work."""
    if not (home / FOLDER).exists():
        return
    with (home / LOCK).open("a") as file:
        if locks.try_to_take(file):
            reap(home)


def _remove(home: Path, place: Path) -> None:
    if (place / "tree").exists():
        worktree.remove(home, place / "tree")
    shutil.rmtree(place, ignore_errors=True)
    worktree.git(home, "worktree", "prune")
    with contextlib.suppress(OSError):
        place.parent.rmdir()


def _configure(home: Path, tree: Path, cache: Path) -> None:
    """DVC in the worktree: the checkout's remotes, a cache of its own, and the checkout's cache as one more remote."""
    local = tree / ".dvc" / "config.local"
    if (home / ".dvc" / "config.local").exists():
        shutil.copy(home / ".dvc" / "config.local", local)
    settings = dvc_config.read(home)
    with dvc_config.local(tree) as own:
        own.setdefault("cache", {})["dir"] = dvc_config.relative(cache)
        for name, remote in settings.get("remote", {}).items():
            own.setdefault("remote", {})[name] = {**dict(remote), "verify": True}
        if default := settings.get("core", {}).get("remote"):
            own.setdefault("core", {})["remote"] = default
        own.setdefault("remote", {})[CACHE_REMOTE] = {
            "url": dvc_config.relative(worktree.cache(home).resolve()),
            "verify": True,
        }


def _default_remote(tree: Path) -> str | None:
    default: str | None = dvc_config.read(tree).get("core", {}).get("remote")
    return default


def _cannot(left: list[str], default: str | None) -> str:
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    where = f"nor in the remote '{default}'" if default else "and no remote is configured"
    do = "name the remote that holds it (`dvc remote add --default NAME URL`)" if not default else "`dvc push` it there"
    return (
        f"{left[0]}{more} cannot be had: missing or damaged in .dvc/cache, {where}; {do}, or bring the cache back from "
        "a backup (where it was made, `dvc pull` has it)"
    )


@contextlib.contextmanager
def _dvc_silent() -> Iterator[None]:
    """DVC reports each object that it cannot get; we say the first and how many."""
    names = ("dvc", "dvc_data", "dvc_objects")
    before = [logging.getLogger(name).level for name in names]
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in zip(names, before, strict=True):
            logging.getLogger(name).setLevel(level)
