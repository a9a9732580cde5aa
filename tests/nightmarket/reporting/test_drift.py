import re

from nightmarket.reporting.drift import line, silence, view
from nightmarket.reporting.morning import view as morning
from nightmarket.reporting.night import Night
from nightmarket.reporting.page import render

BAD = "<script>alert(1)</script>"
COLUMN = {"table": "events", "name": "value", "kind": "number", "score": 9.26, "drifted": True}
CALM = COLUMN | {"name": "hour", "score": -0.41, "drifted": False, "words": "hour: 13 on average before, 13 now"}
UNSAID = CALM | {"name": "coupon", "score": None, "words": "coupon: not judged, too few rows"}


def told(**parts):
    return {
        "as_of": "2018-01-01",
        "champion": 3,
        "week": ["2017-12-25", "2017-12-31"],
        "reference": ["2017-10-02", "2017-11-26"],
        "limit": 5.5,
        "score": 9.26,
        "drifted": True,
        "columns": [COLUMN | {"words": f"value: 3 on average before, 310 now {BAD}"}, CALM, UNSAID],
        "words": "1 of 3 columns drifted: value: 3 on average before, 310 now",
        "fresh": {"last_events": "2017-12-31", "last_full_day": "2017-12-31", "silent_days": 0},
        "nights": [1.0, 2.0, None, 9.26],
        "shares": {"value": [{"value": "4 to ∞", "reference": 0.1, "week": 0.9}]},
    } | parts


def test_the_section_tells_the_verdict_the_figures_and_the_shares():
    page = render(Night(as_of="2018-01-01", drift=told()))
    section = page[page.index('<section id="drift"') : page.index("</section>", page.index('<section id="drift"'))]
    assert "1 of 3 columns drifted: value: 3 on average before, 310 now." in section
    assert "The week 25 Dec 2017 to 31 Dec 2017 beside 2 Oct 2017 to 26 Nov 2017" in section
    assert BAD not in section
    assert section.count('class="chip bad">drifted') == 1
    assert '<td class="number">−0.4</td>' in section
    assert "4 to ∞" in section
    assert "1 more are closer" in section
    assert len(re.findall("<circle", section)) == 3
    assert "tonight is above the limit" in section
    assert '<li class="look"><span class="chip">have a look</span> <a href="#drift">Drift: 1 of 3 columns' in page


def test_a_calm_night_says_so_and_asks_for_no_look():
    calm = told(drifted=False, columns=[CALM], words="no drift: all is usual", shares={}, nights=[1.0, 2.0], score=2.0)
    night = Night(as_of="2018-01-01", drift=calm)
    assert view(night).verdict == "No drift: all is usual."
    assert line(night) == silence(night) == ""
    assert not [item for item in morning(night) if item.section == "drift"]
    assert "tonight is not above the limit" in view(night).picture


def test_silent_days_are_told_even_where_nothing_could_be_tested():
    fresh = {"last_events": "2017-12-28", "last_full_day": "2017-12-31", "silent_days": 3}
    night = Night(as_of="2018-01-01", drift=told(fresh=fresh, drifted=False, limit=None, score=None, columns=[]))
    assert silence(night).startswith("There are no events since 28 Dec 2017: 3 full days")
    assert view(night).picture is None
    assert "There are no events since 28 Dec 2017" in render(night)


def test_without_the_stage_the_section_says_so():
    assert view(Night(as_of="2018-01-01")) is None
    assert "Nothing was compared with the champion’s training window tonight." in render(Night(as_of="2018-01-01"))
