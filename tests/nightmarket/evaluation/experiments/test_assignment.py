"""assignment: stable, in the planned shares, independent across experiments, apart within a layer."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from nightmarket.contracts import InputError
from nightmarket.evaluation.experiments.assignment import Arms, assign, check_layer
from nightmarket.evaluation.experiments.readout import sample_ratio

KEY = b"a key of the tests"
CUSTOMERS = [f"{number:032x}" for number in range(30_000)]
HALF = {"control": 0.5, "treated": 0.5}


def test_the_same_customer_always_gets_the_same_arm():
    experiment = Arms("mail", {"control": 0.5, "a": 0.3, "b": 0.2})
    whole = assign(CUSTOMERS, experiment, KEY).arm
    assert (assign(CUSTOMERS[::-3], experiment, KEY).arm == whole[::-3]).all()
    # a figure of today: whoever changes the hash moves every customer of a running experiment
    assert whole[:8].tolist() == ["b", "control", "b", "control", "control", "a", "a", "a"]


@pytest.mark.parametrize(
    "shares", [{"control": 1.0, "a": 0.0}, {"control": 1.1, "a": -0.1}, {"control": 0.5, "a": 0.4}]
)
def test_shares_that_no_deal_can_have_are_refused(shares):
    with pytest.raises(InputError, match="shares must be above 0 and sum to 1"):
        Arms("odd", shares)


def test_arms_get_their_shares_and_the_log_their_propensity():
    shares = {"control": 0.7, "a": 0.25, "b": 0.05}
    assigned = assign(CUSTOMERS, Arms("shares", shares), KEY)
    counts = {arm: int((assigned.arm == arm).sum()) for arm in shares}
    assert sum(counts.values()) == len(CUSTOMERS)
    assert sample_ratio(counts, shares).p_value > 0.01
    for arm, share in shares.items():
        assert (assigned.propensity[assigned.arm == arm] == share).all()


@pytest.mark.parametrize("names", [("one", "two"), ("spring", "spring "), ("a", "b")])
def test_two_experiments_are_independent(names):
    first, second = (assign(CUSTOMERS, Arms(name, HALF), KEY).arm for name in names)
    table = [[((first == x) & (second == y)).sum() for x in HALF] for y in HALF]
    assert chi2_contingency(table).pvalue > 0.001


def test_arms_are_independent_of_the_place_in_the_layer():
    small = Arms("inner", HALF, layer="mail", part=(0.0, 0.3))
    assigned = assign(CUSTOMERS, small, KEY)
    inside = assigned.arm != ""
    counts = {arm: int((assigned.arm == arm).sum()) for arm in HALF}
    assert sample_ratio({"in": int(inside.sum()), "out": int((~inside).sum())}, {"in": 0.3, "out": 0.7}).p_value > 0.001
    assert sample_ratio(counts, HALF).p_value > 0.001
    assert np.isnan(assigned.propensity[~inside]).all()
    # an experiment over everybody in another layer cuts across it
    across = assign(CUSTOMERS, Arms("across", HALF, layer="site"), KEY).arm
    table = [[((assigned.arm == x) & (across == y)).sum() for x in ("", *HALF)] for y in HALF]
    assert chi2_contingency(table).pvalue > 0.001


def test_experiments_of_a_layer_never_share_a_customer():
    parts = [(0.0, 0.4), (0.4, 0.5), (0.5, 1.0)]
    plans = [Arms(f"e{number}", HALF, "mail", part) for number, part in enumerate(parts)]
    check_layer(plans)
    members = np.array([assign(CUSTOMERS, plan, KEY).arm != "" for plan in plans])
    assert (members.sum(axis=0) == 1).all()
    with pytest.raises(InputError, match="overlap"):
        check_layer([*plans, Arms("late", HALF, "mail", (0.3, 0.45))])


def test_another_key_deals_anew():
    first, second = (assign(CUSTOMERS, Arms("mail", HALF), key).arm for key in (KEY, b"another"))
    assert (first == second).mean() == pytest.approx(0.5, abs=0.02)


def test_a_plan_that_cannot_be_carried_out_is_refused():
    with pytest.raises(InputError, match="sum to 1"):
        Arms("x", {"a": 0.5, "b": 0.4})
    with pytest.raises(InputError, match="two"):
        Arms("x", {"a": 1.0})
    with pytest.raises(InputError, match="name"):
        Arms("", HALF)
    with pytest.raises(InputError, match="interval"):
        Arms("x", HALF, part=(0.5, 0.2))
