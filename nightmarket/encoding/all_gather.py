"""Rows of all ranks with a gradient: what a contrastive loss over everybody's candidates needs."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _AllGather(torch.autograd.Function):
    """Forward: every rank's rows. Backward: the sum of all ranks' gradients, cut to the own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, rank: int, size: int) -> Tensor:
        ctx.own = slice(rank * len(rows), (rank + 1) * len(rows))
        whole = rows.new_empty((size * len(rows), *rows.shape[1:]))
        dist.all_gather(list(whole.chunk(size)), rows.contiguous())
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.own], None, None


def all_gather(rows: Tensor, rank: int, size: int) -> Tensor:
    """[R * N, D] of each rank's rows [N, D]; see `Ranks.all_gather`."""
    return _AllGather.apply(rows, rank, size)  # type: ignore[no-untyped-call]
