"""The fastest equivalent forward pass of a network: chosen by trial, made anew when its weights change."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nightmarket.encoding.fused import Fused, UnsupportedError
from nightmarket.encoding.quantised import quantised

Forward = Callable[[Tensor], Tensor]
"""ids [B, L] without padding -> last hidden states [B, L, D]."""

_ALIKE = {False: 0.999, True: 0.95}  # least cosine to the network itself, of floating point and of int8
_PROBE = ((3, 5), (4, 12))  # texts and tokens of the batches on which it is measured

log = logging.getLogger(__name__)


class Quickest:
    """Keeps the forward pass of a network for as long as its weights stay as they are.

    int8  products in int8, where the network and the device allow it
    """

    def __init__(self, int8: bool = False) -> None:
        self.int8 = int8
        self._made_of: object = None
        self._forward: Forward | None = None

    def of(self, model: Any) -> Forward:
        """The forward pass of the network as it is now."""
        if model.training:  # its dropout is wanted
            return plain(model)
        made_of = _state(model)
        if self._forward is None or made_of != self._made_of:
            self._forward, self._made_of = quickest(model, self.int8), made_of
        return self._forward


def plain(model: Any) -> Forward:
    """The forward pass as Hugging Face wrote it."""
    return lambda ids_BL: model(input_ids=ids_BL).last_hidden_state


@torch.no_grad()
def quickest(model: Any, int8: bool) -> Forward:
    """Fused on the CPU, compiled on CUDA, each only if it agrees with the plain one on a probe; else the plain one."""
    usual = plain(model)
    try:
        if model.device.type == "cpu":
            fast: Forward = quantised(model) if int8 else Fused(model)
        else:
            fast = plain(torch.compile(model, dynamic=True))
        least = _least_cosine(fast, usual, model)
        if least > _ALIKE[int8]:
            return fast
        reason = f"its vectors have a cosine of {least:.3f} only"
    except (UnsupportedError, RuntimeError, AttributeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
    log.info("encoder: the plain forward pass of transformers is used (%s)", reason)
    return usual


def _least_cosine(fast: Forward, usual: Forward, model: Any) -> float:
    """Between the two forward passes, over mean vectors of random tokens."""
    draw = torch.Generator().manual_seed(0)
    cosines = []
    for size in _PROBE:
        ids = torch.randint(model.config.vocab_size, size, generator=draw).to(model.device)
        ours, theirs = (forward(ids).float().mean(dim=1) for forward in (fast, usual))
        cosines.append(functional.cosine_similarity(ours, theirs).min())
    return float(torch.stack(cosines).min())


def _state(model: Any) -> object:
    """Equal as long as no weight was changed, in place or by another tensor.

    Writing through `.data` leaves no version behind, so that one value of each weight is compared as well.
    """
    weights = list(model.parameters())
    values = [weight.detach().reshape(-1)[-1:].float() for weight in weights]
    return [(weight.data_ptr(), weight._version) for weight in weights], torch.cat(values or [torch.empty(0)]).tolist()
