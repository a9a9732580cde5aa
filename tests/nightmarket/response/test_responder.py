"""What a responder knows, and when."""

import json
from dataclasses import replace

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.response import models
from nightmarket.response.evaluation import auc, ndcg
from nightmarket.response.features import coupon_use, likeness
from nightmarket.response.market import Answers, CouponLines
from nightmarket.response.responder import (
    Responder,
    calibrate,
    ended_before,
    enough,
    fit_offers,
    offer_scores,
    rolling,
    rows,
)


@pytest.fixture(scope="module")
def parts(record):
    return [rows(record, k) for k in record.finished(10_000)]


@pytest.fixture(scope="module")
def fitted(parts):
    return Responder.fit("blend", parts, rolling("blend", parts, 1), 1)


def test_a_campaign_learns_only_from_those_that_ended_before_it_began(parts):
    last = parts[-1].campaign
    assert [part.campaign.campaign_id for part in ended_before(parts, last.start_day)] == [f"c{k}" for k in range(7)]
    assert len(ended_before(parts, parts[3].campaign.end_day)) == 3


def test_a_campaign_that_has_not_ended_is_no_outcome_yet(record):
    assert record.finished(record.campaigns[4].end_day) == [0, 1, 2, 3]
    assert record.finished(record.campaigns[4].end_day + 1) == [0, 1, 2, 3, 4]


def test_what_happens_on_the_day_or_later_changes_no_feature(record):
    campaign = record.campaigns[5]
    lines, answers = record.histories, record.answers
    later = lines.day >= campaign.start_day
    changed = replace(
        record,
        histories=replace(lines, item=np.where(later, 0, lines.item), value=np.where(later, 99, lines.value)),
        answers=answers.where(answers.day < campaign.start_day),
        coupons=record.coupons.where(record.coupons.day < campaign.start_day),
    )
    assert record.coupons.day.max() >= campaign.start_day
    ours, theirs = rows(record, 5), rows(changed, 5)
    np.testing.assert_array_equal(ours.values, theirs.values)
    assert ours.label.any()
    assert not theirs.label.any()


