"""The two scorers over text alone: cosine of two towers, and the linear model without interaction.

Shapes: B customers, A items, D width of a text vector, E width of the space, H recency bins, K half-lives.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nightmarket.retrieval.recency import AGES, pooled
from nightmarket.retrieval.scorers.config import ScorerConfig
from nightmarket.retrieval.scorers.past import Past
from nightmarket.retrieval.scorers.space import ItemSpace, Sizes, with_one
from nightmarket.retrieval.tower import Tower, TowerConfig

HALF_LIVES = (4.0, 26.0)
"""Weeks; by which the linear scorer's profile weighs purchases."""


def bins(past: Past, bank: Tensor) -> tuple[Tensor, Tensor]:
    """Sums (B, H, D) of the text vectors of what was bought, and their numbers (B, H), by age."""
    event, owner = past.events
    age = past.origin - past.ledger.week[event]
    return pooled(bank, past.ledger.text[past.ledger.item[event]], owner, age, len(past))


class Cosine(ItemSpace):
    """cos(f(profile), g(text)) / temperature: the two towers of `nightmarket.retrieval.tower`."""

    needs_text = True

    def __init__(self, config: ScorerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.tower = Tower(TowerConfig(sizes.text_dim, config.dim, config.hidden))

    def start(self, generator: torch.Generator, bank: Tensor | None) -> None:
        """The residual branches of the towers start at zero."""
        super().start(generator, bank)
        nn.init.zeros_(self.tower.item_out.weight)
        nn.init.zeros_(self.tower.customer_out.weight)
        if bank is not None:
            with torch.no_grad():
                self.tower.centre.copy_(bank.mean(dim=0))

    def customers(self, past: Past, bank: Tensor | None) -> Tensor:
        """(B, E) of length 1 / temperature."""
        assert bank is not None
        temperature = self.tower.log_temperature.exp().clamp(min=0.01)
        return self.tower.embed_customers(*bins(past, bank), intent=0) / temperature

    def items(self, rows: Tensor, texts: Tensor, bank: Tensor | None) -> Tensor:
        """(A, E) unit vectors."""
        assert bank is not None
        distinct, place = torch.unique(texts, return_inverse=True)
        return self.tower.embed_items(bank[distinct]).index_select(0, place)


class Linear(ItemSpace):
    """a^T u + b^T v + c, whose sigmoid is the chance of a purchase within the horizon.

    u  mean text vectors of what the customer bought, for two half-lives, and the logarithm of how much
    v  the item's text vector

    Nothing in it joins u and v: all customers get the items in one order, that of b^T v. The customer's part moves the
    chance alone.
    """

    needs_text = True
    fading: Tensor

    def __init__(self, config: ScorerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.a = nn.Linear(len(HALF_LIVES) * sizes.text_dim + 1, 1)
        self.b = nn.Linear(sizes.text_dim, 1, bias=False)
        faded = np.exp2(-np.array(AGES)[None, :] / np.array(HALF_LIVES)[:, None]).astype(np.float32)
        self.register_buffer("fading", torch.from_numpy(faded), persistent=False)
        self.centre = nn.Parameter(torch.zeros(sizes.text_dim), requires_grad=False)

    def start(self, generator: torch.Generator, bank: Tensor | None) -> None:
        """Chances start at 1 in 1,000 for all. Text vectors are centred: what all share says nothing."""
        super().start(generator, bank)
        nn.init.zeros_(self.b.weight)
        nn.init.constant_(self.a.bias, -7.0)
        if bank is not None:
            with torch.no_grad():
                self.centre.copy_(bank.mean(dim=0))

    def customers(self, past: Past, bank: Tensor | None) -> Tensor:
        """(B, 2): a^T u + c, and one."""
        assert bank is not None
        sums_BHD, counts_BH = bins(past, bank)
        total = (counts_BH @ self.fading.T)[..., None]
        mean = functional.normalize(
            torch.einsum("kh,bhd->bkd", self.fading, sums_BHD) / total.clamp(min=1e-6) - self.centre * (total > 1e-6),
            dim=-1,
        )
        amount = torch.log1p(counts_BH.sum(dim=1, keepdim=True)) / 4
        u: Tensor = self.a(torch.cat([mean.flatten(1), amount], dim=1))
        return with_one(u)

    def items(self, rows: Tensor, texts: Tensor, bank: Tensor | None) -> Tensor:
        """(A, 2): one, and b^T v."""
        assert bank is not None
        v: Tensor = self.b(bank - self.centre).index_select(0, texts)
        return torch.cat([torch.ones_like(v), v], dim=1)
