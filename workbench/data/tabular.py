"""Reading CSV and Parquet files: the wanted columns as arrays, and where each row stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError, Issue
from workbench.data.rows import to_numpy

_HEAD = 1 << 16
_BLOCK = 1 << 22
EMPTY = ("", "NA", "N/A", "#N/A", "null", "NULL", "None")
# What pyarrow says of a file that ends with its header.
_NO_ROWS = ("Empty CSV file", "Could not skip initial")
_DELIMITERS = {",": "','", ";": "';'", "\t": "a tab ('\\t')", "|": "'|'"}


@dataclass(slots=True)
class Raw:
    """The wanted columns of a file, not yet judged.

    Attributes
    ----------
    columns
        By name: float64 numbers (NaN where the cell was empty), or an Arrow array of whatever else
        the file holds. In a CSV column with a cell that is no number, an Arrow array of bytes.
    rows
        How many rows there are.
    line_of
        Turns row numbers into line numbers (of a CSV) or 1-based row numbers (of Parquet).
    unit
        ``line`` or ``row``.
    misshapen
        Lines of a CSV with too many or too few cells, left out of the rows.

    """

    columns: dict[str, Any]
    rows: int
    line_of: Callable[[Any], list[int]]
    unit: str
    misshapen: list[int] = field(default_factory=list)


def header(path: Path, kind: str, delimiter: str, shown: str) -> list[str]:
    """Return the names of a file's columns.

    Raises
    ------
    InputError
        If it cannot be read, is empty, or is not of its kind.

    """
    try:
        return _parquet_names(path) if kind == "parquet" else _csv_header(path, delimiter, shown)[0]
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise InputError(Issue(f"cannot be read: {reason}", file=shown)) from None
    except ValueError as error:
        raise InputError(Issue(str(error), file=shown)) from None


def _parquet_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names: list[str] = pq.read_schema(path).names
    except pa.ArrowException:
        raise ValueError("is not a Parquet file, or was cut short") from None
    return names


def _csv_header(path: Path, delimiter: str, shown: str) -> tuple[list[str], int]:
    """Return the header's names and its line number."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise ValueError("is a compressed file: unpack it first")
    if b"\x00" in head:
        raise ValueError("is not a text file (it holds zero bytes)")
    lines = head.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if number == len(lines) and not line.endswith((b"\n", b"\r")) and len(head) == _HEAD:
            raise ValueError(f"has a line of more than {_HEAD} bytes: it is not a CSV file")
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InputError(Issue("is not UTF-8 text", file=shown, line=number)) from None
        names = [name.strip() for name in next(csv.reader([text], delimiter=delimiter))]
        return names, number
    raise ValueError("is empty")


def other_delimiter(path: Path, delimiter: str, shown: str) -> str | None:
    """Return the delimiter a CSV file seems to use instead, in words."""
    for candidate, words in _DELIMITERS.items():
        if candidate != delimiter and len(_csv_header(path, candidate, shown)[0]) > 1:
            return words
    return None


def read_parquet(path: Path, names: Sequence[str], shown: str) -> Raw:
    """Read columns of a Parquet file.

    Raises
    ------
    InputError
        If it cannot be read.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(names))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(Issue(f"cannot be read: {reason}", file=shown)) from None
    columns = {name: _plain(table.column(name)) for name in names}
    return Raw(columns, table.num_rows, lambda rows: [int(row) + 1 for row in rows], "row")


def _plain(column: Any) -> Any:
    """Return numbers as floats and dictionaries as what they stand for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal(kind):
        column = pc.cast(column, pa.float64())
    if pa.types.is_floating(column.type):
        return _floats(column)
    return column


