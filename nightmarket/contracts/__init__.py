"""The data contract: tables that cross a stage, and the error for input that breaks it."""

from nightmarket.contracts.errors import InputError
from nightmarket.contracts.tables import BY_NAME, TABLES, Column, Table

__all__ = ["BY_NAME", "TABLES", "Column", "InputError", "Table"]
