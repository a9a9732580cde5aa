"""Rows that a file holds several of in one: a list of products in a field, or a column for each product."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.contracts.values import is_text
from tasks.intake.layers import Layer, Schema, WrittenNumbers
from tasks.intake.table_files import File

MARKS = ("\n", ";", "|", ",")
"""What stands between the entries of a list, the surest first."""
ID, PIECES = "id", "quantity"
PRODUCT, NUMBER = "product", "pieces"
COUNTED = (
    re.compile(r"^(?P<id>.+?)\s*[x×*]\s?(?P<num>\d{1,4})$", re.IGNORECASE),
    re.compile(r"^(?P<num>\d{1,4})\s?[x×*]\s*(?P<id>.+)$", re.IGNORECASE),
    re.compile(r"^(?P<id>.+?)\s*[:=]\s*(?P<num>\d{1,4})$"),
    re.compile(r"^(?P<id>.+?)\s*\(\s*[x×]?\s*(?P<num>\d{1,4})\s*\)$"),
)
"""Entries that say how many; an entry counts so where nearly all of a column do."""
ASKED = 2_000
MOST = 0.95


def entries(text: str, mark: str) -> list[Any]:
    """What a field lists: texts, or objects of JSON.

    mark  what stands between texts
    """
    text = text.strip()
    if text[:1] in ("[", "{"):
        for read in (json.loads, ast.literal_eval):
            try:
                content = read(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            if isinstance(content, dict):
                counted = content and all(isinstance(num, int | float) for num in content.values())
                return [{ID: key, PIECES: num} for key, num in content.items()] if counted else [content]
            return [entry for entry in content if entry not in (None, "")] if isinstance(content, list) else [content]
        text = text.strip("[]{}")
    return [part.strip().strip("'\"") for part in text.split(mark) if part.strip()] if mark else [text]


class Notation:
    """How a column lists its entries, told by some of its values.

    mark     what stands between texts, "" for none
    counted  the pattern of entries with a number of pieces, or None
    keys     of objects, in the order in which they appear
    several  share of the values that list several entries
    repeats  how often an entry is there, on average
    """

    def __init__(self, texts: Sequence[str]) -> None:
        plain = [text for text in texts if text.strip()[:1] not in ("[", "{")]
        told = {mark: sum(mark in text for text in plain) for mark in MARKS}
        self.mark = max(MARKS, key=lambda mark: told[mark]) if any(told.values()) else ""
        lists = [entries(text, self.mark) for text in texts]
        whole = [entry for part in lists for entry in part]
        words = [str(entry) for entry in whole if not isinstance(entry, dict)]
        self.counted = next((form for form in COUNTED if words and sum(map(bool, map(form.match, words)))
                             >= MOST * len(words)), None)  # fmt: skip
        self.keys = [*dict.fromkeys(key for entry in whole if isinstance(entry, dict) for key in map(str, entry))]
        self.several = sum(len(part) > 1 for part in lists) / max(len(lists), 1)
        ids = [self._counted(word)[0] for word in words]
        self.repeats = len(ids) / max(len({*ids}), 1)

    def _counted(self, word: str) -> tuple[str, int]:
        match = self.counted.match(word) if self.counted else None
        return (match["id"], int(match["num"])) if match else (word, 1)

    @property
    def columns(self) -> list[str]:
        """What an entry has: a number and pieces, or the keys of objects."""
        return self.keys or [ID, PIECES]

    def rows(self, text: str | None) -> list[dict[str, str | None]]:
        """A field's entries, one row at least; a text that is there several times counts so often."""
        listed = entries(text, self.mark) if text else []
        objects = [
            {str(key): _text(value) for key, value in entry.items()} for entry in listed if isinstance(entry, dict)
        ]
        pieces: Counter[str] = Counter()
        for entry in listed:
            if not isinstance(entry, dict):
                name, num = self._counted(str(entry))
                pieces[name] += num
        counted: list[dict[str, str | None]] = [{ID: name, PIECES: str(num)} for name, num in pieces.items()]
        return [*objects, *counted] or [{}]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


class Listed(Layer):
    """A row for each entry of a column of lists, with columns `name.id`, `name.quantity`, or `name.key` of objects."""

    def __init__(self, file: File, column: str, words: pa.Array, setting: str) -> None:
        """Raises InputError for a column that is not there."""
        super().__init__(file, words)
        self.column = self._column(column, f"{setting}.split")
        texts: list[str] = []
        for batch in file.batches([self.column]):
            texts += batch[self.column].cast(pa.string()).drop_null().slice(0, ASKED).to_pylist()
            if len(texts) >= ASKED:
                break
        self.notation = Notation(texts[:ASKED])
        self.made = {f"{self.column}.{key}": key for key in self.notation.columns}

    def types(self) -> Schema:
        """The others, and those of the entries."""
        there = {name: kind for name, kind in self.file.types().items() if name != self.column}
        return there | dict.fromkeys(self.made, pa.string())

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """The entries, in order."""
        others = [name for name in columns if name not in self.made]
        for batch in self.file.batches([*dict.fromkeys([*others, self.column])]):
            lists = [self.notation.rows(text) for text in batch[self.column].cast(pa.string()).to_pylist()]
            row = pa.array(np.repeat(np.arange(len(lists)), [len(part) for part in lists]))
            entry = [each for part in lists for each in part]
            arrays = [
                pa.array([each.get(self.made[name]) for each in entry], pa.string())
                if name in self.made
                else batch[name].take(row)
                for name in columns
            ]
            yield pa.record_batch(arrays, columns)

    def where(self, row: int) -> str:
        """Entries are counted."""
        return f"row {row + 1} of those that are made of its lists"


class Wide(Layer):
    """A row for each number above 0 in columns that are a product each, with columns `product` and `pieces`."""

    def __init__(self, file: File, wanted: Sequence[str], setting: str) -> None:
        """Raises InputError for a column that is not there, or holds text that is no number."""
        super().__init__(file)
        self.wanted = [self._column(name, f"{setting}.wide") for name in wanted]
        self.numbers = WrittenNumbers(file, f"{setting}.wide")

    def types(self) -> Schema:
        """The others, and the two."""
        there = {name: kind for name, kind in self.file.types().items() if name not in self.wanted}
        return there | {PRODUCT: pa.string(), NUMBER: pa.float64()}

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Row by row, in the order of the columns."""
        others = [name for name in columns if name not in (PRODUCT, NUMBER)]
        names = pa.array(self.wanted)
        for batch in self.file.batches([*dict.fromkeys([*others, *self.wanted])]):
            pieces = np.stack(
                [np.asarray(pc.fill_null(self.numbers(batch[name], name), 0.0)) for name in self.wanted], axis=1
            )
            row, product = np.nonzero(np.nan_to_num(pieces))
            made = {PRODUCT: names.take(pa.array(product)), NUMBER: pa.array(pieces[row, product])}
            arrays = [made[name] if name in made else batch[name].take(pa.array(row)) for name in columns]
            yield pa.record_batch(arrays, columns)

    def where(self, row: int) -> str:
        """Numbers are counted."""
        return f"row {row + 1} of those that are made of its columns"


def looks_listed(values: pa.Array) -> bool:
    """Whether texts are lists of things that are there again and again."""
    if not is_text(values.type):
        return False
    texts = values.drop_null().slice(0, ASKED).to_pylist()
    try:
        notation = Notation(texts)
    except InputError:
        return False
    return bool(texts) and notation.several >= 0.2 and (bool(notation.keys) or notation.repeats >= 2)
