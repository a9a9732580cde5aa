"""Groups, probabilities and reasons on the page: as the stages write them, in plain words."""

import re

import numpy as np
import pandas as pd
import pytest

from nightmarket.evaluation.calibration import calibration_figures
from nightmarket.evaluation.figures import Metrics
from nightmarket.evaluation.groups import groups as judge
from nightmarket.histories.histories import Histories
from nightmarket.ranking.explanations.families import FAMILIES
from nightmarket.reporting import chances, charts, groups, words
from nightmarket.reporting.night import Night
from nightmarket.reporting.page import render

BAD = "<img src=x onerror=alert(1)> {{ 7*7 }}"


def night(**parts):
    return Night(as_of="2018-01-01", **parts)


def judged(shift):
    rng = np.random.default_rng(0)
    ours, zero = rng.random(300), np.zeros(300, np.int32)
    table = pd.DataFrame(
        {"attr_home_size": ["2", "1", "5+"] * 100, "attr_kind": [BAD] * 100 + ["b"] * 100 + [None] * 100}
    )
    ones = np.ones(300, np.float32)
    history = Histories(np.arange(300, dtype=np.int32), zero, zero, zero, ones, ones, ones, zero, zero, 300, 1)
    theirs = ours - 0.03 + shift * (table.attr_home_size == "5+").to_numpy() + rng.normal(0, 0.01, 300)
    return judge(ours, {"ease": theirs}, table, history, 1, 50)


def metrics(**parts):
    figure = {"value": 0.5, "low": 0.4, "high": 0.6}
    slices = {"history ndcg@10": {"up to 9": figure}}
    return Metrics.read({"all": {"nightmarket": {"ndcg@10": figure}}, "slices": slices, **parts})


def test_a_group_that_falls_behind_is_named_with_its_figure():
    view = groups.view(night(metrics=metrics(groups={"all": judged(0.05), "new": judged(0.0)})))
    assert view is not None
    assert view.verdict == "1 group falls behind:"
    (told,) = view.warnings
    assert told.startswith("All purchases: Home size “5+” (100 customers) would be better off with EASE: −.0")
    assert [table.title for table in view.tables] == ["Home size", "Kind"]
    assert [row.name for row in view.tables[0].rows] == ["1", "2", "5+"]
    assert [row.standing for row in view.tables[0].rows] == ["better", "better", "worse"]
    assert view.tables[1].rows[-1].name == "unknown"
    assert (view.against, view.reach) == ("EASE", "99.17")


def test_without_a_warning_the_page_says_so():
    calm = groups.view(night(metrics=metrics(groups={"all": judged(0.0)})))
    assert calm is not None
    assert calm.verdict.startswith("No group would be better off")
    assert calm.warnings == ()
    assert groups.view(night()) is None
    assert groups.view(night(metrics=metrics())) is None


def test_the_page_shows_groups_instead_of_the_slice_by_history_and_escapes_them():
    html = render(night(metrics=metrics(groups={"all": judged(0.05)})))
    assert "By length of history" not in html
    assert "By length of history" in render(night(metrics=metrics()))
    assert "1 group falls behind:" in html
    assert "Gain over EASE" in html
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; {{ 7*7 }}" in html


def calibration():
    rng = np.random.default_rng(2)
    probability = rng.beta(1, 20, 4000)
    label = rng.random(4000) < probability
    return calibration_figures(probability, label, rng.integers(0, 200, 4000).astype(np.int32))


def test_probabilities_are_told_in_percent_and_drawn():
    figures = calibration()
    view = chances.chances(night(metrics=metrics(calibration=figures)))
    assert view is not None
    assert (
        f"expected {100 * figures['predicted']:.1f}% to be bought; {100 * figures['observed']:.1f}% were"
        in view.verdict
    )
    assert f"{100 * figures['ece']:.2f} percentage points" in view.verdict
    assert len(view.rows) == 15
    assert view.rows[-1][:2] == tuple(f"{100 * figures['bins'][-1][key]:.1f}%" for key in ("predicted", "value"))
    assert view.chart.count("<circle") == 15
    html = render(night(metrics=metrics(calibration=figures)))
    assert "Do the probabilities hold?" in html
    assert chances.chances(night(metrics=metrics())) is None


def test_a_dot_lies_on_the_line_where_said_and_bought_agree():
    drawn = charts.reliability([{"predicted": 0.01, "value": 0.01, "low": 0.0, "high": 0.1}], "x")
    across, up = (float(n) for n in re.search(r'cx="([\d.]+)%" cy="([\d.]+)%"', drawn).groups())
    assert across == pytest.approx(100 - up)
    high = charts.reliability([{"predicted": 0.01, "value": 0.1, "low": 0.0, "high": 0.1}], "x")
    assert float(re.search(r'cy="([\d.]+)%"', high)[1]) < up, "SVG counts from the top"


@pytest.mark.parametrize("share", [0.0, 1e-12, 1.0])
def test_shares_at_the_ends_stay_inside_the_drawing(share):
    drawn = charts.reliability([{"predicted": share, "value": share, "low": share, "high": share}], "x")
    places = [float(n) for n in re.findall(r'[xy][12]?="([\d.-]+)%', drawn)]
    assert all(0 <= place <= 100 for place in places)


def test_reasons_are_counted_by_kind_with_what_says_nothing_of_the_customer():
    shares = {"repeat": 0.6, "popular": 0.3, "fallback": 0.1, "generic": 0.4}
    view = chances.reasons(night(summary={"reasons": shares}))
    assert view is not None
    assert [(name, share) for name, _, share in view.rows] == [
        ("they buy it", "60%"),
        ("many buy it now", "30%"),
        ("no single reason", "10%"),
    ]
    assert view.verdict.startswith("40% of tonight’s recommendations")
    assert "Why these products" in render(night(summary={"reasons": shares}))
    assert chances.reasons(night(summary={"num_customers": 2})) is None
    assert set(FAMILIES) - {"customer", "other"} < set(words.WORDING["reasons"])
