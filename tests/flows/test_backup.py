"""backup and restore: a drill on an empty machine, and files that are none of ours."""

import contextlib
import dataclasses
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile

import pytest

from flows.engine.backup import contents
from flows.engine.forms import terminal
from flows.engine.run import recovery
from nightmarket.contracts import InputError
from tasks.files import archive

PRIVATE = {
    ".nightmarket/customer.key": "ab" * 32 + "\n",
    ".nightmarket/forgotten.json": '{"customers": {}}',
    ".nightmarket/decisions.jsonl": '{"decision": "exported", "run": "campaign-x"}\n',
    ".nightmarket/suppressions.csv": "customer_id\n4711\n",
    ".nightmarket/live/keys.json": "{}",
    "exports/spring/send.csv": "customer_id\n4712\n",
}
LEFT = {
    ".nightmarket/login": "nightmarket:secret",
    ".nightmarket/embeddings/x/vectors": "a cache",
    ".nightmarket/live/log.db-wal": "of the database beside it",
    ".nightmarket/.forgotten.json.99999999.tmp": "a draft",
}


def at(project, monkeypatch):
    for key, value in project.env.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(project.home)
    return project


def cloned(project, home):
    """A fresh clone, as from a server of git's: without runs, data or anything that git does not track."""
    project.git("clone", "--quiet", "--no-local", str(project.home), str(home))
    return dataclasses.replace(project, home=home)


def fill(home):
    """What people and servers leave in a checkout, and what is made anew."""
    for name, text in {**PRIVATE, **LEFT}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    (home / ".nightmarket/customer.key").chmod(0o600)
    (home / ".nightmarket/live/log.db-wal").unlink()
    writer = sqlite3.connect(home / ".nightmarket/live/log.db")
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE events (number INTEGER)")
    writer.execute("INSERT INTO events VALUES (7)")
    writer.commit()
    return writer  # it stays open, as a live site's


@pytest.fixture
def backed_up(project, monkeypatch, tmp_path):
    """A project after a night, a clone of its repository, and the backup, made while a site writes to its log."""
    at(project, monkeypatch)
    (project.home / "params.yaml").write_text("snapshot:\n  business_date: null\nrank:\n  num_leaves: 31\n# ours\n")
    with contextlib.closing(fill(project.home)):
        clone = cloned(project, tmp_path / "elsewhere" / "clone")
        assert terminal.main("backup", ["--to", str(tmp_path / "safe.tar")]) == 0
    return project, clone, tmp_path / "safe.tar"


def state(home):
    """The contents of all that a backup is for, and the runs."""
    names = [name for name in contents.files(home) if not name.endswith(".db")]
    paths = [path for place in ("data", "artifacts") for path in (home / place).rglob("*") if path.is_file()]
    return {name: (home / name).read_bytes() for name in names} | {
        str(path.relative_to(home)): path.read_bytes() for path in paths
    }


def test_a_drill_what_is_restored_in_an_empty_clone_delivers_the_same_bytes(backed_up, monkeypatch, capsys):
    project, clone, file = backed_up
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before, runs = state(project.home), project.git("for-each-ref", "refs/runs")
    report = (project.home / "artifacts/report/index.html").read_bytes()
    shutil.rmtree(project.home)
    at(clone, monkeypatch)
    assert terminal.main("restore", [str(file)]) == 0
    assert "version 1 delivers; next: `python -m flows deliver`" in capsys.readouterr().out
    assert state(clone.home) == before
    assert {name: (clone.home / name).read_text() for name in PRIVATE} == PRIVATE
    assert not [name for name in LEFT if (clone.home / name).exists()]
    assert stat.S_IMODE((clone.home / ".nightmarket/customer.key").stat().st_mode) == 0o600
    assert clone.git("for-each-ref", "refs/runs") == runs != ""
    with contextlib.closing(sqlite3.connect(clone.home / ".nightmarket/live/log.db")) as log:
        assert log.execute("SELECT number FROM events").fetchall() == [(7,)]
    done = clone.flow("deliver", "--force", "report")
    assert done.returncode == 0, done.stdout + done.stderr
    assert clone.started() == ["report"]  # nothing is trained again
    assert (clone.home / "artifacts/report/index.html").read_bytes() == report
    lock = (clone.home / "dvc.lock").read_bytes()
    assert lock == before["dvc.lock"]


