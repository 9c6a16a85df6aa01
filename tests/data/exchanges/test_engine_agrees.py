"""Row for row what NautilusTrader's own clients make of the same answers, where they agree.

Where they do not, the tests say what they do instead: that is why they do not fetch history here.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.data.exchanges.support import DAY_AGO, VENUES, opened, serving, study
from tests.servers.faults import Fault, Faults
from tests.servers.local import LocalServer
from tests.servers.tape import DAY, HOUR, MINUTE, Tape
from workbench.core.progress import ignore, never
from workbench.core.project import Project
from workbench.data.rows import times


def theirs(server: LocalServer, **ask: Any) -> list[list[Any]]:
    process = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "data" / "exchanges" / "oracle.py")],
        input=json.dumps(ask | {"url": server.url}),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    found: list[list[Any]] = json.loads(process.stdout)
    return found


def ours(project: Project, document: Any) -> list[list[Any]]:
    provider, item = opened(project, document)
    spec = document.data[0]
    rows: list[list[Any]] = []
    for request in provider.plan(item, [(spec.start_ns or 0, spec.end_ns or 0)]):
        for chunk in provider.fetch(item, request, ignore, never):
            metadata = chunk.rows.schema.metadata
            price, size = (int(metadata[k]) for k in (b"price_precision", b"size_precision"))
            moments = times(chunk.rows["ts_init"]).tolist()
            columns = [moments]
            for name in chunk.rows.column_names[:-2]:
                values = chunk.rows[name].to_pylist()
                if name in ("aggressor_side", "trade_id"):
                    columns.append(values)
                    continue
                decimals = size if name in ("volume", "size") else price
                columns.append([f"{value:.{decimals}f}" for value in values])
            rows += map(list, zip(*columns, strict=True))
    return rows


@pytest.mark.parametrize(
    ("exchange", "instrument", "bars", "late"),
    [
        ("bybit", "BTCUSDT-LINEAR.BYBIT", "1-MINUTE-LAST", True),
        ("bybit", "BTCUSDT-SPOT.BYBIT", "1-HOUR-LAST", True),
        # Theirs are stamped at the open: a strategy would know a bar before it began.
        ("okx", "BTC-USDT-SWAP.OKX", "1-MINUTE-LAST", False),
        ("kraken", "PI_XBTUSD.KRAKEN", "5-MINUTE-LAST", False),
        ("kraken", "BTC/USD.KRAKEN", "1-HOUR-LAST", False),
    ],
)
def test_bars(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    exchange: str,
    instrument: str,
    bars: str,
    late: bool,
) -> None:
    step = {"1-MINUTE": MINUTE, "5-MINUTE": 5 * MINUTE, "1-HOUR": HOUR}[bars.removesuffix("-LAST")]
    first, last = DAY_AGO + HOUR, DAY_AGO + 5 * HOUR
    document = study(exchange, first, last, instrument=instrument, bars=bars)
    with serving(VENUES[exchange](), monkeypatch) as server:
        span = {"first": first - 2 * step, "last": last}
        found = theirs(server, adapter=exchange, instrument=instrument, what=bars, **span)
        mine = ours(project, document)
    shift = 0 if late else step * 10**6
    wanted = [[ts + shift, *values] for ts, *values in found]
    assert len(mine) == 4 * HOUR // step + 1
    inside = [row for row in wanted if first * 10**6 <= row[0] <= last * 10**6]
    # Of OKX theirs gets the last page only: it asks with `before` alone, which gives the newest.
    assert len(inside) == (100 if exchange == "okx" else len(mine))
    assert mine[-len(inside) :] == inside


@pytest.mark.parametrize(
    ("exchange", "instrument"),
    [
        ("okx", "BTC-USDT-SWAP.OKX"),
        ("kraken", "BTC/USD.KRAKEN"),
        ("kraken", "PI_XBTUSD.KRAKEN"),
    ],
)
def test_trades(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str, instrument: str
) -> None:
    first, last = DAY_AGO, DAY_AGO + 2 * HOUR - 1
    document = study(exchange, first, last, instrument=instrument, ticks="trades")
    with serving(VENUES[exchange](), monkeypatch) as server:
        span = {"first": first, "last": last}
        found = theirs(server, adapter=exchange, instrument=instrument, what="trades", **span)
        mine = ours(project, document)
    assert len(mine) > 100
    pages = {"okx": len(mine), "kraken": 100 if instrument.startswith("PI_") else 1000}
    found = [row for row in found if row[0] <= last * 10**6]
    assert len(found) == min(pages[exchange], len(mine))
    assert [row[1:] for row in mine][: len(found)] == [row[1:] for row in found]
    # Their client cuts Kraken's times to milliseconds.
    assert all(0 <= a[0] - b[0] < 10**6 for a, b in zip(mine, found, strict=False))


def test_why_they_do_not_fetch_history(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one of these fails, the client has become better: see the module's docstring."""
    good = Tape.candle
    odd = DAY_AGO + 30 * MINUTE

    def candle(self: Tape, moment: int) -> Any:
        return ("oops", "2", "1", "1", "1") if moment == odd else good(self, moment)

    monkeypatch.setattr(Tape, "candle", candle)
    ask = {"adapter": "bybit", "instrument": "BTCUSDT-LINEAR.BYBIT", "what": "1-MINUTE-LAST"}
    faults = Faults(retry_after=3)
    with serving(VENUES["bybit"](), monkeypatch, faults) as server:
        found = theirs(server, **ask, first=DAY_AGO, last=DAY_AGO + HOUR)
        assert len(found) == 60, "a row that cannot be read is dropped without a word"
        before = len(server.requests)
        faults.next(Fault.TOO_MANY, path="kline")
        theirs(server, **ask, first=DAY_AGO, last=DAY_AGO + 5 * MINUTE)
        assert len(server.requests) - before == 3
    venue = VENUES["kraken"]()
    tape = Tape(DAY_AGO, every=MINUTE // 10)
    venue.spot |= dict.fromkeys(venue.spot, tape)
    with serving(venue, monkeypatch) as server:
        ask = {"adapter": "kraken", "instrument": "BTC/USD.KRAKEN", "what": "trades"}
        found = theirs(server, **ask, first=DAY_AGO, last=DAY_AGO + DAY)
    assert len(found) == 1000, "one page of trades is returned as if it were all"
    assert len(list(tape.trades(DAY_AGO, DAY_AGO + DAY))) > 10_000
