import numpy as np
import pytest
import torch

from nightmarket.contracts import InputError
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.masked import LanguageModelHead, MaskingConfig, Pretrainer, pretrain
from nightmarket.testing.models import write_bert

KINDS = ("whole milk", "rye bread", "green tea", "dark chocolate")
TEXTS = [f"{KINDS[i % 4]} of the {KINDS[(i // 4) % 4]} " + "the of " * (i % 5) for i in range(120)]


def config(**changed):
    """Quick settings for a tiny model."""
    values = {"seed": 5, "steps": 30, "head_steps": 10, "batch_size": 32, "masked_share": 0.15, "learning_rate": 3e-3}
    values |= {"head_learning_rate": 3e-3, "weight_decay": 0.01, "warmup_share": 0.1, "clip_norm": 1.0}
    return MaskingConfig(**(values | changed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random BERT of two layers that knows the words of the texts."""
    path = tmp_path_factory.mktemp("reader")
    write_bert(path, [*" ".join(KINDS).split(), "of", "the"])
    return path


@pytest.fixture
def encoder(folder):
    return Encoder.load(str(folder), "float32")


def ignore(state, history):
    """A checkpoint that nobody needs."""


def run(encoder, **changed):
    trainer = Pretrainer(encoder, TEXTS, config(**changed), "float32")
    return trainer, pretrain(trainer, checkpoint_every=1000, save=ignore)


def weights(trainer):
    return {name: value.clone() for name, value in trainer.body.state_dict().items()}


@pytest.mark.slow
def test_what_the_body_learns_shows_on_texts_that_it_never_saw(encoder):
    history = run(encoder, steps=200, batch_size=64, learning_rate=1e-2)[1]
    assert history["num_held_out"] == 6
    assert history["held_out"]["after"]["loss"] < 0.8 * history["held_out"]["head"]["loss"]
    assert [record["step"] for record in history["records"]] == list(range(1, 211))


def test_before_anything_is_read_the_head_guesses_each_word_by_its_share():
    hidden, embeddings = torch.zeros(1, 4), torch.zeros(5, 4)
    logits = LanguageModelHead(4, embeddings, np.array([0, 1, 2, 5, 7]))(hidden, embeddings)
    assert torch.softmax(logits, dim=-1)[0].tolist() == pytest.approx([1 / 20, 2 / 20, 3 / 20, 6 / 20, 8 / 20])


def test_the_first_steps_move_the_head_alone_and_no_step_moves_the_word_embeddings(encoder):
    trainer = Pretrainer(encoder, TEXTS, config(), "float32")
    start, head = weights(trainer), trainer.head.dense.weight.detach().clone()
    for step in range(10):
        trainer.step(step)
    assert all(torch.equal(value, start[name]) for name, value in trainer.body.state_dict().items())
    assert not torch.equal(trainer.head.dense.weight, head)
    trainer.step(10)
    same = {name for name, value in trainer.body.state_dict().items() if torch.equal(value, start[name])}
    assert "embeddings.word_embeddings.weight" in same
    assert not any(name.startswith("encoder.layer") for name in same)


def test_a_share_of_the_ordinary_tokens_is_masked_in_the_ways_of_the_paper(encoder):
    trainer = Pretrainer(encoder, TEXTS, config(), "float32")
    tokenizer, num_ordinary, seen = encoder.tokenizer, 0, []
    for part in trainer.parts(np.tile(np.arange(120), 60), np.random.default_rng(2)):
        shown = part.tokens.flatten()[part.places]
        seen.append(torch.stack([shown, part.words]))
        original = part.tokens.flatten().clone()
        original[part.places] = part.words
        special = np.isin(original.numpy(), tokenizer.all_special_ids)
        num_ordinary += int((~special).sum())
        assert not np.isin(part.words.numpy(), tokenizer.all_special_ids).any()
    shown, words = torch.cat(seen, dim=1)
    num = len(words)
    assert num / num_ordinary == pytest.approx(0.15, abs=0.01)
    assert float((shown == tokenizer.mask_token_id).float().mean()) == pytest.approx(0.8, abs=0.02)
    # Of the tenth that gets a random word, one in ten words of the vocabulary happens to be the right one.
    assert float((shown == words).float().mean()) == pytest.approx(0.11, abs=0.02)


def test_every_text_that_is_not_held_out_is_read_once_before_any_is_read_again(encoder):
    trainer = Pretrainer(encoder, TEXTS, config(batch_size=38), "float32")
    first = np.concatenate([trainer.rows_of(step) for step in range(3)])
    assert np.array_equal(np.sort(first), np.sort(trainer.rows))
    assert not np.isin(first, trainer.held_out).any()
    again = np.concatenate([trainer.rows_of(step) for step in range(3, 6)])
    assert sorted(again) == sorted(first)
    assert not np.array_equal(again, first)


def test_which_texts_are_held_out_does_not_depend_on_their_order(encoder):
    pretrainer = Pretrainer(encoder, TEXTS, config(), "float32")
    turned = Pretrainer(encoder, TEXTS[::-1], config(), "float32")
    assert {TEXTS[row] for row in pretrainer.held_out} == {TEXTS[::-1][row] for row in turned.held_out}


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(encoder):
    first, second, other = (weights(run(encoder, seed=seed)[0]) for seed in (5, 5, 6))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("killed_after", [4, 10, 17])
def test_a_run_that_goes_on_from_a_checkpoint_ends_with_the_same_weights(encoder, killed_after):
    whole, told = run(encoder)
    kept = {}

    def keep(state, history):
        kept[len(history["records"])] = state, {key: value.copy() for key, value in history.items()}

    half = Pretrainer(encoder, TEXTS, config(), "float32")
    pretrain(half, checkpoint_every=1, save=keep)
    resumed = Pretrainer(encoder, TEXTS, config(), "float32")
    history = pretrain(resumed, checkpoint_every=1000, save=ignore, resumed=kept[killed_after])
    assert history == told
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(resumed).items())


def test_the_encoder_that_was_given_stays_as_it_was_and_the_trained_one_is_saved_like_any(encoder, tmp_path):
    before = encoder.encode(KINDS)
    trained = run(encoder)[0].trained()
    assert np.array_equal(encoder.encode(KINDS), before)
    trained.save(tmp_path / "model")
    again = Encoder.load(str(tmp_path / "model"), "float32").encode(KINDS)
    assert np.abs(again - trained.encode(KINDS)).max() < 1e-6
    assert np.abs(again - before).max() > 1e-3


def test_a_rate_that_explodes_stops_in_one_line(encoder):
    with pytest.raises(
        InputError, match=r"not finite at step \d+ of 40 \(learning rate .*nothing was written"
    ) as error:
        run(encoder, learning_rate=1e30, head_learning_rate=1e30, clip_norm=1e30)
    assert "\n" not in str(error.value)


def test_an_encoder_without_a_mask_token_and_too_few_texts_are_refused(encoder):
    with pytest.raises(InputError, match="19 texts are too few to pre-train on"):
        Pretrainer(encoder, TEXTS[:19], config())
    encoder.tokenizer.mask_token = None
    with pytest.raises(InputError, match="no mask token"):
        Pretrainer(encoder, TEXTS, config())
