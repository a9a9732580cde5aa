"""Scorers by name, so that a name in params.yaml finds its scorer."""

from dataclasses import dataclass
from typing import Any

from nightmarket.contracts import InputError
from nightmarket.retrieval.scorers.attention import SelfAttentive
from nightmarket.retrieval.scorers.config import ScorerConfig, known_fields
from nightmarket.retrieval.scorers.factors import DeepMatrixFactorisation, MatrixFactorisation
from nightmarket.retrieval.scorers.loss import Loss, negative_sampling, sampled_softmax
from nightmarket.retrieval.scorers.space import Space
from nightmarket.retrieval.scorers.text import Cosine, Linear


@dataclass(frozen=True)
class Kind:
    """A scorer's model, its loss, and where its defaults differ from those of ScorerConfig."""

    space: type[Space]
    loss: Loss
    defaults: dict[str, Any]


SCORERS: dict[str, Kind] = {
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
    """Raises InputError that lists the names when there is no such scorer."""
    if name not in SCORERS:
        raise InputError(f"scorers: '{name}' is no scorer; choose from {', '.join(SCORERS)}")
    return SCORERS[name]


def config_of(name: str, **changed: Any) -> ScorerConfig:
    """The scorer's defaults with some fields changed. Raises InputError at an unknown scorer or field."""
    return ScorerConfig(**{**kind_of(name).defaults, **known_fields(changed)})
