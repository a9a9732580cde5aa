"""The one place that posts to NIGHTMARKET_WEBHOOK_URL. The address may carry a token, so it is never repeated."""

import http.client
import json
import os
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from tasks.privacy import redaction

TIMEOUT_S = 10


def post(body: Mapping[str, Any], warn: Callable[..., None]) -> bool:
    """Post one JSON message; whether it was taken. Without an address nothing happens, and trouble is a warning."""
    url = os.environ.get("NIGHTMARKET_WEBHOOK_URL")
    if not url:
        return False
    try:
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = str(error).replace(url, "the address")
        known = redaction.redactor()(said) if isinstance(error, OSError) else "it is no address"  # which they repeat
        warn("the webhook of NIGHTMARKET_WEBHOOK_URL did not take the message: %s", known)
        return False
    return True
