"""The file provider: what it reads."""

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.conformance import conforms
from tests.data.support import BARS, PAIR, bar_lines, study_of
from workbench import data
from workbench.core.errors import InputError, StudyError
from workbench.core.project import Project
from workbench.data.file import FileProvider
from workbench.data.intervals import iso
from workbench.data.rows import times
from workbench.study import Study

QUOTES = {**BARS, "path": "data/quotes.csv", "ticks": "quotes", "bars": None}
TRADES = {**BARS, "path": "data/trades.csv", "ticks": "trades", "bars": None}


def imported(project: Project, **changes: Any) -> tuple[Study, pa.Table, data.FetchResult]:
    """Fetch one dataset; return the study, its rows and the result."""
    study = study_of({**BARS, **changes})
    result = data.fetch(study, project)
    return study, data.read(study.data[0], project), result


def closes(table: pa.Table) -> list[tuple[str, float]]:
    ts = times(table["ts"]).tolist()
    return [(iso(at), close) for at, close in zip(ts, table["close"].to_pylist(), strict=True)]


def test_it_conforms(project: Project, csv: Callable[..., Path]) -> None:
    csv(bar_lines(100))
    study = study_of({**BARS, "start": "2024-01-02", "end": "2024-01-02"})
    conforms(FileProvider(project), study, study_of({**BARS, "path": "data/nothing.csv"}))


def test_a_file_without_a_final_newline_is_counted(project: Project, csv: Any) -> None:
    path = csv(bar_lines(3))
    path.write_text(path.read_text().rstrip("\n"))
    assert data.plan(study_of(BARS), project).rows == 3
    assert imported(project)[2].rows == 3


READ_BACK = """
import json, sys
from pathlib import Path
from nautilus_trader import model
from nautilus_trader.persistence import ParquetDataCatalog
from workbench.engine import catalog as ours

root, kind, identity, *files = sys.argv[1:]
catalog = ParquetDataCatalog(root)
read = {"bars": catalog.query_bars, "quotes": catalog.query_quote_ticks,
        "trades": catalog.query_trade_ticks}[kind]
write = {"bars": "write_bars", "quotes": "write_quote_ticks", "trades": "write_trade_ticks"}[kind]
rows = read([identity])
assert rows == ours.query(kind, identity, None, None, files)
other = Path(root) / "again"
other.mkdir()
getattr(ParquetDataCatalog(str(other)), write)(rows)
(instrument,) = catalog.instruments()
print(json.dumps([str(instrument.id), *map(str, rows)]))
"""


