"""Reviews and baskets as documents that topics are found in: clean texts, bags of words, with an author and a day."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from nightmarket.contracts.arrays import Int32s, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.histories import Histories
from nightmarket.reviews import words

_DROPPED = {"Cf", "Cs"}
"""Categories of Unicode without a shape of their own: marks of format (zero width, direction) and lone surrogates."""


def normalised(texts: Sequence[str]) -> list[str]:
    """Each text in Unicode's form NFKC, without invisible characters, with single spaces; "" if nothing is left.

    NFKC makes one of full and half width ("ＡＢＣ！" is "ABC!"). Other control characters, line ends among them, count
    as white space. Time is linear in the characters.
    """
    joined = [unicodedata.normalize("NFKC", text) for text in texts]
    used = {character: unicodedata.category(character) for character in set().union(*joined)}
    table = {ord(c): None if kind in _DROPPED else " " for c, kind in used.items() if kind in _DROPPED | {"Cc"}}
    return [" ".join(text.translate(table).split()) for text in joined]


def distinct(texts: Sequence[str]) -> Int64s:
    """Rows of the first of each text, in order; rows with the empty text are left out.

    Takes what `normalised` gives. Shops repeat reviews (imports, copied praise); a copy is no second opinion.
    """
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        if text:
            first.setdefault(text, row)
    return np.fromiter(first.values(), np.int64, len(first))


RAREST, COMMONEST = 0.001, 0.3
"""Shares of the reviews between which a word's must lie: a rarer one marks no topic, a commoner one no less."""
RAREST_KIND = 0.005
"""Share of the baskets from which on a product type counts."""
MOST_BASKETS = 60_000


@dataclass(frozen=True)
class Documents:
    """D documents over V words.

    counts  (D, V)  how often a word stands in a document
    who     (D,)    code of the person; a document of an unknown person is one of its own
    day     (D,)    days since 1970-01-01, local
    row     (D,)    which review or basket it is
    words   V
    """

    counts: sparse.csr_matrix
    who: Int64s
    day: Int32s
    row: Int64s
    words: tuple[str, ...]


def reviews(texts: Sequence[str], who: Int64s, day: Int32s) -> Documents:
    """Documents of texts, in their order; words of fewer than 20 people are left out, so that no name tells of them."""
    reader = words.find(texts)
    code: dict[str, int] = {}
    cells: Counter[tuple[int, int]] = Counter()
    for row, text in enumerate(texts):
        for word in reader.telling(text):
            cells[row, code.setdefault(word, len(code))] += 1
    place = np.array(list(cells), np.int64).reshape(-1, 2)
    number = np.fromiter(cells.values(), np.float32, len(cells))
    counts = sparse.coo_matrix((number, (place[:, 0], place[:, 1])), shape=(len(texts), len(code))).tocsr()
    share = counts.getnnz(0) / max(len(texts), 1)
    kept = np.flatnonzero((people(counts, who) >= MIN_GROUP) & (share >= RAREST) & (share <= COMMONEST))
    known = list(code)
    return Documents(counts[:, kept], who, day, np.arange(len(texts)), tuple(known[int(i)] for i in kept))


def baskets(lines: Histories, kind: Int64s, names: Sequence[str], seed: int) -> Documents:
    """Documents of up to 60,000 baskets, drawn at random, of two product types or more; each type counts once.

    kind   (I,)  code of a product's type, into `names`; -1 for a product without one

    Types of fewer than 20 customers or in fewer than .5% of the baskets are left out.
    """
    lines = lines.where(kind[lines.item] >= 0)
    codes = np.unique(lines.basket)
    drawn = codes
    if codes.size > 2 * MOST_BASKETS:  # as many again, for those of one type alone
        drawn = np.sort(np.random.default_rng(seed).choice(codes, 2 * MOST_BASKETS, replace=False))
        lines = lines.where(np.isin(lines.basket, drawn))
    row = np.searchsorted(drawn, lines.basket)
    shape = (drawn.size, len(names))
    counts = sparse.coo_matrix((np.ones(len(lines), np.float32), (row, kind[lines.item])), shape=shape).tocsr()
    counts.data[:] = 1
    who, day = np.zeros(drawn.size, np.int64), np.zeros(drawn.size, np.int32)
    who[row], day[row] = lines.customer, lines.day
    share = counts.getnnz(0) / max(drawn.size, 1)
    kept = np.flatnonzero((people(counts, who) >= MIN_GROUP) & (share >= RAREST_KIND))
    counts = counts[:, kept]
    rich = np.random.default_rng(seed).permutation(np.flatnonzero(counts.getnnz(1) >= 2))[:MOST_BASKETS]
    rich.sort()
    kept_names = tuple(names[int(i)] for i in kept)
    return Documents(counts[rich], who[rich], day[rich], drawn[rich].astype(np.int64), kept_names)


def kinds(products: pd.DataFrame) -> tuple[Int64s, list[str]]:
    """(I,) codes of the products' types, -1 for none, and the types' names: the last level of the category path, with
    the level before it in brackets where the last is one word or stands under several."""
    named_rows = products["type"].fillna("") != ""
    path = products["department"] + "\n" + products["category"] + "\n" + products["type"]
    code, paths = pd.factorize(path.where(named_rows))
    rows = pd.DataFrame([path.split("\n") for path in paths], columns=["department", "category", "type"])
    last, before = rows["type"].map(_sentence_case), rows["category"].map(_sentence_case)
    alone = ~last.duplicated(keep=False) & last.str.contains(" ")
    named = last.where(alone | (last == before), last + " (" + before + ")")
    return code.astype(np.int64), named.tolist()


def _sentence_case(name: str) -> str:
    """ "FLUID MILK" → "Fluid milk"."""
    name = name.strip()
    return name.capitalize() if name.isupper() else name


def people(counts: sparse.csr_matrix, who: Int64s) -> Int64s:
    """(V,) people in whose documents a word stands."""
    code = np.unique(who, return_inverse=True)[1]
    table = counts.tocoo()
    size = max(counts.shape[1], 1)
    return np.bincount(np.unique(code[table.row].astype(np.int64) * size + table.col) % size, minlength=counts.shape[1])
