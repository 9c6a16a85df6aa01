"""Studies of the exchanges, and their servers on this machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.data.support import study_of
from tests.servers.binance import Binance
from tests.servers.bybit import Bybit
from tests.servers.faults import Faults
from tests.servers.kraken import Kraken
from tests.servers.local import LocalServer
from tests.servers.okx import OKX
from workbench.core.project import Project
from workbench.data.provider import Item, Provider
from workbench.data.providers import provider
from workbench.study import Study

VENUES = {"bybit": Bybit, "okx": OKX, "kraken": Kraken, "binance": Binance}
VARIABLES = {
    "bybit": ("WORKBENCH_URL_BYBIT", "WORKBENCH_URL_BYBIT_PUBLIC"),
    "okx": ("WORKBENCH_URL_OKX",),
    "kraken": ("WORKBENCH_URL_KRAKEN", "WORKBENCH_URL_KRAKEN_FUTURES"),
    "binance": ("WORKBENCH_URL_BINANCE", "WORKBENCH_URL_BINANCE_FUTURES"),
}
INSTRUMENTS = {
    "bybit": "BTCUSDT-LINEAR.BYBIT",
    "okx": "BTC-USDT-SWAP.OKX",
    "kraken": "PI_XBTUSD.KRAKEN",
    "binance": "BTCUSDT-PERP.BINANCE",
}


def text(moment_ms: int) -> str:
    return dt.datetime.fromtimestamp(moment_ms / 1000, dt.UTC).isoformat()


def study(exchange: str, first_ms: int, last_ms: int, **changes: Any) -> Study:
    """Return a study of minutes (or what `changes` say) of the exchange."""
    data = {
        "provider": exchange,
        "instrument": INSTRUMENTS[exchange],
        "bars": "1-MINUTE-LAST",
        "start": text(first_ms),
        "end": text(last_ms),
    } | changes
    if "ticks" in changes or "book" in changes:
        del data["bars"]
    return study_of({key: value for key, value in data.items() if value is not None})


@contextmanager
def serving(
    venue: Any, monkeypatch: pytest.MonkeyPatch, faults: Faults | None = None
) -> Iterator[LocalServer]:
    """Serve a venue, and let its provider ask there."""
    name = next(name for name, kind in VENUES.items() if isinstance(venue, kind))
    app: web.Application = venue.application(faults)
    with LocalServer(app) as server:
        for variable in VARIABLES[name]:
            monkeypatch.setenv(variable, server.url)
        yield server


def opened(project: Project, document: Study) -> tuple[Provider, Item]:
    return provider(document.data[0].provider, project), Item(document, 0)
