"""The forward without padding gives the vectors and gradients of the model's own padded forward."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from nightmarket.encoding import packed
from nightmarket.encoding.encoder import Encoder, pool

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 60}
MODELS = {
    "bert": lambda: BertModel(BertConfig(**SIZES)),
    "roberta": lambda: RobertaModel(RobertaConfig(**SIZES)),
    "xlm-roberta": lambda: XLMRobertaModel(XLMRobertaConfig(**SIZES)),
    "electra": lambda: ElectraModel(ElectraConfig(embedding_size=16, **SIZES)),
    "distilbert": lambda: DistilBertModel(
        DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=48, vocab_size=60)
    ),
}


class _Tokenizer:
    pad_token_id = 1


def _encoder(kind="bert", pooling="mean", cut=None):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = MODELS[kind]()
        for name, value in model.named_parameters():
            if name.endswith("bias"):  # zero at first: a bias that is left out would not be noticed
                torch.nn.init.normal_(value, std=0.1)
    return Encoder(model, _Tokenizer(), pooling, 400, cut=cut)


def _ids(lengths, seed=2):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randint(5, 60, (length,), generator=draw).tolist() for length in lengths]


def _one_by_one(encoder, ids):
    """The truth: each text alone through the model's own forward."""
    hidden = [encoder.model(input_ids=torch.tensor([row])).last_hidden_state for row in ids]
    return torch.cat([pool(states, encoder.pooling, cut=encoder.cut) for states in hidden])


def _gradients(encoder, vectors):
    """Gradient of a fixed random loss in every parameter that it reaches."""
    weight = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(8))
    names, parameters = zip(*[(n, p) for n, p in encoder.model.named_parameters() if p.requires_grad], strict=True)
    grads = torch.autograd.grad((vectors * weight).sum(), parameters, allow_unused=True)
    return {name: grad for name, grad in zip(names, grads, strict=True) if grad is not None}


def _assert_same(grads, wanted, tolerance=2e-5):
    assert grads.keys() == wanted.keys()
    for name, grad in wanted.items():
        torch.testing.assert_close(grads[name], grad, rtol=1e-4, atol=tolerance, msg=name)


@pytest.mark.parametrize("kind", MODELS)
def test_vectors_and_gradients_are_those_of_the_models_own_forward(kind):
    encoder, ids = _encoder(kind), _ids([3, 9, 4, 9, 17, 3, 1, 9])
    vectors, wanted = packed.embed(encoder, ids), _one_by_one(encoder, ids)
    torch.testing.assert_close(vectors, wanted, rtol=1e-5, atol=1e-6)
    _assert_same(_gradients(encoder, vectors), _gradients(encoder, wanted))


def test_the_bert_family_runs_packed_and_others_padded():
    assert {kind for kind in MODELS if packed.bert_of(_encoder(kind).model) is not None} == {*MODELS} - {"distilbert"}


@pytest.mark.parametrize(("pooling", "cut"), [("cls", None), ("last", None), ("mean", 8)])
@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_it_pools_as_the_encoder_does(kind, pooling, cut):
    encoder, ids = _encoder(kind, pooling, cut), _ids([5, 2, 7, 5])
    vectors = packed.embed(encoder, ids)
    assert vectors.shape == (4, encoder.dim)
    torch.testing.assert_close(vectors, _one_by_one(encoder, ids), rtol=1e-5, atol=1e-6)


def test_long_texts_beside_short_ones():
    """Beyond 128 tokens attention goes through torch's fused kernel, padded with texts of similar length."""
    encoder, ids = _encoder(), _ids([4, 200, 131, 128, 4, 140, 300, 1])
    vectors, wanted = packed.embed(encoder, ids), _one_by_one(encoder, ids)
    torch.testing.assert_close(vectors, wanted, rtol=1e-5, atol=1e-6)
    _assert_same(_gradients(encoder, vectors), _gradients(encoder, wanted))


def test_a_texts_vector_does_not_depend_on_order_or_company():
    encoder, ids = _encoder(), _ids([6, 2, 6, 11, 2])
    turned = [3, 0, 4, 1, 2]
    vectors = packed.embed(encoder, ids)
    torch.testing.assert_close(packed.embed(encoder, [ids[row] for row in turned]), vectors[turned])
    torch.testing.assert_close(packed.embed(encoder, ids[1:2])[0], vectors[1])


def test_no_texts_give_no_vectors():
    assert packed.embed(_encoder(), []).shape == (0, 32)


def test_token_states_stand_in_the_order_of_the_tokens():
    encoder, ids = _encoder(), _ids([2, 5, 2])
    states = packed.token_states(packed.bert_of(encoder.model), ids)
    own = [encoder.model(input_ids=torch.tensor([row])).last_hidden_state[0] for row in ids]
    torch.testing.assert_close(states, torch.cat(own), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_bfloat16_under_autocast_is_close(kind):
    encoder, ids = _encoder(kind), _ids([3, 9, 4, 9, 17, 3, 150])
    wanted = packed.embed(encoder, ids)
    with torch.autocast("cpu", torch.bfloat16):
        vectors = packed.embed(encoder, ids)
    assert vectors.dtype == torch.float32
    assert (vectors * wanted).sum(dim=1).min() > 0.999
    ours, exact = _gradients(encoder, vectors), _gradients(encoder, wanted)
    flat, truth = (torch.cat([grads[name].flatten() for name in exact]) for grads in (ours, exact))
    assert torch.nn.functional.cosine_similarity(flat, truth, dim=0) > 0.99
    assert all(grad.dtype == torch.float32 for grad in ours.values())


def test_an_encoder_in_bfloat16_runs_without_autocast():
    encoder, ids = _encoder(), _ids([3, 9, 4, 150])
    wanted = packed.embed(encoder, ids).detach()
    encoder.model.to(torch.bfloat16)
    assert (packed.embed(encoder, ids) * wanted).sum(dim=1).min() > 0.999


@pytest.mark.parametrize("targets", [["query", "value"], "all-linear"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_lora_adapters_are_run_and_trained(targets, precision):
    peft = pytest.importorskip("peft")
    encoder, ids = _encoder(), _ids([3, 9, 4, 9])
    plain = packed.embed(encoder, ids).detach()
    encoder.model = peft.get_peft_model(encoder.model, peft.LoraConfig(r=2, target_modules=targets)).eval()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(9)
        for name, value in encoder.model.named_parameters():
            if "lora_" in name:  # B is zero at first, and then the adapter does nothing
                value.normal_(std=0.3)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        vectors = packed.embed(encoder, ids)
    wanted = _one_by_one(encoder, ids)
    assert (vectors * plain).sum(dim=1).max() < 0.99
    ours, exact = _gradients(encoder, vectors), _gradients(encoder, wanted)
    assert exact
    assert all("lora_" in name for name in exact)
    if precision == "float32":
        torch.testing.assert_close(vectors, wanted, rtol=1e-5, atol=1e-6)
        _assert_same(ours, exact)
    else:
        assert ours.keys() == exact.keys()
        assert (vectors * wanted).sum(dim=1).min() > 0.999


def test_learned_prompts_go_through_the_models_own_forward():
    peft = pytest.importorskip("peft")
    encoder = _encoder()
    config = peft.PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=2)
    encoder.model = peft.get_peft_model(encoder.model, config).eval()
    assert packed.bert_of(encoder.model) is None
