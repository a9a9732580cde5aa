"""What the estimates refuse to look at."""

from collections.abc import Sequence

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.evaluation.uplift.overlap import LEAST_GROUP


def too_few(exposed: Bools) -> list[str]:
    """Which of the two groups is too small for any estimate, as reasons."""
    groups = {"exposed": int(exposed.sum()), "not exposed": int((~exposed).sum())}
    return [
        f"fewer than {LEAST_GROUP} customers were {name}" for name, number in groups.items() if number < LEAST_GROUP
    ]


def check(
    covariates: Float64s, exposed: Bools, outcome: Float64s, placebo: Float64s | None, control: Float64s | None,
    names: Sequence[str],
) -> None:  # fmt: skip
    """Raises InputError on arrays that do not fit, values that are not finite, and a placebo among the covariates."""
    if covariates.ndim != 2 or covariates.shape[1] != len(names):
        raise InputError(f"covariates of shape {covariates.shape} do not fit {len(names)} names")
    if exposed.dtype != np.bool_:
        raise InputError(f"exposed is {exposed.dtype}, it must be bool")
    for name, array in {"covariates": covariates, "exposed": exposed, "outcome": outcome, "placebo": placebo,
                        "negative control": control}.items():  # fmt: skip
        if array is None:
            continue
        if array.shape[0] != exposed.size:
            raise InputError(f"{name} has {array.shape[0]} rows, exposed has {exposed.size}; they must be the same")
        bad = ~np.isfinite(array)
        if bad.any():
            first = np.argwhere(bad)[0]
            where = f"column {names[first[1]]}" if name == "covariates" else f"row {first[0]}"
            raise InputError(f"{name}: {int(bad.sum())} values are not finite, the first in {where}; fill or drop them")
    if placebo is not None and covariates.shape[1] and placebo.std() > 0:
        held = np.column_stack([np.ones(exposed.size), covariates])
        rest = placebo - held @ np.linalg.lstsq(held, placebo, rcond=None)[0]
        if exposed.size > 2 * held.shape[1] and rest.var() < 1e-6 * placebo.var():
            raise InputError("the covariates hold the placebo, which is nil by construction then; use earlier weeks")
