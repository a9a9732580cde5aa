"""Files: where a stage's tables lie, and how they are written so that a kill leaves no half file.

Every write goes to a temporary file beside its target, is flushed to disk and renamed; parquet pages carry checksums
that are verified on reading.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nightmarket.contracts import InputError

RAW = Path("data/raw")
CHAMPION = Path("data/champion")
ARTIFACTS = Path("artifacts")
PARQUET: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "write_page_checksum": True}


def home() -> Path:
    """The main checkout, which holds what outlives a run: caches, keys, mlruns. A run's own folder may be elsewhere."""
    return Path(os.environ.get("NIGHTMARKET_HOME", Path.cwd())).resolve()


def private(*parts: str) -> Path:
    """A path under `.nightmarket/` of the main checkout (git-ignored), its folder made."""
    path = home().joinpath(".nightmarket", *parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the target's folder that replaces the target when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A draft beside the target that takes its name when the block ends well; flushed to disk, with its entries.

    Drafts of this name that a killed process left go first; those of a living one stay. Raises InputError where the
    name was taken in the meantime.
    """
    import psutil

    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}.*.tmp"):
        owner = int(left.name.split(".")[-2])
        if owner == os.getpid() or not psutil.pid_exists(owner):
            shutil.rmtree(left)
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    draft.mkdir()
    try:
        yield draft
        for path in (*draft.rglob("*"), draft):
            _flush(path)
        try:
            draft.rename(target)
        except OSError:
            if target.exists():
                taken = f"{target.parent.name}/{target.name} is there already"
                raise InputError(f"{taken}, and nothing is written over; choose another name") from None
            raise
        _flush(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_table(table: pa.Table, path: Path, *, row_group_size: int = 1 << 20) -> None:
    """Write a table as parquet with page checksums."""
    with replacing(path) as temporary:
        pq.write_table(table, temporary, row_group_size=row_group_size, **PARQUET)


@contextlib.contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends tables to a parquet file, which replaces `path` when the block ends well."""
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema, **PARQUET) as writer,
    ):
        yield writer.write_table


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a parquet file and verify its checksums; InputError names the file that is missing or damaged."""
    try:
        return pq.read_table(path, columns=columns, page_checksum_verification=True)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run the stage that writes it, or `dvc checkout`") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} cannot be read ({str(error).splitlines()[0][:120]}); restore it") from None


def write_json(content: Any, path: Path) -> None:
    """Write JSON with sorted keys; a number that is not finite is our bug and raises ValueError."""
    with replacing(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def read_json(path: Path) -> Any:
    """Read a JSON file that another stage wrote."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run the stage that writes it, or `dvc checkout`") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({str(error).splitlines()[0][:120]}); restore it") from None


def write_tensors(tensors: Mapping[str, Any], path: Path) -> None:
    """Write numpy arrays as safetensors."""
    from safetensors.numpy import save_file

    with replacing(path) as temporary:
        save_file(dict(tensors), temporary)


def read_tensors(path: Path) -> dict[str, Any]:
    """Read safetensors as numpy arrays."""
    from safetensors.numpy import load_file

    if not path.exists():
        raise InputError(f"{path} is missing; run the stage that writes it, or `dvc checkout`")
    return load_file(path)
