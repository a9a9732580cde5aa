"""Experiments: design before the start, assignment, read-out at every look, and what the estimates were worth.

Outcome, Rule, power, sample_size, minimum_detectable_effect, expected_days     before the start
Arms, assign, check_layer                                                       who gets what
Experiment, Metric, Covariate, read_out                                         what it says so far
effect_index, rate                                                              clicks over impressions
ledger, trust                                                                   estimate against A/B result
"""

from nightmarket.evaluation.experiments.assignment import Arms, Assignment, assign, check_layer
from nightmarket.evaluation.experiments.design import (
    ControlOutcome,
    Rule,
    expected_days,
    minimum_detectable_effect,
    power,
    sample_size,
)
from nightmarket.evaluation.experiments.effect_index import Strategy, effect_index, rate
from nightmarket.evaluation.experiments.effects import Comparison, Covariate, Metric, compare
from nightmarket.evaluation.experiments.ledger import LedgerRow, Lift, Trust, ledger, trust
from nightmarket.evaluation.experiments.readout import (
    Experiment,
    ReadOut,
    Recommendation,
    SampleRatio,
    benjamini_hochberg,
    blocked,
    holm,
    read_out,
    sample_ratio,
)

__all__ = [
    "Arms",
    "Assignment",
    "Comparison",
    "ControlOutcome",
    "Covariate",
    "Experiment",
    "LedgerRow",
    "Lift",
    "Metric",
    "ReadOut",
    "Recommendation",
    "Rule",
    "SampleRatio",
    "Strategy",
    "Trust",
    "assign",
    "benjamini_hochberg",
    "blocked",
    "check_layer",
    "compare",
    "effect_index",
    "expected_days",
    "holm",
    "ledger",
    "minimum_detectable_effect",
    "power",
    "rate",
    "read_out",
    "sample_ratio",
    "sample_size",
    "trust",
]
