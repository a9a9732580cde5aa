"""A run's own git worktree: made from the main checkout, kept as a commit under refs/runs/, then removed.

The worktree shares the git objects and the DVC cache of the main checkout, so it costs a copy of the artifacts and
nothing else, and nothing a run changes can reach the next one.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from flows.engine.run import dag, dvc_config
from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.pipeline import settings

RECORDS = ("dvc.lock", "data/raw.dvc", "data/champion.dvc")
"""What DVC last recorded; a run starts from the main checkout's, committed or not, and gives them back."""

IDENTITY = ("-c", "user.name=nightmarket", "-c", "user.email=nightmarket@localhost", "-c", "commit.gpgsign=false")
"""A fresh machine has no git identity, and a run must not fail for it."""


def git(root: Path, *arguments: str, given: str | None = None) -> str:
    """Run git there and return its output; InputError with git's own line when it refuses.

    given   what git reads from standard input
    """
    command = ("git", *IDENTITY, "-C", str(root), *arguments)
    how: dict[str, Any] = {"capture_output": True, "text": True, "errors": "replace", "env": _plain_environment()}
    done = subprocess.run(command, **how, input=given)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise InputError(f"git {arguments[0]} in {root}: {said[-1]}")
    return done.stdout.strip()


def _plain_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}


def require_own(home: Path) -> None:
    """InputError for a folder that is no git repository of its own; one around it is somebody else's."""
    if not (home / ".git").exists():
        raise InputError(f"{home} is no git repository of its own; run `make setup`, which makes one")


def create(home: Path, name: str, *, without_settings: bool = False) -> Path:
    """A worktree under .runs/ with the main checkout's state: HEAD, uncommitted changes of tracked files, records.

    without_settings  an empty params.yaml in place of one that DVC may not be able to read
    """
    try:
        head = git(home, "rev-parse", "--verify", "--quiet", "HEAD")
    except InputError:
        raise InputError(f"{home} is not a git checkout with a commit; clone the repository, or commit first") from None
    base = _with_uncommitted_changes(home) or head
    tree = home / ".runs" / name
    git(home, "worktree", "add", "--detach", "--quiet", str(tree), base)
    storage.hook("worktree.added")
    git(tree, "reset", "--soft", head)  # the run's commit stands on HEAD; uncommitted changes become part of it
    for record in RECORDS:
        _same_file(home / record, tree / record)
        storage.hook("worktree.record")
    if without_settings:
        (tree / settings.PARAMS).write_text("{}\n", encoding="utf-8")
    _configure_dvc(home, tree)
    if (home / ".venv").exists() and not os.path.lexists(tree / ".venv"):
        (tree / ".venv").symlink_to(home / ".venv")
    with dag.repo(tree) as repo:
        repo.checkout(allow_missing=True, force=True)
    storage.hook("worktree.filled")
    return tree


def _with_uncommitted_changes(home: Path) -> str:
    """A commit that holds the tracked files as they lie there; "" when nothing was changed."""
    command = ("git", *IDENTITY, "-C", str(home), "stash", "create")
    done = subprocess.run(command, capture_output=True, text=True, env=_plain_environment())
    if done.stderr.strip():  # git also exits with 1, silently, when only time stamps differ
        raise InputError(f"git stash create in {home}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


def _same_file(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)  # who may read it too
    else:
        target.unlink(missing_ok=True)


def _configure_dvc(home: Path, tree: Path) -> None:
    """The main checkout's local settings (remotes, credentials) and its cache; what a remote gives is checked."""
    _same_file(home / ".dvc" / "config.local", tree / ".dvc" / "config.local")  # which may hold passwords
    remotes = dvc_config.read(home).get("remote", {})
    with dvc_config.local(tree) as local:
        local.setdefault("cache", {})["dir"] = dvc_config.relative(cache(home))
        for name in remotes:
            local.setdefault("remote", {}).setdefault(name, {})["verify"] = True


def cache(home: Path) -> Path:
    """The folder of the checkout's DVC cache."""
    named = dvc_config.read(home).get("cache", {}).get("dir")
    return Path(named) if named else home / ".dvc" / "cache"


def unknown_to_git(home: Path) -> list[str]:
    """Python files that git does not track, which a run therefore does not see."""
    listed = git(home, "ls-files", "--others", "--exclude-standard", "--", "tasks", "nightmarket", "dvc.yaml")
    return [name for name in listed.splitlines() if name.endswith((".py", ".yaml"))]


def commit(tree: Path, name: str, message: str) -> str:
    """Commit everything in the worktree and point refs/runs/NAME at it; returns the commit."""
    storage.hook("commit.begin")
    git(tree, "add", "--all")
    storage.hook("commit.added")
    git(
        tree, "rm", "--cached", "--quiet", "--ignore-unmatch", ".venv"
    )  # the link, where .gitignore means a folder only
    git(tree, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", message)
    sha = git(tree, "rev-parse", "HEAD")
    storage.hook("commit.made")
    git(tree, "update-ref", f"refs/runs/{name}", sha)
    storage.hook("commit.named")
    return sha


def remove(home: Path, tree: Path) -> None:
    """Remove a worktree; its commit stays under refs/runs/."""
    with contextlib.suppress(Exception), dag.repo(tree) as repo:
        shutil.rmtree(repo.site_cache_dir, ignore_errors=True)
    storage.hook("worktree.leaving")
    shutil.rmtree(tree, ignore_errors=True)
    storage.hook("worktree.gone")
    git(home, "worktree", "prune")


def remove_left_over(home: Path, *, keep: str) -> list[str]:
    """Remove the worktrees of runs that failed or died; the holder of the run lock calls this before it starts."""
    folder = home / ".runs"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    left_over = [name for name in names if name != keep]
    for name in left_over:
        remove(home, folder / name)
    return left_over
