"""The page: one HTML string that needs nothing else, runs no script and fetches nothing."""

import base64
import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nightmarket.reporting import (
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

PSEUDONYM_LENGTH = 8
MAX_TITLE = 90
"""Characters of a product title or reason; what is longer is cut."""
PARTS: dict[str, dict[str, str]] = words.WORDING["parts"]
"""Per part of the page its sections: template, and line in the contents."""
SECTIONS = {key: title for part in PARTS.values() for key, title in part.items()}


def render(night: Night) -> str:
    """The page of one night. Titles and reasons are other people's text: every value is escaped."""
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
            sections=SECTIONS,
            headline=delivery.headline(night),
            morning=morning.view(night),
            key_figures=delivery.key_figures(night),
            gate=delivery.gate(night),
            versions=versions.view(night),
            intake=intake.intake(night),
            drift=drift.view(night),
            plan=plan.view(night),
            copy=texts.view(night),
            launches=launches.view(night),
            responses=responses.view(night),
            segments=segments.view(night),
            reviews=reviews.view(night),
            demand=demand.view(night),
            readouts=readouts.view(night),
            logs=readouts.logs(night),
            ledger=readouts.ledger(night),
            tasks=quality.tasks(night),
            slices=quality.slices(night),
            groups=groups.view(night),
            chances=chances.chances(night),
            reasons=chances.reasons(night),
            text=quality.text(night),
            importance=delivery.importance(night),
            lineage=lineage.view(night),
            judged=_evaluated_on(night),
        )
    )


def _evaluated_on(night: Night) -> str:
    if not night.window:
        return "purchases after the cut"
    return "purchases of " + words.day_span(night.window.first_target, night.window.last_target)


def _policy(style: str) -> str:
    """A Content-Security-Policy that allows this one style sheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _cut(text: object, length: int = MAX_TITLE) -> str:
    whole = " ".join(str(text).split())
    return whole if len(whole) <= length else whole[: length - 1].rstrip() + "…"


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
