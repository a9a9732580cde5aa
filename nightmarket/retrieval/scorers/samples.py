"""Training samples: customers at one past week, what they had bought, and what they bought next.

Shapes: B customers, R / N positives, S sampled items. Everything is drawn from (seed, step) alone.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nightmarket.contracts.arrays import Bools, Float32s, Int64s
from nightmarket.retrieval.recency import ranges
from nightmarket.retrieval.samples import log_inclusion
from nightmarket.retrieval.scorers.config import ScorerConfig
from nightmarket.retrieval.scorers.material import EventTable
from nightmarket.retrieval.scorers.past import Past


@dataclass(frozen=True)
class Draw:
    """One step's sample.

    again (R,)                 places among `past.pairs`
    new_row, new_item (N,)     customer of the batch, item on sale not bought before
    hidden_row, hidden_item    items that were bought before and are hidden from `past`
    launch_row, launch_item    items that came on sale within the horizon
    sampled (S,), log_q (S,)   items, ascending, with log chance to be in the sample
    launched                   all items that came on sale within the horizon, ascending
    """

    past: Past
    again: Int64s
    again_weight: Float32s
    new_row: Int64s
    new_item: Int64s
    new_weight: Float32s
    hidden_row: Int64s
    hidden_item: Int64s
    launch_row: Int64s
    launch_item: Int64s
    sampled: Int64s
    log_q: Float32s
    launched: Int64s


class ScorerSampler:
    """Draws from a ledger; its last target week is the ledger's origin."""

    def __init__(self, ledger: EventTable, config: ScorerConfig, recommendable: Bools | None) -> None:
        self.ledger, self.config = ledger, config
        self.recommendable = np.ones(ledger.num_items, bool) if recommendable is None else recommendable
        first = int(ledger.week.min()) if len(ledger.week) else ledger.origin
        last = ledger.origin - config.horizon
        self.origins = np.arange(max(min(first + config.min_history, last), first), last + 1)
        chance = np.exp2((self.origins - last) / config.origin_half_life)
        self.chance = chance / max(chance.sum(), 1e-9)
        self.origin_facts = lru_cache(maxsize=64)(self._origin_facts)

    @property
    def usable(self) -> bool:
        """Whether there is an origin with purchases after it."""
        return bool(len(self.origins)) and any(len(self.origin_facts(int(o))[0]) for o in self.origins)

    def _origin_facts(self, origin: int) -> tuple[Int64s, Bools, Float32s, Float32s]:
        """Customers with purchases in the horizon; which items are on sale; the share that each item has of the new
        purchases in the horizon, and of all (customer, item) pairs before."""
        ledger, num_items = self.ledger, self.ledger.num_items
        everyone = np.arange(ledger.num_customers)
        begin, end = ledger.ends(everyone, origin), ledger.ends(everyone, origin + self.config.horizon)
        after = (ledger.week > origin) & (ledger.week <= origin + self.config.horizon)
        on_sale = (ledger.first_week <= origin) & self.recommendable
        shares = []
        for lines in (after & ledger.first, (ledger.week <= origin) & ledger.first):
            counts = np.bincount(ledger.item[lines], minlength=num_items) * on_sale
            shares.append((counts / max(counts.sum(), 1)).astype(np.float32))
        return np.flatnonzero(end > begin), on_sale, shares[0], shares[1]

    def draw(self, seed: int, step: int) -> Draw:
        """A sample with at least one customer."""
        rng = np.random.default_rng([seed, step])
        config, ledger = self.config, self.ledger
        concerned: Int64s = np.zeros(0, np.int64)
        while not len(concerned):
            origin = int(rng.choice(self.origins, p=self.chance))
            concerned, on_sale, share_new, share_ever = self.origin_facts(origin)
        customers = np.sort(rng.choice(concerned, min(config.batch_size, len(concerned)), replace=False))
        hidden = self._hidden(Past(ledger, customers, origin), on_sale, rng)
        past = Past(ledger, customers, origin, hidden)
        event, owner = ranges(past.end, ledger.ends(customers, origin + config.horizon))
        key = np.setdiff1d(owner * ledger.num_items + ledger.item[event], hidden)
        row, item = key // ledger.num_items, key % ledger.num_items
        own = past.pairs.row * ledger.num_items + past.pairs.item
        bought = np.isin(key, own)
        new = ~bought & on_sale[item]
        launch = ~bought & ~on_sale[item] & self.recommendable[item]
        weight = np.where(bought, 1.0, config.new_weight) * (bought | new)
        total = np.bincount(row, weights=weight, minlength=len(customers))
        weight = (weight / np.sqrt(np.maximum(total[row], 1e-9))).astype(np.float32)
        sale = np.flatnonzero(on_sale)
        drawn = rng.choice(sale, min(config.random_items, len(sale)), replace=False)
        sampled = np.unique(np.concatenate([item[new], hidden % ledger.num_items, drawn]))
        num_new = int(new.sum())
        share = (num_new * share_new[sampled] + len(hidden) * share_ever[sampled]) / max(num_new + len(hidden), 1)
        first = ledger.first_week
        coming = (first > origin) & (first <= origin + config.horizon) & self.recommendable
        return Draw(
            past,
            np.searchsorted(own, key[bought]),
            weight[bought],
            row[new],
            item[new],
            weight[new],
            hidden // ledger.num_items,
            hidden % ledger.num_items,
            row[launch],
            item[launch],
            sampled,
            log_inclusion(share, num_new + len(hidden), len(drawn) / max(len(sale), 1)),
            np.flatnonzero(coming),
        )

    def _hidden(self, past: Past, on_sale: Bools, rng: np.random.Generator) -> Int64s:
        """Keys of an even share of the pairs."""
        if not self.config.hidden_share:
            return np.zeros(0, np.int64)
        key = np.unique(past.events[1] * self.ledger.num_items + self.ledger.item[past.events[0]])
        key = key[on_sale[key % self.ledger.num_items]]
        return key[rng.random(len(key)) < self.config.hidden_share]
