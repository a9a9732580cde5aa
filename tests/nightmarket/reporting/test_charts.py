import re

from markupsafe import Markup

from nightmarket.reporting import charts


def test_an_axis_holds_every_interval_and_zero():
    axis = charts.scale([{"value": 0.3, "low": 0.2, "high": 0.4}])
    assert (axis.low, axis.high) == (0.0, 0.4)
    below = charts.scale([{"value": -0.3, "low": -0.4, "high": -0.2}])
    assert (below.low, below.high) == (-0.4, 0.0)


def test_an_axis_without_figures_or_without_spread_still_stands():
    assert charts.scale([]).at(0.5) == 50.0
    flat = charts.scale([{"value": 0.0, "low": 0.0, "high": 0.0}])
    assert flat.at(0.0) == charts.MARGIN


def test_ticks_are_round_numbers_inside_the_axis():
    assert charts.Scale(0.0, 0.437).ticks() == [0.0, 0.2, 0.4]
    assert charts.Scale(-0.03, 0.05).ticks() == [-0.02, 0.0, 0.02, 0.04]


def test_a_whisker_stands_where_its_numbers_say():
    axis = charts.Scale(0.0, 1.0)
    drawn = charts.whisker({"value": 0.5, "low": 0.25, "high": 1.0}, axis, "half")
    line = re.search(r'class="whisker theirs" x1="([\d.]+)%" x2="([\d.]+)%"', drawn)
    assert line
    assert [float(number) for number in line.groups()] == [26.0, 98.0]
    assert 'cx="50.0%"' in drawn


def test_what_a_chart_says_to_a_screen_reader_is_escaped():
    drawn = charts.bar(2.0, '"><script>')
    assert isinstance(drawn, Markup)
    assert "<script>" not in drawn
    assert 'width="100.0%"' in drawn


def test_a_curve_goes_up_when_the_figure_does():
    points = re.search(r'points="([^"]+)"', charts.curve([(0, 0.1), (10, 0.2)], "rising"))
    assert points
    (_, first), (_, last) = (pair.split(",") for pair in points[1].split())
    assert float(last) < float(first), "SVG counts from the top"
