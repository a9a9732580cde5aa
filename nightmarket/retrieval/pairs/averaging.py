"""An exponential moving average of weights: what training ends with, less the noise of its last steps."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Average:
    """Moving average of parameters: kept = decay * kept + (1 - decay) * now, after each step.

    The decay of the first steps is smaller, min(decay, (1 + n) / (10 + n)) after n steps, so that the start is soon
    forgotten.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.kept = {name: value.detach().clone() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`, from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self.parameters.items():
            self.kept[name].lerp_(value, 1 - decay)

    def weights(self) -> dict[str, NDArray]:
        """Copies of the averages."""
        return {name: value.cpu().numpy().copy() for name, value in self.kept.items()}

    def load(self, weights: Mapping[str, NDArray]) -> None:
        """Put back what `weights` gave."""
        for name, value in self.kept.items():
            value.copy_(torch.from_numpy(np.array(weights[name])))
