import math

import pytest

from nightmarket.evaluation.figures import Metrics
from nightmarket.evaluation.forgetting import Kept
from nightmarket.evaluation.intervals import Interval
from nightmarket.serving import gate
from nightmarket.serving.gate import Rival, phrase

NAN, INF = math.nan, math.inf
PEOPLE = {"all": 100, "new": 80, "launch": 30}
BETTER, EQUAL, UNSURE, WORSE = (
    Interval(0.02, 0.01, 0.03),
    Interval(0.0, 0.0, 0.0),
    Interval(-0.01, -0.03, 0.01),
    Interval(-0.02, -0.03, -0.01),
)


def figures(**changed):
    content = {
        task: {
            "nightmarket": {
                "ndcg@10": {"value": 0.4, "low": 0.3, "high": 0.5},
                "hit@10": {"value": 1, "low": 1, "high": 1},
            }
        }
        for task in PEOPLE
    }
    for task, number in changed.items():
        content[task]["nightmarket"]["hit@10"] = {"value": number, "low": 0.1, "high": 0.2}
    return content


def decide(content, people, rival, **options):
    return gate.decide(Metrics.read(content | {"num_customers": people}), rival, **options)


def champion(all_, new=EQUAL, launch=EQUAL):
    return Rival("champion", "version 2", {"all": all_, "new": new, "launch": launch})


@pytest.mark.parametrize(
    ("rival", "opened"),
    [
        (champion(BETTER), True),
        (champion(EQUAL), True),
        (champion(Interval(1e-9, -0.1, 0.1)), True),
        (champion(Interval(-1e-9, -0.1, 0.1)), False),
        (champion(UNSURE), False),
        (champion(WORSE), False),
        (champion(BETTER, new=UNSURE, launch=UNSURE), True),
        (champion(BETTER, new=WORSE), False),
        (champion(BETTER, launch=WORSE), False),
        (champion(BETTER, launch=Interval(-0.01, -0.02, 0.0)), True),
        (champion(Interval(NAN, NAN, NAN)), False),
        (champion(Interval(0.1, NAN, 0.2)), False),
        (champion(Interval(INF, 0.1, INF)), False),
        (champion(BETTER, new=Interval(NAN, NAN, NAN)), False),
        (Rival("champion", "version 2", {"all": BETTER, "new": BETTER}), False),
        (Rival("champion", "version 2", {}), False),
        (Rival("popularity", "popularity", {"all": BETTER}), True),
        (Rival("popularity", "popularity", {"all": EQUAL}), False),
        (Rival("popularity", "popularity", {"all": Interval(0.02, -0.001, 0.04)}), False),
        (Rival("popularity", "popularity", {"all": Interval(NAN, NAN, NAN)}), False),
        (Rival("popularity", "popularity", {}), False),
        (Rival("popularity", "popularity", {"all": BETTER, "new": WORSE}), True),
    ],
)
def test_the_gate_opens_only_where_nothing_speaks_against_it(rival, opened):
    assert decide(figures(), PEOPLE, rival).opened is opened


@pytest.mark.parametrize("task", ["all", "new", "launch"])
@pytest.mark.parametrize("number", [NAN, INF, -INF, None, "0.4", True])
def test_a_figure_that_is_not_a_finite_number_closes_the_gate_and_is_named(task, number):
    decision = decide(figures(**{task: number}), PEOPLE, champion(BETTER))
    assert not decision.opened
    assert f"{task} hit@10" in decision.reasons[0]


def test_missing_figures_close_the_gate():
    assert not decide({}, PEOPLE, champion(BETTER)).opened
    assert not decide({"all": {"nightmarket": {}}}, PEOPLE, champion(BETTER)).opened


def test_a_task_that_nobody_could_hit_is_not_compared_but_a_window_without_purchases_closes_the_gate():
    content = figures()
    del content["launch"]
    assert decide(content, {"all": 100, "new": 80, "launch": 0}, champion(BETTER, launch=WORSE)).opened
    assert not decide(figures(), {"all": 0}, champion(EQUAL)).opened
    assert not decide(figures(), {}, champion(EQUAL)).opened


def test_a_higher_bar_can_be_set():
    assert decide(figures(), PEOPLE, champion(BETTER), min_difference=0.02).opened
    assert not decide(figures(), PEOPLE, champion(BETTER), min_difference=0.021).opened
    assert not decide(figures(), PEOPLE, champion(BETTER), min_difference=NAN).opened


def test_a_refusal_gives_every_reason_and_the_notes():
    rival = Rival("champion", "version 2", {"all": WORSE, "new": WORSE, "launch": WORSE}, ("seen before",))
    decision = decide(figures(), PEOPLE, rival)
    assert [reason.split(" ndcg")[0] for reason in decision.reasons] == ["all", "new", "launch", "seen before"]
    assert "-.020 [-.030, -.010] against version 2" in decision.reasons[0]


@pytest.mark.parametrize(
    ("lost", "opened"), [(WORSE, False), (UNSURE, True), (EQUAL, True), (Interval(NAN, NAN, NAN), False)]
)
def test_a_challenger_that_is_better_on_average_but_forgot_one_strong_group_is_refused(lost, opened):
    groups = {"department BAKERY": Kept(BETTER, 70), "department DAIRY": Kept(lost, 60)}
    decision = decide(figures(), PEOPLE, Rival("champion", "version 2", dict.fromkeys(PEOPLE, BETTER), (), groups))
    assert decision.opened is opened
    if opened:
        assert decision.reasons[0].endswith("nor any of 2 groups that were strong before")
    else:
        [reason] = decision.reasons
        assert reason.startswith("department DAIRY, 60 customers who were strong before this window: all ndcg@10 ")
    if lost == WORSE:
        figure = decision.content()["groups"]["department DAIRY"]
        assert figure == {"value": -0.02, "low": -0.03, "high": -0.01, "num_customers": 60}


