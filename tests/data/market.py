"""Rows of any market, written straight into a project's catalog."""

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.core.project import Project
from workbench.data.catalog import CatalogFile, Dataset
from workbench.data.rows import table

SECOND = 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND


def ns(text: str) -> int:
    """Return a time in UTC as UNIX nanoseconds."""
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp()) * SECOND


def write(
    project: Project,
    kind: Any,
    identity: str,
    ts: Any,
    *,
    prices: Any = None,
    sizes: Any = None,
    interval: tuple[int, int] | None = None,
    provider: str = "file",
) -> CatalogFile:
    """Write rows at these times as one more file of a dataset.

    Prices are whole hundredths. Of bars they are closes; each opens at the close before it, and its
    high and low lie two hundredths beyond. Of quotes they are bids; the ask is three higher.
    """
    ts = np.asarray(ts, dtype=np.int64)
    prices = np.full(len(ts), 10_000) if prices is None else np.asarray(prices)
    sizes = np.full(len(ts), 7) if sizes is None else np.asarray(sizes)
    instrument = identity.rsplit("-", 4)[0] if kind == "bars" else identity
    values = {"ts": ts}
    if kind == "bars":
        opens = np.append(prices[:1], prices[:-1])
        values |= {"open": opens, "close": prices, "volume": sizes}
        values |= {"high": np.maximum(opens, prices) + 2, "low": np.minimum(opens, prices) - 2}
    elif kind == "quotes":
        values |= {"bid_price": prices, "ask_price": prices + 3, "bid_size": sizes}
        values |= {"ask_size": sizes}
    else:
        ids = pa.array([str(n) for n in range(len(ts))], pa.string())
        values |= {"price": prices, "size": sizes, "side": np.ones(len(ts)), "trade_id": ids}
    rows = table(kind, identity, instrument, values, price_precision=2, size_precision=0)
    span = interval or (int(ts.min()), int(ts.max()))
    return Dataset(project, kind, identity).write(rows, span, provider=provider, source="{}")


def walk(count: int, seed: int = 1) -> Any:
    """Return a random walk of prices, in hundredths."""
    return 10_000 + np.cumsum(np.random.default_rng(seed).integers(-9, 10, count))
