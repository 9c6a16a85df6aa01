"""Reading DBN: every schema, row by row as the engine's own loader has it."""

import itertools
import json
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest
from nautilus_trader.adapters.databento import DatabentoDataLoader
from nautilus_trader.model import InstrumentId

from tests.data.databento import dbn_files
from tests.data.databento.dbn_files import (
    DAY,
    ES,
    MINUTE,
    NONE,
    NQ,
    SECOND,
    T0,
    empty,
    market,
    write,
)
from workbench.core.errors import DataError
from workbench.data.dbn import CutShortError, Reader, batches, selected
from workbench.data.dbn_rows import Target, rows_of
from workbench.engine.catalog import encode
from workbench.engine.databento import publishers

ID = "ESU4.XCME"
LOADS = {
    "ohlcv-1s": ("bars", "load_bars"), "ohlcv-1m": ("bars", "load_bars"),
    "ohlcv-1h": ("bars", "load_bars"), "ohlcv-1d": ("bars", "load_bars"),
    "trades": ("trades", "load_trades"), "tbbo": ("trades", "load_tbbo_trades"),
    "mbp-1": ("quotes", "load_quotes"), "bbo-1s": ("quotes", "load_bbo_quotes"),
    "bbo-1m": ("quotes", "load_bbo_quotes"), "cmbp-1": ("quotes", "load_cmbp_quotes"),
    "cbbo-1s": ("quotes", "load_cbbo_quotes"), "cbbo-1m": ("quotes", "load_cbbo_quotes"),
    "mbo": ("order_book_deltas", "load_order_book_deltas"),
    "mbp-10": ("order_book_depths", "load_order_book_depth"),
}  # fmt: skip
UNITS = {"s": "SECOND", "m": "MINUTE", "h": "HOUR", "d": "DAY"}


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("loader") / "publishers.json"
    path.write_text(json.dumps(publishers()))
    return DatabentoDataLoader(path)


def target(schema: str, kind: str, precision: int = 2) -> Target:
    bars = f"{ID}-1-{UNITS.get(schema[-1])}-LAST-EXTERNAL"
    step = dbn_files.STEPS.get(schema, 0)
    return Target(kind, bars if kind == "bars" else ID, ID, precision, 0, step)


def read(path: Path, symbol: str = "ESU4", at_once: int = 2**16) -> Any:
    with Reader(path) as reader:
        parts = list(reader.records(at_once))
        return selected(np.concatenate(parts), reader.header.mappings[symbol])


def unusual(schema: str, count: int = 500) -> Any:
    """Return records with everything a feed may hold that the engine does not abort on."""
    records = market(schema, count)
    random = np.random.default_rng(7)
    names = records.dtype.names

    def some(share: float = 0.2) -> Any:
        return random.random(count) < share

    if "open" in names:
        records["low"][some()] = -37_630_000_000  # a spread, oil in April 2020
        records["volume"][some()] = 2**44
        return records
    records["flags"] = random.integers(0, 256, count)
    records["side"] = random.choice([b"A", b"B", b"N", b"", b"X"], count)
    records["ts_recv"] = np.sort(random.integers(T0, T0 + MINUTE, count)).astype(np.uint64)
    records["ts_recv"][10:20] = records["ts_recv"][10]
    if "sequence" in names:
        records["sequence"] = random.integers(0, 2**32, count)
    for level in range(10):
        for side in ("bid", "ask"):
            if f"{side}_px_{level:02d}" in names:
                records[f"{side}_px_{level:02d}"][some()] = NONE
                records[f"{side}_sz_{level:02d}"][some()] = 0
                records[f"{side}_sz_{level:02d}"][some(0.05)] = 2**32 - 1
    if schema == "mbp-10":
        records["bid_px_00"][:5] = NONE
        for level in range(10):  # an empty book
            records[f"bid_px_{level:02d}"][7] = records[f"ask_px_{level:02d}"][7] = NONE
    if schema == "mbo":
        records["action"] = random.choice([b"A", b"C", b"M", b"R", b"T", b"F", b"N"], count)
        records["action"][0] = b"A"
        cleared = records["action"] == b"R"
        records["price"][cleared] = NONE
        records["size"][cleared] = 0
        records["order_id"] = random.integers(0, 2**64, count, dtype=np.uint64)
    else:
        records["price"] = -records["price"]
    return records


