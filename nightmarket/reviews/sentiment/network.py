"""A small network of n-grams' embeddings (after Joulin et al., 2016, fastText; Galke & Scherp, 2022, wide MLP).

Shapes: N texts, F features, H hidden units.
"""

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional

from nightmarket.contracts.arrays import Bools, Float64s

HIDDEN, EPOCHS, BATCH, RATE = 32, 5, 64, 2e-3
DROPPED_FEATURES, DROPPED_UNITS, SMOOTHING = 0.5, 0.5, 0.05
SCALE = 5.0
"""Rows come with unit norm; this much longer, the first steps are of the right size."""


class Network(nn.Module):
    """One hidden layer of rectified sums of embeddings, and a linear part beside it, which starts at nothing."""

    def __init__(self, num_features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.embeddings = nn.EmbeddingBag(num_features, HIDDEN + 1, mode="sum", sparse=True)
        self.out = nn.Linear(HIDDEN, 1)
        self.level = nn.Parameter(torch.zeros(HIDDEN))
        with torch.no_grad():
            self.embeddings.weight.normal_(0, 0.1, generator=generator)[:, HIDDEN] = 0
            self.out.weight.uniform_(-(HIDDEN**-0.5), HIDDEN**-0.5, generator=generator)
            self.out.bias.zero_()

    def forward(self, rows: sp.csr_matrix, generator: torch.Generator | None = None) -> Tensor:
        """(N,) logits of (N, F) features; with a generator, features and units are dropped as in training."""
        index, start = (torch.from_numpy(of.astype(np.int64)) for of in (rows.indices, rows.indptr[:-1]))
        weight = torch.from_numpy(rows.data) * SCALE
        if generator is not None:
            weight = weight * _kept(weight, DROPPED_FEATURES, generator)
        sums = self.embeddings(index, start, per_sample_weights=weight)
        hidden = functional.relu(sums[:, :HIDDEN] + self.level)
        if generator is not None:
            hidden = hidden * _kept(hidden, DROPPED_UNITS, generator)
        return self.out(hidden)[:, 0] + sums[:, HIDDEN]


def train(features: sp.csr_matrix, positive: Bools, seed: int) -> Network:
    """A network that tells praise from complaint in (N, F) features; time linear in their entries."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = Network(features.shape[1], generator)
    target = torch.from_numpy(positive.astype(np.float32) * (1 - 2 * SMOOTHING) + SMOOTHING)
    dense = [network.level, *network.out.parameters()]
    steps = (torch.optim.SparseAdam(list(network.embeddings.parameters())), torch.optim.Adam(dense))
    for epoch in range(EPOCHS):
        for step in steps:
            step.param_groups[0]["lr"] = RATE * (1 - epoch / EPOCHS)
        for batch in np.array_split(rng.permutation(len(positive)), max(len(positive) // BATCH, 1)):
            loss = functional.binary_cross_entropy_with_logits(network(features[batch], generator), target[batch])
            for step in steps:
                step.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for step in steps:
                step.step()  # type: ignore[no-untyped-call]
    return network


def scores(network: Network, features: sp.csr_matrix) -> Float64s:
    """(N,) logits, 8,192 texts at a time."""
    with torch.no_grad():
        blocks = [network(features[start : start + 8192]) for start in range(0, features.shape[0], 8192)]
    return torch.cat(blocks).numpy().astype(np.float64)


def _kept(like: Tensor, share: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(like.shape, generator=generator) >= share).to(like.dtype) / (1 - share)
