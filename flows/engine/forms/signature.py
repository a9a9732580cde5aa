"""What a flow is for and what it takes without being told, read from its module without importing it."""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FLOWS = Path(__file__).parents[2]
ELSEWHERE = {
    "retrain": "engine/run/phase_flow.py",
    "deliver": "engine/run/phase_flow.py",
    "forget": "engine/privacy/forgetting.py",
    "rotate": "engine/privacy/rotation.py",
    "prune": "engine/retention/prune.py",
    "heartbeat": "engine/reporting/heartbeat.py",
    "backup": "engine/backup/backup.py",
    "restore": "engine/backup/restore.py",
}
"""Where the work of a flow stands that has no module of its own, or only its name there."""


def overview(names: Iterable[str]) -> str:
    """The flows with a line on each, for `python -m flows --help`."""
    width = max(map(len, names))
    lines = [f"  {name:{width}}  {about(name)}" for name in names]
    usage = "usage: python -m flows FLOW [OPTIONS]; python -m flows FLOW --help says what a flow takes"
    return "\n".join([usage, "", *lines])


def about(name: str) -> str:
    """The first line of what the flow's module says of itself."""
    own = FLOWS / f"{name}.py"
    path = own if own.exists() else FLOWS / ELSEWHERE[name]
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
    said = first.rpartition("`: ")[2]
    return said[0].upper() + said[1:]


def defaults(name: str) -> dict[str, Any]:
    """Parameter → what it is without being told; those alone that have a plain value."""
    tree = ast.parse((FLOWS / ELSEWHERE.get(name, f"{name}.py")).read_text(encoding="utf-8"))
    wanted = (name, "run_phase")
    made = next(node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef) and node.name in wanted)
    given = zip(reversed(made.args.args), reversed(made.args.defaults), strict=False)
    return {argument.arg: value.value for argument, value in given if isinstance(value, ast.Constant)}
