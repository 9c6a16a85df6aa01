"""From the columns of a source file to checked rows in the engine's schema."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.errors import InputError, Issue
from workbench.data.faults import Faults
from workbench.data.gaps import find_gaps
from workbench.data.intervals import iso
from workbench.data.provider import Chunk
from workbench.data.rows import PRICES, SIDES, SIZES, table, to_numpy
from workbench.data.tabular import EMPTY, Raw, as_floats
from workbench.data.timestamps import FIXED, HINT, TIME_UNITS, at_close, parse
from workbench.data.timezones import Zone
from workbench.engine.instruments import Definition
from workbench.study.datasets import FileData

_MAX_TRADE_ID = 36
UNKNOWN_SIZE = 1_000_000_000
_SIDES = {"buy": 1, "b": 1, "bid": 1, "sell": 2, "s": 2, "ask": 2}
_NO_SIDE = ("", "none", "no_aggressor", "unknown")


class Importer:
    """Checks the rows of one file and turns them into the engine's.

    Parameters
    ----------
    spec
        What the study wants of the file.
    instrument
        Whose precisions the rows must fit.
    names
        The file's column for each of the engine's; None where the file has none.
    raw
        The columns, as read.
    faults
        Takes what is wrong.

    """

    def __init__(
        self,
        spec: FileData,
        instrument: Definition,
        names: dict[str, str | None],
        raw: Raw,
        faults: Faults,
    ) -> None:
        self.spec, self.instrument, self.names = spec, instrument, names
        self.raw, self.faults = raw, faults
        self.zone = Zone(spec.timezone)
        self.bad = np.zeros(raw.rows, dtype=bool)

    def run(self) -> Chunk:
        """Return all rows of the file.

        Raises
        ------
        InputError
            With every fault that the study does not allow to mend.

        """
        spec, faults = self.spec, self.faults
        if self.raw.misshapen:
            self._misshapen()
        values: dict[str, Any] = {
            name: self._number(name) for name in (*PRICES[spec.kind], *SIZES[spec.kind])
        }
        values["ts"] = self._times()
        if spec.kind == "trades":
            values["side"] = self._sides()
            values["trade_id"] = self._trade_ids()
        self._judge(values)
        units = self._units(values)
        keep = self._order(values["ts"], values.get("trade_id"))
        faults.raise_if_any()
        if not len(keep):
            raise InputError(Issue("holds no row that can be used", file=faults.file))
        rows = table(
            spec.kind,
            spec.identity,
            spec.instrument,
            {name: _take(column, keep) for name, column in (values | units).items()},
            price_precision=self.instrument.price_precision,
            size_precision=self.instrument.size_precision,
        )
        ts = values["ts"][keep]
        gaps = find_gaps(spec.kind, spec.identity, ts)
        if gaps.count:
            faults.warnings.append(f"{faults.file}: {gaps}")
        if spec.bars and (close := self._closer_than_bars(ts)):
            faults.warnings.append(
                f"{faults.file}: {close:,} bars come sooner after the one before than a bar of "
                f"{spec.bars} lasts: is the bar specification right?"
            )
        return Chunk((int(ts[0]), int(ts[-1])), rows, tuple(faults.warnings))

    def _closer_than_bars(self, ts: Any) -> int:
        step, unit, _ = str(self.spec.bars).split("-")
        length = int(step) * FIXED.get(unit, 0)
        return int(np.count_nonzero(np.diff(ts) < length))

    def _misshapen(self) -> None:
        lines = self.raw.misshapen
        faults = Faults(self.faults.file, list, "line", self.spec.clean)
        faults.add(np.array(lines), lambda _: "too many or too few cells", "drop_invalid")
        self.faults.issues += faults.issues
        self.faults.warnings += faults.warnings

    def _fault(self, mask: Any, message: Any, cleaning: str | None = "drop_invalid") -> None:
        """Note rows that are wrong; later checks leave them alone."""
        mask = mask & ~self.bad
        if mask.any():
            self.faults.add(mask, message, cleaning)
            self.bad |= mask

    def _column(self, name: str) -> Any:
        column = self.names[name]
        return None if column is None else self.raw.columns[column]

    def _number(self, name: str) -> Any:
        column = self._column(name)
        if column is None:
            return np.full(self.raw.rows, self._unknown_size(name))
        numbers, shown = as_floats(column), self.names[name]
        if numbers is None:
            cells = [_text(cell) for cell in column.to_pylist()]
            numbers, wrong = _parse_numbers(cells)
            message = f"{shown} is not a number: "
            self._fault(wrong, lambda row: message + repr(cells[row][:40]))
        self._fault(np.isnan(numbers), lambda _: f"{shown} is empty or NaN")
        self._fault(np.isinf(numbers), lambda _: f"{shown} is infinite")
        return numbers

    def _unknown_size(self, name: str) -> float:
        """Return the size given to rows of a file that has none, and say so.

        The engine fills an order from the sizes it sees, a quarter of a bar's volume at each of
        its four prices: a small number would fill orders in parts, at stale prices.
        """
        size = float(min(UNKNOWN_SIZE, 10 ** (18 - self.instrument.size_precision)))
        self.faults.warnings.append(
            f"{self.faults.file}: no column for {name}, taken as {size:,.0f}: no order exhausts it"
        )
        return size

    def _times(self) -> Any:
        spec, column = self.spec, self._column("timestamp")
        if isinstance(column, np.ndarray):
            message = f"column '{self.names['timestamp']}' holds fractions: {HINT}"
            raise InputError(Issue(message, file=self.faults.file))
        times = parse(column, self.zone, spec.timestamp_unit)

        def shown(row: int) -> str:
            return repr(_cell(column[row])[:40])

        self._fault(times.unreadable, lambda row: f"{shown(row)} is no timestamp: {HINT}")
        self._fault(times.outside, lambda row: f"{shown(row)} is not between 1970 and 2261")
        zone = spec.timezone
        self._fault(
            times.skipped,
            lambda row: f"{shown(row)} does not exist in {zone}: clocks are put forward over it",
        )
        self._fault(
            times.repeated,
            lambda row: (
                f"{shown(row)} comes twice in {zone}, when clocks are put back: write the offset "
                "from UTC"
            ),
        )
        if not spec.bars:
            return times.ts
        step, unit, _ = spec.bars.split("-")
        if spec.timestamp_marks == "open":
            return at_close(np.where(self.bad, 0, times.ts), int(step), unit, self.zone)
        if times.midnights and unit in ("DAY", "WEEK", "MONTH", "YEAR"):
            self.faults.warnings.append(
                f"{self.faults.file}: every timestamp is a midnight, taken as the time its bar "
                "closes. If they are the days the bars are of, the engine would see each a day "
                "early: set 'timestamp_marks: open'"
            )
        return times.ts

    def _judge(self, values: dict[str, Any]) -> None:
        """Check the rows against what prices and sizes can be."""
        names = self.names
        for name in PRICES[self.spec.kind]:
            column = values[name]
            self._fault(
                column <= 0,
                lambda row, name=name, column=column: (
                    f"{names[name]} is {_plain(column[row])}: a price is above 0"
                ),
            )
        for name in SIZES[self.spec.kind]:
            column = values[name]
            low = column <= 0 if self.spec.kind == "trades" else column < 0
            rule = "a trade has a size above 0" if self.spec.kind == "trades" else "never negative"
            self._fault(
                low,
                lambda row, name=name, column=column, rule=rule: (
                    f"{names[name]} is {_plain(column[row])}: {rule}"
                ),
            )
        if self.spec.kind == "bars":
            opens, highs, lows, closes = (values[n] for n in ("open", "high", "low", "close"))
            self._fault(
                highs < lows,
                lambda row: f"high {_plain(highs[row])} is below low {_plain(lows[row])}",
            )
            for name, column in (("open", opens), ("close", closes)):
                self._fault(
                    (column > highs) | (column < lows),
                    lambda row, name=name, column=column: (
                        f"{name} {_plain(column[row])} is not between low {_plain(lows[row])} "
                        f"and high {_plain(highs[row])}"
                    ),
                )
        elif self.spec.kind == "quotes":
            bids, asks = values["bid_price"], values["ask_price"]
            self._fault(
                bids > asks,
                lambda row: f"bid {_plain(bids[row])} is above ask {_plain(asks[row])}",
            )

    def _units(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return prices and sizes as whole units of their last decimal."""
        units = {}
        for what, names in (("price", PRICES[self.spec.kind]), ("size", SIZES[self.spec.kind])):
            precision = getattr(self.instrument, f"{what}_precision")
            for name in names:
                column = values[name]
                whole, extra, large = _whole(np.where(self.bad, 0, column), precision)
                self._fault(
                    large,
                    lambda row, name=name, column=column: (
                        f"{self.names[name]} {_plain(column[row])} has more digits than can be "
                        "read exactly"
                    ),
                    None,
                )
                self._fault(
                    extra,
                    lambda row, name=name, column=column, what=what, precision=precision: (
                        f"{self.names[name]} {_plain(column[row])} has more than the {precision} "
                        f"decimals of the instrument: raise its {what}_precision, or round the file"
                    ),
                    None,
                )
                units[name] = whole
        return units

    def _sides(self) -> Any:
        column = self._column("side")
        if column is None:
            return np.zeros(self.raw.rows, dtype=np.int8)
        cells = [_text(cell).strip().lower() for cell in _cells(column)]
        sides = {name: _SIDES.get(name, 0) for name in set(cells)}
        unknown = {name for name in sides if name not in _SIDES and name not in _NO_SIDE}
        wrong = np.array([cell in unknown for cell in cells], dtype=bool)
        message = "side {!r} is neither buy nor sell"
        self._fault(wrong, lambda row: message.format(cells[row][:40]))
        assert SIDES[1] == "BUY"
        return np.array([sides[cell] for cell in cells], dtype=np.int8)

    def _trade_ids(self) -> Any:
        import pyarrow as pa

        column = self._column("trade_id")
        if column is None:
            return pa.array(np.arange(1, self.raw.rows + 1)).cast(pa.string())
        cells = [_text(cell).strip() for cell in _cells(column)]
        wrong = np.array(
            [not (0 < len(cell) <= _MAX_TRADE_ID and cell.isascii()) for cell in cells], dtype=bool
        )
        rule = f"a trade id has 1 to {_MAX_TRADE_ID} plain characters, found "
        self._fault(wrong, lambda row: rule + repr(cells[row][:40]))
        return pa.array(cells, pa.string())

    def _order(self, ts: Any, trade_ids: Any) -> Any:
        """Return the row numbers to keep, in order of time."""
        rows = np.flatnonzero(~self.bad)
        moments = ts[rows]
        back = np.flatnonzero(np.diff(moments) < 0) + 1
        if len(back):
            first, before = (iso(int(ts[rows[back[0] - step]])) for step in (0, 1))
            self.faults.add(
                rows[back],
                lambda _: f"{first} comes after {before}: not sorted",
                "sort",
                "sorted",
            )
            rows = rows[np.argsort(moments, kind="stable")]
        return self._without_duplicates(rows, ts, trade_ids)

    def _without_duplicates(self, rows: Any, ts: Any, trade_ids: Any) -> Any:
        """Return `rows` with the last of each set of duplicates only."""
        if self.spec.bars and self.spec.bars.split("-")[1] in TIME_UNITS:
            what, ids = "a bar of this time", np.zeros(len(ts), dtype=np.int32)
        elif self.spec.kind == "trades" and self.names["trade_id"] is not None:
            what, ids = "this trade id", to_numpy(trade_ids.dictionary_encode().indices)
        else:
            return rows  # two quotes, or bars of so many ticks, may well share a time
        ordered = rows[np.lexsort((rows, ids[rows], ts[rows]))]
        same = (np.diff(ts[ordered]) == 0) & (np.diff(ids[ordered]) == 0)
        earlier, later = ordered[:-1][same], ordered[1:][same]
        if not len(later):
            return rows
        before = dict(zip(later.tolist(), earlier.tolist(), strict=True))
        unit, line_of = self.faults.unit, self.faults.line_of
        self.faults.add(
            np.sort(later),
            lambda row: (
                f"{what} ({iso(int(ts[row]))}) is there already, in {unit} "
                f"{line_of([before[row]])[0]}"
            ),
            "drop_duplicates",
            f"the last one kept, {self._differing(earlier, later)} differed",
        )
        return rows[~np.isin(rows, earlier)]

    def _differing(self, some: Any, others: Any) -> int:
        """Return how many pairs of rows have other prices or sizes."""
        differ = np.zeros(len(some), dtype=bool)
        for name in (*PRICES[self.spec.kind], *SIZES[self.spec.kind]):
            column = self._column(name)
            if isinstance(column, np.ndarray):
                differ |= column[some] != column[others]
            elif column is not None:
                cells = column.to_pylist()
                differ |= [cells[a] != cells[b] for a, b in zip(some, others, strict=True)]
        return int(differ.sum())


