"""A retailer's tables as experiments, row by row on tables of a handful of customers."""

import numpy as np
import pandas as pd
import pytest

from nightmarket.contracts import InputError
from nightmarket.evaluation.experiments.cases import (
    PURCHASES,
    RESPONSE,
    RESPONSE_VALUE,
    ExperimentPlan,
    arms_of,
    case,
    logged_shares,
    without_holdouts,
)
from nightmarket.evaluation.experiments.contacts import decisions, fixed_policies, tallies

END = pd.Timestamp("2024-03-31")
CAMPAIGN = pd.Series({"campaign_id": "spring", "start": pd.Timestamp("2024-03-01"), "end": END})
DAY = pd.Timedelta(days=1)


def day(number):
    """A moment of March, or of the months beside it."""
    return pd.Timestamp("2024-03-01") + (number - 1) * DAY


def table(columns, *rows):
    return pd.DataFrame([dict(zip(columns.split(), row, strict=True)) for row in rows], columns=columns.split())


EXPOSURES = table(
    "campaign_id customer_id arm timestamp propensity",
    ("spring", "a", "control", day(2), 0.5),
    ("spring", "a", "control", day(5), 0.5),
    ("spring", "b", "new", day(3), 0.5),
    ("spring", "c", "new", day(29), 0.5),
    ("spring", "d", "control", day(4), 0.5),
    ("spring", "d", "new", day(6), 0.5),
    ("spring", "e", None, day(4), 0.5),
    ("spring", "f", "control", pd.NaT, 0.5),
)
PURCHASED = table(
    "customer_id timestamp value",
    ("a", day(2), 10.0),  # at the exposure: an outcome
    ("a", day(2) - DAY, 7.0),  # before it: history
    ("a", day(2) - 91 * DAY, 3.0),  # the first day of the history
    ("a", day(2) - 92 * DAY, 100.0),
    ("a", day(9), 20.0),  # seven days later: over
    ("b", day(4), 5.0),
    ("b", day(9), None),
    ("c", END, 8.0),  # the campaign's last moment
    ("c", END + 2 * DAY, 50.0),
    ("z", day(4), 1000.0),  # exposed to nothing
)
RESPONSES = table(
    "customer_id timestamp value",
    ("a", day(3), 4.0),
    ("b", day(4), None),
    ("b", day(5), 6.0),
    ("c", day(28), 1.0),  # before the exposure
    ("z", day(4), 9.0),
)


def made(exposures=EXPOSURES, responses=RESPONSES, plan=None, known_until=None, **more):
    given = {"known_until": known_until or END + 5 * DAY, "outcome_days": 7, "planned": 1000}
    return case(CAMPAIGN, exposures, responses, PURCHASED, plan=plan or ExperimentPlan(), **(given | more))


def values(experiment_case, name):
    metric = next(metric for metric in experiment_case.experiment.metrics if metric.name == name)
    return metric.numerator.tolist()


def test_a_customer_is_one_row_with_one_arm_and_those_with_two_are_counted_apart():
    experiment_case = made()
    assert experiment_case.customers.tolist() == ["a", "b", "c", "f"]
    assert experiment_case.experiment.arm.tolist() == ["control", "new", "new", "control"]
    assert experiment_case.experiment.mixed == 1
    first = pd.to_datetime(experiment_case.experiment.assigned_at)
    assert first.tolist() == [day(2), day(3), day(29), day(1)], "the first exposure; without a time the start"


def test_outcomes_are_those_from_the_exposure_up_to_seven_days_or_the_end():
    experiment_case = made()
    assert values(experiment_case, PURCHASES) == [10.0, 5.0, 8.0, 0.0]
    assert values(experiment_case, RESPONSE) == [1.0, 1.0, 0.0, 0.0]
    assert values(experiment_case, RESPONSE_VALUE) == [4.0, 6.0, 0.0, 0.0]
    assert [metric.name for metric in experiment_case.experiment.metrics] == [RESPONSE, RESPONSE_VALUE, PURCHASES]


def test_the_covariate_is_what_was_bought_in_the_91_days_before():
    covariate = made().experiment.metrics[0].covariate
    assert covariate.values.tolist() == [10.0, 0.0, 0.0, 0.0]
    assert covariate.name == "purchase value, 91 days before"
    assert (covariate.measured_until == made().experiment.assigned_at).all()


