"""What a rule finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """A rule that a text breaks, and what in it; `what` quotes the text, never a customer's data."""

    rule: str
    what: str
