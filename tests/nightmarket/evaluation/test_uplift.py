"""Effects of exposures on worlds whose truth is known, and what may be said of them."""

import json

import numpy as np
import pandas as pd
import pytest

from bench.abuse import uplift as abuse
from nightmarket.contracts import InputError
from nightmarket.evaluation.uplift.campaigns import PastCampaign, campaigns_of, case
from nightmarket.evaluation.uplift.doubly_robust import design, effect_on_exposed, naive
from nightmarket.evaluation.uplift.effects import NOT_RANDOM, observational, randomized
from nightmarket.evaluation.uplift.sensitivity import sensitivity
from nightmarket.histories.histories import Histories

NAMES = tuple("abcd")


def world(seed, effect=0.0, hidden=0.0, num=1500, slope=1.0):
    rng = np.random.default_rng(seed)
    activity, unknown = rng.gamma(2, 20, num), hidden * rng.normal(size=num)
    covariates = np.column_stack([activity, rng.poisson(activity / 10), rng.normal(size=(num, 2))])
    exposed = rng.random(num) < 1 / (1 + np.exp(-(slope * np.log(activity / 30) + unknown)))
    level = 2 * activity + 20 * unknown
    noise = rng.normal(scale=20, size=(3, num))
    return covariates, exposed, level + noise[0] + effect * exposed, level + noise[1], level / 2 + noise[2]


def judged(data, seed=0):
    return observational(*data, NAMES, seed)


def test_what_is_known_of_the_customers_is_adjusted_for():
    effects = [judged(world(seed)) for seed in range(40)]
    assert all(effect.naive.low > 20 for effect in effects)
    assert abs(np.mean([effect.on_exposed.value for effect in effects])) < 1
    assert not any(effect.verdict == "positive" for effect in effects)
    # of 40 intervals of 95%, fewer than 33 cover once in 2,000 times
    assert sum(effect.on_exposed.covers(0) for effect in effects) >= 33
    assert sum(effect.on_all.covers(0) for effect in effects) >= 33


def test_without_a_random_assignment_a_true_effect_is_described_and_not_claimed():
    effects = [judged(world(seed, effect=8.0)) for seed in range(20)]
    assert sum(effect.on_exposed.covers(8.0) for effect in effects) >= 15
    assert sum(effect.reasons == (NOT_RANDOM,) for effect in effects) >= 14
    for effect in effects:
        assert effect.verdict == "no claim"
        assert effect.words.startswith("No claim: exposure was not assigned at random")
        assert "incremental" not in effect.words.lower()


@pytest.mark.parametrize("null", abuse.NULLS)
def test_customers_chosen_by_what_they_were_about_to_do_carry_no_claim(null):
    for seed in range(5):
        data = abuse.NULLS[null](np.random.default_rng(seed))
        effect = observational(*data, abuse.NAMES, seed)
        assert effect.verdict == "no claim"
        assert NOT_RANDOM in effect.reasons


def test_sensitivity_is_that_of_the_paper():
    """With t = 4.18 and 783 degrees of freedom the robustness value is 13.9%, and 7.6% for the interval."""
    rng = np.random.default_rng(0)
    covariate, exposed = rng.normal(size=(785, 1)), np.arange(785) % 2 == 0
    base = np.column_stack([design(covariate), np.ones(785)])
    rest = [column - base @ np.linalg.lstsq(base, column, rcond=None)[0] for column in (exposed * 1.0, rng.random(785))]
    own = rest[1] - rest[0] * (rest[0] @ rest[1]) / (rest[0] @ rest[0])
    freedom = 785 - base.shape[1] - 1
    slope = 4.18 * np.sqrt(own @ own / freedom / (rest[0] @ rest[0]))
    known = sensitivity(covariate, ("x",), exposed, slope * exposed + own)
    assert known.robustness == pytest.approx(0.139, abs=5e-4)
    assert known.robustness_interval == pytest.approx(0.076, abs=5e-4)


