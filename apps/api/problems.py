"""Every answer that is no success is a problem of RFC 9457: `application/problem+json`, its type for programs."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

TYPES = {
    "bad-json": (400, "The body is not JSON"),
    "invalid": (422, "The request does not say what it must"),
    "unknown-product": (404, "There is no such product"),
    "id-taken": (409, "The id belongs to another request"),
    "unknown-filter": (422, "No product has this category or brand, or the words say nothing"),
    "no-key": (401, "A key is needed"),
    "wrong-key": (401, "The key is not known"),
    "scope": (403, "The key may not do this"),
    "no-route": (404, "There is nothing at this address"),
    "wrong-method": (405, "This address takes another method"),
    "too-large": (413, "The body is too large"),
    "too-slow": (408, "The body did not come in time"),
    "wrong-type": (415, "The body must be application/json"),
    "too-many": (429, "More requests than the key's rate"),
    "overloaded": (503, "More requests than can be answered in time"),
    "not-ready": (503, "There is nothing to answer from yet"),
    "not-kept": (503, "Nothing was written; send it again"),
    "internal": (500, "An error of ours"),
}
"""type → (status, title)"""
PREFIX = "urn:nightmarket:problem:"
MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 10


class ProblemError(Exception):
    """An answer that is no success.

    detail       one line for a person, without a customer's data
    retry_after  seconds after which it may go well
    errors       [{"at": "events.3.kind", "problem": …}] of a body that was not understood
    """

    def __init__(
        self, kind: str, detail: str = "", retry_after: int | None = None, errors: Sequence[Mapping[str, str]] = ()
    ) -> None:
        super().__init__(detail or kind)
        self.kind, self.detail, self.retry_after, self.errors = kind, detail, retry_after, errors
        self.status, self.title = TYPES[kind]

    def headers(self) -> dict[str, str]:
        """Of the answer."""
        more = {"retry-after": str(self.retry_after)} if self.retry_after is not None else {}
        return more | ({"www-authenticate": "Bearer"} if self.status == HTTPStatus.UNAUTHORIZED else {})

    def body(self, request_id: str) -> bytes:
        """The document."""
        content: dict[str, Any] = {"type": PREFIX + self.kind, "title": self.title, "status": self.status}
        if self.detail:
            content["detail"] = self.detail
        if self.errors:
            content["errors"] = list(self.errors)
        return json.dumps({**content, "request_id": request_id}).encode()


def is_json(content_type: str) -> bool:
    """Whether a header says that the body is JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def of_validation(errors: Sequence[Mapping[str, Any]]) -> ProblemError:
    """What pydantic says of a request, without the values that it was given: they may be a customer's."""
    if any(error["type"] == "json_invalid" for error in errors):
        return ProblemError("bad-json", "the body is no JSON document")
    said = []
    for error in errors[:MOST_ERRORS]:
        where = [str(part) for part in error["loc"] if part not in ("body", "several", "single")]
        if error["type"] == "extra_forbidden":
            where[-1:] = ["…"]  # the name was the sender's
        said.append({"at": ".".join(where), "problem": _ascii(str(error["msg"]))})
    more = f"; {len(errors) - MOST_ERRORS} more" if len(errors) > MOST_ERRORS else ""
    first = said[0]
    return ProblemError("invalid", f"{first['at'] or 'body'}: {first['problem']}{more}", errors=said)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()[:200]
