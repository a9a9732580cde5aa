"""A forest as arrays: the scores of LightGBM, to the last bit, without its start-up or its work at every call.

Every condition of every tree is looked at once, and a tree's leaf is the first one that no failed condition rules out:
the bit vectors of QuickScorer (Lucchese et al., 2015). For some hundred rows, and trees of at most 64 leaves.

T trees, S conditions of a tree at most, L leaves, N rows, F features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import ModelError
from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s

MOST_LEAVES = 64
ZERO = 1e-35
"""Below which LightGBM takes a value for 0."""
CATEGORICAL, DEFAULT_LEFT, ZERO_MISSING, NAN_MISSING = 1, 2, 4, 8
"""Bits of LightGBM's `decision_type`."""


@dataclass(frozen=True)
class CompiledForest:
    """feature, threshold, mask  (T, S)  of each condition; the mask has no bit of a leaf that lies left of it
    nan_left, zero_left        (T, S)  whether a missing value goes left, and a 0
    leaf       (T, L)  what each leaf adds
    names      (F,)
    text       LightGBM's own form, from which all this was made
    """

    feature: Int32s
    threshold: Float64s
    mask: NDArray[np.uint64]
    nan_left: Bools
    zero_left: NDArray[np.int8]
    leaf: Float64s
    names: tuple[str, ...]
    text: str

    @classmethod
    def of(cls, text: str) -> "CompiledForest":
        """From LightGBM's text form. Raises ModelError for a forest that is damaged or has what is not known here."""
        head, *trees = text.split("\nTree=")
        try:
            names = tuple(_fields(head)["feature_names"].split())
            parts = [_Tree.of(_fields(tree.partition("\n\n")[0])) for tree in trees]
            size = max([1, *(tree.feature.size for tree in parts)])
            leaves = max([1, *(tree.leaf.size for tree in parts)])
        except (KeyError, ValueError, IndexError) as error:
            raise ModelError(f"a forest's text is damaged ({str(error)[:60]}); make it anew") from None
        every = (1 << MOST_LEAVES) - 1

        def stacked(name: str, width: int, fill: float, kind: type) -> NDArray:
            table: NDArray = np.full((len(parts), width), fill, kind)
            for row, tree in enumerate(parts):
                values = getattr(tree, name)
                table[row, : values.size] = values
            return table

        return cls(
            stacked("feature", size, 0, np.int32),
            stacked("threshold", size, np.inf, np.float64),
            stacked("mask", size, every, np.uint64),
            stacked("nan_left", size, 1, np.bool_),
            stacked("zero_left", size, -1, np.int8),
            stacked("leaf", leaves, 0, np.float64),
            names,
            text,
        )

    @property
    def num_trees(self) -> int:
        """T"""
        return int(self.leaf.shape[0])

    def score(self, rows: Float32s, num_trees: int | None = None) -> Float64s:
        """(N,) raw scores of rows (N, F) by the first trees, or by all."""
        chosen = slice(num_trees)
        feature, threshold = self.feature[chosen], self.threshold[chosen]
        if not rows.shape[0] or not feature.size:
            return np.zeros(rows.shape[0])
        values = np.ascontiguousarray(rows.T, np.float64)[feature.ravel()].reshape(*feature.shape, -1)  # (T, S, N)
        missing = np.isnan(values)
        left = values <= threshold[:, :, None]
        np.copyto(left, self.nan_left[chosen, :, None], where=missing)
        if self._zeros:
            aside = (self.zero_left[chosen] >= 0)[:, :, None] & (missing | (np.abs(values) <= ZERO))
            np.copyto(left, (self.zero_left[chosen] > 0)[:, :, None], where=aside)
        ruled_out = np.where(left, self._every, self._masks[chosen, :, None])
        open_leaves = np.bitwise_and.reduce(ruled_out, axis=1)
        first = self._first(open_leaves)
        return np.take_along_axis(self.leaf[chosen], first, axis=1).sum(axis=0)

    @cached_property
    def _zeros(self) -> bool:
        return bool((self.zero_left >= 0).any())

    @cached_property
    def _masks(self) -> NDArray:
        """The masks, in bytes where eight leaves are the most."""
        return self.mask.astype(np.uint8) if self.leaf.shape[1] <= 8 else self.mask

    @cached_property
    def _every(self) -> np.unsignedinteger:
        return np.uint8(255) if self.leaf.shape[1] <= 8 else np.uint64((1 << MOST_LEAVES) - 1)

    def _first(self, leaves: NDArray) -> NDArray[np.intp]:
        """The lowest bit that is set."""
        if leaves.dtype == np.uint8:
            return _LOWEST[leaves]
        lowest = leaves & (~leaves + np.uint64(1))
        return np.log2(lowest.astype(np.float64)).astype(np.intp)


_LOWEST = np.array([0, *((byte & -byte).bit_length() - 1 for byte in range(1, 256))], np.intp)


@dataclass(frozen=True)
class _Tree:
    """One tree: its S conditions, and its leaves from left to right."""

    feature: Int32s
    threshold: Float64s
    mask: NDArray[np.uint64]
    nan_left: Bools
    zero_left: NDArray[np.int8]
    leaf: Float64s

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "_Tree":
        values = np.array(fields["leaf_value"].split(), np.float64)
        if values.size > MOST_LEAVES or int(fields.get("num_cat", "0")) or int(fields.get("is_linear", "0")):
            raise ModelError(f"a forest has trees of more than {MOST_LEAVES} leaves, of categories or linear ones")
        if values.size == 1:
            whole, bits = np.zeros(0, np.int32), np.zeros(0, np.uint64)
            return cls(whole, np.zeros(0), bits, np.zeros(0, bool), np.zeros(0, np.int8), values)
        kind = np.array(fields["decision_type"].split(), np.int32)
        threshold = np.array(fields["threshold"].split(), np.float64)
        children = [np.array(fields[side].split(), np.int32).tolist() for side in ("left_child", "right_child")]
        order, masks = _walked(*children)
        default = (kind & DEFAULT_LEFT) > 0
        # a value that is missing where none was in training counts as 0
        nan_left = np.where(kind & NAN_MISSING, default, threshold >= 0)
        zero_left = np.where(kind & ZERO_MISSING, default, -1).astype(np.int8)
        return cls(
            np.array(fields["split_feature"].split(), np.int32), threshold, masks, nan_left, zero_left, values[order]
        )


def _walked(left: list[int], right: list[int]) -> tuple[list[int], NDArray[np.uint64]]:
    """The leaves from left to right, and for each condition all bits but those of the leaves on its left."""
    order: list[int] = []
    masks = np.zeros(len(left), np.uint64)

    def visit(node: int) -> None:
        if node < 0:
            order.append(~node)
            return
        begin = len(order)
        visit(left[node])
        masks[node] = np.uint64(((1 << MOST_LEAVES) - 1) ^ (((1 << len(order)) - 1) ^ ((1 << begin) - 1)))
        visit(right[node])

    visit(0)
    return order, masks


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
