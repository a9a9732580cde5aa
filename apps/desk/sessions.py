"""Who is there: a signed cookie, a token in every form, one clock. Nothing of it is kept on this side.

The cookie bears a random number, the name of the account and its generation. It is made anew at a log-in, so that a
number that somebody planted before is worth nothing after; a new generation of the account ends all its sessions. The
token of forms is a keyed hash of that number.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.responses import Response

from tasks.desk import accounts, signature

COOKIE = "nightmarket_desk"
LASTS_S = 12 * 3600
"""After a log-in; then one logs in again."""


@dataclass(frozen=True)
class Session:
    """One browser. name: "" where nobody is logged in; roles as they are now."""

    number: str
    name: str = ""
    roles: Sequence[str] = ()
    generation: int = 0
    fresh: bool = False


class Sessions:
    """Reads and writes them for one checkout."""

    def __init__(self, home: Path) -> None:
        self._home = home
        key = signature.key(home)
        self._serializer = URLSafeTimedSerializer(key, salt="session")
        self._key = hmac.digest(key, b"forms", "sha256")

    def of(self, request: Request) -> Session:
        """Whose request it is; a new one for a cookie that is not there, old, not ours, or ended."""
        try:
            known: dict[str, Any] = self._serializer.loads(request.cookies.get(COOKIE, ""), max_age=LASTS_S)
        except BadData:
            return self.new()
        if not known["name"]:
            return Session(known["number"])
        account = accounts.read(self._home).get(known["name"])
        if account is None or account["generation"] != known["generation"]:
            return self.new()
        return Session(known["number"], known["name"], account["roles"], account["generation"])

    def new(self, name: str = "") -> Session:
        """One with a number of its own, of the account of that name."""
        number = secrets.token_urlsafe(18)
        if not name:
            return Session(number, fresh=True)
        account = accounts.read(self._home)[name]
        return Session(number, name, account["roles"], account["generation"], fresh=True)

    def write(self, response: Response, session: Session) -> None:
        """Set the cookie."""
        content = {"number": session.number, "name": session.name, "generation": session.generation}
        text = self._serializer.dumps(content)
        response.set_cookie(COOKIE, str(text), max_age=LASTS_S, httponly=True, samesite="lax", path="/")

    def token(self, session: Session) -> str:
        """What every form of the session bears."""
        return hmac.new(self._key, session.number.encode(), hashlib.sha256).hexdigest()

    def is_token(self, session: Session, given: str) -> bool:
        """Whether a form that was sent bears it."""
        return hmac.compare_digest(self.token(session).encode(), given.encode())
