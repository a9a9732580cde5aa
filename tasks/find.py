"""Which products a line of text asks for: by its words, by its meaning, or by both. A step: a person asks.

reads   artifacts/prepare            products, texts, purchases, windows
        data/champion/finetune       encoder and vectors of the texts; not for a search by words
writes  exports/find/NAME            products.csv, products.parquet, one row per product; nothing without a name

The answer is a list of texts, best first; products that share a text stand together, those that sell most first.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from nightmarket.contracts import InputError
from nightmarket.encoding.hashes import lookup, text_hashes
from nightmarket.histories.calendar import NEVER
from nightmarket.retrieval.search.filters import Filters
from nightmarket.retrieval.search.index import Hit, Index, ItemsByText, Method
from tasks.campaigns import export
from tasks.files import manifest, storage
from tasks.files.prepared import Prepared
from tasks.files.spreadsheet import write_csv
from tasks.pipeline.settings import StageSettings
from tasks.registry import champion

WIDTH = 60
SCHEMA = pa.schema(
    [("place", pa.int32())]
    + [
        (name, pa.string())
        for name in ("product_id", "title", "text", "brand", "department", "category", "type", "size")
    ]
    + [("price", pa.float32()), ("purchases", pa.int64()), ("similarity", pa.float32()), ("words", pa.string())]
)
"""Of the files."""
log = logging.getLogger("nightmarket")


class Settings(StageSettings):
    """A question and what a product must have to be an answer."""

    query: str = Field("", max_length=500, description="what to look for, in a customer's words")
    brands: tuple[str, ...] = Field((), description="only these brands; empty: any")
    category: str = Field("", max_length=500, description="only this department, category or type; levels by ' > '")
    min_price: float = Field(0.0, ge=0, description="least price, currency")
    max_price: float | None = Field(None, gt=0, description="greatest price, currency; null: no limit")
    sold_weeks: int | None = Field(None, ge=1, le=520, description="sold in so many of the last weeks; null: or never")
    num: int = Field(10, ge=1, le=1000, description="texts to find; products that share one stand together")
    method: Method = Field("both", description="by words, by meaning, or both: docs/how-to/find.md")
    name: str = Field("", max_length=60, description="folder below exports/find/; empty: nothing is written")
    excel: bool = Field(False, description="mark the CSV as UTF-8 for Excel, which garbles Chinese otherwise")

    @field_validator("max_price")
    @classmethod
    def _above_the_least(cls, price: float | None, info: ValidationInfo) -> float | None:
        least = info.data.get("min_price", 0.0)
        if price is not None and price < least:
            raise ValueError(f"{price:g} lies below min_price, {least:g}; raise it")
        return price


@dataclass(frozen=True)
class SearchAnswer:
    """The texts that match a query.

    rows   one per text, best first: place, product_id of its best seller, text, products, brand, price, why
    table  one row per product: the same with place, similarity and words
    """

    rows: list[dict[str, Any]]
    table: pa.Table
    folder: Path | None = None

    def lines(self) -> list[str]:
        """For a terminal."""
        if not self.rows:
            return ["nothing was found: no product passes the filters, or no word of the query is known"]
        lines = [
            f"{row['place']:3}  {row['product_id']:>12}  {_money(row['price']):>9}  {_cut(row['text']):{WIDTH}}  "
            f"{row['products']:4} {'product ' if row['products'] == 1 else 'products'}  {row['why']}"
            for row in self.rows
        ]
        return [*lines, f"files  {self.folder}"] if self.folder else lines


def run(given: Settings) -> None:
    """Answer the question that stands in params.yaml."""
    for line in answer(storage.home(), given, Path()).lines():
        log.info("%s", line)


def answer(home: Path, given: Settings, root: Path | None = None) -> SearchAnswer:
    """Find, and write exports/find/NAME of `home` where there is a name.

    root  the folder with artifacts and data; None: home

    Raises InputError for an empty query, a brand or category that the catalogue does not have, a name that is taken,
    and where there is no champion yet.
    """
    root = home if root is None else root
    if not given.query.strip():
        raise InputError("query: it is empty; say what to look for, as 'lactose free milk for toddlers'")
    target = _target(home, given.name) if given.name else None
    data = Prepared(root)
    products, item, week = data.products, data.histories.item, data.histories.week
    last_sold = np.full(len(products), -NEVER)
    np.maximum.at(last_sold, item, week)
    filters = Filters(given.brands, given.category, given.min_price, given.max_price, given.sold_weeks)
    allowed = filters.allowed(products, last_sold, int(week.max()))
    texts = data.texts
    sold = np.bincount(item, minlength=len(products))
    shelf = ItemsByText.of(products["text_id"].to_numpy(), sold, len(texts), allowed)
    vectors, asked = (None, None) if given.method == "words" else _meaning(root, texts, given.query)
    hits = Index.of(texts, vectors).find(given.query, asked, shelf, given.num, given.method)
    result = _answer(hits, products, texts, sold)
    if target is None:
        return result
    with storage.whole_folder(target) as draft:
        storage.write_table(result.table, draft / "products.parquet")
        write_csv(result.table, draft / "products.csv", given.excel)
    return SearchAnswer(result.rows, result.table, target)


def _meaning(root: Path, texts: list[str], query: str) -> tuple[NDArray, NDArray]:
    """Vectors of the texts, (T, D), and of the query, (D,), by the champion's encoder."""
    folder = root / storage.CHAMPION
    if not (folder / "receipt.json").exists():
        raise InputError("there is no champion yet, so no encoder to search by meaning; run nightly, or choose words")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from nightmarket.encoding.encoder import log_progress
    from nightmarket.encoding.loading import load_encoder

    def load(folder: Path) -> tuple[Any, dict[str, NDArray]]:
        manifest.verify(folder)
        return load_encoder(str(folder / "finetune" / "encoder")), storage.read_tensors(
            folder / "finetune" / "text_vectors.safetensors"
        )

    encoder, stored = champion.steady(folder, load)
    vectors, missing = lookup(text_hashes(texts), stored["hashes"], stored["vectors"])
    if missing.size:
        log.info("find: %s texts are new to the champion and are encoded now", f"{missing.size:,}")
        new = encoder.encode([texts[row] for row in missing], log_progress(log, "find"))
        vectors[missing] = new.astype(vectors.dtype)
    return vectors, encoder.encode([query], role="query")[0]


