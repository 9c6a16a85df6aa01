"""NautilusTrader's own HTTP clients, asked for the same; run as a process of its own.

Reads a JSON document of what to ask on standard input, writes the rows as JSON.
"""

import asyncio
import datetime as dt
import json
import os
import sys
from typing import Any

from nautilus_trader import model
from nautilus_trader.adapters import bybit, kraken, okx


def client(adapter: str, instrument: str, url: str) -> tuple[Any, tuple[Any, ...]]:
    """Return the client, and what its requests take first."""
    if adapter == "bybit":
        kind = getattr(bybit.BybitProductType, instrument.rpartition(".")[0].rpartition("-")[2])
        return bybit.BybitHttpClient(base_url=url), (kind,)
    if adapter == "okx":
        made = okx.OKXHttpClient(api_key="a", api_secret="b", api_passphrase="c", base_url=url)
        return made, (okx.OKXInstrumentType.SWAP,)
    if "/" in instrument:
        return kraken.KrakenSpotHttpClient(base_url=url, max_requests_per_second=1000), ()
    return kraken.KrakenFuturesHttpClient(base_url=url, max_requests_per_second=1000), ()


async def rows(ask: dict[str, Any]) -> list[list[str]]:
    adapter, instrument = ask["adapter"], ask["instrument"]
    asking, first = client(adapter, instrument, ask["url"])
    found = await asking.request_instruments(*first)
    for each in found[0] if adapter == "okx" else found:
        asking.cache_instrument(each)
    span = [dt.datetime.fromtimestamp(ask[name] / 1000, dt.UTC) for name in ("first", "last")]
    if ask["what"] == "trades":
        identity = model.InstrumentId.from_str(instrument)
        trades = await asking.request_trades(identity, *span)
        return [[t.ts_event, t.price, t.size, t.aggressor_side.name, t.trade_id] for t in trades]
    bar_type = model.BarType.from_str(f"{instrument}-{ask['what']}-EXTERNAL")
    before = first if adapter == "bybit" else ()
    bars = await asking.request_bars(*before, bar_type, *span)
    return [[b.ts_event, b.open, b.high, b.low, b.close, b.volume] for b in bars]


if __name__ == "__main__":
    answer = asyncio.run(rows(json.load(sys.stdin)))
    print(json.dumps([[ts, *map(str, values)] for ts, *values in answer]), flush=True)
    os._exit(0)  # the clients' threads may abort the process when the interpreter goes
