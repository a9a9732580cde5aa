import numpy as np
import pytest

from nightmarket.delivery.launches import Design, audience, sizes, standing, words
from nightmarket.evaluation.experiments.design import ControlOutcome, Rule, power


def test_the_audience_is_the_fewest_customers_who_hold_the_share():
    chance = np.array([0.1, 0.4, 0.0, 0.3, 0.2])
    assert audience(chance, 0.4).tolist() == [1]
    assert audience(chance, 0.41).tolist() == [1, 3]
    assert audience(chance, 0.9).tolist() == [1, 3, 4]
    assert audience(chance, 1.0).tolist() == [0, 1, 3, 4]
    assert audience(np.zeros(3), 0.5).size == 0


def test_standing_is_the_share_of_customers_above_the_buyer():
    score = np.array([9.0, 8.0, 7.0, 6.0, 5.0, 1.0, 2.0])
    bought = np.array([False, True, False, False, True, True, False])
    launch = np.array([4, 4, 4, 4, 4, 7, 7], np.int32)
    # launch 4: one of three others above the first buyer, all three above the second; launch 7: the one other is above
    assert sorted(standing(score, bought, np.ones(7), launch)) == pytest.approx([1 / 3, 1, 1])
    ties = standing(np.ones(3), np.array([True, False, False]), np.ones(3), np.zeros(3, np.int32))
    assert ties == pytest.approx([0.5])


def test_a_sample_of_the_others_stands_for_all_of_them():
    rng = np.random.default_rng(3)
    score, bought = rng.normal(size=200_000), rng.random(200_000) < 0.01
    score[bought] += 1
    launch = rng.integers(0, 20, score.size).astype(np.int32)
    keep = bought | (rng.random(score.size) < 0.2)
    weight = np.where(bought, 1.0, 5.0)
    whole = standing(score, bought, np.ones(score.size), launch)
    part = standing(score[keep], bought[keep], weight[keep], launch[keep])
    assert (part < 0.1).mean() == pytest.approx((whole < 0.1).mean(), abs=0.01)
    assert 1 - part.mean() == pytest.approx(0.76, abs=0.02)  # Φ(1/√2): the AUC of a shift by one


def test_a_launch_that_everybody_bought_has_no_standing():
    assert standing(np.ones(2), np.ones(2, bool), np.ones(2), np.zeros(2, np.int32)).size == 0


def test_sizes_count_customers_expected_buyers_and_what_earlier_launches_held():
    chance = np.concatenate([np.full(10, 0.5), np.full(90, 0.05)])
    rows = sizes(chance, np.array([0.01, 0.08, 0.4, 0.9]))
    ten = next(row for row in rows if row["customers"] == 10)
    assert ten["expected_buyers"] == pytest.approx(5.0)
    assert ten["share_expected"] == pytest.approx(5 / 9.5)
    assert ten["share_held_by_earlier_launches"] == 0.5
    assert sizes(chance, np.zeros(0))[0]["share_held_by_earlier_launches"] is None


def test_a_design_finds_what_it_says_with_its_power():
    design = Design.of(4000, 0.5, 0.05)
    outcome = ControlOutcome(mean=0.05, proportion=True)
    assert power(outcome, design.smallest, 4000) == pytest.approx(0.8, abs=1e-6)
    assert power(outcome, 0.05, design.doubling) == pytest.approx(0.8, abs=0.01)
    smaller = Design.of(4000, 0.1, 0.05)
    assert smaller.smallest > design.smallest
    assert power(outcome, smaller.smallest, 4000, Rule(share=0.9)) == pytest.approx(0.8, abs=1e-6)


def test_what_no_test_can_find_is_said():
    assert "So few can show no effect" in Design.of(5, 0.5, 0.5).words()
    assert "no test can be designed" in Design.of(50, 0.1, 0.0).words()
    assert "4.0 times" in Design(100, 0.1, 0.01, 0.03, 900).words()


def test_words_say_what_is_calibrated_and_what_is_not():
    summary = {"empty_because": None, "num_contacts": 9, "num_sent": 9, "num_eligible": 10, "num_holdout": 1}
    summary["expected_profit"] = 1.0
    facts = {"launches": 7, "buyers": 9, "expected": 11.4, "days": 28, "unseen": True, "low": 1, "high": 3}
    design = Design.of(10, 0.1, 0.1)
    told = " ".join(words(summary, design, facts, ["A note."]))
    for part in ("on the 7 launches", "expected 11 buyers", "80 found 1 to 3", "what a contact adds", "A note."):
        assert part in told
    assert "learned from" not in told
    assert "cost more than the margin" not in told
    assert "cost more than the margin" in " ".join(words(summary | {"expected_profit": -1.0}, design, facts, []))
    assert "which the model had learned from" in " ".join(words(summary, design, facts | {"unseen": False}, []))
    assert "Nothing is calibrated" in " ".join(words(summary, design, {}, []))
    assert words(summary | {"empty_because": "the budget is 0"}, design, {}, []) == [
        "Nothing is sent: the budget is 0."
    ]
