"""Trade against exaggeration: enter when price leaves its Bollinger bands, leave at the mean."""

from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.indicators import BollingerBands
from nautilus_trader.model import Bar, BarType, InstrumentId, OrderSide
from nautilus_trader.trading import Strategy, StrategyConfig


@dataclass(frozen=True, kw_only=True)
class MeanReversionConfig(StrategyConfig):
    """Parameters of `MeanReversion`.

    Attributes
    ----------
    instrument_id
        What to trade.
    bar_type
        The bars to decide on; market orders need LAST bars to find a price.
    trade_size
        Size of a position in units of the instrument, rounded down to its precision.
    period
        Closes in the moving average and its standard deviation, 3 or more.
    width
        Distance of the bands from the mean in standard deviations. No value of a sample lies
        ``sqrt(period - 1)`` or more deviations from its mean, so `width` is below that.
    close_on_stop
        Close the position when the strategy stops. By default it stays open, and a backtest
        reports it marked to market.

    """

    instrument_id: InstrumentId
    bar_type: BarType
    trade_size: Decimal
    period: int = 20
    width: float = 2.0
    close_on_stop: bool = False

    def __post_init__(self) -> None:
        if self.period < 3:
            raise ValueError(f"period is 3 or more, found {self.period}")
        widest = (self.period - 1) ** 0.5
        if not 0 < self.width < widest:
            raise ValueError(
                f"width is above 0 and, for period={self.period}, below {widest:.2f} (no close can "
                f"lie further out), found {self.width}"
            )
        if self.trade_size <= 0:
            raise ValueError(f"trade_size is above zero, found {self.trade_size}")


class MeanReversion(Strategy):
    """Buy a close below the lower band, sell one above the upper band, be flat again at the mean.

    A long position that runs right through the mean and out of the upper band is reversed in one
    order.
    """

    config: MeanReversionConfig

    def __init__(self, config: MeanReversionConfig) -> None:
        super().__init__(config)
        self.bands = BollingerBands(config.period, config.width)
        self.side = 0  # the position wanted: 1 long, -1 short, 0 flat

    def on_start(self) -> None:
        """Learn the instrument's precision and ask for its bars."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if instrument is None:
            raise ValueError(f"the engine does not know {self.config.instrument_id}")
        self.instrument = instrument
        self.size = instrument.make_qty(self.config.trade_size, round_down=True)
        self.tick = instrument.price_increment.as_double()
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Update the bands with the finished bar; trade if the position wanted changed."""
        close = bar.close.as_double()
        self.bands.update_raw(close)  # handle_bar would take the typical price, not the close
        if not self.bands.initialized:
            return
        side = self.wanted(close)
        if side != self.side:
            self.side = side
            self.hold(side)

    def wanted(self, close: float) -> int:
        """Return the position wanted after this close."""
        # In a quiet market the bands collapse onto the mean: below a tick it is rounding noise.
        if self.bands.upper - self.bands.middle >= self.tick:
            if close < self.bands.lower:
                return 1
            if close > self.bands.upper:
                return -1
        # At the mean or beyond it (side 0 stays 0); floats, so nearly there is there.
        arrived = (close - self.bands.middle) * self.side > -self.tick / 1_000
        return 0 if arrived else self.side

    def hold(self, side: int) -> None:
        """Order what is missing to a position of `size` on `side`."""
        missing = self.size.as_decimal() * side - self.exposure()
        if missing:
            order = self.order_factory.market(
                self.config.instrument_id,
                OrderSide.BUY if missing > 0 else OrderSide.SELL,
                self.instrument.make_qty(abs(missing)),
            )
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
