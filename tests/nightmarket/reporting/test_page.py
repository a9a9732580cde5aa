import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from nightmarket.contracts import Unavailable
from nightmarket.evaluation.figures import Metrics
from nightmarket.histories.interactions import TARGETS
from nightmarket.reporting.delivery import gate, headline, importance
from nightmarket.reporting.intake import intake
from nightmarket.reporting.night import Night, Person, Pick, Purchase, choose
from nightmarket.reporting.page import SECTIONS, render, sections
from nightmarket.reporting.quality import slices, tasks, text
from nightmarket.reporting.words import EVENTS

BAD = "<img src=x onerror=alert(1)> {{ 7*7 }} {% raw %} </style><script>"


def figure(value, low=None, high=None):
    return {"value": value, "low": value - 0.01 if low is None else low, "high": value + 0.01 if high is None else high}


def night(**parts):
    return Night(as_of="2018-01-01", **parts)


def metrics(difference):
    return {
        "all": {
            name: {"ndcg@10": figure(value)}
            for name, value in (("nightmarket", 0.43), ("ease", 0.3), ("tifu_knn", 0.41))
        },
        "paired": {"all": {"tifu_knn": {"ndcg@10": difference}}},
        "num_customers": {"all": 1234},
    }


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.open, self.headings = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "col", "line", "circle", "rect", "path", "polyline", "polygon"):
            self.open.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()


def hostile():
    picks = [Pick(1, BAD, BAD, 0)]
    person = Person(BAD, BAD, 3, 2, [Purchase(17000, (BAD,), 4)], picks)
    told = {"tables": {BAD: {"rows": 2, "kept": 1, "set_aside": 1, "reasons": {BAD: 1}, "previous_rows": 1}}}
    figures = {"all": {"nightmarket": {"ndcg@10": figure(0.4)}, BAD: {"ndcg@10": figure(0.3)}}}
    figures["slices"] = {BAD: {BAD: figure(0.2)}}
    said = {"version": 1, "opened": False, "against": BAD, "reasons": [BAD], "differences": {}}
    said |= dict.fromkeys(("commit", "run_id", "lock_hash", "params_sha256"), BAD)
    receipt = {
        "version": 2,
        "gate": {"opened": True, "reasons": [BAD]},
        "environment": {"cpu": BAD, "packages": {BAD: BAD}},
    }
    receipt |= dict.fromkeys(("commit", "run", "run_id", "lock_hash", "params_sha256"), BAD) | {"as_of": "2018-01-01"}
    receipt |= {"data": {BAD: {"rows": 1, "sha256": BAD}}, "validation": {BAD: {"rows": 1, "set_aside": 0}}}
    old = {"version": 1, "as_of": "2017-12-31", "gate": BAD, "value": 0.4}
    newest = {"title": BAD, "first_week": 2500, "baskets": [1, 2, 3, 4], "lists": 3}
    shelf = {"last_week": 2503, "spans": [], "never_sold": 3, "recommended": 4, "new": [newest]}
    brief = {"brief": BAD, "segment": BAD, "offer": BAD, "channel": BAD, "locale": "en", "place": 1, "form": BAD}
    summary = {"words": BAD, "facts": {BAD: {"offer": {BAD: BAD}}}, "fates": [], "writer": BAD, "rules": {BAD: 1}}
    return night(
        people=[person],
        receipt=receipt,
        versions=[old],
        launches=shelf,
        stages=[{"name": BAD, "desc": BAD, "after": []}, {"name": "x", "desc": BAD, "after": [BAD]}],
        copy={"summary": summary | {"notes": [BAD], "num_by_template_instead": 0}, "texts": [brief | {"text": BAD}]},
        validation=told | {"warnings": [BAD], "expectations": 1},
        metrics=Metrics.read(figures),
        decision=said,
        importance={"ranker": {BAD: 1.0}},
        snapshot={"source": BAD, "fingerprint": BAD},
    )


def test_an_incomplete_night_says_so_on_top_and_in_each_lost_section_and_nowhere_else():
    lost = {name: Unavailable(name, reason) for name, reason in (("segment", BAD), ("plan", "needs segment, which x"))}
    html, whole = render(night(unavailable=lost)), render(night())
    top = html.partition("<main")[0]
    assert "This night is incomplete; the recommendations are not affected." in top
    assert '<a href="#plan">Plan needs segment, which x.</a>' in top
    assert "Unavailable tonight: plan needs segment, which x." in html.partition('<section id="plan"')[2]
    assert "Unavailable tonight" not in html.partition('<section id="demand"')[2].partition("<section")[0]
    assert BAD not in html
    assert "incomplete" not in whole
    assert html.count("<section ") == len(SECTIONS)


def test_a_section_that_cannot_be_made_costs_itself_alone(caplog):
    html = render(night(demand={"metrics": {"forecast": 7}}))
    assert "This section could not be made (AttributeError)" in html.partition('<section id="demand"')[2]
    assert html.count("could not be made") == 1
    assert "the section demand cannot be made" in caplog.text
    assert {key for key, made in sections(night(unreadable={"people": "KeyError"})).items() if made.error} == {"people"}


