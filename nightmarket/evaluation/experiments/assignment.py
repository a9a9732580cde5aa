"""Assignment to arms by a keyed hash, so that it is stable and needs no table.

A customer's arm is decided by a hash of their id, keyed by a secret and salted by the experiment's name. The same
customer always gets the same arm of an experiment, and the arms of two experiments are independent. Experiments that
must not touch the same customer share a layer: the layer's own hash gives each customer one place in [0, 1), and each
experiment of the layer holds an interval of it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float64s


@dataclass(frozen=True)
class Arms:
    """An experiment: its name, its arms in a fixed order with their shares, and its part of a layer.

    shares  arm -> share of the experiment's customers; they sum to 1. The order is part of the plan.
    layer   experiments of one layer never share a customer where their parts do not overlap
    part    [from, to) of the layer's customers
    """

    name: str
    shares: Mapping[str, float]
    layer: str = ""
    part: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        """Refuse a plan that cannot be carried out."""
        if not self.name:
            raise InputError("an experiment has no name; the name salts its assignment")
        if len(self.shares) < 2:
            raise InputError(f"experiment {self.name}: {len(self.shares)} arms; name at least two, one of them control")
        if any(not share > 0 for share in self.shares.values()) or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise InputError(f"experiment {self.name}: shares must be above 0 and sum to 1, they sum to "
                             f"{sum(self.shares.values()):g}")  # fmt: skip
        low, high = self.part
        if not 0 <= low < high <= 1:
            raise InputError(f"experiment {self.name}: part [{low:g}, {high:g}) is no interval inside [0, 1)")


@dataclass(frozen=True)
class Assignment:
    """Row by row of the customers that were asked for.

    arm         (C,)  the arm's name, "" for a customer outside the experiment's part of its layer
    propensity  (C,)  probability of that arm for a customer of the experiment, NaN outside: what the log must keep
    """

    arm: NDArray[np.object_]
    propensity: Float64s


def assign(customers: Iterable[str], experiment: Arms, key: bytes) -> Assignment:
    """The arm of every customer.

    customers  ids as the snapshot has them
    key        a secret of the shop; whoever knows it can foresee arms
    """
    ids = [customer.encode() for customer in customers]
    names = np.array(["", *experiment.shares], object)
    shares = np.array([np.nan, *experiment.shares.values()], np.float64)
    bounds = np.cumsum(shares[1:])[:-1]
    code = np.searchsorted(bounds, places(ids, f"arm/{experiment.name}", key), side="right") + 1
    low, high = experiment.part
    if (low, high) != (0.0, 1.0):
        # An experiment without a layer has one of its own.
        place = places(ids, f"layer/{experiment.layer or experiment.name}", key)
        code[(place < low) | (place >= high)] = 0
    return Assignment(names[code], shares[code])


def check_layer(experiments: Iterable[Arms]) -> None:
    """Raise InputError where two experiments of one layer claim the same customers."""
    by_layer: dict[str, list[Arms]] = {}
    for experiment in experiments:
        by_layer.setdefault(experiment.layer or experiment.name, []).append(experiment)
    for layer, members in by_layer.items():
        members.sort(key=lambda member: member.part)
        for first, second in pairwise(members):
            if second.part[0] < first.part[1]:
                raise InputError(f"layer {layer}: {first.name} and {second.name} overlap; give each a part of its own")


def places(ids: Iterable[bytes], salt: str, key: bytes) -> Float64s:
    """A place in [0, 1) per id: 53 bits of BLAKE2b, keyed and salted by name (Kohavi, Tang, Xu, 2020, chapter 12)."""
    digest_key = hashlib.blake2b(salt.encode(), key=key[:64], digest_size=32).digest()
    start = hashlib.blake2b(key=digest_key, digest_size=8)
    digests = bytearray()
    for identifier in ids:
        state = start.copy()
        state.update(identifier)
        digests += state.digest()
    return (np.frombuffer(bytes(digests), "<u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53
