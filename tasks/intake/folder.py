"""A retailer's own tables: a folder with one CSV or parquet file per table, columns renamed as the mapping says."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from nightmarket.contracts import InputError
from nightmarket.contracts.tables import BY_NAME, TABLES
from nightmarket.intake import missing
from tasks.intake import Feed
from tasks.intake.profiles import completed
from tasks.intake.reading import Reading
from tasks.intake.sources import SourceFiles
from tasks.intake.survey import currencies
from tasks.intake.table_files import TableFiles
from tasks.intake.table_reader import TableReader

NEEDED = tuple(table.name for table in TABLES if table.needed)


class FolderConnector:
    """One folder of tables, as `snapshot.folder` names it.

    needed   tables that must be there
    section  what stands before a setting's name in messages
    head     bytes that are read of each file; 0: all
    """

    def __init__(
        self,
        folder: Path,
        reading: Reading,
        time_zone: str,
        *,
        currency: str | None = None,
        needed: Sequence[str] = NEEDED,
        section: str = "snapshot.",
        head: int = 0,
    ) -> None:
        """Raises InputError for a folder, table or mapping that is not there."""
        if not folder.is_dir():
            raise InputError(f"{section}folder: there is no folder {folder}; put your tables there or name another")
        self.folder = folder
        self.reading = reading = completed(reading, folder, section)
        self.currency = currency
        self.time_zone = time_zone
        self.section = section
        self.head = head
        files = {table.name: self._files(table.name) for table in TABLES}
        self.paths = {name: part for name, part in files.items() if part.paths}
        for table in TABLES:
            if table.name in needed and table.name not in self.paths:
                there = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_file())[:10]) or "no file"
                raise InputError(
                    f"{folder} has no {table.name}.csv or {table.name}.parquet (found: {there}); "
                    f"name the files after the tables, or say which file it is: {section}tables.{table.name}"
                )
        for name in reading.mapping:
            if name not in self.paths:
                raise InputError(f"{section}mapping.{name}: {folder} has no {name}.csv or {name}.parquet")

    def _files(self, table: str) -> TableFiles:
        source = self.reading.tables.get(table)
        if source is None:
            return TableFiles(self.folder, table, self.head)
        return SourceFiles(self.folder, table, source, missing.words(self.reading.missing), self.section, self.head)

    def identity(self) -> dict[str, str]:
        """sha256 of the files that are read."""
        return {name: digest for files in self.paths.values() for name, digest in files.identity().items()}

    def known_until(self) -> date:
        """Tomorrow: today's rows count, later ones lie in the future."""
        return self.full_until() + timedelta(days=1)

    def full_until(self) -> date:
        """Today is not over."""
        return datetime.now(UTC).astimezone(ZoneInfo(self.time_zone)).date()

    def feeds(self) -> Iterator[Feed]:
        """The tables that are there, in contract order; all headers are checked before the first row is read."""
        files = {name: table.file(self.reading.encodings.get(name, "")) for name, table in self.paths.items()}
        readers = [TableReader(BY_NAME[name], file, self.reading, self.time_zone, self.section)
                   for name, file in files.items()]  # fmt: skip
        self.agree(readers)
        for reader in readers:
            yield reader.feed()

    def about(self, business_date: date | None) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def agree(self, readers: Sequence[TableReader]) -> None:
        """What tables must know of each other before a row is read. Raises InputError where money does not add up."""
        self._agree_on_currency(readers)
        services = next((reader.services for reader in readers if reader.table.name == "products"), None)
        for reader in readers:
            reader.services = services or reader.services

    def _agree_on_currency(self, readers: Sequence[TableReader]) -> None:
        """Raises InputError for money in several currencies without a rate for each."""
        seen = {reader: reader.survey.currencies for reader in readers if reader.survey.currencies}
        counts = sum(seen.values(), Counter())
        if len(counts) < 2 and not set(counts) & set(self.reading.rates):
            return
        lacking = sorted(set(counts) - {self.currency} - set(self.reading.rates))
        if self.currency is None or lacking:
            reader = max(seen, key=lambda reader: len(seen[reader]))
            code = lacking[0] if lacking and self.currency else max(counts, key=lambda code: counts[code])
            advice = (
                f"set {self.section}rates to what 1 {code} is worth in {self.currency}"
                if self.currency
                else f"set snapshot.currency to {code} and {self.section}rates to what 1 of each other is worth in it"
            )
            raise InputError(
                f"{reader.file.path.name}: column '{reader.theirs['currency']}' names {len(counts)} currencies "
                f"({currencies(counts)} rows), whose amounts cannot be added up; {advice}"
            )
        for reader in readers:
            reader.base = self.currency or ""
