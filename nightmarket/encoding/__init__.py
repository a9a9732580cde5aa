"""Texts become unit vectors: any Hugging Face encoder, each distinct text once.

What runs a model is loaded on first use, because torch takes seconds to import and a night without new texts needs none
of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nightmarket.encoding.hashes import lookup, text_hashes
from nightmarket.encoding.models import PACKAGED, cached_folder, fingerprint, resolve_model

if TYPE_CHECKING:
    from nightmarket.encoding.encoder import Encoder
    from nightmarket.encoding.loading import load_encoder
    from nightmarket.encoding.static import StaticEncoder

__all__ = [
    "PACKAGED",
    "Encoder",
    "StaticEncoder",
    "cached_folder",
    "fingerprint",
    "load_encoder",
    "lookup",
    "resolve_model",
    "text_hashes",
]

_LATER = {"Encoder": "encoder", "StaticEncoder": "static", "load_encoder": "loading"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"nightmarket.encoding.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
