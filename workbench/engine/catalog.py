"""The engine's Parquet catalog: its instruments, and data as the engine's objects.

`instruments` uses the engine's own reader, which starts threads: a process that will fork must not
call it. `definitions` and `query` read the files with pyarrow.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import DataError
from workbench.core.files import write_bytes
from workbench.engine.instruments import Definition, build, defined

if TYPE_CHECKING:
    import pyarrow as pa


# Where the engine keeps instruments, by their type.
INSTRUMENT_FOLDERS = (
    "betting_instrument", "binary_option", "cfd", "commodity", "crypto_future",
    "crypto_futures_spread", "crypto_option", "crypto_option_spread", "crypto_perpetual",
    "currency_pair", "equity", "futures_contract", "futures_spread", "index_instrument",
    "option_contract", "option_spread", "perpetual_contract", "tokenized_asset",
)  # fmt: skip
_WRANGLERS = {
    "bars": "BarDataWrangler",
    "quotes": "QuoteTickDataWrangler",
    "trades": "TradeTickDataWrangler",
    "order_book_deltas": "OrderBookDeltaDataWrangler",
    "order_book_depths": "OrderBookDepthDataWrangler",
}
_ENCODERS = {
    "bars": "bars_to_arrow_record_batch_bytes",
    "quotes": "quotes_to_arrow_record_batch_bytes",
    "trades": "trades_to_arrow_record_batch_bytes",
    "order_book_deltas": "book_deltas_to_arrow_record_batch_bytes",
    "order_book_depths": "book_depths_to_arrow_record_batch_bytes",
}
_BATCH_ROWS = 100_000


def folder_name(identity: str) -> str:
    """Return the name of the folder the engine keeps `identity` in."""
    return identity.replace("/", "").replace("^", "_").replace("#", "%23")


def write_instruments(path: Path, items: Iterable[tuple[str, Definition]]) -> None:
    """Write instruments to the catalog at `path`; those it holds already are replaced.

    Each file is written beside the catalog's and renamed, so a reader sees the old instrument or
    the new one. One process at a time may write.
    """
    from nautilus_trader.persistence import ParquetDataCatalog

    path.mkdir(parents=True, exist_ok=True)
    for stray in path.glob(".instruments-*.tmp"):  # of a writer that was killed
        shutil.rmtree(stray, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=path, prefix=".instruments-", suffix=".tmp") as aside:
        items = list(items)
        ParquetDataCatalog(aside).write_instruments([build(*item) for item in items])
        for written in sorted(Path(aside).rglob("*.parquet")):
            target = path / written.relative_to(aside)
            write_bytes(target, written.read_bytes())
            for other in _files(path, target.parent.name):
                if other != target:  # the same instrument as another type
                    other.unlink(missing_ok=True)


def definitions(path: Path) -> dict[str, Definition]:
    """Return the definition of each instrument the workbench wrote to the catalog at `path`.

    Files that cannot be read are left out; `broken_instruments` names them.
    """
    return _read_definitions(path)[0]


def broken_instruments(path: Path) -> dict[Path, str]:
    """Return the instrument files that cannot be read, each with the reason."""
    return _read_definitions(path)[1]


def _read_definitions(path: Path) -> tuple[dict[str, Definition], dict[Path, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pydantic import ValidationError

    found: dict[str, Definition] = {}
    broken: dict[Path, str] = {}
    for file in _files(path):
        try:
            rows = pq.read_table(file, columns=["id", "info"], use_threads=False)
            for name, info in zip(rows["id"].to_pylist(), _texts(rows["info"]), strict=True):
                if (definition := defined(json.loads(info or "{}"))) is not None:
                    found[name] = definition
        except (pa.ArrowException, OSError, KeyError, ValueError, ValidationError) as error:
            broken[file] = str(error).splitlines()[0]
    return found, broken


def _texts(column: Any) -> list[str | None]:
    """Return a JSON column as text, whether pyarrow knows the extension type or not."""
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], pa.string())
    texts: list[str | None] = column.to_pylist()
    return texts


def instruments(path: Path, ids: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the engine's instruments in the catalog at `path`, by id.

    Parameters
    ----------
    path
        The catalog.
    ids
        Which ones; default all of them.

    Raises
    ------
    DataError
        If the engine cannot read them; broken files are named.

    """
    from nautilus_trader.persistence import ParquetDataCatalog

    if not path.is_dir():
        return {}
    try:
        found = ParquetDataCatalog(str(path)).instruments(None if ids is None else list(ids))
    except (OSError, RuntimeError, ValueError) as error:
        names = "".join(f"\n{file}: {why}" for file, why in broken_instruments(path).items())
        raise DataError(f"the catalog's instruments cannot be read: {error}{names}") from None
    return {str(item.id): item for item in found}


