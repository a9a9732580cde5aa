"""Which products a shop never recommends."""

from typing import NamedTuple


class Exclusions(NamedTuple):
    """What is left out by its category; by default nothing.

    min_category_levels  products with a shorter category path are left out
    exclude_categories   words; a level below the first that holds one is left out
    exclude_departments  first levels that are left out
    """

    min_category_levels: int = 0
    exclude_categories: tuple[str, ...] = ()
    exclude_departments: tuple[str, ...] = ()


DEMO = Exclusions(
    2,
    ("COUPON",),
    (
        "FUEL",
        "MISCELLANEOUS",
        "TRAVEL & LEISURE",
        "PHOTO & VIDEO",
        "POSTAL CENTER",
        "PROD-WHS SALES",
        "TOYS",
        "AUTOMOTIVE",
    ),
)
"""A grocer's services, and shelves from which a household takes something once."""
