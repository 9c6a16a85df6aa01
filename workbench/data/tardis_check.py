"""Every fault of one of Tardis's CSV files, found before its rows are used.

NautilusTrader's loaders round a price to the instrument's decimals, take NaN for the largest price
there is, read a side they do not know as none, and end the process on a negative amount. So a file
is read through once before they see it, in blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import InputError, Issue
from workbench.data.faults import Faults
from workbench.data.intervals import Interval, iso
from workbench.data.rows import to_numpy
from workbench.data.tardis_csv import COLUMNS, blocks, wrong_columns
from workbench.data.timestamps import LATEST

if TYPE_CHECKING:
    import pyarrow as pa

_MAX_PRICE, _MAX_SIZE = 17_014_118_346_046.0, 34_028_236_692_093.0  # of the engine's types
_LONGEST_ID = 36  # characters of its trade ids
_WORDS = ("exchange", "symbol", "id", "side", "is_snapshot")
_SIDES = {"trades": ("buy", "sell", "unknown", ""), "incremental_book_L2": ("bid", "ask")}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file has to be.

    Attributes
    ----------
    data_type
        A key of `workbench.data.tardis_csv.COLUMNS`.
    exchange, symbol
        Of every row.
    price_precision, size_precision
        Decimals no number may exceed.
    within
        The span its rows lie in, by their ``local_timestamp``; None for any.

    """

    data_type: str
    exchange: str
    symbol: str
    price_precision: int
    size_precision: int
    within: Interval | None = None


@dataclass(slots=True)
class Contents:
    """What a file holds.

    Attributes
    ----------
    rows
        Lines after the header.
    objects
        How many of the engine's objects its loader has to make of them.
    first, last
        ``local_timestamp`` of the first and the last row, in nanoseconds.
    warnings
        What of it is left out, and why.

    """

    rows: int = 0
    objects: int = 0
    first: int = 0
    last: int = 0
    warnings: list[str] = field(default_factory=list)


def check(path: Path, shown: str, expected: Expected, step: Callable[[int], None]) -> Contents:
    """Read a file through; find every fault of the first block that has one.

    Parameters
    ----------
    path, shown
        The file, and its name for messages.
    expected
        What it has to be.
    step
        Called with the bytes of text read so far; may raise.

    Raises
    ------
    InputError
        With the file and the lines of what is wrong.

    """
    checker = _Checker(shown, expected)
    done = 0
    for block in blocks(path, shown):
        done += len(block)
        step(done)
        checker.take(block)
    return checker.contents()


