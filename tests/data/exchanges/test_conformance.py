"""Each exchange keeps the contract of a provider, for bars and for trades."""

from typing import Any

import pytest

from tests.data.conformance import conforms
from tests.data.exchanges.support import DAY_AGO, INSTRUMENTS, VENUES, opened, serving, study
from tests.servers.tape import DAY, HOUR, now_ms
from workbench.core.project import Project

BARS = [
    *INSTRUMENTS.items(),
    ("bybit", "BTCUSDT-SPOT.BYBIT"),
    ("bybit", "BTCUSD-INVERSE.BYBIT"),
    ("okx", "BTC-USDT.OKX"),
    ("kraken", "BTC/USD.KRAKEN"),
    ("binance", "BTCUSDT.BINANCE"),
    ("binance", "BTCUSD_PERP.BINANCE"),
]


@pytest.mark.parametrize(("exchange", "instrument"), BARS)
@pytest.mark.parametrize("kind", ["bars", "trades"])
def test_it_conforms(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    exchange: str,
    instrument: str,
    kind: str,
) -> None:
    first, last = DAY_AGO, DAY_AGO + DAY - 1
    if (instrument, kind) == ("BTC/USD.KRAKEN", "bars"):
        first, last = now_ms() - 3 * HOUR, now_ms() - HOUR
    what: dict[str, Any] = {"instrument": instrument}
    what |= {"bars": "1-MINUTE-LAST"} if kind == "bars" else {"ticks": "trades"}
    good = study(exchange, first, last, **what)
    bad = study(exchange, first, last, instrument=instrument, ticks="quotes")
    with serving(VENUES[exchange](), monkeypatch):
        conforms(opened(project, good)[0], good, bad)
