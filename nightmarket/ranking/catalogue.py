"""The products as codes: what ranking knows of a product besides its sales."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Catalogue:
    """I products; every code runs from 0.

    department, category, kind  (I,)  levels of the category path, `kind` the finest
    line                        (I,)  kind x maker: "this maker's potato crisps"
    maker, brand                (I,)
    text                        (I,)  products with the same text
    recommendable               (I,)
    """

    department: Codes
    category: Codes
    kind: Codes
    line: Codes
    maker: Codes
    brand: Codes
    text: Codes
    recommendable: NDArray[np.bool_]

    @property
    def num_items(self) -> int:
        """Products in the catalogue, recommendable or not."""
        return int(self.kind.size)

    def codes(self, level: str) -> Codes:
        """(I,) each product's code at a level; at level "item" its own."""
        if level == "item":
            return np.arange(self.num_items, dtype=np.int32)
        codes: Codes = getattr(self, level)
        return codes


def catalogue(products: pd.DataFrame) -> Catalogue:
    """Codes of the products table that `prepare` writes; row i is item i."""

    def code(*names: str) -> Codes:
        key = products[names[0]].fillna("").astype(str)
        for name in names[1:]:
            key = key + "\x1f" + products[name].fillna("").astype(str)
        return pd.factorize(key)[0].astype(np.int32)

    path = ("department", "category", "type")
    return Catalogue(
        department=code("department"),
        category=code(*path[:2]),
        kind=code(*path),
        line=code(*path, "maker"),
        maker=code("maker"),
        brand=code("brand"),
        text=products["text_id"].to_numpy(np.int32),
        recommendable=products["recommendable"].to_numpy(bool),
    )
