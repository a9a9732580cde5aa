"""Who buys again, how far what was said of customers held, and who is about to leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.night import Content, Night
from nightmarket.reporting.quality import ModelRow, figure_row

LISTS = "artifacts/care/customers.csv"


@dataclass(frozen=True)
class CareView:
    """The section; `reason` says why nothing can be told."""

    reason: str
    verdict: str = ""
    leaving: str = ""
    held: str = ""
    beside: str = ""
    title: str = ""
    axis: Markup = charts.BLANK
    rows: tuple[ModelRow, ...] = ()
    segments: tuple[tuple[str, ...], ...] = ()
    file: str = LISTS


def view(night: Night) -> CareView | None:
    """The section, or None where the stage left nothing; the content is what the stage writes as metrics.json."""
    content = night.care
    if content is None:
        return None
    if content.get("reason"):
        return CareView(str(content["reason"]))
    tested: Content = content.get("tested") or {}
    quantity = "value" if content["priced"] else "purchases"
    axis, rows = _tenths(tested.get(quantity) or {}, content["priced"])
    what = "spend" if content["priced"] else "purchases"
    return CareView(
        reason="",
        verdict=_verdict(content),
        leaving=_leaving(content),
        held=_held(tested.get("leaving") or {}),
        beside=_beside(tested, quantity),
        title=f"What tenths of the customers brought, by what was expected of them: {what} of one customer",
        axis=axis,
        rows=rows,
        segments=tuple(_segment(segment, night) for segment in content.get("segments") or ()),
    )


def line(night: Night) -> str:
    """For the top of the page: who is about to leave; "" where nobody is."""
    content = night.care or {}
    worth = (content.get("standing") or {}).get("worth_keeping")
    return f"{words.things(worth, 'customer')} about to leave and worth keeping." if worth else ""


def _verdict(content: Content) -> str:
    standing, everybody = content["standing"], content["num_customers"]
    weeks = words.things(content["weeks"], "week")
    expected = (
        f"{words.whole(content['expected_value'])} of spend"
        if content["priced"]
        else f"{words.whole(content['expected_purchases'])} purchases"
    )
    return (
        f"Of {words.things(everybody, 'customer')}, {words.count(standing['active'])} buy as usual, "
        f"{words.count(standing['leaving'])} are about to leave, {words.count(standing['gone'])} are gone, and "
        f"{words.count(standing['few'])} have bought too seldom to have a pace. Together they are expected to bring "
        f"{expected} in the next {weeks}."
    )


def _leaving(content: Content) -> str:
    worth = content["standing"]["worth_keeping"]
    if not worth:
        return "Nobody who is about to leave would bring as much as the median customer is expected to."
    risk = words.whole(content["at_risk"])
    lost = f"{risk} of spend" if content["priced"] else f"{risk} purchases"
    many = "is" if worth == 1 else "are"
    return f"{words.count(worth)} of those about to leave {many} worth keeping: {lost} would be lost at their old pace."


def _held(leaving: Mapping[str, Any]) -> str:
    """Whether those who were called about to leave bought, beside the others."""
    theirs, others = (leaving.get(name, {}).get("bought") for name in ("leaving", "active"))
    if not words.known(theirs) or not words.known(others):
        return ""
    return (
        f"Of those who would have been called about to leave before the last window, {words.percents(theirs)} bought "
        f"in it; of those who bought as usual, {words.percents(others)}."
    )


def _beside(tested: Content, quantity: str) -> str:
    figures = tested.get(quantity) or {}
    if not figures:
        return ""
    first, last = (words.short_day(date.fromisoformat(day)) for day in tested["window"])
    write = words.money if quantity == "value" else words.fraction
    said = [
        f"{name} by {write(figures[key]['error']['value'])}"
        for key, name in (("bgnbd", "BG/NBD with gamma-gamma"), ("recency_frequency", "recency × frequency"))
        if key in figures
    ]
    what = "spend" if quantity == "value" else "purchases"
    return (
        f"From {first} to {last}, {what} of one customer differed from what was expected by "
        f"{write(figures['ours']['error']['value'])} on average; {words.listed(said)}."
    )


def _tenths(figures: Content, priced: bool) -> tuple[Markup, tuple[ModelRow, ...]]:
    """Per tenth what came, with a mark at what was said."""
    tenths: Sequence[Content] = [row for row in (figures.get("ours") or {}).get("tenths") or () if words.known(row)]
    if not tenths:
        return charts.BLANK, ()
    reached = [*tenths, *(dict.fromkeys(("value", "low", "high"), row["said"]) for row in tenths)]
    axis = charts.scale(reached)
    write = words.money if priced else words.fraction
    rows = tuple(
        figure_row(
            f"expected {write(row['said'])}", row, axis, write, words.things(row["num_customers"], "customer"),
            filled=True, mark=row["said"],
        )
        for row in reversed(tenths)
    )  # fmt: skip
    return charts.axis_labels(axis), rows


def _segment(row: Content, night: Night) -> tuple[str, ...]:
    """Name, customers, chance to buy again, expected spend, about to leave, worth keeping."""
    names = {
        str(segment["segment"]): str(segment["name"]["en"]) for segment in (night.segments or {}).get("segments") or ()
    }
    number = str(row["segment"])
    value = row.get("expected_value")
    return (
        f"{number} · {names[number]}" if number in names else number,
        words.count(row["num_customers"]),
        words.percent(row["active"]),
        words.money(value) if value is not None else "–",
        words.count(row["leaving"]),
        words.count(row["worth_keeping"]),
    )
