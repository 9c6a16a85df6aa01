"""Books that outlast restarts, kills, torn lines and full disks."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.venue.support import BTC, ETH, Desk
from workbench.core.errors import DataError, InputError, WorkbenchError
from workbench.core.journal import Journal, read


def traded(path: Path) -> Desk:
    desk = Desk(BTC, ETH, books=path)
    desk.trade("30000", "Buy")
    desk.order("Buy", "0.5", orderLinkId="bought")
    desk.order("Sell", "0.2", "31000.0", orderLinkId="resting", timeInForce="PostOnly")
    desk.order("Sell", "0.5", triggerPrice="29000", triggerDirection=2, reduceOnly=True)
    desk.cancel(desk.order("Buy", "0.1", "20000.0"))
    return desk


def test_a_restart_finds_everything_again(tmp_path: Path) -> None:
    before = traded(tmp_path / "books.jsonl")
    leverage = {"symbol": "ETHUSDT", "buyLeverage": "3", "sellLeverage": "3"}
    before.exchange.set_leverage({"category": "linear", **leverage})
    before.exchange.books.close()
    after = Desk(BTC, ETH, books=tmp_path / "books.jsonl")
    assert after.exchange.books.orders == before.exchange.books.orders
    assert after.exchange.books.executions == before.exchange.books.executions
    assert list(after.exchange.books.open["BTCUSDT"]) == list(before.exchange.books.open["BTCUSDT"])
    assert after.account.positions == before.account.positions
    assert (after.account.wallet, after.account.leverage("ETHUSDT")) == (before.account.wallet, 3)
    old = {each.id for each in before.exchange.books.executions} | set(after.exchange.books.orders)
    after.trade("30000", "Buy")
    new = after.order("Buy", "0.1")
    assert new.id not in old
    assert after.exchange.books.executions[-1].id not in old
    after.trade("28999")
    assert after.size() == Decimal("0.1")  # the stop of before has closed what it was for
    after.exchange.books.close()


def test_a_torn_line_was_never_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    desk = traded(path)
    whole = path.read_bytes()
    desk.order("Buy", "0.1", orderLinkId="last")
    desk.exchange.books.close()
    longer = path.read_bytes()
    for cut in range(len(whole) + 1, len(longer), 97):
        path.write_bytes(longer[:cut])
        again = Desk(BTC, ETH, books=path)
        assert "last" not in again.exchange.books.links
        assert again.size() == Decimal("0.5")
        again.exchange.books.close()
        assert path.read_bytes() == whole


def test_damage_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    traded(path).exchange.books.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        Desk(BTC, ETH, books=path)


def test_books_of_another_kind_balance_or_listing_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    desk = traded(path)
    with pytest.raises(WorkbenchError, match="another process writes"):
        Desk(BTC, ETH, books=path)
    desk.exchange.books.close()
    with pytest.raises(InputError, match="opened with 100000 USDT, not 5000"):
        Desk(BTC, ETH, books=path, balance=Decimal(5_000))
    with pytest.raises(InputError, match="hold BTCUSDT, which this venue does not list"):
        Desk(ETH, books=path)
    Desk(BTC, books=path, balance=Decimal(100_000)).exchange.books.close()
    with Journal(tmp_path / "other.jsonl") as other:
        other.append("node", {})
    with pytest.raises(DataError, match="no books of a practice venue"):
        Desk(BTC, books=tmp_path / "other.jsonl")


_FULL = """
import json, resource, signal, sys
from pathlib import Path
from tests.venue.support import Desk
from workbench.venue.model import Refusal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
desk = Desk(books=Path(sys.argv[1]))
desk.trade("30000", "Buy")
resting = desk.order("Sell", "0.002", "30010.0")
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
done = 0
try:
    while True:
        desk.order("Buy", "0.001")
        done += 1
except Refusal as refusal:
    code = refusal.code
before = desk.account.wallet
desk.trade("30020")  # reaches the resting order, which cannot be written down
left = str(desk.now(resting).leaves)
print(json.dumps([code, done, str(desk.size()), left, before == desk.account.wallet]))
"""


def test_what_cannot_be_written_has_not_happened(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    told = subprocess.run(
        [sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, check=True
    )
    code, done, size, left, same = json.loads(told.stdout)
    assert (code, Decimal(size), left, same) == (10016, done * Decimal("0.001"), "0.002", True)
    again = Desk(books=path)
    assert again.size() == Decimal(size)
    again.trade("30020")
    assert again.size() == Decimal(size) - Decimal("0.002")
    again.exchange.books.close()


_BUSY = """
import random, sys
from pathlib import Path
from tests.venue.support import Desk
desk = Desk(books=Path(sys.argv[1]))
desk.trade("30000", "Buy")
chance = random.Random(int(sys.argv[2]))
print("ready", flush=True)
number = len(desk.exchange.books.orders)
while True:
    number += 1
    side = chance.choice(["Buy", "Sell"])
    price = None if chance.random() < 0.5 else str(30000 + chance.randint(-50, 50))
    order = desk.order(side, "0.001", price, orderLinkId=f"n-{number}")
    print(order.link, order.status, order.filled, flush=True)
    if chance.random() < 0.3:
        desk.trade(str(30000 + chance.randint(-20, 20)))
    live = desk.exchange.books.live()
    if len(live) > 20:
        gone = desk.cancel(chance.choice(live))
        print(gone.link, gone.status, gone.filled, flush=True)
"""


def test_what_was_acknowledged_outlasts_a_kill(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    path, chance = tmp_path / "books.jsonl", random.Random(11)
    known: dict[str, tuple[str, Decimal]] = {}
    for _ in range(100 if pytestconfig.getoption("--drills") else 4):
        process = subprocess.Popen(
            [sys.executable, "-c", _BUSY, str(path), str(chance.randrange(10**6))],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.random() / 5)
        os.kill(process.pid, signal.SIGKILL)
        told = process.stdout.read()
        process.stdout.close()
        process.wait()
        for line in told.splitlines(keepends=True):
            if line.endswith("\n"):
                link, status, filled = line.split()
                known[link] = (status, Decimal(filled))
        desk = Desk(books=path)
        books = desk.exchange.books
        for link, (status, filled) in known.items():
            order = books.orders[books.links[link]]
            assert order.filled >= filled
            assert not (status in ("Filled", "Cancelled") and order.status != status)
        unknown = set(books.links) - set(known)
        assert len(unknown) <= 1  # in the books, but its acknowledgement was not read
        fills = sum((each.signed for each in books.executions), Decimal(0))
        assert desk.size() == fills
        names = [each.id for each in books.executions] + list(books.orders)
        assert len(set(names)) == len(names)
        known |= {each: ("", Decimal(0)) for each in unknown}
        books.close()
    assert len(known) > 10


def test_where_the_replay_was_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    desk = Desk(books=path)
    desk.exchange.position = 17
    desk.exchange.note()
    desk.exchange.note()
    desk.trade("30000", "Buy")
    desk.exchange.position = 18
    desk.order("Buy", "0.1")
    desk.exchange.books.close()
    kinds = [entry["type"] for entry in read(path)]
    assert kinds == ["opened", "replay", "work"]
    again = Desk(books=path)
    assert again.exchange.position == 18
    again.exchange.books.close()
