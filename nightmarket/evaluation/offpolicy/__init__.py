"""What would another policy have earned on the log of this one, and may it be trusted?"""

from nightmarket.evaluation.offpolicy.estimators import (
    ValueEstimate,
    cross_fitted,
    direct,
    doubly_robust,
    importance,
    self_normalised,
    switch_doubly_robust,
)
from nightmarket.evaluation.offpolicy.evaluation import Diagnostics, PolicyEvaluation, Refusal, diagnose, evaluate
from nightmarket.evaluation.offpolicy.logs import Log

__all__ = [
    "Diagnostics",
    "Log",
    "PolicyEvaluation",
    "Refusal",
    "ValueEstimate",
    "cross_fitted",
    "diagnose",
    "direct",
    "doubly_robust",
    "evaluate",
    "importance",
    "self_normalised",
    "switch_doubly_robust",
]
