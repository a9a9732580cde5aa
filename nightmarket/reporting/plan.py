"""Tonight's plan for a campaign: reach, spend, what is expected, when, and how far from the best it can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from markupsafe import Markup

from nightmarket.reporting import charts, words
from nightmarket.reporting.delivery import KeyFigure
from nightmarket.reporting.night import Content, Night
from nightmarket.reporting.pictures import Bar, columns

NUM_OFFERS = 8
"""Offers that are shown one by one; the others are summed."""
FIGURES = ("num", "spend", "expected_responses", "expected_profit")


@dataclass(frozen=True)
class GroupRow:
    """Contacts of one segment, offer, channel or time slot."""

    name: str
    note: str
    chart: Markup
    responses: str
    contacts: str
    spend: str
    profit: str


@dataclass(frozen=True)
class PlanView:
    """The section; a plan that sends nothing has its verdict and notes alone."""

    verdict: str
    empty: bool
    figures: tuple[KeyFigure, ...]
    spend: Markup
    sentences: tuple[str, ...]
    hours: Markup | None
    days: Markup | None
    currency: str
    groups: tuple[tuple[str, tuple[GroupRow, ...]], ...]
    notes: tuple[str, ...]
    said: str


def view(night: Night) -> PlanView | None:
    """The section, or None when no plan was made.

    The content is night.plan, what the stage plan writes as summary.json; segments are named as night.segments does.
    """
    plan = night.plan
    if plan is None:
        return None
    campaign: Content = plan.get("campaign") or {}
    currency = str(campaign.get("currency") or "")
    notes = tuple(str(note) for note in plan.get("notes") or ())
    if plan.get("empty_because"):
        verdict = f"Nothing would be sent: {plan['empty_because']}."
        return PlanView(verdict, True, (), Markup(""), (), None, None, currency, (), notes, "")
    spent = plan["spend"] / plan["budget"] if plan["budget"] else 0.0
    said = f"{words.money(plan['spend'], currency)} of {words.money(plan['budget'], currency)}"
    return PlanView(
        verdict=_verdict(plan, campaign),
        empty=False,
        figures=_figures(plan, currency),
        spend=charts.bar(spent, f"Spend: {said}"),
        sentences=(_certificate(plan, currency), *_holdout(plan, campaign)),
        hours=_hours(plan["by_slot"]),
        days=_days(plan["pacing"], currency),
        currency=currency,
        groups=_groups(plan, night),
        notes=notes,
        said=str(plan.get("words") or ""),
    )


def line(night: Night) -> str:
    """The plan in a few words for the top of the page; "" without one."""
    plan = night.plan
    if plan is None:
        return ""
    if plan.get("empty_because"):
        return f"nothing would be sent: {plan['empty_because']}."
    currency = str((plan.get("campaign") or {}).get("currency") or "")
    return (
        f"{words.things(plan['num_sent'], 'customer')} for {words.money(plan['spend'])} of "
        f"{words.money(plan['budget'], currency)}, {plan['expected_responses']:,.0f} responses expected."
    )


def _verdict(plan: Content, campaign: Content) -> str:
    contacts = words.things(plan["num_contacts"], "contact")
    who = words.things(plan["num_sent"], "customer")
    name = campaign.get("name")
    start = campaign.get("start")
    when = f", {_span(date.fromisoformat(start), int(campaign.get('days') or 1))}" if start else ""
    return f"{f'“{name}”' if name else 'The campaign'} would send {contacts} to {who}{when}."


def _span(first: date, days: int) -> str:
    last = first + timedelta(days=days - 1)
    if days == 1:
        return f"on {words.day(first)}"
    opening = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else words.day(first)
    return f"from {opening} to {words.day(last)}"


def _figures(plan: Content, currency: str) -> tuple[KeyFigure, ...]:
    reach = f"of {words.count(plan['num_eligible'])} eligible, {words.count(plan['num_customers'])} in all"
    budget = f"of a budget of {words.money(plan['budget'], currency)}"
    return (
        KeyFigure("Customers reached", words.count(plan["num_sent"]), "", reach),
        KeyFigure(f"Spend, {currency}" if currency else "Spend", words.money(plan["spend"]), "", budget),
        KeyFigure("Responses expected", f"{plan['expected_responses']:,.0f}", "", "some would have bought anyway"),
        KeyFigure(
            f"Profit expected, {currency}" if currency else "Profit expected",
            words.money(plan["expected_profit"]), "", "net of the cost of contacts and offers",
        ),
    )  # fmt: skip


def _certificate(plan: Content, currency: str) -> str:
    """How far from the best possible plan this one can be."""
    limits = plan["certificate"]
    most, here = (
        f"{limits[part]:,.1f} responses" if limits.get("unit") == "responses" else words.money(limits[part], currency)
        for part in ("bound", "value")
    )
    gap = words.share(limits["gap"], 1)
    below = "exactly that" if limits["gap"] <= 0 else f"{here}, {gap} less"
    return f"At these chances no plan within the same limits can promise more than {most}; this one promises {below}."


def _holdout(plan: Content, campaign: Content) -> list[str]:
    """Who is kept back, and why."""
    kept = plan.get("num_holdout")
    if not kept:
        return []
    of = f"{words.count(kept)} of the {words.count(kept + plan['num_sent'])} customers who would be contacted"
    chance = f", with a chance of {words.share(campaign['holdout'], 1)} each" if campaign.get("holdout") else ""
    return [
        f"{of} were drawn at random{chance}, and get nothing. Only against them can it be measured later what the "
        "campaign did."
    ]


def _hours(rows: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Expected responses by time slot, in the order of the day."""
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: (_first_hour(str(row["name"])), str(row["name"])))
    drawn = [
        Bar(str(row["name"]).replace("-", "–"), row["expected_responses"], f"{row['expected_responses']:,.0f}")
        for row in ordered
    ]
    label = "; ".join(f"{column.name}: {column.shown}" for column in drawn)
    return columns(drawn, f"Expected responses by hour of the day: {label}")


