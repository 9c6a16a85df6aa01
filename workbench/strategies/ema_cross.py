"""Follow the trend: long while a fast moving average is above a slow one, short while below."""

from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model import Bar, BarType, InstrumentId, OrderSide
from nautilus_trader.trading import Strategy, StrategyConfig


@dataclass(frozen=True, kw_only=True)
class EMACrossConfig(StrategyConfig):
    """Parameters of `EMACross`.

    Attributes
    ----------
    instrument_id
        What to trade.
    bar_type
        The bars to decide on; market orders need LAST bars to find a price.
    trade_size
        Size of a position in units of the instrument, rounded down to its precision.
    fast, slow
        Periods of the two averages in bars, ``0 < fast < slow``.
    close_on_stop
        Close the position when the strategy stops. By default it stays open, and a backtest
        reports it marked to market.

    """

    instrument_id: InstrumentId
    bar_type: BarType
    trade_size: Decimal
    fast: int = 10
    slow: int = 50
    close_on_stop: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.fast < self.slow:
            raise ValueError(f"0 < fast < slow is needed, found fast={self.fast}, slow={self.slow}")
        if self.trade_size <= 0:
            raise ValueError(f"trade_size is above zero, found {self.trade_size}")


class EMACross(Strategy):
    """Be long after the fast average crosses above the slow one, short after it crosses below.

    Orders are sent at crosses only: the strategy does not jump on a trend that was there before
    its averages had enough bars. A cross is seen at a bar's close and traded after it.
    """

    config: EMACrossConfig

    def __init__(self, config: EMACrossConfig) -> None:
        super().__init__(config)
        self.fast = ExponentialMovingAverage(config.fast)
        self.slow = ExponentialMovingAverage(config.slow)
        self.above: bool | None = None  # fast above slow; not known until both averages are warm

    def on_start(self) -> None:
        """Learn the instrument's precision and ask for its bars."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if instrument is None:
            raise ValueError(f"the engine does not know {self.config.instrument_id}")
        self.instrument = instrument
        self.size = instrument.make_qty(self.config.trade_size, round_down=True)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Update the averages with the finished bar; trade if they crossed."""
        self.fast.handle_bar(bar)
        self.slow.handle_bar(bar)
        if not self.slow.initialized:
            return
        above = self.fast.value > self.slow.value
        crossed = self.above is not None and above != self.above
        self.above = above
        if crossed:
            self.hold(OrderSide.BUY if above else OrderSide.SELL)

    def hold(self, side: OrderSide) -> None:
        """Order what is missing to a position of `size` on `side`: twice `size` to reverse."""
        target = self.size.as_decimal() * (1 if side == OrderSide.BUY else -1)
        missing = abs(target - self.exposure())
        if missing:
            quantity = self.instrument.make_qty(missing)
            order = self.order_factory.market(self.config.instrument_id, side, quantity)
            self.submit_order(order)

    def exposure(self) -> Decimal:
        """Return what this strategy holds plus what it has already ordered, signed.

        Orders count because a fill may arrive after the next bar (latency, a live venue): looking
        at the position alone would order twice.
        """
        instrument_id, strategy_id = self.config.instrument_id, self.strategy_id
        exposure = Decimal(0)
        for position in self.cache.positions_open(None, instrument_id, strategy_id):
            held = position.quantity.as_decimal()
            exposure += held if position.is_long else -held
        for orders in (self.cache.orders_inflight, self.cache.orders_open):
            for order in orders(None, instrument_id, strategy_id):
                leaves = order.leaves_qty.as_decimal()
                exposure += leaves if order.side == OrderSide.BUY else -leaves
        return exposure

    def on_stop(self) -> None:
        """Close the position if the config says so."""
        if self.config.close_on_stop:
            self.close_all_positions(self.config.instrument_id)