class _Checker:
    """Takes a file block by block; the attributes below are of the block at hand."""

    table: pa.Table
    faults: Faults

    def __init__(self, shown: str, expected: Expected) -> None:
        self.shown, self.expected = shown, expected
        self.columns = COLUMNS[expected.data_type]
        self.found = Contents()
        self.lines = 0  # before the block at hand
        self.texts: list[bytes] = []
        self._in_snapshot = False
        self._left_out: dict[str, tuple[int, int]] = {}  # reason: first line, how many

    def contents(self) -> Contents:
        for reason, (line, count) in self._left_out.items():
            rows = "1 row is" if count == 1 else f"{count:,} rows are"
            self.found.warnings.append(f"{self.shown}:{line}: {rows} left out: {reason}")
        return self.found

    def take(self, block: bytes) -> None:
        if not self.lines:
            first, _, block = block.partition(b"\n")
            names = first.decode("latin-1").rstrip("\r").split(",")
            if message := wrong_columns(names, self.expected.data_type):
                raise InputError(Issue(message, file=self.shown, line=1))
            self.lines = 1
        if not block:
            return
        self.texts = block.split(b"\n")
        self.table = self._parse(block)
        start = self.lines + 1
        self.faults = Faults(self.shown, lambda rows: [start + int(r) for r in rows], "line", ())
        self._check_words()
        times = self._check_times()
        for name in self.columns[4:]:
            if name not in _WORDS:
                self._check_numbers(name)
        self.faults.raise_if_any()
        self._count(times)
        self.lines += self.table.num_rows

    def _add(self, rows: Any, name: str, message: str) -> None:
        """Note that a column's cells in some rows are wrong."""

        def said(row: int) -> str:
            cells = self.texts[row].decode("latin-1").rstrip("\r").split(",")
            return f"{name} is '{cells[self.columns.index(name)]}', {message}"

        self.faults.add(rows, said, None)

    def _parse(self, block: bytes) -> pa.Table:
        import pyarrow as pa
        import pyarrow.csv as pc

        types: dict[str, pa.DataType] = dict.fromkeys(self.columns, pa.float64())
        types |= dict.fromkeys(types.keys() & set(_WORDS), pa.string())
        types |= dict.fromkeys(("timestamp", "local_timestamp"), pa.int64())
        size = len(block) + 1  # in one piece
        if any(empty in b"\n" + block for empty in (b"\n\n", b"\n\r\n")):  # pyarrow reads nulls
            raise self._unreadable(types, ValueError("an empty line"))
        try:
            return pc.read_csv(
                pa.py_buffer(block),
                read_options=pc.ReadOptions(
                    use_threads=False, column_names=list(self.columns), block_size=size
                ),
                parse_options=pc.ParseOptions(quote_char=False, ignore_empty_lines=False),
                convert_options=pc.ConvertOptions(
                    column_types=types, null_values=[""], strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid as error:
            raise self._unreadable(types, error) from None

    def _unreadable(self, types: dict[str, pa.DataType], error: Exception) -> InputError:
        """Find the line pyarrow could not read: it does not tell."""
        for number, line in enumerate(self.texts[:-1], self.lines + 1):
            cells = line.rstrip(b"\r").split(b",")
            message = None
            if len(cells) != len(self.columns):
                message = f"has {len(cells)} cells, the header has {len(self.columns)}"
            for name, cell in zip(self.columns, cells, strict=False):
                message = message or _unreadable(name, cell, str(types[name]))
            if message:
                return InputError(Issue(message, file=self.shown, line=number))
        reason = str(error).splitlines()[0]
        return InputError(Issue(f"cannot be read: {reason}", file=self.shown, line=self.lines + 1))

    def _check_words(self) -> None:
        import pyarrow.compute as pc

        expected = self.expected
        self._one_of("exchange", (expected.exchange,))
        self._one_of("symbol", (expected.symbol,))
        if expected.data_type in _SIDES:
            self._one_of("side", _SIDES[expected.data_type])
        if "is_snapshot" in self.columns:
            self._one_of("is_snapshot", ("true", "false"))
        if "id" in self.columns:
            ids = self.table.column("id")
            long = pc.greater(pc.binary_length(ids), _LONGEST_ID)
            message = f"more than the {_LONGEST_ID} characters of the engine's trade ids"
            self._add(to_numpy(long), "id", message)
            blank = pc.and_(pc.equal(pc.ascii_trim_whitespace(ids), ""), pc.not_equal(ids, ""))
            odd = pc.or_(blank, pc.invert(pc.string_is_ascii(ids)))
            self._add(to_numpy(odd), "id", "the engine's trade ids are printable ASCII")

    def _one_of(self, name: str, words: tuple[str, ...]) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        known = pc.is_in(self.table.column(name), value_set=pa.array(words))
        allowed = " or ".join(f"'{word}'" if word else "nothing" for word in words)
        self._add(~to_numpy(known), name, f"not {allowed}")

    def _check_times(self) -> Any:
        """Check both times of each row; return ``local_timestamp`` in nanoseconds."""
        for name in ("timestamp", "local_timestamp"):
            column = self.table.column(name)
            micros = to_numpy(column.fill_null(-1))
            message = "no time in microseconds since 1970"
            self._add((micros < 0) | (micros > LATEST // 1000), name, message)
        times = micros * 1000
        earlier = times < np.concatenate(([self.found.last], times[:-1]))
        message = "earlier than that of the row before: rows are in order of it"
        self._add(earlier & (micros >= 0), "local_timestamp", message)
        if self.expected.within is not None:
            start, end = self.expected.within
            message = f"not of the file's day, {iso(start)} to {iso(end)}"
            self._add((times < start) | (times > end), "local_timestamp", message)
        return times

    def _check_numbers(self, name: str) -> None:
        price = name.endswith("price")
        what = "price" if price else "size"
        precision = self.expected.price_precision if price else self.expected.size_precision
        column = self.table.column(name)
        if self.expected.data_type in ("trades", "incremental_book_L2"):
            self._add(to_numpy(column.is_null()), name, "and may not be empty")
        values = to_numpy(column.fill_null(0.0))
        low, high = (-_MAX_PRICE, _MAX_PRICE) if price else (0.0, _MAX_SIZE)
        inside = (values >= low) & (values <= high)  # NaN is not
        self._add(~inside, name, f"a {what} is a number from {low:.0f} to {high:.0f}")
        units = np.rint(np.where(inside, values, 0.0) * 10.0**precision)
        exact = np.abs(units) < 2.0**53
        message = f"too many digits to be read exactly with {precision} decimals"
        self._add(~exact, name, message)
        # The float nearest to a decimal of so many places is that decimal's units divided by
        # their power of ten, which is exact up to 10**22: any other number has more places.
        # The product above may be one unit off where a float has hardly more digits than that.
        fits = np.zeros(len(values), dtype=bool)
        for off in (-1.0, 0.0, 1.0):
            fits |= (units + off) / 10.0**precision == values
        message = (
            f"more decimals than the instrument's {precision}: raise its {what}_precision "
            "(in 'definition')"
        )
        self._add(inside & exact & ~fits, name, message)

    def _count(self, times: Any) -> None:
        """Work out what the loaders make of rows without fault, and what is left out."""
        import pyarrow.compute as pc

        kind, found, table = self.expected.data_type, self.found, self.table
        objects = table.num_rows
        if kind == "trades":
            none = to_numpy(pc.equal(table.column("amount"), 0.0))
            objects -= self._leave_out(none, "a trade of amount 0")
        elif kind == "quotes":
            # The loader takes no price for 0; `workbench.data.tardis` drops such quotes.
            sides = [table.column(f"{side}_price").fill_null(0.0) for side in ("bid", "ask")]
            absent = np.logical_or(*(to_numpy(side) == 0 for side in sides))
            self._leave_out(absent, "one side has no price, and a quote has two")
        elif kind == "incremental_book_L2":
            snapshot = to_numpy(pc.equal(table.column("is_snapshot"), "true"))
            before = np.concatenate(([self._in_snapshot], snapshot[:-1]))
            later = times != np.concatenate(([found.last], times[:-1]))
            objects += int((snapshot & (~before | later)).sum())  # each clears the book first
            if not found.objects:
                early = np.cumsum(snapshot) == 0
                reason = "a change of the book before its first snapshot"
                objects -= self._leave_out(early, reason)
            self._in_snapshot = bool(snapshot[-1])
        if not found.rows:
            found.first = int(times[0])
        found.rows += table.num_rows
        found.objects += objects
        found.last = int(times[-1])

    def _leave_out(self, rows: Any, reason: str) -> int:
        count = int(rows.sum())
        if count:
            first = self.lines + 1 + int(np.flatnonzero(rows)[0])
            line, before = self._left_out.get(reason, (first, 0))
            self._left_out[reason] = (line, before + count)
        return count


def _unreadable(name: str, cell: bytes, kind: str) -> str | None:
    """Say that a cell is not of its column's type, None if it is."""
    try:
        text = cell.decode()
        if kind != "string" and text:
            number = int(text) if kind == "int64" else float(text)
            good = not (set(text) & set(" _")) and (kind == "double" or abs(number) < 2**63)
        else:
            good = True
    except ValueError:
        good = False
    what = {"string": "UTF-8", "int64": "a whole number"}.get(kind, "a number")
    return None if good else f"{name} is '{cell.decode(errors='backslashreplace')}', not {what}"
