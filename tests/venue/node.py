"""A live node with NautilusTrader's real Bybit clients, in a process of its own.

Reads one JSON line (where the venue is, what to trade), then commands, one JSON line each; writes
what happens as JSON lines. A panic of the engine ends this process and no other.
"""

import datetime as dt
import json
import queue
import sys
import threading
import time

from nautilus_trader.adapters.bybit import (
    BybitDataClientConfig,
    BybitDataClientFactory,
    BybitExecutionClientConfig,
    BybitExecutionClientFactory,
    BybitProductType,
)
from nautilus_trader.common import Environment, LoggerConfig
from nautilus_trader.live import LiveNode
from nautilus_trader.model import (
    AccountId,
    BarType,
    ClientOrderId,
    Currency,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    StrategyId,
    TimeInForce,
    TraderId,
    TriggerType,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

ASKED = json.loads(sys.stdin.readline())
COMMANDS: queue.SimpleQueue = queue.SimpleQueue()
OUT = threading.Lock()


def say(what: str, **more) -> None:
    with OUT:
        sys.stdout.write(json.dumps({"what": what, **more}, default=str) + "\n")
        sys.stdout.flush()


class Desk(Strategy):
    """Does what it is told, and tells what happens to it."""

    def on_start(self):
        self.instrument = InstrumentId.from_str(ASKED["instrument"])
        self.subscribe_quotes(self.instrument)
        self.subscribe_trades(self.instrument)
        if ASKED.get("bars"):
            bar_type = BarType.from_str(f"{self.instrument}-{ASKED['bars']}-EXTERNAL")
            self.subscribe_bars(bar_type)
            if ASKED.get("history"):
                self.request_bars(bar_type)
        self.clock.set_timer("poll", dt.timedelta(milliseconds=10), callback=self.poll)
        say("started", **self.picture())

    def on_stop(self):
        self.clock.cancel_timer("poll")

    def poll(self, _):
        while not COMMANDS.empty():
            command = COMMANDS.get()
            try:
                say("done", id=command.get("id"), result=self.obey(command))
            except Exception as error:
                say("failed", id=command.get("id"), error=repr(error))

    def obey(self, command):
        do = command["do"]
        if do == "submit":
            order = self.order(command)
            self.submit_order(order)
            return str(order.client_order_id)
        name = ClientOrderId(command["order"]) if "order" in command else None
        if do == "cancel":
            self.cancel_order(name)
        elif do == "modify":
            price = command.get("price")
            self.modify_order(
                name,
                quantity=Quantity.from_str(command["quantity"]) if "quantity" in command else None,
                price=None if price is None else Price.from_str(price),
            )
        elif do == "cancel_all":
            self.cancel_all_orders(self.instrument)
        elif do == "flatten":
            self.close_all_positions(self.instrument)
        elif do == "picture":
            return self.picture()
        return None

    def order(self, command):
        side = OrderSide.BUY if command["side"] == "buy" else OrderSide.SELL
        quantity = Quantity.from_str(command["quantity"])
        kind, more = command.get("type", "market"), {}
        if command.get("reduce_only"):
            more["reduce_only"] = True
        if "price" in command:
            more["price"] = Price.from_str(command["price"])
        if "trigger" in command:
            more["trigger_price"] = Price.from_str(command["trigger"])
            more["trigger_type"] = TriggerType.LAST_PRICE
        if command.get("post_only"):
            more["post_only"] = True
        if "tif" in command:
            more["time_in_force"] = getattr(TimeInForce, command["tif"])
        return getattr(self.order_factory, kind)(self.instrument, side, quantity, **more)

    def picture(self):
        account = self.portfolio.account(Venue("BYBIT"))
        return {
            "orders": {
                str(order.client_order_id): order.status.name for order in self.cache.orders()
            },
            "open": sorted(str(order.client_order_id) for order in self.cache.orders_open()),
            "net": str(self.portfolio.net_position(self.instrument)),
            "positions": [
                [str(each.instrument_id), str(each.signed_qty), each.avg_px_open]
                for each in self.cache.positions_open()
            ],
            "balance": str(account.balance_total(Currency.from_str("USDT"))) if account else None,
        }

    def on_quote(self, quote):
        say("quote", bid=quote.bid_price, ask=quote.ask_price, size=quote.bid_size)

    def on_trade(self, trade):
        say("trade", price=trade.price, size=trade.size, side=trade.aggressor_side.name)

    def on_bar(self, bar):
        say("bar", close=bar.close, open=bar.open, volume=bar.volume, ts=bar.ts_event)

    def on_historical_bars(self, bars):
        say("history", closes=[str(bar.close) for bar in bars])

    def on_order_event(self, event):
        say(
            "order",
            event=type(event).__name__,
            order=event.client_order_id,
            reason=getattr(event, "reason", None),
            price=getattr(event, "last_px", None),
            quantity=getattr(event, "last_qty", None),
            fee=getattr(event, "commission", None),
            maker=getattr(event, "liquidity_side", None),
        )

    def on_position_event(self, event):
        say("position", event=type(event).__name__, net=event.signed_qty)


def listen() -> None:
    for line in sys.stdin:
        COMMANDS.put(json.loads(line))
    HANDLE.stop()


def watch() -> None:
    while not HANDLE.is_running:
        time.sleep(0.005)
    say("running")


account = AccountId("BYBIT-UNIFIED")
products = [BybitProductType.LINEAR]
http, socket = ASKED["url"], ASKED["websocket"]
builder = (
    LiveNode.builder("PRACTICE-001", TraderId("TESTER-001"), Environment.LIVE)
    .with_delay_post_stop_secs(0)
    .with_logging(LoggerConfig.from_spec(ASKED.get("log", "stdout=Warn")))
    .add_data_client(
        None,
        BybitDataClientFactory(),
        BybitDataClientConfig(
            product_types=products,
            base_url_http=http,
            base_url_ws_public=f"{socket}/v5/public/linear",
            base_url_ws_private=f"{socket}/v5/private",
        ),
    )
    .add_exec_client(
        None,
        BybitExecutionClientFactory(),
        BybitExecutionClientConfig(
            product_types=products,
            api_key=ASKED["key"],
            api_secret=ASKED["secret"],
            base_url_http=http,
            base_url_ws_private=f"{socket}/v5/private",
            base_url_ws_trade=f"{socket}/v5/trade",
            account_id=account,
        ),
    )
)
node = builder.build()
HANDLE = node.handle()
node.add_strategy(Desk(StrategyConfig(strategy_id=StrategyId("DESK-001"))))
threading.Thread(target=listen, daemon=True).start()
threading.Thread(target=watch, daemon=True).start()
try:
    node.run()
except BaseException as error:
    say("ended", error=repr(error))
    raise SystemExit(1) from None
say("ended", error=None)
