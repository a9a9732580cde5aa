"""From what a rule says of products to the products of tonight. I items."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float64s, Values
from nightmarket.delivery.rules.declared import ABOVE, LEVELS, NumberRange, Selection, path_of, plain

PATH = "path"
"""Column of the whole category path, there where a path is longer than LEVELS."""
COLUMNS = {"id": "product_id", "group": "group_id", "brand": "brand"}
Tell = Callable[[str, str], None]
"""(key of the selection, what is odd about it): said once the rules are read, and nothing fails for it."""
NEAR = 0.75


def selected(selection: Selection | None, products: pd.DataFrame, where: Callable[[str], str], tell: Tell) -> Bools:
    """(I,) the products that a selection means; all for None.

    where  key → where it stands in the file

    Raises InputError for an attribute that no column has: what is not known cannot be held.
    """
    chosen = np.ones(len(products), bool)
    for key, wanted in selection.named().items() if selection else ():
        if key == "attribute":
            for column, values in wanted.items():
                chosen &= _by_attribute(products, column, values, f"{where('attribute')}: attribute", tell)
        elif key == "category":
            chosen &= _by_category(products, wanted, tell)
        else:
            chosen &= _by_name(products, key, wanted, tell)
    return chosen


def paths(products: pd.DataFrame) -> tuple[Values, list[tuple[str, ...]]]:
    """(I,) the number of each product's category path, and the distinct paths as they are compared, without a name that
    stands twice in a row."""
    if PATH in products:
        text = products[PATH].fillna("").astype(str)
    else:
        text = products[LEVELS[0]].fillna("").astype(str)
        for level in LEVELS[1:]:
            text = text + ABOVE + products[level].fillna("").astype(str)
    codes, distinct = pd.factorize(text)
    return codes, [_without_repeats(path_of(name)) for name in distinct]


def _without_repeats(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for at, name in enumerate(names) if at == 0 or names[at - 1] != name)


def _by_category(products: pd.DataFrame, wanted: tuple[str, ...], tell: Tell) -> Bools:
    codes, distinct = paths(products)
    chosen = np.zeros(len(products), bool)
    for category in wanted:
        path = _without_repeats(path_of(category))
        whole = ABOVE in category
        fits = np.array([path == at[: len(path)] if whole else path[0] in at for at in distinct] if path else [False])
        here = fits[codes] if fits.any() else np.zeros(len(products), bool)
        if not here.any():
            known = {f" {ABOVE} ".join(at[:depth]) for at in distinct for depth in range(1, len(at) + 1)}
            known |= {name for at in distinct for name in at}
            tell("category", _unknown(category, f" {ABOVE} ".join(path), known))
        chosen |= here
    return chosen


def _by_name(products: pd.DataFrame, key: str, wanted: tuple[str, ...], tell: Tell) -> Bools:
    column = COLUMNS[key]
    if column not in products:
        tell(key, f"the products have no {column}")
        return np.zeros(len(products), bool)
    exact = key != "brand"
    names = products[column].fillna("").astype(str).map(str if exact else plain)
    looked_for = {value if exact else plain(value): value for value in wanted}
    for lacking in sorted(looked_for.keys() - {*names.unique()}):
        tell(key, _unknown(looked_for[lacking], lacking, set() if exact else {*names.unique()}))
    return names.isin(looked_for).to_numpy(bool)


def _by_attribute(products: pd.DataFrame, column: str, wanted: Any, place: str, tell: Tell) -> Bools:
    if column not in products:
        known = [name for name in products.columns if name not in ("item", "text_id", "recommendable")]
        near = get_close_matches(column, known, 1, NEAR)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise InputError(f"{place}: no product has '{column}'; {hint}")
    values = products[column]
    if isinstance(wanted, NumberRange):
        number: Float64s = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        least = -np.inf if wanted.least is None else wanted.least
        most = np.inf if wanted.most is None else wanted.most
        chosen = np.asarray((number >= least) & (number <= most))
    else:
        text = values.map(_as_text, na_action="ignore").fillna("").astype(str).map(plain)
        chosen = text.isin({plain(value) for value in wanted}).to_numpy(bool)
    if not chosen.any():
        tell("attribute", f"no product has such a {column} tonight")
    return chosen


def _as_text(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _unknown(written: str, compared: str, known: set[str]) -> str:
    near = get_close_matches(compared, known, 1, NEAR)
    return f"no product of '{written}' tonight" + (f"; did you mean '{near[0]}'?" if near else "")
