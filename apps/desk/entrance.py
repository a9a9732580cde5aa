"""The way in: log in and out, an invitation's password, the language, and who has an account."""

import re
from importlib.resources import files
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form
from fastapi.responses import Response

from apps.desk.visit import LANGUAGE_COOKIE, LANGUAGES, OfVisit
from nightmarket.contracts import InputError
from tasks.desk import accounts

router = APIRouter()
STYLE = files(__package__).joinpath("desk.css").read_text(encoding="utf-8")
Line = Annotated[str, Form(max_length=300)]
LOCAL = re.compile(r"/(?![/\\])[\w./?=&%,-]*")
"""A page of ours; anything else that a link names as the next page is left aside."""


def local(address: str) -> str:
    """The address where it is one of ours, else the first page."""
    return address if LOCAL.fullmatch(address) else "/"


@router.get("/desk.css")
def style() -> Response:
    """For all pages."""
    return Response(STYLE, media_type="text/css", headers={"cache-control": "max-age=3600"})


@router.get("/login")
def ask_password(visit: OfVisit, to: str = "/") -> Response:
    """The form."""
    if not accounts.on(visit.home):
        return visit.page("first.html")
    return visit.page("login.html", to=local(to), said="", name="")


@router.post("/login")
def log_in(visit: OfVisit, name: Line, password: Line, to: Line = "/") -> Response:
    """Into a new session."""
    said = accounts.check(visit.home, name, password)
    if said:
        visit.note(f"log-in refused: {said}", account=name[:40])
        return visit.page("login.html", 403, to=local(to), said=said, name=name)
    answer = visit.enter(name, local(to))
    visit.note("logged in")
    return answer


@router.post("/logout")
def log_out(visit: OfVisit) -> Response:
    """All sessions of the account end: a cookie that was copied is worth nothing then."""
    visit.note("logged out")
    accounts.end_sessions(visit.home, visit.who)
    return visit.enter("", "/login")


@router.post("/language")
def choose_language(visit: OfVisit, language: Line, to: Line = "/") -> Response:
    """For this browser."""
    answer = visit.to(local(to))
    if language in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=365 * 86_400, httponly=True, samesite="lax")
    return answer


@router.get("/invitation")
def ask_new_password(visit: OfVisit, secret: str = "") -> Response:
    """For whoever was given the link."""
    name = accounts.invited(visit.home, secret)
    if name is None:
        raise InputError("this link was used already, or is older than three days; ask for a new one")
    return visit.page("invitation.html", name=name, secret=secret)


@router.post("/invitation")
def set_password(visit: OfVisit, secret: Line, password: Line, again: Line, name: Line = "") -> Response:
    """The account is theirs from now on."""
    if password != again:
        raise InputError("the two passwords differ; go back and type them again")
    name = accounts.accept(visit.home, secret, name.strip(), password)
    answer = visit.enter(name, "/")
    visit.note("set a password")
    return answer


@router.get("/accounts")
def list_accounts(visit: OfVisit) -> Response:
    """Who has one."""
    return visit.page("accounts.html", accounts=accounts.read(visit.home), roles=accounts.ROLES, link="", invited="")


@router.post("/accounts")
def invite(visit: OfVisit, name: Line, roles: Annotated[list[str], Form(max_length=9)] = []) -> Response:  # noqa: B006
    """A link for a new colleague, or for one who forgot the password; shown this once."""
    secret = accounts.invite(visit.home, name.strip(), roles)
    visit.note("invited", account=name.strip(), roles=roles)
    link = f"{str(visit.request.base_url).rstrip('/')}/invitation?secret={quote(secret)}"
    known = accounts.read(visit.home)
    return visit.page("accounts.html", accounts=known, roles=accounts.ROLES, link=link, invited=name.strip())


@router.post("/accounts/{name}")
def change_roles(visit: OfVisit, name: str, roles: Annotated[list[str], Form(max_length=9)] = []) -> Response:  # noqa: B006
    """Of an account; without one it can see nothing."""
    accounts.set_roles(visit.home, name, roles)
    visit.note("changed roles", account=name, roles=roles)
    return visit.to("/accounts")