def test_coupon_use_counts_lines_baskets_and_worth_before_the_day(record):
    lines = CouponLines(
        *(np.array(column) for column in ([3, 3, 3, 7], [10, 10, 99, 150], [0, 0, 1, 2], [1.0, 2.0, 4.0, 9.0]))
    )
    features = coupon_use(replace(record, coupons=lines).on(150), np.array([3, 5, 7], np.int32))
    np.testing.assert_allclose(np.expm1(features["coupons_ever"]), [3, 0, 0], atol=1e-6)
    np.testing.assert_allclose(np.expm1(features["coupons_13w"]), [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(np.expm1(features["coupons_baskets"]), [2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(np.expm1(features["coupons_value"]), [7, 0, 0], atol=1e-6)
    np.testing.assert_allclose(
        np.expm1(features["coupons_fresh"][0]), 2 * 2 ** (-140 / 60) + 2 ** (-51 / 60), rtol=1e-6
    )


def test_calibration_holds_on_to_the_log_odds_where_little_is_known_and_lets_go_where_much_is(parts):
    rng = np.random.default_rng(3)
    score = rng.normal(-2, 1, 400_000)
    told = rng.random(score.size) < models.sigmoid(0.5 * score - 0.5)
    few = replace(parts[0], label=told[:300], customer=np.arange(300, dtype=np.int32))
    many = replace(few, label=told, customer=np.arange(score.size, dtype=np.int32))
    name = few.campaign.campaign_id
    slope, offset = calibrate({name: score}, [many]).curves["own"]
    assert (slope, offset) == pytest.approx((0.5, -0.5), abs=0.03)
    slope, offset = calibrate({name: score[:300]}, [few]).curves["own"]
    assert slope > 0.65
    assert -0.3 < offset < 0.1


def test_an_answer_of_an_earlier_campaign_is_known_though_that_campaign_is_still_on(record):
    day = record.campaigns[2].start_day + 10
    assert (record.on(day).answers.campaign == 2).any()
    assert (record.on(day).answers.day < day).all()


def test_a_response_after_the_end_is_none(record):
    late = Answers(*(np.array([value], np.int32) for value in (0, 0, 0, record.campaigns[0].end_day + 1)))
    assert not replace(record, answers=late).outcome(0)[1].any()


def test_a_planted_habit_is_found_on_campaigns_that_were_not_learned_from(parts):
    log_odds = rolling("blend", parts, 1)
    last = parts[-1]
    area = auc(log_odds["c7"], last.label, np.ones((1, last.label.size)))[0]
    assert area > 0.7


def test_taken_offers_are_ranked_above_the_others(parts):
    model = fit_offers(parts[:-1], 1)
    last = parts[-1]
    ranked = np.nanmean(ndcg(offer_scores(model, last.offers), last.taken, 1))
    assert ranked > 0.55  # one of four offers, at random .25


def test_probabilities_add_up_to_the_responses(record, parts, fitted):
    market = record.on(record.campaigns[7].start_day)
    chances = fitted.chances(market, record.campaigns[7])
    assert chances.shape == (record.histories.num_customers,)
    told = parts[-1].customer
    assert abs(chances[told].mean() - parts[-1].label.mean()) < 0.06
    np.testing.assert_allclose(
        chances[told], fitted.calibration.probability(fitted.model.log_odds(parts[-1].values), np.ones(told.size, bool))
        if fitted.calibration else models.sigmoid(fitted.model.log_odds(parts[-1].values)), rtol=1e-5,
    )  # fmt: skip


def test_an_offer_is_never_likelier_than_the_campaign(record, fitted):
    market, campaign = record.on(record.campaigns[7].start_day), record.campaigns[7]
    offers = fitted.offer_chances(market, campaign)
    assert offers.shape == (record.histories.num_customers, 4)
    assert (offers > 0).all()
    assert (offers <= fitted.chances(market, campaign)[:, None]).all()


def test_a_campaign_without_offers_or_past_has_chances_too(record, fitted):
    empty = replace(record.campaigns[0], offers=(), kind="never seen")
    assert np.isfinite(fitted.chances(record.on(0), empty)).all()
    assert fitted.offer_chances(record.on(0), empty).shape == (record.histories.num_customers, 0)


@pytest.mark.parametrize("name", models.CANDIDATES)
def test_saved_and_loaded_it_says_the_same(record, parts, name):
    fitted = Responder.fit(name, parts, rolling(name, parts, 1), 1)
    again = Responder.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    market, campaign = record.on(record.campaigns[7].start_day), record.campaigns[7]
    np.testing.assert_array_equal(again.chances(market, campaign), fitted.chances(market, campaign))
    np.testing.assert_array_equal(again.offer_chances(market, campaign), fitted.offer_chances(market, campaign))


@pytest.mark.parametrize("name", models.CANDIDATES)
def test_terms_sum_to_the_log_odds(parts, name):
    values, label = parts[3].values, parts[3].label
    model = models.fit(name, values, label, 1)
    np.testing.assert_allclose(model.terms(values).sum(axis=1), model.log_odds(values), atol=1e-6)


def test_too_little_is_said_to_be_too_little(parts):
    silent = replace(parts[0], label=np.zeros_like(parts[0].label))
    assert not enough([parts[0], parts[1], silent])
    assert enough(parts[:3])
    assert calibrate({}, parts) is None


def test_a_responder_of_other_features_is_refused(record, fitted):
    other = replace(fitted, names=[*fitted.names[1:], "moon"])
    with pytest.raises(InputError, match="run the stage `respond` again"):
        other.chances(record.on(100), record.campaigns[7])


def test_likeness_tells_those_who_shop_like_the_answerers(record):
    day = record.campaigns[4].start_day
    market = record.on(day)
    kind = record.catalogue.kind[record.histories.item]
    main = np.array([np.bincount(kind[record.histories.customer == c], minlength=4).argmax() for c in range(240)])
    only = market.answers.where(main[market.answers.customer] == 2)
    everyone = np.arange(240, dtype=np.int32)
    alike = likeness(replace(market, answers=only), record.campaigns[4], everyone)["alike"]
    assert alike[main == 2].min() > alike[main != 2].max()
    silent = replace(market, answers=market.answers.where(market.answers.day < 0))
    assert (likeness(silent, record.campaigns[4], everyone)["alike"] == 0).all()


def test_a_response_rate_is_shrunk_as_if_by_two_campaigns_that_went_as_others_did(parts):
    """(answers + 2 x base) / (contacts + 2): what is left of rate x (contacts + 2) - answers is one number for all."""
    part = parts[-1]
    columns = {name: part.values[:, i].astype(float) for i, name in enumerate(part.names)}
    told, answered = np.expm1(columns["told"]), np.expm1(columns["answered"])
    assert np.unique(np.round(told)).size > 2
    base = (columns["answer_rate"] * (told + 2) - answered) / 2
    np.testing.assert_allclose(base, base[0], atol=1e-5)
    assert 0 < base[0] < 1
    kind = columns["rate_kind"] * (np.expm1(columns["told_kind"]) + 2) - np.expm1(columns["answered_kind"])
    np.testing.assert_allclose(kind, 2 * columns["answer_rate"], atol=1e-5)
