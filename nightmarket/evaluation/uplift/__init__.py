"""Did a campaign move anything? Effects of an exposure, with the checks without which nothing is claimed."""

from nightmarket.evaluation.uplift.campaigns import Campaign, Case, campaigns_of, case
from nightmarket.evaluation.uplift.doubly_robust import Estimate
from nightmarket.evaluation.uplift.effect import Effect
from nightmarket.evaluation.uplift.observed import observational
from nightmarket.evaluation.uplift.overlap import Overlap
from nightmarket.evaluation.uplift.randomized import randomised

__all__ = [
    "Campaign",
    "Case",
    "Effect",
    "Estimate",
    "Overlap",
    "campaigns_of",
    "case",
    "observational",
    "randomised",
]
