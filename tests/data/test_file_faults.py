"""The file provider: what it refuses, what it mends, and where it says the fault is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.support import BARS, PAIR, bar_lines, study_of
from workbench import data
from workbench.core.errors import Cancelled, InputError, WorkbenchError
from workbench.core.project import Project
from workbench.data.timestamps import HINT

GOOD = "2024-01-02 09:30:00,1.25,1.26,1.24,1.25,10"


def faults(project: Project, **changes: Any) -> list[tuple[int | None, str]]:
    """Return line and message of each fault of a fetch that must fail and store nothing."""
    with pytest.raises(InputError) as error:
        data.fetch(study_of({**BARS, **changes}), project)
    assert not list(project.catalog.rglob("*.parquet"))
    assert all(issue.file for issue in error.value.issues)
    return [(issue.line, issue.message) for issue in error.value.issues]


@pytest.mark.parametrize(
    ("line", "words", "mended"),
    [
        ("2024-01-02 09:31:00,abc,1.26,1.24,1.25,10", "open is not a number: 'abc'", True),
        ("2024-01-02 09:31:00,1_0,1.26,1.24,1.25,10", "open is not a number: '1_0'", True),
        ("2024-01-02 09:31:00,\xff,1.26,1.24,1.25,10", "open is not a number: '\\\\xff'", True),
        ("2024-01-02 09:31:00,,1.26,1.24,1.25,10", "open is empty or NaN", True),
        ("2024-01-02 09:31:00,NaN,1.26,1.24,1.25,10", "open is empty or NaN", True),
        ("2024-01-02 09:31:00,1.25,inf,1.24,1.25,10", "high is infinite", True),
        ("2024-01-02 09:31:00,1.25,1.26,1.24,1.25,", "volume is empty or NaN", True),
        ("2024-01-02 09:31:00,1.25,1.26,-1.24,1.25,10", "low is -1.24: a price is above 0", True),
        ("2024-01-02 09:31:00,1.25,1.26,0,1.25,10", "low is 0: a price is above 0", True),
        ("2024-01-02 09:31:00,1.25,1.24,1.26,1.25,10", "high 1.24 is below low 1.26", True),
        (
            "2024-01-02 09:31:00,1.27,1.26,1.24,1.25,10",
            "open 1.27 is not between low 1.24 and high 1.26",
            True,
        ),
        (
            "2024-01-02 09:31:00,1.25,1.26,1.24,1.23,10",
            "close 1.23 is not between low 1.24 and high 1.26",
            True,
        ),
        ("2024-01-02 09:31:00,1.25,1.26,1.24,1.25,-1", "volume is -1: never negative", True),
        ("yesterday,1.25,1.26,1.24,1.25,10", "'yesterday' is no timestamp", True),
        (",1.25,1.26,1.24,1.25,10", "'' is no timestamp", True),
        ("2024-02-30 09:31:00,1.25,1.26,1.24,1.25,10", "'2024-02-30 09:31:00' is no", True),
        ("1969-12-31 09:31:00,1.25,1.26,1.24,1.25,10", "is not between 1970 and 2261", True),
        ("2300-01-01 09:31:00,1.25,1.26,1.24,1.25,10", "is not between 1970 and 2261", True),
        ("2024-01-02 09:31:00,1.25,1.26,1.24,1.25", "too many or too few cells", True),
        ("2024-01-02 09:31:00,1.25,1.26,1.24,1.25,10,1", "too many or too few cells", True),
        (
            "2024-01-02 09:31:00,1.25,1.260001,1.24,1.25,10",
            ("high 1.260001 has more than the 5 decimals of the instrument: raise its "
            "price_precision"),
            False,
        ),
        (
            "2024-01-02 09:31:00,1.25,1.26,1.24,1.25,10.5",
            "volume 10.5 has more than the 0 decimals of the instrument: raise its size_precision",
            False,
        ),
        (
            "2024-01-02 09:31:00,1.25,99999999999999,1.24,1.25,10",
            "high 99999999999999 has more digits than can be read exactly",
            False,
        ),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_its_line(
    project: Project, line: str, words: str, mended: bool
) -> None:
    path = project.root / "data" / "bars.csv"
    text = "\n".join(["timestamp,open,high,low,close,volume", GOOD, "", line, ""])
    path.write_bytes(text.encode("latin-1"))
    ((number, message),) = faults(project)
    assert number == 4
    assert words in message
    assert ("clean: [drop_invalid]" in message) == mended
    cleaning = {"clean": ["drop_invalid", "sort", "drop_duplicates"]}
    if not mended:
        assert faults(project, **cleaning)[0][0] == 4
        return
    result = data.fetch(study_of({**BARS, **cleaning}), project)
    assert result.rows == 1
    (warning,) = result.warnings
    assert warning.startswith("data/bars.csv:4: ")
    assert words in warning
    assert warning.endswith(": dropped")


def test_every_fault_is_reported_at_once_with_its_count(project: Project, csv: Any) -> None:
    lines = bar_lines(1000)
    for row in (3, 10, 500, 501, 502, 999):
        lines[row] = lines[row].replace(",1.2", ",-1.2", 1)
    lines[7] = lines[7].replace(lines[7].split(",")[4], "oops", 1)
    lines[20] = lines[19]
    lines[30], lines[31] = lines[31], lines[30]
    csv(lines)
    found = dict(faults(project))
    assert list(found) == [5, 9, 22, 33]
    assert found[5].startswith(
        "open is -1.25003: a price is above 0 (6 lines, also 12, 502, 503, ...)"
    )
    assert "is there already, in line 21" in found[22]
    assert "clean: [drop_duplicates]" in found[22]
    assert "comes after" in found[33]
    assert "clean: [sort]" in found[33]


def test_each_word_of_clean_mends_its_own_fault(project: Project, csv: Any) -> None:
    lines = bar_lines(6)
    conflicting = lines[2].replace(",2", ",99")
    assert conflicting != lines[2]
    csv([lines[1], lines[0], lines[2], conflicting, lines[3], lines[3], "x,1,1,1,1,1", lines[4]])
    for clean, left in (
        (["sort"], [6, 8]),
        (["drop_duplicates"], [3, 8]),
        (["drop_invalid"], [3, 6]),
    ):
        assert [line for line, _ in faults(project, clean=clean)][: len(left)] != []
        assert {line for line, _ in faults(project, clean=clean)} <= {3, 5, 7, 8}
    everything = {**BARS, "clean": ["sort", "drop_duplicates", "drop_invalid"]}
    result = data.fetch(study_of(everything), project)
    assert result.rows == 5
    assert [warning.partition(": ")[0] for warning in result.warnings] == [
        "data/bars.csv:8",
        "data/bars.csv:3",
        "data/bars.csv:5",
    ]
    assert result.warnings[2].endswith("(2 lines, also 7): the last one kept, 1 differed")
    table = data.read(study_of(everything).data[0], project)
    assert table["volume"].to_pylist() == [0, 1, 99, 3, 4]


def test_bars_of_ticks_may_share_a_time(project: Project, csv: Any) -> None:
    line = bar_lines(1)[0]
    csv([line, line])
    assert data.fetch(study_of({**BARS, "bars": "100-TICK-LAST"}), project).rows == 2


def test_quotes_whose_bid_is_above_their_ask(project: Project, csv: Any) -> None:
    csv(["2024-01-02,1.25,1.26", "2024-01-02,1.27,1.26", "2024-01-02,1.26,1.26"],
        "timestamp,bid,ask")  # fmt: skip
    ((line, message),) = faults(project, ticks="quotes", bars=None)
    assert (line, message.partition(". ")[0]) == (3, "bid 1.27 is above ask 1.26")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2024-01-02,1.25,0,buy,2", "size is 0: a trade has a size above 0"),
        ("2024-01-02,1.25,1,up,2", "side 'up' is neither buy nor sell"),
        ("2024-01-02,1.25,1,buy,", "a trade id has 1 to 36 plain characters, found ''"),
        (f"2024-01-02,1.25,1,buy,{'x' * 37}", "a trade id has 1 to 36"),
        (
            "2024-01-02,1.25,1,buy,1",
            "this trade id (2024-01-02T00:00:00Z) is there already, in line 2",
        ),
    ],
)
def test_faults_of_trades(project: Project, csv: Any, row: str, words: str) -> None:
    csv(["2024-01-02,1.25,1,buy,1", row], "timestamp,price,size,side,trade_id")
    ((line, message),) = faults(project, ticks="trades", bars=None)
    assert line == 3
    assert words in message
    clean = {"clean": ["drop_duplicates", "drop_invalid"]}
    spec = {**BARS, "ticks": "trades", "bars": None, **clean}
    assert data.fetch(study_of(spec), project).rows == 1


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        ("2024-03-10 02:30", "does not exist in America/New_York: clocks are put forward"),
        ("2024-11-03 01:30", "comes twice in America/New_York, when clocks are put back"),
    ],
)
def test_times_clocks_do_not_show_once(project: Project, csv: Any, stamp: str, words: str) -> None:
    csv(["2024-03-01 09:30,1,1,1,1,1", f"{stamp},1,1,1,1,1"])
    ((line, message),) = faults(project, timezone="America/New_York")
    assert line == 3
    assert words in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "is empty"),
        (b"timestamp,open,high,low,close\n", "has a header but no rows"),
        (b"timestamp,open,high,low,close", "has a header but no rows"),
        (bytes(range(256)) * 100, "is not a text file (it holds zero bytes)"),
        (b"\x1f\x8b\x08" + b"x" * 100, "is a compressed file: unpack it first"),
        (b"x" * 200_000, "has a line of more than 65536 bytes: it is not a CSV file"),
        ("tïmestamp,open\n".encode("latin-1"), "is not UTF-8 text"),
        (b"timestamp;open;high;low;close\n2024-01-02;1;1;1;1\n", "try ';'"),
        (b"timestamp\topen\thigh\tlow\tclose\n2024-01-02\t1\t1\t1\t1\n", "try a tab"),
        (b"Timestamp,Open,High,Low,Close\n", "has no column 'close'. Did you mean 'Close'?"),
        (b"time,open,high,low,close\n", "has no column 'timestamp'"),
        (b"timestamp,open,high,low,close,close\n", "has two columns 'close'"),
        (b"timestamp,open,high,low,close\n20240102,1,1,1,1\n", "integer timestamps: say of what"),
        (b'timestamp,open,high,low,close\n"' + b"x" * 9_000_000, "is not a CSV file"),
    ],
)
def test_files_that_are_no_such_thing(project: Project, content: bytes, words: str) -> None:
    (project.root / "data" / "bars.csv").write_bytes(content)
    messages = [message for _, message in faults_anywhere(project)]
    assert any(words in message for message in messages), messages


def faults_anywhere(project: Project, **changes: Any) -> list[tuple[int | None, str]]:
    with pytest.raises(InputError) as error:
        data.fetch(study_of({**BARS, **changes}), project)
    return [(issue.line, issue.message) for issue in error.value.issues]


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"path": "data/brs.csv"}, "path", "Did you mean 'bars.csv'?"),
        ({"path": "data"}, "path", "is a folder, not a file"),
        ({"path": "data/bars.xyz"}, "path", "set 'format: csv' or parquet"),
        ({"path": "data/bars.parquet"}, "", "is not a Parquet file, or was cut short"),
        ({"bars": "100-TICK-LAST", "timestamp_marks": "open"}, "timestamp_marks", "bars of TICK"),
        ({"definition": None}, "instrument", "describe it with 'definition'"),
        ({"columns": {"close": "Last"}}, "columns.close", "has no column 'Last'"),
        ({"columns": {"volume": "vol"}}, "columns.volume", "Did you mean 'volume'?"),
    ],
)
def test_studies_that_do_not_fit_the_file(
    project: Project, csv: Callable[..., Path], changes: dict[str, Any], path: str, words: str
) -> None:
    source = csv(bar_lines(3))
    for name in ("bars.xyz", "bars.parquet"):
        source.with_name(name).write_bytes(source.read_bytes())
    study = study_of({**BARS, **changes})
    (issue,) = data.check(study, project)
    assert words in issue.message
    assert issue.path == (f"data.0.{path}" if path else "")
    with pytest.raises(InputError):
        data.fetch(study, project)


def test_faults_of_a_parquet_file_name_the_row(project: Project) -> None:
    table = {
        "timestamp": pa.array([1704187800, None, 1704187800, 10**15], pa.timestamp("s")),
        "open": pa.array([1.0, 1.0, 1.0, 1.0]),
        "high": pa.array([1.0, 1.0, 1.0, 1.0]),
        "low": pa.array([1.0, 1.0, 1.0, 1.0]),
        "close": pa.array([1.0, 1.0, None, 1.0]),
        "volume": pa.array([True] * 4),
    }
    path = project.root / "data" / "bars.parquet"
    pq.write_table(pa.table(table), path)
    found = faults(project, path="data/bars.parquet", columns={"volume": "open"})
    assert [(row, message.partition(". To mend it")[0]) for row, message in found] == [
        (2, f"'' is no timestamp: {HINT}"),
        (3, "close is empty or NaN"),
        (4, "'1000000000000000000 timestamp[ms]' is not between 1970 and 2261"),
    ]
    assert any("volume is not a number" in text for _, text in faults(project, path=str(path)))


def test_nothing_left_after_cleaning(project: Project, csv: Any) -> None:
    csv(["2024-01-02,1,1,1,1,-1"])
    ((_, message),) = faults(project, clean=["drop_invalid"])
    assert message == "holds no row that can be used"


def test_stopping(project: Project, csv: Any) -> None:
    csv(bar_lines(3))
    with pytest.raises(Cancelled):
        data.fetch(study_of(BARS), project, should_stop=lambda: True)
    assert not list(project.catalog.rglob("*.parquet"))


cells = st.one_of(
    st.sampled_from(
        ["1", "-1", "0", "nan", "1e400", "", '"', ",", "2024-01-02", "\uff19", "\x00", "\r"]
    ),
    st.text(max_size=6),
    st.floats().map(str),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.lists(cells, min_size=4, max_size=7), max_size=5),
    clean=st.sets(st.sampled_from(["sort", "drop_duplicates", "drop_invalid"])),
    ticks=st.sampled_from([None, "quotes", "trades"]),
    definition=st.sampled_from([PAIR, {**PAIR, "price_precision": 16, "size_precision": 16}]),
)
def test_whatever_the_file_holds_there_is_a_located_error_or_rows(
    project: Project,
    rows: list[list[str]],
    clean: set[str],
    ticks: str | None,
    definition: dict[str, Any],
) -> None:
    header = {
        None: "timestamp,open,high,low,close,volume",
        "quotes": "timestamp,bid,ask,bid_size,ask_size",
        "trades": "timestamp,price,size,side,trade_id",
    }[ticks]
    text = "\n".join([header, *(",".join(row) for row in rows)])
    path = project.root / "data" / "bars.csv"
    path.write_bytes(text.encode(errors="surrogatepass"))
    spec = {**BARS, "clean": sorted(clean), "definition": definition, "ticks": ticks}
    study = study_of({**spec, "bars": None if ticks else "1-MINUTE-BID"})
    try:
        result = data.fetch(study, project, replace=True)
    except WorkbenchError as error:
        assert isinstance(error, InputError)
        assert all(issue.file for issue in error.issues)
    else:
        assert result.rows > 0
        assert data.read(study.data[0], project).num_rows == result.rows
