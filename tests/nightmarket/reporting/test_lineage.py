import re

from nightmarket.reporting.lineage import graph, reduced, view
from nightmarket.reporting.night import Night
from nightmarket.reporting.pictures import ROW, arcs

DAG = {
    "validate": {"desc": "check", "deps": ["data/raw", "tasks/validate.py"], "outs": ["artifacts/validate"]},
    "prepare": {"desc": "cut", "deps": ["artifacts/validate/clean"], "outs": ["artifacts/prepare"]},
    "evaluate": {
        "desc": "judge",
        "deps": ["artifacts/prepare", "artifacts/validate"],
        "outs": [],
        "metrics": ["artifacts/evaluate/metrics.json"],
        "plots": [{"artifacts/evaluate/ndcg.csv": {"x": "task"}}],
    },
    "score": {
        "desc": "recommend",
        "deps": ["data/champion/rank", "artifacts/prepare"],
        "outs": ["artifacts/score"],
        "meta": {"phase": "deliver"},
    },
    "report": {
        "desc": "tell",
        "deps": ["artifacts/score", "artifacts/evaluate/metrics.json"],
        "outs": ["artifacts/report"],
        "meta": {"phase": "deliver"},
    },
}
TOLD = {"commit": "c" * 40, "run_id": "r", "lock_hash": "l", "params_sha256": "p", "as_of": "2018-01-01"}


def test_the_stages_stand_in_their_order_with_the_steps_between_them():
    after = {stage["name"]: stage["after"] for stage in graph(DAG)}
    assert list(after) == ["snapshot", "validate", "prepare", "evaluate", "register", "score", "report"]
    assert after["validate"] == ["snapshot"]
    assert after["evaluate"] == ["prepare", "validate"]
    assert after["register"] == ["evaluate"]
    assert after["score"] == ["prepare", "register"]
    assert after["report"] == ["evaluate", "score"]


def test_what_follows_from_other_arcs_is_left_out():
    kept = reduced(graph(DAG))
    assert kept["evaluate"] == ("prepare",), "validate reaches it through prepare"
    assert kept["score"] == ("register",)
    assert kept["report"] == ("score",)


def test_an_arc_joins_the_middle_of_two_rows():
    (path,) = re.findall(r'd="M92,([\d.]+)C[\d.,\s-]+ 92,([\d.]+)"', arcs([(0, 2)], 3, "joined"))
    assert [float(number) for number in path] == [0.5 * ROW, 2.5 * ROW]
    assert 'viewBox="0 0 100 30"' in arcs([(0, 2)], 3, "joined")


def test_the_card_holds_whatever_the_receipt_knows():
    told = view(Night(as_of="2018-01-01", receipt={"version": 7, **TOLD}))
    assert told.again == "make reproduce VERSION=7"
    assert [row.label for row in told.card] == [
        "Data up to", "Commit", "DVC lock, SHA-256", "Parameters, SHA-256", "MLflow run",
    ]  # fmt: skip
    assert (told.made_on, told.tables, told.packages, told.arcs) == ((), (), (), None)

    known = {
        "environment": {"python": "3.11.9", "threads": 2, "constraints_sha256": "e" * 64, "packages": {"torch": "2.9"}},
        "data": {"events": {"rows": 1200, "sha256": "a" * 64}, "offers": {"rows": 3, "sha256": "b" * 64}},
        "validation": {"events": {"rows": 1200, "kept": 1190, "set_aside": 10}},
        "metrics": {"all": {"ndcg@10": {"value": 0.43, "low": 0.42, "high": 0.44}}},
        "gate": {"opened": True, "reasons": ["all ndcg@10 +.010 [.001, .020] against version 6"]},
        "run": "refs/runs/nightly-1",
        "registered_at": "2018-01-02T03:04:05+00:00",
    }
    told = view(Night(as_of="2018-01-01", receipt={"version": 7, **TOLD, **known}))
    said = {row.label: row.value for row in (*told.card, *told.made_on)}
    assert said["Registered"] == "2018-01-02 03:04 UTC"
    assert said["Why the gate opened"] == "All purchases: NDCG@10 +.010 [.001, .020] against version 6."
    assert (said["Kept as"], said["Threads"]) == ("refs/runs/nightly-1", "2")
    assert [(row.name, row.rows, row.set_aside) for row in told.tables] == [
        ("events", "1,200", "10"), ("offers", "3", "–"),
    ]  # fmt: skip
    assert told.packages == (("torch", "2.9"),)


def test_tonights_version_is_named_only_where_another_one_delivers():
    other = view(Night(as_of="2018-01-01", receipt={"version": 2, **TOLD}, decision={"version": 3, **TOLD}))
    assert (other.tonight[0].label, other.tonight[0].value) == ("Tonight’s version", "3")
    same = view(Night(as_of="2018-01-01", receipt={"version": 3, **TOLD}, decision={"version": 3, **TOLD}))
    assert "Tonight’s version" not in [row.label for row in same.tonight]
    assert view(Night(as_of="2018-01-01")).card == ()
