import pyarrow as pa
import pytest

from nightmarket.contracts.sources import fuse, with_source
from nightmarket.contracts.tables import BY_NAME, arrow_schema


def rows(source, **columns):
    number = len(columns["key"])
    return pa.table(
        {
            "key": pa.array(columns["key"], pa.string()),
            "words": pa.array(columns.get("words", [None] * number), pa.string()),
            "price": pa.array(columns.get("price", [None] * number), pa.float64()),
            "source": pa.array([source] * number, pa.string()),
        }
    )


def test_the_first_table_fills_a_row_and_later_ones_its_gaps():
    first = rows("a", key=["1", "2"], words=["tea", None], price=[None, 2.0])
    second = rows("b", key=["2", "3", "1"], words=["rice", "milk", "coffee"], price=[9.0, 3.0, 1.0])
    third = rows("c", key=["3", "1"], words=["cream", "cocoa"], price=[3.0, 7.0])
    fused = fuse([first, second, third], "key")
    assert fused.rows.to_pylist() == [
        {"key": "1", "words": "tea", "price": 1.0, "source": "a"},
        {"key": "2", "words": "rice", "price": 2.0, "source": "a"},
        {"key": "3", "words": "milk", "price": 3.0, "source": "b"},
    ]
    assert fused.merged == (0, 2, 2)
    # words: coffee for 1, then cocoa for 1 and cream for 3; price: 9 for 2, then 7 for 1
    assert fused.conflicts == {"words": 3, "price": 2}
    assert fused.differing == 4


def test_rows_without_a_key_and_repeats_within_a_table_stay_for_validation():
    first = rows("a", key=["1", None], words=["tea", "x"])
    second = rows("b", key=["1", "1", None, "4", "4"], words=["tea", "again", "y", "z", "z"])
    fused = fuse([first, second], "key")
    assert [(row["key"], row["words"], row["source"]) for row in fused.rows.to_pylist()] == [
        ("1", "tea", "a"),
        (None, "x", "a"),
        ("1", "again", "b"),
        (None, "y", "b"),
        ("4", "z", "b"),
        ("4", "z", "b"),
    ]
    assert (fused.merged, fused.conflicts, fused.differing) == ((0, 1), {}, 0)


def test_an_empty_table_neither_fills_nor_takes():
    some, none = rows("a", key=["1"], words=["tea"]), rows("b", key=[])
    for tables in ([some, none], [none, some]):
        fused = fuse(tables, "key")
        assert fused.rows.to_pylist() == some.to_pylist()
        assert fused.merged == (0, 0)


def test_a_table_of_several_sources_says_where_a_row_is_from_and_one_of_a_single_source_is_as_it_was():
    events = BY_NAME["events"]
    assert with_source(events, ()) is events
    sourced = with_source(events, ("a", "b"))
    assert arrow_schema(sourced).names == [*arrow_schema(events).names, "source"]
    assert sourced.column("source").allowed == ("a", "b")
    with pytest.raises(KeyError):
        events.column("source")
