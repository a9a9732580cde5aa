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
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightmarket.contracts import InputError
from tasks import register
from tasks.files import storage
from tasks.registry import card, champion, promotion, soundness

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from nightmarket.serving.registry import Registry

PROMOTE, ROLLBACK = "promote", "rollback"
log = logging.getLogger("nightmarket")


def run(how: str, number: int | None, *, reason: str, who: str) -> str:
    """Promote version `number`, or roll back to the champion before; returns what was done, in one line.

    Raises InputError for a version that is not there, not decided or cannot serve; the champion then stays.
    """
    with register.alone():
        registry = card.open_registry()
        register.follow_registry(registry)
        resumed = promotion.finish(registry)
        if resumed:
            _say(registry, resumed)
        reigning = registry.aliases().get("champion")
        if resumed and resumed["how"] == how and resumed["version"] == reigning and number in (None, reigning):
            return f"the {how} to version {reigning} that was cut short is finished"
        if how == PROMOTE and number == reigning:
            return f"version {number} delivers already; nothing changed"
        version = card.chosen(registry, number) if how == PROMOTE else _before(registry, reigning)
        _examine(registry, version)
        change = promotion.begin(registry, version, how=how, by=who, reason=reason)
        register.install(registry, version)
        promotion.finish(registry)
        _say(registry, change)
        return _sentence(change, version.tags)


def _before(registry: "Registry", reigning: int | None) -> "ModelVersion":
    """Whom a rollback brings back."""
    if reigning is None:
        raise InputError("there is no champion, so there is nothing to roll back from")
    last = promotion.latest(reigning)
    if last and last["how"] == ROLLBACK:
        raise InputError(
            f"version {reigning} is there by a rollback already (from version {last['from']}, {last['at']}); to go "
            "elsewhere, promote the version that you want by its number"
        )
    before = registry.holder("previous_champion")
    if before is None or int(before.version) == reigning:
        raise InputError(f"nothing delivered before version {reigning}, so there is nothing to roll back to")
    return before


def _examine(registry: "Registry", version: "ModelVersion") -> None:
    """Refuse a version that cannot serve; give one of older code the receipt that it lacks."""
    name = f"version {version.version}"
    if version.tags.get("gate", "pending") == "pending":
        raise InputError(f"{name} is not decided: its registration was cut short; run `python -m flows retrain` first")
    staging = storage.private("promote", "package")
    shutil.rmtree(staging.parent, ignore_errors=True)
    staging.parent.mkdir()
    try:
        package = register.fetch(registry, version, staging)
        soundness.check(package, name)
        try:
            registry.kept(version, champion.RECEIPT)
        except Exception:  # refused by older code, which kept a receipt of champions alone
            registry.keep(version, champion.RECEIPT, _receipt(registry, version, package))
    finally:
        shutil.rmtree(staging.parent, ignore_errors=True)


def _receipt(registry: "Registry", version: "ModelVersion", package: Path) -> dict[str, Any]:
    decision = registry.kept(version, champion.DECISION)
    ranker = storage.read_json(package / "rank/ranker.json")
    history = storage.read_json(package / "finetune/history.json")
    origin = ("version", "run_id", "lock_hash", "commit", "as_of", "window", "data_fingerprint", "params_sha256")
    return {
        **{name: decision[name] for name in (*origin, "metrics")},
        "prepared": "",  # unknown, so the next gate scores it anew
        "trained_until": max(int(ranker["trained_until"]), int(history.get("fit_until", 0))),
        "gate": {
            name: decision.get(name) for name in ("opened", "reasons", "against", "kind", "differences", "groups")
        },
    }


def _say(registry: "Registry", change: dict[str, Any]) -> None:
    """Bring what people read up to date: the gate's latest word in data/champion, and the cards in MLflow."""
    if change["how"] != promotion.GATE:
        version = card.chosen(registry, change["version"])
        decision = registry.kept(version, champion.DECISION)
        champion.note({**decision, "sentence": _sentence(change, version.tags), "promoted": change})
    told = {change["version"], change["from"], registry.aliases().get("previous_champion")}
    card.describe(registry, told)


def _sentence(change: dict[str, Any], tags: Mapping[str, str]) -> str:
    was = f" in place of version {change['from']}" if change["from"] else ""
    against = ", against the gate's refusal," if tags.get("gate") == "refused" else ""
    back = " by a rollback" if change["how"] == ROLLBACK else ""
    said = f"version {change['version']} became champion{was}{back}{against}"
    return f"{said} on the word of {change['by']}: {change['reason']}"


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
        print(f"{given.how}: {run(given.how, given.version, reason=given.reason, who=given.who)}", flush=True)
    except InputError as error:
        print(f"nightmarket: {error}; the champion stays", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
