"""Instruments from a venue's own listing, made by NautilusTrader's parsers.

The parsers are only to be reached through its HTTP clients. These run in a process of their own,
because a panic of theirs would abort ours, and ask a server on the loopback that hands them what
the venue answered: asking the venue itself, with its limits and faults, is `workbench.data`'s.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from workbench.core.errors import DataError
from workbench.engine.instruments import Description
from workbench.engine.version import require

TIMEOUT_SECONDS = 60.0
_SAID = 500


def describe(
    adapter: str, product: str, answers: Mapping[str, str], instrument: str
) -> Description:
    """Describe an instrument of a venue's listing.

    Parameters
    ----------
    adapter, product
        Such as ``bybit`` and ``linear``.
    answers
        The venue's answers as text, by path.
    instrument
        Its id.

    Raises
    ------
    DataError
        If no such instrument can be made of them.

    """
    require()
    request = {"adapter": adapter, "product": product, "answers": dict(answers), "id": instrument}
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-m", "workbench.engine.listings"],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            # A proxy has no business on the loopback.
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"{instrument}: reading {adapter}'s listing took more than {TIMEOUT_SECONDS:g} s"
        raise DataError(message) from None
    try:
        answer = json.loads(process.stdout)
    except ValueError:
        said = process.stderr.decode(errors="replace")[-_SAID:].strip()
        ended = f"ended with exit code {process.returncode}"
        message = f"{instrument}: the process that reads {adapter}'s listing {ended} {said}"
        raise DataError(message.strip()) from None
    if answer["error"]:
        raise DataError(f"{instrument}: {adapter} lists it, but {answer['error']}")
    return Description(answer["content"])


type _Load = Callable[[str], Coroutine[Any, Any, Sequence[Any]]]


def _bybit(product: str) -> _Load:
    from nautilus_trader.adapters.bybit import BybitHttpClient, BybitProductType

    async def load(url: str) -> Sequence[Any]:
        kind = getattr(BybitProductType, product.upper())
        found: Sequence[Any] = await BybitHttpClient(base_url=url).request_instruments(kind)
        return found

    return load


def _okx(product: str) -> _Load:
    from nautilus_trader.adapters.okx import OKXHttpClient, OKXInstrumentType

    async def load(url: str) -> Sequence[Any]:
        # It demands a key although none is needed; these words go to the loopback only.
        client = OKXHttpClient(api_key="-", api_secret="-", api_passphrase="-", base_url=url)  # noqa: S106
        found, _ = await client.request_instruments(getattr(OKXInstrumentType, product))
        return list(found)

    return load


def _kraken(product: str) -> _Load:
    from nautilus_trader.adapters.kraken import KrakenFuturesHttpClient, KrakenSpotHttpClient

    async def load(url: str) -> Sequence[Any]:
        client = KrakenSpotHttpClient if product == "spot" else KrakenFuturesHttpClient
        found: Sequence[Any] = await client(base_url=url).request_instruments()
        return found

    return load


def _binance(product: str) -> _Load:
    from nautilus_trader.adapters import binance

    async def load(url: str) -> Sequence[Any]:
        config = binance.BinanceDataClientConfig(
            product_type=getattr(binance.BinanceProductType, product), base_url_http=url
        )
        found: Sequence[Any] = await binance.load_binance_instruments(config)
        return found

    return load


def _binance_spot(answers: Mapping[str, str]) -> list[Any]:
    """Make pairs of Binance's spot listing: the engine reads that in a binary form only."""
    from nautilus_trader import model

    pairs = []
    for symbol in json.loads(answers["/api/v3/exchangeInfo"])["symbols"]:
        filters = {each["filterType"]: each for each in symbol["filters"]}
        price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
        tick = model.Price.from_str(_short(price["tickSize"]))
        step = model.Quantity.from_str(_short(lot["stepSize"]))
        pairs.append(
            model.CurrencyPair(
                instrument_id=model.InstrumentId.from_str(f"{symbol['symbol']}.BINANCE"),
                raw_symbol=model.Symbol(symbol["symbol"]),
                base_currency=model.Currency.from_str(symbol["baseAsset"]),
                quote_currency=model.Currency.from_str(symbol["quoteAsset"]),
                price_precision=tick.precision,
                size_precision=step.precision,
                price_increment=tick,
                size_increment=step,
                lot_size=step,
                min_quantity=model.Quantity.from_str(_short(lot["minQty"])),
                max_quantity=model.Quantity.from_str(_short(lot["maxQty"])),
                min_price=model.Price.from_str(_short(price["minPrice"])),
                max_price=model.Price.from_str(_short(price["maxPrice"])),
                ts_event=0,
                ts_init=0,
            )
        )
    return pairs


def _short(number: str) -> str:
    """Write a decimal without zeros at its end: they are not its precision."""
    return number.rstrip("0").rstrip(".") if "." in number else number


_LOADS = {"bybit": _bybit, "okx": _okx, "kraken": _kraken, "binance": _binance}


class _Replay(BaseHTTPRequestHandler):
    """Hands out the venue's answers."""

    answers: Mapping[str, str]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        # Kraken's client asks a second time, for tokenised shares: there are none among these.
        tokenised = "tokenized_asset" in parts.query
        body = '{"error": [], "result": {}}' if tokenised else self.answers.get(parts.path, "")
        content = body.encode()
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _found(request: Mapping[str, Any]) -> str:
    """Return the content of the description asked for.

    Raises
    ------
    ValueError
        With the reason, if there is none.

    """
    adapter, product, answers = request["adapter"], request["product"], request["answers"]
    if (adapter, product) == ("binance", "SPOT"):
        found: Sequence[Any] = _binance_spot(answers)
    else:
        replay = type("Replay", (_Replay,), {"answers": answers})
        server = ThreadingHTTPServer(("127.0.0.1", 0), replay)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        load = _LOADS[adapter](product)
        found = asyncio.run(load(f"http://127.0.0.1:{server.server_port}"))
    for instrument in found:
        if str(instrument.id) == request["id"]:
            return Description.of(instrument).content
    others = ", ".join(str(each.id) for each in found[:3])
    made = f" (it made {others}, ...)" if others else ""
    raise ValueError(f"NautilusTrader makes no such instrument of the listing{made}")


def main() -> None:
    """Answer the request on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the engine logs is no answer
    request = json.load(sys.stdin)
    answer = {"content": "", "error": ""}
    try:
        answer["content"] = _found(request)
    except Exception as error:
        answer["error"] = str(error) or type(error).__name__
    json.dump(answer, answers)
    answers.flush()
    os._exit(0)  # the engine's threads do not keep us


if __name__ == "__main__":
    main()
