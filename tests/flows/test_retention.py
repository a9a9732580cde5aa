"""What is let go and what stays, in small projects with real git, DVC, MLflow and Prefect."""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.engine.reporting import diary
from flows.engine.retention import kept, objects, policy, prune
from flows.engine.run import worktree
from flows.engine.server import server
from nightmarket.contracts import InputError
from nightmarket.serving.trials import Trials

ROOT = Path(__file__).parents[2]
YEARS = 3 * 365
KEPT = ("data", "artifacts", "exports", "source.csv", "params.yaml", "dvc.lock")
"""What is the user's, or published."""


def at_home(project, monkeypatch):
    for key, value in project.env.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(project.home)
    return project


@pytest.fixture
def home(project, monkeypatch):
    """A project after a night, with two runs of months ago; one of them has a tag."""
    at_home(project, monkeypatch)
    for number, name in enumerate(("nightly-old", "nightly-tagged")):
        old_run(project, name, 90 + number, {"a": name, "b": name * 9})
    project.git("tag", "look-at-this", "refs/runs/nightly-tagged")
    return project.home


def put(home, content: bytes, suffix="", days=90) -> str:
    """An object of the cache, written so many days ago; its MD5."""
    md5 = hashlib.md5(content).hexdigest() + suffix
    path = at(home, md5)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return md5


def at(home, md5) -> Path:
    return home / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def old_run(project, name, days, files, *, parent="HEAD", records=None) -> str:
    """A run of so many days ago as the flows keep it, two commits; its report is a folder of these files."""
    home, date = project.home, f"{time.time() - days * 86_400:.0f} +0000"
    listed = [{"md5": put(home, text.encode(), days=days), "relpath": path} for path, text in files.items()]
    listing = put(home, json.dumps(listed).encode(), ".dir", days) if files else ""
    texts = records or {
        "dvc.lock": f"stages:\n  report:\n    outs:\n    - path: artifacts/report\n      md5: {listing}\n"
    }
    index = home.parent / "index"
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for key, value in {"GIT_INDEX_FILE": index, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}.items():
            patch.setenv(key, str(value))
        project.git("read-tree", parent or "HEAD")
        for path, text in texts.items():
            (home.parent / "text").write_text(text)
            blob = project.git("hash-object", "-w", str(home.parent / "text"))
            project.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        tree = project.git("write-tree")
        above = ["-p", project.git("rev-parse", parent)] if parent else []
        first = project.git("commit-tree", tree, *above, "-m", name)
        last = project.git("commit-tree", tree, "-p", first, "-m", name)
    project.git("update-ref", f"refs/runs/{name}", last)
    return first


def pruned(home, *, days=0.0, lag=0.0) -> tuple[str, list[str]]:
    """What `prune` told so many days from now, and what it said on the way."""
    said: list[str] = []
    with (home / ".nightmarket/run.lock").open("a") as lock:
        told = asyncio.run(
            prune.prune(
                home, said.append, said.append, hold=lock.fileno(), now=time.time() + days * 86_400, lag_days=lag
            )
        )
    return told, said


def names(home) -> set[str]:
    return {run.name for run in kept.refs(home)}


