"""One request at the desk: who asks, in which language, and how an answer is made for them."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from apps.desk import permissions
from apps.desk.prefect_api import Prefect
from apps.desk.sessions import Session, Sessions
from nightmarket.reporting import words
from tasks.desk import journal

LANGUAGES = {"en": "English", "zh": "中文"}
LANGUAGE_COOKIE = "nightmarket_language"
CHINESE: dict[str, str] = yaml.safe_load(files(__package__).joinpath("chinese.yaml").read_text(encoding="utf-8"))
"""English → Chinese, for every text of the templates."""


class Desk:
    """Everything that its pages share."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.prefect = Prefect(home)
        self.sessions = Sessions(home)
        self.templates = _environment()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("apps.desk", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": words.count,
        "money": lambda amount, currency="": words.money(amount, currency or ""),
        "change": words.change,
        "interval": words.interval,
        "signed": lambda figure: words.interval(figure, plus=True),
        "standing": words.standing,
        "moment": lambda text: str(text or "").replace("T", " ")[:16],
    }
    return environment


@dataclass
class DeskVisit:
    """A request, and what answers are made of."""

    request: Request
    desk: Desk

    @property
    def session(self) -> Session:
        """Whose it is."""
        session: Session = self.request.state.session
        return session

    @property
    def who(self) -> str:
        """Who is logged in; "" for nobody."""
        return self.session.name

    @property
    def home(self) -> Path:
        """The checkout."""
        return self.desk.home

    @cached_property
    def language(self) -> str:
        """What was chosen, else the first of the browser's that there is, else English."""
        chosen = self.request.cookies.get(LANGUAGE_COOKIE, "")
        asked = [part.split(";")[0].strip()[:2] for part in self.request.headers.get("accept-language", "").split(",")]
        return next((language for language in (chosen, *asked) if language in LANGUAGES), "en")

    def say(self, text: str, **about: Any) -> str:
        """A text in the reader's language."""
        return (CHINESE.get(text, text) if self.language == "zh" else text).format(**about)

    def may(self, method: str, path: str) -> bool:
        """Whether they may; `path` as in `permissions.ROUTES`."""
        return permissions.may(self.session.roles, method, path)

    def page(self, template: str, status: int = 200, **content: Any) -> HTMLResponse:
        """A page."""
        known = {"visit": self, "t": self.say, "may": self.may, "languages": LANGUAGES}
        token = self.desk.sessions.token(self.session)
        html = self.desk.templates.get_template(template).render(**known, token=token, **content)
        return HTMLResponse(html, status)

    def to(self, address: str) -> RedirectResponse:
        """Another page of ours, after a form."""
        return RedirectResponse(address, 303)

    def enter(self, name: str, address: str) -> Response:
        """Begin a session of that account, under a new number."""
        self.request.state.session = self.desk.sessions.new(name)
        return self.to(address)

    def note(self, what: str, **about: Any) -> None:
        """A line of the desk's record."""
        journal.append(self.home, what, self.who, **about)


async def of_request(request: Request) -> DeskVisit:
    """As a dependency."""
    return DeskVisit(request, request.app.state.desk)


OfVisit = Annotated[DeskVisit, Depends(of_request)]
