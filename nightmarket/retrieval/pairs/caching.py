"""Gradients of a loss over more texts than fit through the encoder at once, on one device or on several.

Shapes: U texts, D width of a vector.
A contrastive loss joins all texts of a batch, but reaches the encoder through their vectors alone. So the vectors are
made first, without a graph; the loss gives one gradient per vector; then each chunk of texts goes through the encoder
once more and takes its part back (Gao et al., 2021, "Scaling deep contrastive learning batch size under memory limited
setup", gradient caching). The gradients are those of the plain step, at the cost of a second forward pass.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from nightmarket.encoding.ranks import Ranks

Ids = Sequence[Sequence[int]]


def backward(
    embed: Callable[[Ids], Tensor],
    ids: Ids,
    loss_of: Callable[[Tensor], Tensor],
    chunk: int,
    parameters: Iterable[Tensor],
    ranks: Ranks | None = None,
) -> Tensor:
    """The loss, its gradient added to the parameters behind `embed`.

    embed    vectors [U, D] of texts, differentiable, and up to rounding the same however texts are grouped
    loss_of  the loss of all vectors [U, D], a number
    chunk    texts that go through `embed` at once, at least 1; what lies within it needs no second pass
    ranks    every rank encodes its share of the texts, sees all vectors, and ends with the gradient of them all
    """
    ranks = ranks or Ranks()
    own = ranks.share(len(ids))
    mine = ids[own]
    parts = [mine[start : start + chunk] for start in range(0, len(mine), chunk)]
    kept = [embed(mine)] if len(parts) == 1 else None
    with torch.no_grad():
        done = [part.detach() for part in kept] if kept else [embed(part) for part in parts]
        vectors = everybody(torch.cat(done) if done else embed(mine), len(ids), ranks)
    vectors.requires_grad_()
    loss = loss_of(vectors)
    # Each rank holds the whole gradient of its own texts, so that the sum over ranks is wanted, not the mean.
    gradient = torch.autograd.grad(loss, vectors)[0][own] * ranks.size
    for number, part in enumerate(parts):
        again = kept[0] if kept else embed(part)
        again.backward(gradient[number * chunk : number * chunk + len(part)])  # type: ignore[no-untyped-call]
    ranks.average_gradients(parameters)
    return loss.detach()


def everybody(rows: Tensor, total: int, ranks: Ranks) -> Tensor:
    """[total, D] the rows of all ranks, each of which has made its share, on every rank."""
    if ranks.size == 1:
        return rows
    shares = [Ranks(rank, ranks.size).share(total) for rank in range(ranks.size)]
    sizes = [share.stop - share.start for share in shares]
    filler = rows.new_zeros(sizes[0] - len(rows), *rows.shape[1:])
    whole = ranks.all_gather(torch.cat([rows, filler])).detach()
    blocks = torch.split(whole, sizes[0])
    return torch.cat([block[:size] for block, size in zip(blocks, sizes, strict=True)])
