"""Studies of the exchanges, and their servers on this machine."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.data.support import study_of
from tests.servers.binance import Binance
from tests.servers.bybit import Bybit
from tests.servers.faults import Faults, Handler
from tests.servers.kraken import Kraken
from tests.servers.local import LocalServer
from tests.servers.okx import OKX
from tests.servers.tape import DAY, HOUR, now_ms
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


DAY_AGO = (now_ms() - 7 * HOUR) // DAY * DAY - DAY
"""The beginning of a day that is over, for some hours: Bybit's files are there."""


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


class Hollow:
    """Empties lists of rows out of good answers: each `every`-th one to paths with `path` in them.

    Attributes
    ----------
    made
        How often.

    """

    def __init__(self, path: str, every: int) -> None:
        self.path, self.every = path, every
        self.seen = self.made = 0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if self.path not in request.path or not isinstance(answer, web.Response):
            return answer
        self.seen += 1
        if self.seen % self.every:
            return answer
        self.made += 1
        return web.json_response(self._emptied(json.loads(answer.text or "")))

    def _emptied(self, content: Any) -> Any:
        if isinstance(content, list):
            return []
        if isinstance(content, dict):
            names = {"error"}  # Kraken's, empty where all is well
            return {k: v if k in names else self._emptied(v) for k, v in content.items()}
        return content


@contextmanager
def serving(
    venue: Any,
    monkeypatch: pytest.MonkeyPatch,
    faults: Faults | None = None,
    hollow: Hollow | None = None,
) -> Iterator[LocalServer]:
    """Serve a venue, and let its provider ask there."""
    name = next(name for name, kind in VENUES.items() if isinstance(venue, kind))
    app: web.Application = venue.application(faults)
    if hollow:
        app.middlewares.append(hollow.middleware)
    with LocalServer(app) as server:
        for variable in VARIABLES[name]:
            monkeypatch.setenv(variable, server.url)
        yield server


def opened(project: Project, document: Study) -> tuple[Provider, Item]:
    return provider(document.data[0].provider, project), Item(document, 0)
