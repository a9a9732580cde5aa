"""A version of a small project rebuilt and promoted through the flows: real git, DVC, MLflow, Prefect; quick stages."""

import json
import signal
import time
from pathlib import Path

import pytest

from flows.engine.run import rebuild
from nightmarket.contracts import InputError
from nightmarket.serving import set_environment
from tests.flows.registered import made

set_environment()
from mlflow import MlflowClient  # noqa: E402


def client(project):
    uri = f"sqlite:///{project.home / 'mlruns/mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def standing(project):
    """What must not change: git, the checkout's files, aliases, versions with their tags."""
    known = client(project)
    champion = project.home / "data/champion"
    return {
        "git": project.git("status", "--porcelain"),
        "refs": project.git("for-each-ref"),
        "worktrees": project.git("worktree", "list"),
        "files": [(project.home / path).read_bytes() for path in ("dvc.lock", "params.yaml", "data/champion.dvc")],
        "champion": {path.name: path.read_bytes() for path in champion.rglob("*") if path.is_file()},
        "aliases": dict(known.get_registered_model("nightmarket").aliases),
        "tags": {
            version.version: {key: value for key, value in version.tags.items() if key != "reproduced"}
            for version in known.search_model_versions("name = 'nightmarket'")
        },
        "private": sorted(path.name for path in (project.home / ".nightmarket").iterdir()),
    }


def tag(project, version: int) -> str:
    return client(project).get_model_version("nightmarket", str(version)).tags["reproduced"]


