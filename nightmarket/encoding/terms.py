"""What a text is made of without a language model: words, characters of Chinese, pieces of words, and their weights."""

import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

_CJK = "々〇㐀-䶿一-鿿豈-﫿぀-ヿ가-힯"
_RUNS = re.compile(rf"[{_CJK}]+|\d+(?:\.\d+)?|[^\W\d_{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")
GRAMS = (3, 4, 5)
"""Characters of a piece of a word: `cereals` and `cereal` share nearly all."""
COLUMNS = 1 << 18
"""Terms share columns by their hash; among a million different ones, one in five shares with another."""


def words(text: str) -> list[str]:
    """Words and numbers, folded (NFKC, no case); a run of Chinese as its characters and pairs of characters.

    Pairs of neighbouring characters do for Chinese about what words do, and need no dictionary (Nie & Ren, 1999).
    """
    terms: list[str] = []
    for run in _RUNS.findall(unicodedata.normalize("NFKC", text).casefold()):
        if _IS_CJK.match(run):
            terms += [*run, *(run[at : at + 2] for at in range(len(run) - 1))]
        else:
            terms.append(run)
    return terms


def pieces(word: str) -> list[str]:
    """The word and, unless it is Chinese or a number, its pieces of three to five characters, ends marked."""
    if _IS_CJK.match(word) or word[0].isdigit():
        return [word]
    marked = f"_{word}_"
    return [word, *(marked[at : at + size] for size in GRAMS for at in range(len(marked) - size + 1))]


def tfidf(texts: Sequence[str]) -> sp.csr_matrix:
    """Unit rows (T, COLUMNS) of (1 + ln tf) · ln(1 + T / df) over hashed terms, float32.

    A word counts once as itself and once shared among its pieces, so that a long word does not outweigh a short one.
    """
    known: dict[str, list[tuple[int, float]]] = {}
    rows, columns, counts = [], [], []
    for row, text in enumerate(texts):
        for word in words(text):
            if word not in known:
                parts = pieces(word)
                share = 1.0 / max(len(parts) - 1, 1)
                known[word] = [
                    (zlib.crc32(part.encode()) % COLUMNS, share if at else 1.0) for at, part in enumerate(parts)
                ]
            for column, count in known[word]:
                rows.append(row)
                columns.append(column)
                counts.append(count)
    matrix = sp.coo_matrix((np.array(counts, np.float32), (rows, columns)), shape=(len(texts), COLUMNS)).tocsr()
    inverse = np.log1p(len(texts) / np.maximum(matrix.getnnz(axis=0), 1))
    matrix.data = np.log1p(matrix.data)
    matrix = (matrix @ sp.diags_array(inverse.astype(np.float32))).tocsr()
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return (sp.diags_array((1.0 / np.maximum(norm, 1e-9)).astype(np.float32)) @ matrix).tocsr()
