"""Faults of Tardis's files: each is found, with its file and line; nothing else is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.servers.tardis import columns, lines, packed, text
from workbench.core.errors import InputError
from workbench.data.tardis_check import Contents, Expected, check
from workbench.data.tardis_csv import COLUMNS, blocks, head, span

DAY = "2020-03-01"
GOOD = "bitmex,XBTUSD,1583020803145000,1583020803307160,"
TRADE = f"{GOOD}a,sell,8531.5,2"
QUOTE = f"{GOOD}5,8531.5,8531,7"
DELTA = f"{GOOD}true,bid,8531.5,2"
WITHIN = (1583020800 * 10**9, 1583107200 * 10**9 - 1)


def checked(path: Path, data_type: str = "trades", *, prices: int = 1, sizes: int = 0) -> Contents:
    expected = Expected(data_type, "bitmex", "XBTUSD", prices, sizes, within=WITHIN)
    return check(path, path.name, expected, lambda _: None)


def fault(path: Path, data_type: str = "trades") -> tuple[int | None, str]:
    """Return line and message of the one fault of a file."""
    with pytest.raises(InputError) as error:
        checked(path, data_type)
    (issue,) = error.value.issues
    assert issue.file == path.name
    return issue.line, issue.message


@pytest.mark.parametrize("data_type", COLUMNS)
def test_a_good_file(data_type: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    rows = lines(data_type, DAY, 300)
    path.write_bytes(packed(text(data_type, rows)))
    found = checked(path, data_type)
    first, last = (int(rows[at].split(",")[3]) * 1000 for at in (0, -1))
    assert (found.rows, found.first, found.last, found.warnings) == (300, first, last, [])
    assert found.objects == 300 + (data_type == "incremental_book_L2")  # one clears the book
    assert span(path, "x") == (first, last)
    assert head(path, "x") == (columns(data_type).split(","), rows[0].split(","))
    assert b"".join(blocks(path, "x", 1000)).decode() == text(data_type, rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"{GOOD}a,sell,abc,2", "price is 'abc', not a number"),
        (f"{GOOD}a,sell,1_0,2", "price is '1_0', not a number"),
        (f"{GOOD}a,sell,nan,2", "price is 'nan', a price is a number from -17014118346046 to"),
        (f"{GOOD}a,sell,inf,2", "price is 'inf', a price is a number"),
        (f"{GOOD}a,sell,1e20,2", "price is '1e20', a price is a number"),
        (f"{GOOD}a,sell,,2", "price is '', and may not be empty"),
        (f"{GOOD}a,sell,8531.55,2", "price is '8531.55', more decimals than the instrument's 1"),
        (f"{GOOD}a,sell,8.5e-1,2", "price is '8.5e-1', more decimals than the instrument's 1"),
        (f"{GOOD}a,sell,8531.5,-2", "amount is '-2', a size is a number from 0 to"),
        (f"{GOOD}a,sell,8531.5,0.5", "amount is '0.5', more decimals than the instrument's 0"),
        (f"{GOOD}a,Sell,8531.5,2", "side is 'Sell', not 'buy' or 'sell' or 'unknown' or nothing"),
        (f"{GOOD}{'i' * 37},sell,8531.5,2", "more than the 36 characters of the engine's trade id"),
        (f"{GOOD}\u00e9,sell,8531.5,2", "id is '\u00c3\u00a9', the engine's trade ids are"),
        (f"{GOOD}  ,sell,8531.5,2", "id is '  ', the engine's trade ids are printable ASCII"),
        (f"{GOOD}a,sell,8531.5", "has 7 cells, the header has 8"),
        (f"{GOOD}a,sell,8531.5,2,3", "has 9 cells, the header has 8"),
        ("", "has 1 cells, the header has 8"),
        (TRADE.replace("XBTUSD", "ETHUSD"), "symbol is 'ETHUSD', not 'XBTUSD'"),
        (TRADE.replace("bitmex", "bybit"), "exchange is 'bybit', not 'bitmex'"),
        (TRADE.replace("145000,", "145000.5,"), "timestamp is '1583020803145000.5', not a whole"),
        (TRADE.replace("1583020803145000,", ","), "timestamp is '', no time in microseconds"),
        (TRADE.replace("307160", "307159"), "local_timestamp is '1583020803307159', earlier than"),
        (TRADE.replace("1583020803307160", "1583107200000000"), "not of the file's day, 2020-03-0"),
        (TRADE.replace("1583020803307160", "1" * 30), "not a whole number"),
    ],
)  # fmt: skip
def test_a_bad_trade_is_named_with_its_line(row: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text("trades", [TRADE, TRADE, row, TRADE]), "utf-8")
    if "local_timestamp" in message or "day" in message:
        path.write_text(text("trades", [TRADE, TRADE, row]))
    line, said = fault(path)
    assert line == 4
    assert message in said


@pytest.mark.parametrize(
    ("data_type", "row", "message"),
    [
        ("incremental_book_L2", DELTA.replace("bid", "buy"), "side is 'buy', not 'bid' or 'ask'"),
        ("incremental_book_L2", DELTA.replace("true", "True"), "is_snapshot is 'True', not 'true'"),
        ("incremental_book_L2", DELTA[:-1], "amount is '', and may not be empty"),
        ("quotes", QUOTE.replace("8531.5", "8531.55"), "ask_price is '8531.55', more decimals"),
        ("quotes", QUOTE.replace(",7", ",0.1"), "bid_amount is '0.1', more decimals"),
        ("book_snapshot_5", f"{GOOD}1,1,1,1" + ",2.25,1,0,1" + "," * 12, "asks[1].price is '2.25'"),
    ],
)
def test_bad_rows_of_other_kinds(data_type: str, row: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text(data_type, [row]))
    line, said = fault(path, data_type)
    assert line == 2
    assert message in said


def test_the_line_is_right_deep_in_a_large_file(tmp_path: Path) -> None:
    rows = [TRADE] * 90_000  # more than one block
    rows[85_000] = TRADE.replace("8531.5", "oops")
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(text("trades", rows).encode(), 1))
    assert fault(path) == (85_002, "price is 'oops', not a number")
    rows[85_000] = TRADE.replace("8531.5", "8531.25")
    rows[85_100] = TRADE.replace("8531.5", "8531.35")
    path.write_bytes(gzip.compress(text("trades", rows).encode(), 1))
    line, said = fault(path)
    assert line == 85_002
    assert said.endswith("(2 lines, also 85102)")


def _cut(content: bytes) -> bytes:
    return content[: len(content) - 3]


def _flipped(content: bytes) -> bytes:
    return content[:-8] + bytes([content[-8] ^ 1]) + content[-7:]


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("x.csv.gz", _cut, "the file is cut short"),
        ("x.csv.gz", _flipped, "the file is corrupt: CRC check failed"),
        ("x.csv.gz", lambda content: content[:12] + b"\xff" * 60, "the file is corrupt"),
        ("x.csv.gz", lambda content: b"garbage" * 100, "is no gzip file"),
        ("x.csv.gz", lambda content: b"", "is no gzip file"),
        ("x.csv.gz", gzip.decompress, "is no gzip file"),
        ("x.csv", lambda content: content, "is gzip: name it .csv.gz"),
        ("x.csv", lambda content: gzip.decompress(content)[:-1], "its last line does not end"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_whole(
    name: str, damage: Callable[[bytes], bytes], message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(damage(gzip.compress(text("trades", [TRADE] * 5).encode())))
    assert message in fault(path)[1]


def test_wrong_columns_are_told_from_right_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text("quotes", [QUOTE]))
    assert fault(path) == (1, "holds quotes, not trades")
    path.write_text(text("quotes", [QUOTE]).replace("ask_amount", "ask_size"))
    line, said = fault(path)
    assert line == 1
    assert "has the columns 'exchange,symbol,timestamp,local_timestamp,ask_size,ask_price," in said
    assert said.endswith("trades has '" + columns("trades") + "'")


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text("trades", [TRADE, TRADE[:-1] + "0", TRADE]))
    found = checked(path)
    assert (found.rows, found.objects) == (3, 2)
    assert found.warnings == ["x.csv:3: 1 row is left out: a trade of amount 0"]
    one_sided = QUOTE.replace("8531.5", "")
    path.write_text(text("quotes", [QUOTE, one_sided, one_sided]))
    found = checked(path, "quotes")
    assert (found.rows, found.objects) == (3, 3)  # the loader makes them, with a price of 0
    reason = "one side has no price, and a quote has two"
    assert found.warnings == [f"x.csv:3: 2 rows are left out: {reason}"]
    early = DELTA.replace("true", "false")
    path.write_text(text("incremental_book_L2", [early, early, DELTA, DELTA, early]))
    found = checked(path, "incremental_book_L2")
    assert (found.rows, found.objects) == (5, 4)
    reason = "a change of the book before its first snapshot"
    assert found.warnings == [f"x.csv:2: 2 rows are left out: {reason}"]


def test_files_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    for content in ("", text("trades", [])):
        path.write_bytes(gzip.compress(content.encode()))
        assert checked(path) == Contents()
        assert span(path, "x") is None


@example(units=4262695495149881, precision=8, written="{:f}")
@given(
    units=st.integers(-(2**52), 2**52),
    precision=st.integers(0, 12),
    written=st.sampled_from(("{:f}", "{:E}", "{:g}")),
)
def test_a_number_is_refused_only_if_it_has_more_decimals(
    units: int, precision: int, written: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    number = Decimal(units).scaleb(-precision)
    if abs(number) > 17_014_118_346_046:
        return
    path = tmp_path_factory.getbasetemp() / "number.csv"
    cell = written.format(number)
    path.write_text(text("trades", [f"{GOOD}a,sell,{cell},2"]))
    has = max(-int(Decimal(cell).normalize().as_tuple().exponent), 0)
    assert checked(path, prices=max(has, 0)).rows == 1
    if has:
        with pytest.raises(InputError, match="more decimals than"):
            checked(path, prices=has - 1)
