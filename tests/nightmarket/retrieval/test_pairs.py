"""Training of the encoder on pairs: what is drawn, what is masked, what is mined, and that a kill changes nothing."""

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nightmarket.contracts import InputError
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.packed import embed
from nightmarket.encoding.ranks import Ranks
from nightmarket.evaluation.protocol import Window
from nightmarket.histories.calendar import last_day
from nightmarket.histories.histories import Histories
from nightmarket.retrieval.pairs.adapters import Learner
from nightmarket.retrieval.pairs.fitting import fit
from nightmarket.retrieval.pairs.sampling import PairBatch, PairSampler, bought_together, hard_negatives
from nightmarket.retrieval.pairs.training import Average, PairConfig, PairData, PairTrainer, backward, candidates
from nightmarket.retrieval.quality import Evaluator
from nightmarket.testing.models import write_bert

ROOT = Path(__file__).parents[3]
CUT = last_day(15)
WORDS = ("whole", "milk", "rye", "bread", "green", "tea", "dark", "chocolate", "of", "the")
TEXTS = [f"{WORDS[i % 10]} {WORDS[i // 10]} {WORDS[i * 7 % 10]}" for i in range(60)]
CONFIG = PairConfig(
    seed=5, steps=9, batch_size=12, learning_rate=1e-3, temperature=0.1, hard_negatives=2, epoch=3, chunk=7,
    average=None, weight_decay=0.01, warmup_share=0.2, clip_norm=1.0,
)  # fmt: skip


