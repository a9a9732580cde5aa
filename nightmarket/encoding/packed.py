"""Texts become unit vectors that can be trained through: the encoder forward and backward, without padding.

Shapes: N texts, T tokens of all texts together, D width, H heads, d = D / H.
The texts stand behind one another, sorted by length, so that linear layers, norms and activations run on [T, D] and
compute nothing for nothing; attention runs per group of texts of equal length.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nightmarket.encoding.encoder import Encoder, pool

_BERT = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
"""Model types whose layers are those of BERT: post-norm, learned absolute positions, full attention."""

Groups = list[tuple[int, int, int, int]]
"""Of each run of texts of equal length: first text, end, first token, length in tokens."""


def embed(encoder: Encoder, ids: Sequence[Sequence[int]]) -> Tensor:
    """Unit vectors float32 [N, D] in the order of `ids`, differentiable in the parameters of `encoder.model`.

    ids  token ids of each text as `encoder.tokenize` gives them, at least one token each

    Under `torch.autocast` matrix products run in its dtype. There is no dropout in the packed path (BERT, RoBERTa,
    XLM-R, ELECTRA and their LoRA adapters); any other model runs padded through its own forward, in the mode it is in.
    """
    if not len(ids):
        return torch.zeros(0, encoder.dim, device=encoder.device)
    order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
    sorted_ids = [ids[row] for row in order]
    network = bert_of(encoder.model)
    vectors = _padded(encoder, sorted_ids) if network is None else _packed(encoder, network, sorted_ids)
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return vectors[torch.from_numpy(back).to(vectors.device)]


def bert_of(model: Any) -> Any | None:
    """The BERT-like network in `model`, adapters included; None where it is another, or its input is adapted."""
    adapter = getattr(model, "active_peft_config", None)
    network = model.get_base_model() if adapter is not None else model
    config = network.config
    plain = config.model_type in _BERT and not config.is_decoder and hasattr(network, "embeddings")
    return network if plain and not getattr(adapter, "is_prompt_learning", False) else None


def groups_of(lengths: Sequence[int]) -> Groups:
    """Runs of equal lengths."""
    groups, token = [], 0
    edges = [0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(lengths)]
    for first, end in itertools.pairwise(edges):
        groups.append((first, end, token, lengths[first]))
        token += (end - first) * lengths[first]
    return groups


def _packed(encoder: Encoder, network: Any, ids: Sequence[Sequence[int]]) -> Tensor:
    lengths = [len(row) for row in ids]
    groups = groups_of(lengths)
    tokens = torch.tensor([[token for row in ids for token in row]], device=encoder.device)
    places = torch.tensor([[place for length in lengths for place in range(length)]], device=encoder.device)
    if network.config.model_type in ("roberta", "xlm-roberta", "camembert"):
        places += network.config.pad_token_id + 1
    states = network.embeddings(input_ids=tokens, position_ids=places)[0]
    if hasattr(network, "embeddings_project"):
        states = network.embeddings_project(states)
    for layer in network.encoder.layer:
        own = layer.attention.self
        mixed = _attention(own.query(states), own.key(states), own.value(states), own.num_attention_heads, groups)
        states = layer.attention.output(mixed, states)
        states = layer.output(layer.intermediate(states), states)
    parts = [
        pool(states[token : token + (end - first) * length].view(end - first, length, -1), encoder.pooling)
        for first, end, token, length in groups
    ]
    return torch.cat(parts)


def _attention(query: Tensor, key: Tensor, value: Tensor, num_heads: int, groups: Groups) -> Tensor:
    """Softmax(query key' / sqrt(d)) value, each [T, D], within each text."""
    parts = []
    for first, end, token, length in groups:
        q, k, v = (
            x[token : token + (end - first) * length].view(end - first, length, num_heads, -1).transpose(1, 2)
            for x in (query, key, value)
        )
        share = torch.softmax(q @ k.transpose(2, 3) * q.shape[-1] ** -0.5, dim=-1)
        parts.append((share.to(v.dtype) @ v).transpose(1, 2).reshape(-1, value.shape[1]))
    return torch.cat(parts)


def _padded(encoder: Encoder, ids: Sequence[Sequence[int]]) -> Tensor:
    longest = max(len(row) for row in ids)
    filler = encoder.tokenizer.pad_token_id or 0
    tokens = torch.tensor([[*row, *[filler] * (longest - len(row))] for row in ids], device=encoder.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids], device=encoder.device)
    hidden = encoder.model(input_ids=tokens, attention_mask=mask).last_hidden_state
    return pool(hidden, encoder.pooling, mask)
