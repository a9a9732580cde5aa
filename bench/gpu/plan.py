"""The plan: which steps, in which order, for how long, and what each needs beside the repository."""

import dataclasses
import importlib.util
from collections.abc import Sequence

FIRST = ("torch", "transformers")


@dataclasses.dataclass(frozen=True)
class PlannedStep:
    """A step in a process of its own, which is ended after its minutes.

    minutes  of a plan of eight
    needs    packages beside torch and transformers
    about    what it shows
    """

    name: str
    minutes: float
    about: str
    needs: tuple[str, ...] = ()


OF_STAGES = ("pyarrow", "pandas", "pydantic", "yaml", "scipy", "safetensors")
PLAN = (
    PlannedStep("machine", 0.4, "device, versions, the best bf16 matrix product"),
    PlannedStep(
        "encode", 1.6, "texts a second in either precision, compiled and plain; utilisation; equality with a CPU"
    ),
    PlannedStep("peers", 0.8, "the ratio to sentence-transformers on the same device", ("sentence_transformers",)),
    PlannedStep("pairs", 0.8, "the whole encoder trained on pairs, packed, in bf16 and float32; utilisation"),
    PlannedStep("towers", 0.9, "top layers and towers as `finetune` trains them, compiled, in both", ("scipy",)),
    PlannedStep("resume", 1.1, "pre-training killed and resumed, beside one that was not", ("pyarrow", "safetensors")),
    PlannedStep("ranks", 0.7, "a process per GPU: collectives, gradients and encoding beside those of one process"),
    PlannedStep("night", 1.2, "the night's GPU stages: pretrain, embed, finetune", OF_STAGES),
)
OVERHEAD_MINUTES = 0.5
"""For the processes' starts and the JSON."""


def seconds_until(minutes: float) -> dict[str, float]:
    """{step: seconds from the start at which it is ended}, when all may take so many minutes.

    What a step leaves goes to those after it.
    """
    share = 60 * minutes / (sum(step.minutes for step in PLAN) + OVERHEAD_MINUTES)
    passed, ends = 0.0, {}
    for step in PLAN:
        passed += step.minutes * share
        ends[step.name] = passed
    return ends


def missing(names: Sequence[str]) -> list[str]:
    """Those of the packages that are not installed here."""
    return [name for name in names if importlib.util.find_spec(name) is None]
