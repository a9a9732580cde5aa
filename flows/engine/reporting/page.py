"""The morning page after a run: an artifact in Prefect that leads to it, and a copy with the version's MLflow run."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import acreate_markdown_artifact

from flows.engine.run import stage
from nightmarket.contracts import InputError
from tasks.files import storage

PATIENCE_S = 60.0
"""A registry that does not answer costs a night this long and no more."""


async def show(root: Path, outcome: Any) -> None:
    """Keep the page of a published run in MLflow; lead to it from Prefect, with the run's figures and stages."""
    kept = await keep(root) if outcome.report else ""
    await acreate_markdown_artifact(key="report", markdown=markdown(outcome, kept), description=f"run {outcome.run}")


async def keep(root: Path) -> str:
    """Log the page with MLflow, in a process of its own; a line on what was done. A registry that fails is a warning:
    the page lies in its folder."""
    env = stage.environment(storage.home(), {})
    try:
        async with asyncio.timeout(PATIENCE_S):
            said = await stage.run_command(
                "page", [sys.executable, "-m", "tasks.registry.pages"], tree=root, env=env, hold=[]
            )
        return said.splitlines()[-1].removeprefix("page: ")
    except TimeoutError:
        why = f"MLflow did not answer within {PATIENCE_S:g} s"
    except (InputError, stage.StageError) as error:
        why = str(error)
    get_run_logger().warning("the page is not kept with MLflow: %s", why)
    return f"not kept with MLflow: {why}"


def markdown(outcome: Any, kept: str = "") -> str:
    """What the artifact says: where the page lies, the gate's word, who delivers, the figures, and what ran."""
    if outcome.report:
        report = f"[{outcome.report}]({Path(outcome.report).as_uri()})"
    else:
        report = f"not published; kept as refs/runs/{outcome.run}"
    parts = [f"**Report** {report}"]
    if kept:
        parts.append(f"**MLflow** {kept}")
    parts += [f"**Gate** {outcome.decision or 'not asked'}", f"**Champion** {outcome.champion}"]
    if outcome.rows:
        figures = [
            (row["task"], f"{row['value']:.4f}", f"[{row['low']:.4f}, {row['high']:.4f}]") for row in outcome.rows
        ]
        parts.append(_table(("task", "NDCG@10", "95% interval"), figures))
    if outcome.seconds:
        done = [
            (name, "ran" if name in outcome.ran else "skipped: nothing changed", f"{seconds:.1f}")
            for name, seconds in outcome.seconds.items()
            if name != "publish"
        ]
        parts.append(_table(("stage", "tonight", "seconds"), done))
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
