"""Calibration of the probabilities, and the reasons of recommendations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Night


@dataclass(frozen=True)
class ChancesView:
    """The reliability of the probabilities: words, the drawing, and a row per bin."""

    verdict: str
    chart: Markup
    rows: tuple[tuple[str, str, str, str], ...]


def chances(night: Night) -> ChancesView | None:
    """From metrics.calibration, what `evaluation.calibration_figures` gives; None when it was not measured."""
    totals = night.metrics.calibration
    bins = [part for part in totals.get("bins", ()) if words.known(part)]
    if not bins:
        return None
    verdict = (
        f"Over {words.count(totals['num_pairs'])} pairs of customer and product the model expected "
        f"{words.percent(totals['predicted'])} to be bought; {words.percent(totals['observed'])} were. Between what it "
        f"said and what happened lie {100 * totals['ece']:.2f} percentage points on average (ECE, {len(bins)} groups "
        "of equal size)."
    )
    rows = bin_rows(bins)
    said = "; ".join(f"said {row[0]}, bought {row[1]}" for row in rows)
    return ChancesView(verdict, charts.reliability(bins, f"Probability said and share bought: {said}"), rows)


def bin_rows(bins: Sequence[Mapping[str, float]]) -> tuple[tuple[str, str, str, str], ...]:
    """Per bin: probability said, share that came true and its interval, pairs."""
    return tuple(
        (
            words.percent(part["predicted"]), words.percent(part["value"]), words.reach(part, words.percent),
            words.count(part["num_pairs"]),
        )
        for part in bins
    )  # fmt: skip


@dataclass(frozen=True)
class ReasonsView:
    """The share of tonight's recommendations by kind of reason: name, bar, share; and a sentence."""

    verdict: str
    rows: tuple[tuple[str, Markup, str], ...]


def reasons(night: Night) -> ReasonsView | None:
    """From summary["reasons"], {family: share}, "generic" for those that say nothing of the customer; None without."""
    shares_by_family = (night.summary or {}).get("reasons") or {}
    shares = {name: float(share) for name, share in shares_by_family.items() if name != "generic" and share > 0}
    if not shares:
        return None
    most = max(shares.values())
    rows = []
    for name, share in sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])):
        title = words.called("reasons", name)
        rows.append((title, charts.bar(share / most, f"{title}: {words.share(share, 1)}"), words.share(share, 1)))
    generic = words.share(shares_by_family.get("generic", 0.0), 1)
    verdict = (
        f"{generic} of tonight’s recommendations give a reason that speaks of the product alone, not of the customer."
    )
    return ReasonsView(verdict, tuple(rows))
