"""`make serve`: the live site's API, on the address and with the workers of params.yaml, `serve`."""

import argparse
import hashlib
import os
import secrets
import sys
import tempfile
from pathlib import Path

from nightmarket.contracts import InputError
from tasks.live import keys
from tasks.pipeline import settings

STOP_S = 10
WORKER_S = 60
"""Seconds after which a worker that says nothing is replaced; on a busy machine it is long in its imports."""


def serve(given: settings.Serve, factory: str, page: str = "") -> None:
    """Listen until a signal ends it.

    page  of the address that is printed
    """
    import uvicorn

    from apps.api.connections import PromptProtocol
    from apps.api.workers import Workers

    config = uvicorn.Config(
        factory, factory=True, host=given.host, port=given.port, workers=given.workers, log_config=None,
        access_log=False, server_header=False, date_header=False, lifespan="on", ws="none", http=PromptProtocol,
        loop="uvloop", timeout_keep_alive=30, timeout_graceful_shutdown=STOP_S,
        timeout_worker_healthcheck=WORKER_S, backlog=2048,
        limit_concurrency=4096, h11_max_incomplete_event_size=1 << 16, proxy_headers=False,
    )  # fmt: skip
    listening = config.bind_socket()
    host, port = listening.getsockname()[:2]
    print(f"serving on http://{host}:{port}{page} with {given.workers} workers", flush=True)
    if not page and not keys.read():
        print("no key was made yet: python -m tasks.live.keys add shop --scope events --scope read", flush=True)
    with tempfile.TemporaryDirectory(prefix="nightmarket-figures-") as figures:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = figures
        os.environ["NIGHTMARKET_SERVER"] = str(os.getpid())
        Workers(config, [listening]).run()


def main(arguments: list[str] | None = None, factory: str = "apps.api.application:create") -> int:
    """Exit code 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m apps.api", description="The live site's API.")
    parser.add_argument("--host", help="in place of serve.host")
    parser.add_argument("--port", type=int, help="in place of serve.port; 0: a free one")
    parser.add_argument("--workers", type=int, help="in place of serve.workers")
    asked = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    try:
        given = settings.serve() if Path("params.yaml").exists() else settings.Serve()
        serve(settings.Serve.model_validate({**given.model_dump(), **asked}), factory)
    except (InputError, ValueError) as error:
        print(f"nightmarket: serve: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    return 0


def one_off_key() -> str:
    """A key with every scope for the servers that this process starts; no file holds it."""
    secret = keys.PREFIX + secrets.token_urlsafe(32)
    os.environ["NIGHTMARKET_ONE_OFF_KEY"] = hashlib.sha256(secret.encode()).hexdigest()
    return secret


if __name__ == "__main__":
    sys.exit(main())
