"""The one entrance to what `prepare` wrote: its tables as arrays, each read when it is first asked for."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s
from nightmarket.encoding.terms import tfidf
from nightmarket.evaluation.protocol import Window, Windows, launching
from nightmarket.histories.catalogue import Catalogue
from nightmarket.histories.catalogue import catalogue as codes_of
from nightmarket.histories.histories import Histories
from nightmarket.histories.interactions import Interactions
from nightmarket.histories.promotions import Promotions
from nightmarket.ranking.preference import described
from tasks.files import catalogue


class Prepared:
    """The tables of `prepare` in a checkout; C customers, I items, T texts."""

    def __init__(self, root: Path = Path()) -> None:
        self._root = root

    @cached_property
    def histories(self) -> Histories:
        """Purchase lines of recommendable products."""
        lines = catalogue.PURCHASES.at(self._root).read()
        columns = {name: lines[name].to_numpy() for name in lines.column_names}
        return Histories(**columns, num_customers=len(self.customers), num_items=len(self.products))

    @cached_property
    def interactions(self) -> Interactions:
        """Events of all kinds with recommendable products; none where the shop records purchases alone."""
        table = catalogue.INTERACTIONS.at(self._root).read()
        columns = {name: table[name].to_numpy() for name in table.column_names}
        return Interactions(**columns, num_customers=len(self.customers), num_items=len(self.products))

    @cached_property
    def customers(self) -> pd.DataFrame:
        """Row c is customer c: customer_id, the attributes of the source."""
        return catalogue.CUSTOMERS.at(self._root).read().to_pandas()

    @cached_property
    def products(self) -> pd.DataFrame:
        """Row i is item i."""
        frame = catalogue.PRODUCTS.at(self._root).read().to_pandas()
        if "title" in frame:  # None where it is missing: NaN would be taken for a text in a dozen places
            title = frame["title"].astype(object)
            frame["title"] = title.where(title.notna(), None)
        return frame

    @cached_property
    def promotions(self) -> Promotions:
        """Displays and mailers, past and planned."""
        table = catalogue.PROMOTIONS.at(self._root).read()
        return Promotions(**{name: table[name].to_numpy() for name in catalogue.PROMOTIONS.schema.names})

    @cached_property
    def windows(self) -> Windows:
        """Where time is cut."""
        return Windows.read(catalogue.WINDOWS.at(self._root).read())

    @cached_property
    def texts(self) -> list[str]:
        """(T,)"""
        texts: list[str] = catalogue.TEXTS.at(self._root).read(["text"])["text"].to_pylist()
        return texts

    @cached_property
    def terms(self) -> sparse.csr_matrix:
        """(T, F) unit rows of the texts' terms."""
        return tfidf(self.texts)

    @cached_property
    def vectors(self) -> Float32s | None:
        """(I, K) main directions of the products' own vectors; None where the shop has none."""
        kept = catalogue.VECTORS.at(self._root)
        return kept.read()["vectors"] if kept.exists() else None

    @cached_property
    def described(self) -> Float32s:
        """(I, D) what words and vectors say of each product within its kind."""
        return described(self.catalogue, self.terms, self.vectors)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Codes of the products."""
        return codes_of(self.products)

    @cached_property
    def text_id(self) -> Int32s:
        """(I,) text of each item."""
        return self.products["text_id"].to_numpy(np.int32)

    @cached_property
    def recommendable(self) -> Bools:
        """(I,) which items a list may hold."""
        return self.products["recommendable"].to_numpy(bool)

    @cached_property
    def text_kinds(self) -> Int64s:
        """(T,) number of the product type that a text is of; a number of its own where its products have none."""
        kinds = np.arange(len(self.texts), dtype=np.int64)
        types = self.products["type"] if "type" in self.products else pd.Series(None, self.products.index, "object")
        number: dict[str, int] = {}
        for text, kind in zip(self.text_id.tolist(), types, strict=True):
            if isinstance(kind, str) and kind:
                kinds[text] = number.setdefault(kind, len(self.texts) + len(number))
        return kinds

    def launching(self, window: Window) -> Int32s:
        """Products first sold in the window's target days."""
        return launching(self.histories.first_days(), self.recommendable, window)
