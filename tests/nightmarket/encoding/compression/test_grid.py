"""The int8 grid: exact in float16, found again by an engine that scales by the largest weight, and near the teacher."""

import numpy as np
import torch

from nightmarket.encoding.compression import grid


def test_weights_are_whole_numbers_times_a_scale_that_float16_holds_exactly():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(50, 64, generator=generator) * torch.logspace(-3, 1, 50)[:, None]
    rounded = grid.rounded(weight)
    assert torch.equal(rounded.half().float(), rounded)
    scale = rounded.abs().amax(dim=1, keepdim=True) / 127  # what an int8 engine takes
    whole = rounded / scale
    assert torch.allclose(whole, whole.round(), atol=1e-3)
    assert whole.abs().max() <= 127.001


def test_no_weight_but_the_largest_moves_by_more_than_half_a_step_and_the_largest_by_a_sixteenth():
    weight = torch.linspace(-1, 0.9, 400).reshape(4, 100)
    rounded = grid.rounded(weight)
    most = weight.abs().amax(dim=1, keepdim=True)
    step = rounded.abs().amax(dim=1, keepdim=True) / 127
    moved = (rounded - weight).abs()
    inside = weight.abs() < 127 * step
    assert (moved <= 0.501 * step)[inside & (weight.abs() < most)].all()
    assert (moved <= most / 16).all()


def test_a_row_of_zeros_stays():
    assert torch.equal(grid.rounded(torch.zeros(2, 8)), torch.zeros(2, 8))


def test_four_significant_bits():
    assert grid.four_bits(torch.tensor([1.0, 1.04, 1.1, 0.30])).tolist() == [1.0, 1.0, 1.125, 0.3125]


def test_the_encoder_on_the_grid_gives_nearly_the_teachers_vectors(teacher, texts, vectors):
    before = teacher.model.encoder.layer[0].output.dense.weight.clone()
    student = grid.on_grid(teacher)
    assert (student.encode(texts) * vectors).sum(axis=1).min() > 0.999
    assert torch.equal(teacher.model.encoder.layer[0].output.dense.weight, before)
    for value in student.model.parameters():
        assert torch.equal(value.half().float(), value)
    assert np.unique(np.round(student.model.encoder.layer[0].output.dense.weight[0].detach().numpy(), 7)).size <= 255
