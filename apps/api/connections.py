"""Connections that do not come to the point are closed: a request's head must be there in time."""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0
"""Seconds within which the head of a request must be there, from the connection or from the request's first byte on."""


class PromptProtocol(HttpToolsProtocol):
    """uvicorn's own, which waits for a head for ever."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Asyncio's."""
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's."""
        self._end()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The parser's: the first byte of a request."""
        self._begin()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser's."""
        self._end()
        super().on_headers_complete()

    def _begin(self) -> None:
        self._end()
        self._limit = self.loop.call_later(HEAD_S, self.transport.close)

    def _end(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