def test_responses_without_any_value_have_no_value_metric_and_a_holdout_no_response():
    bare = RESPONSES.assign(value=pd.Series([None] * 5, dtype="float64"))
    assert [metric.name for metric in made(responses=bare).experiment.metrics] == [RESPONSE, PURCHASES]
    held = EXPOSURES.replace({"arm": {"control": "Holdout"}})
    assert [metric.name for metric in made(held).experiment.metrics] == [PURCHASES]
    assert made(held).experiment.control == "Holdout"


def test_a_customer_counts_when_the_outcome_is_over_and_the_case_is_final_when_all_are():
    second = pd.Timedelta(seconds=1)
    early = made(known_until=day(10))  # a's seven days ended on the 9th, b's end on the 10th, f's on the 8th
    assert early.experiment.counted.tolist() == [True, True, False, True]
    assert not early.final
    assert made(known_until=END + second).final
    assert not made(known_until=END).final
    open_campaign = made(EXPOSURES[EXPOSURES["customer_id"] != "c"], known_until=END)
    assert open_campaign.experiment.counted.all()
    assert not open_campaign.final, "others may still be exposed"


def test_a_planned_number_of_customers_ends_it_and_is_the_plan_of_the_sequence():
    plan = ExperimentPlan(customers=3)
    assert made(plan=plan, known_until=day(10)).final
    assert made(plan=plan).experiment.planned == 3
    assert not made(plan=ExperimentPlan(customers=4), known_until=day(10)).final
    assert made().experiment.planned == 1000


@pytest.mark.parametrize(
    ("arms", "control"),
    [(("new", "control"), "control"), (("a", "Control", "holdout"), "holdout"), (("v10", "v9"), "v9"),
     (("v2", "other"), "other"), (("b", "a"), "a")],
)  # fmt: skip
def test_the_control_is_a_holdout_then_control_then_the_oldest_version_then_the_first(arms, control):
    rows = [("spring", f"c{number}", arm, day(2), None) for number, arm in enumerate(arms)]
    experiment_case = made(table("campaign_id customer_id arm timestamp propensity", *rows))
    assert experiment_case.experiment.control == control


def test_a_planned_control_is_taken_and_must_be_an_arm():
    assert made(plan=ExperimentPlan(control="new")).experiment.control == "new"
    with pytest.raises(InputError, match="the planned control 'old' is no arm; there are control, new"):
        made(plan=ExperimentPlan(control="old"))
    planned = ExperimentPlan(control="old", shares={"old": 0.2, "new": 0.8})
    assert made(plan=planned).experiment.control == "old", "an arm of the plan that nobody has yet"


def test_shares_are_planned_or_logged_or_equal():
    assert made().experiment.shares == {"control": 0.5, "new": 0.5}
    uneven = EXPOSURES.assign(propensity=np.where(EXPOSURES["arm"] == "new", 0.75, 0.25))
    assert made(uneven).experiment.shares == {"control": 0.25, "new": 0.75}
    assert made(uneven, plan=ExperimentPlan(shares={"control": 0.1, "new": 0.9})).experiment.shares["new"] == 0.9
    three = pd.concat([EXPOSURES, EXPOSURES.iloc[[0]].assign(customer_id="g", arm="third", propensity=None)])
    assert made(three).experiment.shares == dict.fromkeys(("control", "new", "third"), 1 / 3)


@pytest.mark.parametrize(
    ("propensities", "shares"),
    [((0.25, 0.25, 0.75), {"x": 0.25, "y": 0.75}), ((0.25, 0.3, 0.75), None), ((0.25, None, 0.75), None),
     ((0.25, 0.25, 0.7), None), ((0.0, 0.0, 1.0), None), ((None, None, 1.0), None), ((0.3, 0.3, 0.75), None)],
)  # fmt: skip
def test_propensities_are_shares_where_each_arm_has_one_and_they_sum_to_1(propensities, shares):
    rows = pd.DataFrame({"arm": ["x", "x", "y"], "propensity": np.array(propensities, float)})
    assert logged_shares(rows) == shares


def test_campaigns_with_one_arm_are_no_experiment_and_holdouts_were_shown_nothing():
    rows = table("campaign_id arm", ("one", "a"), ("one", "a"), ("two", "b"), ("two", "a"), ("one", None))
    assert arms_of(rows) == {"two": ["a", "b"]}
    shown = without_holdouts(pd.DataFrame({"arm": ["new", "HOLDOUT", None, "control"]}))
    assert shown["arm"].fillna("-").tolist() == ["new", "-", "control"]