def test_nothing_that_a_retailer_brings_becomes_markup():
    html = render(hostile())
    tags = Tags()
    tags.feed(html)
    assert {tag for tag, _ in tags.seen}.isdisjoint({"img", "script", "iframe", "link", "object"})
    assert not any(name.startswith("on") for _, attrs in tags.seen for name in attrs)
    assert not any(name in ("src", "style") for _, attrs in tags.seen for name in attrs)
    assert all(attrs["href"].startswith("#") for _, attrs in tags.seen if "href" in attrs)
    assert "49 " not in html
    assert "{{ 7*7 }}" in html
    assert not tags.open


def test_the_policy_allows_exactly_the_style_sheet_that_is_there():
    html = render(night())
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = dict(next(attrs for tag, attrs in _seen(html) if attrs.get("http-equiv") == "Content-Security-Policy"))
    assert policy["content"].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def _seen(html):
    tags = Tags()
    tags.feed(html)
    return tags.seen


def test_headings_nest_and_every_table_has_a_caption():
    html = render(hostile())
    tags = Tags()
    tags.feed(html)
    assert tags.headings[0] == 1
    assert tags.headings.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in zip(tags.headings, tags.headings[1:], strict=False))
    assert html.count("<table") == html.count("<caption")
    pictures = [attrs for tag, attrs in tags.seen if tag == "svg"]
    assert all("aria-hidden" in attrs or attrs.get("aria-label") for attrs in pictures)


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (figure(0.02, 0.01, 0.03), "nightmarket is better, and chance does not explain it: +.0200 [.0100, .0300]"),
        (figure(0.0, -0.01, 0.01), "nightmarket and this baseline cannot be told apart"),
        (figure(-0.02, -0.03, -0.01), "nightmarket is worse, and chance does not explain it: −.0200"),
    ],
)
def test_the_words_follow_the_interval_of_the_strongest_baseline(difference, said):
    (view,) = tasks(night(metrics=Metrics.read(metrics(difference))))
    assert said in view.verdict
    assert "TIFU-kNN" in view.verdict
    assert [row.name for row in view.rows] == ["nightmarket", "TIFU-kNN", "EASE"]
    assert view.num_customers == "1,234"


def test_figures_that_are_not_finite_are_left_out():
    broken = metrics(figure(float("nan")))
    broken["all"]["ease"]["ndcg@10"]["value"] = None
    (view,) = tasks(night(metrics=Metrics.read(broken)))
    assert [row.name for row in view.rows] == ["nightmarket", "TIFU-kNN"]
    assert view.verdict == "There is no baseline to compare with."


def test_slices_keep_the_order_of_their_numbers_and_their_own_metric():
    content = {
        "history ndcg@10": {"over 90": figure(0.5), "up to 20 lines": figure(0.3), "up to 90": figure(0.4)},
        "department recall@20": {"DELI": figure(0.2) | {"num_customers": 7}, "GROCERY": figure(0.4)},
    }
    history, department = slices(night(metrics=Metrics.read({"slices": content})))
    assert [row.name for row in history.rows] == ["up to 20 lines", "up to 90", "over 90"]
    assert (history.title, history.metric, department.metric) == ("By length of history", "NDCG@10", "Recall@20")
    assert [(row.name, row.note) for row in department.rows] == [("GROCERY", ""), ("DELI", "7 customers")]


def test_fine_tuning_is_told_as_it_is():
    window = {
        "before": {task: {"ndcg@10": figure(0.03)} for task in ("all", "new", "launch")},
        "after": {task: {"ndcg@10": figure(0.03)} for task in ("all", "new", "launch")},
        "paired": {
            "all": {"ndcg@10": figure(0.02, 0.01, 0.03)},
            "new": {"ndcg@10": figure(0.0, -0.01, 0.01)},
            "launch": {"ndcg@10": figure(-0.02, -0.03, -0.01)},
        },
    }
    view = text(night(history={"test": window, "encoder": "untouched", "num_steps": 120, "device": "cpu"}))
    assert view is not None
    assert "helped on “all purchases”. It hurt on “launches”. On “new to the customer” no difference" in view.verdict
    assert "encoder itself was left as it came" in view.verdict
    assert (view.weeks, view.curve) == ("weeks that training never saw", None)
    flattering = text(night(history=window))
    assert flattering is not None
    assert flattering.weeks == "the weeks that also chose when to stop"


def decision(version, opened):
    return {"version": version, "opened": opened, "as_of": "2018-01-01"}