def _answer(hits: list[Hit], products: pd.DataFrame, texts: list[str], sold: NDArray[np.int64]) -> SearchAnswer:
    rows, parts = [], []
    for place, hit in enumerate(hits, start=1):
        part = products.iloc[hit.items]
        shared = {"place": place, "text": texts[hit.text], "similarity": hit.similarity, "words": " ".join(hit.words)}
        parts.append(part.assign(**shared, purchases=sold[hit.items]))
        first = part.iloc[0]
        shown = {"place": place, "product_id": str(first["product_id"]), "text": texts[hit.text]}
        shown |= {"products": len(part), "brand": _text(first["brand"]), "price": _number(first["price"])}
        rows.append(shown | {"why": _why(hit)})
    table = pd.concat(parts) if parts else products.iloc[:0]
    made = pa.Table.from_pandas(table.reindex(columns=SCHEMA.names), preserve_index=False)
    return SearchAnswer(rows, made.cast(SCHEMA))


def _why(hit: Hit) -> str:
    reasons = [f"words: {', '.join(hit.words)}"] if hit.words else []
    reasons += [f"similarity {hit.similarity:.2f}"] if hit.similarity is not None else []
    return "; ".join(reasons) or "parts of words"


def _target(home: Path, name: str) -> Path:
    export.check_name(name)
    target = home / "exports" / "find" / name
    if target.exists():
        raise InputError(f"name: exports/find/{name} is there already, and nothing is written over; choose another")
    return target


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return round(float(value), 2) if np.isfinite(value) else None


def _money(price: float | None) -> str:
    return "no price" if price is None else f"{price:.2f}"


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
