"""How busy a day is beside what was expected of it, hour by hour while it goes on.

Three things make a day other than expected, and each says something else of the hours to come. The day's own level
lasts all day (gamma-Poisson). A change lasts from an hour on: Bayesian detection of change points (Adams and MacKay,
2007), a level of its own for each hour at which it may have begun. A burst or lull is one hour's and says nothing of
the next: each hour is one with a small chance, and a level learns from an hour as far as the hour is none.
"""

import numpy as np
from scipy.special import gammaln

from nightmarket.contracts.arrays import Float64s

CHANGE = 0.01
"""Chance that a level of its own begins with an hour."""
BURST = 0.03
"""Chance that an hour is a burst or a lull."""
WIDE = 0.7
"""Shape of the gamma distribution, mean 1, of levels that nothing is known of: a tenth and tenfold are nothing odd."""
LEAST = 0.01
"""Of the mean hour: an hour in which nobody was expected counts as if so many were."""


class DayLevels:
    """What today's arrivals say of the rest of the day.

    expected  (H,)  arrivals of each hour, as earlier days lead to expect
    shape     of the gamma prior, mean 1, of the day's own level: 1 / its variance
    unrest    how much more the arrivals of an hour vary than chance alone lets them, at least 1: each counts for one
              over that
    """

    def __init__(self, expected: Float64s, shape: float, unrest: float) -> None:
        self._expected = np.maximum(expected, LEAST * expected.mean()) / unrest
        self._unrest = unrest
        self._hour = 0
        self._weight = np.zeros(1)  # log, of each hour at which today's level may have begun
        self._shape, self._rate = np.array([shape]), np.array([shape])
        self._in_hour = 0.0

    def arrived(self, hour: float) -> None:
        """One more, at an hour of the day."""
        self._settle(hour)
        self._in_hour += 1 / self._unrest

    def scenarios(self, hour: float) -> tuple[Float64s, Float64s, Float64s]:
        """Chances (S,) of what the day may be like, and for each the arrivals over the expected ones: for the rest of
        this hour (S,), and for the hours after it (S,). Those of less than a thousandth are left out."""
        self._settle(hour)
        seen, expected = self._in_hour, float(self._expected[self._hour] * (hour - self._hour))
        weight, own = self._judged(seen, expected)
        weight = np.exp(weight - weight.max())
        chance = np.concatenate([weight * own, weight * (1 - own)])
        steady, before = (self._shape + seen) / (self._rate + expected), self._shape / self._rate
        burst = np.full(weight.size, (WIDE + seen) / (WIDE + expected))
        now, later = np.concatenate([steady, burst]), np.concatenate([steady, before])
        kept = chance > 1e-3 * chance.sum()
        return chance[kept] / chance[kept].sum(), now[kept], later[kept]

    def _judged(self, seen: float, expected: float) -> tuple[Float64s, Float64s]:
        """Log weights after an hour, or a part of it, and the chance of each level that the hour is its own."""
        if expected <= 0:
            return self._weight, np.full(self._weight.size, 1 - BURST)
        steady = np.log1p(-BURST) + _log_chance(seen, expected, self._shape, self._rate)
        burst = np.log(BURST) + _log_chance(seen, expected, np.array(WIDE), np.array(WIDE))
        both = np.logaddexp(steady, burst)
        return self._weight + both, np.exp(steady - both)

    def _settle(self, hour: float) -> None:
        """Learn from the hours that are over."""
        while self._hour < min(int(hour), self._expected.size - 1):
            seen, expected = self._in_hour, float(self._expected[self._hour])
            weight, own = self._judged(seen, expected)
            every = np.logaddexp.reduce(weight)
            self._weight = np.append(weight - every + np.log1p(-CHANGE), np.log(CHANGE))
            self._shape = np.append(self._shape + own * seen, WIDE)
            self._rate = np.append(self._rate + own * expected, WIDE)
            self._hour, self._in_hour = self._hour + 1, 0.0


def _log_chance(seen: float, expected: float, shape: Float64s, rate: Float64s) -> Float64s:
    """Log of the negative binomial chance of so many arrivals under a gamma distribution of the level."""
    whole = rate + expected
    return np.asarray(
        gammaln(shape + seen)
        - gammaln(shape)
        - gammaln(seen + 1)
        + shape * np.log(rate / whole)
        + seen * np.log(expected / whole)
    )
