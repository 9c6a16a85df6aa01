"""From an exchange's decimal strings to rows of the catalog; no price ever becomes a float."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from workbench.data.exchanges.service import Trouble
from workbench.data.intervals import Interval, iso
from workbench.data.rows import SIDES, table

if TYPE_CHECKING:
    import pyarrow as pa

type Candle = tuple[str, ...]
"""Open, high, low, close and volume, as the exchange writes them."""

_DECIMALS = 18  # the most that fit 128 bits beside any price
_WIDE = Context(prec=38)
BUY, SELL = SIDES.index("BUY"), SIDES.index("SELL")


class Precise(Protocol):
    """What tells how many decimals prices and sizes have: an instrument's definition."""

    @property
    def price_precision(self) -> int: ...  # noqa: D102

    @property
    def size_precision(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Rows:
    """A table, and what is to be said of it."""

    table: pa.Table
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Trades:
    """Trades in the order the exchange made them.

    Attributes
    ----------
    ts
        int64 UNIX nanoseconds, not falling.
    price, size
        Arrow string arrays.
    side
        int8, `BUY` or `SELL`: the taker's.
    ids
        Arrow string array.

    """

    ts: Any
    price: pa.Array
    size: pa.Array
    side: Any
    ids: pa.Array

    @classmethod
    def of(cls, trades: Iterable[tuple[int, str, str, int, str]]) -> Trades:
        """Make it of single trades: time, price, size, side, id."""
        import pyarrow as pa

        columns = list(zip(*trades, strict=True)) or [()] * 5
        text = [pa.array(columns[at], pa.string()) for at in (1, 2, 4)]
        ts = np.array(columns[0], dtype=np.int64)
        return cls(ts, text[0], text[1], np.array(columns[3], dtype=np.int8), text[2])

    def __len__(self) -> int:
        return len(self.ts)

    def part(self, first: int, last: int) -> Trades:
        """Return the trades of a span of time, both ends inside."""
        begin = int(np.searchsorted(self.ts, first, side="left"))
        end = int(np.searchsorted(self.ts, last, side="right"))
        rows = slice(begin, end)
        text = [column[rows] for column in (self.price, self.size, self.ids)]
        return Trades(self.ts[rows], text[0], text[1], self.side[rows], text[2])


def join(parts: Sequence[Trades]) -> Trades:
    """Return several parts, in order, as one."""
    import pyarrow as pa

    if not parts:
        return Trades.of([])
    return Trades(
        np.concatenate([part.ts for part in parts]),
        pa.concat_arrays([part.price for part in parts]),
        pa.concat_arrays([part.size for part in parts]),
        np.concatenate([part.side for part in parts]),
        pa.concat_arrays([part.ids for part in parts]),
    )


def bar_rows(
    candles: Mapping[int, Candle], step: int, identity: str, instrument: str, precise: Precise
) -> Rows:
    """Return candles by the nanosecond they open as bars stamped at their close.

    Raises
    ------
    ValueError
        If a number is larger than the catalog holds.

    """
    import pyarrow as pa

    opens = np.array(sorted(candles), dtype=np.int64)
    ts = opens + step
    values: dict[str, Any] = {"ts": ts}
    inexact = []
    names = ("open", "high", "low", "close", "volume")
    for at, name in enumerate(names):
        texts = pa.array([candles[int(moment)][at] for moment in opens], pa.string())
        precision = precise.size_precision if name == "volume" else precise.price_precision
        values[name], rounded = units(texts, precision)
        inexact.append(rounded)
    rows = table(
        "bars",
        identity,
        instrument,
        values,
        price_precision=precise.price_precision,
        size_precision=precise.size_precision,
    )
    prices = np.logical_or.reduce(inexact[:4])
    return Rows(rows, _finer(identity, ts, prices, inexact[4], "volumes", precise))


def trade_rows(trades: Trades, instrument: str, precise: Precise) -> Rows:
    """Return trades as rows; those of no size are left out, which is said.

    Raises
    ------
    ValueError
        If a number is none, or a price or size is negative.

    """
    import pyarrow as pa

    price, coarse_price = units(trades.price, precise.price_precision)
    size, coarse_size = units(trades.size, precise.size_precision)
    if len(price) and (price.min() <= 0 or size.min() < 0):
        raise ValueError("a trade has a price or size below zero")
    keep = (size > 0) | coarse_size
    warnings = list(_finer(instrument, trades.ts, coarse_price, coarse_size, "sizes", precise))
    if not keep.all():
        where = iso(int(trades.ts[~keep][0]))
        count = int((~keep).sum())
        warnings.append(f"{instrument}: {count} trades of size 0 left out, the first at {where}")
    values = {
        "price": price[keep],
        # What is smaller than the least quantity the engine knows is that quantity.
        "size": np.maximum(size[keep], 1),
        "side": trades.side[keep],
        "trade_id": trades.ids.filter(pa.array(keep)),
        "ts": trades.ts[keep],
    }
    rows = table(
        "trades",
        instrument,
        instrument,
        values,
        price_precision=precise.price_precision,
        size_precision=precise.size_precision,
    )
    return Rows(rows, tuple(warnings))


def page_of(
    rows: Iterable[tuple[int, Candle]], first: int, last: int, step: int
) -> dict[int, Candle]:
    """Return a page of candles by the nanosecond they open.

    Those that make no sense (no number, high below low) are left out, as if they were not there.

    Raises
    ------
    Trouble
        If the page cannot be the answer to a request for candles from `first` to `last`.

    """
    found: dict[int, Candle] = {}
    for moment, candle in rows:
        if not first <= moment <= last or (moment - first) % step:
            raise Trouble(f"it answered with a bar of another time, {iso(moment)}")
        if found.setdefault(moment, candle) != candle:
            raise Trouble(f"it answered with two different bars of {iso(moment)}")
    return {moment: candle for moment, candle in found.items() if _sensible(candle)}


def _sensible(candle: Candle) -> bool:
    try:
        begin, high, low, end, volume = map(Decimal, candle)
        return 0 < low <= min(begin, end) <= max(begin, end) <= high < 10**15 and volume >= 0
    except (ArithmeticError, TypeError, ValueError):  # comparing with NaN raises too
        return False


def units(texts: pa.Array, precision: int) -> tuple[Any, Any]:
    """Return decimal strings as whole units of the last decimal, and where they had more of them.

    What has more is rounded, half to even: an exchange that makes its steps coarser still serves
    the finer prices of before.

    Raises
    ------
    ValueError
        If a text is no number.

    """
    import pyarrow as pa
    import pyarrow.compute as pc

    fine = pa.decimal128(38, _DECIMALS)
    if texts.null_count:
        raise ValueError("a price or quantity is no number")
    try:
        exact = texts.cast(fine)
    except pa.ArrowInvalid:
        exact = pa.array([_decimal(text) for text in texts.to_pylist()], fine)
    rounded = pc.round(exact, precision, "half_to_even")
    words = rounded.cast(pa.decimal128(38, precision))
    low, high = (
        np.frombuffer(words.buffers()[1], dtype=np.int64)
        .reshape(-1, 2)[words.offset : words.offset + len(words)]
        .T
    )
    if (low >> 63 != high).any():
        raise ValueError("a price or quantity is larger than the catalog holds")
    inexact = pc.not_equal(rounded, exact).to_numpy(zero_copy_only=False)
    return low, inexact.astype(bool)


def _decimal(text: str | None) -> Decimal:
    """Read what pyarrow cannot: more than 18 decimals."""
    try:
        number = Decimal(text or "")
    except ArithmeticError:
        raise ValueError(f"'{text}' is no number") from None
    if not number.is_finite() or abs(number) >= 10**19:
        raise ValueError(f"'{text}' is no price or quantity")
    return number.quantize(Decimal(1).scaleb(-_DECIMALS), context=_WIDE)


def _finer(
    name: str, ts: Any, prices: Any, sizes: Any, what: str, precise: Precise
) -> tuple[str, ...]:
    """Say where the exchange's numbers are finer than the instrument's."""
    said = []
    for kind, mask, precision in (
        ("prices", prices, precise.price_precision),
        (what, sizes, precise.size_precision),
    ):
        if mask.any():
            said.append(
                f"{name}: {int(mask.sum())} {kind} have more than the {precision} decimals the "
                f"instrument has today and were rounded, the first at {iso(int(ts[mask][0]))}"
            )
    return tuple(said)


def spans(missing: Sequence[int], step: int) -> list[Interval]:
    """Return sorted moments as spans of neighbours: first and last of each."""
    found: list[Interval] = []
    for _, group in itertools.groupby(enumerate(missing), lambda each: each[1] - each[0] * step):
        moments = [moment for _, moment in group]
        found.append((moments[0], moments[-1]))
    return found
