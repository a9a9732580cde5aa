"""Tables that a shop's settings name file by file: `snapshot.tables`."""

from pathlib import Path
from typing import Literal, Self

import pyarrow as pa
from pydantic import Field, model_validator

from nightmarket.contracts import InputError
from tasks.files import manifest
from tasks.intake import day_times, layers, nested, unfolding
from tasks.intake.table_files import File, Parts, TableFiles, open_file
from tasks.intake.text_files import Layout
from tasks.pipeline.settings import StageSettings


class TableJoin(StageSettings):
    """A second file that each line finds its row in: the orders of order lines."""

    file: str = Field(min_length=1, description="name or pattern of the file with the orders")
    by: str = Field(min_length=1, description="the lines' column that names the order")
    to: str = Field("", description="that column in the orders; empty: it has the same name")
    sheet: str = Field("", description="the sheet, of a workbook")


class FileSource(StageSettings):
    """A file with rows of a table, and how they lie in it; columns that are made here are there for `mapping`."""

    file: str = Field(min_length=1, description="name in the folder, or a pattern as orders_*.csv")
    sheet: str = Field("", description="the sheet, of a workbook with several")
    names: tuple[str, ...] = Field((), description="of the columns, for a file whose first line is a row")
    apart: Literal["", "blanks", "::"] = Field(
        "", description="what stands between fields where it is no comma, semicolon, tab or |"
    )
    above: int = Field(0, ge=0, le=1_000, description="lines above the names of columns, as a report's title")
    items: str = Field("", description="list of records of which each entry is a row, as items, with columns items.x")
    keys: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="{list of keys and values: keys that become columns}, as event_params"
    )
    join: TableJoin | None = Field(None, description="a file whose columns are added, as orders to their lines")
    first_line: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="{column of the order: columns that only its first line fills}"
    )
    split: str = Field(
        "",
        description="column that lists products in a field, as 12;15 or JSON: a row each, as x.id, x.quantity",
    )
    wide: tuple[str, ...] = Field(
        (),
        description="columns that are a product each and hold how many: a row for each, with columns product, pieces",
    )
    moments: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="{new column: [column with the date, column with the time of day]}"
    )
    variants: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="{new column with a row's parent: [column in which parents list variants as sku=…, column of ids]}",
    )
    only: tuple[str, ...] = Field((), description="columns that a row must have a value in, or it is left out")
    without: tuple[str, ...] = Field((), description="columns that a row must have no value in, or it is left out")
    leave_out: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="{column: values whose rows are left out}"
    )
    first_of: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="{new column: columns of which the first with a value is taken}"
    )
    computed: dict[str, str] = Field(
        default_factory=dict, description="{new column: how it is computed}, as '[Quantity] * [Price]'"
    )
    path_of: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="{new column: columns that hold a category's path, or its levels}"
    )
    constants: dict[str, str] = Field(default_factory=dict, description="{new column: the value that all rows have}")
    rename: dict[str, str] = Field(
        default_factory=dict, description="{column: what the table's first file calls it}, of a file under `also`"
    )
    sums: tuple[str, ...] = Field(
        (), description="of `distinct`: columns that are added up over rows of one, as stock over warehouses"
    )
    distinct: str = Field("", description="column of which each value becomes one row: products made of order lines")

    @model_validator(mode="after")
    def _in_the_folder(self) -> Self:
        for name in (self.file, self.join.file if self.join else ""):
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"file: '{name}' must lie in the folder; write its name as it stands there")
        if len(set(self.names)) < len(self.names):
            raise ValueError("names: two columns have the same name")
        return self


class TableSource(FileSource):
    """The files that hold a table."""

    also: tuple[FileSource, ...] = Field(
        (),
        description="further files whose rows are the table's too, as looks beside orders; each laid out as the first",
    )


