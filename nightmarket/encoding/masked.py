"""Domain pre-training: an encoder goes on reading, on the retailer's own texts, by masked language modelling.

Shapes: B texts of a batch, L tokens of a text, M masked tokens, D width of the model, E width of its word embeddings,
V words of its vocabulary.

Of a text's tokens 15% are to be guessed, each drawn by itself: 80% of these are shown as the mask, 10% as a random
word, 10% as they are (Devlin et al., 2019). Single tokens, not whole words: Chinese has none without a segmenter.
Sentence encoders ship without the head that guesses. It starts here as an identity over the word embeddings and is
first fitted alone, for `head_steps`, so that it does not drag the body along; what the body gained is counted from
there. The word embeddings stay: training would push away every word that the retailer's texts lack, and a search
query may hold one.
"""

import copy
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Int64s
from nightmarket.encoding.device import choose_device, choose_dtype, fast_bfloat16
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.hashes import text_hashes
from nightmarket.encoding.training import rate, restore, state_of

log = logging.getLogger("nightmarket")

Tensors = dict[str, NDArray]
History = dict[str, Any]
Saved = tuple[Tensors, History]
Save = Callable[[Tensors, History], None]
TOKENS_PER_PART = 4096
"""Padded tokens of a part of a batch: bounds the memory of what is kept for the gradient and of the M x V logits."""


@dataclass(frozen=True)
class MaskingConfig:
    """How to train; every field is a key of the section `pretrain` and explained there."""

    seed: int
    steps: int
    head_steps: int
    batch_size: int
    masked_share: float
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    warmup_share: float
    clip_norm: float


@dataclass(frozen=True)
class PretrainStep:
    """One step: its number from 1 (the head's first), mean loss per masked token in nats, rate of the body."""

    step: int
    loss: float
    lr: float


@dataclass(frozen=True)
class MaskedPart:
    """A padded part of a batch.

    tokens, attention  int64 [B, L]  what the model sees; attention is 0 on padding
    places, words      int64 [M]     masked places in the flattened part, and the words that stood there
    """

    tokens: Tensor
    attention: Tensor
    places: Tensor
    words: Tensor


class LanguageModelHead(nn.Module):
    """BERT's head: transform, GELU, layer norm, then the word embeddings [V, E] as weights and a bias per word."""

    def __init__(self, dim: int, embeddings: Tensor, counts: Int64s) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, embeddings.shape[1])
        self.norm = nn.LayerNorm(embeddings.shape[1])
        # The log of each word's share, one added to each count: what is known before any context is read.
        share = (counts + 1) / (counts + 1).sum()
        self.bias = nn.Parameter(torch.from_numpy(np.log(share).astype(np.float32)))
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, hidden: Tensor, embeddings: Tensor) -> Tensor:
        """Logits [M, V] of hidden states [M, D]."""
        return functional.linear(self.norm(functional.gelu(self.dense(hidden))), embeddings, self.bias.to(hidden.dtype))


