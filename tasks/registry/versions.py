"""What was promised of each registered version, pinned with the snapshot, for `readout` to hold against A/B tests.

    python -m tasks.registry.versions        every version with its figures and when it delivered; then the ledger:
                                             every version and policy with what was promised and found

A stage must not read MLflow, which changes outside its files. The snapshot therefore keeps the rows in
data/raw/versions.json, made anew only with the snapshot itself: a new version alone makes no new snapshot.
"""

import logging
import sys
from pathlib import Path
from typing import Any

from nightmarket.contracts import InputError
from nightmarket.reporting import words
from tasks.files import catalogue, storage
from tasks.pipeline import lifetime

log = logging.getLogger("nightmarket")


def pin(folder: Path, before: Path = catalogue.VERSIONS.path) -> None:
    """Write versions.json into the folder: the rows of the snapshot before, and those of versions decided since."""
    rows = registered(pinned(before))
    storage.write_json(rows, folder / catalogue.VERSIONS.path.name)
    if rows:
        log.info("snapshot: offline estimates of %d versions", len(rows))


def pinned(path: Path = catalogue.VERSIONS.path) -> list[dict[str, Any]]:
    """The rows of versions.json; none where there is no such file."""
    return storage.read_json(path) if path.exists() else []


def registered(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the versions in mlruns/ of the main checkout; `known` where no registry is or can be read."""
    database = storage.home() / "mlruns" / "mlflow.db"
    if not database.exists():
        return known
    from nightmarket.serving import set_environment

    set_environment()
    from nightmarket.serving.promises import promises

    try:
        return promises(f"sqlite:///{database}", known)
    except Exception as error:
        # The registry serves people; a night goes on without it.
        log.warning("snapshot: versions cannot be read from mlruns/ (%s); known ones are kept", type(error).__name__)
        return known


def table(rows: list[dict[str, Any]]) -> str:
    """The ledger as Markdown."""
    lines = ["| name | against | offline | off-policy | A/B | verdict | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        lifts = " | ".join(_lift(row[kind]) for kind in ("offline", "ope", "ab"))
        lines.append(f"| {row['name']} | {row['control']} | {lifts} | {row['verdict']} | {row['note']} |")
    return "\n".join(lines)


def quality(rows: list[dict[str, Any]]) -> str:
    """Every version's figures and when it delivered, as Markdown."""
    lines = ["| version | business date | gate | all | new | launch | delivered |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        figures = " | ".join(_figure((row.get("figures") or {}).get(task)) for task in ("all", "new", "launch"))
        spans = ", ".join(
            f"{span['since']} to {span['until'] or 'now'} ({span['by']})" for span in row.get("delivered") or ()
        )
        lines.append(f"| {row['version']} | {row.get('as_of', '')} | {row.get('gate', '')} | {figures} | {spans} |")
    return "\n".join(lines)


def _figure(figure: dict[str, float] | None) -> str:
    if figure is None or not words.known(figure):
        return ""
    return f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"


def _lift(lift: dict[str, float | None] | None) -> str:
    if lift is None:
        return ""
    said = f"{lift['value']:+.1%}"
    return said if lift["low"] is None else f"{said} [{lift['low']:+.1%}, {lift['high']:+.1%}]"


def main() -> int:
    """Print the ledger with the versions of this moment; nothing is written."""
    from nightmarket.evaluation.experiments.ledger import Lift, ledger, trust

    try:
        readout = catalogue.READOUT.read()
    except InputError as error:
        print(f"nightmarket: {error}", file=sys.stderr)
        return 2
    policies = {name: Lift(**lift) for name, lift in readout["ledger"]["policies"].items()}
    versions = registered(pinned())
    print(f"{quality(versions)}\n")
    rows = ledger(versions, policies, readout["experiments"])
    print(table([row.content() for row in rows]))
    for kind in ("offline", "ope"):
        print(f"\n{trust(rows, kind).sentence}.")
    return 0


if __name__ == "__main__":
    lifetime.collect_seldom()
    lifetime.leave(main())
