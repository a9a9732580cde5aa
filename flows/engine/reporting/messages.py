"""What people hear of without looking: one message to a webhook, to a chat or by mail.

NIGHTMARKET_WEBHOOK_URL   gets a POST with JSON
NIGHTMARKET_NOTIFY        addresses as Apprise takes them, one or more, blanks between: slack://…, msteams://…,
                          mailto://…, feishu://… (https://appriseit.com/services)

Trouble is a warning. Addresses carry tokens and passwords, so they are never repeated.
"""

import contextlib
import http.client
import json
import logging
import os
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from tasks.privacy import redaction

WEBHOOK, NOTIFY = "NIGHTMARKET_WEBHOOK_URL", "NIGHTMARKET_NOTIFY"
ANSWER_S = 10
"""How long the webhook may take to answer; Apprise has its own, of some seconds."""
TITLE = "nightmarket"
Warn = Callable[..., None]


def post(body: Mapping[str, Any], warn: Warn) -> bool:
    """Send one message everywhere; whether somebody took it. Without an address nothing happens.

    body  what the webhook gets; the others get its `text`
    """
    taken = _to_webhook(body, warn)
    return _to_people(str(body["text"]), warn) or taken


def _to_webhook(body: Mapping[str, Any], warn: Warn) -> bool:
    url = os.environ.get(WEBHOOK)
    if not url:
        return False
    try:
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=ANSWER_S).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = str(error).replace(url, "the address")
        known = redaction.redactor()(said) if isinstance(error, OSError) else "it is no address"  # which they repeat
        warn("the webhook of %s did not take the message: %s", WEBHOOK, known)
        return False
    return True


def _to_people(text: str, warn: Warn) -> bool:
    places = os.environ.get(NOTIFY, "").split()
    if not places:
        return False
    from apprise import Apprise, NotifyFormat  # half a second, and most runs have nobody to tell

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it would write the addresses
    taken = False
    for number, place in enumerate(places, 1):
        sender, known = Apprise(), False
        with contextlib.suppress(TypeError, ValueError):
            known = sender.add(place)
        if not known:
            warn("address %d of %s is none that Apprise knows", number, NOTIFY)
        elif sender.notify(title=TITLE, body=text, body_format=NotifyFormat.TEXT):
            taken = True
        else:
            warn("address %d of %s did not take the message", number, NOTIFY)
    return taken
