"""How long who bought a product does not need it again, from how soon customers bought it, or its kind, again.

N purchases, I items.
"""

import numpy as np

from nightmarket.contracts.arrays import Float32s, Int32s
from nightmarket.histories.catalogue import Catalogue

MIN_GAPS = 20
"""Pairs of a purchase and the next one of the same customer from which a product, or a kind, has a cycle of its own."""
MIN_BUYERS, RARELY = 50, 0.02
"""Buyers of a kind from which it is said to be bought once, where at most this share of them bought it again."""
ONCE = 91.0
"""Days of what is bought once."""
EARLY = 0.25
"""Of the gaps, which are shorter than the cycle: nearly nobody needs it sooner."""


def cycles(customer: Int32s, item: Int32s, day: Int32s, catalogue: Catalogue) -> Float32s:
    """(I,) days; 0 where it cannot be told.

    customer, item, day  (N,)  of each purchase, in any order
    """
    every = np.arange(catalogue.num_items, dtype=np.int32)
    own, _ = _cycles(customer, item, day, every)
    of_kind, once = _cycles(customer, catalogue.kind[item], day, np.arange(catalogue.kind.max(initial=-1) + 1))
    of_kind = np.where(once, np.float32(ONCE), of_kind)
    if not of_kind.size:
        return np.zeros(catalogue.num_items, np.float32)
    return np.where(own > 0, own, of_kind[catalogue.kind]).astype(np.float32)


def _cycles(customer: Int32s, code: Int32s, day: Int32s, codes: np.ndarray) -> tuple[Float32s, np.ndarray]:
    """(K,) the early gap of each code, 0 where there are too few; and which codes are bought once."""
    num = codes.size
    order = np.lexsort((day, code, customer))
    customer, code, day = customer[order], code[order], day[order]
    same = (np.diff(customer, prepend=-1) == 0) & (np.diff(code, prepend=-1) == 0)
    gap = np.diff(day, prepend=0)
    again = same & (gap > 0)
    buyers, back = (np.bincount(code[rows], minlength=num) for rows in (~same, again))
    once = (buyers >= MIN_BUYERS) & (back <= RARELY * buyers)
    gaps, of = gap[again], code[again]
    order = np.lexsort((gaps, of))
    first = np.searchsorted(of[order], codes)
    place = np.minimum(first + (EARLY * back).astype(np.int64), max(gaps.size - 1, 0))
    early = gaps[order][place] if gaps.size else np.zeros(num)
    return np.where(back >= MIN_GAPS, early, 0).astype(np.float32), once
