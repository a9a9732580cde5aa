"""What would another policy have earned on the log of this one, and may it be trusted?"""

from nightmarket.evaluation.offpolicy.diagnostics import Diagnostics, Refusal, diagnose
from nightmarket.evaluation.offpolicy.estimators import (
    Estimate,
    direct,
    doubly_robust,
    importance,
    self_normalised,
    switch_doubly_robust,
)
from nightmarket.evaluation.offpolicy.logs import Log
from nightmarket.evaluation.offpolicy.rewards import cross_fitted
from nightmarket.evaluation.offpolicy.verdict import Verdict, evaluate

__all__ = [
    "Diagnostics",
    "Estimate",
    "Log",
    "Refusal",
    "Verdict",
    "cross_fitted",
    "diagnose",
    "direct",
    "doubly_robust",
    "evaluate",
    "importance",
    "self_normalised",
    "switch_doubly_robust",
]
