"""Parquet in pieces: tables of any length in bounded memory, with page checksums written and verified."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightmarket.contracts import InputError
from tasks.files.storage import PARQUET

CHUNK = 1 << 20
"""Rows."""


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    """A parquet file in chunks, checksums verified; text comes dictionary-encoded.

    Raises InputError for a file that is missing or damaged.
    """
    try:
        texts = [one.name for one in pq.read_schema(path) if pa.types.is_string(one.type)]
        with pq.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True) as file:
            yield from file.iter_batches(CHUNK)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run the snapshot again, or `dvc checkout`") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} cannot be read ({str(error).splitlines()[0][:80]}); run the snapshot again") from None


def writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Parquet with page checksums; dictionary arrays are stored as plain columns of their values."""
    return pq.ParquetWriter(path, schema, store_schema=False, **PARQUET)
