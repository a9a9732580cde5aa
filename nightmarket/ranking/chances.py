"""What a model says of candidates, beside what was bought: taken down while the lists are made."""

from typing import Any

import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float64s, Int32s
from nightmarket.evaluation.calibration import calibration_figures
from nightmarket.ranking.calibration import Calibration
from nightmarket.ranking.candidate_set import Batch


class Chances:
    """Probabilities of a window's candidates.

    bought  (C, I) has an entry for what was bought in the target days
    places  of each list whose candidates are kept
    """

    def __init__(self, calibration: Calibration | None, bought: sparse.csr_matrix, places: int) -> None:
        self._calibration, self._bought, self._places = calibration, bought, places
        self._parts: list[tuple[Float64s, Bools, Int32s]] = []
        self._first: list[tuple[Int32s, Float64s, Bools, Int32s]] = []

    def see(self, batch: Batch, score: Float64s, own: Bools) -> None:
        """Take note of one batch."""
        chance = np.full(score.size, np.nan)
        if self._calibration is not None:
            chance = self._calibration.probability(score, own)
            self._parts.append((chance, batch.label(self._bought), batch.customer))
        order = np.lexsort((batch.item, -score, batch.customer))
        customer = batch.customer[order]
        first = order[np.arange(customer.size) - np.searchsorted(customer, customer) < self._places]
        self._first.append((batch.customer[first], chance[first], own[first], batch.item[first]))

    def first_places(self) -> tuple[Int32s, Float64s, Bools, Int32s]:
        """The first places of every list: (N,) customer, probability (NaN without), own product, item."""
        customer, chance, own, item = (np.concatenate(part) for part in zip(*self._first, strict=True))
        return customer, chance, own, item

    def figures(self) -> dict[str, Any]:
        """Calibration error, log-loss and the rest; empty where the model gives no probabilities."""
        if not self._parts:
            return {}
        chance, label, customer = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        return calibration_figures(chance, label, customer)