def test_a_hidden_confounder_as_strong_as_the_robustness_value_takes_the_difference_away():
    covariates, exposed, outcome, _, _ = world(3, effect=10.0, hidden=0.0, num=4000)
    known = sensitivity(covariates, NAMES, exposed, outcome)
    base = np.column_stack([np.ones(4000), design(covariates)])

    def rest(column, more=()):
        held = np.column_stack([base, *more])
        return column - held @ np.linalg.lstsq(held, column, rcond=None)[0]

    treatment = rest(exposed * 1.0)
    left = rest(outcome, [exposed])
    share = known.robustness
    noise = rest(np.random.default_rng(5).normal(size=4000), [exposed, outcome])
    parts = [column / np.linalg.norm(column) for column in (treatment, left, noise)]
    both = np.sqrt(share) * parts[0] + np.sqrt(share * (1 - share)) * parts[1] + (1 - share) * parts[2]
    explained = np.column_stack([base, exposed, both])
    assert np.linalg.lstsq(explained, outcome, rcond=None)[0][-2] == pytest.approx(0, abs=1e-6)
    assert known.strongest == "a"
    assert 0 < known.of_exposure < 1
    assert 0 < known.of_outcome < 1


def test_without_covariates_sensitivity_names_none():
    known = sensitivity(np.zeros((100, 0)), (), np.arange(100) < 50, np.arange(100.0))
    assert known.strongest == ""
    assert known.words().endswith("would make it zero.")


@pytest.mark.parametrize("effect", [0.0, 8.0])
def test_a_hidden_confounder_gives_no_claim_and_the_checks_say_why(effect):
    for seed in range(8):
        judgement = judged(world(seed, effect=effect, hidden=1.0))
        assert judgement.verdict == "no claim"
        assert any(reason.startswith("placebo: the weeks before") for reason in judgement.reasons)
        assert judgement.words.startswith("No claim: ")


def test_a_negative_control_that_moved_forbids_the_claim():
    covariates, exposed, outcome, placebo, control = world(1, effect=12.0)
    assert observational(covariates, exposed, outcome, placebo, control, NAMES, 0).reasons == (NOT_RANDOM,)
    judgement = observational(covariates, exposed, outcome, placebo, control + 12.0 * exposed, NAMES, 0)
    assert judgement.verdict == "no claim"
    assert [reason[:16] for reason in judgement.reasons[1:]] == ["negative control"]


def test_a_vague_placebo_is_not_taken_for_none():
    covariates, exposed, outcome, placebo, control = world(2, effect=8.0)
    vague = placebo + np.random.default_rng(0).normal(scale=300, size=placebo.size)
    judgement = observational(covariates, exposed, outcome, vague, control, NAMES, 0)
    assert judgement.on_exposed.low > 0
    assert judgement.placebo.covers(0)
    assert judgement.verdict == "no claim"
    assert any("beyond the placebo" in reason for reason in judgement.reasons)


def test_without_weeks_before_nothing_is_claimed():
    covariates, exposed, outcome, placebo, control = world(3, effect=30.0)
    judgement = observational(covariates, exposed, outcome, None, control, NAMES, 0)
    assert judgement.placebo is None
    assert judgement.reasons == (
        NOT_RANDOM,
        "no weeks before the exposure to try the adjustment on",
    )
    still = observational(covariates, exposed, outcome, np.zeros_like(placebo), control, NAMES, 0)
    assert still.verdict == "no claim"


def test_exposed_without_counterparts_are_left_out_and_stop_the_claim():
    covariates, exposed, outcome, placebo, control = world(4, effect=40.0, slope=8.0)
    judgement = observational(covariates, exposed, outcome, placebo, control, NAMES, 0)
    assert judgement.overlap.trimmed > 0.1
    assert judgement.verdict == "no claim"
    assert any("no counterpart" in reason for reason in judgement.reasons)
    shown = [count for row in (judgement.overlap.exposed, judgement.overlap.others) for count in row]
    assert not any(count is not None and 0 < count < 20 for count in shown)


