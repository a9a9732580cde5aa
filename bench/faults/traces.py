"""Look for planted values in whatever lies in a folder, in git and in Prefect's answers, by code of its own.

A value counts as found as it is, quoted for an address or HTML, escaped as JSON or Python do, in UTF-16, hex or base64.
Parquet and SQLite are decoded, compressed files opened, git's objects read; all files' bytes and names are read too.
"""

import base64
import bz2
import gzip
import html
import json
import shutil
import sqlite3
import subprocess
import tempfile
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pyarrow.parquet as pq

READ = ("flow_runs", "task_runs", "logs", "artifacts", "deployments", "variables", "work_pools", "block_documents")
"""What Prefect's API is asked for."""
PAGE = 200
MOST, REACH = 1000, 400
"""Places of a mark that are looked into, and the bytes before and after."""


class Wanted:
    """Planted values, each with the mark that it holds; a mark without a value that is known counts too.

    values  name → value
    marks   parts of values, each of eight bytes or more: what is looked for first
    """

    def __init__(self, values: Mapping[str, str], marks: Collection[str]) -> None:
        self.values = {name: forms(value) for name, value in values.items()}
        self.marks = [form for mark in marks for form in forms(mark)]
        lost = [name for name, value in values.items() if not any(mark in value for mark in marks)]
        assert not lost, f"no mark in {lost[:3]}"

    def inside(self, content: bytes) -> set[str]:
        """Names of the values that the bytes hold; `?` for a mark of none of them."""
        near = b"\n".join(_around(content, mark) for mark in self.marks if mark in content)
        if not near:
            return set()
        names = {name for name, each in self.values.items() if any(form in near for form in each)}
        return names or {"?"}


def _around(content: bytes, mark: bytes) -> bytes:
    """What stands around the first places of a mark."""
    near, at = [], content.find(mark)
    while at >= 0 and len(near) < MOST:
        near.append(content[max(at - REACH, 0) : at + REACH])
        at = content.find(mark, at + REACH)
    return b"\n".join(near)


def forms(text: str) -> set[bytes]:
    """The ways in which a text may be written."""
    content = text.encode()
    written = {text, quote(text, safe=""), quote(text), quote_plus(text), html.escape(text), json.dumps(text)[1:-1]}
    ways = {way.encode() for way in written} | {repr(content)[2:-1].encode(), content.hex().encode()}
    ways.add(text.encode("utf-16-le"))
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + content)
        core = coded[-(-offset * 8 // 6) : (offset + len(content)) * 8 // 6]
        ways |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return ways


def folder(place: Path, wanted: Wanted, spared: Callable[[Path], bool]) -> tuple[dict[str, set[str]], int]:
    """{file: names found in it} of every file below the place, and how many files were read.

    spared  of a file: whether it is where such values belong
    """
    by_file: dict[str, set[str]] = {}
    number = 0
    for path in sorted(entry for entry in place.rglob("*") if entry.is_file() and not entry.is_symlink()):
        if spared(path):
            continue
        number += 1
        here = wanted.inside(str(path.relative_to(place)).encode())
        for content in contents(path):
            here |= wanted.inside(content)
        if here:
            by_file[str(path.relative_to(place))] = here
    return by_file, number


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what they mean where they are packed."""
    raw = path.read_bytes()
    yield raw
    if raw[:4] == b"PAR1":
        yield from _parquet(path)
    elif raw[:15] == b"SQLite format 3":
        yield from _database(path)
    elif raw[:2] == b"\x1f\x8b":
        yield gzip.decompress(raw)
    elif raw[:3] == b"BZh":
        yield bz2.decompress(raw)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            yield from (packed.read(name) for name in packed.namelist())


def _parquet(path: Path) -> Iterator[bytes]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid):
        return
    yield repr(table.schema.metadata).encode() + "\n".join(table.column_names).encode()
    for column in table.columns:
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        if pa.types.is_nested(plain.type) or pa.types.is_binary(plain.type):
            yield repr(plain.to_pylist()).encode()
        else:
            yield "\n".join(plain.unique().drop_null().cast(pa.string()).to_pylist()).encode()


def _database(path: Path) -> Iterator[bytes]:
    """Every row; of a copy, with the log beside it, so that nothing here is changed."""
    with tempfile.TemporaryDirectory() as made:
        for end in ("", "-wal"):
            if (source := path.with_name(path.name + end)).exists():
                shutil.copy(source, Path(made) / f"base{end}")
        with closing(sqlite3.connect(Path(made) / "base")) as base:
            base.text_factory = bytes
            names = [name.decode() for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                try:
                    rows = base.execute(f'SELECT * FROM "{name}"').fetchall()
                except sqlite3.DatabaseError:
                    continue
                yield b"\n".join(
                    value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
                )


def git(place: Path, wanted: Wanted) -> set[str]:
    """Names found in any object of the repository, reachable or not, and in its refs and their logs."""
    command = ["git", "-C", str(place), "cat-file", "--batch-all-objects", "--batch"]
    objects = subprocess.run(command, capture_output=True, check=True).stdout
    refs = subprocess.run(["git", "-C", str(place), "for-each-ref"], capture_output=True, check=True).stdout
    return wanted.inside(objects) | wanted.inside(refs)


def prefect(api: str, login: str, wanted: Wanted) -> tuple[dict[str, set[str]], int]:
    """{route: names found} of what a Prefect server answers, and how many rows it gave."""
    asked = _Api(api, login)
    by_route: dict[str, set[str]] = {}
    number = 0
    for route in READ:
        offset = 0
        while rows := asked(f"/{route}/filter", {"limit": PAGE, "offset": offset}):
            offset += len(rows)
            if here := wanted.inside(json.dumps(rows, ensure_ascii=False).encode()):
                by_route.setdefault(route, set()).update(here)
            if len(rows) < PAGE:
                break
        number += offset
    answer = asked("/events/filter", {"limit": 50})
    while answer and answer["events"]:
        number += len(answer["events"])
        if here := wanted.inside(json.dumps(answer["events"], ensure_ascii=False).encode()):
            by_route.setdefault("events", set()).update(here)
        answer = asked(answer["next_page"].removeprefix(api)) if answer.get("next_page") else None
    return by_route, number


class _Api:
    """A Prefect server's answers, for whoever has the password; past any proxy."""

    def __init__(self, api: str, login: str) -> None:
        self._api, client = api, str(uuid.uuid4())
        self._head = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
        token = self(f"/csrf-token?client={client}")["token"]
        self._head |= {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client, "Content-Type": "application/json"}

    def __call__(self, route: str, body: Mapping[str, int] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(self._api + route, data, self._head), timeout=30) as reply:
            return json.load(reply)
