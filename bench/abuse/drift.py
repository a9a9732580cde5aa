"""Drift in shops in which nothing changes, and in the same shops once something does.

Stationary shops have customers with tastes, a weekly season and moods of weeks; each night is looked at as the stage
looks at it, with a champion made that very night. `alpha` is what it may alarm on, in each shop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.abuse.figures import Figure
from bench.drift import GAP, Evaluated, stationary
from nightmarket.drift.nights import MIN_NIGHTS, REFERENCE_DAYS, WEEK
from nightmarket.drift.summaries import Summary

ALPHA = 0.02
FIRST_SEED = 301
"""The limit was chosen on shops 1 to 12."""
SHOPS: dict[str, dict[str, Any]] = {
    "moods of ten days": {},
    "moods of 25 days": {"half_life": 25.0},
    "hardly any moods": {"half_life": 3.0, "size": 0.03},
    "strong moods": {"size": 0.2},
    "150 customers": {"num_customers": 150},
}
PAST = REFERENCE_DAYS + GAP + WEEK + MIN_NIGHTS + 20 * WEEK + WEEK + GAP
FOLLOWED = 7
"""Nights after a change within which it must be found: the week is then full of it."""
WATCHED = ("moods of ten days", "hardly any moods")
"""Shops in which a change must be found; in the others a halved week is nothing odd."""


def alarms(summaries: Sequence[Summary], num_nights: int) -> float:
    """Share of the nights with an alarm."""
    evaluated = Evaluated(summaries, ALPHA)
    return float(np.mean([bool(evaluated.drifted(stop)) for stop in range(PAST, PAST + num_nights)]))


def halved(summaries: Sequence[Summary]) -> list[Summary]:
    """Half the rows of every column are missing from day PAST on."""
    factor = np.where(np.arange(len(summaries[0].counts)) < PAST, 1.0, 0.5)[:, None]
    parts = ("counts", "sums", "means")
    return [
        replace(
            summary, **{name: getattr(summary, name) * factor for name in parts if getattr(summary, name) is not None}
        )
        for summary in summaries
    ]


def without_the_largest(summaries: Sequence[Summary]) -> list[Summary]:
    """The department with most rows vanishes on day PAST."""
    changed = []
    for summary in summaries:
        counts = summary.counts.copy()
        if summary.name == "department":
            counts[PAST:, counts.sum(axis=0).argmax()] = 0
        changed.append(replace(summary, counts=counts))
    return changed


CHANGES = {"half the rows are lost": halved, "the largest department vanishes": without_the_largest}


def found(summaries: Sequence[Summary]) -> bool:
    """Whether the change on day PAST raises an alarm within FOLLOWED nights."""
    evaluated = Evaluated(summaries, ALPHA)
    return any(evaluated.drifted(stop) for stop in range(PAST + 1, PAST + 1 + FOLLOWED))


def figures(*, quick: bool) -> Iterator[Figure]:
    """Alarms per shop, and changes found."""
    num, nights = (4, 120) if quick else (20, 400)
    for name, of_shop in SHOPS.items():
        shops = [stationary(seed, PAST + nights, **of_shop) for seed in range(FIRST_SEED, FIRST_SEED + num)]
        share = np.array([alarms(summaries, nights) for summaries in shops])
        yield Figure(
            "drift", f"{name}: nights with an alarm in {num} stationary shops, share", float(share.mean()), ALPHA
        )
        above = float((share > ALPHA).mean())
        yield Figure("drift", f"{name}: shops with more alarms than alpha, share", above, 0.5 if quick else 0.15)
        for what, change in CHANGES.items() if name in WATCHED else ():
            seen = float(np.mean([found(change(summaries)) for summaries in shops]))
            yield Figure("drift", f"{name}: {what}, found within a week", seen, 0.9, most=False)
