"""The first part of `finetune` where the encoder itself learns: contrastive training on pairs of texts.

The towers come after it, on the vectors of the encoder that it leaves.
"""

import logging
from typing import Any

import numpy as np
import torch
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.encoding.encoder import Encoder, log_progress
from nightmarket.encoding.ranks import Ranks
from nightmarket.histories.calendar import weeks_ending
from nightmarket.retrieval.pairs.adapters import Learner, Method
from nightmarket.retrieval.pairs.fitting import History, fit
from nightmarket.retrieval.pairs.sampling import PairSampler, bought_together
from nightmarket.retrieval.pairs.training import PairConfig, PairData, PairTrainer, encode_all
from nightmarket.retrieval.quality import Evaluator
from tasks.files.checkpoints import Checkpoint
from tasks.files.prepared import Prepared
from tasks.pipeline.settings import StageSettings

log = logging.getLogger("nightmarket")

Tensors = dict[str, np.ndarray]
State = tuple[Tensors, Tensors, History]


class PairSettings(StageSettings):
    """Contrastive training of the encoder; what is not here is as in `finetune`."""

    steps: int = Field(600, ge=1, le=1_000_000, description="training steps")
    batch_size: int = Field(128, ge=2, le=65536, description="pairs of a step")
    learning_rate: float = Field(2e-5, gt=0, description="of AdamW; adapters want about ten times as much")
    temperature: float = Field(0.05, gt=0, le=10, description="cosines are divided by it")
    hard_negatives: int = Field(1, ge=0, le=16, description="mined texts beside each pair; 0 mines none")
    epoch: int = Field(
        200, ge=1, description="steps after which all texts are encoded, to judge the encoder and mine hard negatives"
    )
    chunk: int = Field(512, ge=1, description="texts that go through the encoder at once; lower it where memory ends")
    average: float | None = Field(None, gt=0, lt=1, description="decay of a moving average of the weights; null: none")
    lora_rank: int = Field(16, ge=1, le=1024, description="rank of the adapters")
    lora_alpha: int = Field(32, ge=1, description="the adapters' part is multiplied by lora_alpha / lora_rank")


def learn(
    settings: Any,
    encoder: Encoder,
    frozen: np.ndarray,
    dtype: torch.dtype,
    data: Prepared,
    checkpoint: Checkpoint,
    ranks: Ranks,
) -> tuple[Encoder | None, np.ndarray, History]:
    """The trained encoder, vectors float32 [T, D] of all texts by it, and how training went.

    settings  of `finetune`
    frozen    float32 [T, D] of all texts by the encoder before training
    encoder   in float32; its copy is trained
    dtype     precision of matrix products, and of the encoder that is given back

    The encoder is None, and the vectors are empty, where nothing was there to learn from or nothing got better.
    """
    material = _material(settings, encoder, data)
    if not material.sampler.usable:
        log.info("finetune: pairs: nobody bought two products within the horizon before the cut; nothing is trained")
        return None, np.zeros((0, 0), np.float32), {"num_steps": 0, "best_step": 0, "note": "nothing to learn from"}
    chosen: PairSettings = settings.pairs
    method: Method = settings.method
    learner = Learner(encoder, method, dtype, chosen.lora_rank, chosen.lora_alpha, settings.seed)
    both = settings.model_dump() | chosen.model_dump()
    config = PairConfig(**{name: both[name] for name in PairConfig.__dataclass_fields__})
    trainer = PairTrainer(config, learner, material, data.texts, ranks)
    try:
        best, history = fit(
            trainer,
            Evaluator(data.histories, data.text_id, data.recommendable, data.windows.finetune),
            frozen,
            checkpoint_every=settings.checkpoint_every,
            patience=settings.patience,
            save=lambda *state: save(checkpoint, state) if ranks.first else None,
            resumed=load(checkpoint),
        )
    except InputError:
        checkpoint.remove()
        raise
    if not history["best_step"]:
        return None, np.zeros((0, 0), np.float32), history
    trained = learner.plain(best)
    vectors = encode_all(trained, data.texts, ranks, log_progress(log, "finetune: trained encoder"))
    return trained, vectors.astype(np.float16).astype(np.float32), history


def save(checkpoint: Checkpoint, state: State) -> None:
    """Keep what training depends on, the best weights, and the history."""
    now, best, history = state
    tensors = {f"state/{name}": value for name, value in now.items()}
    checkpoint.save(tensors | {f"best/{name}": value for name, value in best.items()}, history)


def load(checkpoint: Checkpoint) -> State | None:
    """What `save` was given last."""
    saved = checkpoint.load()
    if saved is None:
        return None
    tensors, history = saved
    parts: dict[str, Tensors] = {"state": {}, "best": {}}
    for name, value in tensors.items():
        kind, rest = name.split("/", 1)
        parts[kind][rest] = value
    return parts["state"], parts["best"], history


def _material(settings: Any, encoder: Encoder, data: Prepared) -> PairData:
    """Pairs until the finetune window's cut; nothing later is learned from."""
    window = data.windows.finetune
    weeks = -(-window.days // 7)
    past = data.histories.until(window.cut)
    first = int(weeks_ending(past.day, window.cut).min(initial=window.cut)) + settings.min_history
    return PairData(
        encoder.tokenize(data.texts),
        data.text_kinds,
        bought_together(past, data.text_id, window.cut, weeks),
        PairSampler(past, data.text_id, window.cut, first, weeks),
    )
