"""Who is kept back, at random and for good: without them nothing can be learned later."""

import hashlib
from collections.abc import Sequence

import numpy as np

from nightmarket.contracts.arrays import Bools

SEND, HOLDOUT = "send", "holdout"


def kept_back(customer_ids: Sequence[str], plan: str, share: float, key: bytes = b"") -> Bools:
    """(C,) true for about `share` of the customers: the same ones on every run of the plan of that name, and for any
    other name an independent draw.

    A keyed BLAKE2b of plan and customer, read as a number in [0, 1), lies below the share; so a larger share keeps back
    everyone that a smaller one did. `key` is up to 64 bytes; without it whoever knows an id can work out its arm.
    """
    bound = int(share * 2**64)
    prefix = plan.encode() + b"\x00"
    hashes = (hashlib.blake2b(prefix + name.encode(), digest_size=8, key=key).digest() for name in customer_ids)
    return np.fromiter((int.from_bytes(found, "big") < bound for found in hashes), bool, count=len(customer_ids))
