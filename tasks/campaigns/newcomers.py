"""Products without sales: named by id, or described in a row that joins the catalogue for this run only."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from nightmarket.contracts import InputError
from nightmarket.histories.calendar import NEVER
from nightmarket.histories.texts import levels, product_texts
from tasks.campaigns import tonight
from tasks.files.prepared import Prepared
from tasks.pipeline.settings import StageSettings

Words = Annotated[str, Field(max_length=500)]
"""Empty where there is nothing to say: in the form a plain box, where a value or null would be two."""


class NewProduct(StageSettings):
    """One new product: the id of a product in the catalogue that was never sold, or its title, category and price."""

    product_id: Words = Field("", description="of a product in the catalogue that nobody has bought")
    title: Words = Field("", description="as customers will read it; for a product not yet in the catalogue")
    category: Words = Field("", description="path from coarse to fine, levels joined by ' > '")
    brand: Words = Field("", description="brand, where it has one")
    maker: Words = Field("", description="manufacturer, as in the catalogue, where it is known")
    description: Words = Field("", description="what else there is to say")
    price: float = Field(0.0, ge=0, le=1e9, description="what one costs; 0: the catalogue's price")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.product_id and not (self.title and self.category and self.price):
            raise ValueError("give the product_id of a product in the catalogue, or title, category and price")
        if self.product_id and (self.title or self.category):
            raise ValueError("give either a product_id or title and category, not both")
        return self


class Extended(Prepared):
    """Tonight's tables with products added at the end, and their texts where a text is new."""

    def __init__(self, known: Prepared, products: pd.DataFrame, new_texts: list[str]) -> None:
        super().__init__()
        self.products = products
        self.texts = [*known.texts, *new_texts]
        self.histories = replace(known.histories, num_items=len(products))


@dataclass(frozen=True)
class Newcomers:
    """The tables with the new products in them.

    items  (P,)  their codes
    price  (P,)  currency
    """

    data: Prepared
    items: NDArray[np.int32]
    names: list[str]
    price: NDArray[np.float64]


def listed(data: Prepared, wanted: tuple[NewProduct, ...]) -> Newcomers:
    """The new products in the catalogue.

    Raises InputError, naming the entry, for an unknown id, a product that was sold, one without a price, and a product
    named twice.
    """
    known = {str(name): item for item, name in enumerate(data.products["product_id"])}
    sold = np.zeros(len(data.products), bool)
    sold[data.histories.item] = True
    rows = [product for product in wanted if not product.product_id]
    wider, goods = _with_rows(data, rows) if rows else data, tonight.deliverable(data)
    items: list[int] = []
    names: list[str] = []
    prices: list[float] = []
    new = len(data.products)
    for place, product in enumerate(wanted):
        key = f"launch.products.{place}"
        if not product.product_id:
            item, new = new, new + 1
        else:
            item = _unsold(product.product_id, known, sold, data.products, key)
            if not goods.on_sale[item]:
                raise InputError(
                    f"{key}.product_id: product '{product.product_id}' is out of stock tonight or has ended "
                    "(products.stock, available_until); name another"
                )
        row = wider.products.iloc[item]
        price = product.price or float(row["price"])
        if not price > 0:
            raise InputError(f"{key}.price: the catalogue has none for product '{product.product_id}'; give one")
        name = f"{row['title']}" if isinstance(row["title"], str) and row["title"].strip() else str(row["product_id"])
        if item in items or name in names:
            raise InputError(f"{key}: '{name}' is named twice; every new product needs a name of its own")
        items, names, prices = [*items, item], [*names, name], [*prices, price]
    return Newcomers(wider, np.array(items, np.int32), names, np.array(prices, np.float64))


def _unsold(name: str, known: dict[str, int], sold: NDArray[np.bool_], products: pd.DataFrame, key: str) -> int:
    item = known.get(name)
    if item is None:
        raise InputError(f"{key}.product_id: no product '{name}' in the catalogue; give title, category and price")
    if sold[item]:
        raise InputError(f"{key}.product_id: product '{name}' has been sold; for products with sales there is campaign")
    if not products["recommendable"].iloc[item]:
        raise InputError(
            f"{key}.product_id: product '{name}' is left out of everything (params.yaml: prepare.exclude_*)"
        )
    return item


def _with_rows(data: Prepared, rows: list[NewProduct]) -> Extended:
    """The rows added by the same rules by which `prepare` makes the products table."""
    table = pd.DataFrame([row.model_dump() for row in rows])
    num = len(data.products)
    texts = list(product_texts(table))
    text_ids = {text: at for at, text in enumerate(data.texts)}
    added = [text for text in dict.fromkeys(texts) if text not in text_ids]
    text_ids |= {text: len(text_ids) + at for at, text in enumerate(added)}
    new: dict[str, Any] = {
        "item": np.arange(num, num + len(rows), dtype=np.int32),
        "product_id": [f"new {at}" for at in range(1, len(rows) + 1)],
        "text_id": np.array([text_ids[text] for text in texts], np.int32),
        "group": data.catalogue.group.max(initial=-1) + 1 + np.arange(len(rows), dtype=np.int32),
        "first_day": NEVER,
        "from_day": NEVER,
        "until_day": NEVER,
        "recommendable": True,
    }
    made = table.drop(columns=["category", "product_id", "description"]).join(levels(table["category"])).assign(**new)
    made = made.reindex(columns=data.products.columns)
    made["size"] = None
    products = pd.concat([data.products, made.astype(data.products.dtypes.to_dict())], ignore_index=True)
    return Extended(data, products, added)