def test_a_restore_that_was_killed_lets_no_run_begin_and_ends_as_an_undisturbed_one(backed_up, monkeypatch, capsys):
    project, clone, file = backed_up
    before = state(project.home)
    at(clone, monkeypatch)
    for moment in ("placed:3", "fetched:1"):
        killed = clone.flow("restore", str(file), NIGHTMARKET_FAULT=f"restore.{moment}:kill")
        assert killed.returncode == -9, killed.stdout + killed.stderr
        with pytest.raises(InputError, match="cut short"):
            recovery.recover(clone.home, "nightly-x", print)
        assert terminal.main("backup", ["--to", str(file.with_name("half.tar"))]) == 2
        assert not file.with_name("half.tar").exists()
    assert terminal.main("restore", [str(file)]) == 0, capsys.readouterr().err
    assert state(clone.home) == before
    assert not (clone.home / ".nightmarket" / recovery.RESTORING).exists()


def test_a_project_that_has_any_of_it_is_left_alone_and_named(backed_up, monkeypatch, capsys):
    project, clone, file = backed_up
    for home, named in ((project.home, "params.yaml, dvc.lock"), (clone.home, "exports/autumn/send.csv")):
        if home == clone.home:
            (home / "exports/autumn").mkdir(parents=True)
            (home / "exports/autumn/send.csv").write_text("theirs")
        before = state(home)
        at(dataclasses.replace(project, home=home), monkeypatch)
        assert terminal.main("restore", [str(file)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert named in said
        assert state(home) == before


def test_the_registry_reads_and_delivers_from_where_it_was_restored(shop, monkeypatch, tmp_path, capsys):
    at(shop, monkeypatch)
    clone = cloned(shop, tmp_path / "elsewhere" / "a clone")
    card = shop.command("-m", "tasks.registry.card", "2")
    assert card.returncode == 0, card.stderr
    assert terminal.main("backup", []) == 0
    [file] = (shop.home / "backups").iterdir()
    file = file.rename(tmp_path / file.name)
    shutil.rmtree(shop.home)
    at(clone, monkeypatch)
    assert terminal.main("restore", [str(file)]) == 0, capsys.readouterr().err
    assert clone.command("-m", "tasks.registry.card", "2").stdout == card.stdout
    kept = (clone.home / "mlruns/mlflow.db").read_bytes()
    assert str(shop.home).encode() not in kept.replace(str(clone.home).encode(), b"")
    rolled = clone.command("-m", "tasks.registry.promote", "promote", "--version", "1", "--reason", "t", "--who", "me")
    assert rolled.returncode == 0, rolled.stdout + rolled.stderr  # its package is read from the clone's own mlruns
    assert json.loads((clone.home / "data/champion/receipt.json").read_text())["version"] == 1


def test_what_a_remote_holds_is_left_to_it_and_fetched_again(project, monkeypatch, tmp_path, capsys):
    at(project, monkeypatch)
    for command in (("remote", "add", "--local", "-d", "team", str(tmp_path / "remote")), ("push", "--quiet")):
        assert project.command("-m", "dvc", *command).returncode == 0
    clone = cloned(project, tmp_path / "clone")
    whole, lean = (tmp_path / name for name in ("whole.tar", "lean.tar"))
    assert terminal.main("backup", ["--whole", "--to", str(whole)]) == 0
    assert terminal.main("backup", ["--to", str(lean)]) == 0
    assert "objects are left to DVC's remote" in capsys.readouterr().out
    members = [archive.verify(path, contents.is_member, "backup").files for path in (whole, lean)]
    assert [sum(name.startswith("objects/") for name in names) > 0 for names in members] == [True, False]
    before = state(project.home)
    at(clone, monkeypatch)
    assert terminal.main("restore", [str(lean)]) == 0, capsys.readouterr().err
    assert state(clone.home) == before


def test_what_cannot_be_backed_up_whole_is_said_in_a_line_and_not_written(project, monkeypatch, tmp_path, capsys):
    at(project, monkeypatch)
    (project.home / "mlruns/mlflow.db").write_bytes(b"SQLite format 3\0" + os.urandom(4096))
    objects = sorted((project.home / ".dvc/cache/files/md5").rglob("*/*"))
    assert terminal.main("backup", ["--to", str(tmp_path / "a.tar")]) == 2
    (project.home / "mlruns/mlflow.db").write_bytes(b"")
    objects[0].chmod(0o600)
    objects[0].write_bytes(objects[0].read_bytes() + b" ")
    assert terminal.main("backup", ["--to", str(tmp_path / "a.tar")]) == 2
    objects[0].unlink()
    assert terminal.main("backup", ["--to", str(tmp_path / "a.tar")]) == 2
    (tmp_path / "a.tar").write_text("somebody's")
    assert terminal.main("backup", ["--to", str(tmp_path / "a.tar")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert ["mlflow.db" in said[0], "damaged" in said[1], "neither in the cache" in said[2], "is there" in said[3]] == [
        True
    ] * 4
    assert [path.name for path in tmp_path.glob("*.tar*")] == ["a.tar"]
    assert (tmp_path / "a.tar").read_text() == "somebody's"


def made(path, members, *, last=True):
    """An archive as ours are made, of these members."""
    with archive.writing(path) as writer:
        for name, content in members.items():
            source = path.with_name("member")
            source.write_bytes(content)
            writer.add(name, source)
        if last:
            writer.finish({"made": "now", "home": "/x", "commit": "0" * 40, "champion": None})
    return path


def with_member(path, member, content=b""):
    """The archive at `path` with one more member before its manifest, which lists it."""
    with tarfile.open(path, "w") as tar:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def special(name, kind, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


KEY = "files/.nightmarket/customer.key"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "cannot be read: No such file"),
        (lambda path: path.parent, "cannot be read: Is a directory"),
        (lambda path: (path.write_bytes(b""), path)[1], "is no tar file"),
        (lambda path: (path.write_bytes(os.urandom(99_999)), path)[1], "is no tar file"),
        (lambda path: made(path, {KEY: b"k"}, last=False), "no manifest"),
        (lambda path: made(path, {"files/../../out": b"k"}), "which no backup does"),
        (lambda path: made(path, {"files/.git/hooks/post-checkout": b"k"}), "which no backup does"),
        (lambda path: made(path, {"files/tasks/rank.py": b"k"}), "which no backup does"),
        (lambda path: made(path, {"/etc/passwd": b"k"}), "which no backup does"),
        (lambda path: made(path, {"files/exports/./a": b"k"}), "which no backup does"),
        (lambda path: with_member(path, special(KEY, tarfile.SYMTYPE, "/etc/passwd")), "which no backup does"),
        (lambda path: with_member(path, special(KEY, tarfile.LNKTYPE, "x")), "which no backup does"),
        (lambda path: with_member(path, special(KEY, tarfile.CHRTYPE)), "which no backup does"),
        (lambda path: with_member(path, special(archive.MANIFEST, tarfile.REGTYPE), b"{}"), "manifest is damaged"),
    ],
)
def test_a_file_that_is_no_backup_is_refused_in_one_line(make, words, tmp_path):
    path = make(tmp_path / "file.tar")
    with pytest.raises(InputError, match=words) as refused:
        archive.verify(path, contents.is_member, "backup")
    assert "\n" not in str(refused.value)


def test_a_backup_of_another_format_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "FORMAT", 2)
    path = made(tmp_path / "file.tar", {KEY: b"k"})
    monkeypatch.undo()
    with pytest.raises(InputError, match="has format 2 and this version reads 1; use the one that made it"):
        archive.verify(path, contents.is_member, "backup")


def test_a_backup_cut_short_or_changed_anywhere_is_refused(tmp_path):
    whole = made(tmp_path / "file.tar", {KEY: b"k" * 700, "files/params.yaml": b"rank: {}\n"}).read_bytes()
    assert archive.verify(tmp_path / "file.tar", contents.is_member, "backup").num_bytes == 709
    length = len(whole.rstrip(b"\0"))  # what follows is padding
    for end in range(0, length, 97):
        (tmp_path / "cut.tar").write_bytes(whole[:end])
        with pytest.raises(InputError):
            archive.verify(tmp_path / "cut.tar", contents.is_member, "backup")
    unseen = 0
    for place in range(0, length, 7):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        (tmp_path / "flipped.tar").write_bytes(flipped)
        try:
            taken = archive.verify(tmp_path / "flipped.tar", contents.is_member, "backup")
        except InputError:
            continue
        unseen += 1  # padding between members, which nobody reads
        folder = tmp_path / f"taken{place}"
        folder.mkdir()
        taken.unpack(folder)
        assert (folder / KEY).read_bytes() == b"k" * 700
        assert (folder / "files/params.yaml").read_bytes() == b"rank: {}\n"
    assert unseen < length / 7 / 2
