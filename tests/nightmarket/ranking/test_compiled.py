"""A compiled forest says what LightGBM says, to the last bit."""

import lightgbm as lgb
import numpy as np
import pytest

from nightmarket.contracts import ModelError
from nightmarket.ranking.compiled import CompiledForest


def grown(rows: np.ndarray, **params) -> lgb.Booster:
    label = np.nansum(rows[:, :3], axis=1) + np.random.default_rng(1).normal(size=len(rows))
    return lgb.train(
        {"objective": "regression", "verbosity": -1, "num_threads": 1, **params}, lgb.Dataset(rows, label), 25
    )


@pytest.mark.parametrize(
    "params",
    [
        {"num_leaves": 8},
        {"num_leaves": 31},
        {"num_leaves": 64, "zero_as_missing": True},
        {"num_leaves": 2},
        {"num_leaves": 9, "use_missing": False},
        {"num_leaves": 8, "min_data_in_leaf": 10_000},  # one leaf and no condition
    ],
)
def test_every_row_has_the_score_that_lightgbm_gives_it(params):
    rng = np.random.default_rng(0)
    rows = rng.gamma(0.5, 5, (800, 10)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.3] = 0
    if params.get("use_missing", True):
        rows[rng.random(rows.shape) < 0.1] = np.nan
    booster = grown(rows, **params)
    asked = np.concatenate([rows, np.full((1, 10), np.nan), np.zeros((1, 10)), -rows[:5]]).astype(np.float32)
    forest = CompiledForest.of(booster.model_to_string())
    for num in (1, 5, booster.num_trees()):
        assert (forest.score(asked, num) == booster.predict(asked, raw_score=True, num_iteration=num)).all()
    assert forest.num_trees == booster.num_trees()
    assert list(forest.names) == booster.feature_name()
    assert forest.score(asked[:0]).size == 0


def test_a_forest_that_is_damaged_or_cannot_be_compiled_is_one_line():
    rng = np.random.default_rng(0)
    text = grown(rng.random((400, 4)).astype(np.float32), num_leaves=4).model_to_string()
    with pytest.raises(ModelError, match="damaged"):
        CompiledForest.of(text.replace("leaf_value", "leaf"))
    wide = grown(rng.random((4000, 4)).astype(np.float32), num_leaves=100, min_data_in_leaf=2)
    with pytest.raises(ModelError, match="more than 64 leaves"):
        CompiledForest.of(wide.model_to_string())
