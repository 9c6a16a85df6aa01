"""Run EMA cross on one-minute bars of a CSV file, by hand and without the workbench.

    python tests/reference/ema_cross_csv.py CSV [FAST SLOW [VOLUME]]

The file has the columns timestamp, open, high, low, close. A timestamp is taken for its bar's
close. Every setting of the engine is written out here, so that a run of the workbench with the
same settings can be compared with it fill by fill. Prints one JSON document.
"""

import csv
import json
import sys
from datetime import datetime
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
    CurrencyPair,
    InstrumentId,
    Money,
    OmsType,
    OrderFilled,
    Price,
    Quantity,
    Symbol,
    Venue,
)

from workbench.strategies.ema_cross import EMACross, EMACrossConfig

csv_path = Path(sys.argv[1])
fast, slow = (int(text) for text in (sys.argv[2:4] or ("10", "50")))
volume = Quantity.from_str(sys.argv[4] if len(sys.argv) > 4 else "1000000000")

venue = Venue("SIM")
usd = Currency.from_str("USD")
instrument_id = InstrumentId.from_str("GBP/USD.SIM")
bar_type = BarType.from_str("GBP/USD.SIM-1-MINUTE-LAST-EXTERNAL")

instrument = CurrencyPair(
    instrument_id=instrument_id,
    raw_symbol=Symbol("GBP/USD"),
    base_currency=Currency.from_str("GBP"),
    quote_currency=usd,
    price_precision=5,
    size_precision=0,
    price_increment=Price.from_str("0.00001"),
    size_increment=Quantity.from_str("1"),
    ts_event=0,
    ts_init=0,
)

bars = []
with csv_path.open(newline="") as file:
    for row in csv.DictReader(file):
        # Whole seconds are exact as a float, nanoseconds would not be.
        ts = int(datetime.fromisoformat(row["timestamp"]).timestamp()) * 1_000_000_000
        prices = (Price(float(row[name]), 5) for name in ("open", "high", "low", "close"))
        bars.append(Bar(bar_type, *prices, volume, ts, ts))

engine = BacktestEngine(
    BacktestEngineConfig(logging=LoggerConfig(stdout_level=LogLevel.OFF, is_colored=False))
)
engine.add_venue(
    venue=venue,
    oms_type=OmsType.NETTING,
    account_type=AccountType.MARGIN,
    starting_balances=[Money(1_000_000, usd)],
    default_leverage=Decimal(10),
    fee_model=MakerTakerFeeModel(Decimal("0.00002"), Decimal("0.00002")),
)
engine.add_instrument(instrument)
engine.add_data(bars)
engine.add_strategy(
    EMACross(
        EMACrossConfig(
            instrument_id=instrument_id,
            bar_type=bar_type,
            trade_size=Decimal(100_000),
            fast=fast,
            slow=slow,
        )
    )
)
engine.run()

orders = sorted(engine.cache.orders(), key=lambda order: order.ts_init)
fills = [event for order in orders for event in order.events() if isinstance(event, OrderFilled)]
fills.sort(key=lambda fill: fill.ts_event)
balances = engine.portfolio.account(venue).balances()
print(
    json.dumps(
        {
            "bars": len(bars),
            "orders": [
                {
                    "client_order_id": str(order.client_order_id),
                    "side": order.side.name,
                    "quantity": str(order.quantity),
                    "status": order.status.name,
                }
                for order in orders
            ],
            "fills": [
                {
                    "client_order_id": str(fill.client_order_id),
                    "ts": fill.ts_event,
                    "side": fill.order_side.name,
                    "quantity": str(fill.last_qty),
                    "price": str(fill.last_px),
                    "commission": str(fill.commission),
                }
                for fill in fills
            ],
            "balances": {
                c.code: str(balance.total.as_decimal()) for c, balance in balances.items()
            },
        }
    )
)
