"""CONTRIBUTING's "Add a stage", followed to the letter in a copy of the code."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TOOLS = Path(sys.executable).parent


def blocks() -> list[str]:
    """Code of "Add a stage", in order."""
    section = TEXT.split("## Add a stage")[1].split("\n## ")[0]
    return re.findall(r"```(?:python|yaml|text)\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of what git tracks, with the stage added as the page says."""
    folder = tmp_path_factory.mktemp("contributor") / "nightmarket"
    for name in ("nightmarket", "tasks", "flows", "bench", "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "params.yaml", "dvc.yaml", "README.md", "prefect.yaml", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    function, artifact, stage, name, section, test = blocks()
    (folder / "nightmarket/demand/weekdays.py").write_text(function, encoding="utf-8")
    (folder / "tasks/weekdays.py").write_text(stage, encoding="utf-8")
    (folder / "tests/tasks/test_weekdays.py").write_text(test, encoding="utf-8")
    for path, added in (("tasks/files/catalogue.py", artifact), ("params.yaml", section)):
        with (folder / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{added}")
    settings = folder / "tasks/pipeline/settings.py"
    content = settings.read_text(encoding="utf-8").replace('    "demand",\n', f'{name}    "demand",\n', 1)
    settings.write_text(content, encoding="utf-8")
    return folder


def run(house, *command):
    done = subprocess.run(command, cwd=house, capture_output=True, text=True, env={"PATH": f"{TOOLS}:/usr/bin:/bin"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_new_stage_is_generated_and_its_test_and_the_quick_checks_pass(house):
    run(house, sys.executable, "-m", "tasks.pipeline.generate")
    run(house, sys.executable, "-m", "docs.generate", "--write")
    dag = (house / "dvc.yaml").read_text(encoding="utf-8")
    assert "cmd: python -m tasks weekdays" in dag
    assert "nightmarket/demand/weekdays.py" in dag.split("\n  weekdays:")[1].split("\n  demand:")[0]
    run(house, TOOLS / "ruff", "check", "nightmarket", "tasks", "tests/tasks")
    run(house, TOOLS / "ruff", "format", "--check", "nightmarket", "tasks", "tests/tasks/test_weekdays.py")
    run(house, TOOLS / "lint-imports", "--no-cache")
    said = run(house, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/tasks/test_weekdays.py")
    assert "1 passed" in said
