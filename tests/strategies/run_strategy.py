"""Run one strategy on given bars in this process, and say all that happened.

Reads one JSON document on stdin and prints one; see `run` in conftest.py. A handler that raises is
logged by the engine and shows up on stdout before the document.
"""

import importlib
import importlib.util
import json
import sys
from decimal import Decimal
from pathlib import Path

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    Bar,
    BarType,
    Currency,
    Equity,
    InstrumentId,
    Money,
    OmsType,
    OrderFilled,
    Price,
    Quantity,
    Symbol,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig

given = json.load(sys.stdin)
precision = given["precision"]
instrument_id = InstrumentId.from_str("SYN.SIM")
bar_type = BarType.from_str("SYN.SIM-1-MINUTE-LAST-EXTERNAL")
usd = Currency.from_str("USD")

place, _, class_name = given["strategy"].partition(":")
if place.endswith(".py"):
    spec = importlib.util.spec_from_file_location(Path(place).stem, place)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
else:
    module = importlib.import_module(place)
config_class, strategy_class = getattr(module, f"{class_name}Config"), getattr(module, class_name)

after_bars = []


class Observed(strategy_class):
    """The strategy, with a note of its position and resting orders after every bar."""

    def on_bar(self, bar):
        super().on_bar(bar)
        after_bars.append(
            {
                "ts": bar.ts_event,
                "position": sum(p.signed_qty for p in self.cache.positions_open()),
                "orders": [
                    {"type": o.order_type.name, "side": o.side.name, "leaves": int(o.leaves_qty)}
                    for o in self.cache.orders_open()
                ],
            }
        )


engine = BacktestEngine(
    BacktestEngineConfig(
        logging=LoggerConfig(stdout_level=getattr(LogLevel, given["log"]), is_colored=False),
        risk_engine=RiskEngineConfig(max_order_submit_rate=given["max_orders"]),
    )
)
engine.add_venue(
    venue=Venue("SIM"),
    oms_type=OmsType.NETTING,
    account_type=AccountType.MARGIN,
    starting_balances=[Money(1_000_000, usd)],
    default_leverage=Decimal(1),
    fee_model=MakerTakerFeeModel(Decimal(0), Decimal("0.0001")),
    latency_model=StaticLatencyModel(base_latency_nanos=given["latency_ns"]),
)
engine.add_instrument(
    Equity(
        instrument_id=instrument_id,
        raw_symbol=Symbol("SYN"),
        currency=usd,
        price_precision=precision,
        price_increment=Price(10**-precision, precision),
        ts_event=0,
        ts_init=0,
    )
)
columns = [given["bars"][name] for name in ("ts", "open", "high", "low", "close", "volume")]
engine.add_data(
    [
        Bar(bar_type, *(Price(p, precision) for p in prices), Quantity.from_int(volume), ts, ts)
        for ts, *prices, volume in zip(*columns, strict=True)
    ]
)
params = given["params"] | {"trade_size": Decimal(given["params"]["trade_size"])}
engine.add_strategy(
    Observed(config_class(instrument_id=instrument_id, bar_type=bar_type, **params))
)
engine.run()

orders = sorted(
    engine.cache.orders(), key=lambda order: (order.ts_init, str(order.client_order_id))
)
fills = [event for order in orders for event in order.events() if isinstance(event, OrderFilled)]
fills.sort(key=lambda fill: fill.ts_event)
account = engine.portfolio.account(Venue("SIM"))
print(
    json.dumps(
        {
            "after_bars": after_bars,
            "orders": [
                {
                    "type": order.order_type.name,
                    "side": order.side.name,
                    "quantity": int(order.quantity),
                    "status": order.status.name,
                    "reduce_only": order.is_reduce_only,
                    "ts": order.ts_init,
                }
                for order in orders
            ],
            "fills": [
                {
                    "ts": fill.ts_event,
                    "type": fill.order_type.name,
                    "side": fill.order_side.name,
                    "quantity": int(fill.last_qty),
                    "price": float(fill.last_px),
                    "commission": str(fill.commission),
                }
                for fill in fills
            ],
            "position": sum(p.signed_qty for p in engine.cache.positions_open()),
            "balance": str(account.balance_total(usd)),
        }
    )
)
