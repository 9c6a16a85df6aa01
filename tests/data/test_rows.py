"""Rows and their hash, spans of time, time zones."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data import intervals, timezones
from workbench.data.rows import add_hashes, rows_hash, table, to_float


def trades(ids: list[str], first: int = 0) -> pa.Table:
    count = len(ids)
    values = {
        "price": np.arange(count) + 100 + first,
        "size": np.ones(count, dtype=np.int64),
        "ts": np.arange(count) + first,
        "side": np.arange(count) % 3,
        "trade_id": pa.array(ids, pa.string()),
    }
    return table("trades", "A.B", "A.B", values, price_precision=2, size_precision=0)


@settings(deadline=None)
@given(st.lists(st.text(max_size=5), max_size=12), st.data())
def test_the_hash_does_not_depend_on_how_rows_are_spread(
    ids: list[str], data: st.DataObject
) -> None:
    rows = trades(ids)
    cut = data.draw(st.integers(0, len(ids)))
    parts = rows.slice(0, cut), rows.slice(cut)
    assert rows_hash(rows) == add_hashes(*map(rows_hash, parts))
    order = data.draw(st.permutations(range(len(ids))))
    assert rows_hash(rows.take(list(order) or pa.array([], pa.int64()))) == rows_hash(rows)


def test_every_change_of_a_value_changes_the_hash() -> None:
    ids = ["a", "b", "ab", "ba", "", "aa"]
    plain = rows_hash(trades(ids))
    hashes = {plain, rows_hash(trades(ids, first=1)), rows_hash(trades(ids[:-1]))}
    for place in range(len(ids)):
        changed = [*ids]
        changed[place] += "x"
        hashes.add(rows_hash(trades(changed)))
    assert len(hashes) == 3 + len(ids)
    # What two rows say may not be swapped between them.
    assert rows_hash(trades(["b", "a", *ids[2:]])) not in hashes


@settings(deadline=None)
@given(st.integers(-(10**15), 10**15), st.integers(0, 16))
def test_floats_of_charts_are_the_nearest_ones(units: int, precision: int) -> None:
    values = {"price": np.array([units]), "size": np.array([1]), "ts": np.array([1])}
    values |= {"side": np.array([0]), "trade_id": pa.array(["1"])}
    rows = table("trades", "A.B", "A.B", values, price_precision=precision, size_precision=0)
    text = str(rows.column("price")[0].as_py())
    assert to_float(rows.column("price"), precision)[0] == float(text)


spans = st.tuples(st.integers(0, 40), st.integers(0, 9)).map(lambda s: (s[0], s[0] + s[1]))


@settings(deadline=None)
@given(spans, st.lists(spans, max_size=6))
def test_what_is_missing_and_what_is_covered_make_up_what_is_wanted(
    wanted: tuple[int, int], covered: list[tuple[int, int]]
) -> None:
    inside = {n for start, end in covered for n in range(start, end + 1)}
    gaps = intervals.missing(wanted, covered)
    assert [n for start, end in gaps for n in range(start, end + 1)] == [
        n for n in range(wanted[0], wanted[1] + 1) if n not in inside
    ]
    assert gaps == intervals.union(gaps)


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_file_names_carry_every_nanosecond(one: int, other: int) -> None:
    span = (min(one, other), max(one, other))
    assert intervals.parse_file_name(intervals.file_name(span)) == span


@pytest.mark.parametrize("name", ["x.parquet", "2024_2025.parquet", "_.parquet", "a_b.csv"])
def test_other_names_are_no_spans(name: str) -> None:
    assert intervals.parse_file_name(name) is None


EPOCH = dt.datetime.fromisoformat("1970-01-01")
ZONES = ["UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe"]


@settings(deadline=None)
@given(st.sampled_from(ZONES), st.lists(st.integers(0, 2_000_000_000), min_size=1, max_size=30))
def test_local_times_as_the_standard_library_has_them(name: str, seconds: list[int]) -> None:
    zone = ZoneInfo(name)
    utc = np.array(seconds, dtype=np.int64) * 10**9
    walls = [dt.datetime.fromtimestamp(s, zone).replace(tzinfo=None) for s in seconds]
    local = np.array([(wall - EPOCH) // dt.timedelta(seconds=1) for wall in walls]) * 10**9
    assert (timezones.Zone(name).to_local(utc) == local).all()
    back = timezones.Zone(name).to_utc(local)
    first = [int(wall.replace(tzinfo=zone, fold=0).timestamp()) * 10**9 for wall in walls]
    assert back.ts.tolist() == first
    twice = [w.replace(tzinfo=zone).utcoffset() != w.replace(tzinfo=zone, fold=1).utcoffset()
             for w in walls]  # fmt: skip
    assert back.repeated.tolist() == twice
    assert not back.skipped.any()


def test_a_time_the_clocks_jump_over() -> None:
    jumped = dt.datetime.fromisoformat("2024-03-10 02:30") - EPOCH
    local = np.array([jumped // dt.timedelta(seconds=1) * 10**9])
    converted = timezones.Zone("America/New_York").to_utc(local)
    assert converted.skipped.tolist() == [True]
    assert converted.repeated.tolist() == [False]
