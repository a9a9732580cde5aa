"""Products' own vectors: how they are read, and what is kept of them."""

import numpy as np
import pyarrow as pa
import pytest

from nightmarket.contracts.tables import PRODUCTS
from nightmarket.contracts.values import BadValues, convert
from nightmarket.encoding import given

COLUMN = PRODUCTS.column("vector")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("[0.1, -2e-3]", "0.1 -2e-3"), ("0.1 0.2", "0.1 0.2"), ("(1;2)", "1 2"), ("0,5;0,25", "0.5 0.25"),
        ("0,5 -0,25", "0.5 -0.25"), ("0,5|0,25", "0.5 0.25"), ("1, -2", "1 -2"),
        ("{1,2}", "1 2"), (" 1|2 ", "1 2"), ("[]", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_a_list_of_numbers_is_read_however_it_is_written(written, meant):
    assert convert(pa.array([written], pa.string()), COLUMN, "UTC").to_pylist() == [meant]


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float32(), 2)])
def test_lists_of_parquet_are_read(kind):
    assert convert(pa.array([[1.0, 2.5], None], kind), COLUMN, "UTC").to_pylist() == ["1 2.5", None]


@pytest.mark.parametrize("values", [["0.1 0.2", "red"], [[1.0, 2.0], [1.0, None]], [[1.0], [float("inf")]]])
def test_what_is_no_number_is_named(values):
    with pytest.raises(BadValues) as refused:
        convert(pa.array(values), COLUMN, "UTC")
    assert refused.value.where.tolist() == [False, True]


def test_vectors_of_another_length_than_most_are_none():
    assert given.read(["1 2", None, "3 4", "5 6 7"]).tolist() == [[1, 2], [0, 0], [3, 4], [0, 0]]
    assert given.read([None, None]).shape == (2, 0)


def test_main_directions_keep_what_is_alike_and_forget_length_and_what_all_share():
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(4, 96))
    group = np.arange(400) % 4
    vectors = (centres[group] + 0.3 * rng.normal(size=(400, 96)) + 5.0).astype(np.float32)
    vectors *= rng.lognormal(size=(400, 1)).astype(np.float32)
    vectors[7] = 0
    kept = given.directions(vectors, 8)
    assert kept.shape == (400, 8)
    assert not kept[7].any()
    there = np.delete(np.arange(400), 7)
    assert np.linalg.norm(kept[there], axis=1) == pytest.approx(1.0, abs=1e-5)
    alike = kept[there] @ kept[there].T
    same = group[there][:, None] == group[there]
    assert alike[same].min() > alike[~same].max()


def test_without_any_vector_there_are_no_directions():
    assert given.directions(np.zeros((3, 4), np.float32)).shape == (3, 0)
    assert given.directions(np.zeros((3, 0), np.float32)).shape == (3, 0)
    assert given.directions(np.ones((3, 4), np.float32)).shape == (3, 0)  # all alike: nothing tells them apart
