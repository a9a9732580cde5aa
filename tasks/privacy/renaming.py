"""Exports after a key rotation: their customers' pseudonyms carried over to the present key."""

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tasks.files import storage
from tasks.privacy.pseudonyms import Pseudonyms, key_id

OWN, RECEIPT = "customer_id", "receipt.json"


def exports(home: Path, keys: Sequence[bytes]) -> int:
    """Rewrite every export that was written under an older key; how many. A kill leaves each folder old or new.

    The receipt says under which key the names are (`key_id`) and gives the files' checksums anew; what was approved
    (`plan_sha256`) stays. A receipt without a key is of the first.

    keys  oldest first, the present one last
    """
    number = 0
    for left in [path for path in (home / "exports").glob(".*") if path.suffix in (".new", ".old")]:
        storage.unswap(left.with_name(left.name[1:].rsplit(".", 2)[0]))
    ids = [key_id(keys[: upto + 1]) for upto in range(len(keys))]
    for receipt in sorted((home / "exports").glob(f"[!.]*/{RECEIPT}")):
        about = storage.read_json(receipt)
        since = ids.index(about.get("key_id", ids[0])) + 1
        if since == len(keys):
            continue
        later = Pseudonyms(keys[since:])
        fresh = receipt.parent.with_name(f".{receipt.parent.name}.{os.getpid()}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(receipt.parent, fresh)
        for path in sorted(fresh.rglob("*")):
            if path.suffix in (".csv", ".parquet") and ".identified" not in path.name:
                _rewrite(path, later)
        for name, facts in about.get("files", {}).items():
            facts["sha256"] = hashlib.sha256((fresh / name).read_bytes()).hexdigest()
        storage.write_json({**about, "key_id": ids[-1]}, fresh / RECEIPT)
        storage.swap(fresh, receipt.parent)
        storage.hook("rotate.export")
        number += 1
    return number


def _rewrite(path: Path, later: Pseudonyms) -> None:
    def rename(name: str) -> str:
        return later.under_each_key(name)[-1]

    if path.suffix == ".parquet":
        table = storage.read_table(path)
        if OWN in table.column_names:
            coded = table[OWN].cast(pa.string()).combine_chunks().dictionary_encode()
            names = pa.array([rename(name) for name in coded.dictionary.to_pylist()], pa.string())
            place = table.column_names.index(OWN)
            storage.write_table(table.set_column(place, OWN, pc.take(names, coded.indices)), path)
        return
    content = path.read_bytes()
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    if rows and OWN in rows[0]:
        place = rows[0].index(OWN)
        for row in rows[1:]:
            row[place] = rename(row[place])
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        with storage.replacing(path) as temporary:
            mark = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
            temporary.write_bytes(mark + text.getvalue().encode())