class Pretrainer:
    """Body, head and optimiser; `step` moves them, `state` and `restore` keep and resume them bit for bit.

    encoder    stays as it is; its network is copied in float32, without dropout
    texts      the retailer's; by their hash a twentieth (at most 512) is held out and never trained on
    precision  of matrix products: float32, bfloat16 (autocast), or auto

    Raises InputError for an encoder that has no mask token, or fewer than 20 texts.
    """

    def __init__(self, encoder: Encoder, texts: Sequence[str], config: MaskingConfig, precision: str = "auto") -> None:
        tokenizer = encoder.tokenizer
        if tokenizer.mask_token_id is None:
            raise InputError("this encoder's tokenizer has no mask token, so it cannot be pre-trained; set steps to 0")
        if len(texts) < 20:
            raise InputError(f"{len(texts)} texts are too few to pre-train on; set steps to 0")
        self.config, self.encoder = config, encoder
        self.device = choose_device()
        dtype = choose_dtype(precision, self.device)
        self.dtype = dtype if fast_bfloat16(self.device) or self.device.type == "cuda" else torch.float32
        self.body = copy.deepcopy(encoder.model).float().eval().to(self.device)
        self.words = self.body.get_input_embeddings().weight
        for name, parameter in self.body.named_parameters():
            parameter.requires_grad_(parameter is not self.words and not name.startswith("pooler."))
        self.ids = encoder.tokenize(texts)
        order = np.lexsort(text_hashes(texts).T[::-1])
        num_held_out = min(512, max(1, len(texts) // 20))
        self.held_out, self.rows = order[:num_held_out], order[num_held_out:]
        self.special = np.array(sorted(tokenizer.all_special_ids), dtype=np.int64)
        self.ordinary = np.setdiff1d(np.arange(len(self.words)), self.special)
        seen = np.concatenate([np.asarray(self.ids[row], dtype=np.int64) for row in self.rows])
        counts = np.bincount(seen[~np.isin(seen, self.special)], minlength=len(self.words))
        self.head = LanguageModelHead(int(self.body.config.hidden_size), self.words, counts).to(self.device)
        groups = [
            {"params": [p for p in self.body.parameters() if p.requires_grad], "base": config.learning_rate},
            {"params": list(self.head.parameters()), "base": config.head_learning_rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)

    @property
    def total_steps(self) -> int:
        """Steps of the head alone, and then of both."""
        return self.config.head_steps + self.config.steps

    def parts(self, rows: Int64s, rng: np.random.Generator) -> Iterator[MaskedPart]:
        """Texts of similar length together, masked; the draw depends on the texts and the generator alone."""
        rows = rows[np.argsort([len(self.ids[row]) for row in rows], kind="stable")[::-1]]
        start = 0
        while start < len(rows):
            most = max(1, TOKENS_PER_PART // max(1, len(self.ids[rows[start]])))
            yield self._mask([self.ids[row] for row in rows[start : start + most]], rng)
            start += most

    def _mask(self, ids: list[list[int]], rng: np.random.Generator) -> MaskedPart:
        lengths = np.array([len(row) for row in ids])
        attention = np.arange(lengths.max())[None, :] < lengths[:, None]
        tokens = np.full(attention.shape, self.encoder.tokenizer.pad_token_id or 0, dtype=np.int64)
        tokens[attention] = np.concatenate([np.asarray(row, dtype=np.int64) for row in ids])
        usable = attention & ~np.isin(tokens, self.special)
        chosen = usable & (rng.random(tokens.shape) < self.config.masked_share)
        words, way = tokens[chosen], rng.random(int(chosen.sum()))
        shown = np.where(way < 0.8, self.encoder.tokenizer.mask_token_id, words)
        shown = np.where(way >= 0.9, rng.choice(self.ordinary, len(words)), shown)
        tokens[chosen] = shown
        arrays = (tokens, attention.astype(np.int64), np.flatnonzero(chosen), words)
        return MaskedPart(*(torch.from_numpy(array).to(self.device) for array in arrays))

    def rows_of(self, step: int) -> Int64s:
        """Texts of a step (from 0): pass after pass over all that are not held out, each in an order of its own."""
        places = np.arange(step * self.config.batch_size, (step + 1) * self.config.batch_size)
        rounds = places // len(self.rows)
        orders = {r: np.random.default_rng([self.config.seed, 0, r]).permutation(self.rows) for r in np.unique(rounds)}
        return np.array([orders[r][place % len(self.rows)] for r, place in zip(rounds, places, strict=True)])

    def _guess(self, part: MaskedPart, *, learn: bool) -> tuple[Tensor, Tensor]:
        """Sum of the masked tokens' losses, and the logits [M, V]; the body gets a gradient if `learn`."""
        # On the CPU, attention by plain matrix products: its fused kernel takes half of the time in the backward pass.
        plain = sdpa_kernel(SDPBackend.MATH) if self.device.type == "cpu" else nullcontext()
        with plain, torch.autocast(self.device.type, torch.bfloat16, self.dtype == torch.bfloat16):
            with nullcontext() if learn else torch.no_grad():
                hidden = self.body(input_ids=part.tokens, attention_mask=part.attention).last_hidden_state
            # Only masked places meet the vocabulary: the projection is as dear as the body otherwise.
            logits = self.head(hidden.flatten(0, 1)[part.places], self.words)
        loss = functional.cross_entropy(logits.float(), part.words, reduction="sum")
        return loss, logits

    def held_out_loss(self) -> dict[str, float]:
        """Mean loss per masked token (nats) and share guessed right on the texts held out, masked once and for all."""
        loss, right, num = 0.0, 0, 0
        with torch.no_grad():
            for part in self.parts(self.held_out, np.random.default_rng([self.config.seed, 2])):
                part_loss, logits = self._guess(part, learn=False)
                right += int((logits.argmax(dim=-1) == part.words).sum())
                loss, num = loss + float(part_loss), num + len(part.words)
        return {"loss": round(loss / max(num, 1), 4), "right": round(right / max(num, 1), 4), "num_masked": num}

    def step(self, step: int) -> PretrainStep:
        """One update; `step` counts from 0, and the first `head_steps` move the head alone.

        Raises InputError when the loss or a gradient is not finite; the weights are then those of the step before.
        """
        config = self.config
        learn = step >= config.head_steps
        start, end = (config.head_steps, self.total_steps) if learn else (0, config.head_steps)
        warm = max(1, round(config.warmup_share * (end - start)))
        share = rate(step - start, end - start, warm)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * share
        parts = list(self.parts(self.rows_of(step), np.random.default_rng([config.seed, 1, step])))
        num = sum(len(part.words) for part in parts)
        if not num:
            return PretrainStep(step + 1, 0.0, 0.0)
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in parts:
            if not len(part.words):
                continue
            loss = self._guess(part, learn=learn)[0] / num
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        weights = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(weights, config.clip_norm)
        if not math.isfinite(total) or not bool(torch.isfinite(norm)):
            raise InputError(
                f"pretrain: the loss is not finite at step {step + 1} of {self.total_steps} "
                f"(learning rate {config.learning_rate:g}); lower it; nothing was written"
            )
        self.optimizer.step()
        return PretrainStep(step + 1, total, config.learning_rate * share if learn else 0.0)

    def trained(self) -> Encoder:
        """The encoder with the body as it is now, in float32; its pooling and settings are the old one's."""
        old = self.encoder
        prompts = (old.prompt, old.query_prompt)
        return Encoder(self.body, old.tokenizer, old.pooling, old.max_length, *prompts, cut=old.cut)

    def state(self) -> Tensors:
        """Everything that the next step depends on, as arrays."""
        modules = {"body": self.body, "head": self.head}
        tensors = {
            f"{k}/{n}": v.detach().cpu().numpy().copy() for k, m in modules.items() for n, v in m.state_dict().items()
        }
        return tensors | state_of(self.optimizer)

    def restore(self, tensors: Mapping[str, NDArray]) -> None:
        """Go on from what `state` gave."""
        weights: dict[str, dict[str, Tensor]] = {"body": {}, "head": {}}
        for name, value in tensors.items():
            kind, _, rest = name.partition("/")
            if kind in weights:
                weights[kind][rest] = torch.from_numpy(np.array(value))
        self.body.load_state_dict(weights["body"])
        self.head.load_state_dict(weights["head"])
        restore(self.optimizer, tensors)


def pretrain(trainer: Pretrainer, *, checkpoint_every: int, save: Save, resumed: Saved | None = None) -> History:
    """Train to the last step: {"records", "held_out": {"head": ..., "after": ...}, "num_steps", ...}.

    save     called as (state, history) every `checkpoint_every` steps
    resumed  what `save` was given; training goes on after it and ends with the same weights

    `held_out.head` is the loss when the head alone was fitted, `held_out.after` at the end. Raises InputError at a
    loss that is not finite.
    """
    history: History = {"records": [], "held_out": {}}
    if resumed is not None:
        trainer.restore(resumed[0])
        history = resumed[1]
        log.info("pretrain: going on after step %s of %s", len(history["records"]), trainer.total_steps)
    for done in range(len(history["records"]), trainer.total_steps):
        if done == trainer.config.head_steps:
            history["held_out"]["head"] = _evaluated(trainer, "the head alone fitted")
        record = trainer.step(done)
        history["records"].append(asdict(record))
        if record.step % 10 == 0:
            log.info("pretrain: step %s of %s, loss %.3f", record.step, trainer.total_steps, record.loss)
        if record.step % checkpoint_every == 0:
            save(trainer.state(), history)
    history["held_out"]["after"] = _evaluated(trainer, "at the end")
    sizes = {"num_trained": len(trainer.rows), "num_held_out": len(trainer.held_out)}
    return history | {"num_steps": len(history["records"])} | sizes


def _evaluated(trainer: Pretrainer, when: str) -> dict[str, float]:
    held_out = trainer.held_out_loss()
    log.info("pretrain: %s: held-out loss %.3f, %.1f%% right", when, held_out["loss"], 100 * held_out["right"])
    return held_out
