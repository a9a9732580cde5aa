"""Fewer layers: the same encoder without some of them, nothing trained."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s
from nightmarket.encoding import packed
from nightmarket.encoding.device import choose_dtype
from nightmarket.encoding.encoder import Encoder

_CHUNK = 256
Report = Callable[[str], None]


def num_layers(encoder: Encoder) -> int:
    """Layers of the encoder's network; InputError where they cannot be taken out one by one."""
    stack = getattr(getattr(encoder.model, "encoder", None), "layer", None)
    if not isinstance(stack, nn.ModuleList) or not len(stack):
        raise InputError("this encoder's layers cannot be taken out one by one; choose the kinds int8 and static")
    return len(stack)


def pruned(encoder: Encoder, layers: Sequence[int]) -> Encoder:
    """A copy of the encoder with these layers alone, in this order, in float32; nothing is shared.

    Raises InputError for a layer that is not there, or none at all.
    """
    have = num_layers(encoder)
    if not layers or any(not 0 <= layer < have for layer in layers):
        raise InputError(f"layers {list(layers)} of an encoder that has {have}; name some from 0 to {have - 1}")
    network = copy.deepcopy(encoder.model).float()
    network.encoder.layer = nn.ModuleList(copy.deepcopy(network.encoder.layer[layer]) for layer in layers)
    network.config.num_hidden_layers = len(layers)
    return renewed(encoder, network)


def renewed(encoder: Encoder, network: nn.Module) -> Encoder:
    """An encoder that reads texts as `encoder` does, with another network."""
    return Encoder(
        network,
        encoder.tokenizer,
        encoder.pooling,
        encoder.max_length,
        encoder.prompt,
        encoder.query_prompt,
        encoder.cut,
    )


def evenly(have: int, keep: int) -> list[int]:
    """`keep` of `have` layers, the first and the last among them, evenly spaced; the last alone where one is kept."""
    return [have - 1] if keep == 1 else np.linspace(0, have - 1, keep).round().astype(int).tolist()


def greedy(
    encoder: Encoder, ids: Sequence[Sequence[int]], vectors: Float32s, keep: int, tell: Report | None = None
) -> list[int]:
    """Which `keep` layers to keep: one after another, the layer goes whose loss costs the least mean cosine.

    ids      token ids [N] of some texts;  vectors  [N, D] what the whole encoder gives for them, of unit length
    tell     is given a line per layer that goes

    Of a network with L layers, (L + keep + 1)(L - keep) / 2 smaller networks encode the N texts.
    """
    left = list(range(num_layers(encoder)))
    if not 0 < keep <= len(left):
        raise InputError(f"{keep} layers of an encoder that has {len(left)}; choose 1 to {len(left)}")
    stack = encoder.model.encoder.layer
    try:
        while len(left) > keep:
            scores = []
            for layer in left:
                encoder.model.encoder.layer = nn.ModuleList(stack[i] for i in left if i != layer)
                scores.append(float((vectors_of(encoder, ids) * vectors).sum(axis=1).mean()))
            best = int(np.argmax(scores))
            if tell is not None:
                tell(f"without layer {left[best] + 1}: {len(left) - 1} layers, mean cosine {scores[best]:.4f}")
            del left[best]
    finally:
        encoder.model.encoder.layer = stack
    return left


def vectors_of(encoder: Encoder, ids: Sequence[Sequence[int]]) -> Float32s:
    """Unit vectors [N, D] of token ids, similar lengths together, in the device's fast precision."""
    order = np.argsort([len(row) for row in ids], kind="stable")
    vectors = np.zeros((len(ids), encoder.dim), dtype=np.float32)
    dtype = choose_dtype("auto", encoder.device)
    with torch.inference_mode(), torch.autocast(encoder.device.type, dtype, dtype != torch.float32):
        for start in range(0, len(order), _CHUNK):
            rows = order[start : start + _CHUNK]
            vectors[rows] = cut_to(packed.embed(encoder, [ids[row] for row in rows]), encoder.dim).cpu().numpy()
    return vectors


def cut_to(vectors: torch.Tensor, dim: int) -> torch.Tensor:
    """The first `dim` numbers of unit vectors, of unit length again."""
    return vectors if vectors.shape[1] == dim else torch.nn.functional.normalize(vectors[:, :dim], dim=-1)
