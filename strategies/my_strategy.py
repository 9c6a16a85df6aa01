"""A strategy to start from: change it, then run `workbench backtest run studies/my-strategy.yaml`.

It buys after a number of falling closes in a row and sells again some bars later. The three in
`workbench/strategies/` show more: reversing, indicators, stops and targets. How it all works, and
the traps, is in docs/strategies.md.
"""

from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.model import Bar, BarType, InstrumentId, OrderSide
from nautilus_trader.trading import Strategy, StrategyConfig


# 1. The parameters. A study sets them under `strategy: params:`; what has no default it must set,
#    except `instrument_id` and `bar_type`, which are taken from the study's data.
@dataclass(frozen=True, kw_only=True)
class MyStrategyConfig(StrategyConfig):
    """Say here what each parameter means and in which unit it is."""

    instrument_id: InstrumentId
    bar_type: BarType
    trade_size: Decimal  # in shares, contracts, coins: units of the instrument
    falls: int = 3  # falling closes in a row before buying
    hold: int = 5  # bars to stay in

    def __post_init__(self) -> None:
        if self.trade_size <= 0 or self.falls < 1 or self.hold < 1:
            raise ValueError("trade_size, falls and hold are above zero")


class MyStrategy(Strategy):
    """Buy after `falls` falling closes, sell after `hold` bars."""

    config: MyStrategyConfig

    # 2. What the strategy remembers. Keep it on `self`: a class attribute would be shared.
    def __init__(self, config: MyStrategyConfig) -> None:
        super().__init__(config)
        self.last_close: float | None = None
        self.falling = 0  # falling closes in a row
        self.bars_held = 0

    # 3. Called once, before the first bar: ask for data here.
    def on_start(self) -> None:
        """Round the size to what the instrument allows, ask for bars."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if instrument is None:
            raise ValueError(f"the engine does not know {self.config.instrument_id}")
        self.size = instrument.make_qty(self.config.trade_size, round_down=True)
        self.subscribe_bars(self.config.bar_type)

    # 4. Called with every finished bar. An exception in here fails the run and shows you the line.
    def on_bar(self, bar: Bar) -> None:
        """Count, then decide. The order is filled after this bar, never within it."""
        close = bar.close.as_double()
        fell = self.last_close is not None and close < self.last_close
        self.falling = self.falling + 1 if fell else 0
        self.last_close = close

        mine = (None, self.config.instrument_id, self.strategy_id)
        if self.cache.orders_inflight_count(*mine):
            return  # an order is on its way to the venue: wait for what becomes of it
        if self.cache.positions_open_count(*mine):
            self.bars_held += 1
            if self.bars_held >= self.config.hold:
                self.close_all_positions(self.config.instrument_id)
        elif self.falling >= self.config.falls:
            self.bars_held = 0
            self.buy()

    def buy(self) -> None:
        """Send a market order."""
        order = self.order_factory.market(self.config.instrument_id, OrderSide.BUY, self.size)
        self.submit_order(order)
