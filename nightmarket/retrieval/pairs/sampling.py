"""Pairs of texts for contrastive training, and hard negatives: near texts that are no positive.

Shapes: N purchase lines, B pairs of a batch, T texts, U distinct texts of a batch, H hard negatives of a pair,
D width of a vector, K hard negatives of a text.
Everything is drawn from (seed, step) alone, so that a resumed run sees what an uninterrupted one sees.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from nightmarket.histories.calendar import weeks_ending
from nightmarket.histories.histories import Histories
from nightmarket.retrieval.samples import log_inclusion

DAMPING = 0.5
"""Power of a text's number of first purchases that its chance to be drawn loses: a text bought 100 times as often is
drawn 10 times as often. The loss corrects for the chances that result."""

_SPAN = 1 << 20  # above any week number


@dataclass(frozen=True)
class PairBatch:
    """Pairs as rows of `texts`, so that a text that stands in many pairs is encoded once.

    texts             (U,)    distinct texts, ascending
    anchor, positive  (B,)    rows of `texts`
    hard              (B, H)  rows of `texts`; -1 where a pair has fewer
    """

    texts: Int64s
    anchor: Int64s
    positive: Int64s
    hard: Int64s


class PairSampler:
    """Draws pairs from histories; the caller has cut them, nothing later is ever looked at.

    text_id  (I,)  text of each item
    cut      the last day of a week; weeks are counted from there
    first    first week whose purchases can be positives: earlier, everything would seem new to a customer
    horizon  weeks before a positive in which its anchors lie; products of the same day, basket mates, are anchors too

    anchor_share, positive_share (T,)  chance that the anchor, or the positive, of a pair is this text; each sums to 1
    """

    def __init__(self, histories: Histories, text_id: Int32s, cut: int, first: int, horizon: int) -> None:
        self.num_texts = int(text_id.max(initial=-1)) + 1
        self.text = text_id[histories.item].astype(np.int64)
        week = weeks_ending(histories.day, cut).astype(np.int64)
        customer = histories.customer.astype(np.int64)
        lines = np.flatnonzero(_new_texts(customer, self.text, self.num_texts) & (week >= first))
        by_week = customer * _SPAN + week
        by_day = customer * _SPAN + (histories.day - histories.day.min(initial=0))
        begin = np.searchsorted(by_week, by_week[lines] - horizon)
        end = np.searchsorted(by_day, by_day[lines], side="right")
        accompanied = end - begin > 1
        self.line, self.begin, self.end = lines[accompanied], begin[accompanied], end[accompanied]
        number = np.bincount(self.text[self.line], minlength=self.num_texts)
        weight = number[self.text[self.line]] ** -DAMPING if len(self.line) else np.zeros(0)
        self.chance = weight / max(weight.sum(), 1e-12)
        self.cumulative = np.cumsum(self.chance)
        self.positive_share = np.bincount(self.text[self.line], self.chance, self.num_texts)
        self.anchor_share = self._anchor_share()

    @property
    def usable(self) -> bool:
        """Whether there is a pair to learn from."""
        return bool(len(self.line))

    def batch(self, seed: int, step: int, size: int, hard: Int32s | None, num_hard: int) -> PairBatch:
        """`size` pairs, less those of a text with itself.

        hard  [T, K] texts that are hard to tell from each text's positives, -1 where there are fewer; None without
        """
        rng = np.random.default_rng([seed, step, 3])
        at = np.searchsorted(self.cumulative, rng.random(size) * self.cumulative[-1], side="right")
        at = np.minimum(at, len(self.line) - 1)
        line, begin, end = self.line[at], self.begin[at], self.end[at]
        mate = begin + np.floor(rng.random(size) * (end - begin - 1)).astype(np.int64)
        mate += mate >= line
        anchor, positive = self.text[mate], self.text[line]
        differ = anchor != positive
        anchor, positive = anchor[differ], positive[differ]
        drawn = np.full((len(anchor), 0), -1, dtype=np.int64)
        if hard is not None and num_hard:
            among = np.argsort(rng.random((size, hard.shape[1])), axis=1)[differ, : min(num_hard, hard.shape[1])]
            drawn = np.take_along_axis(hard[anchor].astype(np.int64), among, axis=1)
            drawn[drawn == positive[:, None]] = -1
        texts = np.unique(np.concatenate([anchor, positive, drawn[drawn >= 0]]))
        rows = np.where(drawn >= 0, np.searchsorted(texts, drawn), -1)
        return PairBatch(texts, np.searchsorted(texts, anchor), np.searchsorted(texts, positive), rows)

    def log_chance(self, texts: Int64s, size: int) -> tuple[Float32s, Float32s]:
        """log probability that each text (U,) is among the anchors, and among the positives, of `size` pairs."""
        anchors = log_inclusion(self.anchor_share[texts], size, 0.0)
        return anchors, log_inclusion(self.positive_share[texts], size, 0.0)

    def _anchor_share(self) -> Float64s:
        """Every line of a positive's span but itself has the same chance: a sum of steps over the lines."""
        part = self.chance / np.maximum(self.end - self.begin - 1, 1)
        steps = np.zeros(len(self.text) + 1)
        np.add.at(steps, self.begin, part)
        np.subtract.at(steps, self.end, part)
        each = np.cumsum(steps)[:-1]
        np.subtract.at(each, self.line, part)
        return np.bincount(self.text, np.maximum(each, 0.0), self.num_texts).astype(np.float64)


