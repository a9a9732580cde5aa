"""What a writer is asked for, and what it gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nightmarket.copywriting.facts import Facts, Form

Message = dict[Form, str]
"""The texts of one message by form: one for a push message, subject and body for an e-mail."""


@dataclass(frozen=True)
class Brief:
    """A message that is wanted: its channel, its facts, and a key that names it in every file."""

    key: str
    channel: str
    facts: Facts


class Writer(Protocol):
    """Anything that writes: a template, a local language model, a server."""

    name: str

    def write(self, briefs: Sequence[Brief], num: int) -> list[list[Message]]:
        """Up to `num` messages per brief, in the briefs' order; an empty list where none came."""
        ...
