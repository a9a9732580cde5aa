"""What is asked most often, answered by the functions of `routes` without the framework around them.

The framework's own way of the same addresses stands in the OpenAPI document and does the same, at some twice the time
of a worker: it reads a body, an answer and a dependency several times over.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.types import Message, Receive, Scope, Send

from apps.api import routes
from apps.api.problems import ProblemError, is_json, of_validation
from apps.api.questions import Site
from apps.api.schemas import EventOrBatch, RankRequest, RecommendationRequest, SearchRequest


@dataclass(frozen=True)
class DirectRoute:
    """An address, the scope that a key needs for it, what its body holds, and who answers."""

    path: str
    scope: str
    body: TypeAdapter[Any]
    answer: Callable[[Site, str, Any], Awaitable[BaseModel]]


ROUTES = {
    route.path: route
    for route in (
        DirectRoute("/v1/events", "events", TypeAdapter(EventOrBatch), routes.written),
        DirectRoute("/v1/recommendations", "read", TypeAdapter(RecommendationRequest), routes.recommended),
        DirectRoute("/v1/rank", "read", TypeAdapter(RankRequest), routes.ranked),
        DirectRoute("/v1/search", "read", TypeAdapter(SearchRequest), routes.searched),
    )
}
"""All of them POST."""


class Direct:
    """Around the framework's application, behind `access.Door`: who asks is known, and the body has been read."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Raises ProblemError, which the door answers."""
        route = ROUTES.get(scope.get("path", "")) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        routes.needed(scope["state"]["key"], route.scope)
        given = _read(route.body, dict(scope["headers"]), await receive())
        reply = await route.answer(self._app.state.site, scope["state"]["request_id"], given)
        body = reply.model_dump_json().encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _read(kind: TypeAdapter[Any], headers: dict[bytes, bytes], message: Message) -> Any:
    if not is_json(headers.get(b"content-type", b"").decode("latin-1")):
        raise ProblemError("wrong-type")
    try:
        return kind.validate_json(message["body"])
    except ValidationError as error:
        raise of_validation(error.errors(include_url=False, include_context=False, include_input=False)) from None
