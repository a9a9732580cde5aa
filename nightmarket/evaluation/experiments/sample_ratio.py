"""Did the arms get the customers that they should have got? If not, nothing else of the experiment can be believed."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from nightmarket.contracts import InputError

LEVEL = 0.001
"""Below it the split is broken. Strict, because the check is repeated every night and a break stops everything."""


class SampleRatio(NamedTuple):
    """Customers per arm, the numbers that the shares ask for, and the chi-square p-value."""

    found: dict[str, int]
    expected: dict[str, float]
    p_value: float

    @property
    def passed(self) -> bool:
        """Whether the split is what it should be, as far as these customers can tell."""
        return self.p_value >= LEVEL


def sample_ratio(found: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Pearson's chi-square of the arms' customers against the planned shares (Fabijan et al., KDD 2019).

    found   customers per arm; an arm of the plan without customers counts as 0
    shares  planned share per arm, above 0; they are scaled to sum to 1

    Raises InputError for an arm that the plan does not know.
    """
    unknown = sorted(set(found) - set(shares))
    if unknown:
        raise InputError(
            f"{len(unknown)} arms are not in the plan, first '{unknown[0]}'; name every arm with its share"
        )
    if any(not share > 0 for share in shares.values()):
        raise InputError("a share of an arm is not above 0; leave arms without customers out of the plan")
    arms = list(shares)
    counts = np.array([found.get(arm, 0) for arm in arms], np.float64)
    expected = counts.sum() * np.array(list(shares.values())) / sum(shares.values())
    statistic = float(((counts - expected) ** 2 / expected).sum()) if counts.sum() else 0.0
    return SampleRatio(
        {arm: int(count) for arm, count in zip(arms, counts, strict=True)},
        {arm: float(count) for arm, count in zip(arms, expected, strict=True)},
        float(chi2.sf(statistic, len(arms) - 1)),
    )