def test_49_exposed_get_no_figure():
    covariates, _, outcome, placebo, control = world(5)
    exposed = np.zeros(outcome.size, bool)
    exposed[:49] = True
    judgement = observational(covariates, exposed, outcome, placebo, control, NAMES, 0)
    assert (judgement.on_exposed, judgement.naive, judgement.verdict) == (None, None, "no claim")
    assert judgement.reasons == ("fewer than 50 customers were exposed",)


def test_drawn_by_lot_the_effect_is_incremental_and_its_interval_shorter_than_the_naive_one():
    covered, words = 0, []
    for seed in range(40):
        covariates, _, outcome, _, _ = world(seed, hidden=1.0)
        drawn = np.random.default_rng(100 + seed).random(outcome.size) < 0.3
        judgement = randomized(covariates, drawn, 0.3, outcome + 8.0 * drawn, NAMES, seed)
        covered += judgement.on_exposed.covers(8.0)
        words.append(judgement.words)
        assert judgement.on_exposed.error < 0.6 * judgement.naive.error
    assert covered >= 33
    assert sum(word.startswith("Incremental: +") for word in words) >= 35
    nothing = randomized(covariates, drawn, 0.3, outcome, NAMES, 0)
    assert (nothing.verdict, nothing.words[:27]) == ("no claim", "No incremental effect shown")
    harm = randomized(covariates, drawn, 0.3, outcome - 20.0 * drawn, NAMES, 0)
    assert harm.verdict == "negative"


def test_a_lot_that_does_not_fit_its_chance_is_refused():
    covariates, _, outcome, _, _ = world(6)
    drawn = np.random.default_rng(0).random(outcome.size) < 0.36
    judgement = randomized(covariates, drawn, 0.3, outcome, NAMES, 0)
    assert judgement.verdict == "no claim"
    assert judgement.on_exposed is None
    assert "were expected" in judgement.reasons[0]
    with pytest.raises(InputError, match="outside"):
        randomized(covariates, drawn, 1.0, outcome, NAMES, 0)


def test_the_effect_on_the_exposed_by_hand():
    """Exposed: 5, 7 with expected 4, 4. Others: 3, 1, 9 with expected 2, 2, 2 and odds 1, 1/3, and one left out."""
    exposed = np.array([True, True, False, False, False])
    chance = np.array([0.5, 0.5, 0.5, 0.25, 0.99])
    value, influence = effect_on_exposed(
        exposed, chance, np.array([5.0, 7, 3, 1, 9]), np.array([4.0, 4, 2, 2, 2]), chance < 0.95
    )
    assert value == pytest.approx(2 - (1 * 1 + 1 / 3 * -1) / (4 / 3))
    assert influence.mean() == pytest.approx(0)
    assert naive(exposed, np.array([5.0, 7, 3, 1, 8])).value == pytest.approx(2.0)


def test_the_result_is_json_and_the_same_for_the_same_seed():
    data = world(7)
    first, again = judged(data), judged(data)
    assert first == again
    assert json.loads(json.dumps(first.to_json()))["placebo"]["value"] == first.placebo.value


