"""Scoring scorers by name: each learns from purchase histories how much a customer wants each product."""

from typing import TYPE_CHECKING, Any

_HOMES = {
    "SCORERS": "scorer",
    "Scorer": "scorer",
    "ScorerConfig": "config",
    "ScorerData": "material",
    "config_of": "scorer",
    "fit": "training",
    "load": "scorer",
}

if TYPE_CHECKING:
    from nightmarket.retrieval.scorers.config import ScorerConfig
    from nightmarket.retrieval.scorers.material import ScorerData
    from nightmarket.retrieval.scorers.scorer import SCORERS, Scorer, config_of, load
    from nightmarket.retrieval.scorers.training import fit

__all__ = ["SCORERS", "Scorer", "ScorerConfig", "ScorerData", "config_of", "fit", "load"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: torch takes seconds to import.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"nightmarket.retrieval.scorers.{_HOMES[name]}"), name)
