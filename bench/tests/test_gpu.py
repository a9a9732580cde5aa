"""bench.gpu: its plan keeps to its minutes, and every step runs, on the CPU, from what is packed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.gpu import __main__ as command
from bench.gpu.night import MOST_BYTES, pack
from bench.gpu.plan import OVERHEAD_MINUTES, PLAN, PlannedStep, seconds_until
from bench.gpu.world import WEIGHTS
from tests.tasks.conftest import whole_night  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
MACHINE = PLAN[0]


def asked(*words):
    return subprocess.run(
        [sys.executable, "-m", "bench.gpu", *words], cwd=ROOT, capture_output=True, text=True, timeout=900
    )


def test_the_plans_minutes_add_up_to_eight_and_its_steps_end_within_what_is_given():
    assert sum(step.minutes for step in PLAN) + OVERHEAD_MINUTES <= 8
    for minutes in (8.0, 2.0):
        ends = list(seconds_until(minutes).values())
        assert ends == sorted(ends)
        assert ends[-1] < 60 * minutes


def test_a_step_that_is_too_slow_is_ended_and_one_whose_package_is_missing_is_named(tmp_path, monkeypatch):
    (tmp_path / "machine.jsonl").write_text('{"told": 1}\n')
    ended = command._run(MACHINE, 0.0, tmp_path, None, True)
    assert (ended["status"], ended["told"]) == ("time", 1)
    monkeypatch.setattr(command, "PLAN", (PlannedStep("machine", 1, "", ("torch", "no_such_package")),))
    monkeypatch.setattr(command, "seconds_until", lambda _: {"machine": 60})
    results = command.Results(8, True, tmp_path / "out.json")
    command.run_all(results, tmp_path, None, None)
    assert json.loads((tmp_path / "out.json").read_text())["steps"] == {
        "machine": {"status": "missing", "packages": ["no_such_package"]}
    }


@pytest.mark.slow
def test_without_a_gpu_it_says_so_in_a_line():
    if command._has_gpu():
        pytest.skip("there is a GPU")
    done = asked()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bench.gpu: no GPU is at hand; --dry runs the same paths on the CPU\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_step_runs_dry_from_packed_files_and_its_figures_are_one_json_object(whole_night, tmp_path):  # noqa: F811
    files = tmp_path / "files"
    assert pack(files, whole_night) <= MOST_BYTES
    assert (files / WEIGHTS / "model.safetensors").stat().st_size < 50e6
    shutil.rmtree(files / WEIGHTS)  # a tiny one is made there
    done = asked("--dry", "--minutes", "14", "--files", str(files), "--out", str(tmp_path / "out.json"))
    figures = json.loads(done.stdout.splitlines()[-1])
    steps = figures["steps"]
    assert done.returncode == 0, {name: step.get("why", step["status"]) for name, step in steps.items()}
    assert figures == json.loads((tmp_path / "out.json").read_text())
    assert list(steps) == [step.name for step in PLAN]
    assert {step["status"] for step in steps.values()} == {"done"}
    assert steps["encode"]["bfloat16"]["equal"]
    assert steps["encode"]["float32"]["equal"]
    assert steps["peers"]["ratio"] > 0
    assert all(
        steps[name][precision]["finite"] for name in ("pairs", "towers") for precision in ("bfloat16", "float32")
    )
    assert steps["resume"]["resumed_from"] == 10
    assert steps["resume"]["identical"]
    assert (steps["ranks"]["processes"], steps["ranks"]["equal"]) == (2, True)
    assert steps["night"]["history"]["device"] == "cpu"
