"""The doctor: every fault of a catalog is found, and a sound one has none."""

import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data import damage
from tests.data.damage import (
    BARS,
    DAY,
    HOUR,
    MINUTE,
    PERP,
    START,
    again,
    bars,
    change,
    clean,
    codes,
    dataset,
    deltas,
    know,
    loaded,
    one,
    put,
    store,
    times,
    trades,
)  # fmt: skip
from tests.data.support import SAMPLE, study_of
from workbench import data
from workbench.core.errors import Cancelled, DataError, InputError
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.doctor.findings import CODES, Report
from workbench.data.doctor.hours import Hours
from workbench.data.intervals import file_name
from workbench.data.sample import TICKERS
from workbench.engine.catalog import query
from workbench.study.datasets import Instrument


def diagnosed(project: Project, *names: str, **options: Any) -> Report:
    return data.diagnose(names, project, **options)


def test_the_sample_shares_have_nothing_wrong(project: Project) -> None:
    specs = [{"provider": "sample", "instrument": name, "bars": "1-DAY-LAST"} for name in TICKERS]
    for spec in specs:
        data.fetch(study_of(spec), project)
    report = diagnosed(project)
    assert report.findings == []
    assert (report.datasets, report.files, report.rows) == (5, 5, 12_154)


@pytest.mark.parametrize("kind", ["bars", "quotes", "trades"])
def test_a_sound_catalog_has_no_findings(project: Project, kind: str) -> None:
    clean(project, kind)
    before = damage.snapshot(project)
    report = diagnosed(project)
    assert report.findings == []
    assert (report.datasets, report.files, report.rows) == (1, 1, 300)
    assert damage.snapshot(project) == before


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


