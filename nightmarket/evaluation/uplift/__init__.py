"""Did a campaign move anything? Effects of an exposure, with the checks without which nothing is claimed."""

from nightmarket.evaluation.uplift.campaigns import PastCampaign, UpliftData, campaigns_of, case
from nightmarket.evaluation.uplift.checks import Overlap
from nightmarket.evaluation.uplift.doubly_robust import Estimate
from nightmarket.evaluation.uplift.effect import Effect
from nightmarket.evaluation.uplift.observed import observational
from nightmarket.evaluation.uplift.randomized import randomized

__all__ = [
    "Effect",
    "Estimate",
    "Overlap",
    "PastCampaign",
    "UpliftData",
    "campaigns_of",
    "case",
    "observational",
    "randomized",
]