@pytest.mark.parametrize(
    ("spec", "header", "lines", "expected"),
    [
        (
            BARS,
            "timestamp,open,high,low,close,volume",
            ["2024-01-02 09:30:00,1.25,1.26001,1.2,1.25999,1000", "2024-01-02 09:31:00,1,1,1,1,0"],
            [
                (
                    "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL,1.25000,1.26001,1.20000,1.25999,1000,"
                    "1704187800000000000"
                ),
                (
                    "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL,1.00000,1.00000,1.00000,1.00000,0,"
                    "1704187860000000000"
                ),
            ],
        ),
        (
            QUOTES,
            "timestamp,bid,ask",
            ["2024-01-02 09:30:00.123456789,1.25,1.25001"] * 2,
            ["GBP/USD.SIM,1.25000,1.25001,1000000000,1000000000,1704187800123456789"] * 2,
        ),
        (
            TRADES | {"definition": {**PAIR, "size_precision": 2}},
            "timestamp,price,size,side,trade_id",
            [
                "2024-01-02 09:30:00,1.25,0.5,buy,a-1",
                "2024-01-02 09:30:00,1.25,10,SELL,a-2",
                "2024-01-02 09:30:01,1.25,10,,a-3",
            ],
            [
                "GBP/USD.SIM,1.25000,0.50,BUY,a-1,1704187800000000000",
                "GBP/USD.SIM,1.25000,10.00,SELL,a-2,1704187800000000000",
                "GBP/USD.SIM,1.25000,10.00,NO_AGGRESSOR,a-3,1704187801000000000",
            ],
        ),
    ],
    ids=["bars", "quotes", "trades"],
)
def test_the_engine_reads_exactly_what_the_file_says(
    project: Project, csv: Any, spec: dict[str, Any], header: str, lines: list[str], expected: Any
) -> None:
    csv(lines, header, Path(spec["path"]).name)
    study = study_of(spec)
    data.fetch(study, project)
    ((wanted, files),) = data.inputs(study, project)
    done = subprocess.run(
        [sys.executable, "-c", READ_BACK, str(project.catalog), wanted.kind, wanted.identity]
        + [str(file) for file in files],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == ["GBP/USD.SIM", *expected]
    # Written again by the engine, the same rows are the same file but for our own metadata.
    (ours,) = files
    (theirs,) = (project.catalog / "again").rglob("*.parquet")
    assert theirs.name == ours.name
    assert theirs.parent.name == ours.parent.name
    mine, other = pq.read_table(ours), pq.read_table(theirs)
    metadata = {
        key: value
        for key, value in mine.schema.metadata.items()
        if not key.startswith(b"workbench.")
    }
    assert len(mine.schema.metadata) - len(metadata) == 3
    assert metadata == other.schema.metadata
    assert mine.schema.types == other.schema.types
    assert mine.equals(other)


@pytest.mark.parametrize("symbol", ["BRK/B", "A:B+C=D$E_F", "A.B-C"])
def test_symbols_the_engine_spells_otherwise_on_disk(
    project: Project, csv: Any, symbol: str
) -> None:
    csv(bar_lines(2))
    study, _, _ = imported(project, instrument=f"{symbol}.SIM")
    ((wanted, files),) = data.inputs(study, project)
    command = [sys.executable, "-c", READ_BACK, str(project.catalog), "bars", wanted.identity]
    done = subprocess.run([*command, *map(str, files)], check=True, capture_output=True, text=True)
    assert len(json.loads(done.stdout)) == 3
    again = {path.relative_to(project.catalog / "again")
             for path in (project.catalog / "again").rglob("*.parquet")}  # fmt: skip
    assert again == {path.relative_to(project.catalog) for path in files}


def test_columns_delimiter_and_format_can_be_named(project: Project) -> None:
    path = project.root / "data" / "bars.dat"
    path.write_text(
        "﻿skip;When ;O;H;L;C\nx;2024-01-02T09:30:00Z;1;3;0.5;2\n\r\n"
        'y;"2024-01-02T09:31:00Z";2;3;2;3\n'
    )
    columns = {"timestamp": "When", "open": "O", "high": "H", "low": "L", "close": "C"}
    _, table, _ = imported(project, path=str(path), format="csv", delimiter=";", columns=columns)
    assert closes(table) == [("2024-01-02T09:30:00Z", 2.0), ("2024-01-02T09:31:00Z", 3.0)]
    assert table["volume"].to_pylist() == [1e9, 1e9]


@pytest.mark.parametrize(
    ("stamps", "settings", "expected"),
    [
        (["2024-01-02 09:30", "2024-01-02 09:31"], {}, ["09:30:00Z", "09:31:00Z"]),
        (["2024-01-02T11:30:00+02:00", "2024-01-02T09:31:00Z"], {}, ["09:30:00Z", "09:31:00Z"]),
        (["2024-01-02 09:30:00,5", " 2024-01-02 09:31:00"], {}, ["09:30:00.5Z", "09:31:00Z"]),
        (
            ["2024-01-02 04:30:00", "2024-01-02T09:31:00Z"],
            {"timezone": "America/New_York"},
            ["09:30:00Z", "09:31:00Z"],
        ),
        (["1704187800", "1704187860"], {"timestamp_unit": "s"}, ["09:30:00Z", "09:31:00Z"]),
        (["1704187800001", "1704187860000"], {"timestamp_unit": "ms"},
         ["09:30:00.001Z", "09:31:00Z"]),
        (["1704187800000001", "1704187860000000"], {"timestamp_unit": "us"},
         ["09:30:00.000001Z", "09:31:00Z"]),
        (["1704187800000000001", "1704187860000000000"], {"timestamp_unit": "ns"},
         ["09:30:00.000000001Z", "09:31:00Z"]),
        (["2024-01-02 09:29", "2024-01-02 09:30"], {"timestamp_marks": "open"},
         ["09:30:00Z", "09:31:00Z"]),
    ],
)  # fmt: skip
def test_timestamps(
    project: Project, csv: Any, stamps: list[str], settings: dict[str, str], expected: list[str]
) -> None:
    csv([f'"{stamp}",1,1,1,1,1' for stamp in stamps])
    _, table, _ = imported(project, **settings)
    assert [at for at, _ in closes(table)] == [f"2024-01-02T{time}" for time in expected]


def test_summer_time(project: Project, csv: Any) -> None:
    lines = ["2024-03-08 16:00,1,1,1,1,1", "2024-03-11 16:00,1,1,1,1,1"]
    csv(lines)
    _, table, _ = imported(project, timezone="America/New_York", bars="1-DAY-LAST")
    assert [at for at, _ in closes(table)] == ["2024-03-08T21:00:00Z", "2024-03-11T20:00:00Z"]


def test_a_day_that_opens_at_midnight_closes_at_the_next_one(project: Project, csv: Any) -> None:
    csv(["2024-03-10,1,1,1,1,1", "2024-03-11,1,1,1,1,1"])
    _, table, result = imported(
        project, timezone="America/New_York", bars="1-DAY-LAST", timestamp_marks="open"
    )
    # The tenth has 23 hours.
    assert [at for at, _ in closes(table)] == ["2024-03-11T04:00:00Z", "2024-03-12T04:00:00Z"]
    assert result.warnings == []


def test_a_month_is_as_long_as_it_is(project: Project, csv: Any) -> None:
    csv(["2024-01-01,1,1,1,1,1", "2024-02-01,1,1,1,1,1"])
    _, table, _ = imported(project, bars="1-MONTH-LAST", timestamp_marks="open")
    assert [at for at, _ in closes(table)] == ["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"]


def test_plain_dates_taken_as_closes_are_a_warning(project: Project, csv: Any) -> None:
    csv(["2024-03-11,1,1,1,1,1", "2024-03-12,1,1,1,1,1"])
    _, table, result = imported(project, bars="1-DAY-LAST")
    assert [at for at, _ in closes(table)] == ["2024-03-11T00:00:00Z", "2024-03-12T00:00:00Z"]
    (warning,) = result.warnings
    assert "set 'timestamp_marks: open'" in warning


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        ({"timestamp": pa.array([1704187800000, 1704187860000], pa.timestamp("ms"))}, {}),
        ({"timestamp": pa.array([1704187800, 1704187860], pa.timestamp("s", "Asia/Tokyo"))}, {}),
        ({"timestamp": pa.array([1704187800, 1704187860])}, {"timestamp_unit": "s"}),
        ({"timestamp": pa.array(["2024-01-02 09:30", "2024-01-02 09:31"])}, {}),
        ({"close": pa.array([Decimal("1.25"), Decimal("1.5")], pa.decimal128(20, 8))}, {}),
        ({"close": pa.array(["1.25", "1.5"])}, {}),
        ({"close": pa.array([1.25, 1.5], pa.float32())}, {}),
        ({"volume": pa.array([3, 4], pa.uint8())}, {}),
    ],
)
def test_parquet_columns_of_every_type(
    project: Project, columns: dict[str, pa.Array], settings: dict[str, str]
) -> None:
    table = {
        "timestamp": pa.array([1704187800, 1704187860], pa.timestamp("s", "UTC")),
        "open": [1.25, 1.5], "high": [1.25, 1.5], "low": [1.25, 1.5], "close": [1.25, 1.5],
        **columns,
    }  # fmt: skip
    pq.write_table(pa.table(table), project.root / "data" / "bars.parquet")
    _, rows, _ = imported(project, path="data/bars.parquet", **settings)
    assert closes(rows) == [("2024-01-02T09:30:00Z", 1.25), ("2024-01-02T09:31:00Z", 1.5)]


