"""Redaction: keep the secrets that this installation uses out of every log, wherever a library repeats them.

They come from the environment and from files that only their owner reads; here they are looked up once per process and
removed from text in the forms in which libraries write them: as they are, quoted for an address, in base64.
"""

import base64
import functools
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

from tasks.files import storage

REDACTED = "[redacted]"
LEAST = 8
"""Characters from which a value is a secret; shorter ones are words like `true`."""
NAMED = re.compile(
    r"KEY|TOKEN|SECRET|PASS(W|P|\b|_)|PWD$|AUTH|CREDENTIAL|WEBHOOK|DSN|COOKIE|CONNECTION_STRING|_SAS", re.I
)
"""Names of variables and settings whose values are secrets."""
HARMLESS = re.compile(r"SSH_AUTH_SOCK|XAUTHORITY|GIT_ASKPASS|_CACHE_|KEYMAP|AUTHOR", re.I)
PERSON = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
"""NAME:PASSWORD in an address, known or not."""
SCHEME = re.compile(r"\b(Bearer|Basic) +(?=\S*[0-9=+/])[A-Za-z0-9+/=._~-]{8,}")
MOST_BYTES = 1 << 16
"""Of a file that holds secrets."""


class Redactor:
    """Removes secrets from text."""

    def __init__(self, secrets: set[str]) -> None:
        """secrets  at least eight characters each; shorter ones are left out"""
        forms = {form for secret in secrets if len(secret) >= LEAST for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        if self._known:
            text = self._known.sub(REDACTED, text)
        return SCHEME.sub(rf"\1 {REDACTED}", PERSON.sub(REDACTED, text))

    def of_error(self, error: Exception) -> Exception:
        """The error itself, or one of its kind that says the same without secrets."""
        message = str(error)
        if self(message) == message:
            return error
        try:
            return type(error)(self(message))
        except TypeError:
            return RuntimeError(f"{type(error).__name__}: {self(message)}")


@functools.cache
def redactor() -> Redactor:
    """For the secrets of this process."""
    return Redactor(set(_everywhere(os.environ, storage.home())))


def install() -> None:
    """From now on no record of this process's logging holds a secret, tracebacks included."""
    make, plain = logging.getLogRecordFactory(), logging.Formatter()
    if getattr(make, "redacts", False):
        return

    def record(*args: object, **kwargs: object) -> logging.LogRecord:
        entry = make(*args, **kwargs)
        try:
            message, clean = entry.getMessage(), redactor()
        except (TypeError, ValueError):
            return entry  # a line that does not fit its arguments is the handler's to complain of, not the caller's
        if (clean_message := clean(message)) != message:
            entry.msg, entry.args = clean_message, ()
        if entry.exc_info and entry.exc_info[0] is not None:
            trace = plain.formatException(entry.exc_info)
            if (clean_trace := clean(trace)) != trace:
                entry.exc_info, entry.exc_text = None, clean_trace
        return entry

    record.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(record)


def _everywhere(environment: Mapping[str, str], home: Path) -> Iterator[str]:
    for name, value in environment.items():
        if NAMED.search(name) and not HARMLESS.search(name):
            yield from _of_value(value)
        elif "://" in value:
            yield from _of_address(value)
    local = home / ".dvc" / "config.local"
    for path in (home / ".nightmarket" / "customer.key", home / ".nightmarket" / "login", local):
        yield from _of_file(path)
    person = Path(environment.get("HOME", "/nowhere"))
    for name in (".aws/credentials", ".netrc", ".pgpass", ".git-credentials"):
        yield from _of_file(person / name)


def _of_value(value: str) -> Iterator[str]:
    """A variable's secrets: the value, what an address in it holds, or what the file that it names does."""
    if value.startswith(("/", "~")):
        yield from _of_file(Path(value).expanduser())
        return
    yield value
    yield from _of_address(value)
    if "://" not in value:
        yield value.partition(":")[2]  # NAME:PASSWORD
        yield from re.findall(r"(?:Key|Password|Pwd|Signature|sig)=([^;&\s]+)", value)


def _of_address(value: str) -> Iterator[str]:
    """The password of an address, and its path where that may be a token: of a webhook."""
    for address in re.findall(r"[a-z][a-z0-9+.-]*://\S+", value, re.I):
        try:
            parts = urlsplit(address)
            yield parts.password or parts.username or ""
        except ValueError:
            continue
        yield from re.findall(r"[^/?&=]{16,}", f"{parts.path}?{parts.query}")


def _of_file(path: Path) -> Iterator[str]:
    """Every value of a secrets' file: words after `=` or a blank, and lines of keys."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        yield from _of_address(line)
        name, sign, value = line.partition("=")
        value = value.strip().strip("\"'")
        if sign and NAMED.search(name):
            yield from _of_value(value)
        elif not sign or path.suffix not in (".local",):
            words = re.split(r"[\s:,\"'{}\[\]]+", line)
            yield from (word for word in words if len(word) >= 2 * LEAST)
            yield line.partition(":")[2] if path.name == "login" else ""


def _forms(secret: str) -> set[str]:
    content = secret.encode()
    forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]}
    if len(content) >= LEAST + 2:
        for offset in range(3):  # inside a longer text base64 writes it in one of three ways
            coded = base64.b64encode(b"\0" * offset + content).decode()
            core = coded[-(-offset * 8 // 6) : (offset + len(content)) * 8 // 6]
            forms |= {core, core.replace("+", "-").replace("/", "_")}
    return forms
