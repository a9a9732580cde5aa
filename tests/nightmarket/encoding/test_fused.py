import pytest
import torch

from nightmarket.encoding import fused
from nightmarket.encoding.fused import Fused, UnsupportedError, attention


@pytest.fixture(autouse=True)
def one_thread():
    """As each batch runs in use."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(kind="bert", seed=3, **settings):
    from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

    makers = {"bert": (BertConfig, BertModel), "roberta": (RobertaConfig, RobertaModel)}
    config, model = makers[kind]
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 80}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = model(config(vocab_size=60, max_position_embeddings=40, **sizes | settings)).eval()
        for parameter in made.parameters():  # biases and norms begin as 0 and 1, which would hide an error
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    return made


def ids(num, length, low=3):
    return torch.randint(low, 60, (num, length), generator=torch.Generator().manual_seed(num * length))


@torch.no_grad()
def worst(model, batch):
    theirs = model(input_ids=batch).last_hidden_state
    return (Fused(model)(batch) - theirs).abs().max().item()


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_hidden_states_are_those_of_transformers(activation):
    for size in ((5, 7), (1, 1), (2, 31)):
        assert worst(network(hidden_act=activation), ids(*size)) < 2e-5


def test_roberta_counts_its_places_behind_the_padding_token_and_skips_it():
    model = network("roberta")
    assert worst(model, ids(4, 9)) < 2e-5
    with_padding = ids(4, 9)
    with_padding[1, 6:] = model.config.pad_token_id
    assert worst(model, with_padding) < 2e-5


def test_bfloat16_stays_near_float32():
    model, batch = network(), ids(6, 11)
    with torch.no_grad():
        exact = model(input_ids=batch).last_hidden_state.mean(1)
        rounded = Fused(model.bfloat16())(batch).float().mean(1)
    assert torch.cosine_similarity(exact, rounded).min() > 0.999


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("width", "wide"), [(96, 80), (384, 1536)])
def test_a_text_has_the_same_bits_alone_and_beside_any_others(width, wide, dtype):
    """Few inputs are summed in one go; over 1,536, as the packaged model has, kernels differ in their order."""
    sizes = {"hidden_size": width, "intermediate_size": wide, "num_attention_heads": width // 32}
    forward = Fused(network(num_hidden_layers=1, **sizes).to(dtype))
    with torch.no_grad():
        for length in (1, 3, 8, 19):
            batch = ids(40, length)
            together = forward(batch)
            assert torch.equal(forward(batch.flip(0)).flip(0), together)
            for parts in (1, 3, 16):
                assert torch.equal(torch.cat([forward(part) for part in batch.split(parts)]), together)


def softmaxed(qkv, length, heads):
    num, width = qkv.shape[0] // length, qkv.shape[1] // 3 // heads
    query, key, value = qkv.view(num, length, 3, heads, width).permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-1, -2) * width**-0.5).softmax(-1)
    return (weights @ value).transpose(1, 2).reshape(num * length, heads * width)


def test_attention_is_softmax_of_scaled_products_times_values_even_where_exp_overflows():
    qkv = torch.randn(5 * 6, 3 * 32, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(attention(qkv, 6, 4), softmaxed(qkv, 6, 4), atol=1e-5)
    qkv[:12, :64] *= 40  # scores of hundreds in the first two texts
    attended = attention(qkv, 6, 4)
    assert attended.isfinite().all()
    assert torch.allclose(attended, softmaxed(qkv, 6, 4), atol=1e-4)
    assert torch.equal(attended[12:], attention(qkv[12:], 6, 4)), "the other texts are not touched by it"


def test_scores_far_below_zero_in_a_whole_row_do_not_divide_by_zero():
    qkv = torch.randn(4, 3 * 8, generator=torch.Generator().manual_seed(2))
    qkv[:, :8], qkv[:, 8:16] = 30.0, -30.0 + torch.rand(4, 8, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(attention(qkv, 4, 1), softmaxed(qkv, 4, 1), atol=1e-4)


def test_the_copy_does_not_follow_the_network():
    model, batch = network(), ids(2, 5)
    with torch.no_grad():
        forward = Fused(model)
        before = forward(batch)
        for parameter in model.parameters():
            parameter.zero_()
        assert torch.equal(forward(batch), before)


def test_other_networks_are_refused_by_name():
    from transformers import DistilBertConfig, DistilBertModel

    other = DistilBertModel(DistilBertConfig(vocab_size=60, dim=16, n_heads=2, n_layers=1, hidden_dim=16))
    with pytest.raises(UnsupportedError, match="distilbert"):
        fused.check(other)
    with pytest.raises(UnsupportedError, match="silu"):
        fused.check(network(hidden_act="silu"))
    adapted = network()
    adapted.encoder.layer[1].attention.self.query = torch.nn.Bilinear(3, 3, 3)
    with pytest.raises(UnsupportedError, match="Bilinear"):
        fused.check(adapted)
