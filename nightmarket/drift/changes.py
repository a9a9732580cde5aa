"""What has drifted, in words and figures that a person can check."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Float64s
from nightmarket.drift.nights import MIN_NIGHTS, REFERENCE_DAYS, WEEK, MaxT, Nights
from nightmarket.drift.summaries import Summary

NAMED = 3
"""Columns that the sentence names."""


def changes(
    names: Sequence[tuple[Summary, str]], distance: Float64s, verdict: MaxT, nights: Nights, first_day: int
) -> list[dict[str, Any]]:
    """One entry per column, furthest off first: the statistic that is furthest off, its size, and what it means.

    distance   (S, T) as judged
    first_day  of the summaries, days since 1970-01-01
    """
    best: dict[tuple[str, str, str], int] = {}
    score = np.nan_to_num(verdict.scores[:, -1], nan=-np.inf)
    for row, (summary, _) in enumerate(names):
        key = summary.table, summary.name, summary.kind
        if key not in best or score[row] > score[best[key]]:
            best[key] = row
    entries = []
    for (table, name, kind), row in best.items():
        summary, statistic = names[row]
        measured = np.isfinite(score[row])
        past = distance[row, :-1]
        entries.append(
            {
                "table": table,
                "name": name,
                "kind": kind,
                "statistic": statistic,
                "distance": _number(distance[row, -1]) if measured else None,
                "usual": _number(float(np.nanmedian(past))) if measured else None,
                "score": _number(score[row]) if measured else None,
                "drifted": bool(verdict.drifted[row]),
                "words": _words(summary, statistic, distance[row], nights, first_day)
                if measured
                else _unsaid(summary, row, verdict),
            }
        )
    return sorted(
        entries, key=lambda entry: (-(entry["score"] if entry["score"] is not None else -np.inf), entry["name"])
    )


def sentence(columns: Sequence[Mapping[str, Any]], num_nights: int, testable: bool) -> str:
    """The verdict in one sentence."""
    if not testable:
        need = (MIN_NIGHTS + REFERENCE_DAYS) // WEEK + 2
        return (
            f"nothing was tested: the training window holds {max(num_nights, 0)} nights to compare with, "
            f"{MIN_NIGHTS} are needed (about {need} weeks of history before its end)"
        )
    drifted = [column for column in columns if column["drifted"]]
    if not drifted:
        return f"no drift: tonight’s week lies within what {num_nights} nights of the training window showed"
    num = f"{len(drifted)} of {len(columns)} columns"
    return f"{num} drifted: " + "; ".join(column["words"] for column in drifted[:NAMED])


def moved(summary: Summary, nights: Nights) -> list[tuple[str, float, float]]:
    """(value or bin, its share in the reference, its share tonight) of a column, as the summary orders them."""
    here, there = (part[-1] for part in nights.sums(summary.counts))
    if summary.kind in ("volume", "vectors") or min(here.sum(), there.sum()) == 0:
        return []
    shares = there / there.sum(), here / here.sum()
    return [(label, float(a), float(b)) for label, a, b in zip(summary.labels, *shares, strict=True)]


def _words(summary: Summary, statistic: str, distance: Float64s, nights: Nights, first_day: int) -> str:
    if summary.kind == "volume":
        return _volume_words(summary, statistic, nights, first_day)
    if summary.kind == "vectors":
        usual = float(np.nanmedian(distance[:-1]))
        much = f"{distance[-1] / usual:.1f} times as far from the reference as usual" if usual > 0 else "far off"
        return f"{summary.name}: {much}"
    if summary.kind == "missing":
        gone = moved(summary, nights)[1]
        return f"{summary.name}: missing in {_percent(gone[1])} before, {_percent(gone[2])} now"
    if summary.kind == "number" and summary.sums is not None:
        here, there = nights.sums(summary.counts)
        total, past = nights.sums(summary.sums)
        before, now = past[-1].sum() / there[-1].sum(), total[-1].sum() / here[-1].sum()
        return f"{summary.name}: {before:,.4g} on average before, {now:,.4g} now"
    label, before, now = max(moved(summary, nights), key=lambda row: abs(row[2] - row[1]))
    return f"{summary.name}: “{label}” {_percent(before)} before, {_percent(now)} now"


def _unsaid(summary: Summary, row: int, verdict: MaxT) -> str:
    if verdict.unsettled[row]:
        return f"{summary.name}: not judged, too unsettled over the past nights"
    return f"{summary.name}: not judged, too few rows"


def _volume_words(summary: Summary, statistic: str, nights: Nights, first_day: int) -> str:
    days, usual = (part[-1] for part in nights.weekdays(summary.counts[:, 0]))
    if statistic == "week":
        return f"{summary.name}: {days.sum():,.0f} in the week, where {usual.sum():,.0f} are usual"
    day = date(1970, 1, 1) + timedelta(days=int(first_day + nights.stop[-1]) - 1)
    return f"{summary.name}: {days[-1]:,.0f} on {day:%A} {day.day} {day:%B}, where {usual[-1]:,.0f} are usual"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _number(value: float) -> float:
    """Six significant digits: what a sum's order could change is cut off, so that a stage's files repeat."""
    return float(f"{value:.6g}")