def test_a_killed_rebuild_leaves_no_wreck_and_the_next_one_is_identical_and_changes_nothing_else(shop, tmp_path):
    (shop.home / ".nightmarket/rebuild.lock").touch()
    before = standing(shop)
    slow = tmp_path / "slow"
    run = shop.start("reproduce", "--version", "1", SLOW=str(slow))
    until(lambda: slow.exists() and slow.read_text())
    stage = int(slow.read_text())
    run.send_signal(signal.SIGKILL)
    run.communicate()
    until(lambda: not alive(stage))
    assert list((shop.home / ".nightmarket/rebuilds").iterdir())
    done = shop.flow("reproduce", "--version", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "identical: 6 outputs, 4 files of the package" in done.stdout
    assert "rank: as on record (2 of 3 stages" in done.stderr
    assert not (shop.home / ".nightmarket/rebuilds").exists()
    assert standing(shop) == before
    assert "identical: 6 outputs" in tag(shop, 1)
    assert "identical: 6 outputs" in made(shop, "-m", "tasks.registry.card", "1")


def test_a_stage_that_computes_something_else_is_named_with_what_differs(shop):
    before = standing(shop)
    done = shop.flow("reproduce", "--version", "1", NOISY="1")
    assert done.returncode == 1
    assert "validate: as on record" in done.stderr
    assert "rank: DIFFERS" in done.stderr
    assert "weights     finetune/tower.safetensors: " in done.stdout
    assert "figure      all.nightmarket.ndcg@10.value: 0.41" in done.stdout
    assert "rank is the first to differ, on the same inputs, code, parameters and environment" in done.stdout
    assert "differs: " in tag(shop, 1)
    now = standing(shop)
    now["private"], before["private"] = [], []
    assert now == before


def test_objects_that_are_damaged_or_gone_are_named_and_come_from_the_remote_where_there_is_one(
    shop, tmp_path, monkeypatch
):
    for key, value in shop.env.items():
        monkeypatch.setenv(key, value)
    made(shop, "-m", "dvc", "remote", "add", "--quiet", "backup", str(tmp_path / "backup"))
    made(shop, "-m", "dvc", "push", "--quiet", "--remote", "backup", "data/raw.dvc")
    cache = shop.home / ".dvc/cache/files/md5"
    [listing] = [json.loads(path.read_text()) for path in cache.glob("*/*.dir") if "events.csv" in path.read_text()]
    md5 = next(entry["md5"] for entry in listing if entry["relpath"] == "events.csv")
    path = cache / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    version = client(shop).get_model_version("nightmarket", "1")
    wanted = (version.tags["commit"], version.tags["lock_hash"])
    with rebuild.rebuild(shop.home, "first", *wanted) as place, pytest.raises(InputError) as caught:
        place.fetch()
    assert str(caught.value).startswith(f"data/raw/events.csv ({md5}) cannot be had: missing or damaged in .dvc/cache")
    assert "no remote is configured" in str(caught.value)
    made(shop, "-m", "dvc", "remote", "default", "--quiet", "backup")
    with rebuild.rebuild(shop.home, "second", *wanted) as place:
        place.fetch()
        assert (place.tree / "data/raw/events.csv").read_text() == (shop.home / "data/raw/events.csv").read_text()
        assert not (place.tree / "artifacts").exists()
    assert not (shop.home / ".nightmarket/rebuilds").exists()
    assert shop.git("worktree", "list").count("\n") == 0


@pytest.mark.parametrize(
    ("commit", "lock_hash", "line"),
    [
        ("0" * 40, "ab", "is not in this repository; where it was made: git fetch THERE 'refs/runs"),
        (None, "ab", "is not the one that this version was registered with"),
    ],
)
def test_a_commit_that_is_not_there_or_not_the_trainings_is_refused(shop, monkeypatch, commit, lock_hash, line):
    for key, value in shop.env.items():
        monkeypatch.setenv(key, value)
    version = client(shop).get_model_version("nightmarket", "1")
    with (
        pytest.raises(InputError, match=line),
        rebuild.rebuild(shop.home, "first", commit or version.tags["commit"], lock_hash),
    ):
        pass
    assert not (shop.home / ".nightmarket/rebuilds").exists()


def until(condition, seconds=240.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_version_promoted_by_hand_delivers_and_a_rollback_brings_the_other_back_whatever_the_settings(shop):
    done = shop.flow("promote", "--version", "1", "--reason", 'steadier, says "sales" $(touch x)', "--who", "Ann")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version 1 became champion in place of version 2 on the word of Ann: steadier" in done.stdout
    assert holders(shop) == {"champion": 1, "previous_champion": 2}
    assert receipt(shop)["version"] == 1
    assert json.loads(made(shop, "-m", "dvc", "status", "--json", "data/champion.dvc")) == {}
    assert not (shop.home / "x").exists()
    [ref] = [ref for ref in shop.runs() if "promote" in ref]
    assert (shop.home / "data/champion.dvc").read_text().strip() == shop.git("show", f"{ref}:data/champion.dvc")
    settings = shop.home / "params.yaml"
    settings.write_text("rank: [31\n")  # which neither we nor DVC can read
    back = shop.flow("rollback", "--reason", "a mistake")
    assert back.returncode == 0, back.stdout + back.stderr
    [warned] = [line for line in (back.stdout + back.stderr).splitlines() if "params.yaml, line 1: not valid" in line]
    assert warned.endswith(
        "a [ or { that is never closed; close it (to be put right; rollback needs no settings and goes on)"
    )
    assert settings.read_text() == "rank: [31\n"
    assert holders(shop) == {"champion": 2, "previous_champion": 1}
    assert receipt(shop)["version"] == 2
    lines = [json.loads(line) for line in shop.private("promotions.jsonl").read_text().splitlines()]
    told = [(line["how"], line["version"], line["from"]) for line in lines]
    assert told == [("gate", 1, None), ("gate", 2, 1), ("promote", 1, 2), ("rollback", 2, 1)]


def holders(project):
    aliases = client(project).get_registered_model("nightmarket").aliases
    return {alias: int(version) for alias, version in aliases.items()}


def receipt(project):
    return json.loads((project.home / "data/champion/receipt.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["promote", "--version", "1", "--reason", " "], "--reason: String should have at least 3 characters"),
        (["reproduce", "--version", "0"], "--version: Input should be greater than or equal to 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(registered, arguments, line):
    done = registered.flow(*arguments)
    assert done.returncode != 0
    assert done.stderr.rstrip().splitlines()[-1] == f"nightmarket: {arguments[0]}: {line}"
    assert "Traceback" not in done.stdout + done.stderr
