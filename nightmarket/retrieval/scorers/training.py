"""Training of a scorer: steps of AdamW over sampled customers, each at one past origin."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from nightmarket.contracts import InputError
from nightmarket.encoding.device import choose_device
from nightmarket.histories.calendar import date_of
from nightmarket.retrieval.scorers.config import ScorerConfig
from nightmarket.retrieval.scorers.loss import Logits, Wanted, softmax_of_new
from nightmarket.retrieval.scorers.material import EventTable, ScorerData, Vocabulary
from nightmarket.retrieval.scorers.past import Past, tensor
from nightmarket.retrieval.scorers.samples import Draw, ScorerSampler
from nightmarket.retrieval.scorers.scorer import Scorer, bank_of, config_of, kind_of, sizes_of
from nightmarket.retrieval.scorers.space import ItemSpace
from nightmarket.retrieval.scorers.terms import SideTerms, Trend

Progress = Callable[[int, int, float], None]
"""Called after each step with the step (from 1), the number of steps, and the loss."""


def fit(
    name: str,
    material: ScorerData,
    cut: int,
    config: ScorerConfig | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Scorer:
    """Train the scorer `name` on what was known at the end of the day `cut`.

    config  None: the scorer's defaults, `config_of(name)`

    The same seed, material and number of threads give the same scorer, on a CPU. Raises InputError at an unknown name,
    where the scorer needs text and there is none, where no origin has purchases after it, and at a loss that is not
    finite.
    """
    kind = kind_of(name)
    config = config_of(name) if config is None else config
    past = material.histories.until(cut)
    vocabulary = Vocabulary.learn(past, config.min_buyers)
    ledger = EventTable(material, vocabulary, cut)
    sampler = ScorerSampler(ledger, config, material.recommendable)
    if config.max_steps and not sampler.usable:
        raise InputError(
            f"scorers: no week up to {date_of(cut)} has purchases after it within {config.horizon} weeks; "
            "bring a longer history or lower the horizon"
        )
    device = choose_device()
    sizes = sizes_of(name, material, vocabulary)
    generator = torch.Generator().manual_seed(seed)
    space = kind.space(config, sizes)
    terms = SideTerms(config.repeats, config.trend)
    bank = bank_of(material, device)
    with torch.no_grad():
        space.start(generator, None if bank is None else bank.cpu())
        terms.start(generator)
    step = _Update(space.to(device), terms.to(device), bank, ledger, config, device)
    space.noise = torch.Generator(device).manual_seed(seed)
    space.train()
    for number in range(config.max_steps):
        loss = step(sampler.draw(seed, number), number, kind.loss)
        if progress is not None:
            progress(number + 1, config.max_steps, loss)
    space.eval()
    return Scorer(name, config, space, terms, ledger)


class _Update:
    """One update of the weights."""

    def __init__(
        self,
        space: ItemSpace,
        terms: SideTerms,
        bank: Tensor | None,
        ledger: EventTable,
        config: ScorerConfig,
        device: torch.device,
    ) -> None:
        self.space, self.terms, self.bank, self.ledger = space, terms, bank, ledger
        self.config, self.device = config, device
        self.trend = Trend(ledger)
        self.tables = [m.weight for m in space.modules() if isinstance(m, torch.nn.Embedding)]
        held = {id(p) for p in self.tables}
        self.parameters = [p for m in (space, terms) for p in m.parameters() if p.requires_grad]
        groups = [
            {"params": self.tables, "weight_decay": 0.0},
            {"params": [p for p in self.parameters if id(p) not in held], "weight_decay": config.weight_decay},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)

    def __call__(self, draw: Draw, number: int, loss_of: Callable[[Logits, Wanted], Tensor]) -> float:
        """The step `number`, from 0. Raises InputError when the loss or a gradient is not finite."""
        config = self.config
        warm = max(1, round(config.warmup_share * config.max_steps))
        share = (
            (number + 1) / warm
            if number < warm
            else 0.5 * (1 + math.cos(math.pi * (number - warm) / max(1, config.max_steps - warm)))
        )
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * share
        loss = self._loss(draw, loss_of)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for table in self.tables:
            # In the gradient, so that rows of rare items shrink to zero and those of frequent ones hardly.
            if table.grad is not None:
                table.grad.add_(table.detach(), alpha=config.table_decay)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, config.clip_norm)
        if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
            raise InputError(
                f"scorers: the loss is not finite at step {number + 1} of {config.max_steps} "
                f"(learning rate {config.learning_rate * share:g}); lower learning_rate"
            )
        self.optimizer.step()
        return float(loss.detach())

    def _loss(self, draw: Draw, loss_of: Callable[[Logits, Wanted], Tensor]) -> Tensor:
        past, device = draw.past, self.device
        pairs = past.pairs
        customers = self.space.customers(past, self.bank)
        vectors = self._items(draw.sampled, past.origin)
        trend = tensor(self.trend.features(draw.sampled, past.origin), device)
        dense = customers @ vectors.T + self.terms.of_customers(tensor(past.pace, device)) @ trend.T
        row = tensor(pairs.row, device)
        own = self._own(past, customers, row)
        among = np.isin(pairs.item, draw.sampled)
        mask = torch.zeros(dense.shape, dtype=torch.bool, device=device)
        mask[row[tensor(among, device)], tensor(np.searchsorted(draw.sampled, pairs.item[among]), device)] = True
        dense = dense.masked_fill(mask, -math.inf)
        log_q = tensor(draw.log_q, device)
        logits = Logits(dense + self.terms.of_items(trend), log_q, own, row)
        wanted = Wanted(
            tensor(draw.again, device),
            tensor(draw.again_weight, device),
            tensor(draw.new_row, device),
            tensor(np.searchsorted(draw.sampled, draw.new_item), device),
            tensor(draw.new_weight, device),
        )
        loss = loss_of(logits, wanted)
        if len(draw.hidden_row):
            column = tensor(np.searchsorted(draw.sampled, draw.hidden_item), device)
            shared = dense + self.terms.of_items(trend, hidden=True)
            loss = loss + self.config.hidden_weight * softmax_of_new(
                shared, log_q, tensor(draw.hidden_row, device), column
            )
        if self.config.launch_weight > 0 and self.space.reads_text and self.bank is not None and len(draw.launch_row):
            loss = loss + self.config.launch_weight * self._launch_loss(draw, customers)
        return loss

    def _own(self, past: Past, customers: Tensor, row: Tensor) -> Tensor:
        """(P,) scores of what each customer has bought: the term alone, or without it the scorer's."""
        items, place = np.unique(past.pairs.item, return_inverse=True)
        at = tensor(place, self.device)
        trend = tensor(self.trend.features(items, past.origin), self.device)
        if self.terms.repeats is not None:
            return self.terms.of_pairs(tensor(past.pairs.features, self.device), trend[at])
        vectors = self._items(items, past.origin).index_select(0, at)
        leaning = self.terms.of_customers(tensor(past.pace, self.device))
        left, right = torch.cat([customers, leaning], dim=1), torch.cat([vectors, trend[at]], dim=1)
        return (left.index_select(0, row) * right).sum(dim=1) + self.terms.of_items(trend)[at]

    def _launch_loss(self, draw: Draw, customers: Tensor) -> Tensor:
        """Softmax over all items that came on sale, which have no row of their own yet."""
        logits = customers @ self._items(draw.launched, draw.past.origin).T
        row = tensor(draw.launch_row, self.device)
        column = tensor(np.searchsorted(draw.launched, draw.launch_item), self.device)
        return (logits.logsumexp(dim=1)[row] - logits[row, column]).mean()

    def _items(self, items: np.ndarray, origin: int) -> Tensor:
        rows = tensor(self.ledger.rows(items, origin), self.device)
        return self.space.items(rows, tensor(self.ledger.text[items], self.device), self.bank)