def test_claims_read_side_by_side_need_more():
    data = world(8, effect=5.0)
    alone, among = (observational(*data, NAMES, 0, tests=tests) for tests in (1, 20))
    assert among.on_exposed.low < alone.on_exposed.low
    assert among.placebo == alone.placebo


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"covariates": np.ones((1500, 3))}, "do not fit 4 names"),
        ({"exposed": np.ones(1500)}, "must be bool"),
        ({"outcome": np.ones(1499)}, "1499 rows"),
        ({"outcome": np.r_[np.ones(1499), np.nan]}, "outcome: 1 values are not finite, the first in row 1499"),
        ({"covariates": np.full((1500, 4), np.inf)}, "column a"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(change, words):
    named = dict(zip(("covariates", "exposed", "outcome", "placebo", "negative_control"), world(9), strict=True))
    with pytest.raises(InputError, match=words):
        observational(**(named | change), names=NAMES, seed=0)


def test_a_placebo_among_the_covariates_is_refused():
    covariates, exposed, outcome, placebo, control = world(10)
    with pytest.raises(InputError, match="hold the placebo"):
        observational(np.column_stack([covariates, 2 * placebo]), exposed, outcome, placebo, control, (*NAMES, "p"), 0)


# A shop of three products in three categories. The campaign offers product 0 on the days 100 to 109.
DAYS = {0: [10, 89, 95, 105], 1: [20, 105], 2: [95]}


@pytest.fixture
def shop():
    rows = [(c, day, item) for c, days in DAYS.items() for day in days for item in (0, 2)]
    customer, day, item = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    value = np.where(item == 0, 1.0, 10.0).astype(np.float32)
    return Histories(
        customer, item, day // 7, day, np.ones_like(value), value, 0 * value, day, 0 * day, num_customers=3, num_items=3
    )


def campaign(name, first, exposed, responded=(), on_day=(), last=None):
    codes = [np.array(x, np.int32) for x in (exposed, responded, on_day, [0])]
    return PastCampaign(name, "A", first, last or first + 9, *codes)


def test_a_case_cuts_time_where_it_says(shop):
    ours = campaign("now", 100, [0, 2])
    past = campaign("past", 50, [0, 1], [0, 0, 1], [60, 89, 95])
    campaign_case = case(shop, np.arange(3, dtype=np.int32), ours, [past, ours, campaign("later", 92, [0])])
    column = {name: campaign_case.covariates[:, i] for i, name in enumerate(campaign_case.names)}
    assert campaign_case.customers.tolist() == [0, 1]  # the third first bought in the placebo's days
    assert (campaign_case.left_out, campaign_case.exposed.tolist()) == (1, [True, False])
    assert campaign_case.outcome.tolist() == [11, 11]
    assert campaign_case.placebo.tolist() == [11, 0]
    assert campaign_case.negative_control.tolist() == [10, 10]
    assert column["spend"].tolist() == [22, 11]  # day 95 belongs to the placebo
    assert column["days with a purchase"].tolist() == [2, 1]
    assert column["spend on what is offered"].tolist() == [2, 1]
    assert column["days since last purchase"].tolist() == [1, 70]
    assert column["campaigns of A"].tolist() == [1, 1]  # not the one that starts in the placebo's days
    assert column["responses"].tolist() == [2, 0]  # nor a response that comes later


def test_a_short_history_has_no_placebo_and_offers_everywhere_no_control(shop):
    early = campaign("early", 40, [0], last=60)
    campaign_case = case(shop, np.zeros(3, np.int32), early, [])
    assert campaign_case.placebo is None
    assert campaign_case.negative_control is None
    assert campaign_case.covariates[:, campaign_case.names.index("spend")].tolist() == [11, 11]


def test_attributes_become_columns_where_enough_share_a_level(shop):
    campaign_case = case(
        shop, np.arange(3, dtype=np.int32), campaign("now", 100, [0]), [], pd.DataFrame({"age": ["old", None, "old"]})
    )
    assert campaign_case.covariates[:, campaign_case.names.index("age old")].tolist() == [1, 0]
    assert campaign_case.covariates[:, campaign_case.names.index("age unknown")].tolist() == [0, 1]


def test_tables_become_campaigns_in_the_shops_days():
    moments = pd.to_datetime(["2020-01-02 04:30", "2020-01-05 04:59"])
    known = campaigns_of(
        pd.DataFrame({"campaign_id": ["x"], "kind": ["A"], "start": moments[:1], "end": moments[1:]}),
        pd.DataFrame({"campaign_id": ["x", "x", "x"], "customer_id": ["p", "p", "nobody"]}),
        pd.DataFrame({"campaign_id": ["x"], "customer_id": ["q"], "timestamp": moments[1:]}),
        None,
        pd.Series(["q", "p"]),
        pd.Series(["i"]),
        "America/New_York",
    )[0]
    assert (known.first, known.last) == (18262, 18265)  # 2020-01-01 and 2020-01-04 in New York
    assert (known.exposed.tolist(), known.responded.tolist(), known.on_day.tolist()) == ([1], [0], [18265])
    assert known.offered.size == 0
