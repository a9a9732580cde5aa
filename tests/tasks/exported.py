"""A folder with an export, what `inspect` proposes for it, and what arrives with that."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from tasks import snapshot
from tasks.inspection.__main__ import main


def put(folder, **files):
    """Write text files; `_` in a name stands for a dot."""
    for name, text in files.items():
        stem, _, end = name.rpartition("_")
        (folder / f"{stem}.{end}").write_text(text, encoding="utf-8")


def proposed(folder, capsys, *options):
    """The section that is proposed."""
    code = main([str(folder), "--yaml", *options])
    text = capsys.readouterr().out
    assert code == 0, text
    return yaml.safe_load(text)["snapshot"]


def said(folder, capsys, *options):
    """What a person reads."""
    main([str(folder), *options])
    out, err = capsys.readouterr()
    return out + err


def arrives(section):
    """{table: rows} after the snapshot with this section, and what it says of the events."""
    snapshot.run(snapshot.Settings.model_validate(section))
    tables = {path.stem: pq.read_table(path).to_pylist() for path in Path("data/raw").glob("*.parquet")}
    about = json.loads(Path("data/raw/snapshot.json").read_text())
    return tables, about.get("notes", {}).get("events", {})


def column(rows, *names):
    """Values of some columns, row by row."""
    return [row[names[0]] if len(names) == 1 else tuple(row[name] for name in names) for row in rows]
