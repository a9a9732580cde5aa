"""What every training here shares: the course of the learning rate, and an optimiser's state as arrays."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

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
