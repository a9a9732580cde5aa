"""Backtest of the response model: every test campaign is predicted by a model of the campaigns before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int32s
from nightmarket.response.evaluation import figures, mean_figure, ndcg
from nightmarket.response.responder import CampaignRows, calibrate, ended_before, fit_offers, offer_scores, probability

OURS, BASELINE = "nightmarket", "own purchases"


@dataclass(frozen=True)
class Backtest:
    """Predictions for the test campaigns, one after another; P pairs of customer and campaign, R responders.

    campaigns  (P,)  campaign_id
    orders     what orders the offers → per campaign the NDCG@5 of each responder
    """

    tests: Sequence[CampaignRows]
    campaigns: np.ndarray
    customer: Int32s
    probability: Float64s
    responded: Bools
    orders: dict[str, list[Float64s]]

    def metrics(self, seed: int, num_resamples: int) -> dict[str, Any]:
        """Figures over all test campaigns and of each, with 95% intervals over customers."""
        responders = [part.customer[part.label] for part in self.tests]
        ends = np.cumsum([part.label.size for part in self.tests])[:-1]
        chances = np.split(self.probability, ends)
        return {
            "test": figures(self.probability, self.responded, self.customer, seed, num_resamples),
            "campaigns": {
                part.campaign.campaign_id: {
                    "kind": part.campaign.kind,
                    **figures(chances[at], part.label, part.customer, seed, num_resamples),
                    "offers": {
                        name: mean_figure(values[at], responders[at], seed) for name, values in self.orders.items()
                    },
                }
                for at, part in enumerate(self.tests)
            },
            "offers": {
                name: {"ndcg@5": mean_figure(np.concatenate(values), np.concatenate(responders), seed)}
                for name, values in self.orders.items()
            },
        }


def backtest(
    parts: Sequence[CampaignRows], tests: Sequence[CampaignRows], log_odds: dict[str, Any], seed: int
) -> Backtest:
    """Predict each test campaign; the offers' order stands beside that of the customers' own purchases.

    log_odds  campaign_id → log-odds by a model of earlier campaigns, as `responder.rolling` gives them
    """
    chances: list[Float64s] = []
    orders: dict[str, list[Float64s]] = {OURS: [], BASELINE: []}
    forests: dict[int, Any] = {}
    for part in tests:
        name, before = part.campaign.campaign_id, ended_before(parts, part.campaign.start_day)
        chances.append(probability(log_odds[name], calibrate(log_odds, before)))
        if len(before) not in forests:
            forests[len(before)] = fit_offers(before, seed)
        orders[OURS].append(ndcg(offer_scores(forests[len(before)], part.offers), part.taken))
        orders[BASELINE].append(ndcg(part.offers[:, :, 0].astype(float), part.taken))
    return Backtest(
        tests,
        np.repeat([part.campaign.campaign_id for part in tests], [part.label.size for part in tests]),
        np.concatenate([part.customer for part in tests]),
        np.concatenate(chances),
        np.concatenate([part.label for part in tests]),
        orders,
    )
