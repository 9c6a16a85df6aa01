"""Limits on losses, held against a backtest's equity afterwards: where a live node would act."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal

from workbench.study import Risk
from workbench.study.fields import split_money

_DAY_NS = 86_400 * 10**9


def broken(risk: Risk, samples: Iterable[tuple[int, str, float]]) -> Iterator[str]:
    """Yield a sentence for each limit on losses that the equity went beyond, once.

    Parameters
    ----------
    risk
        The study's policy.
    samples
        ``(UNIX nanoseconds, currency, equity)`` in order of time. What happens between two of
        them is not seen.

    """
    found: dict[str, str] = {}
    peaks: dict[str, float] = {}
    midnights: dict[str, tuple[int, float]] = {}
    last: dict[str, float] = {}
    fall = float(Decimal(risk.max_drawdown.rstrip("%")) / 100) if risk.max_drawdown else None
    loss, coin = split_money(risk.max_daily_loss) if risk.max_daily_loss else (None, "")
    for at, code, value in samples:
        peak = peaks[code] = max(value, peaks.get(code, value))
        day = at // _DAY_NS
        if code not in midnights or midnights[code][0] != day:
            midnights[code] = (day, last.get(code, value))
        last[code] = value
        if fall is not None and peak > 0 and 1 - value / peak > fall:
            text = f"equity in {code} {1 - value / peak:.1%} below its peak"
            found.setdefault("max_drawdown", _said(f"max_drawdown {risk.max_drawdown}", at, text))
        lost = midnights[code][1] - value
        if loss is not None and code == coin and lost > float(loss):
            text = f"{lost:,.0f} {code} lost in a day"
            limit = f"max_daily_loss {risk.max_daily_loss}"
            found.setdefault("max_daily_loss", _said(limit, at, text))
    yield from found.values()


def _said(limit: str, at: int, text: str) -> str:
    day = dt.datetime.fromtimestamp(at // 10**9, dt.UTC)
    return f"{limit} was broken on {day:%Y-%m-%d} ({text}): a live node would have acted there"
