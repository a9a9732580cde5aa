import pytest

from nightmarket.reporting import words


@pytest.mark.parametrize(
    ("number", "said"),
    [(0.4371, ".437"), (0.0178, ".0178"), (0.0, ".0000"), (1.0, "1.000"), (-0.02, "−.0200"), (-0.00001, ".0000")],
)
def test_fractions_read_without_a_leading_zero(number, said):
    assert words.fraction(number) == said


def test_differences_carry_a_sign_and_their_interval():
    assert words.interval({"value": 0.0041, "low": -0.001, "high": 0.12}, plus=True) == "+.0041 [−.0010, .120]"
    assert words.signed(0.0) == ".0000"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.001, 0.2, "better"), (-0.2, -0.001, "worse"), (-0.1, 0.1, "level"), (0.0, 0.1, "level"), (-0.1, 0.0, "level")],
)
def test_a_difference_counts_only_where_its_whole_interval_lies_on_one_side(low, high, said):
    assert words.standing({"low": low, "high": high}) == said


@pytest.mark.parametrize(
    "figure",
    [
        None,
        0.4,
        {},
        {"value": 1, "low": 0},
        {"value": None, "low": 0, "high": 1},
        {"value": 1, "low": 0, "high": float("nan")},
    ],
)
def test_a_figure_without_three_finite_numbers_is_not_known(figure):
    assert not words.known(figure)


def test_a_span_of_days_is_said_by_its_dates():
    assert words.day_span(4, 10) == "5 January to 11 January 1970"
    assert words.day_span(17497, 17524) == "27 November to 24 December 2017"
    assert words.day_span(17518, 17538) == "18 December 2017 to 7 January 2018"


def test_shares_keep_what_matters():
    assert [words.share(part, 100_000) for part in (0, 1, 90, 3_900, 100_000)] == [
        "0%",
        "under 0.01%",
        "0.09%",
        "3.9%",
        "100%",
    ]
    assert words.share(5, 0) == "0%"
