"""Reading Databento's binary files (DBN), compressed or not, in pieces of bounded size.

A file is a header, which tells the query it answers and which instrument has which number on which
day, and records of one length. `Reader` hands out the records as numpy arrays in the layout
Databento's own library declares for them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from workbench.core.errors import DataError, DependencyError
from workbench.data.intervals import Interval, iso

PIECE = 32 * 2**20
"""Bytes of records handed out at once."""

UNDEFINED = 2**63 - 1
"""A price that is none."""

_BOOK_ACTIONS = np.zeros(256, dtype=bool)
_BOOK_ACTIONS[list(b"ACMR")] = True  # added, cancelled, modified, cleared

_MAGIC = b"DBN"
_ZSTD = b"\x28\xb5\x2f\xfd"
_PRELUDE = 8
_LONGEST_HEADER = 2**28
_READ = 2**17
_DAY = 86_400 * 10**9
_EPOCH = dt.date(1970, 1, 1).toordinal()

_RECORDS = {
    "mbo": "MBOMsg", "mbp-1": "MBP1Msg", "mbp-10": "MBP10Msg", "tbbo": "MBP1Msg",
    "trades": "TradeMsg", "ohlcv-1s": "OHLCVMsg", "ohlcv-1m": "OHLCVMsg", "ohlcv-1h": "OHLCVMsg",
    "ohlcv-1d": "OHLCVMsg", "bbo-1s": "BBOMsg", "bbo-1m": "BBOMsg", "cmbp-1": "CMBP1Msg",
    "cbbo-1s": "CBBOMsg", "cbbo-1m": "CBBOMsg", "definition": "InstrumentDefMsg",
}  # fmt: skip


class CutShortError(DataError):
    """A file ends in the middle; the records before that have been handed out."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which number an instrument has in a file's records, and when.

    Attributes
    ----------
    number
        As in the records' ``instrument_id``.
    span
        First and last nanosecond of it, by the records' index time.

    """

    number: int
    span: Interval


@dataclass(frozen=True, slots=True)
class Header:
    """What a DBN file says of itself.

    Attributes
    ----------
    schema
        None where it holds records of several kinds (a recording of the live feed).
    dataset, symbols, stype_in
        The query.
    start, end
        Of the query, `end` exclusive; of one file of several they are the times of its first and
        last record. `end` is None where it is not told.
    limit
        Most records the query asked for.
    mappings
        The spans of each symbol.
    encoded
        The header itself, not compressed.

    """

    schema: str | None
    dataset: str
    symbols: tuple[str, ...]
    stype_in: str
    start: int
    end: int | None
    limit: int | None
    mappings: dict[str, tuple[Mapping, ...]]
    dtype: Any
    encoded: bytes

    @property
    def index(self) -> str:
        """The field Databento sorts the records by and cuts queries at."""
        return index_of(self.dtype)


class Reader:
    """One DBN file.

    Parameters
    ----------
    path
        The file; compression is found by its content.

    Attributes
    ----------
    header
        What the file says of itself.

    Raises
    ------
    DataError
        If it is no DBN file, or damaged; it is named.
    CutShortError
        From `records`, after the last whole record, if the file ends too soon.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] = path.open("rb")
        self._rest = b""
        try:
            self._content = self._decompressed()
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def records(self, at_once: int = PIECE) -> Iterator[Any]:
        """Yield the records in arrays of at most `at_once` bytes, and of one record at least."""
        size = self.header.dtype.itemsize
        most = max(at_once // size, 1) * size
        content = self._rest
        cut: CutShortError | None = None
        while True:
            parts, length = [content], len(content)
            while length < most:
                try:
                    parts.append(next(self._content))
                except StopIteration:
                    break
                except CutShortError as error:
                    cut = error
                    break
                length += len(parts[-1])
            content = b"".join(parts)
            last = length < most
            for at in range(0, len(content) - most + 1, most):
                yield self._checked(np.frombuffer(content, self.header.dtype, most // size, at))
            content = content[len(content) - len(content) % most :]
            if last:
                if whole := len(content) // size:
                    yield self._checked(np.frombuffer(content, self.header.dtype, whole))
                if cut or len(content) % size:
                    raise cut or self._cut()
                return

    def _checked(self, records: Any) -> Any:
        if (records["length"] != self.header.dtype.itemsize // 4).any():
            raise DataError(f"{self._path.name} is damaged: it holds records of another kind")
        return records

    def _cut(self) -> CutShortError:
        return CutShortError(f"{self._path.name} is cut short")

    def _decompressed(self) -> Iterator[bytes]:
        compressed = self._file.read(len(_ZSTD)) == _ZSTD
        self._file.seek(0)
        if not compressed:
            while data := self._file.read(_READ):
                yield data
            return
        zstandard = library("zstandard")
        decoder = zstandard.ZstdDecompressor().decompressobj()
        while data := self._file.read(_READ):
            while data:
                if decoder.eof:  # a file may be several frames, one after the other
                    decoder = zstandard.ZstdDecompressor().decompressobj()
                try:
                    yield decoder.decompress(data)
                except zstandard.ZstdError as error:
                    raise DataError(f"{self._path.name} is damaged: {error}") from None
                data = decoder.unused_data if decoder.eof else b""
        if not decoder.eof:
            raise self._cut()

    def _take(self, count: int) -> bytes:
        while len(self._rest) < count:
            part = next(self._content, None)
            if part is None:
                raise self._cut()
            self._rest += part
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def _read_header(self) -> Header:
        dbn = library("databento_dbn")
        try:
            prelude = self._take(_PRELUDE)
        except CutShortError:
            prelude = b""
        length = int.from_bytes(prelude[4:], "little")
        if not prelude.startswith(_MAGIC) or length > _LONGEST_HEADER:
            raise DataError(f"{self._path.name} is not a DBN file")
        encoded = prelude + self._take(length)
        try:
            metadata = dbn.Metadata.decode(encoded)
        except (dbn.DBNError, ValueError) as error:
            raise DataError(f"{self._path.name} is not a DBN file: {error}") from None
        schema = None if metadata.schema is None else str(metadata.schema)
        end = metadata.end
        return Header(
            schema=schema,
            dataset=str(metadata.dataset),
            symbols=tuple(metadata.symbols),
            stype_in=str(metadata.stype_in),
            start=int(metadata.start),
            end=None if end in (None, 0, 2**64 - 1) else int(end),
            limit=metadata.limit or None,
            mappings=_mappings(metadata),
            dtype=dtype_of(schema, encoded[len(_MAGIC)], ts_out=metadata.ts_out),
            encoded=encoded,
        )


def index_of(dtype: Any) -> str:
    """Return the name of the time that records are sorted by."""
    return "ts_recv" if "ts_recv" in dtype.names else "ts_event"


def library(name: str) -> Any:
    """Import one of the libraries that come with Databento's client.

    Raises
    ------
    DependencyError
        If it is not installed.

    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        message = f"'{name}' is missing. Install it: pip install nt-workbench[databento]"
        raise DependencyError(message) from None


def batches(parts: Iterable[Any], at_once: int = PIECE) -> Iterator[Any]:
    """Join and cut arrays of records so that no time is on both sides of a cut.

    Small arrays are joined to half of `at_once` bytes at least. Of an order book's records, those
    that change nothing stay with the change before them.

    Raises
    ------
    DataError
        If records lie so far out of the order of time that they cannot be sorted in between.

    """
    held: list[Any] = []
    latest = -1
    for part in parts:
        if not len(part):
            continue
        held.append(part)
        if sum(each.nbytes for each in held) < at_once // 2:
            continue
        records = np.concatenate(held)
        times = records[index_of(records.dtype)].astype(np.int64)
        # The records before a cut are earlier than every one behind it.
        before = np.maximum.accumulate(times)[:-1]
        behind = np.minimum.accumulate(times[::-1])[::-1][1:]
        cuts = before < behind
        if "order_id" in (records.dtype.names or ()):
            cuts &= changes_book(records)[1:]
        where = np.flatnonzero(cuts)
        if not len(where):
            held = [records]
            continue
        cut = int(where[-1]) + 1
        latest = _later(times[:cut], latest)
        yield records[:cut]
        held = [records[cut:]]
    if held:
        records = np.concatenate(held)
        _later(records[index_of(records.dtype)].astype(np.int64), latest)
        yield records


def _later(times: Any, than: int) -> int:
    if int(times.min()) <= than:
        raise DataError(f"records are not in order of time: one of {iso(int(times.min()))} is late")
    return int(times.max())


def changes_book(records: Any) -> Any:
    """Say which order book records change the book: trades and fills are only told beside it."""
    return _BOOK_ACTIONS[letters(records["action"])]


def letters(column: Any) -> Any:
    """Return a column of single characters as their codes."""
    return column.view(np.uint8)


def selected(records: Any, mappings: Sequence[Mapping]) -> Any:
    """Return the records of one instrument."""
    numbers, times = records["instrument_id"], records[index_of(records.dtype)]
    mine = np.zeros(len(records), dtype=bool)
    for each in mappings:
        first, last = each.span
        mine |= (numbers == each.number) & (times >= first) & (times <= last)
    return records if mine.all() else records[mine]


def dtype_of(schema: str | None, version: int = 0, *, ts_out: bool = False) -> Any:
    """Return the layout of a schema's records; empty for those that are not read here.

    Parameters
    ----------
    schema
        Such as ``trades``.
    version
        Of DBN; 0 for the newest.
    ts_out
        Whether the time of sending follows each record.

    """
    name = _RECORDS.get(schema or "")
    if name is None:
        return np.dtype([])
    dbn = library("databento_dbn")
    # Of the records read here, only definitions differ between the versions of DBN.
    home = {1: dbn.v1, 2: dbn.v2}.get(version, dbn) if schema == "definition" else dbn
    fields = list(getattr(home, name)._dtypes)
    return np.dtype([*fields, ("ts_out", "u8")] if ts_out else fields)


def _mappings(metadata: Any) -> dict[str, tuple[Mapping, ...]]:
    """Return the numbers of each symbol; those that were asked for stand for themselves too."""
    by_symbol: dict[str, list[Mapping]] = {}
    for asked, spans in metadata.mappings.items():
        for each in spans:
            number, symbol = each["symbol"], asked
            if str(metadata.stype_in) == "instrument_id":
                number, symbol = asked, each["symbol"]
            with suppress(ValueError):  # days on which the symbol stood for nothing
                span = (_midnight(each["start_date"]), _midnight(each["end_date"]) - 1)
                for name in dict.fromkeys((asked, symbol)):
                    by_symbol.setdefault(name, []).append(Mapping(int(number), span))
    return {name: tuple(found) for name, found in by_symbol.items()}


def _midnight(day: dt.date) -> int:
    return (day.toordinal() - _EPOCH) * _DAY