def query(
    kind: str,
    identity: str,
    start_ns: int | None,
    end_ns: int | None,
    files: Sequence[Path | str],
) -> list[Any]:
    """Return rows of the catalog as the engine's objects, in order of time.

    Parameters
    ----------
    kind, identity
        ``bars`` of a bar type, or an instrument's ``quotes``, ``trades``, ``order_book_deltas`` or
        ``order_book_depths``.
    start_ns, end_ns
        First and last nanosecond, both inside; None for all there is.
    files
        The files to read, and no others: a broken file beside them does no harm.

    Returns
    -------
    list[Bar] | list[QuoteTick] | list[TradeTick] | list[OrderBookDelta] | list[OrderBookDepth]

    Raises
    ------
    DataError
        If a file cannot be read; it is named.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: list[Any] = []
    for file in files:
        try:
            # The engine's own reader decodes on threads whose memory is touched for the first
            # time: on the same file it took 0.2 to 0.8 s where this takes 0.2.
            with pq.ParquetFile(file, page_checksum_verification=True) as source:
                decode = _wrangler(kind, identity, source.schema_arrow.metadata)
                left = source.metadata.num_rows
                for batch in source.iter_batches(_BATCH_ROWS, use_threads=False):
                    left -= batch.num_rows
                    rows = _between(batch, start_ns, end_ns)
                    if rows.num_rows:
                        found += decode.process_record_batch_bytes(_stream(rows))
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{file}: cannot be read: {reason}") from None
        if left:  # a damaged page header: batches end early, without an error
            raise DataError(f"{file}: cannot be read: {left:,} of its rows are missing")
    return found


def encode(kind: str, objects: Sequence[Any]) -> pa.Table:
    """Return the engine's objects as rows of its Parquet schema.

    Parameters
    ----------
    kind
        See `query`.
    objects
        At least one; all of one instrument or bar type and of the same precisions.

    """
    import pyarrow as pa
    from nautilus_trader import serialization

    content = getattr(serialization, _ENCODERS[kind])(objects)
    rows = pa.ipc.open_stream(pa.BufferReader(content)).read_all()
    # The engine's files have no such column: the folder and the metadata say whose rows they are.
    return rows.drop_columns(["identifier"])


def _wrangler(kind: str, identity: str, metadata: Mapping[bytes, bytes]) -> Any:
    """Return what turns record batches of a file with this metadata into the engine's objects."""
    from nautilus_trader import persistence

    make = getattr(persistence, _WRANGLERS[kind])
    return make(identity, int(metadata[b"price_precision"]), int(metadata[b"size_precision"]))


def _between(batch: Any, start_ns: int | None, end_ns: int | None) -> Any:
    """Return the rows of a sorted batch in a span, both ends inside."""
    import pyarrow as pa

    if start_ns is None and end_ns is None:
        return batch
    times = batch.column("ts_init").cast(pa.int64())
    rows = range(len(times))

    def time(row: int) -> int:  # as an array of numpy's, pandas would be loaded to make it
        return int(times[row].as_py())

    first = 0 if start_ns is None else bisect_left(rows, start_ns, key=time)
    after = len(times) if end_ns is None else bisect_right(rows, end_ns, key=time)
    return batch.slice(first, max(after - first, 0))


def _stream(batch: Any) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _files(path: Path, folder: str = "*") -> list[Path]:
    """Return the instrument files of the catalog, of one folder or of all."""
    data = path / "data"
    return [
        file
        for kind in INSTRUMENT_FOLDERS
        for file in sorted((data / kind).glob(f"{folder}/*.parquet"))
    ]
