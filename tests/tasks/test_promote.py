"""Promotions and rollbacks by hand, with real packages of a small shop: what is refused, kills, and races."""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from nightmarket.contracts import InputError
from nightmarket.serving import set_environment
from tasks import register
from tasks.files import manifest
from tasks.registry import card, champion, promote, promotion, side_by_side, soundness

set_environment()
from mlflow import MlflowClient  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MLFLOW_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def training(folder, number):
    """The folder's artifacts are those of another training: another dvc.lock, another weight."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    made = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
    locked = {name: {"cmd": name, "outs": [{"path": f"artifacts/{name}", "md5": made}]} for name in stages}
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": locked}))
    (folder / "artifacts/finetune/tower.json").write_text(
        (folder / "artifacts/finetune/tower.json").read_text().rstrip() + " " * number
    )


@pytest.fixture(scope="module")
def three_versions(whole_night, tmp_path_factory):
    """A checkout with three versions; the third is champion, the second was before it."""
    folder = tmp_path_factory.mktemp("three") / "night"
    shutil.copytree(whole_night, folder)
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        for number in (1, 2, 3):
            training(folder, number)
            register.run(register.Settings())
            promote.run(number, reason="the fixture", who="fixture")
    return folder


def enter(folder, monkeypatch):
    monkeypatch.setenv("NIGHTMARKET_HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


def copied(source, target):
    """A copy of a checkout; MLflow keeps absolute paths, so they are moved too."""
    shutil.copytree(source, target)
    with contextlib.closing(sqlite3.connect(target / "mlruns/mlflow.db")) as database, database:
        for table, column in MLFLOW_PATHS:
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(moved, (str(source), str(target)))
    return target


@pytest.fixture
def shop(three_versions, tmp_path, monkeypatch):
    return enter(copied(three_versions, tmp_path / "night"), monkeypatch)


def client():
    uri = f"sqlite:///{Path.cwd() / 'mlruns/mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def versions():
    registered = client().search_model_versions("name = 'nightmarket'")
    return {int(version.version): version for version in registered}


def holders():
    aliases = client().get_registered_model("nightmarket").aliases
    return {alias: int(version) for alias, version in aliases.items()}


def consistent():
    """Aliases, data/champion, spans and record name one champion; returns it."""
    reigning = holders()["champion"]
    assert champion.receipt()["version"] == reigning
    manifest.verify(champion.storage.CHAMPION)
    spans = [(number, span["until"]) for number, version in versions().items() for span in promotion.spans(version)]
    open_spans = [number for number, until in spans if until is None]
    assert open_spans == [reigning]
    assert not any(promotion.INTENT in version.tags for version in versions().values())
    lines = promotion.changes()
    assert lines[-1]["version"] == reigning
    assert [line["from"] for line in lines[1:]] == [line["version"] for line in lines[:-1]]
    return reigning


def test_the_same_change_within_one_second_is_two_lines(shop, monkeypatch):
    monkeypatch.setattr(promotion, "now", lambda: "2026-01-01T00:00:00Z")
    before = len(promotion.changes())
    for _ in range(2):
        promote.run(1, reason="to and fro", who="Ann")
        promote.run(3, reason="to and fro", who="Ann")
    assert [change["version"] for change in promotion.changes()[before:]] == [1, 3, 1, 3]
    assert consistent() == 3


def test_an_earlier_version_becomes_champion_with_who_when_and_why_on_record(shop):
    said = promote.run(1, reason="steadier", who="Ann")
    assert said == "version 1 became champion in place of version 3 on the word of Ann: steadier"
    assert holders() == {"champion": 1, "previous_champion": 3}
    assert consistent() == 1
    decision = json.loads(Path("data/champion/decision.json").read_text())
    assert decision["sentence"] == said
    assert decision["promoted"]["by"] == "Ann"
    assert "promote by Ann" in versions()[1].description
    assert "the champion before" in versions()[3].description
    assert promotion.changes()[-1]["how"] == "promote"
    assert promote.run(1, reason="again", who="Ann") == "version 1 delivers already; nothing changed"
    assert len(promotion.spans(versions()[1])) == 2
    training(shop, 4)
    register.run(register.Settings())
    assert json.loads(Path("data/champion/decision.json").read_text())["against"] == "version 1"


def test_two_versions_stand_side_by_side_in_a_terminal(shop, capsys):
    assert side_by_side.main(["1", "2"]) == 0
    said = capsys.readouterr().out
    assert ".0000 [.0000, .0000] level" in said  # the same model twice
    for words in ("B minus A, customer by customer", "No parameter differs", "events: ", "the same content"):
        assert words in said
    assert side_by_side.main(["1", "99"]) == 2
    assert "99" in capsys.readouterr().err


def test_a_rollback_brings_the_one_before_back_once(shop):
    assert promote.run(None, reason="odd", who="Ann").startswith(
        "version 2 became champion in place of version 3 by a rollback"
    )
    assert consistent() == 2
    with pytest.raises(InputError, match="version 2 is there by a rollback already \\(from version 3, "):
        promote.run(None, reason="odd", who="Ann")
    assert consistent() == 2


def test_a_version_that_the_gate_refused_may_be_promoted_and_its_card_says_so(shop, capsys):
    client().set_model_version_tag("nightmarket", "1", "gate", "refused")
    assert "against the gate's refusal" in promote.run(1, reason="we know better", who="Ann")
    assert card.main(["1"]) == 0
    assert "against the gate's word, promote by Ann" in capsys.readouterr().out


def test_a_version_that_older_code_refused_gets_the_receipt_that_it_lacks(shop):
    run = versions()[1].run_id
    artifacts = Path(client().get_run(run).info.artifact_uri.removeprefix("file://"))
    kept = json.loads((artifacts / "receipt.json").read_text())
    (artifacts / "receipt.json").unlink()
    assert at_once([(shop, words("promote", 1), None)]) == [0]  # here MLflow remembers where the copied run lay
    assert consistent() == 1
    receipt = champion.receipt()
    assert {key: kept[key] for key in ("trained_until", "window", "commit")}.items() <= receipt.items()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (9, "there is no version 9; there are 1, 2, 3"),
        (2, "the package of version 2 .* was changed"),
    ],
)
def test_what_cannot_be_had_is_refused_and_nothing_changes(shop, number, message):
    before = Path("data/champion/decision.json").read_bytes()
    model = versions()[2].source.rpartition("/")[2]
    [path] = (shop / f"mlruns/artifacts/models/{model}").rglob("finetune/tower.json")
    path.write_text(path.read_text() + " ")
    with pytest.raises(InputError, match=message):
        promote.run(number, reason="why not", who="Ann")
    assert consistent() == 3
    assert Path("data/champion/decision.json").read_bytes() == before


def not_finite(folder):
    tensors = load_file(folder / "finetune/text_vectors.safetensors")
    tensors["vectors"][0, 0] = np.nan
    save_file(tensors, folder / "finetune/text_vectors.safetensors")


def lacking(folder):
    tensors = load_file(folder / "finetune/tower.safetensors")
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, folder / "finetune/tower.safetensors")


def nan_leaf(folder):
    text = (folder / "rank/ranker.txt").read_text()
    (folder / "rank/ranker.txt").write_text(text.replace("leaf_value=", "leaf_value=nan ", 1))


def other_feature(folder):
    text = (folder / "rank/ranker.txt").read_text()
    (folder / "rank/ranker.txt").write_text(text.replace("feature_names=", "feature_names=moon_phase_", 1))


def older_code(folder):
    facts = json.loads((folder / "rank/ranker.json").read_text())
    facts.pop("forests")
    (folder / "rank/ranker.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (not_finite, r"finetune/text_vectors.safetensors: tensor 'vectors' is not finite"),
        (lacking, r"tower: tensor '.*' is missing"),
        (nan_leaf, r"rank/ranker.txt: a leaf is not finite"),
        (other_feature, r"features that are not made here, first 'moon_phase_"),
        (older_code, r"written by an older version"),
    ],
)
def test_a_package_that_cannot_serve_is_named_in_one_line(copied_night, breaks, message):
    for part in ("rank", "finetune"):
        shutil.copytree(f"artifacts/{part}", f"package/{part}")
    breaks(Path("package"))
    with pytest.raises(InputError, match=f"^version 4 cannot be scored by this code \\(.*{message}") as caught:
        soundness.check(Path("package"), "version 4")
    assert "\n" not in str(caught.value)


def test_a_package_of_this_code_is_scored_on_trial(copied_night, caplog):
    for part in ("rank", "finetune"):
        shutil.copytree(f"artifacts/{part}", f"package/{part}")
    with caplog.at_level("INFO", "nightmarket"):
        soundness.check(Path("package"), "version 4")
    assert "candidates on trial" in caplog.text


def test_where_nobody_delivered_before_there_is_nothing_to_roll_back_to(shop):
    client().delete_registered_model_alias("nightmarket", "previous_champion")
    with pytest.raises(InputError, match="nothing delivered before version 3"):
        promote.run(None, reason="odd", who="Ann")


PROCESSES = """
import json, os, signal, sys
from pathlib import Path
from nightmarket.serving import set_environment
set_environment()
from tasks.registry import promote, promotion, soundness
from nightmarket.serving import figures, package, registry

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def move_and_die(self, version, move=registry.Registry.promote):
    move(self, version)
    die()

