"""`python -m tasks.live.keys add shop --scope read --scope events`: who may ask the live site for what.

A key is shown once, when it is made; `.nightmarket/live/keys.json` holds hashes. `list` shows names, scopes and rates,
`remove NAME` takes a key back; servers that run see it within seconds.
"""

import argparse
import datetime
import hashlib
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.files.locks import take

SCOPES = {
    "events": "write events",
    "read": "ask for recommendations, rankings, similar products and what goes with a product",
    "customers": "ask why a customer is shown what they are shown",
    "stock": "say what is in stock",
    "offers": "ask which offer a customer is made",
    "products": "put products that are new or changed",
    "metrics": "read the figures of the servers",
}
PREFIX = "nm_"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept.

    rate  requests a second, over all workers; a second's worth may come at once
    """

    name: str
    sha256: str
    scopes: tuple[str, ...]
    rate: float
    made: str


def path() -> Path:
    """Where the hashes lie."""
    return storage.private("live", "keys.json")


def hashed(secret: str) -> str:
    """What is kept of a key. It has 256 bits of its own, so that no salt and no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def read() -> dict[str, ApiKey]:
    """{hash: key}; {} where none was made. Raises InputError for a file that is damaged."""
    place = path()
    if not place.exists():
        return {}
    try:
        rows = [ApiKey(**{**row, "scopes": tuple(row["scopes"])}) for row in storage.read_json(place)["keys"]]
    except (KeyError, TypeError):
        raise InputError(f"{place} holds no keys of ours; restore it, or remove it and make them anew") from None
    return {key.sha256: key for key in rows}


def add(name: str, scopes: Sequence[str], rate: float) -> str:
    """Make a key; the secret, which is kept nowhere. Raises InputError for a name that is taken or a scope unknown."""
    if not NAME.fullmatch(name):
        raise InputError(f"'{name[:40]}' is no name of a key; take up to 40 of a-z, 0-9, - and _")
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        raise InputError(f"there is no scope '{unknown[0] if unknown else ''}'; choose of {', '.join(SCOPES)}")
    if not 0 < rate <= 1e6:
        raise InputError(f"a rate of {rate:g} requests a second cannot be meant; give one above 0")
    with _lock().open("a") as lock:
        take(lock)
        keys = read()
        if any(key.name == name for key in keys.values()):
            raise InputError(f"there is a key '{name}' already; remove it first, or take another name")
        secret = PREFIX + secrets.token_urlsafe(32)
        today = datetime.date.today().isoformat()
        _write([*keys.values(), ApiKey(name, hashed(secret), tuple(sorted(set(scopes))), rate, today)])
    return secret


def remove(name: str) -> None:
    """Take a key back. Raises InputError where there is none of that name."""
    with _lock().open("a") as lock:
        take(lock)
        keys = read()
        left = [key for key in keys.values() if key.name != name]
        if len(left) == len(keys):
            known = ", ".join(key.name for key in keys.values()) or "none was made"
            raise InputError(f"there is no key '{name[:40]}'; there are: {known}")
        _write(left)


def _lock() -> Path:
    return path().with_name("keys.lock")


def _write(keys: Sequence[ApiKey]) -> None:
    rows: list[dict[str, Any]] = [{**asdict(key), "scopes": list(key.scopes)} for key in keys]
    storage.write_json({"keys": rows}, path())
    path().chmod(0o600)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tasks.live.keys", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("add", help="make a key and show it once")
    new.add_argument("name")
    new.add_argument("--scope", action="append", default=[], choices=SCOPES, help="may be given several times")
    new.add_argument("--rate", type=float, default=100.0, help="requests a second (default 100)")
    commands.add_parser("remove", help="take a key back").add_argument("name")
    commands.add_parser("list", help="names, scopes, rates, days of making")
    given = parser.parse_args(arguments)
    try:
        if given.command == "add":
            print(add(given.name, given.scope, given.rate))
        elif given.command == "remove":
            remove(given.name)
        else:
            for key in read().values():
                print(f"{key.name}: {', '.join(key.scopes)}; {key.rate:g} requests a second; made {key.made}")
    except InputError as error:
        print(f"nightmarket: keys: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
