"""Repairs: what is safe is done, no row is lost, everything can be brought back, kills included."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data import damage
from tests.data.damage import (
    BARS,
    DAY,
    MADE,
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
    renamed,
    snapshot,
    store,
    times,
    trades,
)  # fmt: skip
from tests.data.support import SAMPLE, study_of
from workbench import data
from workbench.core.errors import Cancelled, DataError, InputError, StudyError
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.doctor.findings import Report
from workbench.data.intervals import file_name
from workbench.data.rows import rows_hash

AAPL = "AAPL.XNAS-1-DAY-LAST-EXTERNAL"
HOURS = 3600 * 10**9


def repaired(project: Project, *names: str, **options: Any) -> Report:
    return data.repair(names, project, **options)


def actions(report: Report) -> list[str]:
    return [each.action for each in report.repaired]


def stored(project: Project, kind: str = "bars", identity: str = BARS) -> pa.Table:
    """Return all rows the catalog has of a dataset."""
    files = sorted(dataset(project, kind, identity).folder.glob("*.parquet"))
    return pa.concat_tables(loaded(path).replace_schema_metadata(None) for path in files)


def undone(project: Project, report: Report, before: dict[str, bytes]) -> None:
    assert report.undo
    data.undo(report.undo, project)
    assert snapshot(project) == before
    assert not (project.catalog / ".undo").exists()
    assert data.repairs(project) == []


def test_a_sound_catalog_is_left_alone(project: Project) -> None:
    clean(project)
    before = snapshot(project)
    report = repaired(project)
    assert (report.findings, report.repaired, report.undo) == ([], [], None)
    assert snapshot(project) == before
    assert not (project.catalog / ".undo").exists()


def shuffled(rows: pa.Table) -> pa.Table:
    return rows.take(np.random.default_rng(1).permutation(rows.num_rows))


DAMAGES: dict[str, tuple[str, Callable[[pa.Table], pa.Table], list[str]]] = {
    "unsorted": ("bars", shuffled, ["sort"]),
    "bars twice": ("bars", lambda rows: again(rows, 5, 6, 299), ["deduplicate"]),
    "everything twice": ("trades", lambda rows: again(rows, *range(300)), ["deduplicate"]),
    "quotes twice": ("quotes", lambda rows: again(rows, 0, 7), ["deduplicate"]),
    "both": ("trades", lambda rows: shuffled(again(rows, 5, 6)), ["sort", "deduplicate"]),
}


@pytest.mark.parametrize("rehash", [True, False], ids=["another's", "ours"])
@pytest.mark.parametrize("how", DAMAGES)
def test_order_and_duplicates(project: Project, how: str, rehash: bool) -> None:
    kind, damage_, expected = DAMAGES[how]
    path = clean(project, kind)
    sound = loaded(path)
    put(path, damage_(sound), rehash=rehash)
    before = snapshot(project)
    report = repaired(project)
    assert report.findings == []
    if rehash:
        assert actions(report) == expected
    done = report.repaired[-1]
    assert done.rows
    assert done.hashes
    assert done.hashes[1] == rows_hash(sound)
    assert done.rows[1] == 300
    assert loaded(path).equals(sound)
    assert loaded(path).schema.metadata == sound.schema.metadata
    undone(project, report, before)


def test_rows_that_only_hash_alike_are_not_dropped(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clean(project, "trades")
    rows = again(loaded(path), 5)
    moment = rows["ts_init"].cast(pa.int64())[5].as_py()
    put(path, change(rows, "ts_init", 7, moment))  # a third trade of that moment
    before = snapshot(project)
    monkeypatch.setattr(
        "workbench.data.doctor.surgeon.row_hashes", lambda rows: np.zeros(len(rows), np.uint64)
    )
    report = repaired(project)
    assert "different rows with the same hash" in one(report, "failed").message
    assert snapshot(project) == before


def test_bars_of_one_moment_that_differ_are_left(project: Project) -> None:
    path = clean(project)
    rows = again(loaded(path), 5)
    rows = change(rows, "volume", 6, Decimal("7.5"))
    put(path, rows)
    before = snapshot(project)
    report = repaired(project)
    assert codes(report) == {"conflict"}
    assert report.repaired == []
    assert snapshot(project) == before


def test_prices_that_cannot_be_are_left(project: Project) -> None:
    path = clean(project)
    put(path, change(loaded(path), "low", 5, Decimal(-1)))
    before = snapshot(project)
    report = repaired(project)
    assert codes(report, "error") == {"price"}
    assert report.undo is None
    assert snapshot(project) == before


@pytest.mark.parametrize("how", ["cut", "flipped", "foreign", "schema", "metadata", "changed"])
def test_what_cannot_be_used_is_put_aside_and_fetched_again(project: Project, how: str) -> None:
    parts = [study_of({**SAMPLE, "start": f"{y}-01-01", "end": f"{y}-12-31"}) for y in (2005, 2006)]
    for part in parts:
        data.fetch(part, project)
    study = study_of({**SAMPLE, "start": "2005-01-01", "end": "2006-12-31"})
    expected = data.digest(study, project)
    path = Dataset(project, "bars", AAPL).files()[1].path
    content = path.read_bytes()
    rows = loaded(path)
    if how == "cut":
        path.write_bytes(content[:-100])
    elif how == "flipped":
        path.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    elif how == "foreign":
        keys = {**rows.schema.metadata, b"bar_type": b"MSFT.XNAS-1-DAY-LAST-EXTERNAL"}
        put(path, rows.replace_schema_metadata(keys))
    elif how == "schema":
        put(path, rows.drop_columns(["volume"]))
    elif how == "metadata":
        put(path, rows.replace_schema_metadata(None))
    else:
        put(path, change(rows, "volume", 3, Decimal(1)), rehash=False)
    before = snapshot(project)
    report = repaired(project)
    assert actions(report) == ["quarantine"]
    assert codes(report, "error") == set()
    assert (project.catalog / "quarantine" / "bars" / AAPL / path.name).exists()
    assert data.plan(study, project).to_dict()["requests"] == 1
    data.fetch(study, project)
    assert data.digest(study, project) == expected
    assert report.undo
    with pytest.raises(DataError, match="was written since and covers the same time"):
        data.undo(report.undo, project)
    path.unlink()
    undone(project, report, before)


def test_strays_are_removed_and_brought_back(project: Project) -> None:
    path = clean(project)
    for name in (f".{path.name}.x1.tmp", f"{path.name}#1"):
        (path.parent / name).write_bytes(b"half")
    before = snapshot(project)
    report = repaired(project)
    assert actions(report) == ["remove"]
    assert report.findings == []
    assert len(snapshot(project)) == len(before) - 2
    undone(project, report, before)


def test_a_name_that_says_the_wrong_time(project: Project) -> None:
    path = clean(project)
    sound = loaded(path)
    wrong = renamed(path, (START - DAY, START + 100 * MINUTE))
    before = snapshot(project)
    report = repaired(project)
    assert actions(report) == ["rename"]
    assert report.findings == []
    assert path.exists()
    assert not wrong.exists()
    assert loaded(path).equals(sound)
    undone(project, report, before)


def test_a_name_that_says_no_time(project: Project) -> None:
    path = clean(project)
    path.rename(path.with_name("mine.parquet"))
    before = snapshot(project)
    report = repaired(project)
    assert actions(report) == ["rename"]
    assert path.exists()
    undone(project, report, before)
    again_ = path.with_name("copy.parquet")
    again_.write_bytes((path.with_name("mine.parquet")).read_bytes())
    path.with_name("mine.parquet").rename(path)
    report = repaired(project)
    assert actions(report) == ["quarantine"]
    assert codes(report) == set()


def test_a_name_is_never_made_to_cover_what_another_file_covers(project: Project) -> None:
    know(project)
    store(dataset(project), bars(times(60)))
    path = store(dataset(project), bars(times(60, START + DAY)))
    put(path, bars(times(120, START)))
    renamed(path, (START + DAY, START + DAY + 30 * MINUTE))
    before = snapshot(project)
    report = repaired(project)
    assert codes(report, "error") == {"outside"}
    assert snapshot(project) == before


def part(first: int, last: int) -> pa.Table:
    """Return some minutes of one and the same series."""
    return bars(times(600)).slice(first, last - first)


# Spans of minutes of the files, and what is left of them.
OVERLAPS: dict[str, tuple[list[tuple[int, int]], int]] = {
    "one goes on": ([(0, 300), (200, 500)], 2),
    "one inside another": ([(0, 300), (100, 200)], 1),
    "the first inside the second": ([(0, 200), (0, 300)], 1),
    "a long one and many": ([(0, 500), (10, 20), (30, 40), (490, 600)], 2),
    "a chain": ([(0, 200), (100, 300), (250, 400)], 3),
}


@pytest.mark.parametrize("how", OVERLAPS)
def test_overlaps_of_files_that_agree(project: Project, how: str) -> None:
    know(project)
    spans, left = OVERLAPS[how]
    folder = dataset(project).folder
    seed = store(dataset(project), part(0, 600))
    for first, last in spans:
        name = file_name((START + first * MINUTE, START + (last - 1) * MINUTE))
        put(folder / name, part(first, last).replace_schema_metadata(loaded(seed).schema.metadata))
    if not any(span == (0, 600) for span in spans):
        seed.unlink()
    before = snapshot(project)
    everything = part(0, max(last for _, last in spans))
    report = repaired(project)
    assert codes(report) == set()
    assert set(actions(report)) == {"trim"}
    assert len(list(folder.glob("*.parquet"))) == left
    assert stored(project).equals(everything.replace_schema_metadata(None))
    for done in report.repaired:
        assert done.rows
        assert done.rows[0] > done.rows[1]
    undone(project, report, before)


def test_of_two_files_that_agree_the_one_a_provider_gave_is_kept(project: Project) -> None:
    know(project)
    path = store(dataset(project), part(200, 300))
    foreign = path.with_name(file_name((START, START + 599 * MINUTE)))
    put(foreign, part(0, 600))  # as the engine writes: without a source
    before = snapshot(project)
    report = repaired(project)
    assert codes(report) == set()
    files = dataset(project).files()
    assert [file.provider for file in files] == ["", "bybit", ""]
    assert [file.rows for file in files] == [200, 100, 300]
    assert stored(project).equals(part(0, 600).replace_schema_metadata(None))
    undone(project, report, before)


def test_overlaps_of_files_that_differ_are_left(project: Project) -> None:
    know(project)
    path = store(dataset(project), part(0, 300))
    other = change(part(200, 500), "volume", 50, Decimal(1))
    put(path.with_name(file_name((START + 200 * MINUTE, START + 499 * MINUTE))), other)
    before = snapshot(project)
    report = repaired(project)
    assert codes(report) == {"overlap"}
    assert report.repaired == []
    assert snapshot(project) == before


def in_parts(project: Project, *years: int) -> Any:
    for year in years:
        part_ = study_of({**SAMPLE, "start": f"{year}-01-01", "end": f"{year}-12-31"})
        data.fetch(part_, project)
    return study_of({**SAMPLE, "start": f"{years[0]}-01-01", "end": f"{years[-1]}-12-31"})


def test_consolidation_keeps_every_row(project: Project) -> None:
    study = in_parts(project, 2005, 2006, 2007)
    digest, before = data.digest(study, project), snapshot(project)
    sources = {file.source for file in Dataset(project, "bars", AAPL).files()}
    report = repaired(project, consolidate=True)
    assert report.findings == []
    assert actions(report) == ["consolidate"]
    (done,) = report.repaired
    assert done.hashes
    assert done.hashes[0] == done.hashes[1] == rows_hash(stored(project, identity=AAPL))
    (file,) = Dataset(project, "bars", AAPL).files()
    assert file.rows_hash == done.hashes[0]
    assert {file.source} == sources
    assert file.provider == "sample"
    assert data.digest(study, project) == digest
    assert data.plan(study, project).complete
    assert repaired(project, consolidate=True).repaired == []
    assert data.digest(study, project) == digest
    undone(project, report, before)


CONSOLIDATE_TWICE = """
import sys
from nautilus_trader.model import NautilusDataType
from nautilus_trader.persistence import ParquetDataCatalog
root, identity, *span = sys.argv[1:]
for start, end in ((*map(int, span),), (None, None)):
    catalog = ParquetDataCatalog(root)
    catalog.consolidate_data_by_period(
        NautilusDataType.Bar, identity, 86_400 * 10**9, start, end, ensure_contiguous_files=False
    )
    print(len(catalog.query_bars([identity])))
