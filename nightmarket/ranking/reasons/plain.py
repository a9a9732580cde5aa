"""One short reason per recommendation, true of the numbers that the ranker saw."""

import numpy as np
from numpy.typing import NDArray


def reasons(rows: NDArray[np.float32], names: list[str]) -> list[str]:
    """(N,) sentences from feature rows (N, F) with column names (F,)."""
    wanted = ("item_num", "item_age", "item_gap", "line_num", "kind_num", "kind_age", "buyers_4w", "score_ease")
    columns = {name: rows[:, names.index(name)] for name in wanted}
    return [_reason({name: float(values[i]) for name, values in columns.items()}) for i in range(len(rows))]


def _reason(x: dict[str, float]) -> str:
    if x["item_num"] >= 3 and x["item_gap"] > 0:
        return f"bought {x['item_num']:.0f} times, about every {_span(x['item_gap'])}, last {_span(x['item_age'])} ago"
    if x["item_num"] >= 2:
        return f"bought {x['item_num']:.0f} times, last {_span(x['item_age'])} ago"
    if x["item_num"] == 1:
        return f"bought once, {_span(x['item_age'])} ago"
    if x["line_num"] >= 1:
        return f"same kind and maker as products in {_baskets(x['line_num'])} of this customer"
    if x["kind_num"] >= 1:
        return f"its kind is in {_baskets(x['kind_num'])} of this customer, last {_span(x['kind_age'])} ago"
    if x["score_ease"] > 0:
        return "often bought together with products of this customer"
    return f"bought by {x['buyers_4w']:.0f} customers in the last 4 weeks"


def _baskets(num: float) -> str:
    return "1 basket" if num == 1 else f"{num:.0f} baskets"


def _span(days: float) -> str:
    if days >= 14:
        return f"{days / 7:.0f} weeks"
    return "1 day" if round(days) == 1 else f"{days:.0f} days"
