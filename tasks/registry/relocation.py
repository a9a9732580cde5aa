"""MLflow's database after its folder moved: it keeps whole paths to its files."""

import contextlib
import re
import sqlite3
from pathlib import Path
from typing import Any

from nightmarket.contracts import InputError


def relocate(database: Path, old: Path, new: Path) -> int:
    """Let every path below `old`/mlruns lead below `new`/mlruns; returns how many values changed.

    Raises InputError for a file that is no database.
    """
    there = {f"{old.as_uri()}/mlruns/": f"{new.as_uri()}/mlruns/", f"{old}/mlruns/": f"{new}/mlruns/"}
    places = re.compile("|".join(rf"(?<![\w./-]){re.escape(place)}" for place in there))

    def moved(value: Any) -> Any:
        return places.sub(lambda match: there[match[0]], value) if isinstance(value, str) else value

    number = 0
    try:
        with contextlib.closing(sqlite3.connect(database)) as base, base:
            base.create_function("moved", 1, moved, deterministic=True)
            tables = [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for _, column, kind, *_ in base.execute(f'PRAGMA table_info("{table}")').fetchall():
                    if "CHAR" in kind.upper() or "TEXT" in kind.upper():
                        changed = f'UPDATE "{table}" SET "{column}" = moved("{column}") '
                        number += base.execute(f'{changed} WHERE "{column}" <> moved("{column}")').rowcount
    except sqlite3.DatabaseError as error:
        raise InputError(f"{database.name} cannot be read ({error})") from None
    return number
