"""Reviews and baskets as documents that topics are found in: clean texts, words in English and Chinese, counts."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd
import yaml
from scipy import sparse

from nightmarket.contracts.arrays import Int32s, Int64s
from nightmarket.contracts.privacy import MIN_GROUP
from nightmarket.histories.histories import Histories

HAN = "\u4e00-\u9fff"
RUNS = re.compile(rf"[{HAN}]+|[^\W\d_{HAN}]+(?:['’-][^\W\d_{HAN}]+)*")
LONGEST = 4
LEAST_COUNT = 8
LEAST_COHESION = 2.5
LEAST_ENTROPY = 1.2
MOST_LETTERS = 1_500_000
"""Letters that Chinese words are looked for in; more find no more of the frequent ones."""
_STOP_WORDS = yaml.safe_load(files(__package__).joinpath("stop_words.yaml").read_text(encoding="utf-8"))
EDGES = frozenset(_STOP_WORDS["edges"])
"""Letters that words of a topic neither begin nor end with: particles, pronouns, copulas, degrees."""
EMPTY = frozenset(_STOP_WORDS["chinese"].split() + _STOP_WORDS["english"].split())
"""Words that say nothing about what a text is about, besides scikit-learn's English ones."""


@dataclass(frozen=True)
class Words:
    """How texts are cut: log-probabilities of the Chinese words and letters that were found."""

    chance: Mapping[str, float]
    rare: float

    def split(self, text: str) -> list[str]:
        """Words of a text, lower case; Chinese by the likeliest path through found words (unigram model, Viterbi)."""
        words: list[str] = []
        for run in RUNS.findall(text.lower()):
            if "\u4e00" <= run[0] <= "\u9fff":
                words += self._path(run)
            else:
                words.append(run.replace("’", "'"))
        return words

    def telling(self, text: str) -> list[str]:
        """The words of a text without those that say nothing about what it is about."""
        empty = _empty()
        return [word for word in self.split(text) if len(word) > 1 and word not in empty]

    def _path(self, run: str) -> list[str]:
        best, back = [0.0] + [-math.inf] * len(run), [0] * (len(run) + 1)
        for end in range(1, len(run) + 1):
            for size in range(1, min(LONGEST, end) + 1):
                word = run[end - size : end]
                chance = self.chance.get(word, self.rare if size == 1 else None)
                if chance is not None and best[end - size] + chance > best[end]:
                    best[end], back[end] = best[end - size] + chance, end - size
        cut: list[str] = []
        end = len(run)
        while end:
            cut.append(run[back[end] : end])
            end = back[end]
        return cut[::-1]


@cache
def _empty() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return EMPTY | ENGLISH_STOP_WORDS


def find(texts: Iterable[str]) -> Words:
    """The words of Chinese texts: runs of two to four letters that hang together and stand freely.

    Cohesion is the least pointwise mutual information over all ways to cut the run in two (Sproat & Shih, 1990);
    freedom the smaller entropy of the letters before and behind it (Jin & Tanaka-Ishii, 2006). A run counts from eight
    occurrences. Without Chinese letters the list is empty, and English needs none.
    """
    runs, letters = [], 0
    for text in texts:
        for run in RUNS.findall(text):
            if "\u4e00" <= run[0] <= "\u9fff":
                runs.append(run)
                letters += len(run)
        if letters > MOST_LETTERS:
            break
    counts = _counts(runs)
    total = max(letters, 1)
    left, right = _neighbours(counts)
    chance = {}
    for word, num in counts.items():
        if len(word) > LONGEST or (len(word) > 1 and num < LEAST_COUNT):
            continue
        if len(word) == 1 or _is_word(word, counts, total, left, right):
            chance[word] = math.log(num / total)
    return Words(chance, math.log(0.5 / total))


def _counts(runs: list[str]) -> Counter[str]:
    """Counts of runs up to five letters, of those with a frequent part."""
    counts: Counter[str] = Counter()
    for size in range(1, LONGEST + 2):
        in_run: Counter[str] = Counter()
        for run in runs:
            for first in range(len(run) - size + 1):
                word = run[first : first + size]
                if size < 3 or counts[word[:-1]] >= LEAST_COUNT or counts[word[1:]] >= LEAST_COUNT:
                    in_run[word] += 1
        counts.update(in_run)
    return counts


def _neighbours(counts: Counter[str]) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Per run the counts of the letters before it, and of those behind it."""
    left: dict[str, list[int]] = {}
    right: dict[str, list[int]] = {}
    for word, num in counts.items():
        if len(word) > 2:
            left.setdefault(word[1:], []).append(num)
            right.setdefault(word[:-1], []).append(num)
    return left, right


def _is_word(
    word: str, counts: Counter[str], total: int, left: Mapping[str, list[int]], right: Mapping[str, list[int]]
) -> bool:
    if word[0] in EDGES or word[-1] in EDGES:
        return False
    num = counts[word]
    cohesion = min(math.log(num * total / (counts[word[:cut]] * counts[word[cut:]])) for cut in range(1, len(word)))
    if cohesion < LEAST_COHESION:
        return False
    return min(_entropy(side.get(word, []), num) for side in (left, right)) >= LEAST_ENTROPY


def _entropy(neighbours: list[int], num: int) -> float:
    """Entropy, nats, of what stands beside a run; the end of a sentence is each time a neighbour of its own."""
    ends = max(num - sum(neighbours), 0)
    return (ends * math.log(num) - sum(n * math.log(n / num) for n in neighbours)) / num


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
    reader = find(texts)
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
