"""The forward pass of BERT-like encoders on the CPU: few large matrix products and little between them.

Shapes: B texts of equal length, L tokens of a text, N = B * L tokens, D width, H heads, K = D / H, M width of the MLP.

A layer is four products: queries, keys and values in one [N, D] x [D, 3D], then [D, D], [D, M], [M, D]. oneDNN gets
each weight once in the layout of its kernels and adds bias, GELU and residual while a tile is in the cache. Texts of
equal length need no mask. Every token's numbers are computed from its own text alone, whatever stands beside it.

On a CPU whose oneDNN takes no bfloat16 (no AVX-512), a network in bfloat16 is computed in float32 from its rounded
weights: slower, and no less exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nightmarket.encoding.device import has_amx, onednn_bfloat16

Linear = Callable[..., Tensor]
"""(x [N, in], plus [N, out] or None) -> [N, out]: activation(x W' + b), or x W' + b + plus."""

MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "camembert")
ACTIVATIONS = {"gelu": ("gelu", "none"), "gelu_new": ("gelu", "tanh"), "gelu_pytorch_tanh": ("gelu", "tanh")}
ACTIVATIONS |= {"relu": ("relu", "")}

_TOKENS = 1024  # for which oneDNN chooses the layout of a weight; any other number is right as well
_IN_PARTS = 512  # inputs from which on AMX's kernels sum in parts, each in its own (oneDNN 3.12, measured: 480 in one)
_ROWS = 128  # of a block: as fast as more, and little to fill up for a single text
_WIDE = 75.0  # exp(75) times the longest text is still far from the greatest float32 and bfloat16


class UnsupportedError(ValueError):
    """The network is not one whose forward pass is written out here."""


@dataclass(frozen=True)
class Affine:
    """weight [out, in] and bias [out] of a linear layer, with the activation after it, by oneDNN's names."""

    weight: Tensor
    bias: Tensor
    activation: tuple[str, str] = ("none", "")


@dataclass(frozen=True)
class Norm:
    """Layer norm: scale [D], shift [D]."""

    scale: Tensor
    shift: Tensor
    epsilon: float

    @classmethod
    def of(cls, layer: nn.LayerNorm, dtype: torch.dtype) -> "Norm":
        """Copy of a layer's parameters."""
        return cls(_copied(layer.weight, dtype), _copied(layer.bias, dtype), layer.eps)

    def __call__(self, x_ND: Tensor) -> Tensor:
        """Mean 0 and variance 1 over D, then scale and shift."""
        return functional.layer_norm(x_ND, self.scale.shape, self.scale, self.shift, self.epsilon)


@dataclass
class FusedLayer:
    """A transformer layer with its norms after the sums."""

    qkv: Linear  # [N, D] -> [N, 3D]
    out: Linear  # [N, D] -> [N, D]
    up: Linear  # [N, D] -> [N, M], with the activation
    down: Linear  # [N, M] -> [N, D]
    norm_out: Norm
    norm_down: Norm

    def __call__(self, x_ND: Tensor, length: int, num_heads: int) -> Tensor:
        """States [N, D] after the layer."""
        x_ND = self.norm_out(self.out(attention(self.qkv(x_ND), length, num_heads), x_ND))
        return self.norm_down(self.down(self.up(x_ND), x_ND))


class PackedLinear:
    """A linear layer whose weight lies as oneDNN's kernels want it.

    oneDNN chooses a kernel by the number of rows, and kernels may sum over many inputs in another order: in AMX's
    bfloat16 such products are therefore made in blocks of one number of rows, and none anywhere of a single row.
    """

    def __init__(self, affine: Affine) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(affine.weight, _TOKENS)
        self.bias = affine.bias
        self.activation, self.algorithm = affine.activation
        tiles = affine.weight.dtype == torch.bfloat16 and has_amx()
        self.rows = _ROWS if tiles and affine.weight.shape[1] >= _IN_PARTS else None

    def __call__(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """See `Linear`."""
        num, rows = len(x), self.rows or max(2, len(x))
        if num == rows:
            return self._product(x, plus)
        if num < rows:
            empty = (0, 0, 0, rows - num)
            return self._product(functional.pad(x, empty), None if plus is None else functional.pad(plus, empty))[:num]
        out = x.new_empty(num, len(self.bias))
        for start in (*range(0, num - rows, rows), num - rows):  # the last block may overlap the one before
            block = slice(start, start + rows)
            out[block] = self._product(x[block], None if plus is None else plus[block])
        return out

    def _product(self, x: Tensor, plus: Tensor | None) -> Tensor:
        if plus is not None:
            return torch.ops.mkldnn._linear_pointwise.binary(x, plus, self.weight, self.bias, "add")
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], self.algorithm)