@pytest.mark.parametrize("schema", LOADS)
@pytest.mark.parametrize("make", [market, unusual])
def test_rows_are_those_of_the_engines_own_loader(
    loader: Any, tmp_path: Path, schema: str, make: Any
) -> None:
    kind, load = LOADS[schema]
    path = write(tmp_path / "x.dbn.zst", schema, make(schema, 500))
    objects = getattr(loader, load)(path, InstrumentId.from_str(ID), 2)
    expected = encode(kind, objects)
    rows, _ = rows_of(read(path), target(schema, kind))
    assert rows.schema.equals(expected.schema, check_metadata=True)
    assert rows.num_rows == expected.num_rows > 100
    for mine, theirs in zip(rows.to_pylist(), expected.to_pylist(), strict=True):
        assert mine == theirs


def test_quotes_of_trades(loader: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "x.dbn.zst", "tbbo", unusual("tbbo"))
    expected = encode("quotes", loader.load_quotes(path, InstrumentId.from_str(ID), 2))
    rows, warnings = rows_of(read(path), target("tbbo", "quotes"))
    assert rows.to_pylist() == expected.to_pylist()
    assert warnings == ["quotes of one side only were left out: the engine's have both"]


@pytest.mark.parametrize("precision", [2, 4, 9, 11])
def test_precision_of_the_instrument(loader: Any, tmp_path: Path, precision: int) -> None:
    path = write(tmp_path / "x.dbn.zst", "trades", market("trades", 300))
    objects = loader.load_trades(path, InstrumentId.from_str(ID), precision)
    rows, _ = rows_of(read(path), target("trades", "trades", precision))
    expected = encode("trades", objects)
    assert rows.schema.equals(expected.schema, check_metadata=True)
    assert rows.to_pylist() == expected.to_pylist()


def test_pieces_add_up_and_compression_does_not_matter(tmp_path: Path) -> None:
    records = market("trades", 10_000)
    plain = write(tmp_path / "x.dbn", "trades", records)
    packed = write(tmp_path / "x.dbn.zst", "trades", records)
    assert packed.stat().st_size < plain.stat().st_size
    for path in (plain, packed):
        for at_once in (1, 48, 1_000, 2**20):
            with Reader(path) as reader:
                parts = list(reader.records(at_once))
            assert (np.concatenate(parts) == records).all()
    with Reader(packed) as reader:
        assert max(map(len, reader.records(4_800))) == 100, "a piece is bounded"


def test_frames_one_after_the_other(tmp_path: Path) -> None:
    import zstandard

    records = market("trades", 100)
    plain = write(tmp_path / "x.dbn", "trades", records).read_bytes()
    path = tmp_path / "x.dbn.zst"
    cuts = [0, 5, 300, 1_000, len(plain)]
    pieces = [plain[a:b] for a, b in itertools.pairwise(cuts)]
    path.write_bytes(b"".join(map(zstandard.compress, pieces)))
    assert (read(path) == records).all()


def test_the_one_instrument_of_several(tmp_path: Path) -> None:
    es, nq = market("trades", 50, ES), market("trades", 50, NQ, seed=2)
    both = np.concatenate([es, nq])[np.argsort(np.tile(np.arange(50), 2), kind="stable")]
    symbols = {"ESU4": [(ES, T0, T0 + DAY)], "NQU4": [(NQ, T0, T0 + DAY)]}
    path = write(tmp_path / "x.dbn.zst", "trades", both, symbols=symbols)
    assert (read(path, "ESU4") == es).all()
    assert (read(path, "NQU4") == nq).all()


def test_a_continuous_contract_changes_its_number(tmp_path: Path) -> None:
    old, new = market("trades", 10, ES), market("trades", 10, NQ, T0 + DAY)
    stray = market("trades", 3, NQ, T0 + SECOND)  # the next contract trades before the roll too
    records = np.concatenate([old, stray, new])
    symbols = {"ES.c.0": [(ES, T0, T0 + DAY), (NQ, T0 + DAY, T0 + 2 * DAY)]}
    path = write(tmp_path / "x.dbn", "trades", records, symbols=symbols, stype_in="continuous")
    assert (read(path, "ES.c.0") == np.concatenate([old, new])).all()


@pytest.mark.parametrize("suffix", [".dbn", ".dbn.zst"])
def test_a_file_that_is_cut_short_gives_its_whole_records_first(
    tmp_path: Path, suffix: str
) -> None:
    records = market("trades", 60_000)
    path = write(tmp_path / f"x{suffix}", "trades", records)
    whole = path.read_bytes()
    for share in (0.5, 0.9, 0.999_999):
        path.write_bytes(whole[: int(len(whole) * share)])
        got = []
        with Reader(path) as reader, pytest.raises(CutShortError, match="cut short"):
            for part in reader.records():
                got.append(part)
        found = np.concatenate(got)
        assert (found == records[: len(found)]).all()
        assert len(found) > len(records) * (share - 0.4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"DBN",
        b"PK\x03\x04" + b"x" * 99,
        b"<html>",
        b"DBN\x03\xff\xff\xff\xff",
        b"DBN\x03\x04\0\0\0abcd",
    ],
)
def test_what_is_no_dbn_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.dbn.zst"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.dbn\.zst is not a DBN file"):
        Reader(path)


