"""Products as the site puts them: JSON in the log, a frame for what answers, rows of a table for the night."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nightmarket.contracts.tables import PRODUCTS
from nightmarket.histories.calendar import NEVER, day_of

MICRO = 1_000_000
EPOCH = datetime(1970, 1, 1)
KINDS = {column.name: column.kind for column in PRODUCTS.columns if column.name != "product_id"}
"""Of the columns that a product may have."""
NUMBERS, TIMES = (tuple(name for name, kind in KINDS.items() if kind in of) for of in (("number", "count"), ("time",)))
_DAY = 86_400 * MICRO


class ProductRow(NamedTuple):
    """A product as it is written.

    content  JSON of what it has of the contract's columns; times in microseconds since 1970-01-01, UTC
    at       when it was put, in such microseconds
    """

    product: str
    content: str
    at: int


def frame(rows: Sequence[ProductRow], zone: ZoneInfo) -> pd.DataFrame:
    """As `nightmarket.serving.live.additions` takes them."""
    contents = [json.loads(row.content) for row in rows]
    table = pd.DataFrame({"product_id": pd.Series([row.product for row in rows], dtype=object)})
    for name, kind in KINDS.items():
        values = [content.get(name) for content in contents]
        if name in TIMES:
            days = [NEVER if at is None else min(at // _DAY, NEVER) for at in values]
            table[{"available_from": "from_day", "available_until": "until_day"}[name]] = np.array(days, np.int32)
        elif name in NUMBERS:
            table[name] = np.array([np.nan if value is None else value for value in values], np.float64)
        elif kind != "vector":
            table[name] = pd.Series(["" if value is None else value for value in values], dtype=object)
    days = [day_of(datetime.fromtimestamp(row.at / MICRO, UTC).astimezone(zone).date()) for row in rows]
    return table.assign(day=np.array(days, np.int32))


def of_table(rows: Iterable[ProductRow]) -> list[dict[str, Any]]:
    """As rows of the contract's table."""
    made = []
    for row in rows:
        content = json.loads(row.content)
        moments = {name: EPOCH + timedelta(microseconds=content[name]) for name in TIMES if name in content}
        made.append({"product_id": row.product, **content, **moments})
    return made