def _new_texts(customer: Int64s, text: Int64s, num_texts: int) -> Bools:
    """(N,) whether a line is the customer's first of its text."""
    first = np.zeros(len(text), bool)
    first[np.unique(customer * max(num_texts, 1) + text, return_index=True)[1]] = True
    return first


_CHUNK = 512


def bought_together(
    histories: Histories, text_id: Int32s, cut: int, horizon: int
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """(T, S) and (S, T): their product is above 0 where somebody bought the second text with or after the first.

    A sitting, of which there are S, is a customer's `horizon` weeks; "after" is the next one.
    """
    num_texts = int(text_id.max(initial=-1)) + 1
    text = text_id[histories.item].astype(np.int64)
    week = weeks_ending(histories.day, cut)
    period = (week - week.min(initial=0)).astype(np.int64) // horizon
    num_periods = int(period.max(initial=0)) + 2
    sitting = histories.customer.astype(np.int64) * num_periods + period
    shape = (histories.num_customers * num_periods, num_texts)
    ones = np.ones(len(text), np.float32)
    bought = sparse.csr_matrix((ones, (sitting, text)), shape=shape)
    before = sparse.csr_matrix((ones, (np.maximum(sitting - 1, 0), text)), shape=shape)
    return bought.T.tocsr(), (bought + before).tocsr()


def hard_negatives(
    vectors: Float32s,
    kind: Int64s,
    together: tuple[sparse.csr_matrix, sparse.csr_matrix],
    anchors: Bools,
    candidates: Bools,
    num: int,
) -> Int32s:
    """[T, num] the nearest texts of each anchor, nearest first; -1 where there are fewer, and for other texts.

    vectors     [T, D] unit vectors by the encoder as it is
    kind        (T,)   texts of one kind are duplicates in all but size or brand, never each other's hard negatives
    together    of `bought_together`: a text that somebody bought with or after the anchor is a positive
    candidates  (T,)   texts that are positives of some anchor; others would only ever be pushed away
    """
    negatives = np.full((len(vectors), num), -1, dtype=np.int32)
    among = np.flatnonzero(candidates)
    asked = np.flatnonzero(anchors)
    first, second = together[0], together[1][:, among]
    table = torch.from_numpy(vectors[among])
    most = min(num, len(among))
    for start in range(0, len(asked) if most else 0, _CHUNK):
        rows = asked[start : start + _CHUNK]
        scores = torch.from_numpy(vectors[rows]) @ table.T
        positive = (first[rows] @ second).toarray() > 0
        out = positive | (kind[rows][:, None] == kind[among][None, :])
        scores[torch.from_numpy(out)] = -torch.inf
        value, place = scores.topk(most, dim=1)
        nearest = among[place.numpy()].astype(np.int32)
        negatives[rows, :most] = np.where(np.isfinite(value.numpy()), nearest, -1)
    return negatives
