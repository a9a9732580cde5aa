"""One figure of one simulation, beside what it must be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A row of the table that `python -m bench.abuse` prints.

    where  the decision under abuse: "allocation", "experiments", …
    what   what was done to it, in a few words
    value  what came out, in the unit that `what` names
    bound  what it may be at most (`most` True) or must be at least
    """

    where: str
    what: str
    value: float
    bound: float
    most: bool = True

    @property
    def holds(self) -> bool:
        """Whether the figure is within its bound; what is not a number is not."""
        return self.value <= self.bound if self.most else self.value >= self.bound
