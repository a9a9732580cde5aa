"""For each item the items that stand beside it, best first. I items, L places, A candidates."""

from dataclasses import dataclass

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Int32s

ROWS = 4096


@dataclass(frozen=True)
class Beside:
    """item (I, L), -1 behind the last; score (I, L), falling."""

    item: Int32s
    score: Float32s

    @classmethod
    def none(cls, num_items: int, num: int) -> "Beside":
        """Nothing beside anything yet."""
        return cls(np.full((num_items, num), -1, np.int32), np.zeros((num_items, num), np.float32))

    def put(self, rows: Int32s, items: Int32s, scores: Float32s) -> None:
        """The best of the items (A,) for some rows (B,), by scores (B, A) above 0, ties to the lower item."""
        num = min(self.item.shape[1], items.size)
        if num == 0 or not rows.size:
            return
        best = np.sort(np.argpartition(-scores, num - 1, axis=1)[:, :num], axis=1)
        value = np.take_along_axis(scores, best, axis=1)
        order = np.argsort(-value, axis=1, kind="stable")
        best, value = np.take_along_axis(best, order, axis=1), np.take_along_axis(value, order, axis=1)
        self.item[rows, :num] = np.where(value > 0, items[best], -1)
        self.score[rows, :num] = np.maximum(value, 0)

    def where(self, kept: Bools) -> "Beside":
        """Without the places (I, L) that are not kept; what is behind them moves up."""
        kept = kept & (self.item >= 0)
        order = np.argsort(~kept, axis=1, kind="stable")
        item, score = np.where(kept, self.item, -1), np.where(kept, self.score, 0)
        return Beside(np.take_along_axis(item, order, axis=1), np.take_along_axis(score, order, axis=1))

    def one_of_group(self, group: Int32s, own: Int32s | None = None) -> "Beside":
        """Each list with one of a group of sizes and colours, and none of a row's own.

        group  (I,) -1 for a product of its own
        own    (rows,) -1 for a row without one; None: row i is item i
        """
        owners = group if own is None else own
        kept = np.ones(self.item.shape, bool)
        for start in range(0, self.item.shape[0], ROWS):
            rows = slice(start, start + ROWS)
            code = np.where(self.item[rows] >= 0, group[self.item[rows]], -1)
            known = code >= 0
            kept[rows] &= ~(known & (code == owners[rows][:, None]))
            for place in range(1, code.shape[1]):
                kept[rows, place] &= ~(known[:, place] & (code[:, :place] == code[:, place, None]).any(axis=1))
        return self.where(kept)


def unit(vectors: Float32s) -> Float32s:
    """(I, D) rows of length 1; rows of zeros stay."""
    wide = vectors.astype(np.float32)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(length, 1e-9), np.float32)