def test_a_decision_is_json_without_nan():
    content = decide(figures(), PEOPLE, champion(Interval(NAN, 0.1, INF))).content()
    assert content["differences"]["all"] == {"value": None, "low": 0.1, "high": None}


def test_one_bad_figure_is_named_and_more_are_counted():
    one_bad, two = figures(all=NAN), figures(all=NAN, new=INF)
    said = "figures of the challenger are missing or not finite: all hit@10"
    assert decide(one_bad, PEOPLE, champion(BETTER)).reasons == (said,)
    assert decide(two, PEOPLE, champion(BETTER)).reasons == (f"{said} and 1 more",)
    three = figures(all=NAN, new=INF, launch=NAN)
    assert decide(three, PEOPLE, champion(BETTER)).reasons == (f"{said} and 2 more",)


def test_a_task_with_a_single_customer_is_guarded_and_one_that_the_window_does_not_name_is_not():
    content = figures()
    assert not decide(content, {"all": 100, "new": 1}, champion(BETTER, new=WORSE)).opened
    del content["launch"]
    assert decide(content, {"all": 100, "new": 80}, champion(BETTER, launch=WORSE)).opened
    assert not decide(figures(), {"all": 1}, champion(WORSE)).opened
    assert decide(figures(), {"all": 1}, champion(BETTER)).opened


@pytest.mark.parametrize("broken", [Interval(NAN, -0.1, 0.1), Interval(0.1, -INF, 0.1), Interval(0.1, 0.0, INF)])
def test_one_end_of_a_guarded_difference_that_is_not_finite_closes_the_gate(broken):
    decision = decide(figures(), PEOPLE, champion(BETTER, new=broken))
    assert decision.reasons == ("the difference to version 2 on new is not a finite number",)


def test_a_refusal_says_how_large_the_difference_had_to_be():
    worse = Interval(-0.001, -0.002, 0.001)
    [said] = decide(figures(), PEOPLE, champion(worse)).reasons
    assert said == "all ndcg@10 -.0010 [-.0020, .0010] against version 2: the mean difference is below zero"
    [said] = decide(figures(), PEOPLE, champion(worse), min_difference=0.005).reasons
    assert said.endswith("the mean difference is below .0050")


def test_an_opened_gate_says_why():
    [said] = decide(figures(), PEOPLE, champion(BETTER)).reasons
    assert (
        said == "all ndcg@10 +.020 [.010, .030] against version 2, not below zero; new and launch are not clearly worse"
    )
    [said] = decide(figures(), PEOPLE, Rival("popularity", "popularity", {"all": BETTER})).reasons
    assert said == "all ndcg@10 +.020 [.010, .030] against popularity, the whole interval above zero"


def test_small_differences_show_a_place_more():
    assert phrase(Interval(0.0094, 0.0095, 0.0096)) == "+.0094 [.009, .010]"
    assert phrase(Interval(0.00004, -0.00004, 0.0)) == ".0000 [.0000, .0000]"
    assert phrase(Interval(-0.0041, NAN, INF)) == "-.0041 [nan, inf]"


def test_differences_read_as_signed_numbers_with_their_interval():
    assert phrase(Interval(0.0041, 0.0008, 0.0123)) == "+.0041 [.0008, .012]"
    assert phrase(Interval(-0.25, -0.3, 0.0)) == "-.250 [-.300, .0000]"
    assert phrase(Interval(1.5, 1.0, 2.0)) == "+1.500 [1.000, 2.000]"


@pytest.mark.parametrize("difference", [EQUAL, UNSURE, WORSE, Interval(0.02, -0.001, 0.04)])
def test_where_nobody_delivers_yet_what_is_popular_stands_in_for_a_model_that_does_not_beat_it(difference):
    decision = decide(figures(), PEOPLE, Rival("popularity", "popularity", {"all": difference}, vacant=True))
    assert (decision.opened, decision.stand_in) == (True, True)
    assert decision.reasons[0].endswith("what is popular is delivered until a version is better beyond doubt")
    assert decision.content()["stand_in"] is True


def test_what_is_popular_stands_in_where_nobody_bought_anything_in_the_test_window():
    decision = decide({}, {"all": 0}, Rival("popularity", "popularity", {}, vacant=True))
    assert decision.stand_in
    assert decision.reasons[0].startswith("no customer bought anything in the test window: what is popular")


def test_nothing_stands_in_for_a_model_that_is_better_nor_for_one_with_a_fault():
    better = decide(figures(), PEOPLE, Rival("popularity", "popularity", {"all": BETTER}, vacant=True))
    assert (better.opened, better.stand_in) == (True, False)
    for faulty, difference in ((figures(all=NAN), EQUAL), (figures(), Interval(NAN, NAN, NAN))):
        decision = decide(faulty, PEOPLE, Rival("popularity", "popularity", {"all": difference}, vacant=True))
        assert (decision.opened, decision.stand_in) == (False, False)
