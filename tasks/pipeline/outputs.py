"""What a side stage wrote, looked at before DVC records it: whole, readable, with the columns of the catalogue.

What serves customers is read again before the night ends, so damage there ends it. What a side stage writes may be
read by a page or a plan alone, long after, and would be found too late to be called unavailable.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from nightmarket.contracts import InputError
from tasks.files import catalogue, storage
from tasks.files.catalogue import Artifact, Folder, Json, TableFile

END = "</html>"


def check(writes: Iterable[Artifact]) -> None:
    """InputError for the first file that is missing, damaged, or not what the catalogue says."""
    try:
        _check_all(writes)
    except InputError as error:
        raise InputError(f"it wrote a broken file: {str(error).partition(';')[0]}") from None


def _check_all(writes: Iterable[Artifact]) -> None:
    for artifact in writes:
        parts = list(_inside(artifact)) if isinstance(artifact, Folder) else [artifact]
        for part in parts:
            _check(part)
        known = {part.path for part in parts}
        for path in sorted(artifact.path.rglob("*")) if isinstance(artifact, Folder) else ():
            if path.is_file() and path not in known:
                _check_unnamed(path)


def _inside(folder: Folder) -> Iterator[Artifact]:
    """The catalogue's artifacts whose place is in the folder."""
    for artifact in vars(catalogue).values():
        if isinstance(artifact, Artifact) and not isinstance(artifact, Folder) and folder.path in artifact.path.parents:
            yield artifact


def _check(artifact: Artifact) -> None:
    if isinstance(artifact, Json):
        artifact.read()
    elif isinstance(artifact, TableFile):
        columns = artifact.read().schema
        if artifact.columns and not columns.equals(artifact.schema):
            raise InputError(f"{artifact} has the columns {columns.names}; the catalogue says {artifact.schema.names}")
    elif not artifact.path.exists():
        raise InputError(f"{artifact} was not written")
    elif artifact.path.suffix == ".html" and not artifact.path.read_text(encoding="utf-8").rstrip().endswith(END):
        raise InputError(f"{artifact} is cut short")


def _check_unnamed(path: Path) -> None:
    if path.suffix == ".json":
        storage.read_json(path)
    elif path.suffix == ".parquet":
        storage.read_table(path)
