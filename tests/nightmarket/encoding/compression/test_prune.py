"""Fewer layers: which ones go, and that the rest is the encoder that it was."""

import itertools

import numpy as np
import pytest
import torch

from nightmarket.contracts import InputError
from nightmarket.encoding.compression import prune


def test_an_encoder_with_all_its_layers_is_the_encoder_itself(teacher, texts, vectors):
    same = prune.pruned(teacher, [0, 1, 2])
    assert np.allclose(same.encode(texts), vectors, atol=1e-6)


def test_the_layers_that_stay_run_in_the_order_given(teacher, texts):
    vector = prune.pruned(teacher, [2, 0]).encode(texts[:1])[0]
    network = teacher.model
    ids = torch.tensor([teacher.tokenize(texts[:1])[0]])
    with torch.no_grad():
        states = network.embeddings(input_ids=ids)
        for layer in (2, 0):
            out = network.encoder.layer[layer](states)
            states = out[0] if isinstance(out, tuple) else out
        mean = states.mean(dim=1)[0].numpy()
    assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_greedy_keeps_the_best_subset_of_one_layer_less_and_leaves_the_encoder_alone(teacher, texts, vectors):
    ids = teacher.tokenize(texts)
    lines = []
    kept = prune.greedy(teacher, ids, vectors, 2, lines.append)
    scores = {
        pair: (prune.pruned(teacher, pair).encode(texts) * vectors).sum(axis=1).mean()
        for pair in itertools.combinations(range(3), 2)
    }
    assert tuple(kept) == max(scores, key=scores.get)
    assert len(lines) == 1
    assert len(teacher.model.encoder.layer) == 3
    assert np.allclose(teacher.encode(texts), vectors, atol=1e-6)


def test_evenly_spaced_layers_hold_the_first_and_the_last():
    assert prune.evenly(6, 3) == [0, 2, 5]
    assert prune.evenly(12, 12) == list(range(12))
    assert prune.evenly(6, 1) == [5]


@pytest.mark.parametrize("layers", [[], [3], [-1]])
def test_layers_that_are_not_there_are_named(teacher, layers):
    with pytest.raises(InputError, match="an encoder that has 3"):
        prune.pruned(teacher, layers)
    with pytest.raises(InputError, match="has 3; choose 1 to 3"):
        prune.greedy(teacher, [[1]], np.ones((1, 32), np.float32), 4)