def fork(folder, arguments, moment):
    child = os.fork()
    if child:
        return child
    if moment == "before the aliases": registry.Registry.promote = die
    if moment == "between aliases and folder": registry.Registry.promote = move_and_die
    if moment == "before the record": promotion.records.append_once = die
    if moment == "in the record": promotion._hand_over = die
    os.environ["NIGHTMARKET_HOME"] = folder
    os.chdir(folder)
    status = 1
    try:
        status = promote.main(arguments)
    finally:
        os._exit(status)

jobs = json.load(sys.stdin)
os.chdir(jobs[0][0])
soundness.check(Path("data/champion"), "on trial")  # every import once, for all of them
children = [fork(*job) for job in jobs]
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""
"""Processes that change the champion, forked from one that has imported everything; some die at a moment of ours."""


def at_once(jobs):
    """Run changes at the same time; jobs are (folder, arguments, moment of death or None)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    given = json.dumps([[str(folder), arguments, moment] for folder, arguments, moment in jobs])
    command = [sys.executable, "-c", PROCESSES]
    done = subprocess.run(command, input=given, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def words(how, number=None):
    wanted = [how, "--reason", "a test", "--who", "Ann"]
    return wanted if number is None else [*wanted, "--version", str(number)]


MOMENTS = ("before the aliases", "between aliases and folder", "before the record", "in the record")


@pytest.fixture(scope="module")
def killed(three_versions, tmp_path_factory):
    """Checkouts whose promotion or rollback was killed, by moment."""
    folders = {moment: copied(three_versions, tmp_path_factory.mktemp("killed") / "night") for moment in MOMENTS}
    jobs = [(folder, words("rollback"), moment) for moment, folder in folders.items()]
    assert at_once(jobs) == [-9, -9, -9, -9]
    return folders


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_a_whole_champion_and_the_same_command_finishes(killed, moment, monkeypatch):
    enter(killed[moment], monkeypatch)
    manifest.verify(champion.storage.CHAMPION)
    said = promote.run(None, reason="a test", who="Ann")
    began = moment != "before the aliases"
    assert ("that was cut short is finished" in said) is began
    assert consistent() == 2
    assert [change["version"] for change in promotion.changes()][-2:] == [3, 2]


def test_changes_at_the_same_time_never_leave_a_wrong_champion(shop, capfd):
    for _ in range(2):
        jobs = [words("promote", 1), words("promote", 2), words("rollback"), words("promote", 3)]
        ended = at_once([(shop, arguments, None) for arguments in jobs])
        assert set(ended) <= {0, 2}
        assert [ended[place] for place in (0, 1, 3)] == [0, 0, 0]
        consistent()
    assert "Traceback" not in capfd.readouterr().err
