"""Self-attentive sequence model over a customer's latest events, each with its time, store and price.

Shapes: B customers, L events (the last place is "now"), E width of the space, A items, N attention heads.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nightmarket.contracts.arrays import Bools
from nightmarket.retrieval.scorers.config import ScorerConfig
from nightmarket.retrieval.scorers.material import NUM_PRICES
from nightmarket.retrieval.scorers.past import NUM_AGES, Past, Sequence, tensor
from nightmarket.retrieval.scorers.space import ItemSpace, ItemTable, Sizes, with_one


class SelfAttentive(ItemSpace):
    """Causal self-attention (Kang & McAuley, 2018) with the context of each event added to its item.

    An event is its item's vector (own row + text) + age at the origin + days since the event before + store + price
    bucket. A last place, "now", reads them all; what it has become is the customer's vector. Ages in the place of
    positions: baskets come irregularly. Within a day there is no order, so causal means by day.
    """

    def __init__(self, config: ScorerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim = config.dim
        layers = [_AttentionLayer(dim, config.num_heads, config.hidden) for _ in range(config.layers)]
        self.table = ItemTable(sizes, dim)
        self.age = nn.Embedding(NUM_AGES, dim)
        self.gap = nn.Embedding(NUM_AGES, dim)
        self.channel = nn.Embedding(sizes.num_channels, dim, padding_idx=0)
        self.price = nn.Embedding(NUM_PRICES + 1, dim)
        self.now = nn.Linear(1, dim)
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)

    def customers(self, past: Past, bank: Tensor | None) -> Tensor:
        """(B, E + 1)"""
        device = self.out.weight.device
        ledger, sequence = past.ledger, past.sequence(self.config.length)
        item = ledger.item[sequence.event] if len(ledger.item) else sequence.event
        rows = np.where(sequence.valid, ledger.rows(item, past.origin), 0)
        texts = ledger.text[item]
        events = self.table(tensor(rows.ravel(), device), tensor(texts.ravel(), device), bank).view(*item.shape, -1)
        context = [(self.age, sequence.age), (self.gap, sequence.gap)]
        if len(ledger.item):
            context += [(self.channel, ledger.channel[sequence.event]), (self.price, ledger.price[sequence.event])]
        for embedding, code in context:
            events = events + embedding(tensor(code, device))
        now = self.now(torch.ones(len(past), 1, 1, device=device))
        x = self.dropped(torch.cat([events, now], dim=1))
        mask = tensor(_mask(sequence), device)
        for layer in self.layers:
            x = x + self.dropped(layer(x, mask[:, None]))
        return with_one(self.out(self.norm(x[:, -1])))

    def items(self, rows: Tensor, texts: Tensor, bank: Tensor | None) -> Tensor:
        """(A, E + 1)"""
        return torch.cat([self.table(rows, texts, bank), self.table.bias(rows)], dim=1)


def _mask(sequence: Sequence) -> Bools:
    """(B, L + 1, L + 1) who may look at whom: an event at those of its day and before, "now" at all.

    A place that holds no event sees itself alone: a softmax over nothing is no number.
    """
    day = np.concatenate([sequence.day, np.full_like(sequence.day[:, :1], np.iinfo(np.int64).max)], axis=1)
    valid = np.concatenate([sequence.valid, np.ones_like(sequence.valid[:, :1])], axis=1)
    seen = (day[:, :, None] >= day[:, None, :]) & valid[:, None, :]
    return seen | np.eye(day.shape[1], dtype=bool)


class _AttentionLayer(nn.Module):
    """One block of a transformer, normalised before each half."""

    def __init__(self, dim: int, num_heads: int, hidden: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.joined = nn.Linear(dim, dim)
        self.wide, self.narrow = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x_BLE: Tensor, mask_B1LL: Tensor) -> Tensor:
        """(B, L, E) what the block adds to its input."""
        size, length, dim = x_BLE.shape
        parts = self.qkv(self.before(x_BLE)).view(size, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask_B1LL)
        attended = self.joined(mixed.transpose(1, 2).reshape(size, length, dim))
        return attended + self.narrow(functional.gelu(self.wide(self.between(x_BLE + attended))))
