"""What an estimate of uplift refuses: arrays that do not fit, groups that are too small, and too little overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.evaluation.uplift.doubly_robust import TRIM

LEAST_GROUP = 50
"""Fewer exposed, or fewer others, and nothing is claimed."""
MOST_TRIMMED = 0.10
"""Largest share of the exposed that may lack a counterpart."""
LEAST_EFFECTIVE = 50.0
"""Fewer effective counterparts, (sum w)² / sum w² (Kish, 1965), and nothing is claimed."""
MOST_IMBALANCE = 0.25
"""Standard deviations; the regression on top still adjusts for less (Rubin, 2001)."""


@dataclass(frozen=True)
class Overlap:
    """How far the exposed and the others share their chances of exposure.

    edges           (B+1,)  of the histogram's bins of the chance of exposure, 0 to 1
    exposed, others (B,)    customers per bin; None where a bin holds 1 to 19
    trimmed         share of the exposed whose chance is above .95, whom nobody resembles; they are left out
    trimmed_all     share of all customers outside [.05, .95], left out of the effect on all
    effective       effective number of counterparts under the weights that make the others resemble the exposed
    imbalance       largest standardised difference of a covariate's means that remains under these weights
    worst           name of that covariate
    """

    num_exposed: int
    num_others: int
    edges: tuple[float, ...]
    exposed: tuple[int | None, ...]
    others: tuple[int | None, ...]
    trimmed: float
    trimmed_all: float
    effective: float
    imbalance: float
    worst: str

    def reasons(self) -> list[str]:
        """Why the overlap does not carry a claim; empty where it does."""
        reasons = []
        if self.trimmed > MOST_TRIMMED:
            reasons.append(f"{self.trimmed:.0%} of the exposed have no counterpart (more than {MOST_TRIMMED:.0%})")
        if self.effective < LEAST_EFFECTIVE:
            reasons.append(f"only {self.effective:.1f} effective counterparts (fewer than {LEAST_EFFECTIVE:.0f})")
        if self.imbalance > MOST_IMBALANCE:
            reasons.append(
                f"{self.worst} still differs by {self.imbalance:.2f} standard deviations (more than {MOST_IMBALANCE})"
            )
        return reasons


def overlap(covariates: Float64s, names: Sequence[str], exposed: Bools, chance: Float64s) -> Overlap:
    """Overlap of the two groups and what the weights e / (1 - e) make of it.

    covariates  (C, F)  called `names`; differences are in standard deviations of the exposed (Austin, 2009)
    chance      (C,)    chance of exposure, cross-fitted
    """
    edges = np.linspace(0, 1, 11)
    counts = [np.histogram(chance[group], edges)[0] for group in (exposed, ~exposed)]
    kept = chance <= 1 - TRIM
    ours, others = exposed & kept, ~exposed & kept
    weight = (chance / (1 - np.minimum(chance, 1 - 1e-9)))[others]
    imbalance, worst = 0.0, ""
    if covariates.shape[1] and ours.any() and weight.sum() > 0:
        spread = covariates[ours].std(axis=0)
        gap = np.abs(covariates[ours].mean(axis=0) - weight @ covariates[others] / weight.sum())
        gap = gap / np.where(spread > 0, spread, 1.0)
        imbalance, worst = float(gap.max()), names[int(gap.argmax())]
    shown = [tuple(int(n) if n == 0 or n >= MIN_GROUP else None for n in row) for row in counts]
    return Overlap(
        num_exposed=int(exposed.sum()),
        num_others=int((~exposed).sum()),
        edges=tuple(float(edge) for edge in edges.round(2)),
        exposed=shown[0],
        others=shown[1],
        trimmed=float((exposed & ~kept).sum() / exposed.sum()),
        trimmed_all=float(((chance < TRIM) | ~kept).mean()),
        effective=float(weight.sum() ** 2 / (weight**2).sum()) if weight.size else 0.0,
        imbalance=imbalance,
        worst=worst,
    )


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
            raise InputError("the covariates hold the placebo, so its effect is 0 by construction; use earlier weeks")
