"""What a smaller encoder costs and gains: cosine to the teacher on held-out texts, and texts per second beside it."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nightmarket.contracts.arrays import Float32s

ROUNDS = 3


def compare(
    encoders: Mapping[str, Any], texts: Sequence[str], vectors: Float32s, rounds: int = ROUNDS
) -> dict[str, dict[str, float]]:
    """Per encoder: mean_cosine and least_cosine to `vectors`, texts_per_second, and speed.

    encoders  the first is the one that the others are compared with
    texts     N held-out texts;  vectors  [N, D] the teacher's, of unit length

    The encoders take turns, so that a machine that others use slows all alike; texts_per_second is the median of the
    rounds, and speed the median of each round's ratio to the first encoder.
    """
    figures: dict[str, dict[str, float]] = {}
    for name, encoder in encoders.items():  # the first time through also warms up
        cosine = (encoder.encode(texts) * vectors).sum(axis=1)
        figures[name] = {"mean_cosine": float(cosine.mean()), "least_cosine": float(cosine.min())}
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(rounds):
        for name, encoder in encoders.items():
            began = time.perf_counter()
            encoder.encode(texts)
            seconds[name].append(time.perf_counter() - began)
    first = seconds[next(iter(encoders))]
    for name, taken in seconds.items():
        figures[name]["texts_per_second"] = len(texts) / statistics.median(taken)
        figures[name]["speed"] = statistics.median(a / b for a, b in zip(first, taken, strict=True))
    return figures
