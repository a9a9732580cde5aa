"""Training of the towers and of the encoder's top layers, step by step, from records that can be kept and resumed.

Shapes: T texts, D width of a text vector, B customers of a batch, S candidate texts.
Customers are built from a bank of text vectors. In some steps the candidates are texts that are encoded anew ("live"):
through them the loss reaches the encoder. Then the encoder stays as it is, all texts are encoded by it, and the towers
settle on these vectors.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s, Int64s
from nightmarket.encoding.device import fast_bfloat16
from nightmarket.encoding.encoder import Progress
from nightmarket.encoding.layers import Hidden, TopLayers, re_encode
from nightmarket.encoding.training import rate, restore, state_of
from nightmarket.retrieval.loss import contrastive_loss
from nightmarket.retrieval.recency import pooled
from nightmarket.retrieval.samples import Positives, Sampler, TowerBatch
from nightmarket.retrieval.tower import INTENTS, Tower

Tensors = dict[str, NDArray]


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; every field is a key of the section `finetune` and explained there."""

    seed: int
    max_steps: int
    batch_size: int
    live_texts: int
    live_every: int
    encoder_share: float
    random_texts: int
    learning_rate: float
    encoder_learning_rate: float
    weight_decay: float
    warmup_share: float
    clip_norm: float
    repeat_weight: float
    launch_weight: float


@dataclass(frozen=True)
class TowerStep:
    """One step: its number from 1, loss per intent (0 where the batch had no such target), learning rate."""

    step: int
    loss: float
    loss_launch: float
    lr: float


