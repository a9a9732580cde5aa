import subprocess
import sys

import pytest

from flows.engine.run import dag, publish, worktree


@pytest.fixture
def at_home(project, monkeypatch):
    for key, value in project.env.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(project.home)
    return project


def finished_run(project, name="nightly-2"):
    """A run's worktree that recorded another report."""
    tree = worktree.create(project.home, name)
    (tree / "artifacts/report/index.html").write_text("<p>tonight")
    subprocess.run([sys.executable, "-m", "dvc", "commit", "--force", "report"], cwd=tree, env=project.env, check=True)
    return tree


def test_a_worktree_holds_uncommitted_changes_records_and_files_but_shares_the_cache(at_home):
    (at_home.home / "params.yaml").write_text("rank:\n  num_leaves: 7\n")
    tree = worktree.create(at_home.home, "nightly-2")
    assert (tree / "params.yaml").read_text() == "rank:\n  num_leaves: 7\n"
    assert (tree / "dvc.lock").read_bytes() == (at_home.home / "dvc.lock").read_bytes()
    assert (tree / "artifacts/report/index.html").exists()
    assert not (tree / ".dvc/cache").exists()
    assert list(dag.status(tree)) == ["rank"]
    sha = worktree.commit(tree, "nightly-2", "tonight")
    assert at_home.git("show", f"{sha}:params.yaml") == "rank:\n  num_leaves: 7"
    assert at_home.git("log", "-1", "--format=%an <%ae>", sha) == "nightmarket <nightmarket@localhost>"
    assert at_home.git("rev-parse", f"{sha}^") == at_home.git("rev-parse", "HEAD")
    worktree.remove(at_home.home, tree)
    assert at_home.git("rev-parse", "refs/runs/nightly-2") == sha
    assert at_home.git("stash", "list") == ""
    assert "params.yaml" in at_home.git("status", "--short")


@pytest.mark.parametrize("ignored", [".venv/", ".venv"])
def test_a_commit_of_a_run_holds_no_link_to_this_machines_environment(at_home, ignored):
    (at_home.home / ".venv").mkdir()
    gitignore = at_home.home / ".gitignore"
    gitignore.write_text(gitignore.read_text().replace(".venv/", ignored))
    tree = worktree.create(at_home.home, "nightly-2")
    assert (tree / ".venv").is_symlink()
    worktree.commit(tree, "nightly-2", "tonight")
    assert ".venv" not in at_home.git("ls-tree", "--name-only", "refs/runs/nightly-2").split()


def test_published_results_replace_the_old_ones_and_dvc_is_clean(at_home):
    before = publish.records_digest(at_home.home)
    tree = finished_run(at_home)
    assert publish.publish(at_home.home, tree, "nightly-2", started_from=before, say=print)
    assert (at_home.home / "artifacts/report/index.html").read_text() == "<p>tonight"
    assert dag.status(at_home.home) == {}


def test_files_that_dvc_does_not_know_are_moved_aside_and_named(at_home):
    said = []
    before = publish.records_digest(at_home.home)
    tree = finished_run(at_home)
    (at_home.home / "artifacts/report/notes.txt").write_text("mine")
    assert publish.publish(at_home.home, tree, "nightly-2", started_from=before, say=said.append)
    aside = at_home.home / ".nightmarket/set-aside/nightly-2/artifacts/report"
    assert (aside / "notes.txt").read_text() == "mine"
    assert said == [
        "artifacts/report held changes that DVC does not know; moved to "
        ".nightmarket/set-aside/nightly-2/artifacts/report"
    ]
    assert dag.status(at_home.home) == {}


def test_records_that_changed_in_the_meantime_are_left_alone(at_home):
    said = []
    before = publish.records_digest(at_home.home)
    tree = finished_run(at_home)
    lock = at_home.home / "dvc.lock"
    lock.write_text(lock.read_text() + "# by hand\n")
    assert not publish.publish(at_home.home, tree, "nightly-2", started_from=before, say=said.append)
    assert lock.read_text().endswith("# by hand\n")
    assert "not published" in said[0]
    assert "git checkout refs/runs/nightly-2 -- dvc.lock" in said[0]
