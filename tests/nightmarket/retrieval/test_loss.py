import math

import numpy as np
import pytest
import torch

from nightmarket.retrieval.loss import contrastive_loss
from nightmarket.retrieval.samples import log_inclusion


def loss_with(**changed):
    arguments = {
        "customers_BE": torch.tensor([[1.0, 0.0]]),
        "items_SE": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        "log_q_S": torch.tensor([0.0, math.log(0.25)]),
        "temperature": torch.tensor(0.5),
        "row_P": torch.tensor([0]),
        "column_P": torch.tensor([0]),
        "weight_P": torch.tensor([3.0]),
    }
    return float(contrastive_loss(**(arguments | changed)))


def test_a_negative_counts_as_often_as_it_stands_for_others():
    # logits 2 and 0; the second was in the sample with probability 1/4, so it stands for four:
    # log(e^2 / 1 + e^0 / (1/4)) - 2
    assert loss_with() == pytest.approx(math.log(math.exp(2) + 4) - 2, abs=1e-6)


def test_without_correction_it_is_cross_entropy():
    assert loss_with(log_q_S=torch.zeros(2)) == pytest.approx(math.log(1 + math.exp(-2)), abs=1e-6)


def test_a_text_of_three_products_competes_three_times():
    offset = torch.log(torch.tensor([[1.0, 3.0]]))
    assert loss_with(log_q_S=torch.zeros(2), offset_BS=offset) == pytest.approx(math.log(math.exp(2) + 3) - 2, abs=1e-6)


def test_positives_count_by_their_weight():
    many = loss_with(row_P=torch.tensor([0, 0]), column_P=torch.tensor([0, 1]), weight_P=torch.tensor([3.0, 1.0]))
    first, second = loss_with(), loss_with(column_P=torch.tensor([1]))
    assert many == pytest.approx((3 * first + second) / 4, abs=1e-6)


def test_inclusion_is_one_minus_the_chance_to_be_missed_by_every_draw():
    # two draws by popularity (share 1/2) and an even draw that takes one in five: 1 - 4/5 * 1/4 = 4/5
    assert np.exp(log_inclusion(np.array([0.5, 0.0]), 2, 0.2)) == pytest.approx([0.8, 0.2], abs=1e-6)


def test_the_corrected_sum_over_samples_is_the_sum_over_the_catalogue():
    rng = np.random.default_rng(0)
    logits, share = rng.normal(size=30), rng.dirichlet(np.ones(30))
    totals = []
    for _ in range(20_000):
        chosen = np.union1d(rng.choice(30, 6, p=share), rng.choice(30, 5, replace=False))
        totals.append(np.exp(logits[chosen] - log_inclusion(share[chosen], 6, 5 / 30)).sum())
    assert np.mean(totals) == pytest.approx(np.exp(logits).sum(), rel=0.01)