def test_float_noise_is_no_digit(project: Project, csv: Any) -> None:
    csv(["2024-01-02 09:30,0.30000000000000004,1.1,0.1,1.0999999999999999,3"])
    _, table, _ = imported(project)
    assert table["open"][0].as_py() == 0.3
    assert table["close"][0].as_py() == 1.1


def test_an_instrument_may_be_in_the_catalog_already(project: Project, csv: Any) -> None:
    csv(bar_lines(3))
    spec = {**BARS, "definition": None, "bars": "1-MINUTE-ASK"}
    with pytest.raises(StudyError, match="describe it with 'definition'"):
        data.fetch(study_of(spec), project)
    data.fetch(study_of(BARS), project)
    assert data.fetch(study_of(spec), project).rows == 3
    assert [each["identity"] for each in data.list_(project)["datasets"]] == [
        "GBP/USD.SIM-1-MINUTE-ASK-EXTERNAL",
        "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL",
    ]


def test_a_changed_definition_replaces_the_instrument(project: Project, csv: Any) -> None:
    from workbench.engine.catalog import definitions

    csv(bar_lines(3))
    data.fetch(study_of(BARS), project)
    study = study_of({**BARS, "definition": {**PAIR, "margin_init": "0.05"}})
    assert data.ensure(study, project).status == "cached"
    assert definitions(project.catalog)["GBP/USD.SIM"].margin_init == Decimal("0.05")


