"""When in the day is a customer at the shop? Day parts, quiet hours, and each customer's preference, shrunk.

Shapes: C customers, S slots (day parts).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s, Float64s, Int64s

HOURS = 24


@dataclass(frozen=True)
class Slot:
    """Hours first ≤ hour < last of a local day."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """As written in params.yaml: "18-21"."""
        return f"{self.first}-{self.last}"

    def quiet(self, begin: int, end: int) -> bool:
        """Whether an hour of the slot lies in the quiet hours, which run from `begin` to `end`, over midnight where
        begin > end; none where they are equal."""
        length = (end - begin) % HOURS
        return any((hour - begin) % HOURS < length for hour in range(self.first, self.last))


def slots(names: tuple[str, ...], key: str) -> list[Slot]:
    """Slots from names like "18-21"; InputError, naming `key`, where one is no part of a day or two overlap."""
    found = []
    for name in names:
        first, dash, last = name.partition("-")
        hours = [int(part) if part.strip().isdigit() else -1 for part in (first, last)]
        if not dash or not 0 <= hours[0] < hours[1] <= HOURS:
            raise InputError(f'params.yaml: {key}: "{name}" is no slot; write hours of one day, like "18-21"')
        found.append(Slot(*hours))
    for one, other in zip(sorted(found, key=lambda s: s.first), sorted(found, key=lambda s: s.first)[1:], strict=False):
        if other.first < one.last:
            raise InputError(f"params.yaml: {key}: {one.name} and {other.name} overlap; every hour belongs to one slot")
    return found


def slot_of_hour(parts: list[Slot]) -> Int64s:
    """(24,) the slot of each hour, -1 for hours outside all slots."""
    out = np.full(HOURS, -1, np.int64)
    for at, slot in enumerate(parts):
        out[slot.first : slot.last] = at
    return out


@dataclass(frozen=True)
class Preference:
    """Dirichlet prior over slots, fitted to a population.

    share     (S,)  of visits, population
    strength  visits that the prior is worth; inf where customers do not differ
    """

    share: Float64s
    strength: float

    @classmethod
    def fit(cls, counts: NDArray) -> "Preference":
        """From (C, S) visits per slot: the population's shares, and the strength of greatest likelihood under the
        Dirichlet-multinomial (Minka, "Estimating a Dirichlet distribution", 2000), sought on a grid of factor 1.19."""
        total = counts.sum(axis=0).astype(np.float64)
        num = total.size
        if total.sum() == 0:
            return cls(np.full(num, 1 / num), np.inf)
        share = (total + 0.5) / (total.sum() + 0.5 * num)
        sizes = counts.sum(axis=1)
        some = np.flatnonzero(sizes > 0)[:: max(1, int((sizes > 0).sum()) // 20_000)]
        grid = 2.0 ** np.arange(-2, 12, 0.25)
        fits = [_likelihood(counts[some].astype(np.float64), share * strength) for strength in grid]
        best = int(np.argmax(fits))
        return cls(share, float(grid[best]) if best < grid.size - 1 else np.inf)

    def of(self, counts: NDArray) -> Float64s:
        """(C, S) each customer's share of visits per slot, shrunk to the population's; rows sum to 1."""
        if np.isinf(self.strength):
            return np.broadcast_to(self.share, counts.shape)
        size = counts.sum(axis=1, keepdims=True) + self.strength
        return np.asarray((counts + self.strength * self.share) / size, np.float64)


def _likelihood(counts: Float64s, alpha: Float64s) -> float:
    """Log-likelihood of counts (n, S) under a Dirichlet-multinomial, without the part that alpha does not change."""
    whole = alpha.sum()
    rows = gammaln(whole) - gammaln(counts.sum(axis=1) + whole)
    return float(rows.sum() + (gammaln(counts + alpha) - gammaln(alpha)).sum())


def log_likelihood(shares: NDArray, counts: NDArray) -> float:
    """Mean log-likelihood of a visit: shares (C, S) or (S,), visits (C, S); nan without visits."""
    num = counts.sum()
    return float((counts * np.log(shares)).sum() / num) if num else float("nan")


def damping(shares: Float64s, effect: float) -> Float32s:
    """(C, S) factor on the chance of a response: 1 in the customer's best slot, 1 - effect in one never visited."""
    best = shares.max(axis=1, keepdims=True)
    return np.asarray(1 - effect * (1 - shares / best), np.float32)
