"""The knobs of a scorer. One set of fields for all scorers; a scorer ignores what it has no use for."""

from dataclasses import dataclass, fields
from typing import Literal

from nightmarket.contracts import InputError

ScorerName = Literal["cosine", "linear", "matrix_factorisation", "deep_matrix_factorisation", "self_attentive"]
"""The scorers of `scorer.SCORERS`, which takes seconds to import."""


@dataclass(frozen=True)
class ScorerConfig:
    """How a scorer is built and trained.

    dim               E, width of the space in which customers and products meet
    hidden            units of hidden layers
    length            events of a customer that the sequence model reads, the latest
    layers, num_heads    of the sequence model: transformer layers, attention heads in each
    dropout           share of hidden units left out in training
    max_own           distinct products of a customer that matrix factorisation solves for, the freshest
    min_buyers        products with fewer buyers have no vector of their own; their text must do
    repeats           score what the customer has bought by a learned term, from how often and how long ago
    trend             add a learned term for how a product sells at the origin, the same for all customers
    max_steps         the budget
    batch_size        B, customers of a step; a step has one origin
    random_items      products drawn evenly as negatives of a step
    learning_rate, weight_decay, warmup_share, clip_norm   of AdamW
    table_decay       weight of the squares of the tables of vectors, in the loss: rows of rare items shrink to zero
    table_start       standard deviation of those tables at the start
    horizon           weeks after an origin whose purchases are the positives
    min_history       weeks of data before the first origin
    origin_half_life  weeks; an origin this much older is drawn half as often
    new_weight        weight of products new to the customer; a product bought before weighs 1
    hidden_share      share of a customer's items that a step hides, to be found again; keeps a scorer from learning its
                      customers by heart
    hidden_weight     weight of the loss on them
    launch_weight     weight of the loss on products that come on sale within the horizon; scorers with text alone
    """

    dim: int = 64
    hidden: int = 128
    length: int = 128
    layers: int = 2
    num_heads: int = 2
    dropout: float = 0.1
    max_own: int = 512
    min_buyers: int = 3
    repeats: bool = True
    trend: bool = True
    max_steps: int = 300
    batch_size: int = 64
    random_items: int = 2000
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    table_decay: float = 1e-2
    table_start: float = 0.02
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    horizon: int = 4
    min_history: int = 8
    origin_half_life: float = 6.0
    new_weight: float = 1.0
    launch_weight: float = 0.1
    hidden_share: float = 0.2
    hidden_weight: float = 1.0

    def __post_init__(self) -> None:
        for name in (
            "dim",
            "hidden",
            "length",
            "layers",
            "num_heads",
            "max_own",
            "batch_size",
            "random_items",
            "horizon",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"scorers: {name} {getattr(self, name)} is below 1; raise it")
        if self.dim % self.num_heads:
            raise InputError(
                f"scorers: dim {self.dim} is no multiple of num_heads {self.num_heads}; change one of them"
            )
        if not 0 <= self.dropout < 1 or self.learning_rate <= 0 or self.origin_half_life <= 0 or self.max_steps < 0:
            raise InputError(
                "scorers: one of dropout (0 to below 1), learning_rate (above 0), origin_half_life (above 0) and "
                "max_steps (0 or more) is out of range; correct it"
            )


def known_fields(given: dict[str, object]) -> dict[str, object]:
    """The same keys, all of them fields of ScorerConfig. Raises InputError naming the first that is not."""
    names = [f.name for f in fields(ScorerConfig)]
    for key in given:
        if key not in names:
            raise InputError(f"scorers: '{key}' is no setting of a scorer; choose from {', '.join(names)}")
    return given
