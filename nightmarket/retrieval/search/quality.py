"""How well a search answers: questions with known answers, asked of texts that do not tell them, and NDCG on these.

Shapes: Q queries, I items, N relevant items in all.

Shapes: Q queries, T texts, I items, D width of a vector.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightmarket.contracts.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from nightmarket.encoding.terms import words
from nightmarket.evaluation.metrics import rank_metrics
from nightmarket.histories.texts import levels, product_texts
from nightmarket.retrieval.search.index import ItemsByText

Level = Literal["category", "type"]
Dropped = Literal["nothing", "name", "words"]
LEAST = 5
"""Products that a name must have to be a question."""
_FIELDS = ["title", "category", "brand", "description"]


@dataclass(frozen=True)
class Questions:
    """Queries and the texts that they are asked of.

    texts     distinct ones; item i has text texts[text_id[i]]
    queries   names, in lower case, in alphabetical order
    relevant  (indptr (Q+1,), items (N,)): the items that bear the name
    """

    texts: list[str]
    text_id: Int64s
    queries: list[str]
    relevant: tuple[Int64s, Int32s]

    @property
    def chosen_on(self) -> Bools:
        """(Q,) the half on which methods are chosen, by a hash of the query; the other half is the test."""
        return np.array([hashlib.blake2b(query.encode(), digest_size=1).digest()[0] < 128 for query in self.queries])


def held_out(
    products: pd.DataFrame, level: Level, dropped: Dropped, allowed: Bools | None = None, least: int = LEAST
) -> Questions:
    """The names of one level of the category path as queries, and the texts without them.

    products  title, category (levels joined by ' > '), brand, description, one row per item
    level     type: the finest level; category: the second one
    dropped   nothing: the texts as they are;
              name: the level is left out of the text, and the name itself wherever else it stands in it;
              words: so is every word of the name, in the singular or plural. A product's text never shares a word with
              the query that asks for it then, while texts of other products may: no search by words can be right
    allowed   (I,) items that can be found; None: all. A name needs `least` of them
    """
    names = levels(products["category"])[level].to_numpy(dtype=object)
    fields = products.reindex(columns=_FIELDS).astype(object)
    fields = fields.where(fields.notna(), "").assign(name=names)
    distinct = fields.drop_duplicates()
    at = {"type": -1, "category": 1}[level]
    rows = [
        _without(row, at, dropped) if dropped != "nothing" else row[:-1] for row in distinct.itertuples(index=False)
    ]
    said = product_texts(pd.DataFrame(rows, columns=_FIELDS, index=distinct.index))
    text = fields.merge(distinct.assign(text=said), on=[*_FIELDS, "name"], how="left")["text"]
    text_id, texts = pd.factorize(text)
    items = np.flatnonzero(np.ones(len(products), bool) if allowed is None else allowed)
    asked = pd.Series([" ".join(str(name).lower().split()) for name in names[items]])
    size = asked.groupby(asked).transform("size")
    kept = ((size >= least) & (asked != "")).to_numpy()
    code, queries = pd.factorize(asked[kept], sort=True)
    order = np.argsort(code, kind="stable")
    indptr = np.searchsorted(code[order], np.arange(len(queries) + 1)).astype(np.int64)
    return Questions(list(texts), text_id, list(queries), (indptr, items[kept][order].astype(np.int32)))


def _without(row: tuple[str, ...], at: int, dropped: Dropped) -> list[str]:
    """Title, category path, brand and description without the name (the last of the row)."""
    title, category, brand, description, name = row
    path = category.split(" > ")
    if -len(path) <= at < len(path):
        del path[at]
    clean = _cleaner(name, dropped)
    kept = [part for part in map(clean, path) if part]
    return [clean(title), " > ".join(kept), clean(brand), clean(description)]


def _cleaner(name: str, dropped: Dropped) -> Callable[[str], str]:
    """Takes the name, or each of its words, out of a text."""
    if dropped == "name":
        patterns = [re.escape(name)] if name else []
    else:
        hidden = {word for word in words(name) if not word.replace(".", "").isdigit() or len(words(name)) == 1}
        patterns = [_forms(word) for word in sorted(hidden, key=lambda word: (-len(word), word))]
    if not patterns:
        return lambda text: text
    wanted = re.compile("|".join(patterns), re.IGNORECASE)

    def clean(text: str) -> str:
        left = wanted.sub(" ", text)
        return text if left == text else " ".join(left.split()).strip(" ,-/:&>")

    return clean


def _forms(word: str) -> str:
    """A word in the singular or plural, alone; characters of a language without spaces anywhere."""
    if not word.isascii():
        return re.escape(word)
    end = "ies" if word.endswith("ies") else "y"
    stem = word.removesuffix(end) + "(?:y|ies)" if word.endswith(end) else word.removesuffix("s") + "(?:s|es)?"
    return rf"(?<![^\W_]){stem}(?![^\W_])"


Rows = tuple[Int64s, Int32s]
PerQuery = dict[str, Float64s]
CUTOFFS = (10, 20)
_BLOCK = 16_000_000
"""Scores held at a time: 64 MB."""


def search_quality(
    vectors_of_texts: Float32s,
    vectors_of_queries: Float32s,
    relevant: Rows,
    text_id: NDArray | None = None,
    popularity: NDArray | None = None,
) -> PerQuery:
    """NDCG, recall, hit rate and MRR at 10 and 20 of each query by cosine, over the full catalogue; float64 (Q,).

    vectors_of_texts    (T, D)  unit norm
    vectors_of_queries  (Q, D)  unit norm
    relevant            (indptr (Q+1,), items (N,)), distinct per query; NaN for a query without any
    text_id             (I,)  the text of each item; None: item i is text i
    popularity          (I,)  breaks ties between items; None: the smaller number first
    """
    text_id = np.arange(len(vectors_of_texts)) if text_id is None else text_id
    popularity = np.zeros(len(text_id)) if popularity is None else popularity
    shelf = ItemsByText.of(text_id, popularity, len(vectors_of_texts))
    return quality_of(lambda rows: vectors_of_queries[rows] @ vectors_of_texts.T, shelf, relevant)


def quality_of(scores: Callable[[slice], NDArray], shelf: ItemsByText, relevant: Rows) -> PerQuery:
    """As `search_quality`, for any search: `scores` gives (some queries, T), -inf where a text is not found."""
    num = len(relevant[0]) - 1
    step = max(1, _BLOCK // max(1, len(shelf.start)))
    blocks = [shelf.best(scores(slice(at, min(at + step, num))), max(CUTOFFS)) for at in range(0, num, step)]
    lists = np.concatenate(blocks) if blocks else np.zeros((0, max(CUTOFFS)), np.int32)
    return rank_metrics(lists, *relevant, cutoffs=CUTOFFS)