"""


def test_the_engines_own_consolidation_changes_the_rows_and_ours_does_not(
    project: Project,
) -> None:
    """Should this fail, the engine was mended: say so in docs/doctor.md."""
    know(project)
    identity = f"{PERP}-1-HOUR-LAST-EXTERNAL"
    where = dataset(project, identity=identity)
    ts = times(36, step=HOURS)
    store(where, bars(ts, identity).slice(0, 18), (START, START + 18 * HOURS - 1))
    store(where, bars(ts, identity).slice(18), (START + 18 * HOURS, START + 36 * HOURS - 1))
    rows = stored(project, identity=identity)

    ours = repaired(project, consolidate=True)
    assert actions(ours) == ["consolidate"]
    assert repaired(project, consolidate=True).repaired == []
    (file,) = where.files()
    assert file.rows_hash == rows_hash(rows) == rows_hash(loaded(file.path))
    assert file.interval == (START, START + 36 * HOURS - 1)

    arguments = project.catalog, identity, START + 12 * HOURS, START + 60 * HOURS
    counts = damage.in_process(CONSOLIDATE_TWICE, *arguments).split()
    assert counts[-1] != "36"
    assert rows_hash(stored(project, identity=identity)) != rows_hash(rows)
    assert {file.provider for file in where.files()} == {""}
    assert "overlap" in codes(data.diagnose((), project))
    assert codes(repaired(project), "error") == set()  # the copies agree, so they go
    assert rows_hash(stored(project, identity=identity)) == rows_hash(rows)


def test_consolidation_joins_only_what_belongs_together(project: Project) -> None:
    know(project)
    where = dataset(project)
    spans = [(0, 100), (100, 200), (200, 300), (310, 400), (400, 500), (500, 600)]
    for first, last in spans:
        interval = START + first * MINUTE, START + last * MINUTE - 1
        store(where, part(first, last), interval, source="b" if last == 600 else "a")
    rows = stored(project)
    report = repaired(project, consolidate=True)
    assert actions(report) == ["consolidate", "consolidate"]
    sizes = [file.rows for file in where.files()]
    assert sizes == [300, 190, 100], "not over time nobody covers, not over another source"
    assert stored(project).equals(rows)
    assert [file.interval[0] for file in where.files()][1] == START + 310 * MINUTE


@pytest.mark.parametrize("kind", ["trades", "order_book_deltas"])
def test_consolidation_of_other_kinds(
    project: Project, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(project)
    make = MADE.get(kind, deltas)
    where = dataset(project, kind, PERP)
    for number in range(6):
        first = START + number * 100 * 10**9
        store(where, make(times(100, first, 10**9)), (first, first + 100 * 10**9 - 1))
    rows = stored(project, kind, PERP)
    monkeypatch.setattr("workbench.data.doctor.consolidation.MOST_ROWS", 350)
    monkeypatch.setattr("workbench.data.doctor.rewriting.BATCH_ROWS", 70)
    report = repaired(project, consolidate=True)
    assert actions(report) == ["consolidate", "consolidate"]
    assert [file.rows for file in where.files()] == [300, 300]
    assert stored(project, kind, PERP).equals(rows)
    assert report.findings == []


def test_a_repair_that_would_change_rows_is_not_made(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = in_parts(project, 2005, 2006)
    before, digest = snapshot(project), data.digest(study, project)
    write = pq.ParquetWriter.write_table

    def loses_a_row(self: Any, rows: pa.Table, **options: Any) -> None:
        write(self, rows.slice(1), **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", loses_a_row)
    report = repaired(project, consolidate=True)
    assert "would have changed rows (502 with hash" in one(report, "failed").message
    assert report.undo is None
    assert snapshot(project) == before
    monkeypatch.undo()
    assert data.digest(study, project) == digest
    assert not (project.catalog / ".undo").exists()


def test_a_full_disk_changes_nothing(project: Project) -> None:
    study = in_parts(project, 2005, 2006)
    before = snapshot(project)
    code = (
        "from workbench import data\nfrom workbench.core.project import Project\n"
        "report = data.repair((), Project.find(), consolidate=True)\n"
        "print([each.message for each in report.errors])\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000)),
    )
    assert "could not be written" in process.stdout, process.stderr
    assert snapshot(project) == before
    assert data.digest(study, project)


def test_undo_refuses_what_it_cannot_do(project: Project) -> None:
    with pytest.raises(InputError, match="no repair 'x' to undo"):
        data.undo("x", project)
    path = clean(project)
    sound = loaded(path)
    put(path, shuffled(sound))
    first = repaired(project)
    mended = path.read_bytes()
    put(path, shuffled(change(loaded(path), "volume", 3, Decimal("7.5"))))
    changed = snapshot(project)
    second = repaired(project)
    assert first.undo
    assert second.undo
    with pytest.raises(InputError, match=r"no repair .* Did you mean"):
        data.undo(first.undo[:-1], project)
    with pytest.raises(DataError, match="was changed since: undo what changed it first"):
        data.undo(first.undo, project)
    data.undo(second.undo, project)
    assert snapshot(project) == changed
    (kept,) = (project.catalog / ".undo" / first.undo).rglob("*.parquet")
    content = kept.read_bytes()
    with pytest.raises(DataError, match="was changed since"):
        data.undo(first.undo, project)
    path.write_bytes(mended)
    kept.write_bytes(content[:-1])
    with pytest.raises(DataError, match="which the undo needs, was changed"):
        data.undo(first.undo, project)
    kept.unlink()
    with pytest.raises(DataError, match="which the undo needs, is missing"):
        data.undo(first.undo, project)
    assert [run.id for run in data.repairs(project)] == [first.undo]


def test_cancelling_keeps_the_steps_made(project: Project) -> None:
    know(project)
    paths = []
    for number in range(2):
        identity = f"{PERP}-{number + 1}-MINUTE-LAST-EXTERNAL"
        where = dataset(project, identity=identity)
        paths.append(store(where, bars(times(50, step=(number + 1) * MINUTE), identity)))
        put(paths[-1], shuffled(loaded(paths[-1])))
    before = snapshot(project)
    with pytest.raises(Cancelled, match=r"undo what was repaired: .* --undo (\S+)") as error:
        # True from the moment the first file has been replaced.
        content = paths[0].read_bytes()
        repaired(project, should_stop=lambda: paths[0].read_bytes() != content)
    assert len(data.repairs(project)) == 1
    data.undo(str(error.value).rpartition(" ")[2], project)
    assert snapshot(project) == before


@pytest.mark.parametrize("width", [16, 8])
def test_catalogs_of_1x_are_converted(project: Project, width: int) -> None:
    damage.legacy_instrument(project)
    made = {kind: make(times(100, step=MINUTE)) for kind, make in MADE.items()}
    made["order_book_deltas"] = deltas(times(100))
    span = file_name((START, START + 99 * MINUTE))
    for kind, rows in made.items():
        name = "part-0.parquet" if kind == "quotes" else span
        damage.legacy_file(project, kind, rows, name, width)
    before = snapshot(project)
    report = repaired(project)
    assert report.findings == []
    assert actions(report) == ["migrate"] * 5
    for kind, rows in made.items():
        identity = BARS if kind == "bars" else PERP
        (file,) = dataset(project, kind, identity).files()
        assert file.path.name == span
        assert file.precisions == (1, 3)
        assert rows_hash(stored(project, kind, identity)) == rows_hash(rows), kind
        assert stored(project, kind, identity)["ts_init"].equals(rows["ts_init"])
    assert not (project.catalog / "data" / "bar").exists()
    read = (
        "import sys; from nautilus_trader.persistence import ParquetDataCatalog as C\n"
        "catalog = C(sys.argv[1])\n"
        "print(len(catalog.query_bars([sys.argv[2]])), catalog.instruments()[0].price_increment)"
    )
    assert damage.in_process(read, project.catalog, BARS) == "100 0.5"
    undone(project, report, before)


def test_what_of_1x_cannot_be_converted_is_said(project: Project) -> None:
    know(project)
    span = file_name((START, START + 99 * MINUTE))
    path = damage.legacy_file(project, "bars", bars(times(100)), span)
    rows = loaded(path)
    old = rows.set_column(0, "open", pa.array(np.arange(100)))  # older still: plain integers
    pq.write_table(old.replace_schema_metadata(rows.schema.metadata), path)
    damage.legacy_instrument(project, price_precision=None)
    before = snapshot(project)
    report = repaired(project)
    assert codes(report, "error") == {"failed", "legacy"}
    assert "transcoder is registered" in one(report, "failed").message
    assert actions(report) == ["quarantine"]  # the instrument: beside it the engine reads none
    assert snapshot(project).keys() > {str(path.relative_to(project.catalog))}
    undone(project, report, before)


def test_old_data_is_not_laid_over_new(project: Project) -> None:
    clean(project)
    span = file_name((START, START + 99 * MINUTE))
    damage.legacy_file(project, "bars", bars(times(100)), span)
    before = snapshot(project)
    report = repaired(project)
    assert "has data of 2024-01-02T00:00:00Z to 2024-01-02T01:39:00Z already" in (
        one(report, "failed").message
    )
    assert snapshot(project) == before


def test_an_instrument_that_cannot_be_read_is_put_aside(project: Project) -> None:
    clean(project)
    (path,) = (project.catalog / "data" / "crypto_perpetual").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:100])
    before = snapshot(project)
    report = repaired(project)
    assert actions(report) == ["quarantine"]
    assert codes(report) == {"instrument-missing"}
    assert codes(report, "info") == {"quarantine"}
    undone(project, report, before)


CALLS = ("rename", "replace", "link", "unlink", "fsync", "mkdir", "rmdir")


def killed(work: Callable[[], Any], call: int, calls: tuple[str, ...] = CALLS) -> bool:
    """Do some work in a forked process, killed at the given one of the calls that change the disk.

    Returns whether it came to that.
    """
    _, status = os.waitpid(forked(work, call, calls), 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def forked(work: Callable[[], Any], call: int = 0, calls: tuple[str, ...] = ()) -> int:
    child = os.fork()
    if child:
        return child
    try:
        for name in calls:
            monkey(name, call)
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


COUNT = {"calls": 0}


def monkey(name: str, last: int) -> None:
    call = getattr(os, name)

    def counted(*arguments: Any, **options: Any) -> Any:
        COUNT["calls"] += 1
        if COUNT["calls"] == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)

    setattr(os, name, counted)


def damaged(project: Project) -> None:
    """Make a catalog that needs a repair of every kind."""
    know(project)
    where = dataset(project)
    for first in range(0, 500, 100):
        interval = START + first * MINUTE, START + (first + 100) * MINUTE - 1
        store(where, part(first, first + 100), interval)
    one_, two, three, *_ = sorted(where.folder.glob("*.parquet"))
    put(one_, shuffled(loaded(one_)))
    put(two, again(loaded(two), 5))
    put(
        where.folder / file_name((START + 250 * MINUTE, START + 300 * MINUTE - 1)),
        part(250, 300).replace_schema_metadata(loaded(three).schema.metadata),
    )
    (where.folder / f".{one_.name}.x.tmp").write_bytes(b"half")
    path = store(dataset(project, "trades", PERP), trades(times(50, step=10**9)))
    path.write_bytes(path.read_bytes()[:-9])


CALLS = ("rename", "replace", "link", "unlink", "fsync", "mkdir", "rmdir")


def moments(request: pytest.FixtureRequest, last: int, few: int) -> list[int]:
    if request.config.getoption("--drills"):
        return list(range(1, last + 1))
    return sorted(random.Random(7).sample(range(1, last + 1), few))


@pytest.mark.slow
def test_repairs_killed_at_any_moment(project: Project, request: pytest.FixtureRequest) -> None:
    damaged(project)
    before = snapshot(project)
    whole = repaired(project, consolidate=True)
    assert codes(whole) == set()
    after = snapshot(project)
    content = stored(project)
    assert whole.undo
    data.undo(whole.undo, project)
    assert snapshot(project) == before
    kills = 0
    for call in moments(request, 140, 14):
        kills += killed(lambda: repaired(project, consolidate=True), call)
        # Whatever it was at, no reader finds a wrong row: fewer, or those there were.
        report = repaired(project, consolidate=True)
        assert codes(report, "error") == set()
        assert snapshot(project).keys() == after.keys(), call
        assert stored(project).equals(content)
        for run in data.repairs(project):
            data.undo(run.id, project)
        assert snapshot(project) == before, call
    assert kills > 6


@pytest.mark.slow
def test_undoing_killed_at_any_moment(project: Project, request: pytest.FixtureRequest) -> None:
    damaged(project)
    before = snapshot(project)
    kills = 0
    for call in moments(request, 60, 8):
        repaired(project, consolidate=True)
        (run,) = data.repairs(project)
        dead = killed(lambda name=run.id: data.undo(name, project), call)
        kills += dead
        if dead and any(run.cut_off for run in data.repairs(project)):
            assert "unfinished" in codes(data.diagnose((), project))
        try:
            with pytest.raises(InputError):
                data.undo("none", project)  # finishes what was cut off, whatever it is asked
            for run in data.repairs(project):
                data.undo(run.id, project)
        finally:
            assert snapshot(project) == before, call
    assert kills > 1


def test_several_doctors_at_once(project: Project) -> None:
    damaged(project)
    before = snapshot(project)
    whole = repaired(project, consolidate=True)
    after = snapshot(project)
    undone(project, whole, before)
    children = [forked(lambda: repaired(project, consolidate=True)) for _ in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert snapshot(project) == after
    for run in data.repairs(project):
        data.undo(run.id, project)
    assert snapshot(project) == before


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_a_fetch_finishes_a_repair_that_was_cut_off(project: Project, moved: int) -> None:
    study = in_parts(project, 2005, 2006, 2007)
    digest, before = data.digest(study, project), snapshot(project)
    # Three files leave by a rename; the one that comes, by a replacement.
    dead = killed(lambda: repaired(project, consolidate=True), moved + 1, ("rename",))
    assert dead == (moved < 3)
    if moved == 3:
        assert data.digest(study, project) == digest
        return
    left = len(list(dataset(project, identity=AAPL).folder.glob("*.parquet")))
    assert left == 3 - moved
    assert codes(data.diagnose((), project), "error") == {"unfinished"}
    if moved:
        with pytest.raises(StudyError, match="not in the catalog"):
            data.inputs(study, project)
    else:
        assert data.digest(study, project) == digest
        repaired(project)
    assert data.fetch(study, project).requests == 0
    assert data.digest(study, project) == digest
    assert len(Dataset(project, "bars", AAPL).files()) == 1
    (run,) = data.repairs(project)
    data.undo(run.id, project)
    assert snapshot(project) == before


@pytest.mark.slow
def test_random_damage_never_costs_a_good_row(
    project: Project, request: pytest.FixtureRequest
) -> None:
    rounds = 100 if request.config.getoption("--drills") else 6
    for seed in range(rounds):
        root = project.root / f"p{seed}"
        (root / ".gateway").mkdir(parents=True)
        _random_damage(Project(root), random.Random(seed))


def _random_damage(project: Project, rng: random.Random) -> None:
    kind = rng.choice(["bars", "trades", "quotes"])
    identity = BARS if kind == "bars" else PERP
    know(project)
    where, everything = dataset(project, kind, identity), MADE[kind](times(600))
    for first in range(0, 600, 100):
        interval = START + first * MINUTE, START + (first + 100) * MINUTE - 1
        store(where, everything.slice(first, 100), interval)
    lost: set[int] = set()
    paths = sorted(where.folder.glob("*.parquet"))
    for number in rng.sample(range(6), 3):
        path = paths[number]
        rows = loaded(path)
        match rng.choice(["shuffle", "twice", "cut", "flip", "overlap", "rename"]):
            case "shuffle":
                put(path, shuffled(rows))
            case "twice":
                put(path, again(rows, *rng.sample(range(100), 5)), rehash=rng.random() < 0.5)
            case "cut":
                path.write_bytes(path.read_bytes()[: -rng.randrange(1, 500)])
                lost.add(number)
            case "flip":
                content = bytearray(path.read_bytes())
                content[300 + rng.randrange(500)] ^= 1 << rng.randrange(8)
                path.write_bytes(content)
                lost.add(number)
            case "overlap":
                half = rows.slice(0, 50)
                first = START + number * 100 * MINUTE
                put(path.with_name(file_name((first, first + 50 * MINUTE - 1))), half)
            case "rename":
                path.rename(path.with_name(f"odd{number}.parquet"))
    before = snapshot(project)
    report = repaired(project, consolidate=rng.random() < 0.5)
    found = stored(project, kind, identity)
    good = pa.concat_tables(
        everything.slice(100 * n, 100).replace_schema_metadata(None)
        for n in range(6)
        if n not in lost
    )
    if found.num_rows > good.num_rows:  # a bit nobody needs was flipped: the rows are sound
        flipped = [n for n in lost if _holds(found, everything.slice(100 * n, 100))]
        good = pa.concat_tables(
            everything.slice(100 * n, 100).replace_schema_metadata(None)
            for n in range(6)
            if n not in lost or n in flipped
        )
    assert rows_hash(found) == rows_hash(good)
    assert codes(report, "error") == set()
    assert report.undo
    undone(project, report, before)


def _holds(rows: pa.Table, some: pa.Table) -> bool:
    first = some["ts_init"][0]
    at = rows["ts_init"].index(first).as_py()
    return at >= 0 and rows_hash(rows.slice(at, some.num_rows)) == rows_hash(some)


def command(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", "data", "doctor", *arguments],
        cwd=project.root,
        capture_output=True,
        text=True,
        env={**os.environ},
    )


def test_the_command(project: Project) -> None:
    path = clean(project)
    put(path, shuffled(loaded(path)))
    before = snapshot(project)
    looked = command(project, "--json")
    assert looked.returncode == 1
    found = json.loads(looked.stdout)
    assert set(found) == {"findings", "datasets", "files", "rows", "repaired", "undo"}
    assert [each["code"] for each in found["findings"]] == ["unsorted", "calendar"]
    assert found["findings"][0]["repair"] == "sorted by time; rows of one moment keep their order"
    assert (found["rows"], found["repaired"], found["undo"]) == (300, [], None)
    assert snapshot(project) == before

    mended = command(project, "--repair", "--json", BARS)
    assert mended.returncode == 0, mended.stderr
    done = json.loads(mended.stdout)
    assert done["findings"] == []
    (repair,) = done["repaired"]
    assert repair["hash_before"] == repair["hash_after"]
    assert (repair["rows_before"], repair["rows_after"]) == (300, 300)

    listed = json.loads(command(project, "--undo", "--json").stdout)
    assert [each["id"] for each in listed["repairs"]] == [done["undo"]]
    back = command(project, "--undo", done["undo"])
    assert (back.returncode, back.stdout) == (0, f"undone: sort {path.relative_to(project.root)}\n")
    assert snapshot(project) == before
    text = command(project)
    assert text.returncode == 1
    assert "1 dataset, 1 file, 300 rows: 1 error, 1 note\n" in text.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no dataset 'nothing' in the catalog"),
        (["--undo", "x"], "no repair 'x' to undo"),
        (["--undo", "x", "--repair"], "--undo takes an id"),
        (["--calendar", "X"], "write VENUE=NAME"),
        (["--calendar", "X=Y"], "no calendar 'Y' for X"),
        (["--spikes", "-1"], "Invalid value for '--spikes'"),
    ],
)
def test_bad_usage(project: Project, arguments: list[str], message: str) -> None:
    clean(project)
    process = command(project, *arguments)
    assert process.returncode == 2
    assert message in process.stderr
    assert "Traceback" not in process.stderr
