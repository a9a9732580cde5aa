"""Records in records, as trackers export them: GA4's `items` and `event_params`, `properties.products` of Segment."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts.values import is_vector
from tasks.intake.table_files import File

KEY, VALUE = "key", "value"


class Flattened:
    """A file with nested columns as a flat one: `geo.country` of a record, `items.price` of a list's entries.

    items  the list of records of which each entry becomes a row; a row with an empty list stays one row. "": none
    keys   {list of records with `key` and `value`: the keys that become columns}, as `event_params.ga_session_id`

    A list that the file does not have has no columns.
    """

    def __init__(self, file: File, items: str, keys: Mapping[str, Sequence[str]]) -> None:
        self.file = file
        self.path: Path = file.path
        self.items, self.keys = items, keys
        self._types: dict[str, pa.DataType] = {}
        self._from: dict[str, tuple[str, ...]] = {}
        for name, kind in file.types().items():
            self._add((name,), kind)
        self._item_parts: tuple[str, ...] = ()
        for name in ([items] if items else []) + [*keys]:
            parts = self._path_of(name)
            kind = _at(file.types(), parts) if parts else None
            if kind is None or not _is_list(kind) or not pa.types.is_struct(kind.value_type):
                continue
            if name == items:
                self._item_parts = parts
                self._add((*parts, ""), kind.value_type)
            for key in keys.get(name, ()):
                self._types[f"{name}.{key}"] = pa.string()
                self._from[f"{name}.{key}"] = (*parts, KEY, key)

    def types(self) -> dict[str, pa.DataType]:
        """Columns without records and lists of them."""
        return self._types

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """A row per entry of `items`, or as below."""
        roots = [self._from[name][0] for name in columns] + [*self._item_parts[:1]]
        for batch in self.file.batches([*dict.fromkeys(roots)] or [*self.file.types()][:1]):
            row: pa.Array | None = None
            if self._item_parts:
                lists = _field(batch, self._item_parts)
                row, entry = _opened(lists)
                entries = pc.list_flatten(lists)
            arrays = []
            for name in columns:
                parts = self._from[name]
                if "" in parts:
                    at = parts.index("")
                    values = _inside(entries, parts[at + 1 :]).take(entry)
                elif KEY in parts[1:-1] and parts[-2] == KEY:
                    values = _of_key(_field(batch, parts[:-2]), parts[-1])
                else:
                    values = _field(batch, parts)
                arrays.append(values if row is None or "" in parts else values.take(row))
            yield pa.record_batch(arrays, columns)

    def where(self, row: int) -> str:
        """Entries are counted."""
        return f"row {row + 1} of those that are made of its lists" if self.items else self.file.where(row)

    def _add(self, parts: tuple[str, ...], kind: pa.DataType) -> None:
        if pa.types.is_struct(kind):
            for field in kind:
                self._add((*parts, field.name), field.type)
        elif is_vector(kind) or not pa.types.is_nested(kind):
            name = ".".join(part for part in parts if part)
            self._types[name] = kind
            self._from[name] = parts

    def _path_of(self, name: str) -> tuple[str, ...]:
        """The parts of a name with dots, where a column's own name may hold dots too; () where there is none."""
        for first, kind in self.file.types().items():
            if name == first:
                return (first,)
            if name.startswith(f"{first}.") and pa.types.is_struct(kind):
                return (first, *name.removeprefix(f"{first}.").split("."))
        return ()


def lists_of_records(types: Mapping[str, pa.DataType], under: str = "") -> list[str]:
    """Names of columns, with dots, that hold lists of records."""
    names = []
    for name, kind in types.items():
        if pa.types.is_struct(kind):
            names += lists_of_records({field.name: field.type for field in kind}, f"{under}{name}.")
        elif _is_list(kind) and pa.types.is_struct(kind.value_type):
            names.append(under + name)
    return names


def flat_names(types: Mapping[str, pa.DataType], items: str = "", under: str = "") -> list[str]:
    """Names of the columns that `Flattened` has, those of keys apart."""
    names = []
    for name, kind in types.items():
        whole = under + name
        if pa.types.is_struct(kind):
            names += flat_names({field.name: field.type for field in kind}, items, f"{whole}.")
        elif _is_list(kind) and whole == items and pa.types.is_struct(kind.value_type):
            names += flat_names({field.name: field.type for field in kind.value_type}, "", f"{whole}.")
        elif is_vector(kind) or not pa.types.is_nested(kind):
            names.append(whole)
    return names


def is_nested(types: Mapping[str, pa.DataType]) -> bool:
    """Whether a column holds records or lists of other things than numbers."""
    return any(pa.types.is_nested(kind) and not is_vector(kind) for kind in types.values())


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _at(types: Mapping[str, pa.DataType], parts: Sequence[str]) -> pa.DataType | None:
    kind = types.get(parts[0])
    for part in parts[1:]:
        if kind is None or not pa.types.is_struct(kind) or kind.get_field_index(part) < 0:
            return None
        kind = kind.field(part).type
    return kind


def _field(batch: pa.RecordBatch, parts: Sequence[str]) -> pa.Array:
    return _inside(batch[parts[0]], parts[1:])


def _inside(values: pa.Array, parts: Sequence[str]) -> pa.Array:
    for part in parts:
        if pa.types.is_null(values.type.field(part).type):
            return pa.nulls(len(values))  # of which pyarrow forgets the length where rows were taken
        values = pc.struct_field(values, part)
    return values


def _opened(lists: pa.Array) -> tuple[pa.Array, pa.Array]:
    """For each row that is made: the row that it is made of, and the place of its entry among all, or null."""
    counts = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), np.int64)
    made = np.maximum(counts, 1)
    row = np.repeat(np.arange(len(counts)), made)
    entry = np.full(len(row), -1)
    entry[np.repeat(counts > 0, made)] = np.arange(counts.sum())
    return pa.array(row), pa.array(entry, mask=entry < 0)


def _of_key(lists: pa.Array, key: str) -> pa.Array:
    """The value beside this key in each row's list, as text; null where there is none."""
    entries, row = pc.list_flatten(lists), pc.list_parent_indices(lists)
    here = pc.fill_null(pc.equal(pc.struct_field(entries, KEY), key), False)
    values, rows = pc.struct_field(entries.filter(here), VALUE), row.filter(here)
    if pa.types.is_struct(values.type):
        texts = [pc.struct_field(values, field.name).cast(pa.string()) for field in values.type]
        values = pc.coalesce(*texts)
    at = pc.index_in(pa.array(np.arange(len(lists))), value_set=rows.cast(pa.int64()))
    return values.cast(pa.string()).take(at)