def _first_hour(slot: str) -> int:
    start = slot.split("-")[0].strip()
    return int(start) if start.isdigit() else 99


def _days(rows: Sequence[Mapping[str, Any]], currency: str) -> Markup | None:
    """Spend by day."""
    if not rows:
        return None
    drawn = []
    for row in sorted(rows, key=lambda row: str(row["name"])):
        moment = date.fromisoformat(str(row["name"]))
        drawn.append(Bar(f"{moment:%a} {moment.day}", row["spend"], f"{row['spend']:,.0f}"))
    label = "; ".join(f"{column.name}: {column.shown}" for column in drawn)
    return columns(drawn, f"Spend by day, {currency}: {label}")


def _groups(plan: Content, night: Night) -> tuple[tuple[str, tuple[GroupRow, ...]], ...]:
    named = {
        str(segment["segment"]): str(segment["name"]["en"]) for segment in (night.segments or {}).get("segments") or ()
    }
    segments = [{**row, "shown": _segment(str(row["name"]), named)} for row in plan["by_segment"]]
    about = {str(offer["name"]): _terms(offer) for offer in plan.get("offers") or ()}
    offers = [{**row, "note": about.get(str(row["name"]), "")} for row in plan["by_offer"]]
    offers.sort(key=lambda row: (-row["expected_responses"], str(row["name"])))
    if len(offers) > NUM_OFFERS + 1:
        rest = offers[NUM_OFFERS:]
        others: dict[str, Any] = {name: sum(row[name] for row in rest) for name in FIGURES}
        offers = [*offers[:NUM_OFFERS], {"name": f"{len(rest)} other offers", **others}]
    tables = {"By segment": segments, "By offer": offers, "By channel": plan["by_channel"]}
    return tuple((title, _rows(rows)) for title, rows in tables.items() if rows)


def _segment(name: str, named: Mapping[str, str]) -> str:
    if name == "other":
        return "other segments together"
    return f"{name} · {named[name]}" if name in named else name


def _terms(offer: Mapping[str, Any]) -> str:
    """What an offer is, in a few words: "coupon, 20% off 155 products, selected family cereal"."""
    parts = [str(offer["kind"])]
    goods = words.things(offer["num_products"], "product")
    if offer.get("discount"):
        goods = f"{words.share(offer['discount'], 1)} off {goods}"
    elif offer.get("cost"):
        goods = f"costs {words.money(offer['cost'])} on {goods}"
    parts.append(goods)
    if offer.get("threshold"):
        parts.append(f"from {words.money(offer['threshold'])}")
    if called := (offer.get("called") or {}).get("en"):
        parts.append(str(called))
    return ", ".join(parts)


def _rows(rows: Sequence[Mapping[str, Any]]) -> tuple[GroupRow, ...]:
    most = max([row["expected_responses"] for row in rows] + [1e-12])
    shown = []
    for row in rows:
        name, responses = str(row.get("shown", row["name"])), f"{row['expected_responses']:,.1f}"
        shown.append(
            GroupRow(
                name,
                str(row.get("note", "")),
                charts.bar(row["expected_responses"] / most, f"{name}: {responses} expected responses"),
                responses,
                words.count(row["num"]),
                words.money(row["spend"]),
                words.money(row["expected_profit"]),
            )
        )
    return tuple(shown)
