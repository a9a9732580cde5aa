"""Training samples: a customer at some past cut, what they had bought, and what they bought next.

Shapes: B customers of a batch, N purchase lines, T texts, S sampled candidate texts.
Everything is drawn from (seed, step) alone, so that a resumed run sees what an uninterrupted one sees.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s
from nightmarket.histories.histories import Histories
from nightmarket.retrieval.recency import ranges

_SPAN = 1 << 20  # above any day


@dataclass(frozen=True)
class Positives:
    """Positive pairs of one intent: customer of the batch, text, weight."""

    row: Int64s
    text: Int64s
    weight: Float32s

    def within(self, texts: Int64s) -> "Positives":
        """The pairs whose text is among `texts` (ascending)."""
        keep = np.isin(self.text, texts)
        return Positives(self.row[keep], self.text[keep], self.weight[keep])


@dataclass(frozen=True)
class TowerBatch:
    """customer, cut (B,); lines of their histories as (row in the table of texts, owner, age in weeks)."""

    customer: Int64s
    cut: Int64s
    line_text: Int64s
    line_owner: Int64s
    line_age: Int64s
    bought: Positives
    launched: Positives


class Sampler:
    """Draws batches from the histories up to a cut; nothing later is ever looked at.

    histories     already cut at `last_day`
    text_id       (I,) text of each item
    horizon       days after a cut that count as next
    min_history   weeks of data before the first cut

    The cuts lie a week apart; the days after the last of them end with `last_day`.
    """

    def __init__(
        self,
        histories: Histories,
        text_id: Int32s,
        last_day: int,
        horizon: int,
        min_history: int,
        recommendable: Bools | None = None,
    ) -> None:
        self.text = text_id[histories.item].astype(np.int64)
        self.day = histories.day.astype(np.int64)
        self.indptr = histories.indptr
        self.key = histories.customer.astype(np.int64) * _SPAN + self.day
        self.horizon = horizon
        newest = last_day - horizon
        weeks = (newest - int(self.day.min())) // 7 if len(self.day) else -1  # of history before the newest cut
        self.cuts = newest - 7 * np.arange(min(max(weeks - min_history, 0), weeks) + 1)[::-1]
        self.is_new = _first_time(histories)
        self.item_first = histories.first_days()
        self.line_first = self.item_first[histories.item].astype(np.int64)
        self.text_id = text_id
        self.num_texts = int(text_id.max(initial=-1)) + 1
        self.recommendable = np.ones(len(text_id), bool) if recommendable is None else recommendable
        new = np.bincount(self.text[self.is_new], minlength=self.num_texts).astype(np.float64)
        self.share = new / max(new.sum(), 1.0)
        self.buyers = np.flatnonzero(np.diff(self.indptr) > 0)

    @property
    def usable(self) -> bool:
        """Whether there is anything to learn: texts to tell apart, a cut with history before and purchases after."""
        apart = np.unique(self.text_id[self.recommendable]).size > 1
        return bool(apart and len(self.cuts) and len(self.buyers) and self.is_new.any())

    def unsold(self, cut: int) -> Float32s:
        """(T,) number of recommendable items of each text that nobody had bought by the cut."""
        items = self.recommendable & (self.item_first > cut)
        return np.bincount(self.text_id[items], minlength=self.num_texts).astype(np.float32)

    def on_sale(self, cut: int) -> Float32s:
        """(T,) number of recommendable items of each text that somebody had bought by the cut."""
        items = self.recommendable & (self.item_first <= cut)
        return np.bincount(self.text_id[items], minlength=self.num_texts).astype(np.float32)

    def batch(self, seed: int, step: int, size: int, repeat_weight: float) -> TowerBatch:
        """A batch of (customer, cut) pairs; `repeat_weight` is the weight of products bought before."""
        rng = np.random.default_rng([seed, step])
        customer = rng.choice(self.buyers, size)
        cut = rng.choice(self.cuts, size)
        begin = self.indptr[customer]
        middle = np.searchsorted(self.key, customer * _SPAN + cut, side="right")
        end = np.searchsorted(self.key, customer * _SPAN + cut + self.horizon, side="right")
        past, owner = ranges(begin, middle)
        after, row = ranges(middle, end)
        has_history = (middle > begin)[row]
        after, row = after[has_history], row[has_history]
        weight = np.where(self.is_new[after], 1.0, repeat_weight)
        launch = self.is_new[after] & (self.line_first[after] > cut[row])
        return TowerBatch(
            customer,
            cut,
            self.text[past],
            owner,
            (cut[owner] - self.day[past]) // 7,
            _weighted(row, self.text[after], weight * ~launch, size),
            _weighted(row, self.text[after], weight * launch, size),
        )

    def candidates(self, batch: TowerBatch, seed: int, step: int, num_random: int) -> tuple[Int64s, Float32s]:
        """Texts that a batch is trained on, ascending (S,), and log probability (S,) that each came into the sample.

        The sample is the batch's positives and `num_random` texts drawn evenly.
        """
        rng = np.random.default_rng([seed, step, 1])
        drawn = rng.choice(self.num_texts, min(num_random, self.num_texts), replace=False)
        chosen = np.unique(np.concatenate([batch.bought.text, batch.launched.text, drawn]))
        num_positives = len(batch.bought.text) + len(batch.launched.text)
        return chosen, log_inclusion(self.share[chosen], num_positives, len(drawn) / self.num_texts)


def log_inclusion(share: NDArray, num_positives: int, drawn: float) -> Float32s:
    """log probability that a text is in a sample of `num_positives` draws by popularity and an even draw.

        1 - (1 - drawn) (1 - share)^num_positives

    share  share of the positives that the text has, in [0, 1];  drawn  its chance in the even draw, in [0, 1]
    """
    outside = (1.0 - drawn) * np.power(1.0 - np.minimum(share, 1.0), num_positives)
    return np.log(np.maximum(1.0 - outside, 1e-12)).astype(np.float32)


def _first_time(histories: Histories) -> Bools:
    """(N,) whether a line is the customer's first of its item (the first line of the first day)."""
    pair = histories.customer.astype(np.int64) * max(histories.num_items, 1) + histories.item
    first = np.zeros(len(pair), bool)
    first[np.unique(pair, return_index=True)[1]] = True
    return first


def _weighted(row: Int64s, text: Int64s, weight: NDArray, size: int) -> Positives:
    """Positive pairs with weight; a customer with n of them counts as sqrt(n) customers with one."""
    keep = weight > 0
    row, text, weight = row[keep], text[keep], weight[keep]
    total = np.bincount(row, weights=weight, minlength=size)
    return Positives(row, text, (weight / np.sqrt(total[row])).astype(np.float32))
