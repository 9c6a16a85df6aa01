"""Tardis through NautilusTrader's own adapter: its names, its CSV loaders, its instruments.

The loaders abort the process on a negative amount or a trade id that is too long, so they run in a
child process. It reads the CSV text from its standard input: of a compressed file the loaders would
read the first gzip member and drop the others without a word.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from workbench.core.errors import DataError
from workbench.engine.catalog import encode
from workbench.engine.instruments import Description
from workbench.engine.version import require

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = {
    "trades": "trades",
    "quotes": "quotes",
    "incremental_book_L2": "order_book_deltas",
    "book_snapshot_5": "order_book_depths",
    "book_snapshot_25": "order_book_depths",
}
"""What the catalog calls each of Tardis's data types."""

_LOADERS = {
    "trades": "stream_tardis_trades",
    "quotes": "stream_tardis_quotes",
    "incremental_book_L2": "stream_tardis_deltas",
    "book_snapshot_5": "stream_tardis_depth_from_snapshot5",
    "book_snapshot_25": "stream_tardis_depth_from_snapshot25",
}
# Rows the loaders hold at once; a snapshot of 25 levels is 2 KB.
_PIECES = {"book_snapshot_5": 20_000, "book_snapshot_25": 5_000}
_PIECE = 50_000
_SILENCE_SECONDS = 120.0
_TYPES = ("spot", "perpetual", "future", "option", "combo")
# NautilusTrader's Tardis adapter says OKEX, its OKX adapter says OKX: one and the same venue.
_ALSO = {"OKX": "OKEX"}


def exchanges() -> list[str]:
    """Return the exchanges Tardis has that NautilusTrader knows."""
    from nautilus_trader.adapters import tardis

    return list(tardis.tardis_exchanges())


def venue_of(exchange: str) -> str:
    """Return NautilusTrader's venue of an exchange, such as BINANCE of binance-futures."""
    from nautilus_trader.adapters import tardis

    return str(tardis.tardis_exchange_to_venue_str(exchange))


def exchanges_of(venue: str) -> list[str]:
    """Return Tardis's exchanges of a venue."""
    from nautilus_trader.adapters import tardis

    return list(tardis.tardis_exchange_from_venue_str(_ALSO.get(venue, venue)))


