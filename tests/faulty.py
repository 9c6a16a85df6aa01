"""A strategy that goes wrong in the way it is told to; tests copy it into their project."""

import time
from typing import Any

from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model import BarType, InstrumentId, OrderSide, Quantity
from nautilus_trader.trading import Strategy, StrategyConfig


class FaultyConfig(StrategyConfig):
    def __new__(cls, **values: Any):
        return super().__new__(cls)

    def __init__(self, *, instrument_id: InstrumentId, bar_type: BarType, fault: str = "") -> None:
        self.instrument_id = instrument_id
        self.bar_type = bar_type
        self.fault = fault
        if fault == "config":
            raise ValueError("fault may not be 'config'")


class Faulty(Strategy):
    """Buys and sells one share every fifth bar until its fault strikes."""

    def __init__(self, config: FaultyConfig) -> None:
        super().__init__(config)
        self.settings = config
        self.seen = 0
        self.strike("init")
        if config.fault == "instance":
            self.on_bar = self.struck_once

    def struck_once(self, bar: Any) -> None:
        self.seen += 1
        if self.seen == 20:
            raise ValueError("struck in instance")

    def strike(self, fault: str) -> None:
        if self.settings.fault == fault:
            raise ValueError(f"struck in {fault}")

    def on_start(self) -> None:
        self.strike("on_start")
        if self.settings.fault != "nothing":
            self.subscribe_bars(self.settings.bar_type)
        if self.settings.fault == "timer":
            import datetime as dt

            self.clock.set_timer("t", dt.timedelta(days=9), callback=lambda event: 1 / 0)
        if self.settings.fault == "time_event":
            import datetime as dt

            self.clock.set_timer("t", dt.timedelta(days=9))
        if self.settings.fault == "indicator":
            self.register_indicator_for_bars(self.settings.bar_type, BadIndicator())
        if self.settings.fault == "log_error":
            self.log.error("ValueError: this is the strategy's own word")

    def on_time_event(self, event: Any) -> None:
        self.strike("time_event")

    def on_bar(self, bar: Any) -> None:
        self.seen += 1
        if self.seen == 20:
            self.strike("on_bar")
            if self.settings.fault == "loop":
                while True:
                    pass
            if self.settings.fault == "exit":
                raise SystemExit(3)
            if self.settings.fault == "abort":
                import os

                os.abort()
            if self.settings.fault == "exit_0":
                import os

                os._exit(0)
            if self.settings.fault == "fork":
                import os

                if os.fork() == 0:
                    time.sleep(60)
                os._exit(3)
            if self.settings.fault == "shutdown":
                self.shutdown_system("enough")
            if self.settings.fault == "surrogate":
                raise ValueError("struck \ud800 " + "x" * 1_000_000)
            if self.settings.fault == "signal":
                import os

                os.kill(os.getpid(), 35)
            if self.settings.fault == "print":
                print("printed by the strategy")
        if self.settings.fault == "slow":
            time.sleep(0.02)
        if self.seen % 5 == 0 and self.settings.fault != "no_trade":
            side = OrderSide.BUY if self.seen % 10 else OrderSide.SELL
            quantity = 10**9 if self.settings.fault == "denied" else 1
            instrument = self.settings.instrument_id
            order = self.order_factory.market(instrument, side, Quantity.from_int(quantity))
            self.submit_order(order)

    def on_order_event(self, event: Any) -> None:
        self.strike("on_order_event")

    def on_order_filled(self, event: Any) -> None:
        self.strike("on_order_filled")

    def on_position_opened(self, event: Any) -> None:
        self.strike("on_position_opened")

    def on_stop(self) -> None:
        if self.settings.fault == "disk_full":
            import resource

            # From here on no file of this process may grow: what is written next fails.
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        self.strike("on_stop")


class BadIndicator:
    """Raises once, at its fifth bar."""

    name = "bad"
    initialized = False
    seen = 0

    def handle_bar(self, bar: Any) -> None:
        self.seen += 1
        if self.seen == 5:
            raise ValueError("struck in indicator")


__all__ = ["ExponentialMovingAverage", "Faulty", "FaultyConfig"]
