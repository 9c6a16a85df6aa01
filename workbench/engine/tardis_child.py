"""The process that `workbench.engine.tardis` runs NautilusTrader's Tardis adapter in.

With an argument it decodes CSV, else it describes an instrument. It imports the engine and little
else: more would take longer than the work on a small file.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LENGTH = 8
"""Bytes that tell how long a piece of the output is."""

LOADERS = {
    "trades": "tardis_trades",
    "quotes": "tardis_quotes",
    "incremental_book_L2": "tardis_deltas",
    "book_snapshot_5": "tardis_depth_from_snapshot5",
    "book_snapshot_25": "tardis_depth_from_snapshot25",
}
"""NautilusTrader's loader of each data type, without ``load_`` or ``stream_``."""

_ENCODERS = {
    "trades": "trades",
    "quotes": "quotes",
    "incremental_book_L2": "book_deltas",
    "book_snapshot_5": "book_depths",
    "book_snapshot_25": "book_depths",
}


async def _instruments(request: Mapping[str, Any]) -> list[Any]:
    from nautilus_trader.adapters.tardis import TardisHttpClient

    client = TardisHttpClient(
        api_key=request["key"],
        base_url=request["url"],
        timeout_secs=max(int(request["timeout"]), 1),
    )
    found: list[Any] = await client.instruments(request["exchange"], request["symbol"])
    return found


def _describe() -> None:
    """Answer the request on standard input: a line of JSON for each state of the instrument."""
    from workbench.engine.instruments import Description

    request = json.load(sys.stdin)
    for instrument in asyncio.run(_instruments(request)):
        sys.stdout.write(Description.of(instrument).content + "\n")


def _decode(request: Mapping[str, Any]) -> None:
    """Read CSV from standard input; write each piece's rows, encoded, after their length."""
    from nautilus_trader import serialization
    from nautilus_trader.adapters import tardis
    from nautilus_trader.model import InstrumentId

    reading = request["reading"]
    pieces = getattr(tardis, f"stream_{LOADERS[reading['data_type']]}")(
        Path("/dev/stdin"),
        chunk_size=request["piece"],
        price_precision=reading["price_precision"],
        size_precision=reading["size_precision"],
        instrument_id=InstrumentId.from_str(reading["instrument"]),
    )
    kind = _ENCODERS[reading["data_type"]]
    encode = getattr(serialization, f"{kind}_to_arrow_record_batch_bytes")
    for objects in pieces:
        content = encode(objects)
        sys.stdout.buffer.write(len(content).to_bytes(LENGTH, "big") + content)
        sys.stdout.buffer.flush()


def main() -> None:
    """Be the child: decode if the argument says what, else describe an instrument."""
    code = 0
    try:
        if len(sys.argv) > 1:
            _decode(json.loads(sys.argv[1]))
        else:
            _describe()
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads any more
        code = 1
    except Exception as error:
        sys.stderr.write(f"{error}".strip().replace("\n", " "))
        sys.stderr.flush()
        code = 1
    os._exit(code)  # the client's threads panic if they outlive the interpreter


if __name__ == "__main__":
    main()