def test_the_whole_file_is_imported_and_ranges_are_cut_from_it(project: Project, csv: Any) -> None:
    csv(bar_lines(100))
    narrow = study_of({**BARS, "start": "2024-01-02T00:10:00Z", "end": "2024-01-02T00:19:00Z"})
    assert data.fetch(narrow, project).rows == 100
    assert next(iter(data.digest(narrow, project).values()))["rows"] == 10
    assert data.read(narrow.data[0], project).num_rows == 10
    wide = study_of(BARS)
    assert data.plan(wide, project).complete
    assert next(iter(data.digest(wide, project).values()))["rows"] == 100
    (issue,) = data.check(study_of({**BARS, "start": "2025-01-01"}), project)
    assert issue.path == "data.0.start"
    assert "there is data from 2024-01-02T00:00:00Z to 2024-01-02T01:39:00Z" in issue.message


def test_a_range_outside_the_file_is_an_error_of_the_first_fetch_too(
    project: Project, csv: Any
) -> None:
    csv(bar_lines(3))
    with pytest.raises(StudyError, match="there is data from 2024-01-02"):
        data.fetch(study_of({**BARS, "end": "2023-01-01"}), project)


def change_in_place(path: Path) -> None:
    path.write_text(path.read_text().replace("1.25001", "1.25002"))


@pytest.mark.parametrize(
    ("change", "settings", "words"),
    [
        (change_in_place, {}, "came from data/bars.csv before it was changed"),
        (None, {"timezone": "Asia/Tokyo"}, "imported with other settings (timezone)"),
        (None, {"timestamp_marks": "open"}, "imported with other settings (timestamp_marks)"),
        (None, {"definition": {**PAIR, "price_precision": 6}}, "other settings (price_precision)"),
        (None, {"path": "data/other.csv"}, "came from another file, data/bars.csv"),
    ],
)
def test_rows_of_another_source_are_never_used_in_silence(
    project: Project, csv: Any, change: Any, settings: dict[str, Any], words: str
) -> None:
    path = csv(bar_lines(5))
    csv(bar_lines(6), name="other.csv")
    data.fetch(study_of(BARS), project)
    before = data.digest(study_of(BARS), project)
    if change:
        change(path)
    study = study_of({**BARS, **settings})
    (issue,) = data.check(study, project)
    assert issue.path == "data.0"
    assert words in issue.message
    assert "workbench data fetch STUDY --replace" in issue.message
    for verb in (data.plan, data.fetch, data.ensure, data.inputs, data.digest):
        with pytest.raises(StudyError) as error:
            verb(study, project)
        assert error.value.issues == (issue,)
    assert data.fetch(study, project, replace=True).status == "done"
    assert data.check(study, project) == []
    assert data.digest(study, project) != before


