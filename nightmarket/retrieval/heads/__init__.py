"""Scoring heads by name: each learns from purchase histories how much a customer wants each product."""

from typing import TYPE_CHECKING, Any

_HOMES = {
    "HEADS": "names",
    "Head": "head",
    "HeadConfig": "config",
    "Material": "material",
    "config_of": "names",
    "fit": "training",
    "load": "head",
}

if TYPE_CHECKING:
    from nightmarket.retrieval.heads.config import HeadConfig
    from nightmarket.retrieval.heads.head import Head, load
    from nightmarket.retrieval.heads.material import Material
    from nightmarket.retrieval.heads.names import HEADS, config_of
    from nightmarket.retrieval.heads.training import fit

__all__ = ["HEADS", "Head", "HeadConfig", "Material", "config_of", "fit", "load"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: torch takes seconds to import.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"nightmarket.retrieval.heads.{_HOMES[name]}"), name)
