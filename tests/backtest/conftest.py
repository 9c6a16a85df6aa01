"""A finished run without an engine: an EMA cross over real daily bars, worked out by numpy."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest.statistics import statistics

START = 1_000_000.0
FEE = 0.0001
TRACEBACK = """Traceback (most recent call last):
  File "strategies/cross.py", line 41, in on_bar
    self.submit(self.config.trade_sizes)
AttributeError: 'CrossConfig' object has no attribute 'trade_sizes'"""
ORDERS = [
    "client_order_id",
    "instrument",
    "strategy",
    "side",
    "type",
    "quantity",
    "filled_qty",
    "price",
    "trigger_price",
    "avg_px",
    "time_in_force",
    "status",
    "reduce_only",
    "post_only",
    "ts_init",
    "ts_last",
    "reason",
]
FILLS = [
    "ts",
    "client_order_id",
    "trade_id",
    "position_id",
    "instrument",
    "side",
    "order_type",
    "quantity",
    "price",
    "commission",
    "currency",
    "liquidity",
]
POSITIONS = [
    "position_id",
    "instrument",
    "side",
    "quantity",
    "avg_open",
    "avg_close",
    "realized_pnl",
    "currency",
    "realized_return",
    "commission",
    "ts_opened",
    "ts_closed",
    "duration_s",
]


def daily_bars(symbol: str, start: str, end: str) -> pd.DataFrame:
    """Return real daily bars, adjusted, stamped at the close of New York's regular session."""
    from bokeh.sampledata import stocks

    raw = pd.DataFrame(getattr(stocks, symbol))
    raw.index = (pd.to_datetime(raw["date"]) + pd.Timedelta(hours=21)).dt.tz_localize("UTC")
    scale = raw["adj_close"] / raw["close"]
    bars = raw[["open", "high", "low", "close"]].mul(scale, axis=0)
    bars["volume"] = raw["volume"].astype(float)
    bars.index = bars.index.as_unit("ns").rename("ts")
    return bars.loc[start:end]


def minute_bars(rows: int, seed: int = 7) -> pd.DataFrame:
    """Return a random walk of one-minute bars."""
    rng = np.random.default_rng(seed)
    close = 1.25 * np.exp(np.cumsum(rng.normal(0, 2e-4, rows)))
    spread = np.abs(rng.normal(0, 1e-4, (2, rows)))
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) + spread[0], np.minimum(opened, close) - spread[1]
    times = pd.date_range("2012-01-02", periods=rows, freq="min", tz="UTC", unit="ns", name="ts")
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}
    return pd.DataFrame(columns, index=times)


@dataclass
class StandIn:
    """What the run store hands out, as far as statistics, charts and reports read it."""

    folder: Path
    tables: dict[str, pd.DataFrame]
    bars: dict[str, pd.DataFrame]
    params: dict[str, Any]
    id: str = "20260105-101530-ema-cross-7f3a"
    status: str = "done"
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    created: str = "2026-01-05T10:15:29Z"
    started: str | None = "2026-01-05T10:15:30Z"
    finished: str | None = "2026-01-05T10:15:31Z"
    seconds: float = 0.84
    peak_memory_mb: float = 183.4
    name: str = "ema-cross"
    description: str = "EMA cross, long and short, on daily bars"

    def __post_init__(self) -> None:
        times = [np.asarray(bars.index, "datetime64[ns]") for bars in self.bars.values()]
        equity, positions, fills = (self.tables[k] for k in ("equity", "positions", "fills"))
        price_times = np.concatenate(times) if times else None
        self.statistics = statistics(equity, positions, fills, price_times=price_times)
        ends = equity.groupby("currency")["equity"].last()
        self.balances = {str(k): f"{v:.2f}" for k, v in ends.items()}
        self.pnl = {str(k): f"{v - START:.2f}" for k, v in ends.items()}
        self.n_orders, self.n_fills = len(self.tables["orders"]), len(fills)
        self.digest = hashlib.sha256(fills.to_csv().encode()).hexdigest()
        self.digests = {
            "study": "5d0c" * 16,
            "strategy": "a1b2" * 16,
            "data": dict.fromkeys(self.bars, "77e0" * 16),
            "engine": "nautilus_trader 2.0.0rc6",
            "fills": self.digest,
        }
        self.study = {
            "schema": 1,
            "study": self.name,
            "description": self.description,
            "data": [
                {"provider": "sample", "instrument": name, "bars": "1-DAY-LAST"}
                for name in self.bars
            ],
            "venues": [{"name": "XNAS", "account": "margin", "balances": ["1_000_000 USD"]}],
            "strategy": {"path": "workbench.strategies.ema_cross:EMACross", "params": self.params},
        }

    def orders(self) -> pd.DataFrame:
        return self.tables["orders"]

    def fills(self) -> pd.DataFrame:
        return self.tables["fills"]

    def positions(self) -> pd.DataFrame:
        return self.tables["positions"]

    def equity(self) -> pd.DataFrame:
        return self.tables["equity"]

    def prices(self) -> dict[str, pd.DataFrame]:
        return self.bars


