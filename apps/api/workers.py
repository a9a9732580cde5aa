"""The processes that answer, and their parent, which replaces one that dies."""

from socket import socket

from uvicorn import Config
from uvicorn.supervisors import multiprocess


class Worker(multiprocess.Process):
    """A worker whose end its parent notices while it waits for the worker's word.

    uvicorn 0.54 keeps the worker's end of their pipe open in the parent too. A worker that is killed between a question
    and its answer then looks like one that is slow: for as long as that is allowed, none takes its place and no signal
    is heeded.
    """

    def start(self) -> None:
        super().start()
        self.child_conn.close()


class Workers(multiprocess.Multiprocess):
    """uvicorn's parent of workers, with workers of the kind above."""

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        multiprocess.Process = Worker  # type: ignore[misc]  # it asks its own module for their class
        super().__init__(config, sockets)