def _whole(numbers: Any, precision: int) -> tuple[Any, Any, Any]:
    """Return whole units of the last decimal, where there are more decimals, and too many digits.

    A float is the nearest one to a decimal or a few roundings away from it: that much is noise.
    """
    epsilon = np.finfo(numbers.dtype).eps
    scaled = numbers.astype(np.float64) * 10.0**precision
    size = np.abs(scaled)
    whole = np.rint(scaled)
    noise = np.minimum(np.maximum(size, 1.0) * 4 * epsilon, 0.25)
    large = size >= 2 / epsilon
    extra = (np.abs(scaled - whole) > noise) & ~large
    return np.where(large, 0, whole).astype(np.int64), extra, large


def _parse_numbers(cells: list[str]) -> tuple[Any, Any]:
    """Return floats (NaN where empty) and a mask of cells that are no numbers."""
    numbers, wrong = np.zeros(len(cells)), np.zeros(len(cells), dtype=bool)
    for row, cell in enumerate(cells):
        text = cell.strip()
        if text in EMPTY:
            numbers[row] = np.nan
            continue
        try:
            # Python reads 1_000 as a number; nothing that writes CSV means one by it.
            numbers[row] = float(text.replace("_", "?"))
        except ValueError:
            wrong[row] = True
    return numbers, wrong


def _cells(column: Any) -> list[Any]:
    if isinstance(column, np.ndarray):
        return [f"{number:.15g}" for number in column]
    cells: list[Any] = column.to_pylist()
    return cells


def _cell(scalar: Any) -> str:
    """Return a cell as text; Parquet holds times no Python type reaches."""
    import pyarrow as pa

    try:
        return _text(scalar.as_py())
    except (OverflowError, ValueError):
        return f"{scalar.cast(pa.int64())} {scalar.type}"


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return "" if value is None else str(value)


def _plain(number: float) -> str:
    return f"{number:.15g}"


def _take(column: Any, rows: Any) -> Any:
    whole = len(rows) == len(column) and (len(rows) == 0 or bool((np.diff(rows) == 1).all()))
    if whole:
        return column
    return column[rows] if isinstance(column, np.ndarray) else column.take(rows)
