"""Tardis's CSV files: their columns, and their text in blocks of whole lines.

Times in a file are microseconds. It is ordered, and cut into days, by ``local_timestamp``: the
``ts_init`` of its rows.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from workbench.core.errors import InputError, Issue
from workbench.data.intervals import Interval
from workbench.data.timestamps import LATEST
from workbench.study.datasets import TardisData

_COMMON = ("exchange", "symbol", "timestamp", "local_timestamp")
COLUMNS: dict[str, tuple[str, ...]] = {
    "trades": (*_COMMON, "id", "side", "price", "amount"),
    "quotes": (*_COMMON, "ask_amount", "ask_price", "bid_price", "bid_amount"),
    "incremental_book_L2": (*_COMMON, "is_snapshot", "side", "price", "amount"),
} | {
    f"book_snapshot_{levels}": _COMMON
    + tuple(
        f"{side}[{level}].{what}"
        for level in range(levels)
        for side in ("asks", "bids")
        for what in ("price", "amount")
    )
    for levels in (5, 25)
}
"""The columns of each data type, in their order."""

_BLOCK = 4 << 20  # bytes of text
_LONGEST = 1 << 20  # bytes of a line: no row comes near; a file without lines is not read whole
_SHOWN = 12  # columns


def data_type(spec: TardisData) -> str:
    """Return Tardis's name of what a dataset holds."""
    if spec.book == "depths":
        return f"book_snapshot_{spec.snapshot}"
    return "incremental_book_L2" if spec.book else spec.ticks or "trades"


def wrong_columns(found: list[str], wanted: str) -> str | None:
    """Say what a file with these columns is instead of what is wanted; None if it is that."""
    if found == list(COLUMNS[wanted]):
        return None
    for name, columns in COLUMNS.items():
        if found == list(columns):
            return f"holds {name}, not {wanted}"
    return f"has the columns '{_listed(found)}'; {wanted} has '{_listed(COLUMNS[wanted])}'"


def _listed(columns: list[str] | tuple[str, ...]) -> str:
    return ",".join([*columns[:_SHOWN], "..."] if len(columns) > _SHOWN else columns)


def blocks(path: Path, shown: str, size: int = _BLOCK) -> Iterator[bytes]:
    """Yield the text of a file in blocks of whole lines; the first begins with the header.

    Parameters
    ----------
    path, shown
        The file, and its name for messages.
    size
        Bytes of text in a block, about.

    Raises
    ------
    InputError
        If the file is cut short, corrupt or cannot be read; it is named, with the line.

    """
    lines, rest = 0, b""

    def fault(message: str) -> InputError:
        return InputError(Issue(message, file=shown, line=lines + 1))

    try:
        with path.open("rb") as plain:
            zipped = plain.read(2) == b"\x1f\x8b"
            if zipped != (path.suffix == ".gz"):
                what = "is gzip: name it .csv.gz" if zipped else "is no gzip file"
                raise InputError(Issue(what, file=shown))
            plain.seek(0)
            with gzip.open(plain) if zipped else plain as file:
                # Not `read`: of a file that is cut short it would give nothing of the last block.
                while block := file.read1(size):
                    whole, newline, rest = (rest + block).rpartition(b"\n")
                    if newline:
                        yield whole + newline
                        lines += whole.count(b"\n") + 1
                    if len(rest) > _LONGEST:
                        raise fault("the line is too long for a row of any table")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        cut = isinstance(error, EOFError)
        raise fault("the file is cut short" if cut else f"the file is corrupt: {error}") from None
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise InputError(Issue(message, file=shown)) from None
    if rest:
        raise fault("the file is cut short: its last line does not end")


def head(path: Path, shown: str) -> tuple[list[str], list[str]]:
    """Return the columns of a file and the cells of its first row; empty where there is none."""
    lines: list[str] = []
    for block in blocks(path, shown, 1 << 16):
        lines += block.decode("latin-1").splitlines()[:2]
        if len(lines) > 1:
            break
    cells = [*(line.split(",") for line in lines), [], []]
    return cells[0], cells[1]


def span(path: Path, shown: str) -> Interval | None:
    """Return the ``local_timestamp`` of the first and last row, in nanoseconds; None of no rows.

    The whole file is read.

    Raises
    ------
    InputError
        If the file is not whole, one of the two is no time, or they are not in order.

    """
    first: bytes | None = None
    last, lines = b"", 0
    for block in blocks(path, shown):
        here = block.split(b"\n")[:-1]
        begin = 0 if lines else 1  # after the header
        if len(here) > begin:
            last = here[-1]
            first = here[begin] if first is None else first
        lines += len(here)
    if first is None:
        return None
    start, end = _moment(first, shown, 2), _moment(last, shown, lines)
    if end < start:
        message = "local_timestamp is earlier than that of the first row: rows are in order of it"
        raise InputError(Issue(message, file=shown, line=lines))
    return start, end


def _moment(line: bytes, shown: str, number: int) -> int:
    cell = b"".join(line.split(b",")[3:4])
    moment = int(cell) * 1000 if cell.isdigit() else -1
    if not 0 <= moment <= LATEST:
        message = f"local_timestamp is no time in microseconds: '{cell.decode('latin-1')}'"
        raise InputError(Issue(message, file=shown, line=number))
    return moment
