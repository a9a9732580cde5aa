"""Portraits of the segments: how large, what they buy, when, how they answered, what they are worth; and how stable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Content, Night
from nightmarket.reporting.pictures import Bar, columns
from nightmarket.reporting.quality import ModelRow, figure_row

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
NUM_CATEGORIES = 4


@dataclass(frozen=True)
class Portrait:
    """One segment."""

    key: str
    name: str
    size: str
    bars: tuple[tuple[str, Markup, str], ...]
    traits: tuple[str, ...]
    habits: str
    categories: tuple[tuple[str, str], ...]
    topics: tuple[tuple[str, str], ...]
    praise: str
    parts: Markup | None
    weekdays: Markup | None
    answers: tuple[tuple[str, Markup, str], ...]
    answers_axis: Markup
    strategy: str


@dataclass(frozen=True)
class SegmentsView:
    """The section; `reason` says why there is no segment."""

    reason: str
    verdict: str = ""
    stability: str = ""
    responses: str = ""
    worth_axis: Markup = charts.BLANK
    worth: tuple[ModelRow, ...] = ()
    worth_title: str = ""
    portraits: tuple[Portrait, ...] = ()


def view(night: Night) -> SegmentsView | None:
    """The section, or None when no segments were made; the content is what the stage writes as segments.json."""
    content = night.segments
    if content is None:
        return None
    if not content.get("segments"):
        return SegmentsView(str(content.get("reason") or "no segments were formed"))
    segments: Sequence[Content] = content["segments"]
    axis = charts.scale([row for segment in segments for row in segment["responses"]])
    worth_axis, worth = _worth(segments)
    responses = str(content.get("responses") or "")
    return SegmentsView(
        reason="",
        verdict=_verdict(content),
        stability=_stability(content),
        responses=f"{responses[:1].upper()}{responses[1:]}." if responses else "",
        worth_axis=worth_axis,
        worth=worth,
        worth_title=_worth_title(content),
        portraits=tuple(_portrait(segment, axis) for segment in segments),
    )


def _verdict(content: Content) -> str:
    num, people = len(content["segments"]), words.count(content["num_customers"])
    without = content.get("without")
    return (
        f"{people} customers in {words.things(num, 'segment')}. This is a partition, not a discovery: people differ by "
        f"degrees, and the borders are ours.{' ' + words.sentence(without) if without else ''}"
    )


def _stability(content: Content) -> str:
    """How far the partition comes back, under resampling and from one week to the next."""
    parts = []
    chosen = [row for row in content.get("stability") or () if row["k"] == len(content["segments"])]
    if chosen:
        parts.append(
            f"Drawn again from 80% of the customers, the partition comes back with an adjusted Rand index of "
            f"{words.fraction(chosen[0]['ari'])} (1 is identical; at least {words.fraction(content['least_ari'])} is "
            "asked for)."
        )
    week = content.get("week_before") or {}
    if week.get("same") is not None:
        parts.append(f"{words.share(week['same'], 1)} of the customers are where they would have been a week ago.")
    silhouette = [row["silhouette"] for row in content.get("stability") or () if row.get("silhouette") is not None]
    if silhouette:
        parts.append(f"The best silhouette is {words.fraction(max(silhouette))}, so there are no separate clusters.")
    stated = content.get("classifier") or {}
    if stated.get("first_weeks") is not None:
        parts.append(
            f"From their first weeks {words.share(stated['first_weeks'], 1)} of the customers are put into the segment "
            f"that they end up in (always naming the largest: {words.share(stated['largest_group'], 1)})."
        )
    return " ".join(parts)


def _worth_title(content: Content) -> str:
    weeks = next((segment["value"]["weeks"] for segment in content["segments"] if segment.get("value")), None)
    return f"Expected spend of a customer over the next {weeks} weeks" if weeks else ""


def _worth(segments: Sequence[Content]) -> tuple[Markup, tuple[ModelRow, ...]]:
    """Expected spend per customer and segment, on one axis."""
    known = [segment for segment in segments if segment.get("value") and words.known(segment["value"])]
    if not known:
        return Markup(""), ()
    axis = charts.scale([segment["value"] for segment in known])
    write = words.whole if axis.high >= 20 else words.money
    rows = tuple(
        figure_row(
            _name(segment), segment["value"], axis, write, f"{words.count(segment['size'])} customers", filled=True
        )
        for segment in known
    )
    return charts.axis_labels(axis), rows


def _name(segment: Content) -> str:
    return f"{segment['segment']} · {segment['name']['en']}"


def _portrait(segment: Content, axis: charts.Scale) -> Portrait:
    shares = (("of customers", segment["share_customers"]), ("of spend", segment["share_value"]))
    bars = tuple(
        (label, charts.bar(part, f"{words.share(part, 1)} {label}"), words.share(part, 1))
        for label, part in shares
        if part is not None
    )
    answers = tuple(_answer(row, axis) for row in segment["responses"])
    visits = segment.get("when") or {}
    return Portrait(
        key=str(segment["segment"]),
        name=str(segment["name"]["en"]),
        size=words.count(segment["size"]),
        bars=bars,
        traits=tuple(str(trait["en"]) for trait in segment["traits"]),
        habits=_habits(segment["rfm"]),
        categories=tuple(_category(row) for row in segment["categories"][:NUM_CATEGORIES]),
        topics=_topics(segment.get("reviews") or {}),
        praise=_praise((segment.get("reviews") or {}).get("praise")),
        parts=_when([(str(row["part"]), row) for row in visits.get("parts") or ()], "part of the day"),
        weekdays=_when([(DAYS[i], row) for i, row in enumerate(visits.get("weekdays") or ())], "weekday"),
        answers=answers,
        answers_axis=charts.axis_labels(axis, percent=True) if answers else charts.BLANK,
        strategy=str(segment["strategy"]["en"]),
    )


def _habits(rfm: Mapping[str, float]) -> str:
    """Medians in a sentence."""
    per_week = rfm["baskets_per_week"]
    often = f"{per_week:.1f} baskets a week" if per_week >= 1 else f"a basket every {1 / per_week:.1f} weeks"
    worth = f" of {words.money(rfm['basket_value'])}" if rfm["basket_value"] > 0 else ""
    return (
        f"Usually {often if per_week > 0 else 'no basket'}{worth}, the last one "
        f"{words.things(rfm['recency_days'], 'day')} ago (medians)."
    )


def _category(row: Mapping[str, Any]) -> tuple[str, str]:
    """A category's last level, and how much more of their spend goes there than everybody's."""
    return str(row["category"]).rsplit(" > ", 1)[-1], f"{row['lift']:.1f} times"


def _topics(reviews: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Topics that the segment has more of than everybody else, baskets before reviews."""
    kinds = (("baskets", "baskets of"), ("reviews", "reviews about"))
    return tuple(
        (f"{words_of} {row['name']}", f"{row['lift']:.2f} times [{row['low']:.2f}, {row['high']:.2f}]")
        for kind, words_of in kinds
        for row in reviews.get(kind) or ()
    )


def _praise(figure: Any) -> str:
    return f"{words.percents(figure)} of their reviews praise." if words.known(figure) else ""


def _when(rows: Sequence[tuple[str, Mapping[str, float]]], by: str) -> Markup | None:
    """Shares of visits as columns, everybody's as dashes; None where the shop does not record them."""
    if not rows:
        return None
    drawn = []
    for name, row in rows:
        usual = row["share"] / row["lift"] if row["lift"] else None
        drawn.append(Bar(name, row["share"], f"{100 * row['share']:.0f}%", usual))
    label = "; ".join(f"{column.name}: {column.shown}" for column in drawn)
    return columns(drawn, f"Visits by {by}: {label}")


def _answer(row: Mapping[str, Any], axis: charts.Scale) -> tuple[str, Markup, str]:
    kind, said = str(row["kind"]), words.percents(row, "rate")
    figure = {"value": row["rate"], "low": row["low"], "high": row["high"]}
    return kind, charts.whisker(figure, axis, f"{kind}: {said} responded", ours=True), said
