"""int8 products for the fused forward pass: unsigned 8-bit inputs, signed 8-bit weights, 32-bit sums.

Shapes: N tokens, I inputs and O outputs of a linear layer.

Scales are fixed once per model, from token sequences drawn at random from its vocabulary: scales taken from a batch
would make a text's vector depend on the texts beside it, and cost a pass over every input. Inputs have a scale per
channel that shares the range out between inputs and weights (SmoothQuant: Xiao et al., 2023, with alpha .75), weights
one per output. Embedding, layer norms, residuals and softmax stay in floating point.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nightmarket.encoding.fused import Affine, Fused, Linear, PackedLinear

_SEQUENCES, _LENGTHS, _SEED = 32, (8, 16, 32), 20260101
_TOKENS = 1024
_SMOOTHING = 0.75


@dataclass
class Seen:
    """A linear layer that remembers the range of each of its inputs."""

    affine: Affine
    inner: Linear
    low: Tensor = field(init=False)  # [I]
    high: Tensor = field(init=False)  # [I]

    def __post_init__(self) -> None:
        self.low = self.affine.weight.new_zeros(self.affine.weight.shape[1], dtype=torch.float32)
        self.high = self.low.clone()

    def __call__(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """The layer's own output."""
        low, high = x.float().aminmax(dim=0)
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        return self.inner(x, plus)


class QuantisedLinear:
    """A linear layer with 8-bit inputs and weights.

    seen     the layer with the ranges of its inputs
    gives    dtype of the output; None: 8-bit inputs of `follower`
    takes_8  whether the inputs come as 8-bit numbers already
    """

    def __init__(self, seen: Seen, dtype: torch.dtype, takes_8: bool = False, follower: Seen | None = None) -> None:
        weight = seen.affine.weight.float()
        if takes_8:
            self.step, self.zero = _grid(seen)
            self.scale = None
        else:
            reach = torch.maximum(-seen.low, seen.high).clamp(min=1e-6)
            smooth = (reach**_SMOOTHING / weight.abs().amax(0).clamp(min=1e-6) ** (1 - _SMOOTHING)).clamp(min=1e-6)
            self.step, self.zero = float((reach / smooth).max()) / 127, 128
            self.scale = (1 / (smooth * self.step)).to(seen.affine.weight.dtype)
            self.offset = torch.full_like(self.scale, self.zero)
            weight = weight / (self.scale.float() * self.step)
        self.weight_step = weight.abs().amax(1).clamp(min=1e-12) / 127
        rounded = (weight / self.weight_step[:, None]).round().to(torch.int8)
        self.weight = torch.ops.onednn.qlinear_prepack(rounded, [_TOKENS, weight.shape[1]])
        self.weight_zero = torch.zeros(len(weight), dtype=torch.int64)
        self.bias = seen.affine.bias.float()
        self.activation, self.algorithm = seen.affine.activation
        self.gives: tuple[float, int, torch.dtype] = (1.0, 0, dtype)
        if follower is not None:
            self.gives = (*_grid(follower), torch.uint8)

    def __call__(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """See `fused.Linear`; x is floating point, or 8-bit where the layer takes that."""
        if self.scale is not None:
            x = torch.addcmul(self.offset, x, self.scale).round_().clamp_(0, 255).to(torch.uint8)
        start = (x, self.step, self.zero, self.weight, self.weight_step, self.weight_zero)
        if plus is not None:
            after: tuple[Any, ...] = (1.0, 0, plus.dtype, 1.0, 0, "add", 1.0, "none", [], "")
            return torch.ops.onednn.qlinear_pointwise.binary(*start, plus, self.bias, *after)
        after = (*self.gives, self.activation, [], self.algorithm)
        return torch.ops.onednn.qlinear_pointwise(*start, self.bias, *after)


def quantised(model: Any) -> Fused:
    """The fused forward pass of a network, its products in int8.

    Raises UnsupportedError as `Fused` does.
    """
    layers: dict[tuple[int, str], Seen] = {}

    def watched(number: int, name: str, affine: Affine) -> Linear:
        layers[number, name] = Seen(affine, PackedLinear(affine))
        return layers[number, name]

    watching = Fused(model, watched)
    for ids in _drawn(model):
        watching(ids)

    def small(number: int, name: str, affine: Affine) -> Linear:
        follower = layers[number, "down"] if name == "up" else None
        return QuantisedLinear(layers[number, name], watching.dtype, name == "down", follower)

    return Fused(model, small)


def _drawn(model: Any) -> list[Tensor]:
    draw = torch.Generator().manual_seed(_SEED)
    most = model.config.max_position_embeddings // 2
    sizes = [(_SEQUENCES, min(length, most)) for length in _LENGTHS]
    return [torch.randint(model.config.vocab_size, size, generator=draw) for size in sizes]


def _grid(seen: Seen) -> tuple[float, int]:
    """Step and zero of an 8-bit grid over all values that a layer takes."""
    low, high = float(seen.low.min()), max(float(seen.high.max()), 1e-6)
    step = (high - low) / 255
    return step, round(-low / step)
