"""Did a campaign move anything? Effects of an exposure, with the checks without which nothing is claimed."""

from nightmarket.evaluation.uplift.doubly_robust import Estimate
from nightmarket.evaluation.uplift.effect import Effect
from nightmarket.evaluation.uplift.lot import randomised
from nightmarket.evaluation.uplift.observed import observational
from nightmarket.evaluation.uplift.overlap import Overlap

__all__ = ["Effect", "Estimate", "Overlap", "observational", "randomised"]
