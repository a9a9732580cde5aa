"""A student with fewer layers learns to give the teacher's vectors (Hinton et al., 2015; Sanh et al., 2019).

Shapes: N texts, B texts of a batch, D width of a vector.
The student begins as the teacher without some of its layers; its token embeddings stay as they are, so that a token
that no text holds keeps the place that the teacher gave it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s, Int64s
from nightmarket.encoding import packed
from nightmarket.encoding.compression.prune import cut_to, renewed
from nightmarket.encoding.device import choose_dtype
from nightmarket.encoding.encoder import Encoder, Progress, Ticker
from nightmarket.encoding.training import rate as share_of_rate

_EVERY = 20


@dataclass(frozen=True)
class Schedule:
    """How long and how fast the student learns.

    steps          of AdamW;  batch_size  texts of a step
    learning_rate  at its highest, after `warmup_share` of the steps; then it falls to zero along a cosine
    """

    steps: int = 400
    batch_size: int = 192
    learning_rate: float = 3e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 17


def distil(
    start: Encoder,
    ids: Sequence[Sequence[int]],
    vectors: Float32s,
    schedule: Schedule,
    progress: Progress | None = None,
) -> tuple[Encoder, list[dict[str, Any]]]:
    """The trained student, and a record {step, loss, rate} per 20 steps; `start` is not changed.

    start     the student before training, in float32
    ids       token ids [N], each distinct text once;  vectors  [N, D] the teacher's, of unit length
    progress  called with texts seen

    Loss: mean of 1 - cos(student, teacher), half the squared distance of the unit vectors. The same seed gives the same
    weights on the same machine. Raises InputError where the loss is not finite.
    """
    network = copy.deepcopy(start.model).float().train()
    network.get_input_embeddings().requires_grad_(False)
    student = renewed(start, network)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed, others = ([p for p in trained if (p.ndim > 1) == is_matrix] for is_matrix in (True, False))
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.0)
    dtype = choose_dtype("auto", student.device)
    size = min(schedule.batch_size, len(ids))
    ticker = Ticker(schedule.steps * size, progress)
    records, losses = [], []
    for step in range(schedule.steps):
        rows = batch(len(ids), size, step, schedule.seed)
        wanted = torch.from_numpy(vectors[rows]).to(student.device)
        for group in optimizer.param_groups:
            group["lr"] = rate(schedule, step)
        with torch.autocast(student.device.type, dtype, dtype != torch.float32):
            given = packed.embed(student, [ids[row] for row in rows])
        loss = 1 - (cut_to(given.float(), student.dim) * wanted).sum(dim=1).mean()
        if not bool(torch.isfinite(loss)):
            raise InputError(f"the student's loss is not finite at step {step + 1}; lower the learning rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, schedule.clip_norm)
        optimizer.step()
        ticker.add(size)
        losses.append(float(loss.detach()))
        if (step + 1) % _EVERY == 0 or step + 1 == schedule.steps:
            records.append({"step": step + 1, "loss": float(np.mean(losses)), "rate": rate(schedule, step)})
            losses = []
    network.requires_grad_(True)
    student.model.eval()
    return student, records


def batch(num: int, size: int, step: int, seed: int) -> Int64s:
    """Rows of a step, drawn from (seed, step) alone: every text at most once per pass."""
    passed, place = divmod(step, num // size)
    return np.random.default_rng([seed, passed]).permutation(num)[place * size : (place + 1) * size]


def rate(schedule: Schedule, step: int) -> float:
    """Learning rate of a step: a line up, then a cosine down to zero."""
    warm = max(1, round(schedule.warmup_share * schedule.steps))
    return schedule.learning_rate * share_of_rate(step, schedule.steps, warm)