class Trainer:
    """Weights, optimiser and bank; `step` moves them, `state` and `restore` keep and resume them bit for bit.

    bank     float32 [T, D]  vectors of all texts by the encoder as it is before the first step; copied
    top      None trains the towers alone
    hidden   what the frozen layers give; needed with `top`
    centred  whether the tower knows its centre, because it was trained before; otherwise the bank's mean is taken
    """

    def __init__(
        self,
        config: TrainingConfig,
        tower: Tower,
        sampler: Sampler,
        bank: Float32s,
        device: torch.device,
        dtype: torch.dtype,
        top: TopLayers | None = None,
        hidden: Hidden | None = None,
        *,
        centred: bool = False,
    ) -> None:
        self.config, self.sampler, self.device, self.hidden = config, sampler, device, hidden
        self.dtype = dtype if fast_bfloat16(device) or device.type == "cuda" else torch.float32
        self.tower = tower.to(device)
        self.top = None if top is None else top.to(device)
        self.bank = torch.from_numpy(bank.astype(np.float32)).to(device).clone()
        if not centred:
            with torch.no_grad():
                self.tower.centre.copy_(self.bank.mean(dim=0))
        groups = [{"params": [p for p in self.tower.parameters() if p.requires_grad], "base": config.learning_rate}]
        if self.top is not None:
            groups.append({"params": list(self.top.parameters()), "base": config.encoder_learning_rate})
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.offsets = _Offsets(sampler, device)
        # Compiled kernels pay on CUDA alone; on the CPU compiling takes longer than the training.
        self._encode = None if self.top is None else self.top.encode
        if self.top is not None and device.type == "cuda":
            self.top.forward = torch.compile(self.top.forward, dynamic=True)  # type: ignore[method-assign]

    @property
    def settle_step(self) -> int:
        """Steps after which the encoder stays as it is and the towers settle on its vectors; 0 without an encoder."""
        return round(self.config.encoder_share * self.config.max_steps) if self.top is not None else 0

    def learning_rate(self, step: int, total: int | None = None) -> float:
        """Share of the base rate at a step (from 0): linear warm-up, then a cosine to zero at `total`."""
        warm = max(1, round(self.config.warmup_share * self.config.max_steps))
        return rate(step, self.config.max_steps if total is None else total, warm)

    def is_live(self, step: int) -> bool:
        """Whether the encoder learns in a step: every `live_every`-th, once the towers are warm, until they settle."""
        warm = round(self.config.warmup_share * self.config.max_steps)
        return (
            self.config.live_texts > 0
            and warm <= step < self.settle_step
            and (step - warm) % self.config.live_every == 0
        )

    def settle(self, progress: Progress | None = None) -> None:
        """Encode all texts by the trained encoder; from here on the bank holds its vectors, as they will be stored."""
        if self.top is None or self.hidden is None:
            return
        vectors = re_encode(self.top.merged(), self.hidden, self.top.num_frozen, progress)
        self.bank = torch.from_numpy(vectors.astype(np.float16).astype(np.float32)).to(self.device)

    def step(self, step: int) -> TowerStep:
        """One update; `step` counts from 0.

        Raises InputError when the loss or a gradient is not finite; the weights are then those of the step before.
        """
        config = self.config
        share = self.learning_rate(step)
        for group, total in zip(self.optimizer.param_groups, (config.max_steps, self.settle_step), strict=False):
            group["lr"] = group["base"] * self.learning_rate(step, total)
        batch = self.sampler.batch(config.seed, step, config.batch_size, config.repeat_weight)
        texts, log_q = self.sampler.candidates(batch, config.seed, step, config.random_texts)
        losses = self._losses(batch, texts, torch.from_numpy(log_q).to(self.device), step)
        loss = losses[0] + config.launch_weight * losses[1]
        if not loss.requires_grad:
            return TowerStep(step + 1, 0.0, 0.0, config.learning_rate * share)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        weights = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(weights, config.clip_norm)
        if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
            raise InputError(
                f"finetune: the loss is not finite at step {step + 1} of {config.max_steps} "
                f"(learning rate {config.learning_rate * share:g}); lower finetune.learning_rate or "
                "finetune.encoder_learning_rate; nothing was written"
            )
        self.optimizer.step()
        return TowerStep(step + 1, float(losses[0].detach()), float(losses[1].detach()), config.learning_rate * share)

    def _losses(self, batch: TowerBatch, texts: Int64s, log_q: Tensor, step: int) -> list[Tensor]:
        chosen = self._live(len(texts), step)
        if chosen is not None:
            texts, log_q = texts[chosen], log_q[torch.from_numpy(chosen).to(self.device)]
        index = torch.from_numpy(texts).to(self.device)
        sums, counts = pooled(self.bank, batch.line_text, batch.line_owner, batch.line_age, len(batch.customer))
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            vectors = self.bank[index] if chosen is None else self._encoded(texts)
            items = self.tower.embed_items(vectors).float()
            towers = [self.tower.embed_customers(sums, counts, intent).float() for intent in range(len(INTENTS))]
        losses = []
        for intent, positives in enumerate((batch.bought, batch.launched)):
            pairs = positives.within(texts)
            if not len(pairs.row):
                losses.append(torch.zeros((), device=self.device))
                continue
            offset = self.offsets.rows(intent, batch.cut, index)
            losses.append(self._loss(towers[intent], items, log_q, pairs, texts, offset))
        return losses

    def _live(self, num_texts: int, step: int) -> Int64s | None:
        """Places of the candidates that are encoded anew in this step, ascending; None where none are.

        An even draw: each candidate's chance shrinks by the same factor, so their log_q is right up to a constant. The
        loss is taken among them alone. Beside vectors from the bank, the encoder would learn to shift whatever is
        encoded anew, which is mostly what was bought.
        """
        if not self.is_live(step):
            return None
        rng = np.random.default_rng([self.config.seed, step, 2])
        return np.sort(rng.choice(num_texts, min(self.config.live_texts, num_texts), replace=False))

    def _encoded(self, texts: Int64s) -> Tensor:
        if self.top is None or self.hidden is None:
            raise AssertionError("a live step needs the encoder's top layers")
        return self.top.encode(self.hidden, texts, self.device).float()

    def _loss(
        self,
        customers: Tensor,
        items: Tensor,
        log_q: Tensor,
        positives: Positives,
        texts: Int64s,
        offset: Tensor,
    ) -> Tensor:
        temperature = self.tower.log_temperature.exp().clamp(min=0.01)
        row, column, weight = (
            torch.from_numpy(a).to(self.device)
            for a in (positives.row, np.searchsorted(texts, positives.text), positives.weight)
        )
        return contrastive_loss(customers, items, log_q, temperature, row, column, weight, offset)

    def weights(self) -> Tensors:
        """The tower's and the top layers' tensors."""
        tensors = {f"tower.{name}": value for name, value in self.tower.state_dict().items()}
        if self.top is not None:
            tensors |= {f"top.{name}": value for name, value in self.top.state_dict().items()}
        return {name: value.detach().cpu().numpy().copy() for name, value in tensors.items()}

    def load_weights(self, tensors: Mapping[str, NDArray]) -> None:
        """Put back what `weights` gave."""
        modules: list[tuple[str, torch.nn.Module | None]] = [("tower.", self.tower), ("top.", self.top)]
        for prefix, module in modules:
            if module is not None:
                own = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
                module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in own.items()})

    def state(self) -> Tensors:
        """Everything that the next step depends on, as arrays."""
        return self.weights() | {"bank": self.bank.cpu().numpy().copy()} | state_of(self.optimizer)

    def restore(self, tensors: Mapping[str, NDArray]) -> None:
        """Go on from what `state` gave."""
        self.load_weights(tensors)
        self.bank = torch.from_numpy(np.array(tensors["bank"])).to(self.device)
        restore(self.optimizer, tensors)


class _Offsets:
    """Log number of products that each text stands for at each cut: launches compete product by product.

    For products on sale a text counts once: of the products of one text, the popular one is shown.
    """

    def __init__(self, sampler: Sampler, device: torch.device) -> None:
        self.first = int(sampler.cuts[0]) if len(sampler.cuts) else 0
        on_sale = [sampler.on_sale(int(cut)) > 0 for cut in sampler.cuts]
        unsold = [sampler.unsold(int(cut)) for cut in sampler.cuts]
        with np.errstate(divide="ignore"):
            tables = [np.log(np.array(table, dtype=np.float32)) for table in (on_sale, unsold)]
        # A finite stand-in for log 0 keeps the loss finite where a positive's own text has no candidate left.
        self.tables = [torch.from_numpy(np.maximum(table, -30.0)).to(device) for table in tables]

    def rows(self, intent: int, cut: Int64s, texts: Tensor) -> Tensor:
        return self.tables[intent][:, texts][torch.from_numpy((cut - self.first) // 7).to(texts.device)]
