"""How good is it: ranking metrics and honest intervals."""

from nightmarket.evaluation.intervals import Interval, bootstrap, paired
from nightmarket.evaluation.metrics import audience_auc, coverage, hits, novelty, rank_metrics

__all__ = ["Interval", "audience_auc", "bootstrap", "coverage", "hits", "novelty", "paired", "rank_metrics"]
