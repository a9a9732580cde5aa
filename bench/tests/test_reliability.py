"""A part of bench.reliability, and what it found the last time against what the documentation says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench/faults/results.json"


def bench(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench.reliability", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_quick_part_finds_nothing_wrong():
    done = bench("--quick", "--part", "kills", "corruptions", "malformed", "fuzz")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["kills"] >= 120
    assert summary["violations"] == summary["odd_inputs_wrong"] == 0
    assert summary["malformed"] == summary["malformed_caught"] == summary["malformed_located"] == 25
    assert (summary["valid_days"], summary["false_alarms"]) == (5, 0)
    assert summary["corruptions"] == summary["corruptions_found"] >= 150


@pytest.mark.slow
def test_a_kill_is_done_again_by_its_seed_scene_and_hook():
    done = bench("--seed", "11", "--scenario", "champion", "--hook", "swap.swapped:1:kill+champion.filled:1:kill")
    assert json.loads(done.stdout.splitlines()[-1]) == {"kills": 2, "violations": []}


def test_the_figures_of_the_documentation_are_those_of_the_last_run():
    summary = json.loads(RESULTS.read_text(encoding="utf-8"))["summary"]
    page = (ROOT / "docs/explanation/reliability.md").read_text(encoding="utf-8")
    for name, number in summary.items():
        if name not in ("seed", "machine"):
            assert f"| `{name}` | {number:,} |" in page, name


def test_the_headline_figures_are_those_of_the_last_run():
    summary = json.loads(RESULTS.read_text(encoding="utf-8"))["summary"]
    page = (ROOT / "docs/reference/figures.md").read_text(encoding="utf-8")
    for line in (
        "processes killed at {hooks} named moments, {kills_of_the_whole_stack} of them in whole nights; lost, "
        "half-written or wrong | {kills:,}; {violations}",
        "bytes flipped or cut in cache, remote, tables and weights; found before use | {corruptions:,}; "
        "{corruptions_found:,}",
        "rounds of four racing promotions; wrong | {races}; {races_wrong}",
        "stages on a full disk; old state lost or bytes not named | {full_disks}; {full_disks_wrong}",
        "classes of broken tables; stopped or set aside; message with file, column and row | {malformed}; "
        "{malformed_caught}; {malformed_located}",
        "good days; false alarms | {valid_days}; {false_alarms}",
        "odd inputs; that end in more than a line | {odd_inputs:,}; {odd_inputs_wrong}",
        "planted secrets and customers; found anywhere | {planted_secrets} and {planted_customers}; {planted_found}",
        "longest wait for a Prefect server or MLflow that is gone | {longest_wait_s} s",
    ):
        assert line.format(**summary) in page, line
