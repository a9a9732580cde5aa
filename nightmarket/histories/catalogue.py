"""The products as codes: what ranking knows of a product besides its sales."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nightmarket.contracts.arrays import Bools, Float32s, Int32s
from nightmarket.histories.calendar import NEVER


@dataclass(frozen=True)
class Catalogue:
    """I products; every code runs from 0.

    department, category, kind  (I,)  levels of the category path, `kind` the finest
    line                        (I,)  kind x maker: "this maker's potato crisps"
    maker, brand                (I,)
    text                        (I,)  products with the same text
    group                       (I,)  products that are one but for their size or colour, or have the same text
    size                        (I,)  -1 where it is not known
    recommendable               (I,)
    from_day                    (I,)  first day on sale as the shop says, NEVER where it does not
    until_day                   (I,)  first day on which it is not sold any more, NEVER where the shop names none
    list_price                  (I,)  currency, NaN where the shop names none
    """

    department: Int32s
    category: Int32s
    kind: Int32s
    line: Int32s
    maker: Int32s
    brand: Int32s
    text: Int32s
    group: Int32s
    size: Int32s
    recommendable: Bools
    from_day: Int32s
    until_day: Int32s
    list_price: Float32s

    @property
    def num_items(self) -> int:
        """Products in the catalogue, recommendable or not."""
        return int(self.kind.size)

    def first_of_group(self) -> Int32s:
        """(I,) the first item of each item's group."""
        _, first, place = np.unique(self.group, return_index=True, return_inverse=True)
        return first[place].astype(np.int32)

    def on_sale(self, day: int, items: Int32s | slice = slice(None)) -> Bools:
        """(N,) which of the items, or of all, can be had on a day: recommendable and, as far as the shop says, begun
        and not ended."""
        begun = (self.from_day[items] <= day) | (self.from_day[items] == NEVER)
        return self.recommendable[items] & begun & (self.until_day[items] > day)

    def codes(self, level: str) -> Int32s:
        """(I,) each product's code at a level; at level "item" its own."""
        if level == "item":
            return np.arange(self.num_items, dtype=np.int32)
        codes: Int32s = getattr(self, level)
        return codes


def catalogue(products: pd.DataFrame) -> Catalogue:
    """Int32s of the products table that `prepare` writes; row i is item i."""

    def code(*names: str) -> Int32s:
        key = products[names[0]].fillna("").astype(str)
        for name in names[1:]:
            key = key + "\x1f" + products[name].fillna("").astype(str)
        return pd.factorize(key)[0].astype(np.int32)

    def column(name: str, missing: float) -> pd.Series:
        return products[name] if name in products else pd.Series(missing, products.index)

    path = ("department", "category", "type")
    size = products["size"] if "size" in products else pd.Series(None, products.index, "object")
    return Catalogue(
        department=code("department"),
        category=code(*path[:2]),
        kind=code(*path),
        line=code(*path, "maker"),
        maker=code("maker"),
        brand=code("brand"),
        text=products["text_id"].to_numpy(np.int32),
        group=products["group" if "group" in products else "text_id"].to_numpy(np.int32),
        size=pd.factorize(size)[0].astype(np.int32),
        recommendable=products["recommendable"].to_numpy(bool),
        from_day=column("from_day", NEVER).to_numpy(np.int32),
        until_day=column("until_day", NEVER).to_numpy(np.int32),
        list_price=column("list_price", np.nan).to_numpy(np.float32),
    )
