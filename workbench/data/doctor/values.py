"""What prices and sizes cannot be, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench.data.doctor.instruments import Known
from workbench.data.rows import PRICES, SCALE, SIZES, to_numpy
from workbench.study.datasets import Kind

if TYPE_CHECKING:
    import pyarrow as pa


class Fault(NamedTuple):
    """Rows with one fault: a mask of them, and what is wrong in words for the first of them."""

    code: str
    what: str
    rows: Any


def faults(
    kind: Kind, rows: pa.Table, precisions: tuple[int, int], known: Known | None
) -> Iterator[Fault]:
    """Yield what is wrong with the values of some rows of bars, quotes or trades.

    Parameters
    ----------
    kind
        What they are.
    rows
        In the engine's schema.
    precisions
        Decimals of prices and sizes, by the file.
    known
        The instrument, where the catalog has it.

    """
    import pyarrow as pa
    import pyarrow.compute as pc

    zero = pa.scalar(Decimal(0), pa.decimal128(38, SCALE))
    for name in PRICES[kind]:
        if known is None or known.above_zero:
            low = to_numpy(pc.less_equal(rows[name], zero))
            yield Fault("price", f"with {name} of zero or less", low)
    for name in SIZES[kind]:
        wrong = pc.less_equal if kind == "trades" else pc.less
        what = "of zero or less" if kind == "trades" else "below zero"
        yield Fault("size", f"with {name} {what}", to_numpy(wrong(rows[name], zero)))
    if kind == "bars":
        high, low = rows["high"], rows["low"]
        yield Fault("bar", "with high below low", to_numpy(pc.less(high, low)))
        for name in ("open", "close"):
            outside = pc.or_(pc.greater(rows[name], high), pc.less(rows[name], low))
            yield Fault("bar", f"with {name} outside low and high", to_numpy(outside))
    if kind == "quotes":
        crossed = to_numpy(pc.greater(rows["bid_price"], rows["ask_price"]))
        yield Fault("crossed", "with bid above ask", crossed)
    for names, place in ((PRICES[kind], 0), (SIZES[kind], 1)):
        increment = known.increments[place] if known else None
        for name in names:
            yield from _steps(name, rows[name], precisions[place], increment)


def _steps(name: str, column: Any, precision: int, increment: Decimal | None) -> Iterator[Fault]:
    """Yield values with more decimals than `precision`, and those between steps of `increment`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cut = column.cast(pa.decimal128(38, precision), safe=False)
    finer = to_numpy(pc.not_equal(cut.cast(column.type), column))
    yield Fault("precision", f"with {name} of more than {precision} decimals", finer)
    if increment is None or increment <= 0:
        return
    step = increment.scaleb(precision)
    if step == 1 or step % 1 or step >= 2**62:  # finer than the precision: every value fits
        return
    words = np.concatenate([_words(chunk) for chunk in cut.chunks])
    fits = words[:, 1] == words[:, 0] >> 63  # into 64 bits, with its sign
    between = fits & ~finer & (words[:, 0] % int(step) != 0)
    yield Fault("increment", f"with {name} no multiple of {increment.normalize():f}", between)


def _words(chunk: pa.Array) -> Any:
    """Return decimals as (n, 2) int64: low word, high word."""
    whole = np.frombuffer(chunk.buffers()[1], dtype=np.int64).reshape(-1, 2)
    return whole[chunk.offset : chunk.offset + len(chunk)]


def spike_columns(kind: Kind, rows: pa.Table) -> tuple[Any, Any]:
    """Return what is looked at for spikes: prices, and how far wicks stand off (log returns)."""
    values = [to_numpy(rows[name].cast("float64")) for name in PRICES[kind]]
    if kind != "bars":
        middle = sum(values[1:], start=values[0]) / len(values)
        return middle, np.zeros(len(middle))
    opened, high, low, close = values
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.log(high / np.maximum(opened, close))
        down = np.log(np.minimum(opened, close) / low)
    return close, np.nan_to_num(np.fmax(up, down), nan=0.0, posinf=0.0, neginf=0.0)
