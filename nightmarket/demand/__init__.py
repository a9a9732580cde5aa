"""How much will be sold? Units per product type and week, and how they answer to price."""

from nightmarket.demand.forecast import Evaluation, evaluate, forecast_units, horizon
from nightmarket.demand.methods import METHODS
from nightmarket.demand.response import Panel, Response, clustered, panel, response, within, words
from nightmarket.demand.series import CLASSES, Weekly, classes, kind_paths, weekly

__all__ = [
    "CLASSES",
    "METHODS",
    "Evaluation",
    "Panel",
    "Response",
    "Weekly",
    "classes",
    "clustered",
    "evaluate",
    "forecast_units",
    "horizon",
    "kind_paths",
    "panel",
    "response",
    "weekly",
    "within",
    "words",
]
