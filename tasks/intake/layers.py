"""A file whose rows or columns are made of another's: lists opened, orders joined to their lines, columns computed.

Each layer is a `File` over a `File`, so that what stands above reads a table and knows nothing of how it lay.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.contracts import InputError
from nightmarket.contracts.values import NUMBER, is_text
from nightmarket.intake import headers, missing, numbers
from tasks.intake.survey import same_order
from tasks.intake.table_files import File, Parts
from tasks.intake.text_files import looks_like_a_value

Schema = dict[str, pa.DataType]
NO_WORDS = pa.array([], pa.string())
DEEPER = re.compile(r"\s*(?:>|»|›|/|\\|\|)\s*")
"""What stands between the levels of a category's path."""


class Layer:
    """What all layers do alike.

    words  texts that mean a missing value
    notes  what was left out, in how many rows, of the last time that all rows were read
    """

    def __init__(self, file: File, words: pa.Array = NO_WORDS) -> None:
        self.file = file
        self.words = words
        self.path: Path = file.path
        notes: Counter[str] | None = getattr(file, "notes", None)
        self.notes: Counter[str] = Counter() if notes is None else notes

    def types(self) -> Schema:
        """Its columns."""
        return self.file.types()

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Some of its columns, in row order."""
        yield from self.file.batches(columns)

    def where(self, row: int) -> str:
        """Where the row stands in the file below, where rows are the same."""
        return self.file.where(row)

    def _column(self, name: str, setting: str) -> str:
        """The column's name as it is written. Raises InputError where there is none."""
        there = [*self.file.types()]
        alike = headers.alike(name, there)
        if not alike:
            known = "names that look like values" if any(map(looks_like_a_value, there)) else ", ".join(there[:15])
            raise InputError(f"{self.path.name} has no column '{name}' ({setting}); it has {known}")
        return alike[0]

    def _has(self, values: pa.Array) -> pa.Array:
        """Where there is a value; bool, never null."""
        return _present(values, self.words).is_valid() if is_text(values.type) else values.is_valid()

    def _some(self, columns: Sequence[str]) -> list[str]:
        """The columns, or the first where none is wanted: rows must be counted."""
        return [*dict.fromkeys(columns)] or [*self.file.types()][:1]


@dataclass(frozen=True)
class Recipe:
    """How a column is made of others."""

    columns: Sequence[str]
    kind: pa.DataType
    make: Callable[[pa.RecordBatch], pa.Array]


