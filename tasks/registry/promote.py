"""Change the champion by hand, with a reason on record.

    python -m tasks.registry.promote promote --version 6 --reason "…" --who "…"
    python -m tasks.registry.promote rollback --reason "…" --who "…"

reads   MLflow, data/champion, artifacts/prepare (for a trial of the version)
writes  MLflow (aliases, tags, descriptions), data/champion, .nightmarket/promotions.jsonl

A flow calls it in a worktree and publishes data/champion. What a kill cut short is finished first; the same command
again then says so.
"""

import argparse
import logging
import sys

from nightmarket.contracts import InputError
from tasks.pipeline import lifetime
from tasks.registry import store
from tasks.registry.service import PROMOTE, ROLLBACK, RegistryService

log = logging.getLogger("nightmarket")


def run(number: int | None, *, reason: str, who: str) -> str:
    """Promote version `number`, or, without one, roll back to the champion before; what was done, in one line."""
    with store.alone():
        service = RegistryService(store.for_reading())
        if number is None:
            return service.rollback(reason=reason, who=who)
        return service.promote(number, reason=reason, who=who)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 2 with one line where the change was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.registry.promote", description="Change the champion by hand."
    )
    parser.add_argument("how", choices=[PROMOTE, ROLLBACK])
    parser.add_argument("--version", type=int)
    parser.add_argument("--reason", required=True)
    parser.add_argument("--who", required=True)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout, force=True)
    log.setLevel(logging.INFO)
    if (given.how == PROMOTE) != (given.version is not None):
        parser.error("promote takes a --version, rollback takes none")
    try:
        print(f"{given.how}: {run(given.version, reason=given.reason, who=given.who)}", flush=True)
    except InputError as error:
        print(f"nightmarket: {error}; the champion stays", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    lifetime.collect_seldom()
    lifetime.leave(main())
