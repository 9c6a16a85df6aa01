"""Tardis through NautilusTrader's own adapter: its names, its CSV loaders, its instruments.

The loaders abort the process on a negative amount or a trade id that is too long, so they run in a
child process. It reads the CSV text from its standard input: of a compressed file the loaders would
read the first gzip member and drop the others without a word.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import IO, TYPE_CHECKING

from workbench.core.errors import DataError
from workbench.engine.catalog import encode
from workbench.engine.instruments import Description
from workbench.engine.tardis_child import LENGTH, LOADERS
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

# Rows the loaders hold at once; a snapshot of 25 levels is 2 KB.
_PIECES = {"book_snapshot_5": 20_000, "book_snapshot_25": 5_000}
_PIECE = 50_000
_SILENCE_SECONDS = 120.0
_F_LAST = 128  # RecordFlag.F_LAST
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
    require()
    request = {
        "reading": asdict(reading),
        "piece": piece or _PIECES.get(reading.data_type, _PIECE),
    }
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.engine.tardis_child", json.dumps(request)],
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
            while True:
                with _limited(process):
                    content = _piece(process.stdout)
                if not content:
                    break
                yield _rows(content, reading)
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


def _piece(pipe: IO[bytes]) -> bytes:
    """Return the next piece the child wrote, nothing where it ended."""
    size = int.from_bytes(pipe.read(LENGTH), "big")
    content = pipe.read(size)
    return content if len(content) == size else b""


def _rows(content: bytes, reading: Reading) -> pa.Table:
    """Return an encoded piece as the catalog has it, see `workbench.engine.catalog.encode`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pa.ipc.open_stream(pa.py_buffer(content)).read_all().drop_columns(["identifier"])
    if KINDS[reading.data_type] != "order_book_depths":
        return rows
    # Each snapshot is the last of its event, as the loaders of whole files say.
    index = rows.schema.get_field_index("flags")
    flags = pc.bit_wise_or(rows.column("flags"), pa.scalar(_F_LAST, pa.uint8()))
    return rows.set_column(index, rows.schema.field(index), flags)


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
        objects = getattr(tardis, f"load_{LOADERS[reading.data_type]}")(
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
            [sys.executable, "-P", "-m", "workbench.engine.tardis_child"],
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
