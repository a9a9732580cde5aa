"""Rows of different length that change: R rows, N members that come or go."""

import numpy as np

from nightmarket.contracts.arrays import Int32s, Values
from nightmarket.ranking.sessions.shop import Ragged


def placed(rows: Ragged, row: Int32s, item: Int32s, num: int, first: bool = False) -> Ragged:
    """`num` rows, at least as many as there were, with items (N,) at the ends of theirs, or at their beginnings."""
    ends = np.append(rows.indptr, np.full(num + 1 - rows.indptr.size, rows.indptr[-1]))
    order = np.argsort(row, kind="stable")
    row, item = row[order], item[order]
    indptr = ends + np.append(0, np.cumsum(np.bincount(row, minlength=num)))
    at = ends[row] if first else ends[row + 1]
    return Ragged(indptr.astype(np.int64), np.insert(rows.item, at, item).astype(np.int32))


def dropped(rows: Ragged, item: Int32s) -> Ragged:
    """Without these items, wherever they stand."""
    kept = ~np.isin(rows.item, item)
    if kept.all():
        return rows
    before = np.append(0, np.cumsum(kept))
    return Ragged(before[rows.indptr].astype(np.int64), rows.item[kept])


def grown(values: Values, num: int, fill: float = 0) -> Values:
    """A copy of `num` rows, the further ones filled."""
    out = np.full((num, *values.shape[1:]), fill, values.dtype)
    out[: values.shape[0]] = values
    return out
