"""`python -m tasks.pipeline.generate`: write dvc.yaml from the stages' declarations and from what their modules import.

It also writes unavailable.yaml, with a line per side stage. With --check nothing is written: exit status 1 and one line
where a committed file is out of date.
"""

import ast
import importlib
import sys
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tasks.pipeline import unavailable
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import STAGES

ROOT = Path(__file__).parents[2]
PACKAGES = ("tasks", "nightmarket")
WIDTH = 120
HEAD = """\
# Generated from the declarations in tasks/ and from the modules that each stage imports: do not edit it by hand, run
# `python -m tasks.pipeline.generate`. Prefect reads the DAG here; `meta` carries what a flow needs to run a stage.
stages:
"""


def stage(name: str) -> Stage:
    """The declaration of a stage."""
    declared: Stage = importlib.import_module(f"tasks.{name}").STAGE
    return declared


def text(stages: Iterable[str] = STAGES) -> str:
    """The whole of dvc.yaml."""
    return HEAD + "\n".join(_entry(name, stage(name)) for name in stages)


def files() -> dict[str, str]:
    """What is generated: file name to content."""
    sides = [name for name in STAGES if stage(name).side]
    return {"dvc.yaml": text(), unavailable.FILE: unavailable.text(sides)}


def _entry(name: str, declared: Stage) -> str:
    outs = [str(artifact) for artifact in declared.writes]
    params = [name, *declared.sections, *([f"{{{unavailable.FILE}: [{name}]}}"] if declared.side else [])]
    meta: dict[str, str | int] = {"pool": declared.pool, "timeout_s": declared.timeout_s, "retries": declared.retries}
    if declared.phase != "retrain":
        meta["phase"] = declared.phase
    if declared.side:
        meta["side"] = "true"
    lines = [
        f"  {name}:",
        f"    desc: {declared.about}",
        f"    cmd: python -m tasks {name}",
        _listed("deps", [*map(str, declared.reads), *code(name)]),
        _listed("params", params),
    ]
    if outs:
        lines.append(_listed("outs", outs))
    if declared.metrics:
        lines.append(_listed("metrics", [str(artifact) for artifact in declared.metrics]))
    if declared.plots:
        lines.append("    plots:")
        lines += [f"      - {plot.artifact}: {{x: {plot.x}, y: {plot.y}}}" for plot in declared.plots]
    lines.append(f"    meta: {{{', '.join(f'{key}: {value}' for key, value in meta.items())}}}")
    return "\n".join(lines) + "\n"


def _listed(key: str, values: list[str]) -> str:
    start = f"    {key}: ["
    whole = f"{start}{', '.join(values)}]"
    return "\n".join(
        textwrap.wrap(whole, WIDTH, subsequent_indent=" " * len(start), break_long_words=False, break_on_hyphens=False)
    )


def code(name: str) -> list[str]:
    """What a stage's command runs of our code, file by file, with the templates and data of the rooms it imports from.

    An __init__ that holds a docstring alone is left out: no result can depend on it.
    """
    modules = closure(Path("tasks", f"{name}.py")) | closure(Path("tasks", "__main__.py"))
    needed = {path for path in modules if path.name != "__init__.py" or _does_something(path)}
    needed |= {folder for path in modules if (ROOT / (folder := path.parent / "templates")).is_dir()}
    beside = {data for path in modules for data in (ROOT / path.parent).iterdir() if data.suffix in (".yaml", ".txt")}
    needed |= {data.relative_to(ROOT) for data in beside}
    return sorted(path.as_posix() for path in needed)


def closure(start: Path) -> frozenset[Path]:
    """Modules of ours, relative to the checkout, that are imported when `start` runs, wherever in a file."""
    reached: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += _imported(path)
    return frozenset(reached)


@cache
def _imported(path: Path) -> frozenset[Path]:
    return frozenset(module for name in _names(path) for module in _modules(name))


def _names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _modules(name: str) -> Iterator[Path]:
    """The files that importing a dotted name runs; a module brings the __init__ of its packages."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return
    for depth in range(1, len(parts) + 1):
        stem = Path(*parts[:depth])
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if (ROOT / path).is_file():
                yield path


@cache
def _does_something(path: Path) -> bool:
    return len(ast.parse((ROOT / path).read_text(encoding="utf-8")).body) > 1


def main(arguments: list[str]) -> int:
    """Write, or with --check compare."""
    for name, content in files().items():
        path = ROOT / name
        if "--check" not in arguments:
            path.write_text(content, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != content:
            print(f"{name} is out of date; run `python -m tasks.pipeline.generate` and commit it", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