def as_floats(column: Any) -> Any | None:
    """Return a column as floats where it holds numbers, else None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, np.ndarray):
        return column
    if pa.types.is_integer(column.type):
        return _floats(pc.cast(column, pa.float64(), safe=False))
    return None


def _floats(column: Any) -> Any:
    """Return floats, NaN for nulls."""
    import pyarrow.compute as pc

    return to_numpy(pc.fill_null(column, float("nan")) if column.null_count else column)


def read_csv(
    path: Path, numbers: Sequence[str], texts: Sequence[str], delimiter: str, shown: str
) -> Raw:
    """Read columns of a CSV file, on all cores.

    Parameters
    ----------
    path
        UTF-8, with a header.
    numbers, texts
        Names of the columns to read.
    delimiter
        Between cells.
    shown
        The file's name for messages.

    Raises
    ------
    InputError
        If it is not a CSV file.

    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    header_names, header_line = _csv_header(path, delimiter, shown)
    # A header may use a name twice; places are unique.
    places = [f"c{number}" for number in range(len(header_names))]
    where = {name: places[header_names.index(name)] for name in (*numbers, *texts)}
    misshapen = 0

    def count(row: Any) -> str:  # noqa: ARG001
        nonlocal misshapen
        misshapen += 1
        return "skip"

    def read(number_type: Any) -> Any:
        types = {where[name]: number_type for name in numbers}
        types |= {where[name]: pa.binary() for name in texts}
        return arrow_csv.read_csv(
            path,
            arrow_csv.ReadOptions(
                column_names=places, skip_rows=header_line, block_size=_BLOCK, use_threads=True
            ),
            arrow_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=count),
            arrow_csv.ConvertOptions(
                column_types=types,
                include_columns=list(dict.fromkeys(where.values())),
                null_values=EMPTY,
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )

    try:
        try:
            table = read(pa.float64())
        except pa.ArrowInvalid:  # a cell that is no number: read the text, to say which
            misshapen = 0
            table = read(pa.binary())
    except (pa.ArrowException, OSError) as error:
        if any(words in str(error) for words in _NO_ROWS):
            table = None
        else:
            reason = str(error).splitlines()[0]
            raise InputError(Issue(f"is not a CSV file: {reason}", file=shown)) from None
    lines = _Lines(path, delimiter, header_line, len(places), strict=bool(misshapen))
    # Rows pyarrow left out are never passed over, even where their lines cannot be told.
    wrong = (lines.misshapen() or [header_line + 1]) if misshapen else []
    if table is None:
        return Raw({}, 0, lines, "line", wrong)
    columns = {name: table.column(place) for name, place in where.items()}
    columns = {
        name: _floats(column) if pa.types.is_floating(column.type) else column
        for name, column in columns.items()
    }
    return Raw(columns, table.num_rows, lines, "line", wrong)


class _Lines:
    """Where the rows of a CSV file stand; the file is scanned only when somebody asks."""

    def __init__(
        self, path: Path, delimiter: str, header: int, width: int, *, strict: bool
    ) -> None:
        self.path, self.delimiter = path, delimiter
        self.header, self.width, self.strict = header, width, strict
        self._numbers: Any = None

    def __call__(self, rows: Any) -> list[int]:
        if self._numbers is None:
            self._numbers = self._scan()
        # Where quotes are out of step the last line is the best there is to name.
        last = len(self._numbers) - 1
        return [int(self._numbers[min(row, last)]) if last >= 0 else self.header for row in rows]

    def _scan(self) -> Any:
        """Return the line number of each row: blank and misshapen lines are no rows."""
        content = self._content()
        if self.strict or b'"' in content:
            return [number for number, width in self._rows(content) if width == self.width]
        letters = np.frombuffer(content, dtype=np.uint8)
        ends = np.append(np.flatnonzero(letters == ord("\n")), len(letters))
        lengths = np.diff(ends, prepend=-1) - 1
        filled = np.flatnonzero(lengths) + 1
        return filled[filled > self.header]

    def misshapen(self) -> list[int]:
        """Return the lines with another number of cells than the header."""
        rows = self._rows(self._content())
        return [number for number, width in rows if width != self.width]

    def _rows(self, content: bytes) -> list[tuple[int, int]]:
        """Return first line and number of cells of each row; a quoted cell may span lines."""
        found: list[tuple[int, int]] = []
        lines = io.StringIO(content.decode("latin-1"), newline="\n")
        reader = csv.reader(lines, delimiter=self.delimiter)
        number = 1
        while True:
            try:
                width = len(next(reader))
            except StopIteration:
                return found
            except csv.Error:
                width = -1
            if width and number > self.header:
                found.append((number, width))
            number = reader.line_num + 1

    def _content(self) -> bytes:
        """Return the file with one kind of line end: pyarrow takes all three."""
        return self.path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def count_rows(path: Path, kind: str) -> int:
    """Return how many rows a file has, to the line: without reading what they say."""
    if kind == "parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(path).num_rows)
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            lines += block.count(b"\n")
            last = block[-1:]
    return max(lines + (last != b"\n") - 1, 0)
