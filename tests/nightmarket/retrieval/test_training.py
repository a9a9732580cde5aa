import copy
import dataclasses

import numpy as np
import pytest
import torch

from nightmarket.contracts import InputError
from nightmarket.retrieval.fitting import best_validation, eligible, exhausted, fit
from nightmarket.retrieval.quality import Evaluator
from nightmarket.retrieval.samples import Sampler
from nightmarket.retrieval.tower import Tower, TowerConfig
from nightmarket.retrieval.training import Trainer, TrainingConfig

CONFIG = TrainingConfig(
    seed=1,
    max_steps=80,
    batch_size=64,
    live_texts=40,
    live_every=1,
    encoder_share=0.5,
    random_texts=60,
    learning_rate=5e-3,
    encoder_learning_rate=1e-3,
    weight_decay=1e-2,
    warmup_share=0.1,
    clip_norm=1.0,
    repeat_weight=0.5,
    launch_weight=1.0,
)


def trainer_of(shop, **changed):
    past = shop.histories.until(shop.window.cut)
    sampler = Sampler(past, shop.text_id, shop.window.cut, 28, 8, shop.recommendable)
    tower = Tower(TowerConfig(shop.vectors.shape[1], dim=16, hidden=32), seed=1)
    config = dataclasses.replace(CONFIG, **changed)
    return Trainer(config, tower, sampler, shop.vectors, torch.device("cpu"), torch.float32)


def evaluator_of(shop):
    return Evaluator(shop.histories, shop.text_id, shop.recommendable, shop.window)


def run(trainer, evaluator, **changed):
    options = {"validate_every": 20, "checkpoint_every": 1000, "patience": 9, "save": lambda *_: None}
    return fit(trainer, evaluator, evaluator.sample(80, 0), **(options | changed))


def same(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_a_planted_taste_is_learned_far_beyond_chance(planted):
    trainer, evaluator = trainer_of(planted), evaluator_of(planted)
    history = run(trainer, evaluator)
    losses = [record["loss"] for record in history["records"]]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.3
    quality = np.nanmean(evaluator.towers(trainer.tower, planted.vectors)["all"])
    shuffled = np.random.default_rng(0).permutation(planted.vectors)
    chance = np.nanmean(evaluator.towers(Tower(trainer.tower.config, seed=9), shuffled)["all"])
    assert quality > 2 * chance


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(planted):
    evaluator, made = evaluator_of(planted), []
    for seed in (1, 1, 2):
        trainer = trainer_of(planted, max_steps=5, seed=seed)
        run(trainer, evaluator, validate_every=5)
        made.append(trainer.state())
    assert same(made[0], made[1])
    assert not same(made[0], made[2])


def test_training_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(planted):
    evaluator, kept = evaluator_of(planted), []
    whole = trainer_of(planted, max_steps=12)
    history = run(
        whole, evaluator, validate_every=4, checkpoint_every=6, save=lambda *parts: kept.append(copy.deepcopy(parts))
    )
    resumed = trainer_of(planted, max_steps=12)
    again = run(resumed, evaluator, validate_every=4, resumed=kept[0])
    assert again == history
    assert same(resumed.state(), whole.state())


def test_a_loss_that_is_not_finite_stops_with_step_and_rate_and_leaves_the_weights(planted):
    trainer = trainer_of(planted)
    trainer.step(0)
    before = trainer.weights()
    trainer.bank[:] = float("nan")
    with pytest.raises(InputError, match=r"not finite at step 2 of 80 \(learning rate 0\.00"):
        trainer.step(1)
    assert same(before, trainer.weights())


def test_nothing_after_the_cut_is_looked_at(planted):
    late = planted.histories.item.copy()
    late[planted.histories.day > planted.window.cut] = 0
    other = dataclasses.replace(planted, histories=dataclasses.replace(planted.histories, item=late))
    first, second = trainer_of(planted, max_steps=3), trainer_of(other, max_steps=3)
    for step in range(3):
        assert first.step(step) == second.step(step)


def test_the_rate_rises_and_falls(planted):
    trainer = trainer_of(planted)
    rates = [trainer.learning_rate(step) for step in range(80)]
    assert rates[0] == pytest.approx(1 / 8)
    assert max(rates) == 1.0
    assert rates[-1] < 0.01


def test_early_stopping_waits_and_keeps_the_first_of_equals():
    ndcg = [{"step": i, "new": value, "all": 0.0, "launch": 0.0} for i, value in enumerate([0.1, 0.3, 0.2, 0.3])]
    assert best_validation(ndcg)["step"] == 1
    assert exhausted(ndcg, 2)
    assert not exhausted(ndcg, 3)


def test_validations_on_vectors_of_mixed_age_are_not_chosen():
    assert [v["step"] for v in eligible([{"step": step} for step in (0, 10, 20, 30)], 20)] == [0, 20, 30]


def test_the_best_weights_come_back_even_when_they_are_those_of_the_start(planted):
    trainer, evaluator = trainer_of(planted, max_steps=4, learning_rate=1e-3), evaluator_of(planted)
    start = trainer.weights()
    evaluator.towers = lambda *_: {task: np.array([0.0]) for task in ("all", "new", "debut")}
    history = run(trainer, evaluator, validate_every=1, patience=2)
    assert history["best_step"] == 0
    assert history["num_steps"] == 2
    assert same(start, trainer.weights())


def test_where_all_products_share_one_text_there_is_nothing_to_learn(planted):
    past = planted.histories.until(planted.window.cut)
    settings = (planted.window.cut, 28, 8)
    assert Sampler(past, planted.text_id, *settings, planted.recommendable).usable
    assert not Sampler(past, 0 * planted.text_id, *settings, planted.recommendable).usable
    first = planted.text_id == planted.text_id[0]
    assert not Sampler(past, planted.text_id, *settings, first).usable, (
        "texts of what may not be recommended say nothing"
    )
