"""Training with validation and early stopping, in a form that can be interrupted after any step.

The best weights are kept, those of the start included: an encoder that nothing improves stays as it was.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from nightmarket.encoding.encoder import Progress
from nightmarket.retrieval.quality import TASKS, Evaluator
from nightmarket.retrieval.training import Tensors, Trainer

log = logging.getLogger("nightmarket")

History = dict[str, Any]
Save = Callable[[Tensors, Tensors, History], None]


def eligible(validations: list[dict[str, float]], settle_step: int) -> list[dict[str, float]]:
    """The validations that may be kept: the start, and those with the vectors that the encoder really gives.

    In between, the bank mixes vectors of different ages of the encoder.
    """
    return [v for v in validations if v["step"] == 0 or v["step"] >= settle_step]


def criterion(ndcg: dict[str, float]) -> float:
    """What a validation is chosen by: products new to the customer, for which text is there, and repeats a little.

    Launches are reported and not chosen by: a window has too few of them to tell one validation from the next.
    """
    return ndcg["new"] + 0.1 * ndcg["all"]


def best_validation(validations: list[dict[str, float]]) -> dict[str, float]:
    """The best validation; of equals the first."""
    return max(validations, key=criterion)


def exhausted(validations: list[dict[str, float]], patience: int) -> bool:
    """Whether the last `patience` validations brought nothing better."""
    return len(validations) - 1 - validations.index(best_validation(validations)) >= patience


def mean_ndcg(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean per task over the customers concerned; 0 where there is none."""
    return {task: float(np.nanmean(v)) if not np.isnan(v).all() else 0.0 for task, v in values.items()}


def fit(
    trainer: Trainer,
    evaluator: Evaluator,
    rows: np.ndarray,
    *,
    validate_every: int,
    checkpoint_every: int,
    patience: int,
    save: Save,
    progress: Progress | None = None,
    resumed: tuple[Tensors, Tensors, History] | None = None,
) -> History:
    """Train to the last step or until patience ends; afterwards the trainer holds the best weights.

    rows      customers of the window that a validation looks at
    progress  called with the texts that are encoded when the towers settle
    save      called as (state, best weights, history) every `checkpoint_every` steps
    resumed   what `save` was given; training goes on after it

    Returns {"records", "validation", "num_steps", "best_step"}. Raises InputError at a loss that is not finite.
    """
    max_steps, settle = trainer.config.max_steps, trainer.settle_step
    history: History = {"records": [], "validation": []}
    best: Tensors = trainer.weights()
    if resumed is not None:
        state, best, history = resumed
        trainer.restore(state)
        log.info("finetune: going on after step %s of %s", len(history["records"]), max_steps)
    else:
        _validate(history, trainer, evaluator, rows, 0)
    for done in range(len(history["records"]) + 1, max_steps + 1):
        if exhausted(eligible(history["validation"], settle), patience):
            log.info("finetune: stopped early after step %s", done - 1)
            break
        history["records"].append(asdict(trainer.step(done - 1)))
        if done % 10 == 0 or done == max_steps:
            _tell(history["records"][-1], max_steps)
        if done == settle:
            trainer.settle(progress)
        if done % validate_every == 0 or done == max_steps:
            _validate(history, trainer, evaluator, rows, done)
            if best_validation(eligible(history["validation"], settle))["step"] == done:
                best = trainer.weights()
        if done % checkpoint_every == 0:
            save(trainer.state(), best, history)
    trainer.load_weights(best)
    history["num_steps"] = len(history["records"])
    history["best_step"] = best_validation(eligible(history["validation"], settle))["step"]
    return history


def _validate(history: History, trainer: Trainer, evaluator: Evaluator, rows: np.ndarray, step: int) -> None:
    """Append a validation."""
    ndcg = mean_ndcg(evaluator.towers(trainer.tower, trainer.bank.cpu().numpy(), rows))
    history["validation"].append({"step": step, "ndcg@10": round(criterion(ndcg), 6)} | ndcg)
    figures = ", ".join(f"{task} {ndcg[task]:.4f}" for task in TASKS)
    log.info("finetune: step %s, validation ndcg@10: %s", step, figures)


def _tell(record: dict[str, float], max_steps: int) -> None:
    log.info(
        "finetune: step %s of %s, loss %.3f, launch %.3f, rate %.2g",
        *(record["step"], max_steps, record["loss"], record["loss_launch"], record["lr"]),
    )
