"""Run an EMA cross on daily bars given as arrays, by hand and without any of the workbench.

    python tests/reference/ema_cross_daily.py < INPUT.json

Not even the strategy is the workbench's: averages, crosses and order sizes are computed here in
plain Python. The input holds::

    {"instrument": "AAPL.XNAS", "price_precision": 2, "trade_size": 100, "fast": 10, "slow": 50,
     "cash": 1000000, "leverage": 1, "maker": "0", "taker": "0.0001",
     "ts": [nanoseconds, UNIX], "open": [...], "high": [...], "low": [...], "close": [...],
     "volume": [whole shares]}

Prints one JSON document.
"""

import json
import sys
from decimal import Decimal

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
    OrderFilled,
    OrderSide,
    Price,
    Quantity,
    Symbol,
)
from nautilus_trader.trading import Strategy, StrategyConfig

given = json.load(sys.stdin)
precision, size = given["price_precision"], given["trade_size"]
instrument_id = InstrumentId.from_str(given["instrument"])
bar_type = BarType.from_str(f"{instrument_id}-1-DAY-LAST-EXTERNAL")
usd = Currency.from_str("USD")


class Cross(Strategy):
    """Hold `size` shares long or short, whichever way the averages crossed last."""

    def __init__(self, config):
        super().__init__(config)
        self.closes, self.averages = [], {}
        self.above, self.held = None, 0

    def on_start(self):
        self.subscribe_bars(bar_type)

    def average(self, period):
        """Return the mean of the first `period` closes, exponentially averaged from there on."""
        if len(self.closes) == period:
            self.averages[period] = sum(self.closes) / period
        elif len(self.closes) > period:
            weight = 2 / (period + 1)
            self.averages[period] += weight * (self.closes[-1] - self.averages[period])
        return self.averages.get(period)

    def on_bar(self, bar):
        self.closes.append(float(bar.close))
        fast, slow = self.average(given["fast"]), self.average(given["slow"])
        if slow is None:
            return
        above = fast > slow
        if self.above is not None and above != self.above:
            wanted = size if above else -size
            side = OrderSide.BUY if above else OrderSide.SELL
            quantity = Quantity.from_int(abs(wanted - self.held))
            self.submit_order(self.order_factory.market(instrument_id, side, quantity))
            self.held = wanted
        self.above = above


columns = (given[name] for name in ("ts", "open", "high", "low", "close", "volume"))
bars = [
    Bar(bar_type, *(Price(price, precision) for price in prices), Quantity.from_int(volume), ts, ts)
    for ts, *prices, volume in zip(*columns, strict=True)
]

engine = BacktestEngine(
    BacktestEngineConfig(logging=LoggerConfig(stdout_level=LogLevel.OFF, is_colored=False))
)
engine.add_venue(
    venue=instrument_id.venue,
    oms_type=OmsType.NETTING,
    account_type=AccountType.MARGIN,
    starting_balances=[Money(given["cash"], usd)],
    default_leverage=Decimal(given["leverage"]),
    fee_model=MakerTakerFeeModel(Decimal(given["maker"]), Decimal(given["taker"])),
)
engine.add_instrument(
    Equity(
        instrument_id=instrument_id,
        raw_symbol=Symbol(instrument_id.symbol.value),
        currency=usd,
        price_precision=precision,
        price_increment=Price(10**-precision, precision),
        ts_event=0,
        ts_init=0,
    )
)
engine.add_data(bars)
engine.add_strategy(Cross(StrategyConfig()))
engine.run()

orders = sorted(engine.cache.orders(), key=lambda order: order.ts_init)
fills = [event for order in orders for event in order.events() if isinstance(event, OrderFilled)]
fills.sort(key=lambda fill: fill.ts_event)
balances = engine.portfolio.account(instrument_id.venue).balances()
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
