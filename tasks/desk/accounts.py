"""Accounts of the desk, in `.nightmarket/accounts.json`: names, roles, hashes of passwords, no password.

Accounts are *on* as soon as somebody has set a password. Passwords are hashed with Argon2id (RFC 9106, by argon2-cffi
with its defaults). An invitation is a link that works once: the file holds its hash, and whoever follows it sets a
password of their own.
"""

import contextlib
import hashlib
import json
import re
import secrets
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from nightmarket.contracts import InputError
from tasks.files import locks, storage

Role = Literal["viewer", "marketer", "engineer", "auditor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
NAME = r"\w(?:[\w .@'-]{0,38}[\w.])?"
"""Of a person, as it goes on record: letters of any language, digits, spaces, 1 to 40."""
LEAST_PASSWORD, MOST_PASSWORD = 10, 200
"""Characters."""
WRONG_PASSWORDS, LOCKED_S = 5, 900.0
"""So many wrong passwords one after the other lock an account for so long."""
INVITATION_S = 3 * 86_400.0
FIRST = "first"
"""The key of the invitation that makes the first account."""
Account = dict[str, Any]
"""password (a hash, or None until the invitation is used), roles, generation (its sessions bear it; a new one ends
them), failures, locked_until (seconds since 1970), invitation ({sha256, until} or None)."""


def path(home: Path) -> Path:
    """Where they are."""
    return home / ".nightmarket" / "accounts.json"


def read(home: Path) -> dict[str, Account]:
    """{name: account}; none where there is no file. Raises InputError for one that others may read, or is damaged."""
    return {name: account for name, account in _read(home).items() if name != FIRST}


def on(home: Path) -> bool:
    """Whether anybody can log in: from then on a plan is approved at the desk alone."""
    return any(account["password"] for account in read(home).values())


def invite(home: Path, name: str, roles: Collection[str]) -> str:
    """A new account, or a new invitation for one that is there; returns the secret of the link.

    Raises InputError for a name that is none, an unknown role, or no role at all.
    """
    if not re.fullmatch(NAME, name) or name == FIRST:
        raise InputError("name: letters, digits, spaces and . @ ' - only, 1 to 40")
    if not roles or not set(roles) <= set(ROLES):
        raise InputError(f"roles: one or more of {', '.join(ROLES)}")
    with _changing(home) as accounts:
        secret, invitation = _invitation()
        new: Account = {"password": None, "generation": 0, "failures": 0, "locked_until": 0.0}
        account = {**new, **accounts.get(name, {})}
        accounts[name] = {**account, "roles": sorted(set(roles), key=ROLES.index), "invitation": invitation}
    return secret


def invite_first(home: Path) -> str:
    """The secret of the link for the first account, which has every role; earlier ones no longer work."""
    with _changing(home) as accounts:
        secret, accounts[FIRST] = _invitation()
    return secret


def invited(home: Path, secret: str) -> str | None:
    """Whom the link is for; "" for the first account, whose name is theirs to choose; None where it does not work."""
    given, now = hashlib.sha256(secret.encode()).hexdigest(), time.time()
    for name, account in _read(home).items():
        invitation = account if name == FIRST else account.get("invitation")
        if invitation and invitation["until"] > now and secrets.compare_digest(invitation["sha256"], given):
            return "" if name == FIRST else name
    return None


def accept(home: Path, secret: str, name: str, password: str) -> str:
    """Set the password of whoever the link is for; the link no longer works. Returns the account's name.

    name  of the first account; not read for others. Raises InputError for a link that does not work, or a password
          that is too short.
    """
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise InputError(f"password: {LEAST_PASSWORD} characters or more, at most {MOST_PASSWORD}")
    hashed = _hasher().hash(password)
    with _changing(home) as accounts:
        whom = invited(home, secret)
        if whom is None:
            raise InputError("this link was used already, or is older than three days; ask for a new one")
        if whom == "":
            if not re.fullmatch(NAME, name) or name == FIRST:
                raise InputError("name: letters, digits, spaces and . @ ' - only, 1 to 40")
            del accounts[FIRST]
            accounts[name] = {"roles": list(ROLES), "generation": 0}
            whom = name
        mine = accounts[whom]
        more = {"failures": 0, "locked_until": 0.0, "invitation": None, "generation": mine["generation"] + 1}
        accounts[whom] = {**mine, "password": hashed, **more}
    return whom


def check(home: Path, name: str, password: str) -> str:
    """ "" where the password is right, else "wrong" or "locked". Wrong ones are counted, and lock the account.

    An unknown name takes as long as a known one.
    """
    known = read(home).get(name)
    if known and known["locked_until"] > time.time():
        return "locked"
    right = _verified(known["password"] if known else None, password)
    if not known:
        return "wrong"
    if right and not known["failures"]:
        return ""
    with _changing(home) as accounts:
        account = accounts[name]
        account["failures"] = 0 if right else account["failures"] + 1
        if account["failures"] >= WRONG_PASSWORDS:
            account |= {"failures": 0, "locked_until": time.time() + LOCKED_S}
            return "locked"
    return "" if right else "wrong"


def set_roles(home: Path, name: str, roles: Collection[str]) -> None:
    """Raises InputError for an account that is not there, an unknown role, or where nobody would be admin any more."""
    if not set(roles) <= set(ROLES):
        raise InputError(f"roles: of {', '.join(ROLES)}")
    with _changing(home) as accounts:
        if name not in accounts:
            raise InputError("there is no such account")
        accounts[name] |= {"roles": sorted(set(roles), key=ROLES.index)}
        accounts[name]["generation"] += 1
        if not any("admin" in account.get("roles", ()) and account["password"] for account in accounts.values()):
            raise InputError("somebody has to be admin; make another one first")


def end_sessions(home: Path, name: str) -> None:
    """Every session of the account ends."""
    with _changing(home) as accounts:
        accounts[name]["generation"] += 1


def _invitation() -> tuple[str, dict[str, Any]]:
    secret = secrets.token_urlsafe(24)
    return secret, {"sha256": hashlib.sha256(secret.encode()).hexdigest(), "until": time.time() + INVITATION_S}


def _verified(hashed: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hashed or _nobody(), password[:MOST_PASSWORD]) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher()


_NOBODY: list[str] = []


def _nobody() -> str:
    """A hash that an unknown name is checked against, so that it takes as long."""
    if not _NOBODY:
        _NOBODY.append(_hasher().hash(secrets.token_urlsafe(24)))
    return _NOBODY[0]


def _read(home: Path) -> dict[str, Account]:
    file = path(home)
    if not file.exists():
        return {}
    if file.stat().st_mode & 0o077:
        raise InputError(f"{file} can be read by others; run `chmod 600 {file}`")
    return dict(storage.read_json(file))


@contextlib.contextmanager
def _changing(home: Path) -> Iterator[dict[str, Account]]:
    """The accounts, written when the block ends well; changes take turns."""
    file = path(home)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name("accounts.lock").open("a") as lock:
        locks.take(lock)
        accounts = _read(home)
        yield accounts
        with storage.replacing(file) as draft:
            draft.touch(mode=0o600)
            draft.write_text(json.dumps(accounts, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
