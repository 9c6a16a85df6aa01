"""NautilusTrader's Tardis loaders in a child process: the same rows, and no abort of ours."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from nautilus_trader.adapters import tardis as native
from nautilus_trader.model import InstrumentId

from tests.servers.tardis import KEY, PERPETUAL, TardisServer, lines, text
from workbench.core.errors import DataError
from workbench.engine import tardis
from workbench.engine.catalog import encode
from workbench.engine.instruments import build
from workbench.engine.tardis import KINDS, Reading

XBT = "XBTUSD.BITMEX"
LOADERS = {
    "trades": native.load_tardis_trades,
    "quotes": native.load_tardis_quotes,
    "incremental_book_L2": native.load_tardis_deltas,
    "book_snapshot_5": native.load_tardis_depth_from_snapshot5,
    "book_snapshot_25": native.load_tardis_depth_from_snapshot25,
}
ROW = "bitmex,XBTUSD,1583020803145000,1583020803307160,a,sell,8531.5,2"


def decoded(content: str, data_type: str = "trades", piece: int = 1000) -> list[pa.Table]:
    blocks = [content[at : at + 9_999].encode() for at in range(0, len(content), 9_999)]
    return list(tardis.decode(blocks, Reading(data_type, XBT, 1, 0), piece=piece))


@pytest.mark.parametrize("data_type", KINDS)
def test_rows_are_the_loaders_objects_one_by_one(data_type: str, tmp_path: Path) -> None:
    """The loaders of whole files are the oracle; the child reads in pieces, from a pipe."""
    rows = lines(data_type, "2020-03-01", 3_050)
    if data_type == "incremental_book_L2":  # more snapshots, some around the end of a piece
        for at in (500, *range(990, 1010), 2_000, 3_049):
            rows[at] = rows[at].replace(",false,", ",true,")
    path = tmp_path / "x.csv"
    path.write_text(text(data_type, rows))
    objects = LOADERS[data_type](path, 1, 0, InstrumentId.from_str(XBT))
    wanted = encode(KINDS[data_type], objects)
    tables = decoded(path.read_text(), data_type)
    assert len(tables) > 3
    found = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    assert found.schema.equals(wanted.schema, check_metadata=True)
    for name in wanted.column_names:
        assert found.column(name).to_pylist() == wanted.column(name).to_pylist(), name


@pytest.mark.parametrize("data_type", KINDS)
def test_no_rows_have_the_schema_of_rows(data_type: str) -> None:
    some = decoded(text(data_type, lines(data_type, "2020-03-01", 30)), data_type)[0]
    none = tardis.empty(Reading(data_type, XBT, 1, 0))
    assert none.num_rows == 0
    assert none.schema.equals(some.schema, check_metadata=True)
    assert decoded(text(data_type, []), data_type) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW.replace(",2", ",-2"), "ended its process: .*not in range"),
        (ROW.replace(",a,", f",{'a' * 40},"), "ended its process: .*exceeds maximum length"),
        (ROW.replace("8531.5", "abc"), "exit code 1.*line: 2.*invalid float"),
        (ROW.replace("bitmex", "mtgox"), "exit code 1.*unknown variant"),
    ],
)
def test_what_ends_the_loader_is_an_error_here(row: str, message: str) -> None:
    """The loaders abort their process on the first two: it must not be this one."""
    with pytest.raises(DataError, match=message):
        decoded(text("trades", [row]))


def test_text_that_breaks_off_is_its_own_error() -> None:
    def broken() -> Iterator[bytes]:
        yield text("trades", [ROW]).encode()
        raise gzip.BadGzipFile("CRC check failed")

    with pytest.raises(gzip.BadGzipFile, match="CRC"):
        list(tardis.decode(broken(), Reading("trades", XBT, 1, 0)))


def test_a_reader_that_leaves_ends_the_child() -> None:
    content = text("trades", lines("trades", "2020-03-01", 20_000)).encode()
    pieces = tardis.decode([content], Reading("trades", XBT, 1, 0), piece=100)
    assert next(pieces).num_rows == 100
    pieces.close()  # type: ignore[attr-defined]


def test_names_of_exchanges_venues_and_symbols() -> None:
    assert {"binance-futures", "bitmex", "deribit"} <= set(tardis.exchanges())
    assert tardis.venue_of("binance-futures") == "BINANCE"
    assert "okex-swap" in tardis.exchanges_of("OKX")
    assert tardis.exchanges_of("OKX") == tardis.exchanges_of("OKEX")
    assert tardis.exchanges_of("XNAS") == []
    assert tardis.symbols_of("BTCUSDT-PERP", "binance-futures") == ["BTCUSDT", "BTCUSDT-PERP"]
    assert tardis.symbols_of("BTCUSD-INVERSE", "bybit")[0] == "BTCUSD"
    assert tardis.symbols_of("BTC-PERPETUAL", "deribit") == ["BTC-PERPETUAL"]
    assert tardis.symbols_of("BTC-USDT", "okex") == ["BTC-USDT"]


def test_an_instrument_with_the_finest_steps_it_ever_had() -> None:
    with TardisServer() as server:
        server.instruments["bitmex/XBTUSD"] = PERPETUAL
        found = tardis.describe("bitmex", "xbtusd", KEY, f"{server.url}/v1")
        assert found is not None
        assert (found.id, found.type, found.currency) == (XBT, "CryptoPerpetual", "USD")
        assert (found.price_precision, found.size_precision) == (1, 0)
        assert found.price_increment == 0.5
        built = build(XBT, found)
        assert str(built.size_increment) == "1"
        assert built.is_inverse
        with pytest.raises(DataError, match="the API key is not valid"):
            tardis.describe("bitmex", "xbtusd", "nobody's", f"{server.url}/v1")
        with pytest.raises(DataError, match="no instrument bitmex/ETHUSD"):
            tardis.describe("bitmex", "ethusd", KEY, f"{server.url}/v1")
        url = server.url
    with pytest.raises(DataError, match="HTTP request failed"):
        tardis.describe("bitmex", "xbtusd", KEY, f"{url}/v1")
