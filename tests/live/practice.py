"""Nodes with NautilusTrader's real Bybit clients on the practice venue, and whether both agree."""

from __future__ import annotations

import itertools
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from tests.venue.support import Bybit
from workbench import live, venue
from workbench.core.project import Project
from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places

INSTRUMENT = "BTCUSDT-LINEAR.BYBIT"
SYMBOL = "BTCUSDT:tick=0.1,step=0.001,price=30000"
OBEY = '''"""Does what a file tells it; hears quotes and trades."""

import datetime as dt
import json
from pathlib import Path

from nautilus_trader.model import ClientOrderId, InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.trading import Strategy

COMMANDS = Path("commands.jsonl")


class Obey(Strategy):
    def on_start(self):
        self.instrument = InstrumentId.from_str("BTCUSDT-LINEAR.BYBIT")
        self.subscribe_quotes(self.instrument)
        self.subscribe_trades(self.instrument)
        COMMANDS.touch()
        self.at = COMMANDS.stat().st_size
        self.clock.set_timer("obey", dt.timedelta(milliseconds=20), callback=self.obey)

    def on_stop(self):
        self.clock.cancel_timer("obey")

    def obey(self, _):
        if COMMANDS.stat().st_size == self.at:
            return
        with COMMANDS.open() as file:
            file.seek(self.at)
            lines = file.readlines()
            self.at = file.tell()
        for line in lines:
            self.act(**json.loads(line))

    def act(self, do, order, side=None, quantity=None, price=None, **more):
        name = ClientOrderId(order)
        units = Quantity.from_str(quantity) if quantity else None
        at = Price.from_str(price) if price else None
        if do == "cancel":
            self.cancel_order(name)
        elif do == "modify":
            self.modify_order(name, quantity=units, price=at)
        else:
            make, args = self.order_factory.market, [OrderSide.from_str(side), units]
            if at:
                make, args = self.order_factory.limit, [*args, at]
            made = make(self.instrument, *args, client_order_id=name, **more)
            self.submit_order(made)
'''
LIVE = {
    "environment": "practice",
    "feeds": [{"adapter": "bybit", "product_types": ["linear"]}],
    "execution": [{"adapter": "bybit", "product_types": ["linear"]}],
}


def practice_study(project: Project, persistence: str = "none", **changes: Any) -> Study:
    """Return a study on the practice venue; its strategy does what `Practice.order` says."""
    (project.root / "strategies" / "obey.py").write_text(OBEY)
    document = {
        "schema": 1,
        "study": "practice",
        "data": [
            {
                "provider": "bybit", "instrument": INSTRUMENT, "ticks": "trades",
                "start": "2024-01-01", "end": "2024-01-02",
            }
        ],
        "venues": [
            {
                "name": "BYBIT", "account": "margin", "balances": ["100000 USDT"],
                "fees": {"maker": 0, "taker": 0},
            }
        ],
        "strategy": {"path": "strategies/obey.py:Obey"},
        "live": LIVE | {"persistence": persistence},
    }  # fmt: skip
    return build(document | changes, Places(file="study.yaml"))


