"""How surprising a difference is had the customers been dealt to the arms anew: what skewed outcomes ask for.

Where an arm has some twenty buyers, or one customer spends more than all others, a difference over its standard error
is far from normal: with a tenth of the customers treated and heavy-tailed revenue, it passes 1.96 in far more than 5%
of experiments without an effect. If nobody was affected, the outcomes are what they are and only chance dealt the arms:
the sum over one arm is Σ A v with known v and independent A, and its distribution asks nothing of the tails.
"""

import math

import numpy as np
from scipy.special import expit

from nightmarket.contracts.arrays import Bools, Float64s

_STEPS = 60
_SMALL = 1e-3
"""A root this near zero is that of the mean, where the second-order term is a difference of two zeros."""


def score(values: Float64s, dealt: Bools) -> float:
    """The normal score of the sum of `values` over those dealt to an arm, among all ways to deal as many on average.

    values  (n,)  outcomes of both arms, as nobody was affected: their mean is taken off
    dealt   (n,)  who is in the arm; some are, some are not

    Barndorff-Nielsen's r* of the exact cumulants (saddlepoint; Robinson, 1982; Lugannani and Rice, 1980), relative
    error of order 1/n in the tails. 0 where all values are the same.
    """
    share = float(dealt.mean())
    centred = values - values.mean()
    error = math.sqrt(share * (1 - share) * float(centred @ centred))
    if not error > 0:
        return 0.0
    unit = centred / error
    total = float(unit[dealt].sum())
    tilt, spread = _saddle(unit, share, total)
    logged = np.logaddexp(math.log1p(-share), math.log(share) + tilt * unit).sum()
    root = math.copysign(math.sqrt(max(2 * (tilt * total - float(logged)), 0.0)), tilt)
    if abs(root) < _SMALL or not spread > 0:
        return root
    return root + math.log(tilt * math.sqrt(spread) / root) / root


def _saddle(unit: Float64s, share: float, total: float) -> tuple[float, float]:
    """The tilt under which the expected sum is `total`, and the sum's variance there: Newton, kept between bounds."""
    odds = math.log(share / (1 - share))
    tilt, low, high = total, -math.inf, math.inf
    spread = 1.0
    for _ in range(_STEPS):
        chance = expit(odds + tilt * unit)
        miss = float(chance @ unit) - total
        spread = float((chance * (1 - chance)) @ unit**2)
        if abs(miss) < 1e-9:
            break
        low, high = (tilt, high) if miss < 0 else (low, tilt)
        step = tilt - miss / max(spread, 1e-300)
        reach = 2 * abs(tilt) + 1
        tilt = min(max(step, tilt - reach), tilt + reach) if not low < step < high else step
        if not low < tilt < high:
            tilt = (low + high) / 2
    return tilt, spread
