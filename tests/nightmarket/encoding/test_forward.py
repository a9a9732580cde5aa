import pytest
import torch

from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.forward import Quickest, quickest
from nightmarket.encoding.fused import Fused

TEXTS = ["whole milk", "rye bread of the dark chocolate", "green tea", "dark chocolate", "milk"]


@pytest.fixture
def encoder(tiny_bert):
    return Encoder.load(str(tiny_bert), "float32")


def plainly(encoder):
    ids = encoder.tokenize(TEXTS)
    with torch.no_grad():
        means = [encoder.model(input_ids=torch.tensor([row])).last_hidden_state.mean(1) for row in ids]
    return torch.nn.functional.normalize(torch.cat(means), dim=1).numpy()


def test_bert_on_a_cpu_goes_the_fused_way_and_keeps_it_while_nothing_changes(encoder):
    keeper = Quickest()
    assert isinstance(keeper.of(encoder.model), Fused)
    assert keeper.of(encoder.model) is keeper.of(encoder.model)


def in_place(model):
    with torch.no_grad():
        model.encoder.layer[1].output.dense.weight.mul_(9)


def behind_the_back(model):
    for parameter in model.parameters():
        parameter.data.mul_(1.5)


def by_a_state(model):
    model.load_state_dict({name: value * 1.5 for name, value in model.state_dict().items()})


def by_an_optimiser(model):
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(input_ids=torch.tensor([[2, 5, 6, 3]])).last_hidden_state[..., 0].sum().backward()
    optimiser.step()


def by_another_tensor(model):
    layer = model.encoder.layer[0].output.dense
    layer.weight = torch.nn.Parameter(-layer.weight.detach())


def fewer_layers(model):
    model.encoder.layer = model.encoder.layer[:1]


@pytest.mark.parametrize(
    "change", [in_place, behind_the_back, by_a_state, by_an_optimiser, by_another_tensor, fewer_layers]
)
def test_vectors_follow_the_weights_however_they_were_changed(encoder, change):
    before = encoder.encode(TEXTS)
    change(encoder.model)
    after = encoder.encode(TEXTS)
    assert abs(after - before).max() > 1e-3
    assert after == pytest.approx(plainly(encoder), abs=1e-5)


def test_a_network_that_is_being_trained_runs_as_it_stands(encoder):
    encoder.model.train()
    assert not isinstance(Quickest().of(encoder.model), Fused)


def test_a_network_whose_fused_pass_disagrees_is_run_plainly(encoder):
    # A hook is something that the fused pass cannot know of.
    encoder.model.encoder.layer[2].register_forward_hook(lambda module, inputs, output: -3 * inputs[0].flip(-1))
    assert not isinstance(quickest(encoder.model, int8=False), Fused)
    assert encoder.encode(TEXTS) == pytest.approx(plainly(encoder), abs=1e-5)


@pytest.mark.parametrize("int8", [False, True])
def test_another_architecture_is_encoded_by_transformers(encoder, int8):
    from transformers import DistilBertConfig, DistilBertModel

    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = DistilBertConfig(vocab_size=15, dim=16, n_heads=2, n_layers=2, hidden_dim=32)
        other = Encoder(DistilBertModel(config), encoder.tokenizer, "mean", 32, int8=int8)
    assert other.encode(TEXTS) == pytest.approx(plainly(other), abs=1e-5)
