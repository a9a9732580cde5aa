"""How a stage or a step says what it is: inputs, outputs, parameters, pool, time-out, retries.

Each module of a stage holds one `STAGE`, each module of a step that a flow runs one `STEP`. `dvc.yaml` is generated
from the stages' declarations and from what their modules import: `python -m tasks.pipeline.generate`.
"""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.files.catalogue import Artifact


@dataclass(frozen=True)
class Plot:
    """A CSV file that `dvc plots` draws, with its axes."""

    artifact: Artifact
    x: str
    y: str


@dataclass(frozen=True)
class Stage:
    """A function of files that DVC runs when an input, a parameter or an imported module changed.

    about     one line for `dvc stage list` and the docs
    reads     artifacts, besides the code
    writes    artifacts, all under artifacts/NAME
    metrics   JSON files among what it writes that `dvc metrics` shows
    plots     CSV files among what it writes that `dvc plots` shows
    sections  sections of params.yaml that it reads beside its own
    phase     retrain: before the gate; deliver: from the champion
    pool      the work pool that runs it
    timeout_s seconds after which an attempt is ended
    retries   further attempts where it failed for another reason than wrong input
    side      nothing that serves customers needs it: where it fails, the night goes on without it
    """

    about: str
    reads: tuple[Artifact, ...]
    writes: tuple[Artifact, ...] = ()
    metrics: tuple[Artifact, ...] = ()
    plots: tuple[Plot, ...] = ()
    sections: tuple[str, ...] = ()
    phase: Literal["retrain", "deliver"] = "retrain"
    pool: Literal["cpu", "gpu"] = "cpu"
    timeout_s: int = 1200
    retries: int = 1
    side: bool = False


@dataclass(frozen=True)
class Step:
    """Work with an effect outside its files, so that DVC cannot decide whether it is due; a flow runs it."""

    about: str
    timeout_s: int = 1800
    retries: int = 1


def step(name: str) -> Step:
    """The declaration of a step, read without importing its module, which may take seconds to import."""
    tree = ast.parse(Path(__file__).parents[1].joinpath(f"{name}.py").read_text(encoding="utf-8"))
    calls = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STEP"
    )
    call = next(value for value in calls if isinstance(value, ast.Call))
    named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    return Step(*map(ast.literal_eval, call.args), **named)