@pytest.mark.parametrize(
    ("receipt", "said", "words"),
    [
        (None, None, "No version delivers yet: none has passed the gate."),
        (None, decision(1, False), "none has passed the gate. Tonight’s model, version 1, was not let through."),
        (2, decision(2, True), "Version 2 delivers. It passed the gate on the data up to 31 December 2017."),
        (2, decision(3, False), "still delivers. Tonight’s model, version 3, was not let through."),
        (2, decision(1, True), "still delivers. Tonight’s training repeated version 1, which once was champion."),
    ],
)
def test_the_headline_names_the_version_that_delivers(receipt, said, words):
    held = {"version": receipt, "as_of": "2017-12-31"} if receipt else None
    assert headline(night(receipt=held, decision=said)).endswith(words)


def test_a_champion_by_hand_is_told_with_its_reason():
    change = {"how": "promote", "by": "ada", "reason": "prices were wrong", "at": "2018-01-02T03:04:05Z"}
    said = decision(3, False) | {"promoted": change, "reasons": ["worse"], "differences": {}, "against": "version 2"}
    tonight = night(receipt={"version": 3, "as_of": "2018-01-01"}, decision=said)
    assert headline(tonight) == (
        "Version 3 delivers, promoted by hand on 2 January 2018 by ada. The gate had refused it."
    )
    view = gate(tonight)
    assert view is not None
    assert (view.opened, view.reasons) == (True, ("Why: prices were wrong", "Version 3 was not let through.", "Worse."))
    back = said | {"opened": True, "promoted": change | {"how": "rollback"}}
    assert headline(night(receipt={"version": 3, "as_of": "2018-01-01"}, decision=back)) == (
        "Version 3 delivers, brought back by a rollback on 2 January 2018 by ada."
    )


def test_the_intake_counts_and_warns():
    table = {"rows": 1000, "kept": 990, "set_aside": 10, "reasons": {"b": 4, "a": 6}, "previous_rows": 800}
    told = {"tables": {"events": table}, "expectations": 9, "dropped_columns": {"events": ["a", "b"]}}
    view = intake(night(validation=told, snapshot={"source": "demo", "after_business_date": {"events": 3}}))
    assert view is not None
    assert view.summary.startswith(
        "1,000 rows in 1 tables came from “demo” and went through 9 checks. 10 were set aside (1%)"
    )
    assert (view.tables[0].change, view.tables[0].set_aside) == ("+200 (25%)", "10 (1%)")
    assert [row[1] for row in view.reasons] == ["a", "b"]
    assert [warning.split(":")[0] for warning in view.warnings] == ["events", "events"]


def test_what_each_source_brought_stands_beside_its_table():
    part = {"rows": 300, "set_aside": 30, "merged": 7, "previous_rows": 300, "never_filled": ["coupon"], "reasons": {}}
    table = {"rows": 1000, "set_aside": 30, "reasons": {}, "previous_rows": 1000, "sources": {"north": part}}
    conflicts = {"customers": {"rows": 4, "columns": {"city": 3, "born": 1}}}
    told = {"tables": {"events": table}, "expectations": 9, "conflicts": conflicts}
    view = intake(night(validation=told | {"sources": [{"name": "north"}, {"name": "south"}]}))
    assert view is not None
    assert "came from “north” and “south” and went" in view.summary
    (row,) = view.sources
    assert (row.source, row.table, row.rows, row.change) == ("north", "events", "300", "unchanged")
    assert (row.set_aside, row.merged) == ("30 (10%)", "7")
    assert view.warnings == (
        "events of north: coupon never has a value, as other sources have.",
        "customers: sources disagree in 4 rows (city 3 and born 1); the first holds.",
    )


def test_importance_is_a_share_of_all_gain_with_the_largest_first():
    rows = importance(night(importance={"ranker": {"a_b": 25.0, "c": 75.0, "d": 0.0}, "launch": {"x": 99.0}}))
    assert [(name, share) for name, _, share in rows] == [("c", "75%"), ("a b", "25%")]
    assert importance(night(importance={"ranker": {}})) == []


def test_examples_are_a_short_a_usual_and_a_long_history_whoever_they_are():
    visits = np.array([0, 5, 1, 9, 5, 2, 3, 4, 6, 7, 8, 5])
    assert choose(visits) == [5, 1, 10]
    assert choose(np.array([0, 0])) == []
    assert choose(np.array([4])) == [0]
    assert choose(np.array([4, 4, 4])) == [0, 1, 2]


def test_a_version_that_stands_in_is_told_as_such():
    held = {"version": 1, "as_of": "2017-12-31", "gate": {"stand_in": True}}
    popular = "Version 1 stands in: customers get what is popular until a version is clearly better."
    assert headline(night(receipt=held, decision=decision(1, True))) == popular
    refused = headline(night(receipt=held, decision=decision(2, False)))
    assert refused == f"{popular} Tonight’s model, version 2, was not let through."


def test_what_lists_foretell_is_said_where_it_is_no_purchase():
    held = {"version": 1, "as_of": "2017-12-31"}
    assert headline(night(receipt=held, target="view")).endswith(
        "Lists foretell views: where this page says bought, read views."
    )
    assert "foretell" not in headline(night(receipt=held))
    assert set(EVENTS) == set(TARGETS)
