"""What stands in place of a side stage's files on a night that it failed."""

from dataclasses import dataclass

from nightmarket.contracts.errors import InputError

NEEDS = "needs "


@dataclass(frozen=True)
class Unavailable:
    """A side stage that has left nothing tonight.

    stage     its name
    reason    why, in one line, without a customer's data; "needs X, which …" where it lacked what X writes
    attempts  how often it was tried
    """

    stage: str
    reason: str
    attempts: int = 1

    @property
    def why(self) -> str:
        """What follows the stage's name in a sentence."""
        return self.reason if self.reason.startswith(NEEDS) else f"failed: {self.reason}"

    def __str__(self) -> str:
        return f"{self.stage} {self.why}"


class UnavailableError(InputError):
    """What is to be read is unavailable tonight, because the stage that writes it failed."""

    @classmethod
    def of(cls, what: Unavailable) -> "UnavailableError":
        """For a reader that needs it."""
        return cls(f"{NEEDS}{what.stage}, which {what.why}")