class Fused:
    """ids [B, L] -> last hidden states [B, L, D] of a BERT, RoBERTa or XLM-R, from a copy of its weights.

    linear  makes a linear layer from its layer's number, its name in `FusedLayer` and its weights

    Raises UnsupportedError for any other network.
    """

    def __init__(self, model: Any, linear: Callable[[int, str, Affine], Linear] | None = None) -> None:
        check(model)
        self.gives = model.dtype
        self.dtype = model.dtype if onednn_bfloat16() else torch.float32
        linear = linear or (lambda number, name, affine: PackedLinear(affine))
        embeddings = model.embeddings
        self.num_heads = model.config.num_attention_heads
        # RoBERTa counts places from its padding token on.
        self.pad = None if model.config.model_type == "bert" else int(embeddings.padding_idx)
        self.words = _copied(embeddings.word_embeddings.weight, self.dtype)
        places = embeddings.position_embeddings.weight + embeddings.token_type_embeddings.weight[0]
        self.places = places.detach().to(self.dtype)
        self.norm = Norm.of(embeddings.LayerNorm, self.dtype)
        activation = ACTIVATIONS[model.config.hidden_act]
        self.layers = []
        for number, layer in enumerate(model.encoder.layer):
            three = (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value)
            parts = {
                "qkv": self._affine(three),
                "out": self._affine([layer.attention.output.dense]),
                "up": self._affine([layer.intermediate.dense], activation),
                "down": self._affine([layer.output.dense]),
            }
            made = {name: linear(number, name, affine) for name, affine in parts.items()}
            norms = [Norm.of(part.LayerNorm, self.dtype) for part in (layer.attention.output, layer.output)]
            self.layers.append(FusedLayer(**made, norm_out=norms[0], norm_down=norms[1]))

    def __call__(self, ids_BL: Tensor) -> Tensor:
        """Last hidden states [B, L, D]."""
        num, length = ids_BL.shape
        x_ND = self._embedded(ids_BL).flatten(0, 1)
        for layer in self.layers:
            x_ND = layer(x_ND, length, self.num_heads)
        return x_ND.view(num, length, -1).to(self.gives)

    def _affine(self, layers: Sequence[nn.Linear], activation: tuple[str, str] = ("none", "")) -> Affine:
        """Layers of one input as one."""
        weight, bias = (torch.cat([getattr(layer, name).detach() for layer in layers]) for name in ("weight", "bias"))
        return Affine(weight.to(self.dtype), bias.to(self.dtype), activation)

    def _embedded(self, ids_BL: Tensor) -> Tensor:
        if self.pad is None:
            places = self.places[: ids_BL.shape[1]]
        else:
            real = ids_BL.ne(self.pad)
            places = self.places[real.cumsum(1) * real + self.pad]
        return self.norm(functional.embedding(ids_BL, self.words) + places)


def attention(qkv: Tensor, length: int, num_heads: int) -> Tensor:
    """Attention inside texts of equal length, [N, 3D] -> [N, D].

    A softmax over short rows costs more than both products, so numerators and denominators are computed apart: exp of
    all scores in one pass, their sums as a product with ones. A row with a score beyond exp's range gets the softmax.
    """
    num, width = qkv.shape[0] // length, qkv.shape[1] // (3 * num_heads)
    split = qkv.view(num, length, 3, num_heads, width).permute(2, 0, 3, 1, 4)
    query, key, value = split.contiguous().view(3, num * num_heads, length, width)
    scores = torch.baddbmm(qkv.new_zeros(1), query, key.transpose(1, 2), beta=0, alpha=width**-0.5)
    low, high = scores.aminmax()
    if high < _WIDE and low > -_WIDE:
        weights = scores.exp_()
    else:
        wide = scores.abs().amax(-1, keepdim=True) >= _WIDE
        weights = torch.where(wide, scores.softmax(-1), scores.exp())
    if weights.dtype == torch.float32:  # few rows times a vector have a kernel of their own, with other last bits
        total = weights.sum(-1, keepdim=True)
    else:
        total = (weights.view(-1, length) @ qkv.new_ones(length, 1)).view(-1, length, 1)
    mixed = torch.bmm(weights, value).div_(total)
    return mixed.view(num, num_heads, length, width).transpose(1, 2).reshape(num * length, num_heads * width)


def check(model: Any) -> None:
    """Raises UnsupportedError unless this module computes what the model computes."""
    config = model.config
    if getattr(config, "model_type", None) not in MODEL_TYPES:
        raise UnsupportedError(f"model type {getattr(config, 'model_type', None)}")
    if getattr(config, "position_embedding_type", "absolute") != "absolute" or getattr(config, "is_decoder", False):
        raise UnsupportedError("relative places or a decoder")
    if config.hidden_act not in ACTIVATIONS:
        raise UnsupportedError(f"activation {config.hidden_act}")
    mkldnn: Any = torch.backends.mkldnn
    if not mkldnn.is_available() or model.dtype not in (torch.float32, torch.bfloat16):
        raise UnsupportedError(f"no oneDNN for {model.dtype}")
    # Adapters put other modules in the place of linear layers.
    for layer in model.encoder.layer:
        for name, module in layer.named_modules():
            if hasattr(module, "weight") and type(module) not in (nn.Linear, nn.LayerNorm):
                raise UnsupportedError(f"{type(module).__name__} as {name}")


def _copied(parameter: Tensor, dtype: torch.dtype) -> Tensor:
    return parameter.detach().to(dtype, copy=True)