class SourceFiles(TableFiles):
    """The files of one table as its settings name them."""

    def __init__(
        self, folder: Path, table: str, source: FileSource, words: pa.Array, section: str, head: int = 0
    ) -> None:
        """Raises InputError where no file has that name, or a link leaves the folder.

        words  texts that mean a missing value
        """
        self.words = words
        self.folder = folder
        self.table = table
        self.source = source
        self.setting = f"{section}tables.{table}"
        self.head = head
        self.orders = _matching(folder, source.join.file, f"{self.setting}.join.file") if source.join else []
        self.paths = _matching(folder, source.file, f"{self.setting}.file")
        for path in self.orders:
            self._check_inside(path)
        self._check()
        also = source.also if isinstance(source, TableSource) else ()
        self.also = [SourceFiles(folder, table, each, words, section, head) for each in also]

    def identity(self) -> dict[str, str]:
        """sha256 per file."""
        paths = [*self.paths, *self.orders]
        own = {path.relative_to(self.folder).as_posix(): manifest.digest(path) for path in paths}
        for files in self.also:
            own |= files.identity()
        return own

    def file(self, encoding: str = "") -> File:
        """All of them as one, as the settings lay it out. Raises InputError for a column that is not there."""
        file = self._own(encoding)
        if self.also:
            file = layers.Stacked([file, *(files._own(encoding) for files in self.also)])
        distinct = self.source.distinct
        return layers.Distinct(file, distinct, self.words, self.setting, self.source.sums) if distinct else file

    def _own(self, encoding: str) -> File:
        """Those under `file`, without what stands under `also`."""
        source = self.source
        file = super().file(encoding)
        if source.items and not any(name.startswith(f"{source.items}.") for name in file.types()):
            raise InputError(f"{file.path.name} has no list of records '{source.items}' ({self.setting}.items)")
        if source.join:
            join = source.join
            parts = [open_file(path, encoding, Layout(), join.sheet, self.table) for path in self.orders]
            orders: File = parts[0] if len(parts) == 1 else Parts(parts, [{} for _ in parts])
            orders = nested.Flattened(orders, "", {}) if nested.is_nested(orders.types()) else orders
            file = layers.Joined(file, orders, join.by, join.to or join.by, self.setting)
        return self._laid_out(file)

    def _laid_out(self, file: File) -> File:
        source, setting, words = self.source, self.setting, self.words
        if source.first_line:
            file = layers.FirstLines(file, source.first_line, setting)
        if source.split:
            file = unfolding.Listed(file, source.split, words, setting)
        if source.wide:
            file = unfolding.Wide(file, source.wide, setting)
        if source.moments:
            file = day_times.moments(file, source.moments, words, setting)
        if source.variants:
            file = layers.Variants(file, source.variants, setting)
        if source.only or source.without or source.leave_out:
            file = layers.WithRows(file, source.only, source.without, source.leave_out, words, setting)
        if source.constants:
            file = layers.constants(file, source.constants)
        if source.computed:
            file = layers.computed(file, source.computed, setting)
        if source.first_of:
            file = layers.first_of(file, source.first_of, words, setting)
        if source.path_of:
            file = layers.paths(file, source.path_of, words, setting)
        return layers.renamed(file, source.rename, setting) if source.rename else file

    def _opened(self, path: Path, encoding: str) -> File:
        """One file; what is nested is made flat in each, for one day's empty list has no columns."""
        layout = Layout(self.share, self.source.apart, self.source.names, self.source.above)
        file = open_file(path, encoding, layout, self.source.sheet, self.table)
        return nested.Flattened(file, self.source.items, self.source.keys) if nested.is_nested(file.types()) else file


def _matching(folder: Path, pattern: str, setting: str) -> list[Path]:
    exact = folder / pattern
    try:
        paths = [exact] if exact.is_file() else sorted(path for path in folder.glob(pattern) if path.is_file())
    except (OSError, ValueError, NotImplementedError, IndexError):
        paths = []
    if not paths:
        there = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_file())[:10]) or "no file"
        raise InputError(f"{setting}: {folder} has no file '{pattern}' (it has {there}); write its name as it stands")
    return paths
