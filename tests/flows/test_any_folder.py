"""A night in a folder of any name, unpacked or cloned, in surroundings of any kind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.engine.run import dvc_config, worktree
from nightmarket.contracts import InputError
from tests.flows.conftest import Project, write_project

ROOT = Path(__file__).parents[2]
NAME = """我的商店/mein shöp/50% "off" #1 in 'B&B' $HOME [a](b)"""


def test_a_cache_and_a_remote_outside_may_have_such_names_too(project, tmp_path):
    cache, remote = (tmp_path / "备份" / name for name in ("l'été", "50% #1"))
    shutil.move(project.home / ".dvc" / "cache", cache)
    with dvc_config.local(project.home) as own:
        own["cache"]["dir"] = str(cache)
        own["remote"]["far"] = {"url": str(remote)}
        own["core"]["remote"] = "far"
    tree = worktree.create(project.home, "here")
    assert worktree.cache(tree) == cache
    assert dvc_config.read(tree)["remote"]["far"] == {"url": str(remote), "verify": "True"}
    assert (tree / "artifacts/rank/model.txt").exists()  # from the cache
    worktree.remove(project.home, tree)
    assert project.command("-m", "dvc", "push", "--quiet").returncode == 0
    assert any(remote.rglob("*.dir")) or any(remote.rglob("*"))


SURROUNDINGS = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C",
    "LANG": "zh_CN.GBK",
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "XDG_CACHE_HOME": "/nonexistent",
    "GIT_DIR": "/nonexistent",
    "PREFECT_PROFILE": "nobody",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    "MLFLOW_EXPERIMENT_NAME": "somebody else's",
    "CUDA_VISIBLE_DEVICES": "7",
    "PYTHONWARNINGS": "error::UserWarning:nobody",
}


def test_a_night_runs_in_a_folder_of_any_name_whatever_surrounds_it(tmp_path, prefect_api):
    """Another zone, locale and mask, no home directory, variables of somebody else's Prefect, MLflow, git and GPU."""
    project = Project(tmp_path / NAME, prefect_api)
    project.home.mkdir(parents=True)
    write_project(project.home)
    lock = project.home / ".dvc" / "tmp" / "lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("")  # of a process that is gone
    (lock.parent / "rwlock").write_text("")
    before = os.umask(0o077)
    try:
        done = project.flow("nightly", **SURROUNDINGS)
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.home / "artifacts/report/index.html").exists()
    stages = ["snapshot", "validate", "rank", "evaluate", "register", "report"]
    assert project.started() == stages
    again = project.flow("nightly")
    assert again.returncode == 0, again.stdout + again.stderr
    assert project.started() == stages[:1]


def prepared(folder, **env):
    """What set-up does first."""
    command = [sys.executable, "-I", "-S", str(ROOT / ".ci" / "repository.py")]
    environment = {**os.environ, "HOME": "/nonexistent", **env}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def git(folder, *arguments):
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def unpacked(tmp_path):
    """An archive's files, below a folder that is a repository of somebody else's with a file of its own."""
    (tmp_path / "theirs.txt").write_text("theirs")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "-m", "theirs")
    folder = tmp_path / "我的商店"
    folder.mkdir()
    for name, text in (("Makefile", "all:\n"), (".gitignore", "artifacts/\n"), ("artifacts", None)):
        (folder / name).write_text(text) if text else (folder / name).mkdir()
    (folder / "artifacts" / "model.txt").write_text("not for git")
    return folder


def test_an_archive_becomes_a_repository_of_its_own_and_this_is_said_once(unpacked):
    first, second = prepared(unpacked, GIT_DIR=str(unpacked.parent / ".git")), prepared(unpacked)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("this folder is no git repository, so one was made in it")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert git(unpacked, "ls-files").split() == [".gitignore", "Makefile"]
    assert Path(git(unpacked, "rev-parse", "--show-toplevel")) == unpacked.resolve()
    assert git(unpacked.parent, "log", "--format=%s") == "theirs"
    assert git(unpacked.parent, "ls-files") == "theirs.txt"


def test_a_folder_that_another_repository_keeps_is_left_alone(unpacked):
    git(unpacked.parent, "add", "--all")
    git(unpacked.parent, "commit", "--quiet", "-m", "theirs, with ours")
    done = prepared(unpacked)
    assert done.returncode == 2
    assert (
        f"this folder is a part of the repository {unpacked.parent.resolve()}, which runs would change" in done.stderr
    )
    assert not (unpacked / ".git").exists()


def test_what_keeps_a_folder_from_being_a_repository_is_told_before_the_set_up(unpacked):
    (unpacked.parent / "empty").mkdir()
    assert "git is missing; install it" in prepared(unpacked, PATH=str(unpacked.parent / "empty")).stderr
    git(unpacked, "init", "--quiet")
    assert "has no commit yet; run `git add --all && git commit`" in prepared(unpacked).stderr
    (unpacked.parent / "a:b").mkdir()
    assert "the folder's name holds ':'" in prepared(unpacked.parent / "a:b").stderr


def test_a_flow_in_a_folder_without_a_repository_ends_before_anything_starts(project):
    shutil.rmtree(project.home / ".git")
    done = project.flow("nightly")
    assert done.returncode == 2
    assert f"{project.home} is no git repository of its own; run `make setup`, which makes one" in done.stderr
    with pytest.raises(InputError, match="is no git repository of its own"):
        worktree.require_own(project.home)


def test_make_sets_up_the_repository_before_the_environment():
    """Nobody waits minutes to hear of it."""
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\nsetup: repository " in rules
    assert rules.index(".ci/repository.py") < rules.index(".ci/install.py")
