"""Which of Databento's schemas gives what a study wants, and what it cannot want."""

from __future__ import annotations

import re

from workbench.core.errors import Issue
from workbench.data.intervals import Interval
from workbench.data.provider import Item
from workbench.study.datasets import DatabentoData, Kind

STEPS = {
    "ohlcv-1s": 10**9,
    "ohlcv-1m": 60 * 10**9,
    "ohlcv-1h": 3_600 * 10**9,
    "ohlcv-1d": 86_400 * 10**9,
}
"""Nanoseconds from the open of a bar, which is Databento's time of it, to its close."""

_BARS = {
    "1-SECOND-LAST": "ohlcv-1s",
    "1-MINUTE-LAST": "ohlcv-1m",
    "1-HOUR-LAST": "ohlcv-1h",
    "1-DAY-LAST": "ohlcv-1d",
}
# The first of each is what is taken if the study does not say.
_TICKS: dict[Kind, tuple[str, ...]] = {
    "trades": ("trades", "tbbo"),
    "quotes": ("mbp-1", "tbbo", "bbo-1s", "bbo-1m", "cmbp-1", "cbbo-1s", "cbbo-1m"),
    "order_book_deltas": ("mbo",),
    "order_book_depths": ("mbp-10",),
}
_CONTINUOUS = re.compile(r".+\.[cnv]\.[0-9]+")
_PARENT = re.compile(r".+\.(FUT|OPT|SPOT)")


def symbol_of(spec: DatabentoData) -> str:
    """Return Databento's symbol of the instrument."""
    return spec.symbol or spec.instrument.rpartition(".")[0]


def schemas(spec: DatabentoData) -> tuple[str, ...]:
    """Return the schemas that hold what is wanted, the usual one first; none if none does."""
    if spec.kind == "bars":
        return (_BARS[spec.bars],) if spec.bars in _BARS else ()
    return _TICKS[spec.kind]


def schema_of(spec: DatabentoData) -> str:
    """Return the schema to ask for; `check` has found that there is one."""
    return spec.schema_ or schemas(spec)[0]


def step_of(spec: DatabentoData) -> int:
    """Return the nanoseconds from Databento's time of a row to the engine's: a bar's length."""
    return STEPS.get(schemas(spec)[0], 0)


def asked(interval: Interval, step: int) -> tuple[int, int]:
    """Return the query for rows in `interval`: its start, and its end, which is not inside."""
    return max(interval[0] - step, 0), interval[1] - step + 1


def check(item: Item) -> list[Issue]:
    """Return what is wrong with a dataset, as far as that is known without asking anybody."""
    spec = item.spec
    assert isinstance(spec, DatabentoData)
    issues = [*_wanted(item, spec), *_symbol(item, spec)]
    if spec.path is not None:
        if spec.delivery == "batch":
            message = "files that are here are not delivered: remove 'delivery' or 'path'"
            issues.append(item.issue(message, "delivery"))
        return issues
    if spec.dataset is None:
        message = (
            "say in which of Databento's datasets it is, such as 'dataset: GLBX.MDP3' (CME Globex) "
            "or XNAS.ITCH (Nasdaq), or give the 'path' of files that are here"
        )
        issues.append(item.issue(message, "dataset"))
    for key in ("start", "end"):
        if getattr(spec, key) is None:
            message = f"say where the data are to {key}: a download is paid for by its size"
            issues.append(item.issue(message, key))
    return issues


def _wanted(item: Item, spec: DatabentoData) -> list[Issue]:
    fitting = schemas(spec)
    if spec.kind == "bars" and not fitting:
        message = (
            f"Databento has no bars of {spec.bars}. It has {', '.join(_BARS)}; others are made "
            "from these or from ticks as the strategy runs"
        )
        return [item.issue(message, "bars")]
    if spec.schema_ is None or spec.schema_ in fitting:
        return []
    what = f"bars of {spec.bars}" if spec.bars else spec.ticks or f"book {spec.book}"
    message = f"'{spec.schema_}' holds no {what}. Allowed: {', '.join(fitting)}"
    return [item.issue(message, "schema")]


def _symbol(item: Item, spec: DatabentoData) -> list[Issue]:
    symbol = symbol_of(spec)
    key = "symbol" if spec.symbol else "instrument"
    continuous = _CONTINUOUS.fullmatch(symbol) is not None
    if symbol == "ALL_SYMBOLS" or _PARENT.fullmatch(symbol):
        message = f"'{symbol}' stands for many instruments: a dataset is of one"
        return [item.issue(message, key)]
    if spec.symbology == "instrument_id" and not symbol.isdecimal():
        message = f"with 'symbology: instrument_id' the symbol is a number, found '{symbol}'"
        return [item.issue(message, key)]
    if continuous and spec.symbology == "raw_symbol":
        message = f"'{symbol}' is a continuous contract: add 'symbology: continuous'"
        return [item.issue(message, key)]
    if spec.symbology == "continuous" and not continuous:
        message = (
            f"'{symbol}' is no continuous contract: ROOT.RULE.RANK, such as ES.c.0 (rules: c by "
            "calendar, n by open interest, v by volume)"
        )
        return [item.issue(message, key)]
    return []
