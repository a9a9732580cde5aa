"""The words of `vocabulary.yaml`."""

from importlib.resources import files

import yaml

_CONTENT = yaml.safe_load(files("nightmarket.intake").joinpath("vocabulary.yaml").read_text(encoding="utf-8"))

MISSING: tuple[str, ...] = tuple(_CONTENT["missing"])
"""What databases, pandas, spreadsheets and people write for nothing. NA is none of them: it is a country."""
KINDS: dict[str, list[str]] = {kind: names.split() for kind, names in _CONTENT["kinds"].items()}
"""Kind of event → the names that others have for it."""
LISTS: frozenset[str] = frozenset(_CONTENT["lists"].split())
"""Headers of columns that may list several products in each field."""
CLOCKS: frozenset[str] = frozenset(_CONTENT["clocks"].split())
"""Headers, or words of them, of a time of day beside its date."""
SUMS: frozenset[str] = frozenset(_CONTENT["sums"].split())
"""What stands in a line that sums up others."""
GUESTS: list[str] = _CONTENT["guests"]
"""Patterns of ids that are never one person's."""
PLACEHOLDERS: list[str] = _CONTENT["placeholders"]
"""Patterns of ids that may be: only with more than their share of rows they stand for everybody."""
UNIT_PRICES: list[str] = _CONTENT["unit_price"].split()
"""Headers of the price of one, which times the quantity makes an amount."""
PRODUCT_TYPES: list[str] = _CONTENT["product_type"].split()
"""Headers of what a shop's system calls a product's type; `Gift Card` of Shopify is one of flags."""
PRODUCT_TITLES: list[str] = _CONTENT["product_title"].split()
"""Headers of what an order's line calls its product."""
CURRENCIES: list[str] = _CONTENT["currency"].split()
"""Headers of a row's currency."""
STATUSES: tuple[str, ...] = tuple(_CONTENT["status"].split())
"""Headers of how an order stands."""
ORDER_STATUSES: list[str] = _CONTENT["order_status"].split()
"""Headers of how a row's order stands."""
VOID: frozenset[str] = frozenset(_CONTENT["void"].split())
"""How an order stands of which nothing was bought."""
MINOR: frozenset[str] = frozenset(_CONTENT["minor"].split())
"""Words of a header whose amounts are in hundredths of the currency."""
RETURNED: list[str] = _CONTENT["returned"].split()
"""Headers of whether what a row sold came back."""
RETURNED_QUANTITIES: list[str] = _CONTENT["returned_quantity"].split()
"""Headers of how many of it."""
LINE_TYPES: list[str] = _CONTENT["line_type"].split()
"""Headers of what a line of an order is, as shipping or tax."""
FELL_THROUGH: frozenset[str] = VOID | frozenset(_CONTENT["unsettled"].split())
"""The same, and how it stands where nothing may have been bought: not paid yet, paid back."""
YES: frozenset[str] = frozenset(_CONTENT["yes"].split())
NO: frozenset[str] = frozenset(_CONTENT["no"].split())
"""How consent and reach are written."""
IN_STOCK: frozenset[str] = frozenset(_CONTENT["in_stock"].split())
SOLD_OUT: frozenset[str] = frozenset(_CONTENT["sold_out"].split())
"""What stands in place of how many are left."""
HAPPENED: frozenset[str] = frozenset(_CONTENT["happened"].split())
PASSED: frozenset[str] = frozenset(_CONTENT["passed"].split())
"""Of a delivery: for good, and not."""
OBJECTED: frozenset[str] = frozenset(_CONTENT["objected"].split())
"""Reasons of a suppression that object to profiling."""
CHANNELS: frozenset[str] = frozenset(_CONTENT["channels"].split())
"""Channels that a suppression may name; a word that is none closes all of them."""
ADDRESSES: frozenset[str] = frozenset(_CONTENT["addresses"].split())
"""Headers of columns that lead to a person."""
