"""Files downloaded from Tardis earlier: found by what they hold, read without a connection."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from tests.data.conformance import conforms
from tests.data.tardis_support import DAYS, LOCAL, XBT, local, write_study
from tests.servers.tardis import lines, packed, text
from workbench import data
from workbench.core.errors import InputError, StudyError
from workbench.core.project import Project
from workbench.data import tardis_csv
from workbench.data.catalog import Dataset, read_rows
from workbench.data.tardis import TardisProvider


@pytest.fixture(autouse=True)
def _no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_URL_TARDIS", "http://127.0.0.1:1")


@pytest.fixture
def folder(project: Project) -> Path:
    """Make a folder as Tardis's client fills it: kinds and symbols side by side."""
    made = project.root / "data" / "tardis"
    made.mkdir()
    for day in DAYS:
        put(made, "trades", day, 60)
    put(made, "quotes", DAYS[0], 30)
    put(made, "book_snapshot_5", DAYS[0], 30)
    put(made, "incremental_book_L2", DAYS[0], 40)
    rows = lines("trades", DAYS[0], 10, symbol="ETHUSD")
    (made / "eth.csv").write_text(text("trades", rows))
    (made / "notes.txt").write_text("not mine")
    (made / "bars.csv").write_text("time,open\n1,2\n")
    return made


def put(folder: Path, data_type: str, day: str, rows: int, **more: Any) -> Path:
    path = folder / f"bitmex_{data_type}_{day}_XBTUSD.csv.gz"
    path.write_bytes(packed(text(data_type, lines(data_type, day, rows, **more))))
    return path


def issues(project: Project, **changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(StudyError) as error:
        data.plan(local(**changes), project)
    return [(issue.path, issue.message) for issue in error.value.issues]


def test_the_contract_of_a_provider(project: Project, folder: Path) -> None:
    conforms(TardisProvider(project), local(), local(path="data/nothing"))


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({}, 180),
        ({"ticks": "quotes"}, 30),
        ({"book": "depths", "snapshot": 5}, 30),
        ({"book": "deltas"}, 41),
        ({"instrument": "ETHUSD.BITMEX", "path": "data/tardis/eth.csv"}, 10),
        ({"start": DAYS[1], "end": DAYS[1]}, 60),
    ],
)
def test_the_files_of_a_dataset(
    changes: dict[str, Any], rows: int, project: Project, folder: Path
) -> None:
    study = local(**changes)
    assert data.fetch(study, project).rows == rows
    assert data.fetch(study, project).status == "cached"
    dataset = Dataset(project, study.data[0].kind, study.data[0].identity)
    assert read_rows(dataset.good()).num_rows == rows


def test_a_range_in_parts_is_the_whole(project: Project, folder: Path) -> None:
    assert data.fetch(local(start=DAYS[1], end="2020-03-02T12:00"), project).rows < 60
    result = data.fetch(local(), project)
    assert result.requests == 3
    found = read_rows(Dataset(project, "trades", "XBTUSD.BITMEX").good()).column("trade_id")
    assert found.to_pylist() == [f"{day}-{number}" for day in DAYS for number in range(60)]


def test_a_file_more_is_no_difference_a_changed_one_is(project: Project, folder: Path) -> None:
    data.fetch(local(), project)
    put(folder, "trades", "2020-03-04", 10)
    assert data.fetch(local(), project).rows == 10
    changed = folder / f"bitmex_trades_{DAYS[1]}_XBTUSD.csv.gz"
    os.utime(changed, ns=(1, 1))
    assert data.plan(local(), project).complete
    put(folder, "trades", DAYS[1], 60, seed=1)
    ((path, message),) = issues(project)
    assert path == "data.0"
    assert "came from data/tardis/bitmex_trades_2020-03-02_XBTUSD.csv.gz before it was" in message
    assert data.fetch(local(), project, replace=True).rows == 190
    moved = folder.rename(folder.with_name("moved"))
    assert data.plan(local(path="data/moved"), project).complete
    other = moved.with_name("other")
    other.mkdir()
    put(other, "trades", "2020-03-09", 5)
    ((_, message),) = issues(project, path="data/other")
    assert "came from other files, such as data/tardis/bitmex_trades_2020-03-01" in message


def test_days_that_no_file_has_are_told(project: Project, folder: Path) -> None:
    put(folder, "trades", "2020-03-06", 10)
    result = data.fetch(local(), project)
    (warning,) = result.warnings
    assert warning.endswith("no file has 2020-03-04 to 2020-03-05: kept as days without rows")


