"""What changed in stock since the night, in the night's numbers: made once for thousands of questions."""

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightmarket.contracts.arrays import Bools, Float64s, Int32s
from nightmarket.serving.live.questions import Ask
from nightmarket.serving.live.strings import CodedNames


@dataclass(frozen=True)
class StockNow:
    """Items that are out of stock and back in stock, ascending; items (S,) whose units are known anew, and these."""

    gone: Int32s
    back: Int32s
    item: Int32s
    units: Float64s

    def holds(self, items: Int32s, last_night: Bools) -> Bools:
        """(N,) which items can be had, of which last night knew `last_night`."""
        now = last_night
        if self.back.size:
            now = now | np.isin(items, self.back)
        return now & ~np.isin(items, self.gone) if self.gone.size else now


class LastStock:
    """Remembers what the last question's stock is in numbers: a site asks with the same sets until they change."""

    def __init__(self) -> None:
        self._last: tuple[Any, StockNow] | None = None

    def of(self, products: CodedNames, ask: Ask) -> StockNow:
        """The stock of a question."""
        said = (ask.out_of_stock, ask.back_in_stock, ask.units)
        last = self._last
        if last is not None and all(map(operator.is_, last[0], said)):
            return last[1]
        known = {code: units for name, units in (ask.units or {}).items() if (code := products.find(name)) >= 0}
        now = StockNow(
            np.sort(products.find_all(ask.out_of_stock)),
            np.sort(products.find_all(ask.back_in_stock)),
            np.array(list(known), np.int32),
            np.array(list(known.values()), np.float64),
        )
        self._last = said, now
        return now
