"""Contrastive training of an encoder on pairs of texts, step by step, in a form that can be kept and resumed.

Shapes: U texts, D width of a vector.
A contrastive loss joins all texts of a batch, but reaches the encoder through their vectors alone. So the vectors are
made first, without a graph; the loss gives one gradient per vector; then each chunk of texts goes through the encoder
once more and takes its part back (Gao et al., 2021, "Scaling deep contrastive learning batch size under memory limited
setup", gradient caching). The gradients are those of the plain step, at the cost of a second forward pass.

Shapes: T texts, U distinct texts of a batch, B pairs, S candidates of a side, D width of a vector.
The loss is taken both ways, from anchors to positives and back, among the batch's texts of the other side (multiple
negatives: Henderson et al., 2017, "Efficient natural language response suggestion") and the hard negatives of each
anchor, every one corrected by the log of its chance to be there.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s
from nightmarket.encoding.encoder import Encoder, Progress, log_progress
from nightmarket.encoding.packed import embed
from nightmarket.encoding.ranks import Ranks, encode_shared
from nightmarket.encoding.training import rate, restore, state_of
from nightmarket.retrieval.loss import contrastive_loss
from nightmarket.retrieval.pairs.adapters import Learner
from nightmarket.retrieval.pairs.sampling import PairBatch, PairSampler, hard_negatives


class Average:
    """Moving average of parameters: kept = decay * kept + (1 - decay) * now, after each step.

    The decay of the first steps is smaller, min(decay, (1 + n) / (10 + n)) after n steps, so that the start is soon
    forgotten.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.kept = {name: value.detach().clone() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`, from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self.parameters.items():
            self.kept[name].lerp_(value, 1 - decay)

    def weights(self) -> dict[str, NDArray]:
        """Copies of the averages."""
        return {name: value.cpu().numpy().copy() for name, value in self.kept.items()}

    def load(self, weights: Mapping[str, NDArray]) -> None:
        """Put back what `weights` gave."""
        for name, value in self.kept.items():
            value.copy_(torch.from_numpy(np.array(weights[name])))


Ids = Sequence[Sequence[int]]


def backward(
    embed: Callable[[Ids], Tensor],
    ids: Ids,
    loss_of: Callable[[Tensor], Tensor],
    chunk: int,
    parameters: Iterable[Tensor],
    ranks: Ranks | None = None,
) -> Tensor:
    """The loss, its gradient added to the parameters behind `embed`.

    embed    vectors [U, D] of texts, differentiable, and up to rounding the same however texts are grouped
    loss_of  the loss of all vectors [U, D], a number
    chunk    texts that go through `embed` at once, at least 1; what lies within it needs no second pass
    ranks    every rank encodes its share of the texts, sees all vectors, and ends with the gradient of them all
    """
    ranks = ranks or Ranks()
    own = ranks.share(len(ids))
    mine = ids[own]
    parts = [mine[start : start + chunk] for start in range(0, len(mine), chunk)]
    kept = [embed(mine)] if len(parts) == 1 else None
    with torch.no_grad():
        done = [part.detach() for part in kept] if kept else [embed(part) for part in parts]
        vectors = everybody(torch.cat(done) if done else embed(mine), len(ids), ranks)
    vectors.requires_grad_()
    loss = loss_of(vectors)
    # Each rank holds the whole gradient of its own texts, so that the sum over ranks is wanted, not the mean.
    gradient = torch.autograd.grad(loss, vectors)[0][own] * ranks.size
    for number, part in enumerate(parts):
        again = kept[0] if kept else embed(part)
        again.backward(gradient[number * chunk : number * chunk + len(part)])  # type: ignore[no-untyped-call]
    ranks.average_gradients(parameters)
    return loss.detach()


def everybody(rows: Tensor, total: int, ranks: Ranks) -> Tensor:
    """[total, D] the rows of all ranks, each of which has made its share, on every rank."""
    if ranks.size == 1:
        return rows
    shares = [Ranks(rank, ranks.size).share(total) for rank in range(ranks.size)]
    sizes = [share.stop - share.start for share in shares]
    filler = rows.new_zeros(sizes[0] - len(rows), *rows.shape[1:])
    whole = ranks.all_gather(torch.cat([rows, filler])).detach()
    blocks = torch.split(whole, sizes[0])
    return torch.cat([block[:size] for block, size in zip(blocks, sizes, strict=True)])


log = logging.getLogger("nightmarket")

Tensors = dict[str, NDArray]
NUM_HARD = 16
"""Hard negatives that are kept per text; a step draws among them."""


@dataclass(frozen=True)
class PairConfig:
    """How to train; every field is a key of `finetune` or `finetune.pairs` and explained there."""

    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    temperature: float
    hard_negatives: int
    epoch: int
    chunk: int
    average: float | None
    weight_decay: float
    warmup_share: float
    clip_norm: float


@dataclass(frozen=True)
class PairData:
    """What is learned from.

    ids       token ids of each text (T)
    kind      (T,)  texts of one kind are never each other's hard negatives
    together  as `mining.bought_together` gives it
    sampler   pairs to learn from
    """

    ids: Sequence[Sequence[int]]
    kind: Int64s
    together: Any
    sampler: PairSampler


class PairTrainer:
    """Weights, optimiser, moving average and hard negatives of one run; all that the next step depends on."""

    def __init__(
        self, config: PairConfig, learner: Learner, material: PairData, texts: Sequence[str], ranks: Ranks | None = None
    ) -> None:
        self.config, self.learner, self.material, self.texts = config, learner, material, texts
        self.ranks = ranks or Ranks()
        self.device = learner.encoder.device
        self.hard: Int32s | None = None
        self.average = None if config.average is None else Average(learner.parameters, config.average)
        self.optimizer = torch.optim.AdamW(
            list(learner.parameters.values()), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def step(self, step: int) -> dict[str, float]:
        """One update; `step` counts from 0. Returns step (from 1), loss and learning rate.

        Raises InputError when the loss or a gradient is not finite; the weights are then those of the step before.
        """
        config = self.config
        warm = max(1, round(config.warmup_share * config.steps))
        lr = config.learning_rate * rate(step, config.steps, warm)
        self.optimizer.param_groups[0]["lr"] = lr
        batch = self.material.sampler.batch(config.seed, step, config.batch_size, self.hard, config.hard_negatives)
        if not len(batch.anchor):
            return {"step": step + 1, "loss": 0.0, "lr": lr}
        self.optimizer.zero_grad(set_to_none=True)
        weights = list(self.learner.parameters.values())
        ids = [self.material.ids[text] for text in batch.texts]
        loss = backward(self._embed, ids, lambda v: self._loss(v, batch), config.chunk, weights, self.ranks)
        norm = torch.nn.utils.clip_grad_norm_(weights, config.clip_norm)
        if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
            raise InputError(
                f"finetune: the loss of pairs is not finite at step {step + 1} of {config.steps} (learning rate "
                f"{lr:g}); lower finetune.pairs.learning_rate; nothing was written"
            )
        self.optimizer.step()
        if self.average is not None:
            self.average.update(step + 1)
        return {"step": step + 1, "loss": float(loss), "lr": lr}

    def vectors(self) -> Float32s:
        """[T, D] of all texts by the encoder as it is, to judge it by and to mine with."""
        progress = log_progress(log, "finetune: pairs: all texts")
        return encode_all(self.learner.plain(self.weights()), self.texts, self.ranks, progress)

    def mine(self, vectors: Float32s) -> None:
        """Choose the hard negatives of the next epoch by the vectors [T, D] of the last."""
        if not self.config.hard_negatives:
            return
        sampler, material = self.material.sampler, self.material
        anchors, positives = sampler.anchor_share > 0, sampler.positive_share > 0
        self.hard = hard_negatives(vectors, material.kind, material.together, anchors, positives, NUM_HARD)

    def weights(self) -> Tensors:
        """What `Learner.plain` makes an encoder of: the weights as they are, averaged where an average is kept."""
        return self.learner.weights() if self.average is None else self.average.weights()

    def state(self) -> Tensors:
        """Everything that the next step depends on, as arrays."""
        tensors = {f"weights/{name}": value for name, value in self.learner.weights().items()}
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in self.average.weights().items()}
        if self.hard is not None:
            tensors["hard"] = self.hard
        return tensors | state_of(self.optimizer)

    def restore(self, tensors: Mapping[str, NDArray]) -> None:
        """Go on from what `state` gave."""
        self.learner.load(_under("weights/", tensors))
        if self.average is not None:
            self.average.load(_under("average/", tensors))
        self.hard = tensors.get("hard")
        restore(self.optimizer, tensors)

    def _embed(self, ids: Sequence[Sequence[int]]) -> Tensor:
        dtype = self.learner.dtype
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            return embed(self.learner.encoder, ids).float()

    def _loss(self, vectors_UD: Tensor, batch: PairBatch) -> Tensor:
        """Mean of both directions; hard negatives stand among the candidates of their own anchor alone."""
        as_anchor, as_positive = self.material.sampler.log_chance(batch.texts, self.config.batch_size)
        there = self._side(vectors_UD, batch, batch.anchor, batch.positive, as_positive, batch.hard)
        none = np.zeros((len(batch.anchor), 0), dtype=np.int64)
        return (there + self._side(vectors_UD, batch, batch.positive, batch.anchor, as_anchor, none)) / 2

    def _side(
        self, vectors_UD: Tensor, batch: PairBatch, rows: Int64s, wanted: Int64s, log_chance: Float32s, hard: Int64s
    ) -> Tensor:
        """One direction: `rows` (B,) look for `wanted` (B,), each among all wanted texts and its own hard ones."""
        columns, log_q, offset = candidates(
            PairBatch(batch.texts, rows, wanted, hard), log_chance, self.config.hard_negatives / NUM_HARD
        )
        row, column, log_q_S, offset_BS = (
            torch.from_numpy(array).to(self.device) for array in (rows, columns, log_q, offset)
        )
        return contrastive_loss(
            vectors_UD[row],
            vectors_UD[column],
            log_q_S,
            torch.tensor(self.config.temperature, device=self.device),
            torch.arange(len(rows), device=self.device),
            torch.from_numpy(np.searchsorted(columns, wanted)).to(self.device),
            torch.ones(len(rows), device=self.device),
            offset_BS,
        )


def candidates(batch: PairBatch, log_chance: Float32s, share: float) -> tuple[Int64s, Float32s, Float32s]:
    """Candidate texts (S,), log chance of each to be there for everybody (S,), and what a pair adds to a logit (B, S).

    log_chance  (U,)  that a text is among the positives of the batch
    share       of an anchor's hard negatives that a step draws, in [0, 1]

    A hard negative stands among the candidates of its own anchor alone. There its chance is that of either way in:
    1 - (1 - chance) (1 - share).
    """
    shared = np.unique(batch.positive)
    columns = np.unique(np.concatenate([shared, batch.hard[batch.hard >= 0]]))
    everybody_sees = np.isin(columns, shared)
    log_q = np.where(everybody_sees, log_chance[columns], 0.0).astype(np.float32)
    out = known(batch, columns)
    offset = np.where(out | ~everybody_sees[None, :], -np.inf, 0.0).astype(np.float32)
    row, place = np.nonzero(batch.hard >= 0)
    column = np.searchsorted(columns, batch.hard[row, place])
    either = np.log(1.0 - (1.0 - np.exp(log_chance[columns[column]])) * (1.0 - share) + 1e-12)
    kept = ~out[row, column]
    offset[row[kept], column[kept]] = (log_q[column] - either)[kept]
    return columns, log_q, offset


def known(batch: PairBatch, columns: Int64s) -> Bools:
    """(B, S) whether a candidate is the anchor's own text, or another positive of the same anchor in the batch."""
    anchors, which = np.unique(batch.anchor, return_inverse=True)
    place = np.searchsorted(columns, batch.positive)
    table = anchors[:, None] == columns[None, :]
    table[which, place] = True
    mask: Bools = table[which]
    mask[np.arange(len(place)), place] = False
    return mask


def encode_all(encoder: Encoder, texts: Sequence[str], ranks: Ranks, progress: Progress | None = None) -> Float32s:
    """Unit vectors [T, D] of texts; every rank encodes its share and has them all."""
    encoded = encode_shared(encoder, texts, ranks, progress)
    return ranks.agree(np.zeros((0, encoder.dim), np.float32) if encoded is None else encoded)


def _under(prefix: str, tensors: Mapping[str, NDArray]) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
