"""How strong something that nobody recorded would have to be to explain an adjusted difference away.

Cinelli & Hazlett (2020), "Making sense of sensitivity", for the regression of the outcome on exposure and covariates.

Shapes: C customers, F covariates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.evaluation.uplift.doubly_robust import design


@dataclass(frozen=True)
class Sensitivity:
    """Shares of the variance that the covariates leave open, in [0, 1].

    robustness           the robustness value: a hidden confounder that explains this share of what is left of exposure
                         *and* of the outcome would bring the regression's difference to 0
    robustness_interval  the same until its 95% interval holds 0; 0 where it does already
    strongest            the recorded covariate that moves the difference most; "" without covariates
    of_exposure          share of exposure that it explains beyond the other covariates
    of_outcome           share of the outcome that it explains beyond them and exposure
    """

    robustness: float
    robustness_interval: float
    strongest: str
    of_exposure: float
    of_outcome: float

    def words(self) -> str:
        """One sentence for people."""
        said = (
            f"Something unrecorded that explained {self.robustness:.1%} of what is left open in both exposure and "
            "outcome would make it zero"
        )
        if self.strongest:
            said += f"; {self.strongest}, the strongest on record, explains {self.of_exposure:.1%} and "
            said += f"{self.of_outcome:.1%}"
        return f"{said}."


def sensitivity(covariates: Float64s, names: Sequence[str], exposed: Bools, outcome: Float64s) -> Sensitivity:
    """From covariates (C, F) called `names`, with their inverse hyperbolic sines, exposure (C,) and outcome (C,)."""
    blocks = [design(covariates[:, [number]]) for number in range(covariates.shape[1])]
    group = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
    table = np.column_stack([*blocks, exposed - exposed.mean(), outcome - outcome.mean()])
    gram, (treatment, result) = table.T @ table, (group.size, group.size + 1)
    columns = np.arange(group.size)
    freedom = max(exposed.size - group.size - 2, 2)
    ratio = _partial_f2(gram, result, columns, np.array([treatment]))
    line = float(stats.t.ppf(0.975, freedom - 1)) / np.sqrt(freedom - 1)
    strongest, shares, most = "", (0.0, 0.0), -1.0
    for number, name in enumerate(names):
        own, others = columns[group == number], columns[group != number]
        of_exposure = _partial_f2(gram, treatment, others, own)
        of_outcome = _partial_f2(gram, result, np.r_[others, treatment], own)
        if own.size and of_exposure * of_outcome > most:
            most, strongest = of_exposure * of_outcome, name
            shares = of_exposure / (1 + of_exposure), of_outcome / (1 + of_outcome)
    root = np.sqrt(ratio)
    return Sensitivity(_robustness(root), _robustness(max(root - line, 0.0)), strongest, *shares)


def _robustness(f: float) -> float:
    """RV = (sqrt(f⁴ + 4 f²) - f²) / 2."""
    return float((np.sqrt(f**4 + 4 * f**2) - f**2) / 2)


def _partial_f2(gram: Float64s, target: int, given: Int64s, added: Int64s) -> float:
    """Cohen's f² of the columns `added` on `target`, beyond the columns `given`: explained over left."""
    before = _left(gram, target, given)
    after = _left(gram, target, np.r_[given, added])
    return max(before - after, 0.0) / after if after > 1e-12 * max(gram[target, target], 1e-300) else 0.0


def _left(gram: Float64s, target: int, given: Int64s) -> float:
    """Sum of squares of column `target` that the columns `given` do not explain."""
    if given.size == 0:
        return float(gram[target, target])
    cross = gram[given, target]
    inverse = np.linalg.pinv(gram[np.ix_(given, given)], rcond=1e-10, hermitian=True)
    return float(gram[target, target] - cross @ inverse @ cross)
