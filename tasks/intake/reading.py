"""How a shop's own export is read: settings that each folder of tables may have."""

import codecs
import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from nightmarket.contracts import InputError
from nightmarket.contracts.tables import ATTRIBUTE_PREFIX, BY_NAME, EVENT_KINDS, NO_PRODUCT, PRODUCT, channel_column
from nightmarket.intake import numbers, times
from nightmarket.intake.kinds import IGNORED
from nightmarket.intake.recognition import exports
from nightmarket.intake.vocabulary import (
    CURRENCIES,
    LINE_TYPES,
    ORDER_STATUSES,
    PRODUCT_TITLES,
    PRODUCT_TYPES,
    RETURNED,
    RETURNED_QUANTITIES,
    UNIT_PRICES,
)
from tasks.intake.sources import TableSource
from tasks.pipeline.settings import StageSettings

KINDS = (*EVENT_KINDS, IGNORED)
SORTS = (PRODUCT, *NO_PRODUCT)
Mapping = dict[str, dict[str, str]]

USED_UP: dict[str, dict[str, list[str]]] = {
    "events": {
        "unit_price": UNIT_PRICES,
        "currency": CURRENCIES,
        "product_title": PRODUCT_TITLES,
        "status": ORDER_STATUSES,
        "returned": RETURNED,
        "returned_quantity": RETURNED_QUANTITIES,
        "line_type": LINE_TYPES,
    },
    "products": {"currency": CURRENCIES, "product_type": PRODUCT_TYPES},
}
"""Columns that other columns are made of, by the names that shops give them; none of them is in the snapshot."""


def check_mapping(mapping: Mapping) -> None:
    """InputError for a table or a column of ours that the contract does not have."""
    for name, columns in mapping.items():
        if name not in BY_NAME:
            raise InputError(f"there is no table '{name}'; there are {', '.join(BY_NAME)}")
        known = [*(column.name for column in BY_NAME[name].columns), *USED_UP.get(name, ())]
        table = BY_NAME[name]
        for ours in columns:
            free = (table.attributes and ours.startswith(ATTRIBUTE_PREFIX)) or (
                table.by_channel and channel_column(ours)
            )
            if ours not in known and not free:
                raise InputError(f"{name}: there is no column '{ours}'; there are {', '.join(known)}")


class Reading(StageSettings):
    """What a shop says of its own tables beside the names of their columns."""

    mapping: Mapping = Field(
        default_factory=dict, description="per table, {our column: your column}, for source: folder"
    )
    profile: str | None = Field(
        None, description=f"the export of a known system, read as it is: {', '.join(exports.NAMES)}"
    )
    tables: dict[str, TableSource] = Field(
        default_factory=dict, description="{table: which file holds it}, where files are not named after the tables"
    )
    kinds: dict[str, str] = Field(
        default_factory=dict, description="{your word for what was done: view, cart, purchase … or ignore}"
    )
    services: dict[str, str] = Field(
        default_factory=dict,
        description="{a product's id, title or category, or a kind of service: product, gift card, shipping, fee, tip "
        "or discount}, where what was recognised is wrong",
    )
    missing: tuple[str, ...] = Field((), description="your own words for a value that is missing, beside NULL, N/A …")
    ids: tuple[Literal["decimals", "zeros", "case", "width", "signs", "as written"], ...] = Field(
        (),
        description="what to take off every id so that tables fit: .0, leading zeros, capitals, full width, signs; as "
        "written: ids that differ in these alone are different",
    )
    units: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="per table, {our column: what 1 of it is worth}; 0.01 for cents"
    )
    formats: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="per table, {our column: how it is written}, as decimal comma, day first, month first, excel",
    )
    encodings: dict[str, str] = Field(
        default_factory=dict, description="{table: encoding of its text files}, where it cannot be told, as big5"
    )
    rates: dict[str, float] = Field(
        default_factory=dict, description="for a column currency: {currency: what 1 of it is worth in currency}"
    )

    @field_validator("mapping")
    @classmethod
    def _of_the_contract(cls, mapping: Mapping) -> Mapping:
        check_mapping(mapping)
        return mapping

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.profile is not None and self.profile not in exports.NAMES:
            raise ValueError(f"profile: there is no '{self.profile}'; there are {', '.join(exports.NAMES)}")
        for name in self.tables:
            if name not in BY_NAME:
                raise ValueError(f"tables: there is no table '{name}'; there are {', '.join(BY_NAME)}")
        for word, kind in self.kinds.items():
            if kind not in KINDS:
                raise ValueError(f"kinds: {word} is to mean '{kind}'; there are {', '.join(KINDS)}")
        for name, sort in self.services.items():
            if sort not in SORTS:
                raise ValueError(f"services: {name} is to be '{sort}'; there are {', '.join(SORTS)}")
        for table, formats in self.formats.items():
            for column, notation in formats.items():
                if notation not in (*numbers.NOTATIONS, *times.NOTATIONS):
                    names = ", ".join([*numbers.NOTATIONS, *times.NOTATIONS])
                    raise ValueError(f"formats: {table}.{column} is '{notation}'; there are {names}")
        for table, name in self.encodings.items():
            try:
                codecs.lookup(name)
            except LookupError:
                raise ValueError(f"encodings: {table}: there is no encoding '{name}'; write one like big5") from None
        for code, rate in self.rates.items():
            if not (math.isfinite(rate) and rate > 0):
                raise ValueError(f"rates: {code} must be above 0")
        for table, columns in self.units.items():
            known = {column.name for column in BY_NAME[table].columns} if table in BY_NAME else set()
            for column, factor in columns.items():
                if column not in known:
                    raise ValueError(f"units: there is no column {table}.{column}")
                if not (math.isfinite(factor) and factor > 0):
                    raise ValueError(f"units: {table}.{column} must be above 0")
        return self

    def units_given(self) -> list[str]:
        """Columns of which the shop says what 1 is worth, as `events.value`."""
        return [f"{table}.{column}" for table, columns in self.units.items() for column in columns]
