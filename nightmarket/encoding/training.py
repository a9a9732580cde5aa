"""What every training here shares: the learning rate's course, an optimiser's state as arrays, rows of all ranks."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

PREFIX = "optimizer."


def rate(step: int, total: int, warm: int) -> float:
    """Share of the base learning rate at a step (from 0): linear warm-up, then a cosine to zero at `total`."""
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))


def state_of(optimizer: torch.optim.Optimizer) -> dict[str, NDArray]:
    """Everything that the optimiser's next step depends on, by name."""
    return {
        f"{PREFIX}{number}.{name}": value.detach().cpu().numpy().copy()
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore(optimizer: torch.optim.Optimizer, tensors: Mapping[str, NDArray]) -> None:
    """Put back what `state_of` gave; other tensors are passed over."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(PREFIX):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = torch.from_numpy(np.array(value))
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


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
