"""P(response | customer, campaign, offer, time): fitted on finished campaigns, each as it looked on its first day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s
from nightmarket.ranking.calibration import OTHER, OWN, Calibration
from nightmarket.response import coupons, models
from nightmarket.response.features import campaign_rows
from nightmarket.response.market import Campaign, Market, Records
from nightmarket.response.models import ResponseModel

MIN_CAMPAIGNS = 3
"""Finished campaigns with responses that a fit needs."""
MIN_ANSWERS = 20
"""Responses that calibration needs; with fewer the log-odds are taken as they are."""
SHRINKAGE = 200.0
"""How strongly calibration holds on to the log-odds as they are: campaigns differ more than a few past ones tell."""
_STEP = 8192


@dataclass(frozen=True)
class CampaignRows:
    """One finished campaign as it looked on its first day; N customers who were shown it, ascending.

    label   (N,)       responded before its end
    values  (N, F)     features of customer and campaign
    taken   (M, O)     offers taken by those who responded, O offers
    offers  (M, O, G)  features of customer and offer
    """

    campaign: Campaign
    customer: Int32s
    names: list[str]
    label: Bools
    values: Float32s
    taken: Bools
    offers: Float32s


def rows(record: Records, campaign: int) -> CampaignRows:
    """The rows of a finished campaign, features as known at the start of its first day."""
    terms = record.campaigns[campaign]
    market = record.on(terms.start_day)
    customer, label = record.outcome(campaign)
    names, values = campaign_rows(market, terms, customer)
    taken = record.redeemed(campaign, customer[label])
    parts = [part for _, part in coupons.offer_rows(market, terms, customer[label])]
    empty = np.zeros((0, len(terms.offers), len(coupons.NAMES)), np.float32)
    return CampaignRows(terms, customer, names, label, values, taken, np.concatenate([empty, *parts]))


def enough(parts: Sequence[CampaignRows]) -> bool:
    """Whether there is something to learn from."""
    return sum(bool(part.label.any()) for part in parts) >= MIN_CAMPAIGNS


def fit(name: str, parts: Sequence[CampaignRows], seed: int) -> ResponseModel:
    """A candidate (models.CANDIDATES) on the rows of finished campaigns."""
    values, label = np.concatenate([part.values for part in parts]), np.concatenate([part.label for part in parts])
    return models.fit(name, values, label, seed)


def ended_before(parts: Sequence[CampaignRows], day: int) -> list[CampaignRows]:
    """The campaigns that ended before a day."""
    return [part for part in parts if part.campaign.end_day < day]


def rolling(name: str, parts: Sequence[CampaignRows], seed: int) -> dict[str, Float64s]:
    """campaign_id → (N,) log-odds by a model fitted on the campaigns that ended before that one began.

    Campaigns with too little before them are left out.
    """
    log_odds: dict[str, Float64s] = {}
    fitted: dict[tuple[str, ...], ResponseModel] = {}
    for part in parts:
        before = ended_before(parts, part.campaign.start_day)
        if not enough(before):
            continue
        key = tuple(other.campaign.campaign_id for other in before)
        if key not in fitted:
            fitted[key] = fit(name, before, seed)
        log_odds[part.campaign.campaign_id] = fitted[key].log_odds(part.values)
    return log_odds


def calibrate(log_odds: dict[str, Float64s], parts: Sequence[CampaignRows]) -> Calibration | None:
    """A sigmoid on the rolling log-odds of the campaigns `parts`, maximum likelihood with SHRINKAGE / 2 x the squared
    distance of slope and offset from (1, 0); None where they hold too few responses.
    """
    known = [part for part in parts if part.campaign.campaign_id in log_odds]
    label = np.concatenate([np.zeros(0, bool), *(part.label for part in known)])
    if min(int(label.sum()), int((~label).sum())) < MIN_ANSWERS:
        return None
    score = np.concatenate([log_odds[part.campaign.campaign_id] for part in known])

    def loss(curve: Float64s) -> tuple[float, Float64s]:
        odds, off = curve[0] * score + curve[1], curve - (1.0, 0.0)
        gap = models.sigmoid(odds) - label
        value = (np.logaddexp(0, odds) - label * odds).sum() + SHRINKAGE / 2 * (off @ off)
        return float(value), np.array([gap @ score, gap.sum()]) + SHRINKAGE * off

    bounds = [(0.0, None), (None, None)]
    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibration(dict.fromkeys((OWN, OTHER), (float(slope), float(offset))))


def probability(log_odds: Float64s, calibration: Calibration | None) -> Float64s:
    """(N,) calibrated probabilities of raw log-odds."""
    if calibration is None:
        return models.sigmoid(log_odds)
    return calibration.probability(log_odds, np.ones(log_odds.shape, bool))


def fit_offers(parts: Sequence[CampaignRows], seed: int) -> models.BoostedTrees | None:
    """P(takes the offer | responds) on all offers of those who responded; None where no taken offer is known."""
    some = [part for part in parts if part.taken.any() and part.taken.shape[1] > 1]
    if not some:
        return None
    values = np.concatenate([part.offers.reshape(-1, len(coupons.NAMES)) for part in some])
    return models.BoostedTrees.fit(
        values, np.concatenate([part.taken.ravel() for part in some]), seed, num_trees=100, num_leaves=7
    )


def offer_scores(model: models.BoostedTrees | None, offers: Float32s) -> Float64s:
    """(N, O) P(takes the offer | responds) of feature rows (N, O, G)."""
    num, width = offers.shape[:2]
    if num * width == 0:
        return np.zeros((num, width))
    if model is None:  # by what the customer buys, and one offer a responder
        liked = np.expm1(offers[:, :, 0].astype(np.float64)) + np.expm1(offers[:, :, 2]) / 10 + 0.1
        return np.asarray(liked / np.maximum(liked.sum(axis=1, keepdims=True), 1e-9))
    return models.sigmoid(model.log_odds(offers.reshape(num * width, offers.shape[2])).reshape(num, width))


@dataclass(frozen=True)
class Responder:
    """What delivers: fitted on every finished campaign.

    names          (F,) features, in order
    trained_until  last day of the last campaign that it learned from
    """

    names: list[str]
    model: ResponseModel
    calibration: Calibration | None
    offers: models.BoostedTrees | None
    trained_until: int

    @classmethod
    def fit(cls, name: str, parts: Sequence[CampaignRows], log_odds: dict[str, Float64s], seed: int) -> "Responder":
        """On finished campaigns and their `rolling` log-odds."""
        until = max(part.campaign.end_day for part in parts)
        model, offers = fit(name, parts, seed), fit_offers(parts, seed)
        return cls(parts[0].names, model, calibrate(log_odds, parts), offers, until)

    def chances(self, market: Market, campaign: Campaign) -> Float32s:
        """(C,) calibrated P(customer responds to the campaign at all | shown it), as known on the market's day."""
        chances = np.zeros(market.histories.num_customers, np.float32)
        for customers in self._slices(market):
            names, values = campaign_rows(market, campaign, customers)
            if names != self.names:
                raise InputError(
                    f"the responder was fitted on {len(self.names)} features, {len(names)} others are made here; "
                    "run the stage `respond` again with this code"
                )
            chances[customers] = probability(self.model.log_odds(values), self.calibration)
        return chances

    def offer_chances(self, market: Market, campaign: Campaign) -> Float32s:
        """(C, O) P(customer takes the offer | shown the campaign): P(responds) x P(takes the offer | responds)."""
        chances = np.zeros((market.histories.num_customers, len(campaign.offers)), np.float32)
        for customers in self._slices(market):
            for rows, values in coupons.offer_rows(market, campaign, customers):
                chances[customers[rows]] = offer_scores(self.offers, values)
        return np.asarray(chances * self.chances(market, campaign)[:, None], np.float32)

    def _slices(self, market: Market) -> list[Int32s]:
        everyone = np.arange(market.histories.num_customers, dtype=np.int32)
        return [everyone[start : start + _STEP] for start in range(0, everyone.size, _STEP)]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file; LightGBM's models as text."""
        return {
            "names": self.names,
            "model": self.model.to_json(),
            "calibration": self.calibration.to_json() if self.calibration else None,
            "offers": self.offers.to_json() if self.offers else None,
            "trained_until": self.trained_until,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Responder":
        """The reverse of `to_json`."""
        offers = models.from_json(content["offers"]) if content["offers"] else None
        assert offers is None or isinstance(offers, models.BoostedTrees)
        return cls(
            list(content["names"]),
            models.from_json(content["model"]),
            Calibration.from_json(content["calibration"]) if content["calibration"] else None,
            offers,
            int(content["trained_until"]),
        )
