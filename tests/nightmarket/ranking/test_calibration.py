"""Scores become probabilities: against a truth that the test made itself."""

import json

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.evaluation.calibration import ece
from nightmarket.ranking.calibration import Calibration


def pairs(num, seed):
    """Own products are bought at three times the odds that others of the same score are."""
    rng = np.random.default_rng(seed)
    score, own = rng.normal(0, 1.5, num), rng.random(num) < 0.4
    truth = 1 / (1 + np.exp(-(0.7 * score - 2.5 + np.log(3.0) * own)))
    return score, own, truth, rng.random(num) < truth


def test_probabilities_come_near_the_truth_for_own_products_and_for_others():
    score, own, _, label = pairs(60_000, 0)
    made = Calibration.fit(score, label, np.ones(score.size), own)
    score, own, truth, label = pairs(60_000, 1)
    probability = made.probability(score, own)
    for group in (own, ~own):
        assert np.abs(probability - truth)[group].mean() < 0.006
        assert ece(probability[group], label[group]) < 0.02
    raw = 1 / (1 + np.exp(-score))
    assert ece(raw, label) > 0.2


def test_thinned_pairs_weighed_back_give_the_same_probabilities():
    score, own, truth, label = pairs(120_000, 2)
    keep = label | (np.random.default_rng(3).random(score.size) < 0.25)
    weight = np.where(label, 1.0, 4.0)[keep]
    made = Calibration.fit(score[keep], label[keep], weight, own[keep])
    probability = made.probability(score, own)
    assert probability.mean() == pytest.approx(truth.mean(), rel=0.02)
    assert np.abs(probability - truth).mean() < 0.006


def test_a_higher_score_never_has_a_lower_probability():
    score, own, _, label = pairs(5_000, 4)
    made = Calibration.fit(score, label, np.ones(score.size), own)
    asked = np.linspace(-20, 20, 3001)
    for group in (True, False):
        probability = made.probability(asked, np.full(asked.size, group))
        assert (np.diff(probability) >= 0).all()
        assert probability[0] >= 0
        assert probability[-1] <= 1


def test_the_mean_is_kept_where_it_was_fitted():
    """Probabilities add up to what was bought, because the sigmoid has an offset."""
    score, own, _, label = pairs(40_000, 5)
    made = Calibration.fit(score, label, np.ones(score.size), own)
    probability = made.probability(score, own)
    for group in (own, ~own):
        assert probability[group].sum() == pytest.approx(label[group].sum(), rel=0.002)


def test_the_scale_of_the_scores_does_not_matter():
    score, own, _, label = pairs(20_000, 9)
    made = Calibration.fit(score, label, np.ones(score.size), own)
    far = Calibration.fit(1000 * score - 5e4, label, np.ones(score.size), own)
    np.testing.assert_allclose(far.probability(1000 * score - 5e4, own), made.probability(score, own), atol=1e-4)


def test_json_carries_the_map_exactly():
    score, own, _, label = pairs(4_000, 6)
    made = Calibration.fit(score, label, np.ones(score.size), own)
    again = Calibration.from_json(json.loads(json.dumps(made.to_json())))
    assert (again.probability(score, own) == made.probability(score, own)).all()


@pytest.mark.parametrize(
    ("label", "own", "said"),
    [
        ([False] * 8, [True] * 4 + [False] * 4, 1 / 6),
        ([True] * 8, [True] * 4 + [False] * 4, 5 / 6),
        ([True, False] * 4, [False] * 8, 0.5),
    ],
)
def test_scores_that_tell_nothing_give_the_smoothed_share_that_was_bought(label, own, said):
    made = Calibration.fit(np.zeros(8), np.array(label), np.ones(8), np.array(own))
    assert made.probability(np.array([-1.0, 3.0]), np.array([True, False])) == pytest.approx([said, said])


def test_scores_that_mislead_are_not_turned_round():
    score = np.linspace(-1, 1, 200)
    made = Calibration.fit(score, score < -0.5, np.ones(200), np.ones(200, bool))
    assert made.curves["own"][0] == 0.0
    assert made.probability(score, np.ones(200, bool)).mean() == pytest.approx(0.25, abs=0.01)


def test_scores_that_part_bought_from_others_stay_short_of_certainty():
    score = np.repeat([-1.0, 1.0], 50)
    probability = Calibration.fit(score, score > 0, np.ones(100), np.ones(100, bool)).probability(
        score, np.ones(100, bool)
    )
    assert (probability[0], probability[-1]) == (pytest.approx(1 / 52, abs=1e-4), pytest.approx(51 / 52, abs=1e-4))


def test_what_cannot_be_fitted_is_refused_in_a_line():
    ones = np.ones(2)
    for score, weight in ((np.array([0.0, np.nan]), ones), (ones, np.array([1.0, 0.0])), (np.zeros(0), np.zeros(0))):
        with pytest.raises(InputError, match="not usable numbers"):
            Calibration.fit(score, np.zeros(score.size, bool), weight, np.zeros(score.size, bool))


@pytest.mark.parametrize(
    "curve", [{"slope": -1, "offset": 0}, {"slope": 1, "offset": float("nan")}, {"slope": "x", "offset": 0}, {}, None]
)
def test_content_that_is_no_calibration_is_refused(curve):
    fine = {"slope": 1.0, "offset": 0.1}
    Calibration.from_json({"own": fine, "other": fine})
    with pytest.raises(InputError, match="calibration"):
        Calibration.from_json({"own": fine, "other": curve})
