"""Times in other languages, eras and calendars are read as the moments that they are."""

from datetime import date

import pyarrow as pa
import pytest

from nightmarket.intake import times

TODAY = date(2026, 6, 1)


def read(*texts):
    """The times as ISO 8601, in the notation that the column has."""
    values = pa.array(texts)
    survey = times.TimeSurvey()
    survey(values)
    readings = survey.readings(TODAY)
    assert len(readings) == 1, readings
    return times.iso(values, readings[0]).to_pylist()


@pytest.mark.parametrize(("written", "meant"), [
    ("2024/3/25 下午3:04:05", "2024-03-25 15:04:05"),
    ("2024/3/25 上午12:04:05", "2024-03-25 00:04:05"),
    ("2024年3月25日 午後0時04分", "2024-03-25 12:04:00"),
    ("2024年3月25日(月) 15時", "2024-03-25 15:00:00"),
    ("2024. 3. 25. 오후 3:04:05", "2024-03-25 15:04:05"),
    ("2024. 03. 25 15:04", "2024-03-25 15:04:00"),
    ("25/03/2024 3:04 م", "2024-03-25 15:04:00"),
    ("٢٠٢٤-٠٣-٢٥ ١٥:٠٤", "2024-03-25 15:04:00"),
    ("२५/०३/२०२४", "2024-03-25"),
    ("25/03/2567 15:04", "2024-03-25 15:04:00"),
    ("2567-03-25", "2024-03-25"),
    ("25 มี.ค. 2567", "2024-03-25"),
    ("令和6年3月25日", "2024-03-25"),
    ("平成元年3月25日", "1989-03-25"),
    ("R06.03.25", "2024-03-25"),
    ("113/03/25", "2024-03-25"),
    ("2024-W13", "2024-03-25"),
    ("2024-W13-2", "2024-03-26"),
    ("KW 13/2024", "2024-03-25"),
    ("25. März 2024 15:04", "2024-03-25 15:04:00"),
    ("lundi 25 mars 2024", "2024-03-25"),
    ("25 de agosto de 2024", "2024-08-25"),
    ("25-Dez-2024", "2024-12-25"),
    ("25 марта 2024", "2024-03-25"),
    ("25/03/2024 5:04:03 p. m.", "2024-03-25 17:04:03"),
])  # fmt: skip
def test_a_time_means_the_same_in_every_language(written, meant):
    assert [text.removesuffix(":00") for text in read(written)] == [meant.removesuffix(":00")]


def test_a_date_of_the_future_or_without_a_meaning_stays_as_it_is():
    assert read("2099-01-01", "9999-12-31") == ["2099-01-01", "9999-12-31"]
    assert read("2024-W54", "2024-W10") == ["2024-W54", "2024-03-04"]


def test_several_forms_in_one_column_are_read_where_each_can_be_read_in_one_way():
    written = ["2024-03-05 10:00:00", "2024-03-25 10:00:00", "05.04.2024 10:00:00", "25.04.2024", "7 May 2024"]
    assert read(*written) == [
        "2024-03-05 10:00:00", "2024-03-25 10:00:00", "2024-04-05 10:00:00", "2024-04-25", "2024-05-07",
    ]  # fmt: skip


def test_dates_that_a_spreadsheet_may_have_turned_round_are_not_read_beside_others():
    values = pa.array(["2024-05-03", "2024-07-04", "2024-12-01", "25/03/2024", "31/03/2024"])
    survey = times.TimeSurvey()
    survey(values)
    assert times.iso(values, survey.readings(TODAY)[0]).to_pylist() != [
        "2024-05-03", "2024-07-04", "2024-12-01", "2024-03-25", "2024-03-31",
    ]  # fmt: skip
