"""Files: where a stage's tables lie, and how they are written so that a kill leaves no half file.

Every write goes to a temporary file beside its target, is flushed to disk and renamed; parquet pages carry checksums
that are verified on reading. `hook` marks the moments at which bench.reliability ends a process.
"""

import contextlib
import errno
import glob
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nightmarket.contracts import InputError, NoRoomError, Unavailable, UnavailableError

RAW = Path("data/raw")
CHAMPION = Path("data/champion")
ARTIFACTS = Path("artifacts")
PARQUET: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "write_page_checksum": True}
CHUNK = 1 << 20
"""Rows that are held at a time of a table that is read as a stream."""

UNAVAILABLE = "unavailable"
"""The key of a marker: the JSON document in place of a file of a side stage that failed, and in place of the files of
its folder, there as unavailable.json."""
MARKER_BYTES = 4096

FAULT = "NIGHTMARKET_FAULT"
"""NAME:N:KIND, for the measurements of faults alone: what happens at the N-th passing of the hook NAME; several with
commas. Unset: nothing."""
HANG_S = 3600.0
_passed: Counter[str] = Counter()


def hook(name: str, path: Path | None = None) -> None:
    """A named moment for fault injection; nothing happens here unless NIGHTMARKET_FAULT names it.

    Kinds: kill (SIGKILL to this process), half (cut the file at `path` to half its length, then kill), full (the disk
    is full), raise (an error that nobody foresaw), exit (with code 3), hang (for an hour), broken (a number that is not
    finite in a JSON file below `path`, or a table of it cut in half).
    """
    if FAULT in os.environ:
        _passed[name] += 1
        for fault in os.environ[FAULT].split(","):
            wanted, number, kind = (fault + ":1:kill").split(":")[:3]
            if (name, _passed[name]) == (wanted, int(number or 1)):
                _fault(name, kind, path)


