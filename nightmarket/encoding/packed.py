"""Texts become unit vectors that can be trained through: the encoder forward and backward, without padding.

Shapes: N texts, T tokens of all texts together, t tokens and n texts of a part of them, L tokens of a text, D width,
H heads, d = D / H.
The texts stand behind one another, long ones first, so that linear layers, norms and activations run on [T, D] and
compute nothing for nothing; attention runs per group of texts of equal length.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nightmarket.encoding.encoder import Encoder, pool

_OFFSET_PLACES = ("roberta", "xlm-roberta", "camembert")
_BERT = ("bert", "electra", *_OFFSET_PLACES)
"""Model types with the layers of BERT: norm after each block, learned absolute positions, full attention."""

_SHORT = 128
"""Longest text, in tokens, whose attention keeps its [L, L] shares for the backward pass on a CPU."""


class LengthGroup(NamedTuple):
    """Texts of equal length that stand behind one another: how many, their length, where their tokens start and end."""

    texts: int
    length: int
    start: int
    end: int


def embed(encoder: Encoder, ids: Sequence[Sequence[int]]) -> Tensor:
    """Unit vectors float32 [N, D] in the order of `ids`, differentiable in the parameters of `encoder.model`.

    ids  token ids of each text as `encoder.tokenize` gives them

    Any model; those of the BERT family (BERT, RoBERTa, XLM-R, ELECTRA; with LoRA adapters too) run without padding.
    Under `torch.autocast` matrix products, norms and activations run in its dtype, else in that of the weights.
    There is no dropout: the layers here have none, and an `Encoder` holds its model in evaluation mode.
    """
    if not len(ids):
        return torch.zeros(0, encoder.dim, device=encoder.device)
    order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
    ordered = [ids[row] for row in order]
    network = bert_of(encoder.model)
    if network is None:
        vectors = _padded(encoder, ordered)
    else:
        hidden = token_states(network, ordered)
        parts = [hidden[g.start : g.end].view(g.texts, g.length, -1) for g in groups_of(ordered)]
        vectors = torch.cat([pool(part, encoder.pooling, cut=encoder.cut) for part in parts])
    back = torch.tensor(order, device=vectors.device).argsort()
    return vectors[back]


def bert_of(model: Any) -> Any | None:
    """The BERT-like network in `model`, adapters included; None where it is another, or has learned prompts."""
    adapter = getattr(model, "active_peft_config", None)
    network = model if adapter is None else model.get_base_model()
    config = network.config
    known = config.model_type in _BERT and not config.is_decoder and hasattr(network, "embeddings")
    return network if known and not getattr(adapter, "is_prompt_learning", False) else None


def groups_of(ids: Sequence[Sequence[int]]) -> list[LengthGroup]:
    """Runs of texts of equal length."""
    groups, start = [], 0
    for length, run in itertools.groupby(len(row) for row in ids):
        texts = len(list(run))
        groups.append(LengthGroup(texts, length, start, start + texts * length))
        start += texts * length
    return groups


def token_states(network: Any, ids: Sequence[Sequence[int]]) -> Tensor:
    """Last hidden states [T, D] of a network that `bert_of` gave; the texts' tokens stand behind one another.

    ids  sorted by length, for speed: texts of equal length that stand together go through attention together
    """
    device = network.embeddings.word_embeddings.weight.device
    groups = groups_of(ids)
    tokens = torch.tensor([[token for row in ids for token in row]], device=device)
    places = torch.cat([torch.arange(g.length, device=device).repeat(g.texts) for g in groups])
    if network.config.model_type in _OFFSET_PLACES:
        places = places + network.config.pad_token_id + 1
    states = network.embeddings(input_ids=tokens, position_ids=places[None])[0]
    if hasattr(network, "embeddings_project"):
        states = network.embeddings_project(states)
    if torch.is_autocast_enabled(device.type):
        states = states.to(torch.get_autocast_dtype(device.type))
    for layer in network.encoder.layer:
        states = _layer(layer, states, groups)
    return states


def _layer(layer: Any, states: Tensor, groups: list[LengthGroup]) -> Tensor:
    own, mixing, narrowing = layer.attention.self, layer.attention.output, layer.output
    mixed = _attention(_projected(own, states), own.num_attention_heads, groups)
    states = mixing.LayerNorm(_linear(mixing.dense, mixed) + states)
    wide = layer.intermediate.intermediate_act_fn(_linear(layer.intermediate.dense, states))
    return narrowing.LayerNorm(_linear(narrowing.dense, wide) + states)


def _linear(layer: Any, states: Tensor) -> Tensor:
    """What `layer` gives; an adapter's layer does as it likes."""
    if type(layer) is not nn.Linear:
        return layer(states)
    return functional.linear(states, layer.weight.to(states.dtype), layer.bias.to(states.dtype))


def _projected(attention: Any, states: Tensor) -> Tensor:
    """Queries, keys and values [T, 3 D]: one matrix product where the layers are plain."""
    layers = (attention.query, attention.key, attention.value)
    if any(type(layer) is not nn.Linear for layer in layers):
        return torch.cat([_linear(layer, states) for layer in layers], dim=-1)
    weight, bias = torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    return functional.linear(states, weight.to(states.dtype), bias.to(states.dtype))


