"""Who delivers, since when, and on whose word: aliases, data/champion and the record of both, in one order.

A promotion first writes its intent (the tag `promoting`), then moves the aliases, then fills data/champion, then puts
the change on record and takes the intent away. A kill in between leaves the intent; whoever next holds the promotion
lock finishes the promotion where the alias had moved, and drops it where it had not.
"""

import datetime
import json
import secrets
from typing import TYPE_CHECKING, Any

from tasks.files import records, storage

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from nightmarket.serving.registry import Registry

RECORD = "promotions.jsonl"
"""Under .nightmarket/: one line for each change of champion, only ever appended to."""
INTENT = "promoting"
DELIVERED = "delivered"
GATE = "gate"


def begin(registry: "Registry", version: "ModelVersion", *, how: str, by: str, reason: str) -> dict[str, Any]:
    """Write down what is about to happen, then move the aliases; previous_champion first.

    how  gate, promote or rollback
    """
    reigning = registry.holder("champion")
    intent = {
        "id": secrets.token_hex(8),  # the same change twice within a second is two changes
        "at": now(),
        "how": how,
        "by": by,
        "reason": reason,
        "version": int(version.version),
        "from": int(reigning.version) if reigning and reigning.version != version.version else None,
    }
    registry.tag(version, INTENT, json.dumps(intent, ensure_ascii=False))
    storage.hook("promotion.intended")
    registry.promote(version)
    return intent


def finish(registry: "Registry") -> dict[str, Any] | None:
    """Put the change of champion that was begun on record; returns it, or None where none was open."""
    reigning, done = registry.aliases().get("champion"), None
    versions = {int(version.version): version for version in registry.versions()}
    for number, version in versions.items():
        if INTENT not in version.tags:
            continue
        intent = json.loads(version.tags[INTENT])
        if number == reigning:
            done = intent
            records.append_once(storage.private(RECORD), intent)
            storage.hook("promotion.noted")
            _hand_over(registry, versions, intent)
            storage.hook("promotion.handed")
        registry.tag(version, INTENT, None)
    return done


def _hand_over(registry: "Registry", versions: dict[int, "ModelVersion"], intent: dict[str, Any]) -> None:
    """Close the spans that are open on other versions, and open the new champion's."""
    for number, version in versions.items():
        known = spans(version)
        if number == intent["from"] and not known:  # older code kept no spans
            known = [{"since": moment(version.creation_timestamp), "until": None, "by": GATE}]
        closed = (
            [{**span, "until": span["until"] or intent["at"]} for span in known] if number != intent["version"] else []
        )
        if closed != known and closed:
            registry.tag(version, DELIVERED, json.dumps(closed))
    version = versions[intent["version"]]
    own = spans(version)
    if not own or own[-1]["until"] is not None:
        own.append({"since": intent["at"], "until": None, "by": intent["how"]})
        registry.tag(version, DELIVERED, json.dumps(own))


def spans(version: "ModelVersion") -> list[dict[str, Any]]:
    """[{since, until, by}] of a version's time as champion, oldest first; `until` is None while it delivers."""
    return json.loads(version.tags.get(DELIVERED, "[]"))


def changes() -> list[dict[str, Any]]:
    """The changes of champion on record, oldest first; a torn last line, which a power cut may leave, is left out."""
    return records.rows(storage.private(RECORD))


def latest(version: int) -> dict[str, Any] | None:
    """The change of champion that last brought this version, or None."""
    return next((change for change in reversed(changes()) if change["version"] == version), None)


def moment(milliseconds: int) -> str:
    """MLflow's time stamps, in UTC to the second."""
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> str:
    """This moment, in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