def _fault(name: str, kind: str, path: Path | None) -> None:
    if kind == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path) if path else None)
    if kind == "raise":
        raise RuntimeError(f"a fault at {name}")
    if kind == "exit":
        raise SystemExit(3)
    if kind == "hang":
        time.sleep(HANG_S)
    if kind == "broken" and path is not None:
        _break(path)
        return
    if kind == "half" and path is not None and path.is_file():
        os.truncate(path, path.stat().st_size // 2)
    os.write(2, f"killed at {name}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _break(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    documents = [path for path in files if path.suffix == ".json"]
    if documents:
        text = documents[-1].read_text(encoding="utf-8").replace("{", '{\n "share": NaN,', 1)
        documents[-1].write_text(text, encoding="utf-8")
    else:
        os.truncate(files[0], files[0].stat().st_size // 2)


def home() -> Path:
    """The main checkout, which holds what outlives a run: caches, keys, mlruns. A run's own folder may be elsewhere."""
    return Path(os.environ.get("NIGHTMARKET_HOME", Path.cwd())).resolve()


def private(*parts: str) -> Path:
    """A path under `.nightmarket/` of the main checkout (git-ignored), its folder made."""
    path = home().joinpath(".nightmarket", *parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk, or our share of it, is full; libraries say so in words of their own."""
    words = ("No space left on device", "File too large", "database or disk is full")
    known = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in known or any(text in str(error) for text in words)


def no_room(path: Path, needed: int) -> NoRoomError:
    """The error for a full disk: the file, the bytes that it needs (0: unknown), the bytes that are free."""
    place = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    wanted = f"{needed:,}" if needed > free else f"more than {max(needed, free):,}"
    return NoRoomError(
        f"{path}: the disk is full: {wanted} bytes are needed and {free:,} are free; make room and run it again; "
        "what was there before is untouched"
    )


@contextlib.contextmanager
def replacing(path: Path, needs: int = 0) -> Iterator[Path]:
    """A temporary path in the target's folder that replaces the target when the block ends well.

    needs  bytes that will be written, where the caller knows

    Raises InputError with the bytes needed where the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    _clear_drafts(path)
    hook("file.begin", path)
    try:
        yield temporary
        hook("file.written", temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        hook("file.flushed", temporary)
        temporary.replace(path)
        hook("file.renamed")
        flush(path.parent)
    except Exception as error:
        if not is_full(error):
            raise
        written = temporary.stat().st_size if temporary.exists() else 0
        raise no_room(path, max(needs, written)) from None
    finally:
        temporary.unlink(missing_ok=True)
    hook("file.done")


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A draft beside the target that takes its name when the block ends well; flushed to disk, with its entries.

    Drafts of this name that a killed process left go first; those of a living one stay. Raises InputError where the
    name was taken in the meantime.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_drafts(target)
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    draft.mkdir()
    hook("folder.begin")
    try:
        yield draft
        hook("folder.filled")
        flush_all(draft)
        hook("folder.flushed")
        try:
            draft.rename(target)
            hook("folder.renamed")
        except OSError:
            if target.exists():
                taken = f"{target.parent.name}/{target.name} is there already"
                raise InputError(f"{taken}, and nothing is written over; choose another name") from None
            raise
        flush(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    hook("folder.done")


def _clear_drafts(target: Path) -> None:
    """Remove the drafts of this name that killed processes left."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        owner = left.name.split(".")[-2]
        if owner.isdigit() and (int(owner) == os.getpid() or ended(int(owner))):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def ended(pid: int) -> bool:
    """Whether no process has this id."""
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
    return False


def swap(fresh: Path, target: Path) -> None:
    """Put a folder in another's place in one step, so that a reader finds either of them, and remove the old.

    The fresh folder is on disk before it moves. Where the system cannot exchange two names, the old one stands aside
    as `.NAME.PID.old` for a moment; `unswap` brings it back after a kill.
    """
    flush_all(fresh)
    hook("swap.flushed")
    old = fresh
    if not target.exists():
        fresh.rename(target)
    elif not _exchange(fresh, target):
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        target.rename(old)
        hook("swap.aside")
        fresh.rename(target)
    hook("swap.swapped")
    flush(target.parent)
    shutil.rmtree(old, ignore_errors=True)
    hook("swap.done")


def unswap(target: Path) -> None:
    """Clear away what a killed `swap` left, and put an old folder back that has no successor.

    Only its owner may call this, under its lock.
    """
    for left in sorted(target.parent.glob(f".{target.name}.*")):
        if left.name.endswith(".old") and not target.exists():
            left.rename(target)
        elif left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step (Linux: renameat2); False where the system or its file system cannot."""
    import ctypes

    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(here, os.fsencode(first), here, os.fsencode(second), both) == 0


def flush_all(folder: Path) -> None:
    """Bring a folder to disk, with all that is in it and its entries."""
    for path in (*folder.rglob("*"), folder):
        flush(path)


def flush(path: Path) -> None:
    """Bring a file, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _reading(path: Path, *damaged: type[Exception], step: str = "", problem: str = "cannot be read") -> Iterator[None]:
    """InputError for a file that is missing, or that raises what a damaged one raises; says what to do.

    step  the one that writes it; "": a stage does
    """
    try:
        yield
    except UnavailableError:
        raise
    except FileNotFoundError:
        require_available(path)
        again = f"run the {step} again" if step else "run the stage that writes it"
        raise InputError(f"{path} is missing; {again}, or `dvc checkout`") from None
    except damaged as error:
        require_available(path)
        remedy = f"run the {step} again" if step else "restore it"
        raise InputError(f"{path} {problem} ({str(error).splitlines()[0][:120]}); {remedy}") from None


def write_table(table: pa.Table, path: Path, *, row_group_size: int = CHUNK) -> None:
    """Write a table as parquet with page checksums."""
    with replacing(path, table.nbytes) as temporary:
        pq.write_table(table, temporary, row_group_size=row_group_size, **PARQUET)


@contextlib.contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends tables to a parquet file, which replaces `path` when the block ends well."""
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, **PARQUET) as writer:

        def write(table: pa.Table) -> None:
            writer.write_table(table)
            hook("table.part", temporary)

        yield write


def stream_table(path: Path) -> Iterator[pa.RecordBatch]:
    """A parquet file of any length in pieces, checksums verified; text comes dictionary-encoded.

    Raises InputError for a file that is missing or damaged.
    """
    with _reading(path, pa.ArrowInvalid, OSError, step="snapshot"):
        texts = [field.name for field in pq.read_schema(path) if pa.types.is_string(field.type)]
        with pq.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True) as file:
            yield from file.iter_batches(CHUNK)


def stream_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Parquet with page checksums; dictionary arrays are stored as plain columns of their values."""
    return pq.ParquetWriter(path, schema, store_schema=False, **PARQUET)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a parquet file and verify its checksums; InputError names the file that is missing or damaged."""
    with _reading(path, pa.ArrowInvalid, OSError):
        return pq.read_table(path, columns=columns, page_checksum_verification=True)


def write_json(content: Any, path: Path) -> None:
    """Write JSON with sorted keys; a number that is not finite is our bug and raises ValueError."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path, len(text.encode())) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file that another stage wrote; UnavailableError where a marker stands in its place."""
    with _reading(path, ValueError, problem="is not valid JSON"):
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        if isinstance(content, dict) and UNAVAILABLE in content:
            require_available(path)
        return content


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}, which is no number of JSON's")


def write_unavailable(what: Unavailable, path: Path) -> None:
    """Write the marker, to `path` or, where that names a folder, into it."""
    target = path if path.suffix else path / f"{UNAVAILABLE}.json"
    write_json({UNAVAILABLE: vars(what)}, target)


def unavailable(path: Path) -> Unavailable | None:
    """What the marker says that stands in place of the file, or of the folder or its files; None where none does."""
    for place in (path,) if path.is_file() else (folder / f"{UNAVAILABLE}.json" for folder in (path, path.parent)):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), place.open("rb") as file:
            return Unavailable(**json.loads(file.read(MARKER_BYTES))[UNAVAILABLE])
    return None


def require_available(path: Path) -> None:
    """UnavailableError where a marker stands in place of what the path names."""
    if what := unavailable(path):
        raise UnavailableError.of(what)


def write_tensors(tensors: Mapping[str, Any], path: Path) -> None:
    """Write numpy arrays as safetensors."""
    from safetensors.numpy import save_file

    with replacing(path, sum(tensor.nbytes for tensor in tensors.values())) as temporary:
        save_file(dict(tensors), temporary)


def read_tensors(path: Path) -> dict[str, Any]:
    """Read safetensors as numpy arrays; InputError for a file that is missing or damaged, or numbers not finite."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    with _reading(path, SafetensorError, OSError, ValueError, KeyError, TypeError):
        tensors = load_file(path)
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise InputError(f"{path}: tensor '{name}' holds numbers that are not finite; restore it")
    return tensors
