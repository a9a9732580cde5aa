"""Training on pairs with mining, validation and early stopping, in a form that can be interrupted at any moment.

The best weights are kept, those of the start included: an encoder that nothing improves stays as it was.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from nightmarket.retrieval.fitting import best_validation, criterion, exhausted, mean_ndcg
from nightmarket.retrieval.pairs.training import PairTrainer, Tensors
from nightmarket.retrieval.quality import TASKS, Evaluator

log = logging.getLogger("nightmarket")

History = dict[str, Any]
Save = Callable[[Tensors, Tensors, History], None]


def fit(
    trainer: PairTrainer,
    evaluator: Evaluator,
    vectors: np.ndarray,
    *,
    checkpoint_every: int,
    patience: int,
    save: Save,
    resumed: tuple[Tensors, Tensors, History] | None = None,
) -> tuple[Tensors, History]:
    """The best weights, and {"records", "validation", "num_steps", "best_step"}.

    vectors  float32 [T, D] of all texts by the encoder as it is before the first step
    save     called as (state, best weights, history) every `checkpoint_every` steps, after each epoch and at the end
    resumed  what `save` was given; training goes on after it, or is over where it was over

    After each epoch all texts are encoded: the hard negatives of the next one are mined in these vectors, and the
    encoder is judged by them, as plain text without towers. (Whether later pairs are told apart from others would be
    cheaper to ask, but on a thousand pairs it is noise.) Raises InputError at a loss that is not finite.
    """
    steps, epoch = trainer.config.steps, trainer.config.epoch
    if resumed is None:
        best: Tensors = trainer.weights()
        history: History = {"records": [], "validation": []}
        _validate(history, evaluator, vectors, 0)
    else:
        state, best, history = resumed
        if "best_step" in history:
            return best, history
        trainer.restore(state)
        log.info("finetune: pairs: going on after step %s of %s", len(history["records"]), steps)
    for done in range(len(history["records"]) + 1, steps + 1):
        if exhausted(history["validation"], patience):
            log.info("finetune: pairs: stopped early after step %s", done - 1)
            break
        history["records"].append(trainer.step(done - 1))
        if done % 10 == 0 or done == steps:
            _tell(history["records"][-1], steps)
        if done % epoch == 0 or done == steps:
            vectors = trainer.vectors()
            _validate(history, evaluator, vectors, done)
            if best_validation(history["validation"])["step"] == done:
                best = trainer.weights()
            trainer.mine(vectors)
        if done < steps and (done % checkpoint_every == 0 or done % epoch == 0):
            save(trainer.state(), best, history)
    history["num_steps"] = len(history["records"])
    history["best_step"] = best_validation(history["validation"])["step"]
    save({}, best, history)
    return best, history


def _validate(history: History, evaluator: Evaluator, vectors: np.ndarray, step: int) -> None:
    ndcg = mean_ndcg(evaluator.plain(vectors))
    history["validation"].append({"step": step, "ndcg@10": round(criterion(ndcg), 6)} | ndcg)
    figures = ", ".join(f"{task} {ndcg[task]:.4f}" for task in TASKS)
    log.info("finetune: pairs: step %s, plain ndcg@10: %s", step, figures)


def _tell(record: dict[str, float], steps: int) -> None:
    log.info(
        "finetune: pairs: step %s of %s, loss %.3f, rate %.2g", record["step"], steps, record["loss"], record["lr"]
    )
