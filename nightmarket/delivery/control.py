"""A universal control group: a permanent share of the customers whom no campaign contacts."""

from collections.abc import Sequence

from nightmarket.contracts.arrays import Bools
from nightmarket.delivery.campaign import kept_back

NAME = "\x00control group"
"""What its draw is made of beside the customer; no plan can be called that."""


def in_control(customer_ids: Sequence[str], share: float) -> Bools:
    """(C,) who is in the group: by the id alone, whatever else is planned; a larger share holds all of a smaller one.

    customer_ids  keyed hashes, so that nobody outside can work out who is in it
    """
    return kept_back(customer_ids, NAME, share)
