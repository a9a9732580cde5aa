from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from nightmarket.contracts import InputError
from nightmarket.contracts.refusals import Refusals, distinct_frame, find, fold, sort_out
from nightmarket.contracts.suites import COPY, REPEAT
from nightmarket.contracts.tables import BY_NAME, Column, Table, arrow_schema

THINGS = Table(
    "things",
    "",
    (
        Column("name", "id", "", refers_to="others.name"),
        Column("size", "number", "", nullable=True),
    ),
)


def rows(names, sizes):
    return pa.record_batch([pa.array(names, pa.string()), pa.array(sizes, pa.float64())], schema=arrow_schema(THINGS))


def test_a_fold_holds_every_distinct_value_once_whatever_the_batches():
    generator = np.random.default_rng(5)
    names = generator.choice(list("abcde"), 1000).tolist()
    sizes = generator.integers(0, 50, 1000).astype(float).tolist()
    batches = [rows(names[start : start + 130], sizes[start : start + 130]) for start in range(0, 1000, 130)]
    (block,) = fold(batches, THINGS)
    assert block.num_rows == 1000
    assert sorted(block.values["name"].to_pylist()) == sorted(set(names))
    assert sorted(block.values["size"].to_pylist()) == sorted(set(sizes))


def test_blocks_keep_their_distinct_values_below_the_limit_and_cover_the_table():
    batches = [rows(["a"] * 10, list(range(start, start + 10))) for start in range(0, 100, 10)]
    blocks = list(fold(batches, THINGS, max_values=25))
    assert [block.start for block in blocks] == [0, 30, 60, 90]
    assert sum(block.num_rows for block in blocks) == 100
    assert max(len(block.values["size"]) for block in blocks) <= 35


def test_the_frame_pads_short_columns_with_values_that_are_there_and_keeps_types():
    (block,) = fold([rows(["a", "b", None], [1.0, None, 1.0])], THINGS)
    frame = distinct_frame(block, THINGS, {"others.name": pa.array(["a"])}, {})
    assert list(frame) == ["name", "size", "name is in others"]
    assert frame["name"].tolist()[:2] == ["a", "b"]
    assert frame["name is in others"].tolist()[:2] == [True, False]
    assert frame["name is in others"].isna().tolist() == [False, False, True]
    assert set(frame["size"].dropna()) == {1.0}
    assert (str(frame["name"].dtype), str(frame["size"].dtype)) == ("str", "float64")


def test_a_span_is_judged_by_its_distance_and_repeats_by_their_presence():
    table = BY_NAME["campaigns"]
    times = [datetime(2024, 1, 1), datetime(2024, 1, 3)]
    batch = pa.record_batch(
        {
            "campaign_id": ["1", "2"],
            "kind": ["a", "a"],
            "text": pa.nulls(2, pa.string()),
            "start": pa.array(times, pa.timestamp("us")),
            "end": pa.array(times[::-1], pa.timestamp("us")),
        }
    )
    (block,) = fold([batch], table)
    frame = distinct_frame(block, table, {}, {COPY: False, REPEAT: True})
    assert sorted(frame["end minus start"]) == [-2 * 86400 * 10**6, 2 * 86400 * 10**6]
    assert set(frame[COPY]) == {0}
    assert set(frame[REPEAT]) == {0, 1}
    wanted = {"late": ("end minus start", pa.array([-2 * 86400 * 10**6]))}
    assert find([batch], table, block, wanted)["late"].tolist() == [1]


def test_refused_values_are_found_in_every_row_that_holds_them():
    generator = np.random.default_rng(6)
    names = generator.choice([*"abc", None], 500).tolist()
    batches = [rows(names[start : start + 64], [1.0] * len(names[start : start + 64])) for start in range(0, 500, 64)]
    (block,) = fold(batches, THINGS)
    matches = find(batches, THINGS, block, {"b": ("name", pa.array(["b"])), "none": ("name", pa.nulls(1, pa.string()))})
    assert matches["b"].tolist() == [row for row, name in enumerate(names) if name == "b"]
    assert matches["none"].tolist() == [row for row, name in enumerate(names) if name is None]


def test_rows_are_sorted_out_with_all_their_reasons():
    verdict = Refusals(THINGS, 6)
    verdict.refuse("too big", np.array([1, 4]))
    verdict.refuse("no name", np.array([4]))
    batches = [rows(list("abc"), [1, 2, 3]), rows(list("def"), [4, 5, 6])]
    parts = list(sort_out(batches, verdict))
    assert [name for kept, _ in parts for name in kept["name"].to_pylist()] == ["a", "c", "d", "f"]
    aside = [row for _, part in parts if part is not None for row in part.to_pylist()]
    assert aside == [
        {"row": 1, "reason": "too big", "name": "b", "size": 2.0},
        {"row": 4, "reason": "too big; no name", "name": "e", "size": 5.0},
    ]


def test_the_share_of_bad_rows_counts_each_row_once_and_no_exact_copies():
    verdict = Refusals(THINGS, 100)
    verdict.refuse("an exact copy of an earlier row", np.arange(50, 90))
    verdict.refuse("too big", np.array([3, 7]))
    verdict.refuse("no name", np.array([7]))
    verdict.check_share(0.02)
    with pytest.raises(InputError, match=r"things: 2 of 100 rows are bad \(2.00%; .* too big in 2, first in row 4;"):
        verdict.check_share(0.01)
