from nightmarket.evaluation.figures import Metrics
from nightmarket.reporting.morning import view
from nightmarket.reporting.night import Night

PLAN = {"num_sent": 394, "spend": 150.0, "budget": 150.0, "expected_responses": 55.4, "campaign": {"currency": "USD"}}


def told(**parts):
    parts = {"validation": {"tables": {}}, "metrics": Metrics(all={"nightmarket": {}})} | parts
    return [(item.kind, item.section, item.text) for item in view(Night(as_of="2018-01-01", **parts))]


def test_a_quiet_night_asks_for_nothing():
    assert told() == []


def test_what_waits_for_a_person_stands_before_what_deserves_a_look():
    refused = {"version": 4, "opened": False, "reasons": ["all ndcg@10 -.010 [-.020, -.001] against version 3"]}
    copy = {"summary": {"words": "84 texts for 14 of 14 briefs"}, "texts": [{}]}
    items = told(plan=PLAN, decision=refused, copy=copy, summary={"num_customers": 80})
    assert [item[:2] for item in items] == [
        ("do", "plan"), ("do", "copy"), ("look", "gate"), ("know", "people"),
    ]  # fmt: skip
    assert items[0][2] == "Campaign plan: 394 customers for 150 of 150 USD, 55 responses expected."
    assert items[2][2].startswith("The gate refused version 4: All purchases: NDCG@10 -.010")


def test_a_plan_that_sends_nothing_waits_for_nobody():
    assert told(plan={"empty_because": "the budget is 0"}) == [
        ("know", "plan", "Campaign plan: nothing would be sent: the budget is 0.")
    ]


def test_tables_that_shrank_or_lost_rows_deserve_a_look():
    tables = {
        "fine": {"rows": 1000, "set_aside": 9, "previous_rows": 1001},
        "bad": {"rows": 1000, "set_aside": 10, "previous_rows": None},
        "small": {"rows": 799, "set_aside": 0, "previous_rows": 1000},
    }
    assert [item[2] for item in told(validation={"tables": tables})] == [
        "bad: 1% of the rows were set aside, 10.",
        "small: 799 rows, 20.1% fewer than last night.",
    ]


def test_a_night_without_checks_or_figures_says_so():
    assert [item[2] for item in told(validation=None, metrics=Metrics())] == [
        "The validation report was not there.",
        "Tonight’s model was not evaluated.",
    ]


def test_an_experiment_that_is_decided_waits_for_a_person():
    decided = {"name": "hello", "verdict": {"word": "ship", "reason": ""}}
    other = {"name": "later", "verdict": {"word": "continue", "reason": ""}}
    assert told(readout={"experiments": [decided, other]}) == [("do", "readouts", "Experiment “hello”: ship.")]
