"""Purchase histories and the cut in time."""

from nightmarket.histories.histories import Histories

__all__ = ["Histories"]
