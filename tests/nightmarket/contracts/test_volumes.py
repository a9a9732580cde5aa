import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.contracts.refusals import Refusals, RetailerFile
from nightmarket.contracts.sources import account, called, check_arrived, check_volume, files, never_filled
from nightmarket.contracts.tables import BY_NAME

EVENTS = BY_NAME["events"]


def part(rows, merged=0, late=0, blank=(), lacks=()):
    return {"rows": rows, "merged": merged, "after_business_date": late, "blank": list(blank), "lacks": list(lacks)}


def about(before=None, table="events", **parts):
    rows = {"rows": sum(part["rows"] for part in parts.values()), "sources": parts}
    return {
        "as_of": "2024-02-12",
        "sources": [{"name": "big"}, {"name": "small"}],
        "tables": {table: rows},
        "previous": {table: sum((before or {}).values())} if before else {},
        "previous_sources": {table: before} if before else {},
    }


def test_half_of_a_small_source_is_missed_though_the_total_looks_fine():
    with pytest.raises(InputError, match=r"events of small has 40 rows, 60% fewer than the 100 of the previous"):
        check_volume(about({"big": 100_000, "small": 100}, big=part(100_000), small=part(40)), 0.5)
    check_volume(about({"big": 100_000, "small": 100}, big=part(100_000), small=part(50)), 0.5)


def test_a_source_that_leaves_a_table_out_is_missed_and_one_that_is_no_longer_asked_is_not():
    with pytest.raises(InputError, match="events of small has 0 rows, 100% fewer"):
        check_volume(about({"big": 10, "small": 10}, big=part(10)), 0.5)
    check_volume(about({"big": 10, "gone": 1000}, big=part(10), small=part(10)), 0.5)


def test_rows_that_went_into_another_sources_rows_count_as_brought():
    check_volume(about({"big": 100, "small": 100}, big=part(100), small=part(2, merged=98)), 0.5)


def test_an_empty_source_is_refused_unless_the_business_date_emptied_a_table_that_is_not_needed():
    with pytest.raises(InputError, match=r"events of small is empty \(0 rows before 2024-02-12\); bring its rows"):
        check_arrived(about(big=part(10), small=part(0, late=5)), EVENTS)
    reviews = BY_NAME["reviews"]
    check_arrived(about(table="reviews", big=part(10), small=part(0, late=5)), reviews)
    check_arrived(about(table="reviews", big=part(10), small=part(0)), reviews)  # a header alone, as before
    with pytest.raises(InputError, match=r"reviews of small is empty .* or leave the table out"):
        check_arrived(about({"big": 10, "small": 10}, table="reviews", big=part(10), small=part(0)), reviews)


def test_a_number_column_that_one_source_brought_without_a_value_is_refused_and_one_that_it_lacks_is_not():
    check_arrived(about(big=part(10), small=part(7, blank=["coupon"], lacks=["coupon"])), EVENTS)
    with pytest.raises(InputError, match=r"events of small: value is empty in every row \(7 rows"):
        check_arrived(about(big=part(10), small=part(7, blank=["value"])), EVENTS)


def test_a_column_counts_as_never_filled_where_another_source_fills_it():
    told = about(big=part(9, blank=["coupon"]), small=part(9, blank=["coupon", "discount"]))
    assert never_filled(told, "events") == {"big": [], "small": ["discount"]}


def test_what_a_source_brought_was_kept_or_set_aside_or_went_into_another_row():
    verdict = Refusals(EVENTS, 120, {"too big": np.array([3, 110]), "no name": np.array([110, 119])},
                      sources={"big": 100, "small": 20})  # fmt: skip
    told = account(about({"big": 90, "small": 25}, big=part(100), small=part(20, merged=5)), verdict)
    assert (told["rows"], told["kept"], told["set_aside"]) == (120, 117, 3)
    assert told["sources"]["big"] == {
        "rows": 100, "kept": 99, "set_aside": 1, "merged": 0, "previous_rows": 90,
        "reasons": {"too big": 1}, "never_filled": [],
    }  # fmt: skip
    small = told["sources"]["small"]
    assert small["rows"] == small["kept"] + small["set_aside"] + small["merged"] == 25
    assert small["reasons"] == {"too big": 1, "no name": 2}


def test_bad_rows_of_a_small_source_do_not_hide_behind_a_large_one():
    verdict = Refusals(EVENTS, 10_020, {"no name": np.array([10_001, 10_019])}, sources={"big": 10_000, "small": 20})
    with pytest.raises(InputError, match=r"events of small: 2 of 20 rows are bad \(10.00%; .* first in row 2;"):
        verdict.check_share(0.02)
    verdict.check_share(0.1)


def test_a_table_of_a_few_rows_may_shrink_and_not_vanish():
    check_volume(about({"big": 29}, table="reviews", big=part(1)), 0.5)
    with pytest.raises(InputError, match="reviews of big has 1 rows"):
        check_volume(about({"big": 30}, table="reviews", big=part(1)), 0.5)
    with pytest.raises(InputError, match="reviews of big has 0 rows"):
        check_volume(about({"big": 29}, table="reviews"), 0.5)


def test_messages_name_the_file_and_its_row_where_rows_of_it_were_left_out():
    told = about(table="reviews", big=part(8) | {"file": "reviews.csv", "shifts": [[2, 5], [6, 9]]}, small=part(9))
    assert called(told, "reviews", "big") == "reviews.csv of big"
    assert called(told, "reviews", "small") == "reviews of small"
    file = files(told, "reviews")["big"]
    assert [file.row(row) for row in (0, 1, 2, 5, 6, 1200)] == [
        "row 1",
        "row 2",
        "row 8",
        "row 11",
        "row 16",
        "row 1,210",
    ]
    assert RetailerFile("reviews.csv", None).row(6) == "row 7 of the snapshot"
