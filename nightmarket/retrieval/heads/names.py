"""Heads by name, so that a name in params.yaml finds its head."""

from dataclasses import dataclass
from typing import Any

from nightmarket.contracts import InputError
from nightmarket.retrieval.heads.attention import SelfAttentive
from nightmarket.retrieval.heads.config import HeadConfig, known_fields
from nightmarket.retrieval.heads.factors import DeepMatrixFactorisation, MatrixFactorisation
from nightmarket.retrieval.heads.loss import Loss, negative_sampling, sampled_softmax
from nightmarket.retrieval.heads.space import Space
from nightmarket.retrieval.heads.text import Cosine, Linear


@dataclass(frozen=True)
class Kind:
    """A head's model, its loss, and where its defaults differ from those of HeadConfig."""

    space: type[Space]
    loss: Loss
    defaults: dict[str, Any]


HEADS: dict[str, Kind] = {
    "cosine": Kind(Cosine, sampled_softmax, {}),
    "linear": Kind(
        Linear,
        negative_sampling,
        {"repeats": False, "trend": False, "launch_weight": 0.0, "hidden_share": 0.0, "learning_rate": 0.03},
    ),
    "matrix_factorisation": Kind(MatrixFactorisation, sampled_softmax, {"dim": 32, "table_decay": 3e-2}),
    "deep_matrix_factorisation": Kind(DeepMatrixFactorisation, sampled_softmax, {"dim": 32, "hidden": 64}),
    "self_attentive": Kind(SelfAttentive, sampled_softmax, {}),
}


def kind_of(name: str) -> Kind:
    """Raises InputError that lists the names when there is no such head."""
    if name not in HEADS:
        raise InputError(f"heads: '{name}' is no head; choose from {', '.join(HEADS)}")
    return HEADS[name]


def config_of(name: str, **changed: Any) -> HeadConfig:
    """The head's defaults with some fields changed. Raises InputError at an unknown head or field."""
    return HeadConfig(**{**kind_of(name).defaults, **known_fields(changed)})
