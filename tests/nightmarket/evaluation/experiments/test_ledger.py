"""ledger: promised against found, version by version."""

import json

import numpy as np
import pytest

from nightmarket.evaluation.experiments.ledger import LedgerRow, Lift, _measured, _offline, ledger, trust


def version(number, value, against, difference):
    parts = {"value": difference, "low": difference - 0.01, "high": difference + 0.01}
    return {"version": number, "metric": "ndcg@10", "value": value, "against": against, "difference": parts}


def found_by(name, control, arm, effect):
    comparison = {
        "metric": "response",
        "arm": arm,
        "control": 0.05,
        "effect": effect,
        "sequence": {"low": effect - 0.002, "high": effect + 0.002},
    }
    other = comparison | {"metric": "value", "control": 10.0, "effect": 5.0}
    return {
        "name": name,
        "control": control,
        "comparisons": [comparison, other],
        "sample_ratio": {"found": {control: 10, arm: 10}},
        "verdict": {"word": "ship"},
    }


def test_an_arm_that_names_a_version_joins_its_row():
    versions = [version(6, 0.40, "popularity", 0.10), version(7, 0.44, "version 6", 0.04)]
    rows = ledger(versions, {"V7": Lift(0.08, 0.02, 0.14)}, [found_by("K1", "v6", "version 7", 0.005)])
    assert [row.name for row in rows] == ["v7", "v6"]
    row = rows[0]
    assert row.offline == pytest.approx((0.1, 0.075, 0.125))  # .04 over version 6's .40 on the same window
    assert row.ope.value == 0.08
    assert row.ab == pytest.approx((0.1, 0.06, 0.14))
    assert (row.experiment, row.control, row.offline_metric, row.ab_metric) == ("K1", "v6", "ndcg@10", "response")
    assert rows[1].ab is None
    assert rows[1].offline.value == pytest.approx(0.1 / 0.3)
    json.dumps([row.content() for row in rows], allow_nan=False)


def test_a_version_tested_against_another_rival_has_no_interval_and_says_why():
    versions = [
        version(5, 0.30, "popularity", 0.1),
        version(6, 0.40, "version 5", 0.1),
        version(7, 0.44, "version 6", 0.04),
    ]
    row = ledger(versions, {}, [found_by("K1", "v5", "v7", 0.005)])[0]
    assert row.offline == (pytest.approx(0.44 / 0.30 - 1), None, None)
    assert "other windows" in row.note
    row = ledger(versions, {}, [found_by("K1", "holdout", "v7", 0.005)])[0]
    assert row.offline is None
    assert "holdout" in row.note


def test_policies_have_rows_of_their_own():
    rows = ledger([], {"thompson": Lift(0.2), "greedy": Lift(0.1)}, [found_by("K1", "control", "Thompson", 0.005)])
    assert [(row.name, row.ope.value, row.ab and row.ab.value) for row in rows] == [
        ("Thompson", 0.2, pytest.approx(0.1)),
        ("greedy", 0.1, None),
    ]
    # an arm that is neither a version nor a policy is no matter of the ledger
    assert ledger([], {}, [found_by("K1", "control", "blue button", 0.005)]) == []


def test_a_blocked_experiment_finds_nothing():
    blocked = found_by("K1", "v6", "v7", 0.005) | {"comparisons": []}
    row = ledger([version(7, 0.44, "version 6", 0.04)], {}, [blocked])[0]
    assert row.ab is None
    assert row.offline is not None


def test_trust_cannot_be_told_from_two_versions():
    rows = [LedgerRow("v1", offline=Lift(0.1), ab=Lift(0.05)), LedgerRow("v2", offline=Lift(0.2), ab=Lift(0.1)),
            LedgerRow("v3", offline=Lift(0.2))]  # fmt: skip
    trusted = trust(rows, "offline")
    assert (trusted.num_rows, trusted.bias, trusted.ratio) == (2, None, None)
    assert "cannot be said before there are 3" in trusted.sentence
    assert trust(rows, "ope").num_rows == 0


def test_bias_is_the_paired_mean_with_its_t_interval():
    from scipy.stats import ttest_rel

    promised, arrived = [0.10, 0.20, 0.15, 0.30], [0.04, 0.12, 0.06, 0.14]
    rows = [
        LedgerRow(f"v{i}", offline=Lift(x), ab=Lift(y)) for i, (x, y) in enumerate(zip(promised, arrived, strict=True))
    ]
    trusted = trust(rows, "offline")
    oracle = ttest_rel(promised, arrived).confidence_interval()
    assert trusted.bias == pytest.approx((0.0975, oracle.low, oracle.high))
    assert trusted.ratio.value == pytest.approx(0.36 / 0.75)
    assert trusted.ratio.low < 0.48 < trusted.ratio.high
    assert "0.48" in trusted.sentence


def test_fieller_covers_the_ratio():
    rng = np.random.default_rng(9)
    covered = 0
    for _ in range(500):
        truth = rng.normal(0.2, 0.05, 6)
        rows = [
            LedgerRow("v", ope=Lift(x), ab=Lift(0.5 * x + e))
            for x, e in zip(truth, rng.normal(0, 0.02, 6), strict=True)
        ]
        ratio = trust(rows, "ope").ratio
        covered += ratio.low <= 0.5 <= ratio.high
    assert 0.92 <= covered / 500 <= 0.98


def test_promises_around_zero_have_no_ratio():
    rows = [LedgerRow("v", offline=Lift(x), ab=Lift(0.01)) for x in (-0.1, 0.1, 0.02)]
    assert trust(rows, "offline").ratio is None
    assert trust(rows, "offline").bias is not None


def test_what_was_measured_is_that_of_the_arm_and_the_metric():
    experiment = found_by("mail", "v2", "v3", 0.01)
    experiment["comparisons"] = [
        experiment["comparisons"][1],
        experiment["comparisons"][0] | {"arm": "v4", "effect": 0.02},
        experiment["comparisons"][0] | {"control": 0.0},
        experiment["comparisons"][0],
    ]
    assert _measured(experiment, "v3", "response") == Lift(*map(pytest.approx, (0.2, 0.16, 0.24)))
    assert _measured(experiment, "v5", "response") is None


def test_a_version_without_a_row_promised_nothing():
    assert _offline({}, 3, "v2") == (None, "")
    assert _offline({3: version(3, 0.2, "v2", 0.02)}, None, "v2") == (None, "")