def test_damaged_files(tmp_path: Path) -> None:
    path = write(tmp_path / "x.dbn.zst", "trades", market("trades", 50_000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(bytes(content))
    with Reader(path) as reader, pytest.raises(DataError, match="damaged"):
        list(reader.records())
    mixed = market("trades", 3).tobytes() + market("mbp-1", 3).tobytes()
    write(path, "trades", mixed)
    with Reader(path) as reader, pytest.raises(DataError, match="records of another kind"):
        list(reader.records())


def test_what_the_engine_cannot_hold() -> None:
    trades = market("trades", 5)
    trades["size"][1], trades["price"][2] = 0, NONE
    rows, warnings = rows_of(trades, target("trades", "trades"))
    assert rows.num_rows == 3
    assert warnings == ["trades without a price or a size were left out"]
    orders = market("mbo", 5)
    orders["size"][1] = 0
    rows, warnings = rows_of(orders, target("mbo", "order_book_deltas"))
    assert rows.num_rows == 4
    assert warnings == ["orders of size 0 were left out"]


def test_rows_out_of_order_are_sorted_and_said() -> None:
    trades = market("trades", 5)
    trades["ts_recv"][2] -= np.uint64(3 * SECOND)
    rows, warnings = rows_of(trades, target("trades", "trades"))
    assert rows.column("trade_id").to_pylist() == ["1002", "1000", "1001", "1003", "1004"]
    assert warnings == ["rows that were not in order of time were sorted"]


@pytest.mark.parametrize("schema", ["trades", "mbp-1", "mbo", "mbp-10", "ohlcv-1m"])
def test_too_many_decimals_are_refused(schema: str) -> None:
    kind = LOADS[schema][0]
    records = market(schema, 5)
    for name in set(records.dtype.names) & {"price", "bid_px_00", "high"}:
        records[name][3] += 500_000  # half a thousandth
    with pytest.raises(DataError) as caught:
        rows_of(records, target(schema, kind))
    assert "05 of 2024-07-01T00:0" in str(caught.value)
    assert "price_precision is 2: nothing is rounded" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("high", 10**9), ("low", 10**14), ("close", NONE), ("open", 10**14), ("volume", 2**46)],
)
def test_impossible_bars_are_refused(field: str, value: int) -> None:
    bars = market("ohlcv-1m", 5)
    bars[field][2] = value
    with pytest.raises(DataError, match="2024-07-01T00:02:00Z is impossible"):
        rows_of(bars, target("ohlcv-1m", "bars"))


def test_no_records() -> None:
    for schema, (kind, _) in LOADS.items():
        rows, warnings = rows_of(empty(schema, 0), target(schema, kind))
        some, _ = rows_of(market(schema, 2), target(schema, kind))
        assert rows.num_rows == 0
        assert rows.schema.equals(some.schema, check_metadata=True)
        assert warnings == []


def test_recordings_of_the_live_feed_have_no_schema(tmp_path: Path) -> None:
    path = tmp_path / "x.dbn"
    path.write_bytes(dbn_files.header(None, {"ESU4": [(ES, T0, T0 + DAY)]}, T0, None))
    with Reader(path) as reader:
        assert reader.header.schema is None
        assert reader.header.end is None
    assert dbn.Schema.TRADES == "trades"


def test_batches_cut_between_two_times_and_never_within_an_event() -> None:
    records = market("mbo", 1_000)
    records["ts_recv"] = T0 + np.arange(1_000, dtype=np.uint64) // 7
    records["action"][records["size"] % 3 == 0] = b"T"
    parts = [records[at : at + 30] for at in range(0, 1_000, 30)]
    got = list(batches(iter(parts), 50 * records.dtype.itemsize))
    assert (np.concatenate(got) == records).all()
    assert len(got) > 10
    for one, other in itertools.pairwise(got):
        assert one["ts_recv"][-1] < other["ts_recv"][0]
        assert other["action"][0] == b"A"


def test_a_moment_of_any_size_is_one_batch() -> None:
    records = market("mbo", 500)  # a snapshot: every order has the same time
    records["ts_recv"] = T0
    assert [len(each) for each in batches([records[:200], records[200:]], 1_000)] == [500]


def test_batches_far_out_of_order_are_refused() -> None:
    records = market("trades", 100)
    late = records[10:11]
    with pytest.raises(DataError, match="not in order of time: one of 2024-07-01T00:00:10Z"):
        list(batches([records[:50], records[50:], late], 20 * 48))
