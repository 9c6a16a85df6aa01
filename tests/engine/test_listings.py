"""Instruments made of what venues list."""

import asyncio
import json
import subprocess
from typing import Any

import pytest

from tests.servers.binance import Binance
from tests.servers.bybit import Bybit
from tests.servers.kraken import Kraken
from tests.servers.okx import OKX
from workbench.core.errors import DataError
from workbench.engine import listings
from workbench.engine.instruments import build
from workbench.engine.listings import describe


class Query:
    """As much of a request as the servers' listings look at."""

    def __init__(self, path: str, **query: str) -> None:
        self.path, self.query = path, query


def listed(handler: Any, path: str, **query: str) -> dict[str, str]:
    return {path: asyncio.run(handler(Query(path, **query))).text}


def answers(adapter: str, product: str) -> dict[str, str]:
    if adapter == "bybit":
        return listed(Bybit().instruments, "/v5/market/instruments-info", category=product)
    if adapter == "okx":
        return listed(OKX().instruments, "/api/v5/public/instruments", instType=product)
    if adapter == "kraken" and product == "spot":
        return listed(Kraken().pairs, "/0/public/AssetPairs")
    if adapter == "kraken":
        return listed(Kraken().contracts, "/derivatives/api/v3/instruments")
    prefix = {"SPOT": "/api/v3", "USD_M": "/fapi/v1", "COIN_M": "/dapi/v1"}[product]
    return listed(Binance().info, f"{prefix}/exchangeInfo")


@pytest.mark.parametrize(
    ("adapter", "product", "instrument", "kind", "precisions"),
    [
        ("bybit", "linear", "BTCUSDT-LINEAR.BYBIT", "CryptoPerpetual", (1, 3)),
        ("bybit", "spot", "BTCUSDT-SPOT.BYBIT", "CurrencyPair", (1, 6)),
        ("bybit", "inverse", "BTCUSD-INVERSE.BYBIT", "CryptoPerpetual", (1, 0)),
        ("okx", "SWAP", "BTC-USDT-SWAP.OKX", "CryptoPerpetual", (1, 2)),
        ("okx", "SPOT", "BTC-USDT.OKX", "CurrencyPair", (1, 8)),
        ("kraken", "spot", "DOGE/USD.KRAKEN", "CurrencyPair", (1, 8)),
        ("kraken", "futures", "PI_XBTUSD.KRAKEN", "CryptoPerpetual", (1, 0)),
        ("binance", "SPOT", "BTCUSDT.BINANCE", "CurrencyPair", (2, 5)),
        ("binance", "USD_M", "BTCUSDT-PERP.BINANCE", "CryptoPerpetual", (1, 3)),
        ("binance", "COIN_M", "BTCUSD_PERP.BINANCE", "CryptoPerpetual", (1, 0)),
    ],
)
def test_each_venue_s_listing(
    adapter: str, product: str, instrument: str, kind: str, precisions: tuple[int, int]
) -> None:
    found = describe(adapter, product, answers(adapter, product), instrument)
    assert (found.id, found.type) == (instrument, kind)
    assert (found.price_precision, found.size_precision) == precisions
    native = build(instrument, found)
    assert str(native.id) == instrument
    assert native.is_inverse == (instrument in (
        "BTCUSD-INVERSE.BYBIT", "PI_XBTUSD.KRAKEN", "BTCUSD_PERP.BINANCE"
    ))  # fmt: skip


def test_a_listing_without_it() -> None:
    with pytest.raises(DataError, match=r"X\.BYBIT: bybit lists it, but NautilusTrader makes no"):
        describe("bybit", "linear", answers("bybit", "linear"), "X.BYBIT")


def test_a_listing_that_is_none() -> None:
    for body in ("", "[]", '{"retCode": 10001, "retMsg": "no", "result": {}}', "<html>"):
        path = "/v5/market/instruments-info"
        with pytest.raises(DataError, match=r"^BTCUSDT-LINEAR\.BYBIT: bybit lists it, but "):
            describe("bybit", "linear", {path: body}, "BTCUSDT-LINEAR.BYBIT")


def test_a_process_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.run

    def killed(command: list[str], **options: Any) -> Any:
        return real(["sh", "-c", "echo thread panicked >&2; kill -ABRT $$"], **options)

    monkeypatch.setattr(subprocess, "run", killed)
    with pytest.raises(DataError, match=r"X\.OKX: the process .* exit code -6 thread panicked"):
        describe("okx", "SWAP", {}, "X.OKX")

    def hangs(command: list[str], **options: Any) -> Any:
        return real(["sleep", "30"], **options)

    monkeypatch.setattr(subprocess, "run", hangs)
    monkeypatch.setattr(listings, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(DataError, match=r"took more than 0\.2 s"):
        describe("okx", "SWAP", {}, "X.OKX")


def test_the_description_is_the_same_however_often() -> None:
    kinds = [describe("okx", "SPOT", answers("okx", "SPOT"), "BTC-USDT.OKX") for _ in range(2)]
    assert kinds[0] == kinds[1]
    assert json.loads(kinds[0].content)["ts_init"] == 0