def _attention(qkv: Tensor, num_heads: int, groups: list[LengthGroup]) -> Tensor:
    """Softmax(Q K' / sqrt(d)) V within each text, [T, D] from [T, 3 D]."""

    def kind(group: LengthGroup) -> int:
        plain = qkv.device.type == "cpu" and group.length <= _SHORT
        return 0 if plain else group.length.bit_length()  # so that padding less than doubles a part

    parts = []
    for bits, run in itertools.groupby(groups, kind):
        part = list(run)
        rows = qkv[part[0].start : part[-1].end]
        if bits:
            parts.append(_padded_attention(rows, num_heads, part))
        else:
            moved = [g._replace(start=g.start - part[0].start, end=g.end - part[0].start) for g in part]
            with torch.autocast("cpu", enabled=False):
                parts.append(_Attention.apply(rows, num_heads, moved))  # type: ignore[no-untyped-call]
    return torch.cat(parts)


def _padded_attention(qkv: Tensor, num_heads: int, groups: list[LengthGroup]) -> Tensor:
    """[t, D] from [t, 3 D] by torch's fused kernels, padded to the longest text."""
    lengths = torch.tensor([g.length for g in groups for _ in range(g.texts)], device=qkv.device)
    longest = max(g.length for g in groups)
    mask = torch.arange(longest, device=qkv.device) < lengths[:, None]
    filled = mask.flatten().nonzero()[:, 0]
    padded = qkv.new_zeros(mask.numel(), qkv.shape[1]).index_copy(0, filled, qkv)
    query, key, value = padded.view(len(mask), longest, 3, num_heads, -1).permute(2, 0, 3, 1, 4)
    wanted = None if len(groups) == 1 else mask[:, None, None, :]
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=wanted)
    return mixed.transpose(1, 2).reshape(mask.numel(), -1)[filled]


class _Attention(torch.autograd.Function):
    """Attention on a CPU by plain matrix products per group, [t, D] from [t, 3 D].

    In float32 inside: batched products of matrices this small, and a softmax over rows this short, are faster so than
    in bfloat16, and torch's fused kernel takes twice as long in the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, num_heads: int, groups: list[LengthGroup]) -> Tensor:
        mixed = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
        scale = (mixed.shape[1] // num_heads) ** -0.5
        kept = []
        for g in groups:
            x = _by_head(qkv[g.start : g.end], g, 3, num_heads)
            scores = torch.baddbmm(x.new_empty(()), x[0], x[1].transpose(1, 2), beta=0, alpha=scale)
            share = torch.softmax(scores, dim=-1)
            _by_token(share @ x[2], mixed[g.start : g.end], g, 1, num_heads)
            kept += [x, share]
        ctx.save_for_backward(*kept)
        ctx.groups, ctx.num_heads, ctx.scale = groups, num_heads, scale
        return mixed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grads
        grad_qkv = grad.new_empty(len(grad), grad.shape[1] * 3)
        saved = iter(ctx.saved_tensors)
        for g, x, share in zip(ctx.groups, saved, saved, strict=True):
            y = _by_head(grad[g.start : g.end], g, 1, ctx.num_heads)[0]
            grad_scores = torch._softmax_backward_data(y @ x[2].transpose(1, 2), share, -1, share.dtype)
            grads_x = torch.empty_like(x)
            torch.baddbmm(grads_x[0], grad_scores, x[1], beta=0, alpha=ctx.scale, out=grads_x[0])
            torch.baddbmm(grads_x[1], grad_scores.transpose(1, 2), x[0], beta=0, alpha=ctx.scale, out=grads_x[1])
            torch.bmm(share.transpose(1, 2), y, out=grads_x[2])
            _by_token(grads_x, grad_qkv[g.start : g.end], g, 3, ctx.num_heads)
        return grad_qkv, None, None


def _by_head(rows: Tensor, group: LengthGroup, num: int, num_heads: int) -> Tensor:
    """Float32 [num, n H, L, d] from [n L, num D]."""
    x = rows.view(group.texts, group.length, num, num_heads, -1).permute(2, 0, 3, 1, 4)
    copy = torch.empty(x.shape, dtype=torch.float32).copy_(x)
    return copy.view(num, group.texts * num_heads, group.length, -1)


def _by_token(x: Tensor, rows: Tensor, group: LengthGroup, num: int, num_heads: int) -> None:
    """Write [num, n H, L, d] into rows [n L, num D]."""
    by_head = x.view(num, group.texts, num_heads, group.length, -1).permute(1, 3, 0, 2, 4)
    rows.view(by_head.shape).copy_(by_head)


def _padded(encoder: Encoder, ids: Sequence[Sequence[int]]) -> Tensor:
    """Vectors [N, D] by the model's own forward."""
    longest = max(len(row) for row in ids)
    filler = encoder.tokenizer.pad_token_id or 0
    tokens = torch.tensor([[*row, *[filler] * (longest - len(row))] for row in ids], device=encoder.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids], device=encoder.device)
    hidden = encoder.model(input_ids=tokens, attention_mask=mask).last_hidden_state
    return pool(hidden, encoder.pooling, mask, encoder.cut)
