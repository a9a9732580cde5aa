"""Were there others like the exposed? Without counterparts no adjustment can help."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
        found = []
        if self.trimmed > MOST_TRIMMED:
            found.append(f"{self.trimmed:.0%} of the exposed have no counterpart (more than {MOST_TRIMMED:.0%})")
        if self.effective < LEAST_EFFECTIVE:
            found.append(f"only {self.effective:.1f} effective counterparts (fewer than {LEAST_EFFECTIVE:.0f})")
        if self.imbalance > MOST_IMBALANCE:
            found.append(
                f"{self.worst} still differs by {self.imbalance:.2f} standard deviations (more than {MOST_IMBALANCE})"
            )
        return found


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
