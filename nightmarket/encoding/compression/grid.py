"""Weights on an int8 grid: whole numbers from -127 to 127 times one scale per output channel (Jacob et al., 2018).

The folder stays a float model that any library loads. Each scale has four significant bits, so that a weight has at
most eleven and float16 holds it exactly: the file is half as large, and nothing is lost but what the grid costs. Per
channel some weight is at 127, so an engine that takes scale = largest weight / 127 finds this very grid again.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from nightmarket.encoding.compression.prune import renewed
from nightmarket.encoding.encoder import Encoder

LEVELS = 127


def on_grid(encoder: Encoder) -> Encoder:
    """A copy of the encoder, in float32, whose linear layers and embeddings lie on the grid; the rest as float16."""
    network: Any = copy.deepcopy(encoder.model).float()
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(value.half().float())
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                module.weight.copy_(rounded(module.weight))
    return renewed(encoder, network)


def rounded(weight: Tensor) -> Tensor:
    """The nearest weights [out, in] on the grid of each row; a row of zeros stays as it is."""
    most = weight.abs().amax(dim=1, keepdim=True)
    scale = four_bits(most / LEVELS)
    whole = (weight / torch.where(scale > 0, scale, 1)).round().clamp(-LEVELS, LEVELS)
    whole = torch.where((weight.abs() == most) & (scale > 0), LEVELS * weight.sign(), whole)
    return whole * scale


def four_bits(scale: Tensor) -> Tensor:
    """The nearest numbers with four significant bits, none below float16's smallest step (2^-24)."""
    fraction, exponent = torch.frexp(scale)
    near = torch.ldexp((fraction * 16).round() / 16, exponent)
    return (near * 2.0**24).round() / 2.0**24