FILES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "cut": ("corrupt", lambda content: content[: len(content) // 2]),
    "empty": ("corrupt", lambda content: b""),
    "garbage": ("corrupt", lambda content: b"PAR1" + b"x" * 1000 + b"PAR1"),
    "a bit of a page": ("corrupt", lambda content: flipped(content, 600)),
    "the footer": ("corrupt", lambda content: flipped(content, len(content) - 6)),
}


@pytest.mark.parametrize("how", FILES)
def test_broken_files(project: Project, how: str) -> None:
    path = clean(project)
    code, break_ = FILES[how]
    path.write_bytes(break_(path.read_bytes()))
    report = diagnosed(project)
    assert codes(report) == {code}
    found = one(report, code)
    assert (found.severity, found.dataset) == ("error", f"bars/{BARS}")
    assert found.file == str(path.relative_to(project.root))
    assert found.repair
    assert "quarantine" in found.repair


def test_a_bit_that_flips_is_found_or_changes_nothing(project: Project) -> None:
    path = clean(project, count=50)
    content, rows = path.read_bytes(), loaded(path)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for place in range(4, footer, max(footer // 40, 1)):
        path.write_bytes(flipped(content, place))
        if "error" not in {each.severity for each in diagnosed(project).findings}:
            assert loaded(path).equals(rows), place  # of a page's header nobody needs every bit


def test_a_page_whose_header_is_damaged_is_not_read_as_no_rows(project: Project) -> None:
    path = clean(project, count=100)
    content = path.read_bytes()
    met = 0
    for place in range(4, 700):
        path.write_bytes(flipped(content, place))
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as source:
                short = sum(each.num_rows for each in source.iter_batches(use_threads=False)) < 100
        except (pa.ArrowException, OSError):
            continue
        if short:
            met += 1
            assert codes(diagnosed(project)) == {"corrupt"}
            with pytest.raises(DataError, match="of its rows are missing"):
                query("bars", BARS, None, None, [path])
    assert met, "no bit of a header has this effect: the check is not needed"


def swapped(rows: pa.Table) -> pa.Table:
    order = np.arange(rows.num_rows)
    order[[10, 11]] = 11, 10
    return rows.take(order)


def twice_in_its_moment(rows: pa.Table) -> pa.Table:
    return again(rows, 7, 8)


def at_once(rows: pa.Table, row: int) -> pa.Table:
    """Give a row the time of the one before, and keep its values."""
    moment = rows["ts_init"].cast(pa.int64())[row - 1].as_py()
    return change(change(rows, "ts_init", row, moment), "ts_event", row, moment)


def shifted(rows: pa.Table) -> pa.Table:
    moment = rows["ts_init"].cast(pa.int64())[-1].as_py() + HOUR
    return change(rows, "ts_init", -1, moment)


def nudged(column: str, row: int, by: str) -> Callable[[pa.Table], pa.Table]:
    def nudge(rows: pa.Table) -> pa.Table:
        return change(rows, column, row, rows[column][row].as_py() + Decimal(by))

    return nudge


def cell(column: str, value: str, row: int = 150) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: change(rows, column, row, Decimal(value))


def without(*rows_gone: int) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.take([n for n in range(rows.num_rows) if n not in rows_gone])


def keyed(name: str, value: str) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.replace_schema_metadata(
        {**rows.schema.metadata, name.encode(): value.encode()}
    )


def floats(rows: pa.Table) -> pa.Table:
    return rows.set_column(0, rows.column_names[0], rows[0].cast(pa.float64()))


# The kind of data, the code that must come of it, what is done to it, and what comes with that.
ROWS: dict[str, Any] = {
    "unsorted": ("bars", "unsorted", swapped),
    "outside": ("trades", "outside", shifted, "gap"),
    "a bar twice": ("bars", "duplicate", twice_in_its_moment),
    "a quote twice": ("quotes", "duplicate", twice_in_its_moment),
    "a trade twice": ("trades", "duplicate", twice_in_its_moment),
    "two bars of a moment": ("bars", "conflict", lambda rows: at_once(rows, 9), "gap"),
    "no price": ("trades", "price", cell("price", "0")),
    "negative price": ("quotes", "price", cell("bid_price", "-1")),
    "open of zero": ("bars", "price", lambda rows: cell("low", "0")(cell("open", "0")(rows))),
    "high below low": ("bars", "bar", cell("low", "20001000")),
    "close above high": ("bars", "bar", cell("close", "20001000")),
    "open below low": ("bars", "bar", cell("open", "1")),
    "no size": ("trades", "size", cell("size", "0")),
    "negative volume": ("bars", "size", cell("volume", "-1")),
    "negative bid size": ("quotes", "size", cell("bid_size", "-0.001")),
    "crossed": ("quotes", "crossed", nudged("bid_price", 40, "10")),
    "more decimals": ("bars", "precision", nudged("high", 40, "0.01")),
    "more decimals of a size": ("trades", "precision", nudged("size", 40, "0.0001")),
    "between steps": ("trades", "increment", nudged("price", 40, "0.3")),
    "another precision": ("bars", "precision", keyed("price_precision", "2")),
    "spike": ("trades", "spike", nudged("price", 150, "2000")),
    "spike in a wick": ("bars", "spike", nudged("high", 150, "2000")),
    "bars missing": ("bars", "gap", without(100, 101, 102)),
    "foreign rows": ("bars", "identity", keyed("bar_type", BARS.replace("BTC", "ETH"))),
    "no metadata": ("bars", "metadata", lambda rows: rows.replace_schema_metadata({"a": "b"})),
    "floats": ("quotes", "schema", floats),
    "a column less": ("trades", "schema", lambda rows: rows.drop_columns(["trade_id"])),
}


@pytest.mark.parametrize("how", ROWS)
def test_faults_of_rows(project: Project, how: str) -> None:
    kind, code, damage_, *also = ROWS[how]
    path = clean(project, kind)
    put(path, damage_(loaded(path)), rehash=code != "schema")
    report = diagnosed(project, spikes=15 if code == "spike" else 0)
    assert codes(report) == {code, *also}, [each.message for each in report.findings]
    found = next(each for each in report.findings if each.code == code)
    assert found.severity == CODES[code][0]
    assert found.message
    assert found.repair or found.advice or found.severity == "warning"


def test_rows_that_are_not_those_that_were_stored(project: Project) -> None:
    path = clean(project)
    put(path, nudged("volume", 5, "1")(loaded(path)), rehash=False)
    report = diagnosed(project)
    assert codes(report) == {"hash"}
    assert "their hash is" in one(report, "hash").message


def test_findings_say_where_and_how_many(project: Project) -> None:
    path = clean(project, "trades")
    rows = loaded(path)
    for row in (20, 30, 40):
        rows = change(rows, "price", row, Decimal(0))
    put(path, rows)
    found = one(diagnosed(project), "price")
    assert found.rows == 3
    assert found.span == (START + 20 * 10**9, START + 40 * 10**9)
    assert "3 rows with price of zero or less, first at 2024-01-02T00:00:20Z" in found.message
    assert found.to_dict()["start"] == "2024-01-02T00:00:20Z"


def test_faults_are_found_across_batches(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clean(project)
    whole = diagnosed(project)
    put(path, swapped(again(loaded(path), 99, 149, 150)))
    expected = [each.to_dict() for each in diagnosed(project).findings]
    monkeypatch.setattr("workbench.data.doctor.examination.BATCH_ROWS", 10)
    assert [each.to_dict() for each in diagnosed(project).findings] == expected
    put(path, again(loaded(path).sort_by("ts_init"), 9, 10))
    assert one(diagnosed(project), "duplicate").rows == 5
    put(path, nudged("high", 150, "2000")(without(29, 30, 31)(bars(times(300)))))
    assert {"gap", "spike"} <= codes(diagnosed(project))
    assert whole.findings == []


def test_equal_trades_of_a_source_whose_ids_repeat_are_not_duplicates(project: Project) -> None:
    know(project)
    rows = again(trades(times(300, step=10**9)), 7, 8)
    store(dataset(project, "trades", PERP), rows, provider="databento")
    report = diagnosed(project)
    assert codes(report) == set()
    assert one(report, "repeated").rows == 2
    assert one(report, "repeated").repair is None


def test_equal_trades_beside_different_ones_of_the_same_id_are_not_duplicates(
    project: Project,
) -> None:
    path = clean(project, "trades")
    rows = at_once(change(loaded(path), "trade_id", 51, "t50"), 51)
    put(path, again(rows, 7))
    assert codes(diagnosed(project), "error", "info") == {"repeated"}


def test_a_quote_that_comes_back_within_a_moment_is_no_duplicate(project: Project) -> None:
    path = clean(project, "quotes")
    rows = loaded(path)
    moment = rows["ts_init"].cast(pa.int64())[5].as_py()
    rows = rows.take([*range(6), 6, 5, *range(7, 300)])
    for row in (6, 7):
        rows = change(change(rows, "ts_init", row, moment), "ts_event", row, moment)
    put(path, rows)
    assert codes(diagnosed(project)) == set()


def test_two_equal_changes_of_a_book_are_two(project: Project) -> None:
    know(project)
    rows = again(deltas(times(100, step=10**9)), 5, 6)
    where = dataset(project, "order_book_deltas", PERP)
    path = store(where, rows)
    assert diagnosed(project).findings == []
    put(path, swapped(loaded(path)))
    assert codes(diagnosed(project)) == {"unsorted"}


def test_names_strays_and_strangers(project: Project) -> None:
    path = clean(project)
    folder = path.parent
    left = [folder / f".{path.name}.x1.tmp", folder / f"{path.name}#1"]
    for each in left:
        each.write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    (project.catalog / "data" / "sundries").mkdir()
    (project.catalog / "data" / "mark_prices").mkdir()
    (project.catalog / "elsewhere").mkdir()
    report = diagnosed(project)
    assert codes(report) == {"stray", "unknown"}
    named = {code: set() for code in ("stray", "unknown", "unchecked")}
    for each in report.findings:
        named[each.code].add(Path(each.file or "").name)
    assert named["stray"] == {each.name for each in left}
    assert named["unknown"] == {"notes.txt", "sundries", "elsewhere"}
    assert named["unchecked"] == {"mark_prices"}


def test_a_folder_of_another_name(project: Project) -> None:
    path = clean(project)
    path.parent.rename(path.parent.with_name("mine"))
    before = damage.snapshot(project)
    found = one(data.repair((), project), "identity")
    assert found.advice == f"rename the folder to {BARS}"
    assert damage.snapshot(project) == before


def test_a_writer_at_work_leaves_no_strays(project: Project) -> None:
    path = clean(project)
    (path.parent / f".{path.name}.x1.tmp").write_bytes(b"half")
    assert codes(diagnosed(project)) == {"stray"}
    with dataset(project).locked():
        assert codes(diagnosed(project)) == set()


def test_a_file_of_another_name(project: Project) -> None:
    path = clean(project)
    path.rename(path.with_name("bars.parquet"))
    assert codes(diagnosed(project)) == {"name"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(project: Project) -> None:
    clean(project).chmod(0)
    assert one(diagnosed(project), "unreadable").repair is None


def test_files_that_overlap(project: Project) -> None:
    path = clean(project)
    later = bars(times(300, START + 200 * MINUTE))
    put(path.with_name(file_name((START + 200 * MINUTE, START + 499 * MINUTE))), later)
    report = diagnosed(project)
    assert codes(report) == {"overlap"}
    assert one(report, "overlap").span == (START + 200 * MINUTE, START + 299 * MINUTE)


def test_time_no_file_covers_is_told_and_no_fault(project: Project) -> None:
    clean(project)
    store(dataset(project), bars(times(10, START + DAY)))
    report = diagnosed(project)
    assert codes(report) == set()
    found = one(report, "uncovered")
    assert found.span == (START + 299 * MINUTE + 1, START + DAY - 1)


def test_files_that_touch_are_one_series(project: Project) -> None:
    know(project)
    for part in range(3):
        first = START + 100 * part * MINUTE
        rows = bars(times(100 if part != 1 else 95, first))
        store(dataset(project), rows, (first, first + 100 * MINUTE - 1))
    report = diagnosed(project)
    assert one(report, "gap").rows == 5
    assert codes(report, "info") == set()


def test_a_file_that_claims_more_than_it_has(project: Project) -> None:
    know(project)
    rows = bars(times(60))
    store(dataset(project), rows, (START - HOUR, START + 2 * HOUR))
    found = one(diagnosed(project), "gap")
    assert found.message.startswith("2 gaps, ")
    assert found.rows
    assert 110 < found.rows < 130


def test_an_unknown_instrument(project: Project) -> None:
    store(dataset(project), bars(times(10)))
    report = diagnosed(project)
    assert codes(report) == {"instrument-missing"}


def test_an_instrument_that_cannot_be_read(project: Project) -> None:
    clean(project)
    (file,) = (project.catalog / "data" / "crypto_perpetual").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    report = diagnosed(project)
    assert codes(report) == {"instrument", "instrument-missing"}
    assert one(report, "instrument").file == str(file.relative_to(project.root))


def test_a_price_below_zero_is_possible_of_a_future(project: Project) -> None:
    future = Instrument(type="future", currency="USD", price_precision=1, expires="2030-01-01")
    know(project, CLM0__GLBX=future)
    identity = "CLM0.GLBX-1-MINUTE-LAST-EXTERNAL"
    first = START + 20 * HOUR
    rows = cell("low", "-37.6", 30)(bars(times(60, first), identity, (1, 0)))
    store(dataset(project, identity=identity), rows)
    report = diagnosed(project, spikes=0)
    assert "price" not in codes(report)


def test_an_unknown_venue_has_no_calendar(project: Project) -> None:
    know(project, AB__SIM=Instrument(type="equity", currency="USD", price_precision=1))
    identity = "AB.SIM-1-MINUTE-LAST-EXTERNAL"
    rows = without(5, 6)(bars(times(60), identity, (1, 0)))
    store(dataset(project, identity=identity), rows)
    report = diagnosed(project)
    assert codes(report) == set()
    assert "--calendar SIM=24/7" in (one(report, "calendar").advice or "")
    assert one(diagnosed(project, calendars={"SIM": "24/7"}), "gap").rows == 2
    with pytest.raises(InputError, match=r"no calendar 'NASDAK' for SIM\. Did you mean 'NASDAQ'"):
        diagnosed(project, calendars={"SIM": "NASDAK"})


# Calendar, start, and how many of the minutes from then on a market that is open all along has.
WEEKS: dict[str, tuple[str, Instrument, str, int]] = {
    "US shares over New Year": (
        "AAPL.XNAS", Instrument(type="equity", currency="USD", price_precision=1),
        "2023-12-29T14:30", 2 * 390,  # half past nine in New York, to Tuesday's close
    ),
    "US shares over the change of clocks": (
        "AAPL.XNAS", Instrument(type="equity", currency="USD", price_precision=1),
        "2024-03-08T14:30", 2 * 390,
    ),
    "London": (
        "VOD.XLON", Instrument(type="equity", currency="GBP", price_precision=1),
        "2024-03-28T08:00", 2 * 510,  # over Easter
    ),
    "currencies over a weekend": (
        "GBP/USD.SIM", Instrument(type="currency_pair", base="GBP", currency="USD",
        price_precision=1), "2024-03-07T22:00", 2 * 1440,
    ),
    "futures over a day": (
        "ESH4.GLBX", Instrument(type="future", currency="USD", price_precision=1),
        "2024-01-08T23:00", 2 * 1380,
    ),
}  # fmt: skip


def open_minutes(calendar: str, start: int, count: int) -> Any:
    hours = Hours(calendar)
    hours.cover((start, start + 14 * DAY))
    spans = zip(hours.opens, hours.closes, strict=True)
    every = np.concatenate([np.arange(a + MINUTE, b + MINUTE, MINUTE) for a, b in spans])
    return every[every > start][:count]


@pytest.mark.parametrize("where", WEEKS)
def test_minutes_of_a_market_that_closes(project: Project, where: str) -> None:
    instrument, definition, start, count = WEEKS[where]
    know(project, **{instrument.replace(".", "__"): definition})
    venue = instrument.rpartition(".")[2]
    calendar = {"SIM": "24/5", "GLBX": "CMES"}.get(venue, venue)
    first = int(np.datetime64(start, "ns").astype(np.int64))
    ts = open_minutes(calendar, first, count)
    assert ts[0] == first + MINUTE, "the session opens when the test says it does"
    identity = f"{instrument}-1-MINUTE-LAST-EXTERNAL"
    target = dataset(project, identity=identity)
    path = store(target, bars(ts, identity, (1, 0)))
    assert codes(diagnosed(project), "error", "warning", "info") == set()
    opens = bars(ts - MINUTE, identity, (1, 0))  # the same, stamped at their open
    path.unlink()
    path = store(target, opens)
    assert codes(diagnosed(project), "error", "warning", "info") == set()
    put(path, without(*range(50, 57))(opens))
    assert one(diagnosed(project), "gap").rows == 7


@pytest.mark.parametrize(
    ("gone", "missing"), [([5], 1), ([5, 6, 100], 3), ([0], 0)], ids=["one", "three", "the first"]
)
def test_days_of_shares(project: Project, gone: list[int], missing: int) -> None:
    data.fetch(study_of({**SAMPLE, "start": "2007-12-20", "end": "2008-12-31"}), project)
    (file,) = Dataset(project, "bars", "AAPL.XNAS-1-DAY-LAST-EXTERNAL").files()
    put(file.path, without(*gone)(loaded(file.path)))
    report = diagnosed(project)
    assert sum(each.rows or 0 for each in report.findings if each.code == "gap") == missing


def test_ticks(project: Project) -> None:
    path = clean(project, "trades")
    rows = loaded(path)
    moments = rows["ts_init"].cast(pa.int64()).to_numpy().copy()
    moments[150:] += 2 * HOUR
    place = rows.schema.get_field_index("ts_init")
    late = pa.array(moments).cast(rows.schema.field(place).type)
    put(path, rows.set_column(place, rows.schema.field(place), late))
    path = damage.renamed(path, (int(moments[0]), int(moments[-1])))
    found = one(diagnosed(project), "gap")
    assert found.span == (START + 149 * 10**9, START + 150 * 10**9 + 2 * HOUR)


def test_seconds_and_bars_not_of_time(project: Project) -> None:
    know(project)
    for spec, expected in (("1-SECOND-LAST", {"gap"}), ("100-VOLUME-LAST", set())):
        identity = f"{PERP}-{spec}-EXTERNAL"
        rows = without(*range(10, 15), *range(100, 180))(bars(times(300, step=10**9), identity))
        store(dataset(project, identity=identity), rows)
        assert codes(diagnosed(project, identity)) == expected


def test_old_files_of_1x(project: Project) -> None:
    know(project)
    rows = bars(times(100))
    path = damage.legacy_file(project, "bars", rows, file_name((START, START + 99 * MINUTE)))
    report = diagnosed(project)
    assert codes(report) == {"legacy"}
    found = one(report, "legacy")
    assert found.file == str(path.parent.relative_to(project.root))
    assert "reads this as no rows at all" in found.message
    read = (
        "import sys; from nautilus_trader.persistence import ParquetDataCatalog as C\n"
        "print(len(C(sys.argv[1]).query_bars([sys.argv[2]])))"
    )
    assert damage.in_process(read, project.catalog, BARS) == "0", "or it need not be said"


def test_order_books_and_instruments_of_1x_among_the_engines_own(project: Project) -> None:
    damage.legacy_instrument(project)
    damage.legacy_file(project, "order_book_deltas", deltas(times(10)), file_name((START, START)))
    (project.catalog / "data" / "bar.parquet").mkdir()
    report = diagnosed(project)
    assert codes(report) == {"legacy", "instrument-missing"}
    assert len([each for each in report.findings if each.code == "legacy"]) == 3


def test_selection(project: Project) -> None:
    clean(project)
    clean(project, "trades")
    assert diagnosed(project, BARS).datasets == 1
    assert diagnosed(project, f"trades/{PERP}").datasets == 1
    assert diagnosed(project, PERP).datasets == 2
    with pytest.raises(InputError, match=r"no dataset 'bars/BTCUSD\.BYBIT'.* Did you mean"):
        diagnosed(project, "bars/BTCUSD.BYBIT")


def test_it_stops_when_told(project: Project) -> None:
    clean(project)
    with pytest.raises(Cancelled):
        diagnosed(project, should_stop=lambda: True)
    seen: list[float] = []
    diagnosed(project, on_progress=lambda progress: seen.append(progress.fraction))
    assert seen == [1.0]


def test_the_columns_are_the_engines() -> None:
    code = (
        "from nautilus_trader import model as m, serialization\n"
        "from workbench.data.doctor.schemas import misfit\n"
        "from workbench.engine.catalog import encode\n"
        "I, P, Q = m.InstrumentId.from_str('A.B'), m.Price.from_str, m.Quantity.from_str\n"
        "T = m.BarType.from_str('A.B-1-DAY-LAST-EXTERNAL')\n"
        "bid = [m.BookOrder(m.OrderSide.BUY, P('1'), Q('1'), 1)] * 10\n"
        "ask = [m.BookOrder(m.OrderSide.SELL, P('1'), Q('1'), 1)] * 10\n"
        "objects = {\n"
        " 'bars': m.Bar(T, P('1'), P('1'), P('1'), P('1'), Q('1'), 1, 1),\n"
        " 'quotes': m.QuoteTick(I, P('1'), P('1'), Q('1'), Q('1'), 1, 1),\n"
        " 'trades': m.TradeTick(I, P('1'), Q('1'), m.AggressorSide.BUY, m.TradeId('1'), 1, 1),\n"
        " 'order_book_deltas': m.OrderBookDelta(I, m.BookAction.ADD, bid[0], 0, 1, 1, 1),\n"
        " 'order_book_depths': m.OrderBookDepth(I, bid, ask, [1]*10, [1]*10, 0, 1, 1, 1)}\n"
        "for kind, each in objects.items(): print(kind, misfit(kind, encode(kind, [each]).schema))"
    )
    lines = damage.in_process(code).splitlines()
    assert len(lines) == 5
    assert all(line.endswith(" None") for line in lines), lines


def test_every_code_is_met_by_a_test() -> None:
    text = Path(__file__).read_text() + Path(__file__).with_name("test_repair.py").read_text()
    assert [code for code in CODES if f'"{code}"' not in text] == []


DOCS = Path(__file__).parents[2] / "docs" / "doctor.md"


def test_the_docs_name_every_code_with_its_severity() -> None:
    rows = [
        line.split("|")[1:3] for line in DOCS.read_text().splitlines() if line.startswith("| `")
    ]
    named = {
        code.strip(" `"): severity.strip()
        for codes_, severity in rows
        for code in codes_.split(",")
    }
    assert named == {code: severity for code, (severity, _) in CODES.items()}


def test_the_example_of_the_docs_runs(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = clean(project)
    put(path, swapped(loaded(path)))
    before = damage.snapshot(project)
    monkeypatch.chdir(project.root)
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    exec(compile(example, "doctor.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("error unsorted data/catalog/data/bars/BTCUSDT.BYBIT-1-MINUTE")
    assert "\nsort data/catalog/data/bars/BTCUSDT.BYBIT-1-MINUTE" in printed
    assert damage.snapshot(project) == before