def test_tallies_count_what_came_from_the_first_exposure_to_the_end():
    campaigns = pd.DataFrame([CAMPAIGN.to_dict() | {"kind": "coupon"}])
    shown = table(
        "campaign_id customer_id arm timestamp product_id",
        ("spring", "a", "new", day(5), "p"), ("spring", "a", "new", day(3), None), ("spring", "b", None, pd.NaT, "q"),
        ("spring", "c", "holdout", day(3), "p"),
    )  # fmt: skip
    clicks = table(
        "customer_id product_id timestamp",
        ("a", "p", day(3)), ("a", "p", day(2)), ("a", "q", day(4)), ("a", "r", day(4)), ("b", "q", END),
        ("b", "q", END + DAY), ("c", "p", day(4)),
    )  # fmt: skip
    offers = table("campaign_id product_id", ("spring", "r"), ("spring", "r"), ("spring", "s"))
    answers = table("campaign_id customer_id timestamp", ("spring", "a", day(4)), ("spring", "a", day(5)))
    rows = tallies(campaigns, shown, answers, clicks, offers)
    assert rows["customer_id"].tolist() == ["a", "b"]
    assert rows["kind"].tolist() == ["coupon", "coupon"]
    assert rows["impressions"].tolist() == [2, 1]
    assert rows["clicks"].tolist() == [2.0, 1.0], "of the product shown and of the one on offer, in time"
    assert rows["responses"].tolist() == [1.0, 0.0]
    assert tallies(campaigns, shown, answers, clicks.iloc[:0], offers)["clicks"].tolist() == [0.0, 0.0]


SHOWN = table(
    "customer_id offer_id product_id timestamp propensity",
    ("a", "x", "p", day(2), 0.5), ("a", "y", "p", day(3), 0.25), ("b", "y", "q", day(4), 0.5),
    ("c", None, "q", day(4), 0.5), ("d", "x", "q", pd.NaT, 0.5), ("e", "x", "q", day(4), None),
)  # fmt: skip


def test_a_decision_is_rewarded_by_a_response_to_its_offer_from_the_exposure_to_the_end():
    answers = table(
        "customer_id offer_id timestamp",
        ("a", "x", day(2)), ("a", "x", day(3)), ("a", "y", day(2)), ("b", "y", END), ("b", "x", day(5)),
    )  # fmt: skip
    decided = decisions(SHOWN, answers, END)
    assert decided.actions == ("x", "y")
    assert decided.log.action.tolist() == [0, 1, 1]
    assert decided.log.reward.tolist() == [1.0, 0.0, 1.0]
    assert decided.log.propensity.tolist() == [0.5, 0.25, 0.5]
    assert decided.log.unit.tolist() == [0, 0, 1]
    assert decided.log.context.shape == (3, 0)
    late = answers.assign(timestamp=END + DAY)
    assert not decisions(SHOWN, late, END).log.reward.any()


def test_responses_that_name_no_offer_are_the_campaign_s_and_without_offers_items_are_the_actions():
    answers = table("customer_id offer_id timestamp", ("a", None, day(3)))
    assert decisions(SHOWN, answers, END).log.reward.tolist() == [0.0, 1.0, 0.0]
    items = decisions(SHOWN.assign(offer_id=None), answers, END)
    assert items.actions == ("p", "q")
    assert items.log.action.tolist() == [0, 0, 1, 1]


def test_a_log_of_one_action_says_nothing_and_one_of_more_than_fifty_little():
    none = table("customer_id offer_id timestamp")
    with pytest.raises(InputError, match="1 distinct actions"):
        decisions(SHOWN[SHOWN["offer_id"] == "y"], none, END)
    for num, fine in ((50, True), (51, False)):
        many = pd.concat([SHOWN.iloc[[0]].assign(offer_id=f"o{number:02}") for number in range(num)])
        if fine:
            assert len(decisions(many, none, END).actions) == 50
        else:
            with pytest.raises(InputError, match="51 distinct actions"):
                decisions(many, none, END)


def test_fixed_policies_are_each_action_always_and_all_equally():
    policies = fixed_policies(["x", "y"], 3)
    assert {name: policy.tolist() for name, policy in policies.items()} == {
        "uniform": [[0.5, 0.5]] * 3, "always x": [[1.0, 0.0]] * 3, "always y": [[0.0, 1.0]] * 3,
    }  # fmt: skip