def symbols_of(symbol: str, exchange: str) -> list[str]:
    """Return the symbols of `exchange` that NautilusTrader calls `symbol`, the likeliest first.

    It adds the kind of instrument to some: BTCUSDT of binance-futures is BTCUSDT-PERP.
    """
    from nautilus_trader.adapters import tardis

    shorter, dash, _ = symbol.rpartition("-")
    named = {
        tardis.tardis_normalize_symbol_str(shorter, exchange, kind, inverse)
        for kind in _TYPES
        for inverse in (None, False, True)
        if dash
    }
    return [shorter, symbol] if symbol in named else [symbol]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read.

    Attributes
    ----------
    data_type
        Tardis's, a key of `KINDS`.
    instrument
        Whose rows they are to be, such as ``BTCUSDT-PERP.BINANCE``.
    price_precision, size_precision
        Decimals of its prices and sizes. The loaders round to them: check the numbers before.

    """

    data_type: str
    instrument: str
    price_precision: int
    size_precision: int


def decode(
    text: Iterable[bytes],
    reading: Reading,
    environment: Mapping[str, str] | None = None,
    *,
    piece: int | None = None,
) -> Iterator[pa.Table]:
    """Turn the text of a CSV file into rows of the catalog, piece by piece.

    Parameters
    ----------
    text
        The file, header included, in blocks of any size; another thread takes them.
    reading
        What it holds.
    environment
        For the child process; default: this process's own.
    piece
        How many rows the loaders hold at once; default: by their size.

    Yields
    ------
    pyarrow.Table
        In the order of the file.

    Raises
    ------
    DataError
        If the loaders failed, or ended the process they ran in.

    """
    import pyarrow as pa

    require()
    request = {
        "reading": asdict(reading),
        "piece": piece or _PIECES.get(reading.data_type, _PIECE),
    }
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.engine.tardis", json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=None if environment is None else dict(environment),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        feeder = _Feeder(text, process.stdin)
        feeder.start()
        try:
            with suppress(pa.ArrowInvalid, OSError):  # nothing came, or half a piece: see below
                with _limited(process):
                    reader = pa.ipc.open_stream(process.stdout)
                while True:
                    with _limited(process):
                        batch = next(reader, None)
                    if batch is None:
                        break
                    yield pa.Table.from_batches([batch])
            with _limited(process):
                code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            feeder.join()
        if feeder.error is not None:
            raise feeder.error
        if code:
            errors.seek(0)
            raise DataError(_reason(code, errors.read()))


class _Feeder(threading.Thread):
    """Writes the text to the child; what went wrong with the text is its `error`."""

    def __init__(self, text: Iterable[bytes], pipe: IO[bytes]) -> None:
        super().__init__(name="tardis-feeder", daemon=True)
        self._text, self._pipe = text, pipe
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for block in self._text:
                try:
                    self._pipe.write(block)
                except BrokenPipeError:  # the child has ended: its exit code tells why
                    break
        except BaseException as error:  # raised by `decode`, in the thread that asked
            self.error = error
        finally:
            with suppress(OSError):
                self._pipe.close()


@contextmanager
def _limited(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the child if the block takes too long: the block then sees its output end."""
    timer = threading.Timer(_SILENCE_SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _reason(code: int, errors: bytes) -> str:
    """Say why a child ended, in one line."""
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if "panicked at" in line:  # the next one says what the panic was
            return f"NautilusTrader's loader ended its process: {''.join(lines[number + 1 :][:1])}"
    said = lines[-1] if lines else "it said nothing"
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"NautilusTrader's loader failed ({how}): {said}"


def empty(reading: Reading) -> pa.Table:
    """Return no rows, in the schema `decode` gives."""
    from nautilus_trader.adapters import tardis
    from nautilus_trader.model import InstrumentId

    columns, row = "exchange,symbol,timestamp,local_timestamp", "bitmex,X,1,1"
    if reading.data_type == "trades":
        rest = [("id", "1"), ("side", "buy"), ("price", "1"), ("amount", "1")]
    elif reading.data_type == "quotes":
        rest = [(name, "1") for name in ("ask_amount", "ask_price", "bid_price", "bid_amount")]
    elif reading.data_type == "incremental_book_L2":
        rest = [("is_snapshot", "true"), ("side", "bid"), ("price", "1"), ("amount", "1")]
    else:
        levels = range(int(reading.data_type.rpartition("_")[2]))
        sides = [(side, what) for side in ("asks", "bids") for what in ("price", "amount")]
        rest = [(f"{side}[{level}].{what}", "1") for level in levels for side, what in sides]
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        for line in zip((columns, row), zip(*rest, strict=True), strict=True):
            file.write(",".join((line[0], *line[1])) + "\n")
        file.flush()
        name = _LOADERS[reading.data_type].replace("stream_", "load_")
        objects = getattr(tardis, name)(
            file.name,
            price_precision=reading.price_precision,
            size_precision=reading.size_precision,
            instrument_id=InstrumentId.from_str(reading.instrument),
        )
    return encode(KINDS[reading.data_type], objects).slice(0, 0)


def describe(
    exchange: str,
    symbol: str,
    key: str,
    url: str,
    *,
    timeout: float = 60.0,
    environment: Mapping[str, str] | None = None,
) -> Description | None:
    """Ask Tardis's instruments API what `symbol` is; None if it is no instrument of the engine's.

    An instrument whose increments changed over the years gets the finest it ever had: every price
    and size of its history fits.

    Parameters
    ----------
    exchange, symbol
        As that API spells them.
    key
        The API key; it goes to the child through a pipe.
    url
        The API's base, such as ``https://api.tardis.dev/v1``.
    timeout
        Seconds for the answer.
    environment
        See `decode`.

    Raises
    ------
    DataError
        If there was no answer, or an error: with the API's own words.

    """
    require()
    request = {"exchange": exchange, "symbol": symbol, "key": key, "url": url, "timeout": timeout}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "workbench.engine.tardis"],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=timeout + 30,
            env=None if environment is None else dict(environment),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"no answer within {timeout:g} s") from None
    if done.returncode == 1:  # what the API said
        raise DataError(done.stderr.decode(errors="replace").strip())
    if done.returncode:
        raise DataError(_reason(done.returncode, done.stderr))
    states = [json.loads(line) for line in done.stdout.splitlines()]
    if not states:
        return None
    latest = states[-1]  # they come in order of time
    for what in ("price", "size"):
        finest = min(states, key=lambda state: Decimal(state[f"{what}_increment"]))
        latest[f"{what}_increment"] = finest[f"{what}_increment"]
        latest[f"{what}_precision"] = max(state[f"{what}_precision"] for state in states)
    latest["lot_size"] = latest["size_increment"]
    return Description(json.dumps(latest, sort_keys=True))


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
    request = json.load(sys.stdin)
    for instrument in asyncio.run(_instruments(request)):
        sys.stdout.write(Description.of(instrument).content + "\n")


def _decode(request: Mapping[str, Any]) -> None:
    """Read CSV from standard input, write the rows as an Arrow stream to standard output."""
    import pyarrow as pa
    from nautilus_trader.adapters import tardis
    from nautilus_trader.model import InstrumentId

    reading = Reading(**request["reading"])
    pieces = getattr(tardis, _LOADERS[reading.data_type])(
        Path("/dev/stdin"),
        chunk_size=request["piece"],
        price_precision=reading.price_precision,
        size_precision=reading.size_precision,
        instrument_id=InstrumentId.from_str(reading.instrument),
    )
    writer = None
    for objects in pieces:
        rows = encode(KINDS[reading.data_type], objects)
        if "depth" in KINDS[reading.data_type]:
            rows = _last(rows)
        if writer is None:
            writer = pa.ipc.new_stream(sys.stdout.buffer, rows.schema)
        for batch in rows.combine_chunks().to_batches():
            writer.write_batch(batch)
        sys.stdout.buffer.flush()
    if writer is not None:
        writer.close()
    sys.stdout.buffer.flush()


def _last(rows: pa.Table) -> pa.Table:
    """Mark every snapshot as the last of its event, as the loaders of whole files do."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from nautilus_trader.model import RecordFlag

    index = rows.schema.get_field_index("flags")
    last = pa.scalar(RecordFlag.F_LAST.value, pa.uint8())
    flags = pc.bit_wise_or(rows.column("flags"), last)
    return rows.set_column(index, rows.schema.field(index), flags)


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
