"""kill -9 and restart at random moments while a strategy and the desk trade.

After each the node's orders, fills and positions are the venue's: none lost, none twice, none that
only one of them knows.
"""

import json
import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live.practice import INSTRUMENT, Practice, agree, practice_study, practising, until
from workbench import live
from workbench.core.errors import WorkbenchError
from workbench.core.project import Project
from workbench.live import redis_server

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.timeout(7200)]

CHURN = '''"""Trades at random while the file `trade` is there."""

import datetime as dt
import random
from pathlib import Path

from nautilus_trader.model import InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.trading import Strategy

TRADE = Path("trade")


class Churn(Strategy):
    def on_start(self):
        self.instrument = InstrumentId.from_str("BTCUSDT-LINEAR.BYBIT")
        self.subscribe_quotes(self.instrument)
        self.random = random.Random()
        self.clock.set_timer("churn", dt.timedelta(milliseconds=60), callback=self.churn)

    def on_stop(self):
        self.clock.cancel_timer("churn")

    def churn(self, _):
        quote = self.cache.quote(self.instrument)
        if quote is None or not TRADE.exists():
            return
        mine = [o for o in self.cache.orders_open() if o.strategy_id == self.strategy_id]
        held = sum(p.signed_qty for p in self.cache.positions_open())
        side = OrderSide.SELL if held > self.random.uniform(-0.05, 0.05) else OrderSide.BUY
        size = Quantity(self.random.randint(1, 9) / 1000, 3)
        dice = self.random.random()
        if mine and (dice < 0.3 or len(mine) > 8):
            self.cancel_order(self.random.choice(mine).client_order_id)
        elif dice < 0.6:
            self.submit_order(self.order_factory.market(self.instrument, side, size))
        else:
            away = self.random.choice([-60, -5, -1, 1]) * (1 if side == OrderSide.BUY else -1)
            price = Price(round(float(quote.bid_price) + away, 1), 1)
            self.submit_order(self.order_factory.limit(self.instrument, side, size, price))
'''


class Market(threading.Thread):
    """Walks the venue's price at random."""

    def __init__(self, practice: Practice, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self._practice, self._dice = practice, dice
        self.still, self.over = threading.Event(), threading.Event()

    def run(self) -> None:
        price = 300_000
        while not self.over.wait(0.02):
            if not self.still.is_set():
                price += self._dice.randint(-15, 15) + (300_000 - price) // 50
                self._practice.quote(f"{price / 10}", f"{(price + 1) / 10}", "0.5")


@contextmanager
def churning(project: Project, dice: random.Random) -> Iterator[tuple[Practice, live.Node, Market]]:
    (project.root / "strategies" / "churn.py").write_text(CHURN)
    study = practice_study(project, "redis", strategy={"path": "strategies/churn.py:Churn"})
    with practising(project) as practice:
        market = Market(practice, dice)
        market.start()
        try:
            node = live.launch(study, project, max_restarts=10**6, back_off=0.0)
            yield practice, node, market
        finally:
            market.over.set()
            market.join()
            for each in live.nodes(project):
                if each.running:
                    each.kill()
            redis_server.stop(project)


def desk_order(node: live.Node, name: str) -> bool:
    """Have the desk buy or sell; say whether it answered."""
    order = {
        "client_order_id": name,
        "instrument": INSTRUMENT,
        "side": "BUY" if sum(map(ord, name)) % 2 else "SELL",
        "quantity": "0.002",
        "type": "MARKET",
    }
    try:
        live.orders.submit(node, order, wait=0.2)
    except WorkbenchError:
        return False
    return True


def killed(node: live.Node) -> None:
    """Kill the engine and wait until another has taken its place."""
    pid = node.state()["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: node.state()["pid"] not in (None, pid), "it is started again", 20)


def test_kill_cycles(project: Project, pytestconfig: pytest.Config) -> None:
    drills = pytestconfig.getoption("--drills")
    cycles = int(os.environ.get("KILL_CYCLES") or (500 if drills else 3))
    seed = int(os.environ.get("KILL_SEED") or time.time_ns() % 10**9)
    print(f"KILL_SEED={seed}")
    dice = random.Random(seed)
    trade, failures, orders = project.root / "trade", [], 0
    with churning(project, dice) as (practice, node, market):
        for cycle in range(cycles):
            market.still.clear()
            trade.touch()
            desk = f"DESK-{seed}-{cycle}"
            time.sleep(dice.uniform(0.0, 0.5))
            answered = desk_order(node, desk)
            time.sleep(dice.uniform(0.0, 0.5))
            killed(node)
            if dice.random() < 0.3:  # once more, while it starts
                time.sleep(dice.uniform(0.0, 3.0))
                killed(node)
            trade.unlink()
            node.wait(("RUNNING",), 60)
            market.still.set()
            late = time.monotonic() + 20
            while not answered and time.monotonic() < late:
                answered = desk_order(node, desk)
            assert answered, "the desk does not answer"
            try:
                agree(node, practice, 30)
            except AssertionError as error:
                failures.append(f"cycle {cycle}: {error}")
                failures += told_of(node, str(error))
                break
            orders = len(node.ask("ledger")["orders"])
            if drills:
                print(json.dumps({"cycle": cycle, "orders": orders}), flush=True)
    assert not failures, "\n".join(failures)
    assert orders >= cycles, "there was something to lose"


def told_of(node: live.Node, failure: str) -> list[str]:
    """Return all that node and engine wrote of the orders a failure names."""
    names = set(re.findall(r"(?:O|DESK|T)-[0-9-]+", failure))
    lines = [f"{name}: {node.ask('ledger')['orders'].get(name)}" for name in sorted(names)]
    for file in ("journal.jsonl", "engine.jsonl"):
        lines += [
            line[:700]
            for line in (node.folder / file).read_text().splitlines()
            if any(name in line for name in names) or "Event loop starting" in line
        ]
    return lines
