"""What each feature adds to a score, by an exact decomposition of the trees' paths.

Every node of a tree gets its expected value, the mean of its leaves weighed by the rows that trained them. On the way
from the root to a row's leaf the value changes at each split, and the change is put to the feature that was split on.
The sum of all changes and the roots' values is the score itself (Saabas, 2014, "Interpreting random forests").

TreeSHAP (Lundberg et al., 2020) averages over all orders of the features instead of taking the tree's own, which is
fairer to features near the root, and would take 155 CPU-seconds where this takes 1 (docs/explanation/reasons.md).
Both have the same base.
"""

from typing import Any

import lightgbm as lgb
import numpy as np
from scipy import sparse

from nightmarket.contracts.arrays import Float32s, Float64s

CHUNK = 65_536


class Paths:
    """The decomposed trees of a fitted booster.

    base   the score of a row of which nothing is known, the same as TreeSHAP's
    """

    def __init__(self, booster: lgb.Booster) -> None:
        self._booster = booster
        dumped = booster.dump_model()
        num_features = int(dumped["max_feature_idx"]) + 1
        tables = [_leaf_table(tree["tree_structure"], num_features) for tree in dumped["tree_info"]]
        self._first = np.cumsum([0] + [len(table) for table, _ in tables]).astype(np.int64)
        self._leaves: Float64s = np.concatenate([table for table, _ in tables] or [np.zeros((0, num_features))])
        self.base = float(sum(root for _, root in tables))

    def contributions(self, rows: Float32s) -> Float32s:
        """(N, F) what each feature adds to the raw score of rows (N, F); a row's sum and `base` make its score."""
        contributions = np.zeros((len(rows), self._leaves.shape[1]), np.float32)
        num_trees = self._first.size - 1
        for start in range(0, len(rows) if num_trees else 0, CHUNK):
            part = rows[start : start + CHUNK]
            leaf = np.asarray(self._booster.predict(part, pred_leaf=True), np.int64).reshape(len(part), num_trees)
            place = (leaf + self._first[:-1]).ravel()
            ends = np.arange(0, place.size + 1, num_trees)
            held = sparse.csr_matrix((np.ones(place.size), place, ends), shape=(len(part), len(self._leaves)))
            contributions[start : start + CHUNK] = held @ self._leaves
        return contributions


def _leaf_table(root: dict[str, Any], num_features: int) -> tuple[Float64s, float]:
    """(L, F) changes of the value on the way to each leaf, by the feature split on, and the root's value."""
    if "split_feature" not in root:
        return np.zeros((1, num_features)), float(root["leaf_value"])
    leaves: list[tuple[int, Float64s]] = []
    value = _mean(root)[0]
    todo = [(root, value, np.zeros(num_features))]
    while todo:
        node, here, path = todo.pop()
        if "split_feature" not in node:
            leaves.append((int(node["leaf_index"]), path))
            continue
        for child in (node["left_child"], node["right_child"]):
            there = _mean(child)[0]
            longer = path.copy()
            longer[int(node["split_feature"])] += there - here
            todo.append((child, there, longer))
    table = np.zeros((len(leaves), num_features))
    for index, path in leaves:
        table[index] = path
    return table, value


def _mean(node: dict[str, Any]) -> tuple[float, float]:
    """A node's mean leaf value and its training rows, kept in the node."""
    if "split_feature" not in node:
        return float(node["leaf_value"]), float(node.get("leaf_count", 1.0))
    if "mean" not in node:
        (left, num_left), (right, num_right) = _mean(node["left_child"]), _mean(node["right_child"])
        num = num_left + num_right
        node["mean"] = ((left * num_left + right * num_right) / max(num, 1.0), num)
    kept: tuple[float, float] = node["mean"]
    return kept
