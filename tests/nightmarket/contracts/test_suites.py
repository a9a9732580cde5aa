from datetime import datetime

import pytest

from nightmarket.contracts.suites import facets, suite
from nightmarket.contracts.tables import BY_NAME, TABLES

HORIZON = datetime(2024, 1, 1)


def asked(table, **more):
    return suite(BY_NAME[table], horizon=HORIZON, **more)["expectations"]


def about(expectations, column):
    return {
        expectation["type"].removeprefix("expect_column_")
        for expectation in expectations
        if expectation["kwargs"].get("column") == column
    }


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_every_suite_asks_for_rows_a_closed_list_of_columns_and_exact_types(table):
    expectations = asked(table)
    kinds = [expectation["type"] for expectation in expectations]
    assert kinds[0] == "expect_table_row_count_to_be_between"
    columns = [column.name for column in BY_NAME[table].columns]
    assert expectations[1]["kwargs"]["column_list"] == columns + facets(BY_NAME[table])
    for column in columns:
        assert "values_to_be_of_type" in about(expectations, column)


def test_numbers_must_be_finite_and_within_their_bounds():
    bounds = [
        (expectation["kwargs"].get("min_value"), expectation["kwargs"].get("max_value"))
        for expectation in asked("exposures")
        if expectation["kwargs"].get("column") == "propensity" and "to_be_between" in expectation["type"]
    ]
    largest = 1.7976931348623157e308
    assert bounds[-3:] == [(-largest, largest), (0, None), (None, 1)]


def test_a_nullable_number_that_the_source_brought_must_hold_something_and_one_it_lacks_need_not():
    assert "proportion_of_non_null_values_to_be_between" in about(asked("events"), "value")
    assert "proportion_of_non_null_values_to_be_between" not in about(asked("events", filled=("value",)), "value")


def test_references_keys_and_spans_are_facets():
    assert facets(BY_NAME["offers"]) == [
        "campaign_id is in campaigns",
        "product_id is in products",
        "exact copies of the row before it",
        "other rows with its key before it",
    ]
    assert "end minus start" in facets(BY_NAME["campaigns"])


def test_only_things_that_happen_must_lie_before_the_business_date():
    late = {
        (table.name, expectation["kwargs"]["column"])
        for table in TABLES
        for expectation in asked(table.name)
        if expectation["kwargs"].get("max_value") == HORIZON
    }
    assert late == {(name, "timestamp") for name in ("events", "exposures", "responses", "reviews")}


def test_every_refusal_has_a_reason_of_its_own():
    for table in TABLES:
        reasons = [expectation["meta"]["reason"] for expectation in asked(table.name)]
        assert len(reasons) == len(set(reasons))
