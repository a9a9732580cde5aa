"""Where a customer stands in this checkout's files and databases, and how they leave those that are no artifact."""

import csv
import io
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.engine.run import worktree
from flows.engine.server import server
from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys

STORES = ("data", "artifacts", "exports", "mlruns", ".nightmarket", ".prefect", ".runs", ".dvc")
SHOWN = 8
"""How many characters of a pseudonym the morning page and Prefect's tables show."""
TABLES = ("artifact", "artifact_collection", "log", "events", "event_resources")
"""Prefect's tables of what runs said; a row that names a customer can go without harm."""
BLOCK = 1 << 20
OWN = "customer_id"


def search(home: Path, pseudonyms: Collection[str]) -> tuple[list[str], int]:
    """Every file that names one of them, by its path below `home`, and how many files were read.

    Parquet is decoded; of everything else the bytes are read, of pages and databases for the shown characters too. An
    export's own ids are hashed and compared. Commits under git are searched as well.
    """
    naming: list[str] = []
    number = 0
    cache = worktree.cache(home)
    elsewhere = [place for place in (cache, server.database(home).parent) if home not in place.parents]
    places = [home / name for name in STORES] + elsewhere
    for place in places:
        for path in sorted(file for file in place.rglob("*") if file.is_file() and not file.is_symlink()):
            number += 1
            if names(path, pseudonyms):
                naming.append(str(path.relative_to(home) if home in path.parents else path))
    for pseudonym in pseudonyms:
        said = worktree.git(home, "log", "--all", "--format=%h", "-S", pseudonym)
        naming += [f"git commit {commit}" for commit in said.split()]
    return naming, number


def names(path: Path, pseudonyms: Collection[str]) -> bool:
    """Whether a file names one of them."""
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"PAR1":
        return any(_in_column(column, pseudonyms) for column in _texts(path))
    short = path.suffix in (".html", ".db") or path.name.endswith(("-wal", "-journal"))
    needles = [name[:SHOWN].encode() if short else name.encode() for name in pseudonyms]
    if any(needle in part for part in _parts(path) for needle in needles):
        return True
    return path.suffix == ".csv" and any(_rows_of(path, pseudonyms)[1])


def _parts(path: Path) -> Iterator[bytes]:
    """The bytes in blocks that overlap by more than a pseudonym is long."""
    rest = b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield rest + block
            rest = block[-64:]


def _texts(path: Path) -> Iterator[pa.ChunkedArray]:
    """The text columns of a parquet file, one row group at a time."""
    try:
        with pq.ParquetFile(path) as file:
            texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group, columns=texts).columns
    except (OSError, pa.ArrowInvalid):
        raise InputError(
            f"{path} cannot be read as parquet, so nobody can say whom it names; remove or fix it"
        ) from None


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _in_column(column: pa.ChunkedArray, pseudonyms: Collection[str]) -> bool:
    values = column.unique()
    plain = values.dictionary if pa.types.is_dictionary(values.type) else values
    return any(bool(pc.any(pc.match_substring(plain, name)).as_py()) for name in pseudonyms)


def without_rows(path: Path, pseudonyms: Collection[str]) -> int:
    """Write an export anew without the rows of these customers; how many went. Other files are left alone."""
    if path.suffix == ".csv":
        kept, gone = _rows_of(path, pseudonyms)
        if gone:
            mark = "\ufeff" if path.read_bytes().startswith(b"\xef\xbb\xbf") else ""
            text = io.StringIO(newline="")
            csv.writer(text, lineterminator="\n").writerows(kept)
            mode = path.stat().st_mode
            with storage.replacing(path) as temporary:
                temporary.write_text(mark + text.getvalue(), encoding="utf-8", newline="")
                temporary.chmod(mode)
        return len(gone)
    table = storage.read_table(path)
    if OWN not in table.column_names:
        return 0
    kept = table.filter(pc.invert(pc.is_in(table[OWN].cast(pa.string()), pa.array(list(pseudonyms), pa.string()))))
    if kept.num_rows < table.num_rows:
        storage.write_table(kept, path)
    return table.num_rows - kept.num_rows


def _rows_of(path: Path, pseudonyms: Collection[str]) -> tuple[list[list[str]], list[list[str]]]:
    """(header and rows of others, rows of these customers), by the column customer_id, hashed or the shop's own."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = list(csv.reader(file))
    if not rows or OWN not in rows[0]:
        return rows, []
    place = rows[0].index(OWN)
    ids = pa.array([row[place] if len(row) > place else "" for row in rows[1:]], pa.string())
    hashed = Pseudonyms(customer_keys())(ids).cast(pa.string()).to_pylist()
    theirs = [name in pseudonyms or own in pseudonyms for name, own in zip(hashed, ids.to_pylist(), strict=True)]
    kept = [row for row, their in zip(rows[1:], theirs, strict=True) if not their]
    return [rows[0], *kept], [row for row, their in zip(rows[1:], theirs, strict=True) if their]


def from_database(path: Path, pseudonyms: Collection[str]) -> int:
    """Delete what Prefect's runs said of these customers, overwritten on disk; how many rows."""
    if not path.exists():
        return 0
    number = 0
    with closing(sqlite3.connect(path, timeout=60)) as base:
        base.execute("PRAGMA secure_delete = ON")
        there = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in [name for name in TABLES if name in there]:
            columns = [row[1] for row in base.execute(f'PRAGMA table_info("{table}")')]
            for pseudonym in pseudonyms:
                where = " OR ".join(f'instr(CAST("{column}" AS TEXT), ?) > 0' for column in columns)
                given = [pseudonym[:SHOWN]] * len(columns)
                number += base.execute(f'DELETE FROM "{table}" WHERE {where}', given).rowcount
        base.commit()
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return number


def clear_database(path: Path) -> int:
    """Delete all that Prefect's runs said, overwritten on disk; how many rows."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=60)) as base:
        base.execute("PRAGMA secure_delete = ON")
        there = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        number = sum(base.execute(f'DELETE FROM "{table}"').rowcount for table in TABLES if table in there)
        base.commit()
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return number


def without_pages(home: Path, goes: Callable[[Path], bool]) -> int:
    """Delete the morning pages on record that `goes` says so of; how many."""
    pages = [path for path in (home / "mlruns").rglob("*.html") if goes(path)]
    for path in pages:
        path.unlink()
    return len(pages)
