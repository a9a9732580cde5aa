"""The common form of all scorers: customers and products in one space, whose dot product is the score.

Shapes: B customers, A items, E width of the space, D width of a text vector, T texts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nightmarket.retrieval.scorers.config import ScorerConfig
from nightmarket.retrieval.scorers.past import Past


@dataclass(frozen=True)
class Sizes:
    """Sizes of tables, fixed at the fit. text_dim D is 0 without text; row 0 of a table is for what is unknown."""

    num_rows: int
    num_channels: int
    text_dim: int


class ItemSpace(nn.Module):
    """A model of customers and items.

    needs_text  whether it cannot do without text vectors
    reads_text  whether an item without a row of its own still has a vector, from its text
    """

    needs_text = False
    reads_text = True

    def __init__(self, config: ScorerConfig, sizes: Sizes) -> None:
        super().__init__()
        self.config, self.sizes = config, sizes
        self.noise: torch.Generator | None = None

    def customers(self, past: Past, bank: Tensor | None) -> Tensor:
        """(B, E) of customers; an empty history has a vector too. bank (T, D)."""
        raise NotImplementedError

    def items(self, rows: Tensor, texts: Tensor, bank: Tensor | None) -> Tensor:
        """(A, E) of items with rows (A,) of the table of items and rows (A,) of the bank."""
        raise NotImplementedError

    def start(self, generator: torch.Generator, bank: Tensor | None) -> None:
        """First weights, from a generator of their own: nothing seeds globally."""
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    bound = module.in_features**-0.5
                    module.weight.uniform_(-bound, bound, generator=generator)
                    if module.bias is not None:
                        module.bias.zero_()
                elif isinstance(module, nn.Embedding):
                    module.weight.normal_(0.0, self.config.table_start, generator=generator)
                    module.weight[0] = 0.0

    def dropped(self, x: Tensor) -> Tensor:
        """Dropout with the module's own generator; nothing outside training."""
        share = self.config.dropout
        if not self.training or share == 0 or self.noise is None:
            return x
        keep = torch.rand(x.shape, generator=self.noise, device=x.device) >= share
        return x * keep / (1 - share)


class ItemTable(nn.Module):
    """A vector and a bias per item: its own row, and a projection of its text where there is one."""

    def __init__(self, sizes: Sizes, dim: int, use_text: bool = True) -> None:
        super().__init__()
        self.own = nn.Embedding(sizes.num_rows, dim, padding_idx=0)
        self.bias = nn.Embedding(sizes.num_rows, 1, padding_idx=0)
        self.text = nn.Linear(sizes.text_dim, dim, bias=False) if use_text and sizes.text_dim else None

    def forward(self, rows: Tensor, texts: Tensor, bank: Tensor | None) -> Tensor:
        """(A, dim)"""
        vectors: Tensor = self.own(rows)
        if self.text is not None and bank is not None:
            distinct, place = torch.unique(texts, return_inverse=True)
            vectors = vectors + self.text(bank[distinct]).index_select(0, place)
        return vectors


def with_one(u_BE: Tensor) -> Tensor:
    """(B, E + 1) a column of ones at the end: it multiplies the items' bias."""
    return torch.cat([u_BE, torch.ones_like(u_BE[:, :1])], dim=1)
