"""How a version came to be, as one card.

    python -m tasks.registry.card 7               in the terminal; without a number: the champion
    python -m tasks.registry.card 7 --markdown    the same as Markdown, the version's description in MLflow

Reads MLflow under mlruns/ of the main checkout. What a version of older code does not carry is left out.
"""

import argparse
import contextlib
import logging
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nightmarket.contracts import InputError
from nightmarket.serving import card
from tasks.pipeline import lifetime
from tasks.registry import champion, lineage, promotion, store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from nightmarket.serving.registry import Registry

VALIDATION = "validate/report.json"
log = logging.getLogger("nightmarket")


def record(registry: "Registry", version: "ModelVersion") -> dict[str, Any]:
    """Everything on record of a version, as `nightmarket.serving.card.card` takes it."""
    number = int(version.version)
    change = promotion.latest(number)
    report = _kept(registry, version, VALIDATION)
    return {
        "number": number,
        "aliases": [alias for alias, holder in registry.aliases().items() if holder == number],
        "registered": promotion.moment(version.creation_timestamp),
        "tags": dict(version.tags),
        "lineage": registry.lineage(version),
        "decision": _kept(registry, version, champion.DECISION),
        "validation": lineage.validation(report) if report else None,
        "delivered": promotion.spans(version),
        "by_hand": change if change and change["how"] != promotion.GATE else None,
    }


def _kept(registry: "Registry", version: "ModelVersion", name: str) -> Any:
    """A document of the version's run; None where it is gone: a card shows what is left."""
    with contextlib.suppress(Exception):
        return registry.kept(version, name)
    return None


def describe(registry: "Registry", numbers: Iterable[int | None]) -> None:
    """Bring the descriptions of these versions in MLflow up to date; only under the promotion lock.

    They are a courtesy to whoever looks there, and the tags are the record: what goes wrong here stops nothing.
    """
    wanted = set(numbers)
    try:
        for version in registry.versions():
            if int(version.version) in wanted:
                registry.describe(version, card.card(record(registry, version)).markdown())
    except Exception as error:
        log.warning("the descriptions of versions in MLflow are not brought up to date: %s", error)


def main(arguments: list[str] | None = None) -> int:
    """Print the card; exit code 2 with one line where there is no such version."""
    parser = argparse.ArgumentParser(prog="python -m tasks.registry.card", description="How a version came to be.")
    parser.add_argument("version", nargs="?", type=int, help="its number; without: the champion")
    parser.add_argument("--markdown", action="store_true", help="as Markdown")
    given = parser.parse_args(arguments)
    try:
        registry = store.for_reading()
        contents = record(registry, store.chosen(registry, given.version))
    except InputError as error:
        print(f"nightmarket: card: {error}", file=sys.stderr)
        return 2
    shown = card.card(contents)
    if given.markdown:
        print(shown.markdown(), end="")
    else:
        print("\n".join([shown.text(), "", "Parameters", *card.parameters(contents["lineage"]["params"])]))
    return 0


if __name__ == "__main__":
    lifetime.collect_seldom()
    lifetime.leave(main())
