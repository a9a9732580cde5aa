"""The desk's signature under an answer to a plan, which the flow asks for as soon as accounts are on.

HMAC-SHA256 with the key in `.nightmarket/desk.key` over the run, the decision, who decided, their note, and the digest
of the plan and texts that they saw. Whoever can read that file could sign as well: it is as private as the customers'
key beside it.
"""

import hashlib
import hmac
import json
import secrets
from pathlib import Path

from tasks.privacy.pseudonyms import own_secret


def key(home: Path) -> bytes:
    """Made on first use; InputError for a file that others may read."""
    path = home / ".nightmarket" / "desk.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    return own_secret(path, lambda: secrets.token_hex(32)).encode()


def sign(home: Path, *, run: str, decision: str, who: str, note: str, digest: str) -> str:
    """64 hex digits.

    run       name of the run that asks
    decision  yes or no
    digest    SHA-256 of the plan and its texts
    """
    said = json.dumps(["approval", run, decision, who, note, digest], ensure_ascii=False)
    return hmac.new(key(home), said.encode(), hashlib.sha256).hexdigest()


def signed(home: Path, signature: str, *, run: str, decision: str, who: str, note: str, digest: str) -> bool:
    """Whether the desk signed exactly this."""
    mine = sign(home, run=run, decision=decision, who=who, note=note, digest=digest)
    return hmac.compare_digest(mine.encode(), signature.encode())
