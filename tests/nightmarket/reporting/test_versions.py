import re

from nightmarket.reporting.night import Night
from nightmarket.reporting.page import render
from nightmarket.reporting.pictures import FLOOR, LEFT, RIGHT, TOP, Point, course
from nightmarket.reporting.versions import view


def figure(value, half=0.01):
    return {"value": value, "low": value - half, "high": value + half}


def row(version, gate, value, **more):
    return {"version": version, "as_of": f"2018-01-{version:02}", "gate": gate, "value": value} | more


OLD = row(1, "opened", 0.40)
NEW = row(2, "refused", 0.39, figures={"all": figure(0.39), "new": figure(0.05), "launch": figure(0.04)})
TONIGHT = {
    "version": 3,
    "opened": True,
    "as_of": "2018-01-03",
    "reasons": [],
    "metrics": {task: {"ndcg@10": figure(value)} for task, value in (("all", 0.42), ("new", 0.06), ("launch", 0.05))},
}


def night(**parts):
    return Night(as_of="2018-01-03", **parts)


def test_without_a_version_on_record_there_is_no_section():
    assert view(night()) is None
    assert view(night(versions=[])) is None
    assert "No version is on record yet." in render(night())


def test_one_version_says_what_will_stand_there():
    told = view(night(decision=TONIGHT))
    assert told is not None
    assert "first version on record" in told.verdict
    assert told.pictures == ()
    assert [(row.version, row.figures[0], row.decision) for row in told.rows] == [
        ("3", ".420 [.410, .430]", "let through")
    ]


def test_tonights_version_follows_those_of_the_snapshot_and_the_table_begins_with_it():
    told = view(night(versions=[OLD, NEW], decision=TONIGHT, receipt={**TONIGHT, "gate": {"opened": True}}))
    assert told is not None
    assert told.verdict == (
        "3 versions are on record; 2 of them became champion. Version 3 delivers, made on 3 January 2018."
    )
    assert [(row.version, row.delivers) for row in told.rows] == [("3", True), ("2", False), ("1", False)]
    assert [title for title, _ in told.pictures] == ["All purchases", "New to the customer", "Launches"]


def test_rows_of_old_show_what_they_know():
    told = view(night(versions=[OLD, NEW]))
    assert told is not None
    assert told.rows[1].figures == (".400", "–", "–")
    assert [title for title, _ in told.pictures] == ["All purchases"], "one point alone is no course"


def test_a_version_that_was_decided_twice_stands_once():
    told = view(night(versions=[OLD, NEW, row(3, "opened", 0.42)], decision=TONIGHT))
    assert told is not None
    assert [version.version for version in told.rows] == ["3", "2", "1"]
    assert told.rows[0].figures[1] == ".0600 [.0500, .0700]"


def test_when_a_version_delivered_is_told_by_the_registrys_clock():
    spans = [
        {"since": "2018-01-01T05:00:00Z", "until": "2018-01-02T05:00:00Z", "by": "gate"},
        {"since": "2018-01-03T09:00:00Z", "until": None, "by": "rollback"},
    ]
    told = view(night(versions=[OLD | {"delivered": spans}, NEW, row(3, "refused", 0.4, delivered=spans[1:])]))
    assert told is not None
    assert [version.delivered for version in told.rows] == [
        "3 Jan 2018, by a rollback",
        "–",
        "1 Jan 2018 until 2 Jan 2018; 3 Jan 2018, by a rollback",
    ]
    assert told.verdict.startswith("3 versions are on record; 2 of them became champion."), "one promoted by hand"


def test_points_stand_in_their_order_and_higher_where_the_figure_is_higher():
    points = [Point("1 Jan", 0.1, 0.05, 0.15, True), Point("2 Jan", 0.3, 0.25, 0.35, False)]
    drawn = course(points, "rising")
    dots = re.findall(r'class="dot (ours|theirs)( hollow)?" cx="([\d.]+)%" cy="([\d.]+)%"', drawn)
    assert [(kind, hollow) for kind, hollow, _, _ in dots] == [("ours", ""), ("theirs", " hollow")]
    (first_x, first_y), (last_x, last_y) = ((float(x), float(y)) for _, _, x, y in dots)
    assert LEFT < first_x < last_x < RIGHT
    assert TOP < last_y < first_y < FLOOR, "SVG counts from the top"
    assert drawn.count('class="mark"') == 1, "only the champion's change is marked"


def test_the_champions_level_is_held_until_the_next_one():
    gate = (True, False, True)
    points = [Point(f"{i} Jan", 0.1 + i / 10, i / 10, 0.2 + i / 10, opened) for i, opened in enumerate(gate)]
    held = re.findall(r'class="delivers" x1="([\d.]+)%" x2="([\d.]+)%" y1="([\d.]+)%"', course(points, ""))
    assert len(held) == 3
    assert held[0][2] == held[1][2] != held[2][2]
    assert held[0][1] == held[1][0]


def test_equal_figures_without_intervals_still_make_a_picture():
    assert "nan" not in course([Point("a", 0.4, 0.4, 0.4, True), Point("b", 0.4, 0.4, 0.4, False)], "").lower()
    assert "nan" not in course([Point("a", 0.0, 0.0, 0.0, False)], "").lower()
