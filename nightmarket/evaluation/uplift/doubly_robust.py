"""Doubly robust effects of an exposure: right if either the chance of exposure or the outcome is modelled right.

Shapes: C customers, F covariates, P columns of the design, Y outcomes.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from nightmarket.contracts.arrays import Bools, Float64s, Int64s

NUM_FOLDS = 5
TRIM = 0.05
"""Customers whose chance of exposure lies within this of a certainty have no counterpart in the other group."""
_PENALTIES = np.logspace(0, 4, 9)


@dataclass(frozen=True)
class Estimate:
    """A mean difference in the outcome's unit, per customer, with its standard error and 95% interval."""

    value: float
    low: float
    high: float
    error: float

    def covers(self, value: float) -> bool:
        """Whether the interval holds the value."""
        return self.low <= value <= self.high


def estimate(influence: Float64s, value: float, freedom: float, tests: int = 1) -> Estimate:
    """The 95% interval from an influence function (C,), by Student's t with `freedom` degrees of freedom.

    With several `tests` side by side each interval is Bonferroni's: all hold together with 95%.
    """
    error = float(np.sqrt(((influence - influence.mean()) ** 2).sum()) / influence.size)
    reach = float(stats.t.ppf(1 - 0.025 / tests, max(freedom, 1.0))) * error
    return Estimate(value, value - reach, value + reach, error)


def naive(exposed: Bools, outcome: Float64s) -> Estimate:
    """Mean of the exposed less the mean of the others, unadjusted (Welch, 1947)."""
    share = exposed.mean()
    means = outcome[exposed].mean(), outcome[~exposed].mean()
    influence = np.where(exposed, (outcome - means[0]) / share, -(outcome - means[1]) / (1 - share))
    return estimate(influence, float(means[0] - means[1]), min(exposed.sum(), (~exposed).sum()) - 1)


def design(covariates: Float64s) -> Float64s:
    """(C, P) covariates and their inverse hyperbolic sines, of mean 0 and variance 1; constant columns are left out.

    The sine's scale is the median of the covariate's absolute values above 0, so that money and counts, which have
    long tails, enter by their order of magnitude too.
    """
    size = np.abs(covariates)
    scale = np.array([np.median(column[column > 0]) if (column > 0).any() else 1.0 for column in size.T])
    wide = np.hstack([covariates, np.arcsinh(covariates / scale)]) if covariates.size else covariates
    spread = wide.std(axis=0)
    kept = spread > 1e-9 * np.maximum(np.abs(wide).max(axis=0, initial=0.0), 1e-300)
    return (wide[:, kept] - wide[:, kept].mean(axis=0)) / spread[kept]


def folds(exposed: Bools, seed: int, num: int = NUM_FOLDS) -> Int64s:
    """(C,) fold of each customer, both groups dealt evenly."""
    rng = np.random.default_rng(seed)
    place = np.zeros(exposed.size, np.int64)
    for group in (exposed, ~exposed):
        place[group] = rng.permutation(int(group.sum())) % num
    return place


def propensities(features: Float64s, exposed: Bools, fold: Int64s) -> Float64s:
    """(C,) chance of exposure by a logistic regression that did not see the customer's fold."""
    from sklearn.linear_model import LogisticRegression

    chance = np.empty(exposed.size)
    for number in np.unique(fold):
        out = fold == number
        if features.shape[1] == 0:
            chance[out] = exposed[~out].mean()
            continue
        model = LogisticRegression(solver="newton-cholesky", max_iter=200).fit(features[~out], exposed[~out])
        chance[out] = model.predict_proba(features[out])[:, 1]
    return np.clip(chance, 1e-6, 1 - 1e-6)


def outcomes(features: Float64s, outcome_CY: Float64s, learn: Bools, fold: Int64s) -> Float64s:
    """(C, Y) expected outcomes by ridge regressions on the customers of `learn` outside the customer's fold; the
    penalty by generalised cross-validation (Golub, Heath & Wahba, 1979)."""
    from sklearn.linear_model import RidgeCV

    expected = np.empty(outcome_CY.shape)
    for number in np.unique(fold):
        out, known = fold == number, (fold != number) & learn
        if features.shape[1] == 0:
            expected[out] = outcome_CY[known].mean(axis=0)
            continue
        model = RidgeCV(_PENALTIES, alpha_per_target=True).fit(features[known], outcome_CY[known])
        expected[out] = model.predict(features[out]).reshape(-1, outcome_CY.shape[1])
    return expected


def effect_on_exposed(
    exposed: Bools, chance: Float64s, outcome: Float64s, expected: Float64s, kept: Bools
) -> tuple[float, Float64s]:
    """The effect on the exposed (ATT) and its influence function (kept,), by augmented inverse weighting.

    mean over the exposed of y - m0(x), less the mean over the others of the same with weights e / (1 - e) that are
    normalised to 1 (Robins, Rotnitzky & Zhao, 1994; Hahn, 1998). expected (C,) is m0, the outcome without exposure.
    Only customers of `kept` count.
    """
    exposed, chance, rest = exposed[kept], chance[kept], (outcome - expected)[kept]
    ours = exposed / exposed.mean()
    theirs = np.where(exposed, 0.0, chance / (1 - chance))
    theirs = theirs / theirs.mean()
    first, second = float((ours * rest).mean()), float((theirs * rest).mean())
    return first - second, ours * (rest - first) - theirs * (rest - second)


def effect_on_all(
    exposed: Bools, chance: Float64s, outcome: Float64s, expected: tuple[Float64s, Float64s], kept: Bools
) -> tuple[float, Float64s]:
    """The effect on all `kept` customers (ATE) and its influence function, by augmented inverse weighting:
    m1 - m0 + a (y - m1) / e - (1 - a) (y - m0) / (1 - e), mean over customers (Robins, Rotnitzky & Zhao, 1994).

    expected  m0 and m1, each (C,): the outcome without and with exposure
    """
    without, with_it = expected
    score = (with_it - without + np.where(exposed, (outcome - with_it) / chance, -(outcome - without) / (1 - chance)))[
        kept
    ]
    value = float(score.mean())
    return value, score - value
