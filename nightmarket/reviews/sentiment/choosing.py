"""A model of sentiment, learnt from the shop's own ratings: labels, candidates, calibration and the choice by log-loss.

Shapes: N texts, F features.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float64s, Int64s
from nightmarket.evaluation.intervals import wilson
from nightmarket.reviews.documents import distinct, normalised
from nightmarket.reviews.sentiment import kinds, learners
from nightmarket.reviews.sentiment.learners import Features, Learner, Scorer

SCALES = ((0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
"""Scales in use, the narrower first: thumbs, stars, points, per cent."""


@dataclass(frozen=True)
class Labels:
    """rated (N,): whether the rating says something; positive (N,): whether it is above the middle (False where not
    rated); lowest and highest: ends of the scale, NaN without ratings; num_middle: ratings exactly in the middle."""

    rated: Bools
    positive: Bools
    lowest: float
    highest: float
    num_middle: int


def labels(rating: Float64s) -> Labels:
    """Above or below the middle of the scale; a rating in the middle (3 of 1-5 stars) takes no side and is no label.

    rating  (N,)  NaN where the customer gave none

    The scale is the first of SCALES that holds all ratings, else their own least and largest: a shop whose ratings are
    all 4 and 5 has five stars, and no complaints, rather than a scale of two. A shop that writes 0 for "not rated"
    must leave these empty, or they are complaints.
    """
    known = rating[np.isfinite(rating)]
    if not known.size:
        nothing = np.zeros(rating.size, np.bool_)
        return Labels(nothing, nothing, np.nan, np.nan, 0)
    least, largest = float(known.min()), float(known.max())
    fitting = ((low, high) for low, high in SCALES if low <= least and largest <= high)
    lowest, highest = next(fitting, (least, largest))
    middle = (lowest + highest) / 2
    rated = np.isfinite(rating) & (rating != middle)
    return Labels(rated, rated & (rating > middle), lowest, highest, int((known == middle).sum()))


def platt(scores: Float64s, positive: Bools) -> tuple[float, float]:
    """Slope and level of P = 1 / (1 + exp(-(slope x score + level))), by Newton's steps (Platt, 1999).

    His targets are a little inside 0 and 1, so that scores which part the classes still give finite figures.
    """
    num = int(positive.sum())
    target = np.where(positive, (num + 1) / (num + 2), 1 / (positive.size - num + 2))
    scale = float(scores.std()) or 1.0
    design = np.column_stack([scores / scale, np.ones(scores.size)])
    weights = np.array([1.0, 0.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slack = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(slack, design.T @ (target - chance))
        weights = weights + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return float(weights[0] / scale), float(weights[1])


def probability(logits: Float64s) -> Float64s:
    """1 / (1 + exp(-logit)), never quite 0 or 1."""
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def accuracy_figures(logits: Float64s, positive: Bools) -> dict[str, float]:
    """`accuracy` with its 95% interval `low`, `high`, and `log_loss` in nats, of calibrated logits."""
    chance = probability(logits)
    right = float(((chance > 0.5) == positive).mean())
    bounds = wilson(right, positive.size)
    loss = float(-np.where(positive, np.log(chance), np.log1p(-chance)).mean())
    return {"accuracy": right, "low": bounds.low, "high": bounds.high, "log_loss": loss}


FOLDS = 5
LEAST = 20
"""Texts of praise, and of complaint, below which nothing is learnt."""
BASELINE, AVERAGE = "characters", "average"
Encode = Callable[[Sequence[str]], NDArray]
View = Callable[[Sequence[str]], Features]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SentimentCandidate:
    """A way to see texts (N -> (N, F) features) and a way to learn from what is seen."""

    view: View
    learn: Learner


@dataclass(frozen=True)
class Calibrated:
    """slope x score + level is a logit; `score` None: the score is what comes in."""

    slope: float
    level: float
    view: View | None = None
    score: Scorer | None = None


@dataclass(frozen=True)
class Sentiment:
    """The chosen reader of reviews.

    figures  "chosen" name, or None if nothing was learnt; "candidates" name -> accuracy with 95% interval and log_loss,
             all cross-validated; "num_rated" distinct texts that it rests on; "positive" their share of praise;
             "words" why nothing was learnt, else ""
    """

    figures: dict[str, Any]
    _parts: tuple[Calibrated, ...] = ()
    _whole: Calibrated = Calibrated(1.0, 0.0)

    def probability(self, texts: Sequence[str]) -> Float64s:
        """(N,) calibrated P(positive), NaN for an empty text, and for every text if nothing was learnt.

        Time and memory are linear in the characters.
        """
        chances = np.full(len(texts), np.nan)
        clean = _folded(texts)
        some = np.flatnonzero([bool(text) for text in clean])
        if self._parts and some.size:
            rows = [clean[row] for row in some]
            seen = {view: view(rows) for view in {part.view for part in self._parts if part.view}}
            logits = [
                part.slope * part.score(seen[part.view]) + part.level
                for part in self._parts
                if part.view and part.score
            ]
            chances[some] = probability(self._whole.slope * np.mean(logits, axis=0) + self._whole.level)
        return chances


def fit(texts: Sequence[str], positive: Bools, *, seed: int, encode: Encode | None = None) -> Sentiment:
    """Learn praise from complaint and choose among the candidates by stratified cross-validation on these texts alone.

    positive  (N,)  whether the rating lies above the middle (`ratings.labels`; leave out those in the middle)
    encode    texts -> (N, D) vectors of an encoder, a candidate if given

    Texts are compared without case; copies count once, and a text with both labels is left out. The candidate with the
    least log-loss wins: it is a proper score, where accuracy only asks for the right side of one half. "average" is the
    mean logit of the two best. Probabilities follow Platt (1999), fitted to cross-validated scores. Time and memory are
    linear in the characters: 13,888 reviews took two minutes of CPU time on a busy machine, most of it the network's.
    """
    clean = _folded(texts)
    rows = _agreed(clean, positive)
    known, label = [clean[row] for row in rows], positive[rows]
    praise = int(label.sum())
    figures: dict[str, Any] = {"chosen": None, "candidates": {}, "num_rated": int(rows.size)}
    figures |= {"positive": praise / max(rows.size, 1), "words": ""}
    if min(praise, rows.size - praise) < LEAST:
        words = f"Sentiment is not learnt: {praise} distinct texts of praise and {rows.size - praise} of complaint"
        return Sentiment(figures | {"words": f"{words} are rated, and it takes {LEAST} of each."})
    offered = candidates(encode)
    seen = {view: view(known) for view in {candidate.view for candidate in offered.values()}}
    logits: dict[str, Float64s] = {}
    maps: dict[str, Calibrated] = {}
    for name, candidate in offered.items():
        scores = held_out_scores(candidate.learn, seen[candidate.view], label, seed)
        maps[name], logits[name] = _mapped(scores, label)
        figures["candidates"][name] = accuracy_figures(logits[name], label)
        log.info("sentiment by %s: %.4f right", name, figures["candidates"][name]["accuracy"])
    losses = {name: figures["candidates"][name]["log_loss"] for name in offered}
    best = sorted(losses, key=losses.__getitem__)[:2]
    whole, together = _mapped(np.mean([logits[name] for name in best], axis=0), label)
    figures["candidates"][AVERAGE] = accuracy_figures(together, label) | {"of": best}
    if figures["candidates"][AVERAGE]["log_loss"] >= losses[best[0]]:
        best, whole = best[:1], Calibrated(1.0, 0.0)
    figures["chosen"] = AVERAGE if len(best) == 2 else best[0]
    parts = [_refitted(offered[name], seen[offered[name].view], label, seed, maps[name]) for name in best]
    return Sentiment(figures, tuple(parts), whole)


def candidates(encode: Encode | None = None) -> dict[str, SentimentCandidate]:
    """Name -> candidate; the first, TF-IDF of characters 1-3, is the baseline."""
    grams_4 = partial(kinds.counts, longest=4)
    by_name = {
        BASELINE: SentimentCandidate(partial(kinds.counts, longest=3), learners.tf_idf),
        "ratios": SentimentCandidate(grams_4, learners.ratios),
        "ratios by kind": SentimentCandidate(grams_4, partial(learners.ratios, num_kinds=learners.NUM_KINDS)),
        "network": SentimentCandidate(grams_4, learners.network),
    }
    if encode is not None:
        by_name["encoder"] = SentimentCandidate(lambda texts: np.asarray(encode(texts), np.float32), learners.vectors)
    return by_name


def held_out_scores(learn: Learner, features: Features, positive: Bools, seed: int) -> Float64s:
    """(N,) each text's score by a model that has not seen it: stratified folds, the same for every candidate."""
    from sklearn.model_selection import StratifiedKFold

    scores = np.zeros(positive.size)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(scores, positive):
        scores[test] = learn(features[train], positive[train], seed)(features[test])
    return scores


def _mapped(scores: Float64s, positive: Bools) -> tuple[Calibrated, Float64s]:
    """Platt's map of scores, and what it makes of them."""
    slope, level = platt(scores, positive)
    return Calibrated(slope, level), slope * scores + level


def _refitted(
    candidate: SentimentCandidate, seen: Features, positive: Bools, seed: int, of_folds: Calibrated
) -> Calibrated:
    """The candidate, learnt from all texts, with the map of its cross-validated scores."""
    return Calibrated(of_folds.slope, of_folds.level, candidate.view, candidate.learn(seen, positive, seed))


def _folded(texts: Sequence[str]) -> list[str]:
    return [text.lower() for text in normalised(texts)]


def _agreed(texts: list[str], positive: Bools) -> Int64s:
    """Rows of the distinct texts, without those that stand in both classes."""
    sides = [{text for text, side in zip(texts, positive, strict=True) if side == wanted} for wanted in (True, False)]
    both = sides[0] & sides[1]
    return np.array([row for row in distinct(texts) if texts[row] not in both], dtype=np.int64)
