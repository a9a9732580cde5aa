"""The data contract: tables that cross a stage, and the error for input that breaks it."""

from nightmarket.contracts.errors import InputError, ModelError, NoRoomError
from nightmarket.contracts.unavailable import Unavailable, UnavailableError

__all__ = ["InputError", "ModelError", "NoRoomError", "Unavailable", "UnavailableError"]
