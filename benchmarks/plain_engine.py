"""The yardstick: EMA cross on one-minute bars, run by a plain script without the workbench.

    python -m benchmarks.plain_engine CATALOG BAR_TYPE [FAST SLOW]

Nothing is left in that a careful hand would leave out: the bars come straight from a catalog, the
log is at WARNING, no report is made. Prints one JSON document; the wall time of the whole process,
imports included, is for the caller to measure.
"""

import json
import sys
import time
from decimal import Decimal
from pathlib import Path

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType,
    Bar,
    BarType,
    Currency,
    Equity,
    InstrumentId,
    Money,
    OmsType,
    Price,
    Quantity,
    Symbol,
    Venue,
)
from nautilus_trader.persistence import ParquetDataCatalog

from workbench.strategies.ema_cross import EMACross, EMACrossConfig

BARS = 500_000
BAR_TYPE = "SYN.SIM-1-MINUTE-LAST-EXTERNAL"
INSTRUMENT = Equity(
    instrument_id=InstrumentId.from_str("SYN.SIM"),
    raw_symbol=Symbol("SYN"),
    currency=Currency.from_str("USD"),
    price_precision=2,
    price_increment=Price.from_str("0.01"),
    ts_event=0,
    ts_init=0,
)


def make_catalog(path: Path | str, bars: int = BARS, *, seed: int = 7) -> str:
    """Write a random walk of one-minute bars, with its instrument, into a new catalog.

    Parameters
    ----------
    path
        Folder of the catalog.
    bars
        How many, one per minute from 2020-01-01T00:01Z.
    seed
        The same seed gives the same bars.

    Returns
    -------
    str
        The bar type.

    """
    import numpy as np  # not needed to run: the yardstick is not charged for it

    rng = np.random.default_rng(seed)
    # In cents and integers, so that the walk is the same on every machine.
    close = 1_000_000 + np.cumsum(rng.integers(-10, 11, bars))
    open_ = np.concatenate(([1_000_000], close[:-1]))
    high = np.maximum(open_, close) + rng.integers(0, 6, bars)
    low = np.minimum(open_, close) - rng.integers(0, 6, bars)
    if low.min() <= 0:
        raise ValueError(f"seed {seed} walks below zero: take another")
    minute = 60_000_000_000
    ts = 1_577_836_800_000_000_000 + minute * np.arange(1, bars + 1)

    bar_type, volume = BarType.from_str(BAR_TYPE), Quantity.from_int(1_000_000)
    columns = [(column / 100).tolist() for column in (open_, high, low, close)]
    rows = [
        Bar(bar_type, *(Price(price, 2) for price in prices), volume, at, at)
        for *prices, at in zip(*columns, ts.tolist(), strict=True)
    ]
    Path(path).mkdir(parents=True, exist_ok=True)
    catalog = ParquetDataCatalog(str(path))
    catalog.write_instruments([INSTRUMENT])
    catalog.write_bars(rows)
    return BAR_TYPE


def run(
    catalog_path: str, bar_type_text: str, fast: int = 50, slow: int = 200
) -> dict[str, object]:
    """Run the backtest once; call it in a process of its own."""
    started = time.perf_counter()
    bars = ParquetDataCatalog(catalog_path).query_bars([bar_type_text])
    read = time.perf_counter()

    venue, usd = Venue("SIM"), Currency.from_str("USD")
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggerConfig(stdout_level=LogLevel.WARNING))
    )
    engine.add_venue(
        venue=venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(1_000_000, usd)],
        default_leverage=Decimal(10),
        fee_model=MakerTakerFeeModel(Decimal("0.00002"), Decimal("0.00002")),
    )
    engine.add_instrument(INSTRUMENT)
    engine.add_data(bars, validate=False)  # the catalog only keeps bars of one valid series
    engine.add_strategy(
        EMACross(
            EMACrossConfig(
                instrument_id=INSTRUMENT.id,
                bar_type=BarType.from_str(bar_type_text),
                trade_size=Decimal(10),
                fast=fast,
                slow=slow,
            )
        )
    )
    engine.run()
    finished = time.perf_counter()
    balances = engine.portfolio.account(venue).balances()
    return {
        "bars": len(bars),
        "orders": engine.cache.orders_total_count(),
        "balances": {c.code: str(balance.total.as_decimal()) for c, balance in balances.items()},
        "seconds_read": read - started,
        "seconds_run": finished - read,
    }


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5]))))