class MadeColumns(Layer):
    """More columns; one that is made takes the place of one with the same name."""

    def __init__(self, file: File, recipes: Mapping[str, Recipe]) -> None:
        super().__init__(file)
        self.recipes = recipes

    def types(self) -> Schema:
        """Those below, and those that are made."""
        return self.file.types() | {name: recipe.kind for name, recipe in self.recipes.items()}

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Row by row."""
        below: list[str] = []
        for name in columns:
            below += self.recipes[name].columns if name in self.recipes else [name]
        for batch in self.file.batches(self._some(below)):
            made = [self.recipes[name].make(batch) if name in self.recipes else batch[name] for name in columns]
            yield pa.record_batch(made, columns)


def constants(file: File, values: Mapping[str, str]) -> File:
    """Columns with one value in all rows."""

    def recipe(value: str) -> Recipe:
        return Recipe((), pa.string(), lambda batch: pa.repeat(pa.scalar(value), batch.num_rows))

    return MadeColumns(file, {name: recipe(value) for name, value in values.items()})


def first_of(file: File, wanted: Mapping[str, Sequence[str]], words: pa.Array, setting: str) -> File:
    """Columns that hold the first value that some others have, as text."""
    layer = Layer(file)

    def recipe(name: str, others: Sequence[str]) -> Recipe:
        there = [layer._column(other, f"{setting}.first_of.{name}") for other in others]

        def make(batch: pa.RecordBatch) -> pa.Array:
            return pc.coalesce(*(_present(batch[other], words) for other in there))

        return Recipe(there, pa.string(), make)

    return MadeColumns(file, {name: recipe(name, others) for name, others in wanted.items()})


def renamed(file: File, wanted: Mapping[str, str], setting: str) -> File:
    """Columns by other names too: {theirs: the new name}."""
    layer, kinds = Layer(file), file.types()
    columns = {new: layer._column(theirs, f"{setting}.rename") for theirs, new in wanted.items()}

    def recipe(theirs: str) -> Recipe:
        return Recipe((theirs,), kinds[theirs], lambda batch: batch[theirs])

    return MadeColumns(file, {new: recipe(theirs) for new, theirs in columns.items()})


class Stacked(Parts):
    """Files of one table that are laid out differently, one after another."""

    def __init__(self, parts: Sequence[File]) -> None:
        super().__init__(parts, [{}] * len(parts))
        self.path = Path(" and ".join(dict.fromkeys(part.path.name for part in parts)))

    @property
    def notes(self) -> Counter[str]:
        """What was left out of all, in how many rows."""
        counted: Counter[str] = Counter()
        for part in self.parts:
            counted.update(getattr(part, "notes", {}))
        return counted


def _present(values: pa.Array, words: pa.Array) -> pa.Array:
    """As text, null where there is none or a word that means missing."""
    return missing.blanked(values.cast(pa.string()), words)[0]


def paths(file: File, wanted: Mapping[str, Sequence[str]], words: pa.Array, setting: str) -> File:
    """Columns with a category's path, levels joined by ' > ': of columns that hold a level each, or of one that holds
    a path, or several with commas between them, of which the deepest is taken.
    """
    layer = Layer(file)

    def recipe(name: str, others: Sequence[str]) -> Recipe:
        there = [layer._column(other, f"{setting}.path_of.{name}") for other in others]

        def make(batch: pa.RecordBatch) -> pa.Array:
            if len(there) > 1:
                levels = [pc.fill_null(_present(batch[other], words), "") for other in there]
                path = pc.binary_join_element_wise(*levels, " > ")
                path = pc.replace_substring_regex(path, "^( > )+|( > )+$", "")
                return _present(pc.replace_substring_regex(path, "( > ){2,}", " > "), words)
            coded = _present(batch[there[0]], words).dictionary_encode()
            written = [_deepest(path) for path in coded.dictionary.to_pylist()]
            return pa.array(written, pa.string()).take(coded.indices)

        return Recipe(there, pa.string(), make)

    return MadeColumns(file, {name: recipe(name, others) for name, others in wanted.items()})


def _deepest(path: str) -> str:
    several = [part.strip() for part in path.split(",") if part.strip()]
    if not any(DEEPER.search(part) for part in several):
        return path
    deepest = max(several, key=lambda part: len(DEEPER.split(part)))
    return " > ".join(level for level in DEEPER.split(deepest) if level)


_TERM = re.compile(r"\s*([-+*/]?)\s*(?:\[([^\]]+)\]|(\d+(?:\.\d+)?))\s*")


def computed(file: File, formulas: Mapping[str, str], setting: str) -> File:
    """Columns of numbers computed from others: `[Quantity] * [Price] - [Discount]`; an empty one makes it empty, but
    for one that is added or taken off, which counts as 0. Rounded to six places.

    Raises InputError for a formula or a column that cannot be read.
    """
    layer, written = Layer(file), WrittenNumbers(file, f"{setting}.computed")

    def recipe(name: str, formula: str) -> Recipe:
        terms: list[tuple[str, str, float]] = []
        at = 0
        while at < len(formula):
            match = _TERM.match(formula, at)
            if match is None or (not match[1] and terms):
                raise InputError(f"{setting}.computed.{name}: '{formula}' must be like '[Quantity] * [Price]'")
            column = layer._column(match[2], f"{setting}.computed.{name}") if match[2] else ""
            terms.append((match[1] or "+", column, float(match[3] or 0)))
            at = match.end()

        def make(batch: pa.RecordBatch) -> pa.Array:
            products: list[tuple[str, pa.Array]] = []
            for operation, column, number in terms:
                value = written(batch[column], column) if column else pa.repeat(number, batch.num_rows)
                if operation in "*/" and products:
                    sign, product = products.pop()
                    products.append((sign, (pc.multiply if operation == "*" else _quotient)(product, value)))
                else:
                    products.append((operation, value))
            total = products[0][1] if products[0][0] != "-" else pc.negate(products[0][1])
            for sign, product in products[1:]:
                total = (pc.subtract if sign == "-" else pc.add)(total, pc.fill_null(product, 0.0))
            return pc.round(total, 6)

        return Recipe([column for _, column, _ in terms if column], pa.float64(), make)

    return MadeColumns(file, {name: recipe(name, formula) for name, formula in formulas.items()})


def _quotient(values: pa.Array, by: pa.Array) -> pa.Array:
    return pc.divide(values, pc.if_else(pc.equal(by, 0.0), pa.scalar(None, pa.float64()), by))


class WrittenNumbers:
    """Columns of numbers as a file writes them: which mark begins the decimals is asked of the whole column, once."""

    def __init__(self, file: File, setting: str) -> None:
        self.file, self.setting = file, setting
        self.notations: dict[str, str] = {}

    def __call__(self, values: pa.Array, column: str) -> pa.Array:
        """As numbers. Raises InputError for text that is none, or a column that can be read in two ways."""
        if not is_text(values.type):
            return values.cast(pa.float64())
        texts = numbers.plain(self._present(values), self._notation(column))
        good = pc.match_substring_regex(texts, NUMBER)
        if pc.all(good).as_py() is False:
            bad = pc.sum(pc.invert(good)).as_py()
            raise InputError(
                f"{self.file.path.name}: column '{column}' holds {bad:,} values that are no number like 1234.5, and "
                f"{self.setting} computes with it; fix them, or leave them empty"
            )
        return pc.utf8_ltrim(texts, "+").cast(pa.float64())

    def _present(self, values: pa.Array) -> pa.Array:
        return pc.utf8_trim_whitespace(_present(values, missing.words()))

    def _notation(self, column: str) -> str:
        if column not in self.notations:
            survey = numbers.NumberSurvey()
            for batch in self.file.batches([column]):
                survey(self._present(batch[column]))
            notation = survey.notation()
            if notation is None:
                raise InputError(
                    f"{self.file.path.name}: column '{column}' can be read as {' or as '.join(numbers.NOTATIONS)}, and "
                    f"{self.setting} computes with it; write its decimals with a point"
                )
            self.notations[column] = notation
        return self.notations[column]


class FirstLines(Layer):
    """Fields that the first line of an order alone holds, in all of its lines.

    fields  {column that names the order: columns that belong to it}; an order's lines stand together
    """

    def __init__(self, file: File, fields: Mapping[str, Sequence[str]], setting: str) -> None:
        """Raises InputError for a column that is not there."""
        super().__init__(file)
        self.fields = {
            self._column(order, f"{setting}.first_line"): [
                self._column(name, f"{setting}.first_line.{order}") for name in names
            ]
            for order, names in fields.items()
        }

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """All lines, filled."""
        wanted = {order: [*{*names} & {*columns}] for order, names in self.fields.items()}
        orders = [order for order, names in wanted.items() if names]
        last: dict[str, pa.RecordBatch] = {}
        for batch in self.file.batches(self._some([*columns, *orders])):
            filled = {name: batch[name] for name in batch.schema.names}
            for order in orders:
                before = last.get(order)
                whole = batch if before is None else pa.concat_batches([before, batch])
                begin = np.where(np.asarray(same_order(whole[order], None)), 0, np.arange(whole.num_rows))
                first = np.maximum.accumulate(begin)
                for name in wanted[order]:
                    value = pc.coalesce(whole[name], whole[name].take(pa.array(first)))
                    filled[name] = value[whole.num_rows - batch.num_rows :]
                if whole.num_rows:
                    last[order] = whole.slice(int(first[-1]), 1)
            yield pa.record_batch([filled[name] for name in columns], columns)


_SKU = re.compile(r"(?:^|[|,;])\s*sku=([^,|;]+)")


class Variants(MadeColumns):
    """The parent of each row: another row lists it among its variants, as `sku=A-S,size=S|sku=A-M,size=M`; else itself.

    wanted  {new column: the column that lists variants, the column of ids}
    """

    def __init__(self, file: File, wanted: Mapping[str, Sequence[str]], setting: str) -> None:
        """Raises InputError for a column that is not there, or a pair that is none."""
        below = Layer(file)
        recipes = {}
        for name, pair in wanted.items():
            if len(pair) != 2:
                raise InputError(f"{setting}.variants.{name}: name two columns, that of variants and that of ids")
            listing, ids = (below._column(other, f"{setting}.variants.{name}") for other in pair)
            recipes[name] = Recipe([ids], pa.string(), partial(self._parents, listing, ids))
        super().__init__(file, recipes)
        self._known: dict[str, pa.Table] = {}

    def _parents(self, listing: str, ids: str, batch: pa.RecordBatch) -> pa.Array:
        known = self._known.setdefault(listing, self._listed(listing, ids))
        own = batch[ids].cast(pa.string())
        at = pc.index_in(own, value_set=known["variant"].combine_chunks())
        return pc.coalesce(known["parent"].combine_chunks().take(at), own)

    def _listed(self, listing: str, ids: str) -> pa.Table:
        parent_of: dict[str, str] = {}
        for batch in self.file.batches([listing, ids]):
            for variants, parent in zip(batch[listing].to_pylist(), batch[ids].to_pylist(), strict=True):
                for variant in _SKU.findall(str(variants or "")):
                    parent_of.setdefault(variant.strip(), str(parent))
        return pa.table(
            {"variant": pa.array(parent_of, pa.string()), "parent": pa.array(parent_of.values(), pa.string())}
        )


class WithRows(Layer):
    """The rows that have a value in some columns, none in others, and not certain ones in others again."""

    def __init__(
        self,
        file: File,
        present: Sequence[str],
        absent: Sequence[str],
        left_out: Mapping[str, Sequence[str]],
        words: pa.Array,
        setting: str,
    ) -> None:
        """Raises InputError for a column that is not there."""
        super().__init__(file, words)
        self.present = [self._column(name, f"{setting}.only") for name in present]
        self.absent = [self._column(name, f"{setting}.without") for name in absent]
        self.left_out = {self._column(name, f"{setting}.leave_out"): values for name, values in left_out.items()}

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Those rows."""
        reasons: Counter[str] = Counter()
        for batch in self.file.batches(self._some([*columns, *self.present, *self.absent, *self.left_out])):
            keep = pa.repeat(True, batch.num_rows)
            for reason, good in self._tests(batch):
                reasons[reason] += pc.sum(pc.and_(keep, pc.invert(good))).as_py() or 0
                keep = pc.and_(keep, good)
            kept = batch.filter(keep)
            yield pa.record_batch([kept[name] for name in columns], columns)
        self.notes.update({reason: num - self.notes[reason] for reason, num in reasons.items() if num})

    def _tests(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
        for name in self.present:
            yield f"rows without {name}, left out", self._has(batch[name])
        for name in self.absent:
            yield f"rows with a value in {name}, left out", pc.invert(self._has(batch[name]))
        for name, values in self.left_out.items():
            known = pa.array([headers.plain(value) for value in values])
            coded = pc.fill_null(batch[name].cast(pa.string()), "").dictionary_encode()
            plain = pa.array([headers.plain(value) for value in coded.dictionary.to_pylist()], pa.string())
            unwanted = pc.is_in(plain, value_set=known).take(coded.indices)
            yield f"rows whose {name} is {' or '.join(values)}, left out", pc.invert(unwanted)

    def where(self, row: int) -> str:
        """Rows are counted without those that are left out."""
        return f"row {row + 1} of those that are read"


class Joined(Layer):
    """Lines with the columns of the orders that they belong to; one that both have is `orders.name` of the orders."""

    def __init__(self, file: File, orders: File, on: str, to: str, setting: str) -> None:
        """on, to  the column of the lines, and of the orders, that names the order

        Raises InputError for a column that is not there.
        """
        super().__init__(file)
        self.orders = Layer(orders)
        self.on = self._column(on, f"{setting}.join.by")
        self.to = self.orders._column(to, f"{setting}.join.to")
        stem = orders.path.name.partition(".")[0]
        below = file.types()
        self.names = {
            name if name not in below else f"{stem}.{name}": name for name in orders.types() if name != self.to
        }

    def types(self) -> Schema:
        """The columns of both."""
        there = self.orders.types()
        return self.file.types() | {ours: there[name] for ours, name in self.names.items()}

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """All lines. Raises InputError where an order is there twice, or hardly any line has one."""
        theirs = [name for name in columns if name in self.names]
        below = [name for name in columns if name not in self.names]
        if not theirs:
            yield from self.file.batches(below)
            return
        wanted = [*dict.fromkeys([self.to, *(self.names[name] for name in theirs)])]
        kinds = self.orders.types()
        schema = pa.schema([(name, kinds[name]) for name in wanted])
        table = pa.Table.from_batches(self.orders.batches(wanted), schema).combine_chunks()
        keys = _key(table[self.to].combine_chunks())
        if len(keys.drop_null().unique()) < len(keys) - keys.null_count:
            raise InputError(
                f"{self.orders.path.name}: column '{self.to}' must name each row once, and "
                f"{len(keys) - len(keys.unique()):,} of {len(keys):,} rows repeat it; join by another column"
            )
        rows = missed = 0
        for batch in self.file.batches(self._some([*below, self.on])):
            at = pc.index_in(_key(batch[self.on]), value_set=keys, skip_nulls=True)
            rows, missed = rows + batch.num_rows, missed + at.null_count
            arrays = [
                table[self.names[name]].combine_chunks().take(at) if name in self.names else batch[name]
                for name in columns
            ]
            yield pa.record_batch(arrays, columns)
        if missed > 0.5 * rows:
            raise InputError(
                f"{self.path.name}: column '{self.on}': {missed:,} of {rows:,} lines have no row in "
                f"{self.orders.path.name} by its column '{self.to}'; join by another column, or export both alike"
            )
        if missed:
            self.notes[f"lines whose order is not in {self.orders.path.name}"] = missed


def _key(values: pa.Array) -> pa.Array:
    texts = pc.utf8_trim_whitespace(values.cast(pa.string()))
    return pc.replace_substring_regex(texts, r"^(\d+)\.0+$", r"\1")


class Distinct(Layer):
    """One row per value of a column, with the last value that each of the others had, or their sum; rows without it are
    left out."""

    def __init__(self, file: File, by: str, words: pa.Array, setting: str, sums: Sequence[str] = ()) -> None:
        """Raises InputError for a column that is not there."""
        super().__init__(file, words)
        self.by = self._column(by, f"{setting}.distinct")
        self.sums = {self._column(name, f"{setting}.sums") for name in sums}
        self.numbers = WrittenNumbers(file, f"{setting}.sums")

    def types(self) -> Schema:
        """Its columns; one without a value is of text."""
        there = {name: pa.string() if pa.types.is_null(kind) else kind for name, kind in self.file.types().items()}
        return there | dict.fromkeys(self.sums, pa.float64())

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """One row for each value, in order of appearance."""
        others = [name for name in dict.fromkeys(columns) if name != self.by]
        so_far: pa.Table | None = None
        for batch in self.file.batches([*others, self.by]):
            arrays = [self._value(name, batch[name]) for name in batch.schema.names]
            rows = pa.table(dict(zip(batch.schema.names, arrays, strict=True))).filter(self._has(batch[self.by]))
            rows = rows if so_far is None else pa.concat_tables([so_far, rows])
            how = [(name, "sum" if name in self.sums else "last") for name in others]
            grouped = rows.group_by(self.by, use_threads=False).aggregate(how)
            spelled = {f"{name}_{way}": name for name, way in how} | {self.by: self.by}
            so_far = grouped.rename_columns([spelled[name] for name in grouped.column_names]).select([*others, self.by])
        if so_far is not None:
            yield from so_far.select(columns).combine_chunks().to_batches()

    def _value(self, name: str, values: pa.Array) -> pa.Array:
        if name in self.sums:
            return self.numbers(values, name)
        return values.cast(pa.string()) if pa.types.is_null(values.type) else values

    def where(self, row: int) -> str:
        """A row is made of many."""
        return f"row {row + 1} of those that are made"