def test_files_that_cover_the_same_time_are_refused(project: Project, folder: Path) -> None:
    (folder / "again.csv").write_text(text("trades", lines("trades", DAYS[1], 5)))
    with pytest.raises(InputError) as error:
        data.plan(local(), project)
    (issue,) = error.value.issues
    assert "remove one of them" in issue.message


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"path": "data/tardi"}, "path", "there is no file or folder 'data/tardi' (looked for"),
        ({"path": "data/tardis/notes.txt"}, "path", "'notes.txt' is not named .csv or .csv.gz"),
        ({"path": "data/tardis/bars.csv"}, "path", "bars.csv has the columns 'time,open'; trades"),
        ({"book": "depths"}, "path", "no file in 'data/tardis' holds book_snapshot_25 of XBTUSD.B"),
        (
            {"ticks": "quotes", "path": "data/tardis/eth.csv"},
            "path",
            "eth.csv holds trades, not quotes",
        ),
        (
            {"path": "data/tardis/eth.csv"},
            "path",
            "eth.csv: 'ETHUSD' is not XBTUSD.BITMEX. If it is the same, set 'symbol: ETHUSD'",
        ),
        (
            {"path": "data/tardis/eth.csv", "instrument": "ETHUSD.BYBIT"},
            "path",
            "'bitmex' is the venue BITMEX, the instrument's is BYBIT",
        ),
        (
            {"path": "data/tardis/eth.csv", "instrument": "ETHUSD.BITMEX", "exchange": "bybit"},
            "path",
            "holds data of 'bitmex', not 'bybit'",
        ),
        ({"definition": None}, "instrument", "the catalog does not know XBTUSD.BITMEX: describe"),
    ],
)
def test_what_does_not_fit_is_refused(
    changes: dict[str, Any], path: str, message: str, project: Project, folder: Path
) -> None:
    ((where, said),) = issues(project, **changes)
    assert where == f"data.0.{path}"
    assert message in said


def test_faults_name_file_and_line_and_nothing_is_stored(project: Project, folder: Path) -> None:
    path = folder / "eth.csv"
    rows = lines("trades", DAYS[0], 10, symbol="ETHUSD")
    study = local(instrument="ETHUSD.BITMEX", path="data/tardis/eth.csv")
    middle = "\n".join([*rows[:5], rows[5].rpartition(",")[0] + ",many", *rows[6:]])
    for content, line, message in (
        (text("trades", [middle]), 7, "amount is 'many', not a number"),
        (text("trades", [*rows[1:], rows[0]]), 11, "earlier than that of the first row"),
        (
            text("trades", [*rows[:4], rows[5], rows[4], *rows[6:]]),
            7,
            "earlier than that of the row before",
        ),
        (text("trades", rows)[:-1], 11, "the file is cut short: its last line does not end"),
        (text("trades", rows).replace("-3,", "-3,,"), 5, "has 9 cells, the header has 8"),
    ):
        path.write_text(content)
        with pytest.raises(InputError) as error:
            data.fetch(study, project)
        (issue,) = error.value.issues
        assert (issue.file, issue.line) == ("data/tardis/eth.csv", line)
        assert message in issue.message
    assert not list(project.catalog.rglob("trades/**/*.parquet"))
    cut = folder / f"bitmex_trades_{DAYS[2]}_XBTUSD.csv.gz"
    cut.write_bytes(cut.read_bytes()[:-9])
    with pytest.raises(InputError, match=f"{DAYS[2]}_XBTUSD.csv.gz:62: the file is cut short"):
        data.fetch(local(), project)


def test_a_file_without_lines_is_not_read_to_its_end(project: Project, folder: Path) -> None:
    path = folder / "vast.csv.gz"
    for content, line in ((b"", 1), (text("trades", lines("trades", DAYS[0], 10)).encode(), 12)):
        packed = gzip.compress(content + bytes(64 << 20), 1)
        path.write_bytes(packed[: len(packed) // 2])  # its end would be another error
        with pytest.raises(InputError, match=f"vast.csv.gz:{line}: the line is too long"):
            list(tardis_csv.blocks(path, "vast.csv.gz"))


def test_a_folder_may_hold_empty_files(project: Project, folder: Path) -> None:
    (folder / "empty.csv.gz").write_bytes(gzip.compress(b""))
    (folder / "header.csv").write_text(text("trades", []))
    assert data.fetch(local(), project).rows == 180
    ((_, message),) = issues(project, path="data/tardis/header.csv")
    assert message == "header.csv has no rows"


def test_the_command_line_runs_a_backtest_of_files(
    project: Project, folder: Path, workbench: Any
) -> None:
    study = write_study(project.root / "files.json", LOCAL)
    answer = workbench("backtest", "run", str(study), "--json")  # it fetches what is free
    assert answer.code == 0, answer.err
    assert answer.json["fills"] > 0
    bad = write_study(project.root / "bad.json", LOCAL | {"path": "data/tardis/bars.csv"})
    answer = workbench("data", "fetch", str(bad), "--json")
    assert answer.code == 2
    (issue,) = answer.json["errors"]
    assert issue["path"] == "data.0.path"
    assert issue["file"] == str(bad)


def test_a_study_without_files_that_were_read_is_told(project: Project, folder: Path) -> None:
    study = local(path="data/tardis/eth.csv", instrument="ETHUSD.BITMEX", definition=XBT)
    data.fetch(study, project)
    (folder / "eth.csv").unlink()
    issue = data.check(study, project)[0]
    assert "there is no file or folder 'data/tardis/eth.csv'" in issue.message
