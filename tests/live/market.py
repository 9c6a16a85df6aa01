"""A node whose prices move row by row, as the test asks: a replay that stands still in between.

Every kind of prices has an instrument of its own, all with the same prices. They go round: five
rows at 1.1000, up to 1.1020, down to 1.0980, back to 1.1000.
"""

import datetime as dt
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from workbench import live
from workbench.core.errors import InputError
from workbench.core.project import Project
from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places

CYCLE = (
    [11000] * 5
    + [11000 + step for step in range(1, 21)]
    + [11020 - 2 * step for step in range(1, 21)]
    + [10980 + 4 * step for step in range(1, 6)]
)
ROUNDS = 60
INSTRUMENTS = {"quotes": "EUR/USD.SIM", "trades": "GBP/USD.SIM", "bars": "AUD/USD.SIM"}
_IDLE = "from nautilus_trader.trading import Strategy\n\nclass Idle(Strategy):\n    pass\n"
_ON_THE_WAY = {"initialized", "submitted", "released", "pending_update", "pending_cancel"}
_HEADS = {
    "quotes": "timestamp,bid,ask,bid_size,ask_size",
    "trades": "timestamp,price,size,side,trade_id",
    "bars": "timestamp,open,high,low,close,volume",
}


def make_project(root: Path, strategy: str = _IDLE) -> Project:
    """Make a project with a strategy ``Idle``, which does nothing unless told otherwise."""
    for name in ("studies", "strategies", "notebooks"):
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / name, root / name, ignore=ignore)
    (root / "data").mkdir()
    (root / ".gateway").mkdir()
    (root / "strategies" / "idle.py").write_text(strategy)
    return Project(root)


def write_prices(path: Path, kind: str, prices: list[int], size: str) -> None:
    """Write one row a minute; prices in units of 0.0001."""
    start = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    lines = [_HEADS[kind]]
    before = prices[0]
    for number, tick in enumerate(prices):
        time = f"{start + dt.timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}"
        price = tick / 10_000
        match kind:
            case "quotes":
                row = f"{price - 0.00005:.5f},{price + 0.00005:.5f},{size},{size}"
            case "trades":
                row = f"{price:.5f},{size},buy,{number}"
            case _:
                low, high = sorted((tick, before))
                row = f"{before / 1e4:.5f},{high / 1e4:.5f},{low / 1e4:.5f},{price:.5f},{size}"
        lines.append(f"{time},{row}")
        before = tick
    path.write_text("\n".join(lines) + "\n")


def definition(instrument: str) -> dict[str, Any]:
    """Return what describes a currency pair."""
    return {
        "definition": {
            "type": "currency_pair", "currency": "USD", "base": instrument[:3],
            "price_precision": 5, "margin_init": 0.03,
        }
    }  # fmt: skip


def market_study(
    project: Project,
    *kinds: str,
    size: str = "1000000",
    oms: str = "netting",
    rounds: int = ROUNDS,
    **changes: Any,
) -> Study:
    """Return a study that replays these kinds of prices and trades nothing itself."""
    data = []
    for kind in kinds:
        path = project.root / "data" / f"{kind}.csv"
        write_prices(path, kind, CYCLE * rounds, size)
        what = {"bars": "1-MINUTE-LAST"} if kind == "bars" else {"ticks": kind}
        data.append(
            {
                "provider": "file", "instrument": INSTRUMENTS[kind], "path": f"data/{kind}.csv",
                **what, **definition(INSTRUMENTS[kind]),
            }
        )  # fmt: skip
    document = {
        "schema": 1,
        "study": f"desk-{'-'.join(kinds)}",
        "trader": f"DESK-{''.join(kinds)}",
        "data": data,
        "venues": [
            {
                "name": "SIM", "account": "margin", "oms": oms, "balances": ["100_000 USD"],
                "base_currency": "USD", "leverage": 10,
                "fees": {"maker": 0.0001, "taker": 0.0002},
            }
        ],
        "strategy": {"path": "strategies/idle.py:Idle", "params": {}},
        "live": {
            "environment": "sandbox",
            "feeds": [{"adapter": "replay", "speed": 1}],
            "execution": [{"adapter": "sandbox"}],
        },
    }  # fmt: skip
    return build(document | changes, Places(file="study.yaml"))


@dataclass
class Desk:
    """A node, and where its prices are."""

    node: live.Node
    kinds: tuple[str, ...]
    row: int = 0

    @classmethod
    def launch(cls, project: Project, *kinds: str, **changes: Any) -> "Desk":
        node = live.launch(market_study(project, *kinds, **changes), project)
        node.ask("pause_feed")
        played = node.status()["feeds"][0]["rows"]
        node.ask("step_feed", rows=3 * len(kinds) - played)  # every kind has had three rows
        return cls(node, kinds, 3)

    def step(self, rows: int = 1) -> None:
        """Let the prices move by so many rows, and what follows settle."""
        each = len(self.kinds)
        self.row = self.node.ask("step_feed", rows=rows * each)["rows"] // each

    def to(self, row: int) -> None:
        """Step until this many rows of a round have been played, of the next if they have."""
        if ahead := (row - self.row) % len(CYCLE):
            self.step(ahead)

    def order(self, **order: Any) -> dict[str, Any]:
        """Return an order: buy 1,000 units unless told otherwise."""
        return {"instrument": INSTRUMENTS[self.kinds[0]], "side": "BUY", "quantity": 1000} | order

    def submit(self, **order: Any) -> dict[str, Any]:
        """Place an order."""
        return live.orders.submit(self.node, self.order(**order))

    def ask(self, **request: Any) -> dict[str, Any]:
        """Place what is more than one order."""
        return live.orders.submit(self.node, request)

    def refused(self, **order: Any) -> str:
        """Return why an order is refused."""
        try:
            answer = self.submit(**order)
        except InputError as error:
            return str(error)
        raise AssertionError(f"it was not refused: {answer}")

    def orders(self) -> dict[str, dict[str, Any]]:
        """Return all orders by id, closed ones too, once none is on its way."""
        late = time.monotonic() + 5
        while True:
            found = live.orders.list_(self.node, closed=True)
            if time.monotonic() > late or not any(each["status"] in _ON_THE_WAY for each in found):
                return {order["client_order_id"]: order for order in found}

    def status(self, name: str) -> str:
        return str(self.orders()[name]["status"])

    def held(self) -> dict[str, int]:
        """Return the open positions by instrument."""
        found = self.node.status()["positions"]
        return {each["instrument"]: int(each["signed"]) for each in found}

    def clear(self) -> None:
        """Cancel every order of the desk and close what is open."""
        live.orders.cancel_all(self.node, strategy="DESK-DESK")
        for name, held in self.held().items():
            side = "SELL" if held > 0 else "BUY"
            answer = self.submit(instrument=name, side=side, quantity=abs(held), reduce_only=True)
            assert answer["status"] == "filled", answer
        assert self.held() == {}
        assert live.orders.list_(self.node, strategy="DESK-DESK") == []

    def alive(self) -> bool:
        return self.node.state()["restarts"] == 0 and self.node.ask("ping") == "pong"


def end(node: live.Node) -> None:
    """End a node whatever the test did."""
    if node.running:
        node.kill()
