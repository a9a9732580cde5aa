import numpy as np
import pytest
import torch

from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.fused import Affine, Fused, PackedLinear
from nightmarket.encoding.models import PACKAGED
from nightmarket.encoding.quantised import QuantisedLinear, Seen, quantised

TEXTS = ["whole milk", "rye bread of the dark chocolate", "green tea", "lactose free milk for toddlers", "batteries"]


def draw(*size, seed=5):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def seen(weight, bias, inputs):
    layer = Seen(Affine(weight, bias), PackedLinear(Affine(weight, bias)))
    layer(inputs)
    return layer


def test_a_linear_layer_errs_by_about_a_percent_even_with_one_input_far_above_the_others():
    weight, bias, inputs = draw(24, 48), draw(24, seed=6), draw(200, 48, seed=7)
    inputs[:, 3] *= 60
    exact = inputs @ weight.T + bias
    products = QuantisedLinear(seen(weight, bias, inputs), torch.float32)(inputs)
    assert ((products - exact).norm() / exact.norm()).item() < 0.02
    more = draw(200, 24, seed=8)
    added = QuantisedLinear(seen(weight, bias, inputs), torch.float32)(inputs, more)
    assert torch.allclose(added, products + more, atol=1e-4)


def test_inputs_beyond_the_range_once_seen_are_held_at_its_edge():
    weight, bias, inputs = torch.eye(8), torch.zeros(8), draw(100, 8)
    layer = QuantisedLinear(seen(weight, bias, inputs), torch.float32)
    most = inputs.amax(0)
    assert (layer(inputs * 100).amax(0) <= inputs.abs().amax() * 1.05).all()
    assert torch.isfinite(layer(inputs * 1e6)).all()
    assert (layer(inputs).amax(0) - most).abs().max() < 0.05


def test_vectors_of_the_packaged_model_keep_a_mean_cosine_of_99_percent():
    exact = Encoder.load(PACKAGED, "float32").encode(TEXTS)
    vectors = Encoder.load(PACKAGED, "int8").encode(TEXTS)
    cosine = (exact * vectors).sum(axis=1)
    assert cosine.mean() >= 0.99
    assert not np.array_equal(exact, vectors), "the products were not in int8"


def test_the_same_weights_give_the_same_bits_and_a_text_has_them_in_any_company(tiny_bert):
    texts = ["whole milk", "rye bread", "green tea", "dark chocolate of the milk", "milk"]
    together = Encoder.load(str(tiny_bert), "int8").encode(texts)
    again = Encoder.load(str(tiny_bert), "int8")
    assert np.array_equal(np.concatenate([again.encode([text]) for text in texts]), together)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tiny_random_network_keeps_its_direction(tiny_bert, dtype):
    model = Encoder.load(str(tiny_bert), "float32").model.to(dtype)
    ids = torch.randint(5, 15, (20, 6), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        exact, rough = Fused(model)(ids).float().mean(1), quantised(model)(ids).float().mean(1)
    assert torch.cosine_similarity(exact, rough).mean() > 0.99
