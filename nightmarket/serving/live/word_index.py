"""Which products a line of words asks for, from arrays that processes share: T texts, V words, I items.

BM25 over the words of the texts, Chinese by characters and pairs of them. A word of a question stands for the words of
the shop that are spelt nearly so as well, by the pieces of three characters that they share: `cereal` finds `cereals`,
and `shmapoo` shampoo. Equal scores go to what is most in demand.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Bools, Float32s, Int32s, Int64s, Values
from nightmarket.encoding.terms import words
from nightmarket.ranking.sessions.shop import Ragged
from nightmarket.retrieval.search.lexical import BM25, K1, B
from nightmarket.serving.live.ragged import dropped, placed
from nightmarket.serving.live.strings import CodedNames

MOST_WORDS = 20
"""Of a question that count, the first ones."""
PIECE, SHORTEST = 3, 4
"""Characters of a piece, and of a word that others are near to."""
FORM, NEAR, MOST_NEAR = 0.7, 0.4, 8
"""Pieces that two words share, of the pieces of both, from which on one stands for the other, where the shop knows the
word that was asked (another form of it), and where it does not; and how many may."""
BESIDE = 0.6
"""What a word that is spelt nearly so counts beside one that the shop writes as it was asked."""
FIRST = 512
"""Texts that are looked at first; then always four times as many."""


@dataclass(frozen=True)
class WordIndex:
    """Words of the texts, and items by text.

    vocabulary  the V words
    texts       of each word the texts that hold it, with `weight` (N,) of BM25
    pieces      of words, and `words` with each
    num_pieces  (V,) of each word, 0 for a short one
    items       of each text, those most in demand first
    """

    vocabulary: CodedNames
    texts: Ragged
    weight: NDArray[np.float16]
    pieces: CodedNames
    words: Ragged
    num_pieces: Int32s
    items: Ragged

    @classmethod
    def of(cls, texts: Sequence[str], text_of: Int32s, popularity: Float32s) -> "WordIndex":
        """Index the texts.

        text_of, popularity  (I,) the text of each item, and what orders items of one text
        """
        index = BM25.of(texts)
        vocabulary = list(index.place)
        by_piece: dict[str, list[int]] = {}
        num = np.zeros(len(vocabulary), np.int32)
        for code, word in enumerate(vocabulary):
            parts = _pieces(word)
            num[code] = len(parts)
            for part in parts:
                by_piece.setdefault(part, []).append(code)
        matrix = index.weight_VT
        order = np.lexsort((np.arange(text_of.size), -popularity, text_of)).astype(np.int32)
        begins = np.searchsorted(text_of[order], np.arange(len(texts) + 1)).astype(np.int64)
        rows = Ragged(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32))
        return cls(
            CodedNames.of(vocabulary),
            rows,
            matrix.data.astype(np.float16),
            CodedNames.of(by_piece),
            _ragged(list(by_piece.values())),
            num,
            Ragged(begins, order),
        )

    def tensors(self) -> dict[str, Values]:
        """By name, for a file."""
        made: dict[str, Values] = {"weight": self.weight, "num_pieces": self.num_pieces}
        for part in ("vocabulary", "pieces"):
            made |= {f"{part}.{name}": values for name, values in getattr(self, part).tensors().items()}
        for part in ("texts", "words", "items"):
            made |= {f"{part}.{name}": values for name, values in vars(getattr(self, part)).items()}
        return made

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Values]) -> "WordIndex":
        """The reverse of `tensors`."""

        def part(name: str) -> dict[str, Values]:
            return {key.partition(".")[2]: values for key, values in tensors.items() if key.startswith(f"{name}.")}

        vocabulary, pieces = (CodedNames.from_tensors(part(name)) for name in ("vocabulary", "pieces"))
        texts, by_piece, items = (Ragged(**part(name)) for name in ("texts", "words", "items"))
        return cls(vocabulary, texts, tensors["weight"], pieces, by_piece, tensors["num_pieces"], items)

    def find(
        self, query: str, popularity: Float32s, may: Callable[[Int32s], Bools], num: int
    ) -> tuple[Int32s, Float32s]:
        """The best `num` items for a question, fewer where fewer have a word of it, and their scores; best first.

        popularity  (I,) which decides between equal scores
        may         which of some items may be shown

        Raises InputError for a question without a letter or digit.
        """
        scores = self.scores(query)
        items, score = np.zeros(0, np.int32), np.zeros(0, np.float32)
        for texts in _best_first(scores):
            size = np.diff(self.items.indptr)[texts]
            more = self.items.rows(texts)
            kept = may(more)
            items = np.concatenate([items, more[kept]])
            score = np.concatenate([score, np.repeat(scores[texts], size)[kept]])
            if items.size >= num:
                break
        best = np.lexsort((items, -popularity[items], -score))[:num]
        return items[best], score[best]

    def scores(self, query: str) -> Float32s:
        """(T,) of each text, 0 for one without a word of the question. Raises InputError as `find` does."""
        asked = list(dict.fromkeys(words(query)))[:MOST_WORDS]
        if not asked:
            raise InputError("query: say what to look for; there is no letter and no digit in it")
        scores = np.zeros(self.items.indptr.size - 1, np.float32)
        for word in asked:
            scores += self._of_word(word, scores.size)
        return scores

    def with_texts(self, texts: Sequence[str], items: Int32s, text_of: Int32s) -> "WordIndex":
        """With further texts, and with items (N,) that have now the texts `text_of`, of before or of these."""
        num_before, counted = self.items.indptr.size - 1, [Counter(words(text)) for text in texts]
        fresh = list(dict.fromkeys(word for count in counted for word in count if self.vocabulary.find(word) < 0))
        vocabulary = self.vocabulary.more(fresh)
        posted = sorted(
            (vocabulary.find(word), num_before + row, self._weight(vocabulary.find(word), times, count.total()))
            for row, count in enumerate(counted) for word, times in count.items()
        )  # fmt: skip
        word, text = (np.array([row[at] for row in posted], np.int32) for at in (0, 1))
        ends = np.append(self.texts.indptr, np.full(len(fresh), self.texts.indptr[-1]))
        indptr = ends + np.append(0, np.cumsum(np.bincount(word, minlength=len(vocabulary))))
        weight = np.insert(self.weight, ends[word + 1], np.array([row[2] for row in posted], np.float16))
        by_text = Ragged(indptr.astype(np.int64), np.insert(self.texts.item, ends[word + 1], text))
        parts = [(len(self.vocabulary) + at, _pieces(word)) for at, word in enumerate(fresh)]
        pieces = self.pieces.more(list(dict.fromkeys(
            piece for _, own in parts for piece in own if self.pieces.find(piece) < 0
        )))  # fmt: skip
        owner = np.array([pieces.find(piece) for _, own in parts for piece in own], np.int32)
        held = np.array([code for code, own in parts for _ in own], np.int32)
        return WordIndex(
            vocabulary,
            by_text,
            weight,
            pieces,
            placed(self.words, owner, held, len(pieces)),
            np.append(self.num_pieces, np.array([len(own) for _, own in parts], np.int32)),
            placed(dropped(self.items, items), text_of, items, num_before + len(texts)),
        )

    def _weight(self, word: int, times: int, length: int) -> float:
        """BM25 of a word in a further text; the mean length is that of distinct words, which titles say once."""
        num_texts, known = self.items.indptr.size - 1, word < len(self.vocabulary)
        holding = 1 + (int(self.texts.indptr[word + 1] - self.texts.indptr[word]) if known else 0)
        mean = max(self.texts.item.size / max(num_texts, 1), 1.0)
        idf = np.log1p((num_texts + 1 - holding + 0.5) / (holding + 0.5))
        return float(idf * times * (K1 + 1) / (times + K1 * (1 - B + B * length / mean)))

    def _of_word(self, word: str, num_texts: int) -> Float32s:
        """(T,) what a word of the question counts in each text: by itself, or by the nearest word that stands there."""
        scores = np.zeros(num_texts, np.float32)
        for code, share in self._near(word):
            rows = slice(self.texts.indptr[code], self.texts.indptr[code + 1])
            texts = self.texts.item[rows]
            scores[texts] = np.maximum(scores[texts], self.weight[rows].astype(np.float32) * share)
        return scores

    def _near(self, word: str) -> Iterator[tuple[int, float]]:
        """Words of the shop for one of a question, and what they count."""
        own, parts = self.vocabulary.find(word), _pieces(word)
        if own >= 0:
            yield own, 1.0
        known = self.pieces.find_all(parts)
        if not known.size:
            return
        codes, shared = np.unique(self.words.rows(known), return_counts=True)
        alike = 2 * shared / (len(parts) + self.num_pieces[codes])
        order = np.lexsort((codes, -alike))[: MOST_NEAR + 1]
        for code, share in zip(codes[order].tolist(), alike[order].tolist(), strict=True):
            if code != own and share >= (FORM if own >= 0 else NEAR):
                yield code, float(share) * (BESIDE if own >= 0 else 1.0)


def _pieces(word: str) -> list[str]:
    """Of a word of letters that is long enough, its ends marked; none of another."""
    if len(word) < SHORTEST or not word.isalpha():
        return []
    marked = f"_{word}_"
    return sorted({marked[at : at + PIECE] for at in range(len(marked) - PIECE + 1)})


def _best_first(scores: Float32s) -> Iterator[Int32s]:
    """Texts with a score, in parts, each text of a part scored at least as high as those of the next."""
    texts = np.flatnonzero(scores > 0)
    texts = texts[np.argsort(-scores[texts], kind="stable")].astype(np.int32)
    begin, size = 0, FIRST
    while begin < texts.size:
        end = begin + size
        # equal scores stay together: what is in demand decides between them
        while end < texts.size and scores[texts[end]] == scores[texts[end - 1]] and end < begin + 2 * size:
            end += 1
        yield texts[begin:end].astype(np.int32)
        begin, size = end, 4 * size


def _ragged(rows: list[list[int]]) -> Ragged:
    num: Int64s = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return Ragged(num, np.array([code for row in rows for code in row], np.int32))
