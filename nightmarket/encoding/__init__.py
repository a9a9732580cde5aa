"""Texts become unit vectors: any Hugging Face encoder, each distinct text once.

`Encoder` is loaded on first use, because torch takes seconds to import and a night without new texts needs none of it.
"""

from typing import TYPE_CHECKING, Any

from nightmarket.encoding.hashes import lookup, text_hashes
from nightmarket.encoding.models import PACKAGED, fingerprint, resolve_model

if TYPE_CHECKING:
    from nightmarket.encoding.encoder import Encoder

__all__ = ["PACKAGED", "Encoder", "fingerprint", "lookup", "resolve_model", "text_hashes"]


def __getattr__(name: str) -> Any:
    if name == "Encoder":
        from nightmarket.encoding.encoder import Encoder

        return Encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
