"""Contacts of an exported campaign, posted to the shop's mail tool piece by piece, with a receipt of each.

reads   what `mailing` makes, at this moment
writes  .nightmarket/handed-over/NAME-CHANNEL.jsonl   a line per piece that was taken, with the keys of its contacts

A piece is a JSON object {campaign, channel, contacts} and bears a header Idempotency-Key, which is the same when the
piece is sent again. Contacts whose piece has a receipt are not sent again, whenever this is asked for.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from nightmarket.contracts import InputError
from tasks.campaigns.mailing import Contact, Mailing
from tasks.files import locks, records, storage

PIECE = 200
"""Contacts of one request."""
TRIES, FIRST_PAUSE_S, LONGEST_PAUSE_S, ANSWER_S = 6, 1.0, 60.0, 30.0
FOLDER = "handed-over"


@dataclasses.dataclass(frozen=True)
class HandedOver:
    """How far it is: contacts taken before and now, and why it ended early; "" where it did not."""

    before: int
    now: int
    why: str = ""


def address(variable: str | None) -> str:
    """What the environment variable of `desk.handover` holds; InputError where there is no such address."""
    if not variable:
        raise InputError("desk.handover names no environment variable, so nothing is posted; download the file instead")
    url = os.environ.get(variable, "")
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{variable} holds no address; export it with that of the mail tool (desk.handover)")
    return url


def hand_over(
    home: Path, name: str, made: Mailing, url: str, who: str, pause: Callable[[float], None] = time.sleep
) -> HandedOver:
    """Post what has no receipt yet; a piece that is not taken is tried again, then the rest waits for the next time.

    Raises InputError while somebody else hands the same over.
    """
    with _alone(home, name, made.channel) as file:
        known = taken(home, name, made.channel)
        left = [contact for contact in made.contacts if contact.key not in known]
        done = 0
        with httpx.Client(timeout=ANSWER_S) as client:
            for start in range(0, len(left), PIECE):
                piece = left[start : start + PIECE]
                if why := _post(client, url, _body(name, made.channel, piece), pause):
                    return HandedOver(len(known), done, why)
                at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                records.append(file, {"at": at, "who": who, "keys": [contact.key for contact in piece]})
                done += len(piece)
        return HandedOver(len(known), done)


def taken(home: Path, name: str, channel: str) -> set[str]:
    """Keys of the contacts that have a receipt."""
    return {key for line in records.rows(_file(home, name, channel)) for key in line["keys"]}


def _file(home: Path, name: str, channel: str) -> Path:
    return home / ".nightmarket" / FOLDER / f"{name}-{channel}.jsonl"


@contextlib.contextmanager
def _alone(home: Path, name: str, channel: str) -> Iterator[Path]:
    storage.private(FOLDER).mkdir(exist_ok=True, mode=0o700)
    file = _file(home, name, channel)
    with file.with_suffix(".lock").open("w") as lock:
        if not locks.try_to_take(lock):
            raise InputError(f"{name} is being handed over on {channel} at this moment")
        yield file


def _body(name: str, channel: str, piece: list[Contact]) -> dict[str, Any]:
    return {"campaign": name, "channel": channel, "contacts": [dataclasses.asdict(contact) for contact in piece]}


def _post(client: httpx.Client, url: str, body: dict[str, Any], pause: Callable[[float], None]) -> str:
    """ "" where it was taken, else why not. The address may carry a token, so it is never repeated."""
    keys = "|".join(contact["key"] for contact in body["contacts"])
    headers = {"content-type": "application/json", "idempotency-key": hashlib.sha256(keys.encode()).hexdigest()}
    content, wait_s, why = json.dumps(body, ensure_ascii=False).encode(), FIRST_PAUSE_S, ""
    for attempt in range(TRIES):
        if attempt:
            pause(wait_s)
            wait_s = min(2 * wait_s, LONGEST_PAUSE_S)
        try:
            answer = client.post(url, content=content, headers=headers)
        except httpx.HTTPError as error:
            why = f"the mail tool does not answer ({type(error).__name__})"
            continue
        if answer.is_success:
            return ""
        why = f"the mail tool answered {answer.status_code}"
        if answer.status_code < 500 and answer.status_code not in (408, 425, 429):
            break
        asked = answer.headers.get("retry-after", "")
        wait_s = min(float(asked), LONGEST_PAUSE_S) if asked.isdigit() else wait_s
    return why
