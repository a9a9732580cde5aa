"""Off-policy estimates on worlds whose truth is known, the refusals, and the verdict."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nightmarket.contracts import InputError
from nightmarket.delivery.policies import mixed
from nightmarket.evaluation.offpolicy.estimators import (
    cross_fitted,
    direct,
    doubly_robust,
    folds,
    gamma_interval,
    importance,
    self_normalised,
    standard_error,
    switch_doubly_robust,
)
from nightmarket.evaluation.offpolicy.evaluation import diagnose, evaluate, propensity_test
from nightmarket.evaluation.offpolicy.logs import Log
from tests.made_up import clicks as world


@pytest.fixture(scope="module")
def truth():
    return world.truth()


@pytest.fixture(scope="module")
def logs():
    return [world.world(10_000, 100 + seed) for seed in range(30)]


@pytest.fixture(scope="module")
def verdicts(logs):
    return [evaluate(log, world.target(log.context), seed) for seed, log in enumerate(logs)]


def by_hand():
    """Four rows, two actions; weights 1.6, .4, .5, 2."""
    log = Log(
        np.zeros((4, 0)),
        np.array([0, 1, 0, 1]),
        np.array([1.0, 0, 1, 1]),
        np.array([0.5, 0.5, 0.8, 0.2]),
        num_actions=2,
    )
    target = np.array([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.6, 0.4]])
    return log, target, np.array([[0.5, 0.25]] * 4)


def test_estimates_by_hand():
    log, target, q = by_hand()
    model = (0.8 * 0.5 + 0.2 * 0.25) * 2 + (0.4 * 0.5 + 0.6 * 0.25) + (0.6 * 0.5 + 0.4 * 0.25)
    rest = [1.6 * 0.5, 0.4 * -0.25, 0.5 * 0.5, 2.0 * 0.75]
    assert importance(log, target).value == pytest.approx((1.6 + 0.5 + 2) / 4)
    assert self_normalised(log, target).value == pytest.approx(4.1 / 4.5)
    assert direct(log, target, q).value == pytest.approx(model / 4)
    assert doubly_robust(log, target, q).value == pytest.approx((model + sum(rest)) / 4)
    assert switch_doubly_robust(log, target, q, tau=1.7).value == pytest.approx((model + sum(rest[:3])) / 4)
    diagnostics = diagnose(log, target, 0)
    assert diagnostics.mean_weight == pytest.approx(4.5 / 4)
    assert diagnostics.ess == pytest.approx(4.5**2 / (1.6**2 + 0.4**2 + 0.5**2 + 4))
    assert diagnostics.effective_clicks == pytest.approx(4.1**2 / (1.6**2 + 0.5**2 + 4))
    assert diagnostics.largest_share == pytest.approx(2 / 4.5)


@pytest.mark.filterwarnings("ignore")
def test_estimates_are_those_of_open_bandit_pipeline():
    ope = pytest.importorskip("obp.ope")
    log = world.world(2000, 5)
    target, q = world.target(log.context), cross_fitted(log, 0)
    given = {
        "reward": log.reward, "action": log.action, "pscore": log.propensity,
        "action_dist": target[:, :, None], "estimated_rewards_by_reg_model": q[:, :, None],
        "position": np.zeros(2000, int),
    }  # fmt: skip
    for theirs, ours in (
        (ope.InverseProbabilityWeighting(), importance(log, target)),
        (ope.SelfNormalizedInverseProbabilityWeighting(), self_normalised(log, target)),
        (ope.DirectMethod(), direct(log, target, q)),
        (ope.DoublyRobust(), doubly_robust(log, target, q)),
        (ope.SwitchDoublyRobust(tau=3.0), switch_doubly_robust(log, target, q, tau=3.0)),
    ):
        assert ours.value == pytest.approx(theirs.estimate_policy_value(**given), rel=1e-9)


def test_doubly_robust_is_near_the_truth_and_its_intervals_cover(verdicts, truth):
    errors = [abs(verdict.of("DR").value - truth) / truth for verdict in verdicts]
    assert np.mean(errors) <= 0.045
    # of 30 intervals of 95%, fewer than 25 cover once in 500 times
    assert sum(verdict.of("DR").low <= truth <= verdict.of("DR").high for verdict in verdicts) >= 25
    assert all(verdict.verdict == "certified better" for verdict in verdicts)


def test_with_a_wrong_model_doubly_robust_stays_and_the_direct_method_errs_and_the_result_says_so(logs, truth):
    for seed, log in enumerate(logs[:10]):
        wrong = np.full((len(log), 10), log.reward.mean())
        evaluation = evaluate(log, world.target(log.context), seed, q=wrong)
        assert abs(evaluation.of("DM").value - truth) / truth > 0.2
        assert abs(evaluation.of("DR").value - truth) / truth < 0.1
        assert evaluation.model_errs
        assert "do not use DM" in evaluation.words
    told = [evaluate(log, world.target(log.context), 0, q=world.click_rates(log.context)).model_errs for log in logs]
    assert sum(told) <= 3  # 1% each


def test_a_customers_rows_hang_together():
    """Each decision ten times over: the interval is that of a tenth of the rows, and no customer straddles folds."""
    log = world.world(1000, 1)
    many = {name: np.repeat(getattr(log, name), 10, axis=0) for name in ("context", "action", "reward", "propensity")}
    unit = np.repeat(np.arange(1000), 10)
    again = Log(**many, num_actions=10, unit=unit)
    assert standard_error(again.reward, unit) == pytest.approx(standard_error(log.reward, log.unit))
    assert (np.ptp(folds(unit, 0).reshape(1000, 10), axis=1) == 0).all()
    first, second = again.halves(0)
    assert not set(first.unit) & set(second.unit)
    assert len(first) + len(second) == 10_000


def test_the_gamma_interval_covers_where_clicks_are_few():
    rng = np.random.default_rng(0)
    weight = rng.lognormal(0, 1, 400)
    expected, covered = 0.03 * weight.sum(), 0
    for _ in range(400):
        low, high = gamma_interval(weight[rng.random(400) < 0.03], weight.max())
        covered += low <= expected <= high
    assert covered / 400 >= 0.94
    exact = stats.chi2.ppf(0.025, 2 * 7) / 2, stats.chi2.ppf(0.975, 2 * 8) / 2  # Garwood (1936) for seven events
    assert gamma_interval(np.ones(7), 1.0) == pytest.approx(exact)
    assert gamma_interval(np.zeros(5), 1.0)[0] == 0


def checks(verdict):
    assert verdict.verdict == "refused"
    return {refusal.check: refusal for refusal in verdict.refusals}


def test_shuffled_propensities_are_refused(logs):
    for seed, log in enumerate(logs[:10]):
        shuffled = replace(log, propensity=np.random.default_rng(seed).permutation(log.propensity))
        check = checks(evaluate(shuffled, world.target(log.context), seed))["propensities"]
        assert check.figure > check.limit
        assert "do not agree with the actions taken" in check.words


def test_true_propensities_are_not_called_wrong():
    """In fewer than 1 of 1,000 logs; of 400, more than 3 would be once in 1,000 times."""
    alarms = 0
    for seed in range(400):
        z, limit = propensity_test(world.world(1000, seed), seed)
        alarms += z > limit
    assert alarms <= 3


def test_propensities_that_are_all_a_quarter_too_high_are_refused(logs):
    log = replace(logs[0], propensity=np.minimum(logs[0].propensity * 1.25, 1.0))
    failed = checks(evaluate(log, world.target(log.context), 0))
    assert {"support", "mean weight"} <= set(failed)
    assert re.search(r"mean is 0\.\d{3}, not within 0.1 of 1", failed["mean weight"].words)


def test_a_single_row_with_a_huge_weight_is_refused(logs):
    log, policy = logs[0], world.target(logs[0].context)
    propensity = log.propensity.copy()
    propensity[17] = 1e-5 * policy[17, log.action[17]]
    failed = checks(evaluate(replace(log, propensity=propensity), policy, 0))
    assert failed["one row"].figure > 0.9
    assert failed["one row"].words.endswith("of the weight (more than 10%)")


def test_an_effective_sample_below_500_is_refused():
    log = world.world(1500, 3)
    check = checks(evaluate(log, world.target(log.context), 0))["ess"]
    assert 100 < check.figure < 500 == check.limit
    assert check.words.endswith("effective rows (fewer than 500)")


def test_38_clicks_are_refused_even_for_the_policy_that_logged(logs):
    log = logs[0]
    clicks = np.zeros(len(log))
    clicks[np.random.default_rng(0).choice(len(log), 38, replace=False)] = 1.0
    failed = checks(evaluate(replace(log, reward=clicks), world.logged(log.context), 0))
    assert failed["clicks"].words == "38 clicks in the log (fewer than 50)"
    assert failed["clicks"].figure == 38


def test_fewer_than_25_effective_clicks_are_refused(logs):
    log = logs[0]
    clicks = np.zeros(len(log))
    clicks[np.random.default_rng(1).choice(len(log), 60, replace=False)] = 1.0
    failed = checks(evaluate(replace(log, reward=clicks), world.target(log.context), 0))
    assert set(failed) == {"effective clicks"}


def test_actions_that_the_log_never_took_are_refused(logs):
    log = logs[0].where(logs[0].action != 9)
    failed = checks(evaluate(log, np.eye(10)[np.full(len(log), 9)] * 0.05 + world.target(log.context) * 0.95, 0))
    assert failed["untried"].figure > 0.05


def test_a_policy_is_not_judged_on_the_rows_that_chose_it(logs):
    first, second = logs[0].halves(0)
    policy = world.target(second.context)
    assert evaluate(second, policy, 0, chosen_on=first.row).verdict == "certified better"
    failed = checks(evaluate(second, policy, 0, chosen_on=np.r_[first.row, second.row[:3]]))
    assert failed["same data"].words.startswith("3 of 5,000 rows also chose the policy")


def test_only_a_difference_above_zero_is_certified(logs):
    log = logs[0]
    same = evaluate(log, world.logged(log.context), 0)
    assert (same.verdict, same.refusals) == ("not certified", ())
    worse = evaluate(log, mixed(world.softmax(-2 * (log.context @ world.SLOPES + world.LEVELS)), 0.3), 0)
    assert worse.verdict == "not certified"
    assert worse.difference.high < 0


def test_with_few_effective_clicks_the_gamma_interval_has_a_say(logs):
    rng, log = np.random.default_rng(2), logs[0]
    rare = (rng.random(len(log)) < 0.03) * log.reward
    evaluation = evaluate(replace(log, reward=rare), world.target(log.context), 0)
    assert evaluation.diagnostics.effective_clicks < 100
    assert evaluation.of("IPS").interval.startswith("gamma")
    if evaluation.verdict == "certified better":
        assert evaluation.of("IPS").low > evaluation.logging.value


def test_the_result_is_json_and_repeats(logs):
    log = logs[1]
    first, again = (evaluate(log, world.target(log.context), 3) for _ in range(2))
    assert first == again
    assert json.loads(json.dumps(first.to_json()))["verdict"] == "certified better"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"propensity": np.array([0.5, 0.0, 0.5])}, "propensity do not lie in .0, 1., the first in row 1"),
        ({"propensity": np.array([0.5, 1.2, 0.5])}, "do not lie"),
        ({"action": np.array([0, 1, 2])}, "are not 0 to 1"),
        ({"reward": np.array([0.0, np.nan, 1.0])}, "1 values of reward are not finite, the first in row 1"),
        ({"reward": np.zeros(2)}, "2 rows, action has 3"),
        ({"row": np.array([1, 1, 2])}, "repeat"),
    ],
)
def test_a_broken_log_is_refused_in_one_line(change, words):
    whole = {"context": np.zeros((3, 1)), "action": np.array([0, 1, 0]), "reward": np.ones(3),
             "propensity": np.full(3, 0.5), "num_actions": 2}  # fmt: skip
    with pytest.raises(InputError, match=words):
        Log(**(whole | change))


def test_a_policy_that_is_no_distribution_is_refused():
    log, target, _ = by_hand()
    with pytest.raises(InputError, match="are no distribution, the first in row 0"):
        evaluate(log, target * 0.9, 0)
