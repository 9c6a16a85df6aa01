"""Join a breakout from the range of the last bars, with a stop and a target from the start."""

from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.indicators import AverageTrueRange, DonchianChannel
from nautilus_trader.model import (
    Bar,
    BarType,
    ClientOrderId,
    InstrumentId,
    OrderDenied,
    OrderFilled,
    OrderRejected,
    OrderSide,
    PositionClosed,
)
from nautilus_trader.trading import Strategy, StrategyConfig


@dataclass(frozen=True, kw_only=True)
class BreakoutConfig(StrategyConfig):
    """Parameters of `Breakout`.

    Attributes
    ----------
    instrument_id
        What to trade.
    bar_type
        The bars to decide on; market orders need LAST bars to find a price.
    trade_size
        Size of a position in units of the instrument, rounded down to its precision.
    channel
        Bars whose highest high and lowest low make the range (Donchian channel).
    atr
        Bars in the average true range (Wilder's average).
    stop, target
        Distances from the entry price in average true ranges.
    close_on_stop
        Cancel stop and target and close the position when the strategy stops. By default all
        three stay: a position is not left without its stop.

    """

    instrument_id: InstrumentId
    bar_type: BarType
    trade_size: Decimal
    channel: int = 20
    atr: int = 14
    stop: float = 2.0
    target: float = 4.0
    close_on_stop: bool = False

    def __post_init__(self) -> None:
        for name in ("trade_size", "channel", "atr", "stop", "target"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above zero, found {getattr(self, name)}")


class Breakout(Strategy):
    """Enter at a close outside the range of the bars before it; leave at the stop or the target.

    One position at a time. Each fill of the entry is protected at once by a stop and a target of
    its own size; when the position is closed, what is left of them is cancelled. Both are
    reduce-only, so that whatever comes first, the position cannot turn around.

    This is done here rather than by ``order_factory.bracket`` because that one's children, sent
    together with the entry, are refused by venues that check reduce-only orders on arrival.
    """

    config: BreakoutConfig

    def __init__(self, config: BreakoutConfig) -> None:
        super().__init__(config)
        self.channel = DonchianChannel(config.channel)
        self.atr = AverageTrueRange(config.atr)
        self.entry: ClientOrderId | None = None
        self.exits: set[ClientOrderId] = set()

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
        """Compare the close with the range of the bars before; then let the bar into the range."""
        warm = self.channel.initialized and self.atr.initialized
        upper, lower = self.channel.upper, self.channel.lower
        self.channel.handle_bar(bar)
        self.atr.handle_bar(bar)
        close = bar.close.as_double()
        if not warm:
            return
        if close > upper:
            self.enter(OrderSide.BUY)
        elif close < lower:
            self.enter(OrderSide.SELL)

    def enter(self, side: OrderSide) -> None:
        """Send the entry, unless a trade is under way."""
        mine = (None, self.config.instrument_id, self.strategy_id)
        if (
            self.cache.positions_open_count(*mine)
            or self.cache.orders_inflight_count(*mine)
            or self.cache.orders_open_count(*mine)
        ):
            return
        self.stop_distance = self.config.stop * self.atr.value
        self.target_distance = self.config.target * self.atr.value
        if min(self.stop_distance, self.target_distance) < self.tick:
            return  # nothing moves: stop or target would be at the entry price itself
        order = self.order_factory.market(self.config.instrument_id, side, self.size)
        self.entry = order.client_order_id
        self.submit_order(order)

    def on_order_filled(self, event: OrderFilled) -> None:
        """Protect what the entry has just filled."""
        if event.client_order_id != self.entry:
            return
        long = event.order_side == OrderSide.BUY
        side, sign = (OrderSide.SELL, 1) if long else (OrderSide.BUY, -1)
        price = event.last_px.as_double()
        stop = self.order_factory.stop_market(
            self.config.instrument_id,
            side,
            event.last_qty,
            self.instrument.make_price(price - sign * self.stop_distance),
            reduce_only=True,
        )
        target = self.order_factory.limit(
            self.config.instrument_id,
            side,
            event.last_qty,
            self.instrument.make_price(price + sign * self.target_distance),
            reduce_only=True,
        )
        for order in (stop, target):
            self.exits.add(order.client_order_id)
            self.submit_order(order)

    def on_position_closed(self, event: PositionClosed) -> None:
        """Cancel the one of stop and target that was not needed."""
        self.exits.clear()
        self.cancel_all_orders(event.instrument_id)

    def on_order_rejected(self, event: OrderRejected) -> None:
        """Do not stay in a position whose stop or target was refused."""
        self.refused(event.client_order_id)

    def on_order_denied(self, event: OrderDenied) -> None:
        """Do not stay in a position whose stop or target was refused."""
        self.refused(event.client_order_id)

    def refused(self, order: ClientOrderId) -> None:
        """Close the position if `order` was to protect it."""
        if order in self.exits:
            self.log.warning(f"{order} was refused: closing the position it was to protect")
            self.close_all_positions(self.config.instrument_id)

    def on_stop(self) -> None:
        """Leave the market if the config says so."""
        if self.config.close_on_stop:
            self.cancel_all_orders(self.config.instrument_id)
            self.close_all_positions(self.config.instrument_id)
