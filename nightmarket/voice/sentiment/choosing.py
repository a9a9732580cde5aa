"""Which way to read reviews is right most often on this retailer's own? Chosen by cross-validation, then calibrated.

Shapes: N texts.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightmarket.voice.cleaning import distinct, normalised
from nightmarket.voice.sentiment import grams, learners
from nightmarket.voice.sentiment.learners import Bools, Doubles, Features, Learner, Scorer

FOLDS = 5
LEAST = 20
"""Texts of praise, and of complaint, below which nothing is learnt."""
Encode = Callable[[Sequence[str]], NDArray]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A way to see texts (N -> (N, F) features) and a way to learn from what is seen."""

    view: Callable[[Sequence[str]], Features]
    learn: Learner


@dataclass(frozen=True)
class Sentiment:
    """The chosen reader of reviews.

    figures  "chosen" name, or None if nothing was learnt; "candidates" name -> accuracy with 95% interval and log_loss,
             all cross-validated; "num_rated" distinct texts that it rests on; "positive" their share of praise;
             "words" why nothing was learnt, else ""
    """

    figures: dict[str, Any]
    _view: Callable[[Sequence[str]], Features] | None = None
    _score: Scorer | None = None
    _slope: float = 1.0
    _level: float = 0.0

    def probability(self, texts: Sequence[str]) -> Doubles:
        """(N,) calibrated P(positive), NaN for an empty text, and for every text if nothing was learnt."""
        found = np.full(len(texts), np.nan)
        clean = _folded(texts)
        some = np.flatnonzero([bool(text) for text in clean])
        if self._view is not None and self._score is not None and some.size:
            score = self._score(self._view([clean[row] for row in some]))
            found[some] = _probability(score, self._slope, self._level)
        return found


def fit(texts: Sequence[str], positive: Bools, *, seed: int, encode: Encode | None = None) -> Sentiment:
    """Learn praise from complaint and choose among the candidates by stratified cross-validation on these texts alone.

    positive  (N,)  whether the rating lies above the middle (`ratings.labels`; leave out those in the middle)
    encode    texts -> (N, D) vectors of an encoder, a candidate if given

    Texts are compared without case; copies count once, and a text with both labels is left out. The candidate with the
    least log-loss wins: it is a proper score, where accuracy only asks for the right side of one half. Probabilities
    follow Platt (1999), fitted to cross-validated scores. Time and memory are linear in the characters.
    """
    clean = _folded(texts)
    rows = _agreed(clean, positive)
    chosen_texts, label = [clean[row] for row in rows], positive[rows]
    praise = int(label.sum())
    figures: dict[str, Any] = {"chosen": None, "candidates": {}, "num_rated": int(rows.size)}
    figures |= {"positive": praise / max(rows.size, 1), "words": ""}
    if min(praise, rows.size - praise) < LEAST:
        words = f"Sentiment is not learnt: {praise} distinct texts of praise and {rows.size - praise} of complaint"
        return Sentiment(figures | {"words": f"{words} are rated, and it takes {LEAST} of each."})
    found: dict[str, tuple[Candidate, Features, Doubles]] = {}
    for name, candidate in candidates(encode).items():
        seen = candidate.view(chosen_texts)
        scores = held_out_scores(candidate.learn, seen, label, seed)
        found[name] = (candidate, seen, scores)
        figures["candidates"][name] = judged(scores, label)
        log.info("sentiment by %s: %.4f right", name, figures["candidates"][name]["accuracy"])
    best = min(found, key=lambda name: figures["candidates"][name]["log_loss"])
    candidate, seen, scores = found[best]
    slope, level = _platt(scores, label)
    return Sentiment(figures | {"chosen": best}, candidate.view, candidate.learn(seen, label), slope, level)


def candidates(encode: Encode | None) -> dict[str, Candidate]:
    """Name -> candidate; the first is the baseline."""
    found = {
        "characters 1-3": Candidate(partial(grams.counts, longest=3), learners.tf_idf),
        "log-count ratios 1-4": Candidate(partial(grams.counts, longest=4), learners.ratios),
    }
    if encode is not None:
        found["encoder"] = Candidate(lambda texts: np.asarray(encode(texts), np.float32), learners.vectors)
    return found


def held_out_scores(learn: Learner, features: Features, positive: Bools, seed: int) -> Doubles:
    """(N,) each text's score by a model that has not seen it: stratified folds, the same for every candidate."""
    from sklearn.model_selection import StratifiedKFold

    scores = np.zeros(positive.size)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(scores, positive):
        scores[test] = learn(features[train], positive[train])(features[test])
    return scores


def judged(scores: Doubles, positive: Bools) -> dict[str, float]:
    """Accuracy with its 95% interval (Wilson, 1927), and log-loss in nats after Platt's map."""
    chance = np.clip(_probability(scores, *_platt(scores, positive)), 1e-9, 1 - 1e-9)
    right = float(((chance > 0.5) == positive).mean())
    low, high = wilson(right, positive.size)
    loss = float(-np.where(positive, np.log(chance), np.log1p(-chance)).mean())
    return {"accuracy": right, "low": low, "high": high, "log_loss": loss}


def wilson(share: float, num: int) -> tuple[float, float]:
    """95% interval of a share of `num`."""
    z2 = 1.959964**2
    centre = (share + z2 / (2 * num)) / (1 + z2 / num)
    reach = np.sqrt(z2 * (share * (1 - share) / num + z2 / (4 * num**2))) / (1 + z2 / num)
    return float(centre - reach), float(centre + reach)


def _folded(texts: Sequence[str]) -> list[str]:
    return [text.lower() for text in normalised(texts)]


def _agreed(texts: list[str], positive: Bools) -> NDArray[np.int64]:
    """Rows of the distinct texts, without those that stand in both classes."""
    sides = [{text for text, side in zip(texts, positive, strict=True) if side == wanted} for wanted in (True, False)]
    both = sides[0] & sides[1]
    return np.array([row for row in distinct(texts) if texts[row] not in both], dtype=np.int64)


def _platt(scores: Doubles, positive: Bools) -> tuple[float, float]:
    """Slope and level of P = 1 / (1 + exp(-(slope x score + level))), by Newton's steps on Platt's smoothed targets."""
    num = int(positive.sum())
    target = np.where(positive, (num + 1) / (num + 2), 1 / (positive.size - num + 2))
    scale = float(scores.std()) or 1.0
    design = np.column_stack([scores / scale, np.ones(scores.size)])
    found = np.array([1.0, 0.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        slack = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(slack, design.T @ (target - chance))
        found = found + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return float(found[0] / scale), float(found[1])


def _probability(scores: Doubles, slope: float, level: float) -> Doubles:
    return 1 / (1 + np.exp(-np.clip(slope * scores + level, -30, 30)))
