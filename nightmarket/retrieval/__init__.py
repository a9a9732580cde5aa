"""Which products a customer's history points to: two towers over text vectors, their training and their search."""

from typing import TYPE_CHECKING, Any

_HOMES = {
    "INTENTS": "tower",
    "Tower": "tower",
    "TowerConfig": "tower",
    "best_items": "nearest",
    "item_matrix": "tower",
    "score": "nearest",
}

if TYPE_CHECKING:
    from nightmarket.retrieval.nearest import best_items, score
    from nightmarket.retrieval.tower import INTENTS, Tower, TowerConfig, item_matrix

__all__ = ["INTENTS", "Tower", "TowerConfig", "best_items", "item_matrix", "score"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: torch takes seconds to import.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"nightmarket.retrieval.{_HOMES[name]}"), name)
