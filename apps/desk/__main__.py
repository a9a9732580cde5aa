"""`make desk`: the desk on this machine, with its address and, as long as there is no account, a link for the first.

python -m apps.desk               serve
python -m apps.desk check         whether the desk's record is whole; prints its last hash
"""

import argparse
import logging
import sys
from pathlib import Path

from nightmarket.contracts import InputError
from tasks.desk import accounts, journal
from tasks.files import storage

PORT = 4300
LOOPBACK = "127.0.0.1"


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, 1 for a record that was changed, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m apps.desk", description="Where people plan, approve and look.")
    parser.add_argument("what", nargs="?", choices=["serve", "check"], default="serve")
    parser.add_argument("--port", type=int, default=PORT, help=f"to listen on, on this machine (default: {PORT})")
    given = parser.parse_args(arguments)
    home = storage.home()
    try:
        return check(home) if given.what == "check" else serve(home, given.port)
    except InputError as error:
        print(f"nightmarket: desk: {error}", file=sys.stderr)
        return 2


def check(home: Path) -> int:
    """Say whether every line of the record follows from the one before it."""
    if number := journal.broken(home):
        print(f"{journal.path(home)}: line {number} was changed, or a line before it is missing", file=sys.stderr)
        return 1
    rows = journal.rows(home)
    last = f"; the last bears {rows[-1]['sha256']}" if rows else ""
    print(f"{len(rows):,} lines, each as it was written{last}")
    return 0


def serve(home: Path, port: int) -> int:
    """Listen until a signal ends it."""
    import uvicorn

    if not (home / "params.yaml").exists():
        raise InputError(f"{home} holds no params.yaml; run from the folder of the checkout")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    for name in ("httpx", "prefect", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    config = uvicorn.Config(
        "apps.desk.application:create", factory=True, host=LOOPBACK, port=port, log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    with config.bind_socket() as listening:
        address = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        first = "" if accounts.on(home) else f"/invitation?secret={accounts.invite_first(home)}"
        print(f"the desk is on {address}", flush=True)
        if first:
            print(f"nobody has an account yet; make the first one here, once: {address}{first}", flush=True)
        uvicorn.Server(config).run([listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
