"""Matrix factorisation, with customers solved for in closed form, and deep matrix factorisation.

Shapes: B customers, A items, E width of the space, P pairs, H own items (padded).
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nightmarket.retrieval.scorers.config import ScorerConfig
from nightmarket.retrieval.scorers.past import NUM_FEATURES, Past, SeenPairs, tensor
from nightmarket.retrieval.scorers.space import ItemSpace, ItemTable, Sizes, with_one


class _Weight(nn.Module):
    """How much each of a customer's items counts: softplus of a linear map of the pair's features."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(NUM_FEATURES, 1)

    def forward(self, features_PF: Tensor) -> Tensor:
        return functional.softplus(self.linear(features_PF).squeeze(-1))


class MatrixFactorisation(ItemSpace):
    """score(c, i) = s <p_c, q_i> + b_i, with implicit feedback (Hu, Koren & Volinsky, 2008).

    Item factors q are learned. A customer's factor is the ridge solution of the own purchases, over all items,

        p_c = (g G + sum_i w_ci q_i q_i^T + r I)^-1  sum_i w_ci q_i        G = mean of q q^T over the items

    which is the fold-in of alternating least squares; w, g, r and s are learned with q through the solution (as in
    Bertinetto et al., 2019, "Meta-learning with differentiable closed-form solvers"). So there is no table of
    customers, and one who came today is scored like any other. An item without a row has the factor 0.
    """

    reads_text = False

    def __init__(self, config: ScorerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.table = ItemTable(sizes, config.dim, use_text=False)
        self.weight = _Weight()
        self.log_gram = nn.Parameter(torch.tensor(np.log(300.0), dtype=torch.float32))
        self.log_ridge = nn.Parameter(torch.tensor(0.0))
        self.log_scale = nn.Parameter(torch.tensor(np.log(5.0), dtype=torch.float32))

    def customers(self, past: Past, bank: Tensor | None) -> Tensor:
        """(B, E + 1)"""
        factors = self.table.own.weight
        kept, place, width = _freshest(past.pairs, len(past), self.config.max_own)
        pairs = past.pairs
        rows = tensor(past.ledger.rows(pairs.item[kept], past.origin), factors.device)
        weight_P = self.weight(tensor(pairs.features[kept], factors.device)) * (rows > 0)
        at = tensor(pairs.row[kept] * width + place, factors.device)
        own_BHE = _padded(self.table.own(rows), at, len(past), width)
        weighted_BHE = _padded(self.table.own(rows) * weight_P[:, None], at, len(past), width)
        gram = factors.T @ factors / max(len(factors) - 1, 1)
        ridge = self.log_ridge.exp() * torch.eye(self.config.dim, device=factors.device)
        left = own_BHE.transpose(1, 2) @ weighted_BHE + self.log_gram.exp() * gram + ridge
        solved = torch.linalg.solve(left, weighted_BHE.sum(dim=1))
        return with_one(solved * self.log_scale.exp())

    def items(self, rows: Tensor, texts: Tensor, bank: Tensor | None) -> Tensor:
        """(A, E + 1)"""
        return torch.cat([self.table(rows, texts, None), self.table.bias(rows)], dim=1)


def _freshest(pairs: SeenPairs, num: int, most: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Places of each customer's `most` freshest pairs, their number per customer, and the width that holds them."""
    order = np.lexsort((pairs.item, -pairs.fresh, pairs.row))
    start = np.searchsorted(pairs.row, np.arange(num))
    place = np.arange(len(order)) - start[pairs.row[order]] if len(order) else order
    kept = place < most
    return order[kept], place[kept], int(place[kept].max(initial=0)) + 1


def _padded(values_PE: Tensor, at: Tensor, num: int, width: int) -> Tensor:
    """(B, H, E) with zeros where a customer has fewer."""
    out = values_PE.new_zeros(num * width, values_PE.shape[1])
    return out.index_copy(0, at, values_PE).view(num, width, -1)


class DeepMatrixFactorisation(ItemSpace):
    """cos(f(row of the matrix), g(item)) / temperature + b_i (after Xue et al., 2017).

    The customer's row is the weighted sum of first-layer vectors of what they bought, of unit length; the item's side
    is its own vector and a projection of its text. In the paper the item's side reads the column of the matrix, whose
    length is the number of customers; a vector of its own spares retraining when a customer comes.
    """

    def __init__(self, config: ScorerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.table = ItemTable(sizes, config.dim)
        self.first = ItemTable(sizes, config.hidden)
        self.weight = _Weight()
        self.customer_linear = nn.Linear(config.hidden, config.dim)
        self.customer_hidden = nn.Linear(config.hidden, config.hidden)
        self.customer_out = nn.Linear(config.hidden, config.dim, bias=False)
        self.item_hidden = nn.Linear(config.dim, config.hidden)
        self.item_out = nn.Linear(config.hidden, config.dim, bias=False)
        self.log_temperature = nn.Parameter(torch.tensor(np.log(0.15), dtype=torch.float32))

    def start(self, generator: torch.Generator, bank: Tensor | None) -> None:
        """The residual branches start at zero."""
        super().start(generator, bank)
        nn.init.zeros_(self.customer_out.weight)
        nn.init.zeros_(self.item_out.weight)

    def customers(self, past: Past, bank: Tensor | None) -> Tensor:
        """(B, E + 1)"""
        pairs, device = past.pairs, self.log_temperature.device
        rows = tensor(past.ledger.rows(pairs.item, past.origin), device)
        weight_P = self.weight(tensor(pairs.features, device))
        vectors = self.first(rows, tensor(past.ledger.text[pairs.item], device), bank) * weight_P[:, None]
        total = vectors.new_zeros(len(past), self.config.hidden).index_add(0, tensor(pairs.row, device), vectors)
        x = self.dropped(functional.normalize(total, dim=-1) * self.config.hidden**0.5)
        u = self.customer_linear(x) + self.customer_out(functional.gelu(self.customer_hidden(x)))
        return with_one(functional.normalize(u, dim=-1) / self.log_temperature.exp().clamp(min=0.01))

    def items(self, rows: Tensor, texts: Tensor, bank: Tensor | None) -> Tensor:
        """(A, E + 1)"""
        x = self.table(rows, texts, bank)
        v = x + self.item_out(functional.gelu(self.item_hidden(x)))
        return torch.cat([functional.normalize(v, dim=-1), self.table.bias(rows)], dim=1)