def test_a_file_that_was_only_touched_or_copied_is_the_same(project: Project, csv: Any) -> None:
    path = csv(bar_lines(5))
    data.fetch(study_of(BARS), project)
    path.touch()
    (project.root / "data" / "copy.csv").write_bytes(path.read_bytes())
    for study in (study_of(BARS), study_of({**BARS, "path": "data/copy.csv"})):
        assert data.plan(study, project).complete


def test_another_providers_rows_are_never_used_in_silence(project: Project, csv: Any) -> None:
    lines = ["2005-01-03 21:00,1,1,1,1,1", "2005-01-04 21:00,1,1,1,1,1"]
    csv(lines)
    equity = {"type": "equity", "currency": "USD", "price_precision": 4}
    own = study_of({**BARS, "instrument": "AAPL.XNAS", "bars": "1-DAY-LAST", "definition": equity})
    data.fetch(own, project)
    sample = study_of({"provider": "sample", "instrument": "AAPL.XNAS", "bars": "1-DAY-LAST"})
    (issue,) = data.check(sample, project)
    assert "came from the provider 'file'" in issue.message
    assert data.fetch(sample, project, replace=True).rows == 3270
    (issue,) = data.check(own, project)
    assert "came from the provider 'sample'" in issue.message


def test_gaps_are_warnings(project: Project, csv: Any) -> None:
    lines = bar_lines(300)
    csv(lines[:10] + lines[20:50] + lines[100:])
    study, _, result = imported(project)
    assert result.warnings == [
        (
            "data/bars.csv: 2 gaps: 2024-01-02T00:49:00Z to 2024-01-02T01:40:00Z; "
            "2024-01-02T00:09:00Z to 2024-01-02T00:20:00Z"
        )
    ]
    assert data.list_(project)["datasets"][0]["gaps"] == 2
    assert data.plan(study, project).complete


def test_a_file_that_changes_while_it_is_read_is_not_stored(project: Project, csv: Any) -> None:
    from workbench.core.errors import DataError

    path = csv(bar_lines(5))

    def change(progress: Any) -> None:
        if progress.done:
            path.write_text(path.read_text() + bar_lines(1, start=5)[0] + "\n")

    with pytest.raises(DataError, match="was changed while it was read"):
        data.fetch(study_of(BARS), project, on_progress=change)
    assert data.list_(project)["datasets"] == []


def test_the_folder_of_another_spelling_is_refused(project: Project, csv: Any) -> None:
    from workbench.core.errors import DataError

    csv(bar_lines(5))
    data.fetch(study_of(BARS), project)
    with pytest.raises(DataError, match=r"holds GBP/USD\.SIM-1-MINUTE-BID-EXTERNAL"):
        data.fetch(study_of({**BARS, "instrument": "GBPUSD.SIM"}), project)


def test_check_and_import_name_every_dataset(project: Project, csv: Any) -> None:
    study = study_of({**BARS, "path": "data/no.csv"}, {**QUOTES, "path": "data/bars.cvs"})
    assert [issue.path for issue in data.check(study, project)] == ["data.0.path", "data.1.path"]
    with pytest.raises(InputError) as error:
        data.fetch(study, project)
    assert len(error.value.issues) == 2
