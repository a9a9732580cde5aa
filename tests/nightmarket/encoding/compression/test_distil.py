"""A student learns its teacher's vectors, the same way each time."""

import numpy as np
import pytest

from nightmarket.contracts import InputError
from nightmarket.encoding.compression import distil, prune
from nightmarket.encoding.compression.distil import Schedule

SHORT = Schedule(steps=40, batch_size=64, learning_rate=2e-3)


def test_training_brings_the_student_nearer_to_the_teacher_on_texts_it_never_saw(teacher, texts, vectors):
    start = prune.pruned(teacher, [0, 2])
    before = {name: value.clone() for name, value in start.model.state_dict().items()}
    held = np.arange(len(texts)) % 5 == 0
    ids = teacher.tokenize(texts)
    learned = [row for row in range(len(texts)) if not held[row]]
    student, records = distil.distil(start, [ids[row] for row in learned], vectors[learned], SHORT)
    kept = [text for text, out in zip(texts, held, strict=True) if out]

    def error(encoder):
        return 1 - (encoder.encode(kept) * vectors[held]).sum(axis=1).mean()

    assert error(student) < 0.5 * error(start)
    assert records[-1]["loss"] < records[0]["loss"]
    assert [record["step"] for record in records] == [20, 40]
    assert all((before[name] == value).all() for name, value in start.model.state_dict().items())


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(teacher, texts, vectors):
    ids, start = teacher.tokenize(texts), prune.pruned(teacher, [1])

    def weights(seed):
        schedule = Schedule(steps=3, batch_size=32, seed=seed)
        return distil.distil(start, ids, vectors, schedule)[0].model.encoder.layer[0].output.dense.weight

    assert (weights(3) == weights(3)).all()
    assert (weights(3) != weights(4)).any()


def test_token_embeddings_stay_where_the_teacher_has_them(teacher, texts, vectors):
    start = prune.pruned(teacher, [1])
    student, _ = distil.distil(start, teacher.tokenize(texts), vectors, Schedule(steps=2, batch_size=16))
    old, new = (encoder.model.embeddings.word_embeddings.weight for encoder in (start, student))
    assert (old == new).all()
    assert (
        start.model.encoder.layer[0].output.dense.weight != student.model.encoder.layer[0].output.dense.weight
    ).any()


def test_each_pass_sees_every_text_once():
    rows = np.concatenate([distil.batch(12, 4, step, seed=1) for step in range(3)])
    assert sorted(rows) == list(range(12))
    assert list(distil.batch(12, 4, 3, seed=1)) != list(rows[:4])


def test_the_rate_rises_and_falls_to_zero():
    schedule = Schedule(steps=100, learning_rate=1.0, warmup_share=0.1)
    rates = [distil.rate(schedule, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5)
    assert 0 <= rates[99] < 0.001


def test_a_loss_that_is_not_finite_stops_with_its_step(teacher, texts, vectors):
    broken = vectors.copy()
    broken[:] = np.nan
    with pytest.raises(InputError, match="not finite at step 1"):
        distil.distil(prune.pruned(teacher, [0]), teacher.tokenize(texts), broken, Schedule(steps=1))
