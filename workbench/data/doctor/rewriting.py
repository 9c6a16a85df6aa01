"""Writing files of the catalog anew, a batch at a time, and reading them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import DataError
from workbench.data.catalog import ROWS_HASH
from workbench.data.rows import add_hashes, rows_hash, times

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 100_000


def batches(path: Path) -> Iterator[pa.Table]:
    """Yield the rows of a file, checksums verified.

    Raises
    ------
    DataError
        If it cannot be read to its end.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as source:
            left = source.metadata.num_rows
            for batch in source.iter_batches(BATCH_ROWS, use_threads=False):
                left -= batch.num_rows
                yield pa.Table.from_batches([batch])
            if left:  # a damaged page header: batches end early, without an error
                raise pa.ArrowInvalid(f"{left:,} of its rows are missing")
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


def schema_of(path: Path) -> pa.Schema:
    """Return the columns and metadata of a file."""
    import pyarrow.parquet as pq

    return pq.read_schema(path)


def write(
    path: Path, schema: pa.Schema, parts: Iterable[pa.Table], *, rows: int, digest: int
) -> None:
    """Write rows as the catalog's files are written, and read them back.

    Parameters
    ----------
    path
        A new file.
    schema
        The columns; its metadata are kept, with the rows' hash brought up to date.
    parts
        The rows, in order of time.
    rows, digest
        How many they are and their hash, as the files they come from tell.

    Raises
    ------
    DataError
        If the file does not hold exactly those rows, or could not be written: it is of no use.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {**(schema.metadata or {}), ROWS_HASH.encode(): str(digest).encode()}
    schema = schema.with_metadata(metadata)
    try:
        with pq.ParquetWriter(
            path, schema, compression="zstd", write_page_checksum=True, use_dictionary=False
        ) as sink:
            for part in _regrouped(parts):
                sink.write_table(part.cast(schema), row_group_size=BATCH_ROWS)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"a repair could not be written: {reason}. The catalog is as it was"
        ) from None
    verify(path, rows=rows, digest=digest)


def verify(path: Path, *, rows: int, digest: int) -> None:
    """Read a file to its end and compare its rows with what they should be.

    Raises
    ------
    DataError
        If they differ, or are out of order.

    """
    count, found, last = 0, 0, None
    for part in batches(path):
        if not part.num_rows:
            continue
        ts = times(part["ts_init"])
        ordered = bool((ts[1:] >= ts[:-1]).all()) and (last is None or last <= ts[0])
        if not ordered:
            raise DataError(f"a repair wrote rows out of order: {path}. The catalog is as it was")
        last = ts[-1]
        count += part.num_rows
        found = add_hashes(found, rows_hash(part))
    if (count, found) != (rows, digest):
        raise DataError(
            f"a repair would have changed rows ({count:,} with hash {found:016x} instead of "
            f"{rows:,} with {digest:016x}): {path}. The catalog is as it was"
        )


def _regrouped(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Gather small parts: a row group of a few rows costs as much as one of many."""
    held: list[pa.Table] = []
    count = 0
    for part in parts:
        held.append(part)
        count += part.num_rows
        if count >= BATCH_ROWS:
            yield _together(held)
            held, count = [], 0
    if count:
        yield _together(held)


def _together(parts: Sequence[pa.Table]) -> Any:
    import pyarrow as pa

    plain = [part.replace_schema_metadata(None) for part in parts]
    return pa.concat_tables(plain).unify_dictionaries().combine_chunks()