class Practice:
    """A venue whose prices are set by hand, and what happens on it.

    Attributes
    ----------
    venue
        The venue, restarted by `restart`.
    client
        A Bybit client of the same account.

    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._numbers = itertools.count(1)
        self._books = project.root / "books.jsonl"
        self.client: Any = None
        self._begin({})

    def _begin(self, options: dict[str, Any]) -> None:
        if self.client is not None:
            self.client.__exit__()
        self.venue = venue.start(
            symbols=[SYMBOL], project=self.project, books=self._books, **options
        )
        self.client = Bybit(self.venue.ready)
        self.quote("29999.9", "30000.1")

    def restart(self, down: Callable[[], None] = lambda: None) -> None:
        """Kill the venue, do something, start it again at the same address on the same books."""
        ready = self.venue.ready
        self.venue.kill()
        down()
        self._begin({name: getattr(ready, name) for name in ("port", "key", "secret", "token")})

    def quote(self, bid: str, ask: str, size: str = "1") -> None:
        """Set the market."""
        self.venue.price("BTCUSDT", bid=bid, ask=ask, size=size)

    def order(self, do: str = "submit", order: str | None = None, **more: Any) -> str:
        """Tell the strategy to place, change or cancel an order; return its client order id."""
        name = order or f"T-{next(self._numbers)}-{time.time_ns() % 10**9}"
        line = json.dumps({"do": do, "order": name, **more}) + "\n"
        with (self.project.root / "commands.jsonl").open("a") as file:
            file.write(line)
        return name

    def buy(self, quantity: str = "0.010", price: str | None = None, **more: Any) -> str:
        """Place a buy order."""
        return self.order(side="BUY", quantity=quantity, price=price, **more)

    def sell(self, quantity: str = "0.010", price: str | None = None, **more: Any) -> str:
        """Place a sell order."""
        return self.order(side="SELL", quantity=quantity, price=price, **more)

    def pages(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Return all of a list of the venue's."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = self.client.get(path, category="linear", **params, **cursor)
            assert answer["retCode"] == 0, answer
            found += answer["result"]["list"]
            if not answer["result"].get("nextPageCursor") or not answer["result"]["list"]:
                return found
            cursor = {"cursor": answer["result"]["nextPageCursor"]}

    def open_orders(self) -> dict[str, tuple[str, ...]]:
        """Return the venue's open orders by client order id: side, quantity, filled, price."""
        return {
            each["orderLinkId"]: (
                each["side"].upper(), _number(each["qty"]), _number(each["cumExecQty"]),
                _number(each["price"]),
            )
            for each in self.pages("/v5/order/realtime", settleCoin="USDT", limit=50)
        }  # fmt: skip

    def position(self) -> Decimal:
        """Return the venue's position, short below zero."""
        found = self.pages("/v5/position/list", symbol="BTCUSDT")
        return sum(
            (Decimal(each["size"] or 0) * (-1 if each["side"] == "Sell" else 1) for each in found),
            Decimal(0),
        )

    def fills(self) -> dict[str, Decimal]:
        """Return the units filled of every order there ever was."""
        found: defaultdict[str, Decimal] = defaultdict(Decimal)
        for each in self.pages("/v5/execution/list", limit=100):
            found[each["orderLinkId"]] += Decimal(each["execQty"])
        return dict(found)


@contextmanager
def practising(project: Project) -> Iterator[Practice]:
    """Serve a practice venue in `project`."""
    practice = Practice(project)
    try:
        yield practice
    finally:
        practice.client.__exit__()
        practice.venue.kill()


def differences(node: live.Node, practice: Practice) -> list[str]:
    """Return in what the node's orders, positions and fills differ from the venue's, in words.

    An order the venue does not know may be one the node says it has no answer to.
    """
    ledger, status = node.ask("ledger"), node.status()
    mine = {
        each["client_order_id"]: (
            each["side"], _number(each["quantity"]), _number(each["filled"]),
            _number(each["price"]),
        )
        for each in status["orders"]
        if each["client_order_id"] not in {*ledger["unanswered"], *ledger["never_arrived"]}
    }  # fmt: skip
    theirs, fills = practice.open_orders(), practice.fills()
    found = [
        f"order {name}: node {mine.get(name)}, venue {theirs.get(name)}"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    ]
    known = {name: Decimal(each["filled"]) for name, each in ledger["orders"].items()}
    found += [
        f"fills of {name}: node {known.get(name)}, venue {fills.get(name)}"
        for name in sorted(known.keys() | fills.keys())
        if known.get(name, Decimal(0)) != fills.get(name, Decimal(0))
    ]
    here = sum(
        (
            Decimal(each["quantity"]) * (1 if each["side"] == "LONG" else -1)
            for each in status["positions"]
        ),
        Decimal(0),
    )
    if here != (there := practice.position()):
        found.append(f"position: node {here}, venue {there}")
    return found


def agree(node: live.Node, practice: Practice, timeout: float = 20.0) -> None:
    """Wait until the node's orders, fills and positions are the venue's; fail with what differs."""
    late = time.monotonic() + timeout
    while found := differences(node, practice):
        assert time.monotonic() < late, found
        time.sleep(0.1)


def until(condition: Callable[[], Any], what: str, timeout: float = 15.0) -> Any:
    """Wait until something holds; return it."""
    late = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < late, f"not within {timeout:g} s: {what}"
        time.sleep(0.05)
    return found


def events(node: live.Node, kind: str, order: str | None = None) -> list[dict[str, Any]]:
    """Return the journal's entries of a type, of one order or of all."""
    return [
        each
        for each in node.events()
        if each["type"] == kind
        and (order is None or each.get("data", {}).get("client_order_id") == order)
    ]


def heard(node: live.Node, kind: str, order: str | None = None, timeout: float = 15.0) -> Any:
    """Wait for an entry of the journal; return the newest."""

    def look() -> list[dict[str, Any]]:
        found = events(node, kind, order)
        assert found or node.running, node.state()
        return found

    return until(look, f"{kind} of {order}", timeout)[-1]


def _number(value: Any) -> str:
    return str(Decimal(str(value or 0)).normalize() + 0)
