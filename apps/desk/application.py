"""The application: who may come in, what every answer bears, and the pages."""

import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from apps.desk import campaigns, entrance, handout, models, on_record, people, permissions, planning, today
from apps.desk.visit import Desk, DeskVisit
from nightmarket.contracts import InputError
from tasks.desk import accounts
from tasks.files import storage

LOG = logging.getLogger("nightmarket.desk")
MOST_BYTES = 1 << 20
HOSTS = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
PAGES = (entrance, today, campaigns, handout, planning, people, models, on_record)
Next = Callable[[Request], Awaitable[Response]]


def create() -> FastAPI:
    """For uvicorn, in a checkout."""
    return application(storage.home())


def application(home: Path) -> FastAPI:
    """The desk of a checkout."""
    app = FastAPI(openapi_url=None, dependencies=[Depends(guard)])
    app.state.desk = Desk(home)
    app.middleware("http")(_around)
    for module in PAGES:
        app.include_router(module.router)
    app.exception_handler(InputError)(_refused)
    app.exception_handler(RequestValidationError)(_refused)
    app.exception_handler(HTTPException)(_no_page)
    return app


async def guard(request: Request) -> None:
    """By the table of `permissions`; and a form comes from a page of this very session."""
    session, desk = request.state.session, request.app.state.desk
    path = request.scope["route"].path
    if not permissions.may(session.roles, request.method, path):
        raise HTTPException(403 if session.name else 401)
    if request.method == "POST":
        form = await request.form()
        if not desk.sessions.is_token(session, str(form.get("token", ""))):
            raise HTTPException(403, "token")


async def _around(request: Request, call_next: Next) -> Response:
    """Every request is met here first, and every answer gets its headers."""
    desk: Desk = request.app.state.desk
    try:
        if refusal := _refusal(request):
            response: Response = HTMLResponse(refusal, 400)
        else:
            request.state.session = desk.sessions.of(request)
            response = await call_next(request)
            if request.state.session.fresh:
                desk.sessions.write(response, request.state.session)
    except InputError as error:  # accounts or key cannot be read
        response = HTMLResponse(f"nightmarket: desk: {error}", 500, media_type="text/plain")
    except Exception as error:  # its kind and place go to the log, never what it holds of a customer
        where = traceback.extract_tb(error.__traceback__)[-1]
        LOG.error("%s in %s, line %s", type(error).__name__, Path(where.filename).name, where.lineno)
        response = DeskVisit(request, desk).page("message.html", 500, title="An error of ours", text=ERROR)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


ERROR = "Its kind and place are in the desk’s log (.prefect/desk.log)."
MISSING = {
    401: ("Please log in", ""),
    403: ("Not for your roles", "Ask whoever is admin here for the role that this needs."),
    404: ("There is no such page", "Perhaps it was a run that is over; the list of campaigns has them all."),
    405: ("There is no such page", ""),
}
TOKEN = ("This form is too old", "Go back, load the page anew, and send it again.")


def _refusal(request: Request) -> str:
    """Why a request is not even looked at; "" where it is. Another site's page, or one that claims our name, asks."""
    host = request.headers.get("host", "")
    if host.rsplit(":", 1)[0] not in HOSTS and host not in HOSTS:
        return "the desk answers on this machine alone"
    origin = request.headers.get("origin")
    if request.method not in ("GET", "HEAD") and origin is not None and urlsplit(origin).netloc != host:
        return "the form is another site's"
    length = request.headers.get("content-length", "0")
    if request.headers.get("transfer-encoding") or not length.isdigit() or int(length) > MOST_BYTES:
        return f"at most {MOST_BYTES:,} bytes, and their number said before"
    return ""


async def _refused(request: Request, error: Exception) -> Response:
    """Bad input: one line."""
    visit = DeskVisit(request, request.app.state.desk)
    if isinstance(error, RequestValidationError):
        fields = ", ".join(sorted({str(part["loc"][-1]) for part in error.errors()}))
        text = visit.say("These fields are not as they must be: {fields}", fields=fields)
        return visit.page("message.html", 422, title="That was not done", text=text)
    return visit.page("message.html", 422, title="That was not done", text=str(error))


async def _no_page(request: Request, error: Exception) -> Response:
    """Not there, or not for them."""
    visit = DeskVisit(request, request.app.state.desk)
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == 401 and request.method == "GET":
        if not accounts.on(visit.home):
            return visit.page("first.html", 401)
        return RedirectResponse(f"/login?to={quote(request.url.path)}", 303)
    title, text = TOKEN if getattr(error, "detail", "") == "token" else MISSING.get(status, MISSING[404])
    return visit.page("message.html", status, title=title, text=visit.say(text))