def histories(customer, item, week, num_customers, num_items):
    """Lines of one unit and one coin each, a basket per week."""
    order = np.lexsort((week, customer))
    customer, item, week = (np.asarray(a, np.int32)[order] for a in (customer, item, week))
    ones, zeros = np.ones(len(week), np.float32), np.zeros(len(week), np.int32)
    lines = {"customer": customer, "item": item, "week": week, "day": week * 7 + 4, "basket": week, "channel": zeros}
    return Histories(
        **lines, quantity=ones, value=ones, discount=zeros, num_customers=num_customers, num_items=num_items
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A random BERT of two layers, as a folder."""
    folder = tmp_path_factory.mktemp("bert")
    write_bert(folder, WORDS, width=16, heads=2)
    return folder


@pytest.fixture(scope="module")
def encoder(model):
    loaded = Encoder.load(str(model), "float32")
    assert len({tuple(ids) for ids in loaded.tokenize(TEXTS)}) == len(TEXTS)
    return loaded


def two_tastes():
    """40 customers over 20 weeks: half of them buy the first 30 texts, the others the last."""
    rng = np.random.default_rng(2)
    customer = np.repeat(np.arange(40), 60)
    week = np.tile(np.repeat(np.arange(20), 3), 40)
    item = customer % 2 * 30 + rng.integers(0, 30, len(week))
    return histories(customer, item, week, 40, 60)


@pytest.fixture(scope="module")
def shop():
    return two_tastes()


class Make:
    """Trainers of one shop, for settings that differ from CONFIG; the evaluator of its window, the vectors before."""

    def __init__(self, encoder, shop, texts=TEXTS, ranks=None):
        self.encoder, self.texts, self.ranks = encoder, texts, ranks
        self.codes = np.arange(len(texts), dtype=np.int32)
        self.past = shop.until(CUT)
        self.evaluator = Evaluator(shop, self.codes, np.ones(len(texts), bool), Window.after(CUT, 28))
        self.start = encoder.encode(texts)

    def __call__(self, method="full", **changes):
        material = PairData(
            self.encoder.tokenize(self.texts),
            self.codes.astype(np.int64),
            bought_together(self.past, self.codes, CUT, 3),
            PairSampler(self.past, self.codes, CUT, first=4, horizon=3),
        )
        learner = Learner(self.encoder, method, torch.float32, 4, 8, seed=5)
        return PairTrainer(PairConfig(**{**CONFIG.__dict__, **changes}), learner, material, self.texts, self.ranks)


@pytest.fixture
def make(encoder, shop):
    return Make(encoder, shop)


def run(make, trainer, save=lambda *state: None, resumed=None):
    return fit(trainer, make.evaluator, make.start, checkpoint_every=2, patience=9, save=save, resumed=resumed)


def same(weights, other):
    assert weights.keys() == other.keys()
    for name in weights:
        assert np.array_equal(weights[name], other[name]), name


def test_a_pair_is_a_first_purchase_and_another_of_the_days_and_weeks_before_it():
    # Customer 0 buys 0, 1 in week 10, 2 in week 11, 0 again in week 12, 3 in week 20. Customer 1 buys 4 alone.
    lines = histories([0, 0, 0, 0, 0, 1], [0, 1, 2, 0, 3, 4], [10, 10, 11, 12, 20, 11], 2, 5)
    sampler = PairSampler(lines, np.arange(5, dtype=np.int32), CUT, first=10, horizon=2)
    seen = set()
    for step in range(200):
        batch = sampler.batch(1, step, 4, None, 0)
        seen |= set(zip(batch.texts[batch.anchor].tolist(), batch.texts[batch.positive].tolist(), strict=True))
    # Basket mates both ways, 2 after either; 0 in week 12 is no first purchase, 3 has nobody in its two weeks before.
    assert seen == {(0, 1), (1, 0), (0, 2), (1, 2)}
    assert PairSampler(lines, np.arange(5, dtype=np.int32), CUT, first=12, horizon=2).usable is False


def test_pairs_follow_from_seed_and_step_and_nothing_later_than_the_histories_counts(shop):
    codes = np.arange(60, dtype=np.int32)
    sampler, other = (PairSampler(h, codes, CUT, 4, 3) for h in (shop.until(CUT), shop.until(CUT - 21).until(CUT)))
    again = sampler.batch(3, 8, 16, None, 0)
    for name, values in sampler.batch(3, 8, 16, None, 0).__dict__.items():
        assert np.array_equal(values, getattr(again, name)), name
    assert not np.array_equal(sampler.batch(3, 9, 16, None, 0).anchor, sampler.batch(3, 8, 16, None, 0).anchor)
    assert len(other.line) < len(sampler.line)


def test_the_chances_that_the_loss_corrects_by_are_those_of_the_draw():
    rng = np.random.default_rng(0)
    customer = np.repeat(np.arange(30), 40)
    item = (rng.pareto(1.0, len(customer)) * 2).astype(int) % 20
    lines = histories(customer, item, np.tile(np.arange(40) // 4, 30), 30, 20)
    sampler = PairSampler(lines, np.arange(20, dtype=np.int32), CUT, first=1, horizon=2)
    assert [sampler.anchor_share.sum(), sampler.positive_share.sum()] == pytest.approx([1, 1])
    at = np.zeros((2, 20))
    kept = 0
    for step in range(300):
        batch = sampler.batch(0, step, 400, None, 0)
        kept += len(batch.anchor)
        np.add.at(at[0], batch.texts[batch.anchor], 1)
        np.add.at(at[1], batch.texts[batch.positive], 1)
    own = 1 - kept / (300 * 400)  # pairs of a text with itself are dropped after the draw
    assert own < 0.2
    assert np.abs(at[0] / kept - sampler.anchor_share).max() < 0.05
    assert np.corrcoef(at[0], sampler.anchor_share)[0, 1] > 0.97
    assert np.corrcoef(at[1], sampler.positive_share)[0, 1] > 0.99


def test_a_text_is_never_a_negative_of_itself_nor_of_another_pair_of_its_anchor():
    # Texts 10..14 at rows 0..4. Pairs 0→1, 0→2, 3→1; text 4 is hard for the last pair, text 0 for none but the first.
    batch = PairBatch(np.arange(10, 15), np.array([0, 0, 3]), np.array([1, 2, 1]), np.array([[-1], [1], [4]]))
    columns, log_q, offset = candidates(batch, np.log(np.array([0.5, 0.25, 0.5, 0.5, 0.1], np.float32)), 0.5)
    assert columns.tolist() == [1, 2, 4]
    assert np.exp(log_q[:2]) == pytest.approx([0.25, 0.5])
    inside = np.isfinite(offset)
    # Pairs of anchor 0: the other's positive is out, mined or not; the hard text is there for its anchor alone.
    assert inside.tolist() == [[True, False, False], [False, True, False], [True, True, True]]
    # The hard text: by chance (.1) or as a hard one (.5).
    assert np.exp(log_q[2] - offset[2, 2]) == pytest.approx(1 - 0.9 * 0.5)


def test_cached_gradients_are_those_of_the_plain_step(encoder):
    learner = Learner(encoder, "full", torch.float32)
    ids = encoder.tokenize(TEXTS[:23])
    weights = list(learner.parameters.values())

    def loss_of(vectors):
        return torch.logsumexp(vectors @ vectors.T * 5, dim=1).mean()

    def gradients(chunk):
        for weight in weights:
            weight.grad = None
        loss = backward(lambda part: embed(learner.encoder, part), ids, loss_of, chunk, weights)
        return float(loss), [weight.grad.clone() for weight in weights if weight.grad is not None]

    plain = loss_of(embed(learner.encoder, ids))
    expected = torch.autograd.grad(plain, weights, allow_unused=True)
    for chunk in (23, 8, 1):
        loss, grads = gradients(chunk)
        assert loss == pytest.approx(float(plain.detach()), abs=1e-6)
        for grad, other in zip(grads, [g for g in expected if g is not None], strict=True):
            assert torch.allclose(grad, other, atol=1e-6)


def test_hard_negatives_are_the_nearest_texts_that_nobody_bought_with_the_anchor():
    # Texts 0..5 lie on a line in this order; 0 and 1 are of one kind, a customer bought 2 with 0, nobody ever bought 5.
    angle = np.array([0.0, 0.1, 0.2, 0.3, 0.5, 0.25])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    lines = histories([0, 0, 1, 2, 3], [0, 2, 3, 4, 1], [1, 2, 1, 1, 1], 4, 6)
    together = bought_together(lines, np.arange(6, dtype=np.int32), CUT, 2)
    bought = np.array([True, True, True, True, True, False])
    kind = np.array([7, 7, 1, 2, 3, 4])
    negatives = hard_negatives(vectors, kind, together, bought, bought, 3)
    assert negatives[0].tolist() == [3, 4, -1]
    assert negatives[1].tolist() == [2, 3, 4]
    assert negatives[5].tolist() == [-1, -1, -1]


def test_lora_starts_where_the_encoder_is_learns_little_and_leaves_a_plain_network(encoder, make):
    trainer = make("lora", learning_rate=1e-2, warmup_share=0.0)
    assert np.allclose(trainer.learner.plain(trainer.weights()).encode(TEXTS), make.start, atol=1e-6)
    assert all("lora_" in name for name in trainer.learner.parameters)
    for step in range(4):
        trainer.step(step)
    plain = trainer.learner.plain(trainer.weights())
    names = dict(encoder.model.named_parameters())
    assert dict(plain.model.named_parameters()).keys() == names.keys()
    ids = encoder.tokenize(TEXTS)
    with torch.no_grad():
        through = embed(trainer.learner.encoder, ids).numpy()
    assert np.allclose(plain.encode(TEXTS), through, atol=1e-5)
    assert not np.allclose(through, make.start, atol=1e-3)


def test_the_average_of_weights_is_the_formula():
    weight = torch.nn.Parameter(torch.zeros(1))
    average = Average({"w": weight}, 0.2)
    expected = 0.0
    for step in range(1, 5):
        with torch.no_grad():
            weight.fill_(float(step))
        average.update(step)
        decay = min(0.2, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.weights()["w"][0] == pytest.approx(expected)


@pytest.mark.parametrize(("method", "average"), [("full", None), ("lora", None), ("full", 0.9)])
def test_a_run_that_ends_after_any_step_goes_on_to_the_same_weights_and_losses(make, method, average):
    saved = []
    whole = make(method, average=average)
    best, history = run(make, whole, save=lambda *state: saved.append(copy.deepcopy(state)))
    assert history["num_steps"] == 9
    assert len({record["loss"] for record in history["records"]}) == 9
    assert [len(state[2]["records"]) for state in saved] == [2, 3, 4, 6, 8, 9]
    for state in [None, *saved]:
        again = make(method, average=average)
        weights, told = run(make, again, resumed=copy.deepcopy(state))
        assert told == history
        same(weights, best)
        if state is None or "best_step" not in state[2]:
            same(again.state(), whole.state())


def test_another_seed_gives_other_weights(make):
    trainer, other = make(), make(seed=6)
    trainer.step(0), other.step(0)
    assert any(not np.array_equal(trainer.weights()[name], other.weights()[name]) for name in trainer.weights())


def test_a_rate_that_explodes_is_told_in_one_line(make):
    trainer = make(learning_rate=1e30, warmup_share=0.0)
    with pytest.raises(InputError, match=r"not finite at step \d of 9 .*lower finetune.pairs.learning_rate"):
        run(make, trainer)


def test_words_that_others_bought_together_come_to_lie_together(encoder):
    # One of six words says what a text is; half of the customers buy texts of the first three, half of the last three.
    # Until the cut each buys of two words, after it of the third: no text that she has bought shares it.
    tells, fills = WORDS[:6], WORDS[6:]
    texts = [f"{fills[i % 4]} {tells[i // 10]} {fills[i // 3 % 4]}" for i in range(60)]
    rng = np.random.default_rng(6)
    customer = np.repeat(np.arange(40), 40)
    week = np.tile(np.repeat(np.arange(20), 2), 40)
    word = (customer // 2 + np.where(week <= 15, rng.integers(1, 3, len(week)), 0)) % 3
    item = (customer % 2 * 3 + word) * 10 + rng.integers(0, 10, len(week))
    make = Make(encoder, histories(customer, item, week, 40, 60), texts)
    trainer = make(steps=90, epoch=30, batch_size=32, learning_rate=2e-3, chunk=64)
    _, history = run(make, trainer)
    losses = [record["loss"] for record in history["records"]]
    # Who knows the half of the texts that an anchor's positive is in comes to ln 30; who knows nothing, to ln 60.
    assert np.mean(losses[:3]) > np.log(60) - 0.2
    assert np.mean(losses[-20:]) < np.log(40)
    before, best = history["validation"][0], max(history["validation"], key=lambda validation: validation["ndcg@10"])
    assert best["step"] == history["best_step"] > 0
    assert best["new"] > before["new"] + 0.15


TOGETHER = """
import sys
import numpy as np
sys.path[:0] = [{tests!r}, {root!r}]
from test_pairs import METHODS, trained
from nightmarket.encoding.ranks import Ranks
ranks = Ranks.current()
found = dict()
for method in METHODS:
    for name, values in trained({model!r}, method, ranks).items():
        everybodys = ranks.gather(values[None])
        if ranks.first:
            assert len(everybodys) == 2 and (everybodys[0] == everybodys[1]).all(), name
            found[f"{{method}}/{{name}}"] = values
if ranks.first:
    np.savez({out!r}, **found)
"""
METHODS = ("full", "lora")


def trained(model, method, ranks):
    """Losses, ndcg and last weights of a run whose steps all take several chunks on every rank."""
    make = Make(Encoder.load(str(model), "float32"), two_tastes(), ranks=ranks)
    trainer = make(method, average=0.9)
    _, history = run(make, trainer)
    results = {f"weights/{name}": values for name, values in trainer.weights().items()}
    results["losses"] = np.array([record["loss"] for record in history["records"]])
    results["ndcg"] = np.array([validation["ndcg@10"] for validation in history["validation"]])
    return results | {"hard": trainer.hard}


@pytest.fixture(scope="module")
def together(model, tmp_path_factory):
    """What two processes over gloo found, the same on both."""
    folder = tmp_path_factory.mktemp("ranks")
    script, out = folder / "together.py", folder / "found.npz"
    script.write_text(TOGETHER.format(tests=str(Path(__file__).parent), root=str(ROOT), model=str(model), out=str(out)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(out))


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_learn_what_one_does(together, model, method):
    alone = trained(model, method, Ranks())
    assert len(alone["losses"]) == 9
    assert (alone["hard"] >= 0).any()
    of_method = {name.removeprefix(f"{method}/"): v for name, v in together.items() if name.startswith(f"{method}/")}
    assert of_method.keys() == alone.keys()
    assert (of_method["hard"] == alone["hard"]).mean() > 0.99  # mined by vectors that differ in their last bits
    # The keys' bias shifts all of a token's scores alike: its gradient is rounding alone, which AdamW makes large.
    for name in [name for name in alone if name != "hard" and not name.endswith("key.bias")]:
        assert np.allclose(of_method[name], alone[name], rtol=1e-4, atol=1e-5), name
    begun = Learner(Encoder.load(str(model), "float32"), method, torch.float32, 4, 8, seed=5).weights()
    moved = {name: np.abs(alone[f"weights/{name}"] - values).max() for name, values in begun.items()}
    assert np.median(list(moved.values())) > 1e-3  # far beyond that tolerance