def simulate(
    folder: Path,
    bars: dict[str, pd.DataFrame],
    *,
    fast: int = 10,
    slow: int = 50,
    trade_size: float = 5_000,
    currencies: dict[str, str] | None = None,
    **about: Any,
) -> StandIn:
    """Trade an EMA cross, long and short, at the close; the last position stays open."""
    codes = {name: (currencies or {}).get(name, "USD") for name in bars}
    orders, fills, positions, curves = [], [], [], {}
    for name, frame in bars.items():
        close = frame["close"]
        side = np.sign(close.ewm(span=fast).mean() - close.ewm(span=slow).mean())
        target = side.where(np.arange(len(side)) >= slow, 0).to_numpy() * trade_size
        change = np.diff(target, prepend=0)
        price, cash = close.to_numpy(), np.cumsum(-change * close.to_numpy())
        cash -= np.cumsum(np.abs(change) * price * FEE)
        curve = pd.Series(cash + target * price, index=frame.index)
        curves.setdefault(codes[name], []).append(curve)
        at = np.flatnonzero(change)
        for n, i in enumerate(at):
            closing = i if n + 1 == len(at) else at[n + 1]
            key, currency = f"{name}-{n + 1}", codes[name]
            direction, opened = np.sign(target[i]), frame.index[i]
            done = n + 1 < len(at)
            quantity, fee = abs(change[i]), abs(change[i]) * price[i] * FEE
            action = "BUY" if change[i] > 0 else "SELL"
            orders.append(
                dict.fromkeys(ORDERS)
                | {"client_order_id": f"O-{key}", "instrument": name, "side": action}
                | {"type": "MARKET", "quantity": quantity, "status": "FILLED", "ts_init": opened}
            )
            row = (opened, f"O-{key}", f"T-{key}", f"P-{key}", name, action, "MARKET", quantity)
            fills.append((*row, price[i], fee, currency, "TAKER"))
            gross = direction * trade_size * (price[closing] - price[i])
            commission = trade_size * FEE * (price[i] + (price[closing] if done else 0))
            pnl = gross - commission if done else -commission
            values = (
                f"P-{key}",
                name,
                "LONG" if direction > 0 else "SHORT",
                trade_size,
                price[i],
                price[closing] if done else np.nan,
                pnl,
                currency,
                pnl / (trade_size * price[i]),
                commission,
                opened,
                frame.index[closing] if done else pd.NaT,
                (frame.index[closing] - opened).total_seconds(),
            )
            positions.append(values)
    equity = []
    for currency, parts in curves.items():
        total = START + pd.concat(parts, axis=1).ffill().fillna(0).sum(axis=1)
        total = pd.concat([pd.Series(START, index=[total.index[0].normalize()]), total])
        step = max(1, len(total) // 5_000)
        equity.append(pd.DataFrame({"currency": currency, "equity": total.iloc[::step]}))
    frame = pd.concat(equity).rename_axis("ts").reset_index()
    tables = {
        "orders": pd.DataFrame(orders, columns=ORDERS),
        "fills": pd.DataFrame(fills, columns=FILLS),
        "positions": pd.DataFrame(positions, columns=POSITIONS),
        "equity": frame,
    }
    for table in (frame, tables["fills"], tables["positions"]):
        for column in table.columns[table.columns.str.startswith("ts")]:
            table[column] = pd.to_datetime(table[column], utc=True).dt.as_unit("ns")
    params = {"fast": fast, "slow": slow, "trade_size": trade_size}
    return StandIn(folder, tables, bars, params, **about)


@pytest.fixture(scope="session")
def bars() -> Any:
    """Return real daily bars by symbol, start and end."""
    return daily_bars


@pytest.fixture(scope="session")
def many_bars() -> Any:
    """Return a function that makes so many one-minute bars."""
    return minute_bars


@pytest.fixture(scope="session")
def simulated() -> Any:
    """Return the function that makes a finished run from bars."""
    return simulate


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StandIn]:
    """Return one run of each kind."""

    def folder(name: str) -> Path:
        return tmp_path_factory.mktemp(name)

    aapl = {"AAPL.XNAS": daily_bars("AAPL", "2005", "2013")}
    shares = {f"{s}.XNAS": daily_bars(s, "2005", "2013") for s in ("AAPL", "MSFT", "GOOG")}
    minutes = {"GBP/USD.SIM": minute_bars(30_000)}
    euros = {"MSFT.XNAS": "EUR"}
    empty = simulate(folder("empty"), {"AAPL.XNAS": daily_bars("AAPL", "2005", "2005-02")})
    empty.warnings.append("no trades: the strategy placed no order")
    many = simulate(folder("many"), minutes, fast=2, slow=5, trade_size=100_000)
    return {
        "one": simulate(folder("one"), aapl),
        "several": simulate(folder("several"), shares),
        "currencies": simulate(folder("currencies"), shares, currencies=euros),
        "many": many,
        "empty": empty,
        "failed": _failed(folder("failed")),
    }


def _failed(folder: Path) -> StandIn:
    bars = {"AAPL.XNAS": daily_bars("AAPL", "2005", "2005-02")}
    run = simulate(folder, bars, status="failed", error=TRACEBACK, finished=None)
    nothing = {name: table.iloc[:0] for name, table in run.tables.items()}
    return StandIn(folder, nothing, {}, run.params, status="failed", error=TRACEBACK)
