"""Purchases grouped by age: fine where they are recent, coarse where they are old.

Shapes: B customers, H recency bins, D width of a text vector, N purchase lines.
Sums per bin hold no learned weight, so a learned half-life costs H numbers and not one per purchase.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nightmarket.contracts.arrays import Int64s

_EDGES = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 104)
AGES = tuple((low + high - 1) / 2 for low, high in zip(_EDGES, (*_EDGES[1:], 156), strict=True))
"""Age of each bin in weeks: the middle of its span; the last bin is open."""

NUM_BINS = len(AGES)


def age_bin(age: NDArray) -> Int64s:
    """Recency bin of purchases that are `age` weeks old (0 = the week of the cut)."""
    return np.searchsorted(np.array(_EDGES), age, side="right") - 1


def pooled(table: Tensor, rows: NDArray, owner: Int64s, age: NDArray, num_customers: int) -> tuple[Tensor, Tensor]:
    """Sums [B, H, D] of the lines' vectors per customer and recency bin, and their numbers [B, H].

    table  [M, D]  vectors; not differentiated
    rows   (N,)    row of the table that a purchase line has
    owner  (N,)    customer of a line, 0..B-1
    age    (N,)    weeks before the cut
    """
    bag = owner * NUM_BINS + age_bin(age)
    order = np.lexsort((rows, bag))
    counts = np.bincount(bag, minlength=num_customers * NUM_BINS)
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    index = torch.from_numpy(rows[order].astype(np.int64)).to(table.device)
    with torch.no_grad():
        sums = functional.embedding_bag(index, table, torch.from_numpy(offsets).to(table.device), mode="sum")
    number = torch.from_numpy(counts.astype(np.float32)).to(table.device)
    return sums.view(num_customers, NUM_BINS, -1), number.view(num_customers, NUM_BINS)


def ranges(begin: Int64s, end: Int64s) -> tuple[Int64s, Int64s]:
    """All integers of the ranges [begin, end), and which range each is from."""
    size = end - begin
    owner = np.repeat(np.arange(len(begin)), size)
    start = np.repeat(begin - np.concatenate([[0], np.cumsum(size)[:-1]]), size)
    return np.arange(len(owner)) + start, owner
