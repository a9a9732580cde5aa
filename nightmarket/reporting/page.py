"""The page: one HTML string that needs nothing else, runs no script and fetches nothing."""

import base64
import hashlib
import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, meta
from markupsafe import Markup

from nightmarket.reporting import (
    care,
    chances,
    delivery,
    demand,
    drift,
    groups,
    intake,
    launches,
    lineage,
    morning,
    plan,
    quality,
    readouts,
    responses,
    reviews,
    segments,
    texts,
    versions,
    words,
)
from nightmarket.reporting.night import Night

log = logging.getLogger("nightmarket")
PSEUDONYM_LENGTH = 8
MAX_TITLE = 90
"""Characters of a product title or reason; what is longer is cut."""
PARTS: dict[str, dict[str, str]] = words.WORDING["parts"]
"""Per part of the page its sections: template, and line in the contents."""
SECTIONS = {key: title for part in PARTS.values() for key, title in part.items()}


VIEWS: dict[str, Callable[[Night], Any]] = {
    "gate": delivery.gate,
    "versions": versions.view,
    "intake": intake.intake,
    "drift": drift.view,
    "plan": plan.view,
    "copy": texts.view,
    "launches": launches.view,
    "responses": responses.view,
    "segments": segments.view,
    "reviews": reviews.view,
    "demand": demand.view,
    "care": care.view,
    "readouts": readouts.view,
    "logs": readouts.logs,
    "ledger": readouts.ledger,
    "tasks": quality.tasks,
    "slices": quality.slices,
    "groups": groups.view,
    "chances": chances.chances,
    "reasons": chances.reasons,
    "text": quality.text,
    "importance": delivery.importance,
    "lineage": lineage.view,
    "night": lambda night: night,
    "judged": lambda night: _evaluated_on(night),
}
"""What the sections' templates speak of."""


class Section(NamedTuple):
    """One section, and the kind of the error for which it could not be made; "" where it was."""

    html: Markup
    error: str = ""


def render(night: Night, made: Mapping[str, Section] | None = None) -> str:
    """The page of one night. Titles and reasons are other people's text: every value is escaped.

    made  its sections, where they are made already
    """
    style = _environment().get_template("page.css").render()
    return (
        _environment()
        .get_template("page.html")
        .render(
            style=Markup(style),
            policy=_policy(style),
            night=night,
            date=words.day(night.as_of),
            weekday=words.weekday(night.as_of),
            parts=PARTS,
            sections=[section.html for section in (made or sections(night)).values()],
            headline=delivery.headline(night),
            incomplete=incomplete(night),
            morning=_this_morning(night),
            key_figures=delivery.key_figures(night),
            judged=_evaluated_on(night),
        )
    )


def sections(night: Night) -> dict[str, Section]:
    """Every section by its key; one that cannot be made says so, and the others are not the poorer for it."""
    return {key: _section(key, night) for key in SECTIONS}


def _section(key: str, night: Night) -> Section:
    lost = next((name for name, section in words.WORDING["lost"].items() if section == key), "")
    if lost in night.unavailable:
        return Section(_note(key, f"Unavailable tonight: {night.unavailable[lost]}."))
    error = night.unreadable.get(key, "")
    if not error:
        try:
            views = {name: VIEWS[name](night) for name in _asked(f"{key}.html")}
            return Section(Markup(_environment().get_template(f"{key}.html").render(views)))
        except Exception as failure:  # whatever is wrong with one section, the others are read this morning
            log.warning("report: the section %s cannot be made", key, exc_info=True)
            error = type(failure).__name__
    said = f"This section could not be made ({error}); the log of the stage report says where."
    return Section(_note(key, said), error)


def _note(key: str, said: str) -> Markup:
    return Markup(_environment().get_template("note.html").render(key=key, title=SECTIONS[key], said=said))


def incomplete(night: Night) -> list[tuple[str, str]]:
    """What the top of an incomplete night's page says: per side stage that failed its section, and why."""
    lost = words.WORDING["lost"]
    return [(lost.get(name, ""), words.sentence(str(what))) for name, what in night.unavailable.items()]


def _this_morning(night: Night) -> list[morning.Item]:
    """The list at the top; none where what a section cannot be made of is in it too."""
    try:
        return morning.view(night)
    except Exception:
        log.warning("report: the list at the top cannot be made", exc_info=True)
        return []


def _evaluated_on(night: Night) -> str:
    what = words.EVENTS[night.target]
    if not night.window:
        return f"{what} after the cut"
    return f"{what} of {words.day_span(night.window.first_target, night.window.last_target)}"


def _policy(style: str) -> str:
    """A Content-Security-Policy that allows this one style sheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _cut(text: object, length: int = MAX_TITLE) -> str:
    whole = " ".join(str(text).split())
    return whole if len(whole) <= length else whole[: length - 1].rstrip() + "…"


@cache
def _asked(template: str) -> frozenset[str]:
    """The views that a template names."""
    environment = _environment()
    assert environment.loader is not None
    source = environment.loader.get_source(environment, template)[0]
    return frozenset(meta.find_undeclared_variables(environment.parse(source)))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("nightmarket.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cut": _cut,
        "count": words.count,
        "short_day": lambda number: words.day(words.local_day(number)),
        "pseudonym": lambda text: str(text)[:PSEUDONYM_LENGTH],
    }
    return environment
