"""The house stays in order: one name in six places, imports point down, no dump rooms, no stale stage."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tasks.pipeline import declaration, generate, settings

ROOT = Path(__file__).parents[2]
DAG = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
TOP = {"pyproject.toml", "flows", "apps", "tasks", "params.yaml", "dvc.yaml", "tests", "mlruns"}
DUMPS = {"utils", "util", "common", "helpers", "helper", "misc", "base", "shared", "lib", "core", "stuff"}


def tracked() -> list[Path]:
    """Files that git knows, or would know."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in names.split("\0") if name and (ROOT / name).exists()]


@pytest.mark.parametrize("stage", settings.STAGES)
def test_a_stage_has_one_name_in_six_places(stage):
    assert stage in DAG, f"dvc.yaml has no stage {stage}"
    assert stage in PARAMS, f"params.yaml has no section {stage}"
    assert (ROOT / "tasks" / f"{stage}.py").is_file()
    assert (ROOT / "tests" / "tasks" / f"test_{stage}.py").is_file()
    assert DAG[stage]["cmd"] == f"python -m tasks {stage}"
    for out in outs(DAG[stage]):
        assert out == f"artifacts/{stage}" or out.startswith(f"artifacts/{stage}/"), out


def test_dvc_yaml_is_what_the_declarations_and_the_imports_say():
    assert (ROOT / "dvc.yaml").read_text(encoding="utf-8") == generate.text(), "run python -m tasks.pipeline.generate"


def test_a_changed_module_reruns_the_stages_that_import_it_and_no_other():
    """Search over texts is used by `pretrain` and `bundle` alone among the stages; a ranker by three."""
    using = {name: set(generate.code(name)) for name in settings.STAGES}
    assert [name for name in using if "nightmarket/retrieval/search/lexical.py" in using[name]] == [
        "pretrain",
        "bundle",
    ]
    assert {name for name in using if "nightmarket/reporting/page.py" in using[name]} == {"report"}
    assert all("tasks/__main__.py" in using[name] and f"tasks/{name}.py" in using[name] for name in using)


def test_a_step_says_how_long_it_may_take():
    assert declaration.step("snapshot").timeout_s == 7200
    assert all(declaration.step(name).retries == 1 for name in ("register", "launch"))


def test_dvc_yaml_and_params_yaml_hold_no_other_names():
    assert tuple(DAG) == settings.STAGES
    assert set(PARAMS) == {*settings.OF_NO_STAGE, *settings.STAGES, *settings.STEPS}


def test_the_flow_runs_each_stage_under_its_own_name():
    from flows.engine.run import dag

    assert [stage.name for stage in dag.read(ROOT)] == list(settings.STAGES)


def outs(stage: dict) -> list[str]:
    """Paths that a stage writes."""
    paths = []
    for kind in ("outs", "metrics", "plots"):
        for entry in stage.get(kind, []):
            paths.append(entry if isinstance(entry, str) else next(iter(entry)))
    return paths


def imports(path: Path) -> set[str]:
    """Modules of ours that a file names in an import, wherever in the file."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module)
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in modules if name.split(".")[0] in ("tasks", "nightmarket", "flows", "apps", "bench")}


def closure(start: Path) -> set[Path]:
    """Files of ours that are imported when `start` runs; a module brings the __init__ of its packages."""
    seen: set[Path] = set()
    todo = [start]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imports(path):
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                stem = ROOT.joinpath(*parts[:depth])
                todo += [p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()]
    return seen


@pytest.mark.parametrize("stage", settings.STAGES)
def test_what_a_stage_imports_lies_inside_the_deps_it_declares(stage):
    """Otherwise DVC would serve a stale result after a change of the code."""
    deps = [ROOT / dep for dep in DAG[stage]["deps"]]
    needed = closure(ROOT / "tasks" / f"{stage}.py") | closure(ROOT / "tasks" / "__main__.py")
    trivial = {p for p in needed if p.name == "__init__.py" and len(ast.parse(p.read_text(encoding="utf-8")).body) == 1}
    loose = {p for p in needed - trivial if not any(p == dep or dep in p.parents for dep in deps)}
    assert not loose, f"{stage} imports {sorted(str(p.relative_to(ROOT)) for p in loose)} without declaring them"


@pytest.mark.parametrize("stage", settings.STAGES)
def test_declared_deps_exist_or_are_made_by_a_stage_or_step(stage):
    made = [out for other in DAG.values() for out in outs(other)] + ["data/raw", "data/champion"]
    for dep in DAG[stage]["deps"]:
        inside = any(dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/") for out in made)
        assert inside or (ROOT / dep).exists(), f"{stage} depends on {dep}, which nobody makes"


def test_great_expectations_has_one_user():
    pattern = re.compile(r"^\s*(import|from) great_expectations", re.MULTILINE)
    places = [*(ROOT / "tasks").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]
    users = [path.name for path in places if pattern.search(path.read_text(encoding="utf-8"))]
    assert users == ["expectations.py"]


def test_no_dump_rooms():
    for path in tracked():
        for part in path.with_suffix("").parts:
            assert part.lower() not in DUMPS, f"{path}: what a stranger would look for has a name of its own"


def test_the_folders_that_were_asked_for_are_there():
    missing = {name for name in TOP if not (ROOT / name).exists()}
    assert not missing


@pytest.fixture(scope="module")
def checks() -> str:
    """What `make check` would run."""
    done = subprocess.run(["make", "--dry-run", "check"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy", "lint-imports"])
def test_make_check_asks_every_tool(checks, command):
    """They take a minute and more, so no test runs them."""
    assert re.search(rf"\.venv/bin/{re.escape(command)}(\s|\)|$)", checks), checks


def test_no_path_of_a_machine_and_no_registry_host_is_tracked():
    homes = r"(^|[^A-Za-z0-9_.])/(work|opt|root|home|mnt|srv|Users)/"
    pattern = re.compile(homes + r"|index[-]url|find[-]links|https?://[^ ]*/[s]imple/?")  # it does not match itself
    for path in tracked():
        if path.suffix in (".png", ".parquet"):
            continue
        if not (ROOT / path).is_file():  # an environment that is linked in
            continue
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        assert not pattern.search(text), f"{path} names a path of a machine or a registry"