def files(home, *places) -> dict[str, tuple[bytes, int]]:
    """Every file's bytes and time, but for what Python and the locks leave."""
    paths = [path for place in places or (".",) for path in [home / place, *(home / place).rglob("*")]]
    return {
        str(path.relative_to(home)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts and path.name != "run.lock"
    }


def use(home, section) -> None:
    """Write the section `retention` of params.yaml."""
    path = home / "params.yaml"
    path.write_text(f"{path.read_text().partition('retention:')[0]}retention: {json.dumps(section)}\n")


def test_an_old_run_goes_with_its_data_and_everything_else_stays(home):
    stays = set(files(home, ".dvc/cache"))
    theirs = {at(home, md5) for md5 in objects_of(home, "nightly-old")}
    assert len(theirs) == 3
    users = files(home, *KEPT)
    told, said = pruned(home)
    assert told.startswith("pruned 1 runs, 3 objects of the cache; 0.0 MB freed in")
    assert said == []
    assert not any(path.exists() for path in theirs)
    assert set(files(home, ".dvc/cache")) == stays - {str(path.relative_to(home)) for path in theirs}
    assert "nightly-tagged" in names(home)
    assert "nightly-old" not in names(home)
    assert len(names(home)) == 2
    assert all(at(home, md5).exists() for md5 in objects_of(home, "nightly-tagged"))
    assert files(home, *KEPT) == users
    assert pruned(home) == ("", [])


def objects_of(home, name) -> set[str]:
    """What the records of a run's last commit name, and what the lists of its folders do."""
    commit = next(run.commit for run in kept.refs(home) if run.name == name)
    there = worktree.git(home, "ls-tree", "-r", "--name-only", commit).splitlines()
    texts = {
        path: worktree.git(home, "show", f"{commit}:{path}") for path in there if path.endswith((".dvc", "dvc.lock"))
    }
    md5s = {str(out["md5"]) for _, out in objects.outs(texts)}
    assert md5s
    return md5s.union(*(objects.listed(home / ".dvc/cache", md5).values() for md5 in md5s))


def test_a_dry_run_tells_what_would_go_and_changes_nothing(project, home):
    before, refs = files(home), project.git("for-each-ref")
    done = project.command("-m", "flows", "prune", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "refs/runs/nightly-old, of 20" in done.stdout
    assert done.stdout.endswith("would prune 1 runs, 3 objects of the cache; 0.0 MB; nothing was changed\n")
    assert project.git("for-each-ref") == refs
    assert files(home) == before


def test_a_kill_at_any_hook_and_another_prune_end_as_one_undisturbed(project, home, tmp_path):
    for place in ("set-aside/nightly-old/artifacts", "checkpoints/key"):
        (home / ".nightmarket" / place).mkdir(parents=True)
        (home / ".nightmarket" / place / "one").write_text("1")
    entry = home / ".dvc/cache/runs/ab/ab12/cd34"
    entry.parent.mkdir(parents=True)
    [listing] = [md5 for md5 in objects_of(home, "nightly-old") if md5.endswith(".dir")]
    entry.write_text(f"cmd: x\nouts:\n- path: artifacts/report\n  md5: {listing}\n")
    (home / "params.yaml").write_text((home / "params.yaml").read_text() + "retention: {days: 60}\n")
    diary.path(home).write_text(
        "".join(json.dumps({"night": f"2{number:03}-01-01"}) + "\n" for number in range(diary.KEPT + 2))
    )
    code = (
        "import asyncio, time\nfrom flows.engine.retention import prune\nfrom pathlib import Path\n"
        "home = Path.cwd()\nlock = open('.nightmarket/run.lock', 'a')\n"
        "for days in (20, 61):\n    now = time.time() + days * 86400\n"
        "    print(asyncio.run(prune.prune(home, print, print, hold=lock.fileno(), now=now)))\n"
    )
    base = tmp_path / "base"
    shutil.copytree(home, base, symlinks=True)

    def state():
        contents = {path: content for path, (content, _) in files(home, ".dvc/cache", ".nightmarket").items()}
        return contents, project.git("for-each-ref")

    done = project.command("-c", code)
    assert done.returncode == 0, done.stderr
    whole = state()
    assert not entry.exists()
    assert not list((home / ".nightmarket/set-aside").iterdir())
    assert len(diary.rows(home)) == diary.KEPT
    for hook in ("begin", "planned", "unnamed", "entries", "object", "leftover", "nights"):
        shutil.rmtree(home)
        shutil.copytree(base, home, symlinks=True)
        killed = project.command("-c", code, NIGHTMARKET_FAULT=f"retention.{hook}:1:kill")
        assert killed.returncode == -9, (hook, killed.stdout, killed.stderr)
        if hook == "object":
            assert not at(home, listing).exists()  # no list without its files
        done = project.command("-c", code)
        assert done.returncode == 0, done.stderr
        assert state() == whole, hook


def test_what_a_branch_a_stash_or_a_file_of_the_users_own_names_stays(project, home):
    mine = put(home, b"my own table", days=400)
    (home / "mine.csv.dvc").write_text(f"outs:\n- md5: {mine}\n  path: mine.csv\n")
    on_branch, stashed, nowhere = (put(home, name, days=400) for name in (b"branch", b"stash", b"nowhere"))
    project.git("checkout", "--quiet", "-b", "side")
    (home / "side.csv.dvc").write_text(f"outs:\n- md5: {on_branch}\n  path: side.csv\n")
    project.git("add", "side.csv.dvc")
    project.git("commit", "--quiet", "--message", "side")
    project.git("checkout", "--quiet", "main")
    (home / "stashed.csv.dvc").write_text(f"outs:\n- md5: '{stashed}'\n  path: stashed.csv\n")
    project.git("add", "stashed.csv.dvc")
    project.git("stash", "push", "--quiet", "--", "stashed.csv.dvc")
    pruned(home)
    assert [at(home, md5).exists() for md5 in (mine, on_branch, stashed, nowhere)] == [True, True, True, False]


def test_young_data_that_nothing_names_waits_its_days(home):
    fresh = put(home, b"a stage of a night that failed", days=29)
    pruned(home)
    assert at(home, fresh).exists()
    pruned(home, days=2)
    assert not at(home, fresh).exists()


def test_a_campaign_keeps_its_run_while_it_waits_and_while_its_export_lies_there(project, home):
    for name in ("spring", "summer", "autumn", "waiting"):
        old_run(project, f"campaign-{name}", 60, {"plan": name})
    for name in ("spring", "summer"):
        (home / "exports" / name).mkdir(parents=True)
    decided = [
        {"decision": "exported", "run": f"campaign-{name}", "folder": f"exports/{name}"}
        for name in ("spring", "summer")
    ]
    decided.append({"decision": "refused", "run": "campaign-autumn"})
    (home / ".nightmarket/decisions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in decided))
    (home / ".nightmarket/undecided/campaign-waiting").mkdir(parents=True)
    pruned(home)
    assert {name for name in names(home) if "campaign" in name} == {
        "campaign-spring",
        "campaign-summer",
        "campaign-waiting",
    }
    (home / "exports/summer").rmdir()
    pruned(home)
    assert "campaign-summer" not in names(home)
    assert "campaign-spring" in names(home)
    (home / ".nightmarket/decisions.jsonl").write_text('{"decision": "expo\n')
    with pytest.raises(InputError, match=r"decisions\.jsonl, line 1, cannot be read"):
        pruned(home)


def test_leftovers_of_old_runs_go_and_what_is_the_users_stays(home):
    private = home / ".nightmarket"
    for name in ("set-aside/nightly-1/artifacts/report", "checkpoints/ab", "damaged", "undecided/x"):
        (private / name).mkdir(parents=True)
        (private / name / "held.json").write_text("{}")
    for name in ("customer.key", "login", "promotions.jsonl", "forgotten.json"):
        (private / name).write_text("[]")
    (home / "exports/spring").mkdir(parents=True)
    (home / "exports/spring/send.csv").write_text("customer_id\n")
    (home / "mlruns/mlflow.db").unlink()
    sqlite(home, "CREATE TABLE other (id)")
    with pytest.raises(InputError, match=r"mlflow\.db cannot be read .* what the registered versions need"):
        pruned(home)
    (home / "mlruns/mlflow.db").unlink()
    with pytest.raises(InputError, match=r"mlflow\.db is gone, .* restore it from a backup"):
        pruned(home, days=9999)
    assert "nightly-old" in names(home)
    (private / "promotions.jsonl").unlink()
    before = files(home, "exports", ".nightmarket/customer.key", ".nightmarket/login", ".nightmarket/forgotten.json")
    pruned(home, days=29)
    assert (private / "set-aside/nightly-1").exists()
    told, _ = pruned(home, days=31)
    assert "3 files set aside" in told
    assert not any((private / name).exists() for name in ("set-aside/nightly-1", "checkpoints/ab", "damaged/held.json"))
    assert (private / "undecided/x/held.json").exists()
    assert (
        files(home, "exports", *(f".nightmarket/{name}" for name in ("customer.key", "login", "forgotten.json")))
        == before
    )


def sqlite(home, command, *given) -> None:
    with contextlib.closing(sqlite3.connect(home / "mlruns/mlflow.db")) as database, database:
        database.execute(command, given)


def test_nothing_goes_while_the_list_of_a_kept_folder_is_damaged(home):
    [listing] = [md5 for md5 in objects_of(home, "nightly-tagged") if md5.endswith(".dir")]
    at(home, listing).write_bytes(at(home, listing).read_bytes().replace(b"md5", b"md4", 1))
    with pytest.raises(InputError, match=f"{listing} of a folder that is kept is damaged.*bring it back"):
        pruned(home)
    aside = home / ".nightmarket/damaged" / listing
    aside.parent.mkdir()
    at(home, listing).rename(aside)
    with pytest.raises(InputError, match=f"delete .nightmarket/damaged/{listing}"):
        pruned(home, days=400)
    assert "nightly-old" in names(home)


def test_remotes_and_a_cache_elsewhere_are_left_alone_unless_they_are_said_to_be_ours(project, home, tmp_path):
    remote = tmp_path / "remote"
    config = home / ".dvc/config"
    config.write_text(config.read_text() + f"['remote \"far\"']\n    url = {remote}\n")
    theirs = objects_of(home, "nightly-old")
    held = remote / "files/md5"
    for md5 in (*theirs, *objects_of(home, "nightly-tagged"), "ab" * 16):
        (held / md5[:2]).mkdir(parents=True, exist_ok=True)
        source = at(home, md5)
        (held / md5[:2] / md5[2:]).write_bytes(source.read_bytes() if source.exists() else b"of somebody else")
    elsewhere = tmp_path / "cache"
    shutil.move(home / ".dvc/cache", elsewhere)
    with_cache = config.read_text() + f"[cache]\n    dir = {elsewhere}\n"
    number = len(list(held.glob("??/*")))

    config.write_text(with_cache.replace("[cache]\n    type = reflink,copy\n", ""))
    shutil.copytree(home, tmp_path / "again", symlinks=True)
    told, _ = pruned(home)
    assert told.startswith("pruned 1 runs; 0.0 MB")
    assert all((elsewhere / "files/md5" / md5[:2] / md5[2:]).exists() for md5 in theirs)
    shutil.rmtree(home)
    shutil.move(tmp_path / "again", home)

    use(home, {"shared": True})
    done = project.command("-m", "flows", "prune", NIGHTMARKET_FAULT="retention.remote:1:kill")
    assert done.returncode == -9, done.stderr
    done = project.command("-m", "flows", "prune")
    assert done.returncode == 0, done.stderr
    assert "0 objects deleted from the remote far" in done.stdout
    assert not any((elsewhere / "files/md5" / md5[:2] / md5[2:]).exists() for md5 in theirs)
    assert len(list(held.glob("??/*"))) == number - 3
    assert not (home / policy.PENDING).exists()


def test_a_night_prunes_at_its_end_and_trouble_there_is_a_warning(project, home):
    done = project.flow("nightly")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pruned 1 runs, 3 objects of the cache; 0.0 MB freed in" in done.stderr
    assert "nightly-old" not in names(home)
    old_run(project, "nightly-older", 900, {"a": "older"})
    (home / ".nightmarket/decisions.jsonl").write_text("torn")
    done = project.flow("nightly")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing is pruned: .nightmarket/decisions.jsonl, line 1, cannot be read" in done.stderr
    assert "`make prune` tries again" in done.stderr
    assert "nightly-older" in names(home)
    use(home, {"days": None})
    (home / ".nightmarket/decisions.jsonl").unlink()
    assert pruned(home, days=9999) == ("", [])


@pytest.fixture
def years_later(shop, monkeypatch):
    """The shop's version 1 was made years ago by a run, and the checkout has moved on to other data."""
    at_home(shop, monkeypatch)
    home = shop.home
    records = {name: (home / name).read_text() for name in ("dvc.lock", "data/raw.dvc")}
    commit = old_run(shop, "nightly-first", YEARS, {}, parent="", records=records)
    known = client(shop)
    known.set_model_version_tag("nightmarket", "1", "commit", commit)
    (home / "data/raw/events.csv").write_text("customer,item\n" + "3,4\n" * 11)
    for command in (("add", "--quiet", "data/raw"), ("repro", "--quiet")):
        done = shop.command("-m", "dvc", *command)
        assert done.returncode == 0, done.stderr
    shop.git("add", "--all")
    # main begins anew, so that nothing but the run leads to what version 1 was made of
    fresh = shop.git("commit-tree", shop.git("write-tree"), "-m", "everything anew")
    shop.git("reset", "--quiet", "--soft", fresh)
    known.set_model_version_tag("nightmarket", "2", "commit", fresh)
    shop.git("update-ref", "-d", "refs/runs/night")
    shutil.rmtree(home / ".git/logs")
    shop.git("gc", "--quiet", "--prune=now")
    for path in (home / ".dvc/cache/files/md5").rglob("*"):
        os.utime(path, (0, 0))
    return shop


def client(project):
    uri = f"sqlite:///{project.home / 'mlruns/mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def test_a_version_of_years_ago_is_rebuilt_after_everything_old_was_pruned(years_later):
    project, home = years_later, years_later.home
    old_run(project, "nightly-other", YEARS, {"a": "other"})
    unnamed = put(home, b"unnamed", days=YEARS)
    done = project.command("-m", "flows", "prune")
    assert done.returncode == 0, done.stderr
    assert "pruned 1 runs, 3 objects of the cache" in done.stdout
    assert names(home) == {"nightly-first"}
    assert not at(home, unnamed).exists()
    assert all(at(home, md5).exists() for md5 in objects_of(home, "nightly-first"))
    project.git("gc", "--quiet", "--prune=now")
    done = project.flow("reproduce", "--version", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "identical: 6 outputs, 4 files of the package" in done.stdout


def test_a_refused_version_goes_only_where_the_user_says_so_and_takes_what_it_alone_needed(years_later):
    project, home = years_later, years_later.home
    known = client(project)
    version = known.get_model_version("nightmarket", "1")
    known.delete_registered_model_alias("nightmarket", "previous_champion")
    known.delete_model_version_tag("nightmarket", "1", "delivered")
    known.set_model_version_tag("nightmarket", "1", "gate", "refused")
    sqlite(home, "UPDATE model_versions SET creation_time = 1 WHERE version = 1")
    sqlite(home, "UPDATE runs SET start_time = 1, end_time = 1")
    run, model = str(version.run_id), known.search_logged_models(["1"], f"source_run_id = '{version.run_id}'")[0]
    assert pruned(home) == ("", [])
    use(home, {"refused_days": 90})
    theirs = objects_of(home, "nightly-first")
    told, said = pruned(home)
    assert said == []
    assert told.startswith("pruned 1 versions, 1 runs of MLflow, 1 runs, ")
    assert [int(left.version) for left in known.search_model_versions("name = 'nightmarket'")] == [2]
    assert names(home) == set()
    assert not all(at(home, md5).exists() for md5 in theirs)
    for identity in (run, model.model_id):
        assert not list((home / "mlruns/artifacts").rglob(f"*{identity}*"))
    standing = known.get_model_version("nightmarket", "2")
    assert (home / "mlruns/artifacts" / str(standing.run_id) / "artifacts/receipt.json").exists()
    done = project.command("-m", "tasks.registry.card", "2")
    assert "champion" in done.stdout, done.stderr


def test_searches_and_registrations_that_came_to_nothing_go_from_mlflow_and_nothing_else(years_later):
    project, home = years_later, years_later.home
    known, artifacts = client(project), (home / "mlruns/artifacts").as_uri()
    searches = Trials(f"sqlite:///{home / 'mlruns/mlflow.db'}", artifacts, "nightmarket search", "leaves")
    searches.describe({}, {"digest": "ab"})
    trial = searches.begin(1, {"rank.num_leaves": 7})
    searches.window(trial, "2017-12-25", 0, 0.4, {"ndcg@10": {"value": 0.4}}, "ab" * 20)
    lost = known.create_run("1", tags={"lock_hash": "ab"}, run_name="killed").info.run_id
    known.log_text(lost, "half", "half.txt")
    model = known.create_logged_model("1", source_run_id=lost).model_id
    theirs = known.create_run("1", run_name="a notebook of Ann's").info.run_id
    thrown_away = known.create_experiment("thrown away")
    known.delete_experiment(thrown_away)
    versions = {
        int(version.version): str(version.run_id) for version in known.search_model_versions("name = 'nightmarket'")
    }
    sqlite(home, "UPDATE runs SET start_time = 1, end_time = 1")
    for run in (trial, lost):
        sqlite(home, "UPDATE runs SET end_time = ? WHERE run_uuid = ?", int(time.time() * 1000), run)
    assert pruned(home, days=20, lag=7)[0] == ""  # the search is alive: its trial is
    sqlite(home, "UPDATE runs SET end_time = 1")
    before = {run: files(home, f"mlruns/artifacts/{run}") for run in versions.values()}

    for hook in ("retire.hidden", "retire.files:2", "retire.erased:2"):
        killed = project.command("-m", "flows", "prune", NIGHTMARKET_FAULT=hook)
        assert killed.returncode == 0, killed.stderr  # MLflow's part runs in a process of its own
        assert "MLflow's runs are left for the next time" in killed.stdout
    told, said = pruned(home)
    assert told.startswith("pruned 1 runs of MLflow; ")
    assert said == []
    with contextlib.closing(sqlite3.connect(home / "mlruns/mlflow.db")) as database:
        for table, column in (("runs", "run_uuid"), ("tags", "run_uuid"), ("metrics", "run_uuid")):
            run_ids = {row[0] for row in database.execute(f"SELECT {column} FROM {table}")}
            assert not run_ids & {searches.parent, trial, lost}, table
        assert model not in {row[0] for row in database.execute("SELECT model_id FROM logged_models")}
    assert not (home / "mlruns/artifacts" / lost).exists()
    assert known.get_run(theirs).info.lifecycle_stage == "active"
    assert known.get_experiment(thrown_away).lifecycle_stage == "deleted"
    assert {run: files(home, f"mlruns/artifacts/{run}") for run in versions.values()} == before
    done = project.command("-m", "tasks.registry.retire", "--runs", versions[2])
    assert done.returncode == 2
    assert f"{versions[2]} belongs to version 2 of nightmarket; nothing is deleted" in done.stderr
    done = project.command("-m", "tasks.registry.retire", "--versions", "2")
    assert "version 2 delivered, or may yet; nothing is deleted" in done.stderr
    assert pruned(home) == ("", [])


def test_a_servers_own_history_of_old_runs_goes_and_a_log_starts_anew(finished_project, tmp_path, monkeypatch):
    first, _ = finished_project
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    shutil.copytree(first.home / ".prefect", tmp_path / ".prefect")
    database = tmp_path / ".prefect/prefect.db"
    monkeypatch.setattr(server, "LOG_BYTES", 3)
    (tmp_path / ".prefect/server.log").write_text("long ago")

    def rows():
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as base:
            return [
                base.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("flow_run", "task_run", "log")
            ]

    assert min(rows()) > 0
    with contextlib.closing(sqlite3.connect(database)) as base, base:
        base.execute("UPDATE flow_run SET end_time = '2020-01-01 00:00:00.000000'")
    prefect = server.PrefectServer(tmp_path)
    try:
        prefect.wait()
        deadline = time.monotonic() + 60
        while any(rows()) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert rows() == [0, 0, 0]
    finally:
        prefect.stop()
    assert (tmp_path / ".prefect/server.log.1").read_text() == "long ago"
    (tmp_path / "params.yaml").write_text("retention: {days: null}\n")
    assert server.history(tmp_path) == {}


def test_the_nights_of_more_than_a_year_ago_go_and_the_last_retrain_stays(tmp_path):
    diary.add(tmp_path, {"event": "retrain", "at": "2019-01-01T00:00:00+00:00"})
    diary.add(tmp_path, {"event": "retrain", "at": "2019-06-01T00:00:00+00:00"})
    for number in range(diary.KEPT + 3):
        diary.add(tmp_path, {"night": f"2{number:03}-01-01", "at": f"2{number:03}-01-02"})
    assert diary.trim(tmp_path) > 0
    assert len(diary.nights(tmp_path)) == diary.KEPT
    assert diary.nights(tmp_path)[0]["night"] == "2003-01-01"
    assert diary.last_retrain(tmp_path) == "2019-06-01T00:00:00+00:00"
    assert diary.path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert diary.trim(tmp_path) == 0
