"""The data contract: tables that cross a stage, and the error for input that breaks it."""

from nightmarket.contracts.clock import local_day, local_to_utc, midnight, naive_utc
from nightmarket.contracts.tables import (
    ATTRIBUTE_PREFIX,
    BY_NAME,
    TABLES,
    Column,
    InputError,
    ModelError,
    NoRoomError,
    Table,
    arrow_schema,
    arrow_type,
)

__all__ = [
    "ATTRIBUTE_PREFIX",
    "BY_NAME",
    "TABLES",
    "Column",
    "InputError",
    "ModelError",
    "NoRoomError",
    "Table",
    "arrow_schema",
    "arrow_type",
    "local_day",
    "local_to_utc",
    "midnight",
    "naive_utc",
]
