"""The catalog under fire: two processes, kills, a full disk, broken and foreign files."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest

from tests.data.support import BARS, SAMPLE, bar_lines, study_of
from workbench import data
from workbench.core.errors import DataError, Issue, StudyError
from workbench.core.project import Project
from workbench.data import providers
from workbench.data.catalog import Dataset
from workbench.data.intervals import Interval
from workbench.data.provider import Chunk, Item, Request
from workbench.data.sample import SampleProvider

IDENTITY = "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"
AAPL = "AAPL.XNAS-1-DAY-LAST-EXTERNAL"

FETCH = """
import json, sys
from workbench import data, study
from workbench.core.project import Project
{before}
print("ready", flush=True)
sys.stdin.readline()
loaded = study.load("study.yaml", environ={{}})
print(json.dumps(data.fetch(loaded, Project.find(), replace={replace}).to_dict()), flush=True)
"""


def stored_rows(project: Project, identity: str = IDENTITY) -> dict[str, Any]:
    return next(each for each in data.list_(project)["datasets"] if each["identity"] == identity)


def write_study(project: Project, spec: dict[str, Any] = BARS) -> Any:
    study = study_of(spec)
    import json

    (project.root / "study.yaml").write_text(json.dumps(study.to_dict()))
    return study


def fetching(
    project: Project, before: str = "", replace: bool = False, **options: Any
) -> subprocess.Popen[str]:
    """Start a process that fetches ``study.yaml`` when it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH.format(before=before, replace=replace)],
        cwd=project.root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def strays(project: Project) -> list[Path]:
    return [path for path in project.catalog.rglob("*") if ".tmp" in path.name]


def test_two_processes_fetching_the_same_data_fetch_it_once(project: Project, csv: Any) -> None:
    import json

    csv(bar_lines(20_000 // 1440 * 1440))
    study = write_study(project)
    processes = [fetching(project) for _ in range(3)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    results = [json.loads(output) for output, _ in outputs]
    assert sorted(result["requests"] for result in results) == [0, 0, 1]
    assert sorted(result["status"] for result in results) == ["cached", "cached", "done"]
    assert stored_rows(project)["rows"] == 18_720
    assert stored_rows(project)["files"] == 1
    assert data.plan(study, project).complete


# The process stops inside the write, with rows in the temporary file and no fsync yet.
STOP_IN_WRITE = """
import os, signal
import pyarrow.parquet as pq
write = pq.write_table
def stop(*arguments, **options):
    write(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
pq.write_table = stop
"""
# ... and after the old files went, before the new one is in their place.
STOP_BEFORE_RENAME = """
import os, signal
from pathlib import Path
unlink = Path.unlink
def stop(self, *arguments, **options):
    unlink(self, *arguments, **options)
    if self.suffix == ".parquet":
        os.kill(os.getpid(), signal.SIGKILL)
Path.unlink = stop
"""


@pytest.mark.parametrize("where", [STOP_IN_WRITE, STOP_BEFORE_RENAME], ids=["write", "rename"])
def test_a_killed_fetch_leaves_nothing_that_counts(project: Project, csv: Any, where: str) -> None:
    csv(bar_lines(1440))
    study = write_study(project)
    data.fetch(study, project)
    expected = data.digest(study, project)
    if where is STOP_IN_WRITE:
        for file in project.catalog.rglob("*.parquet"):
            file.unlink()
    process = fetching(project, where, replace=where is STOP_BEFORE_RENAME)
    process.communicate("go\n", timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert strays(project), "it was not killed where this test means to"
    assert data.list_(project)["datasets"] == []
    assert data.list_(project)["broken"] == []
    with pytest.raises(StudyError, match="not in the catalog"):
        data.inputs(study, project)
    assert data.fetch(study, project).rows == 1440
    assert data.digest(study, project) == expected
    assert strays(project) == []


@pytest.mark.slow
def test_kills_at_any_moment(project: Project, csv: Any, request: pytest.FixtureRequest) -> None:
    csv(bar_lines(40_000 // 1440 * 1440))
    study = write_study(project)
    data.fetch(study, project)
    expected = data.digest(study, project)
    for number in range(40 if request.config.getoption("--drills") else 5):
        process = fetching(project, replace=True)
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(0.03 * (number % 10 + 1))
        process.kill()
        process.communicate(timeout=60)
        data.ensure(study, project)
        assert data.digest(study, project) == expected
        assert data.list_(project)["broken"] == []


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.parametrize("replace", [False, True])
def test_a_disk_that_fills_in_mid_write(project: Project, csv: Any, replace: bool) -> None:
    csv(bar_lines(5))
    study = write_study(project)
    data.fetch(study, project)
    before = data.digest(study, project)
    if not replace:
        for file in project.catalog.rglob("GBPUSD.SIM-*/*.parquet"):
            file.unlink()
    csv(bar_lines(10_000 // 1440 * 1440))
    process = fetching(project, replace=replace, preexec_fn=limit_files)
    _, error = process.communicate("go\n", timeout=60)
    assert process.returncode == 1
    last = error.strip().splitlines()[-1]
    assert last.startswith("workbench.core.errors.DataError: data/catalog/data/bars/GBPUSD.SIM-1-")
    assert "could not be written: the file may not grow that large" in last
    assert "The catalog is as it was" in last
    assert strays(project) == []
    if replace:
        csv(bar_lines(5))
        assert data.digest(study, project) == before
    else:
        assert data.list_(project)["datasets"] == []
        assert data.fetch(study, project).rows == 8640


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_is_full(project: Project, csv: Any) -> None:
    csv(bar_lines(10_000 // 1440 * 1440))
    study = write_study(project)
    project.catalog.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(project.catalog)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(DataError, match="could not be written: the disk is full"):
            data.fetch(study, project)
        assert strays(project) == []
        assert not list(project.catalog.rglob("*.parquet"))
    finally:
        subprocess.run(["umount", str(project.catalog)], check=True)


def breakages() -> dict[str, Any]:
    return {
        "truncated": lambda content: content[: len(content) // 2],
        "empty": lambda content: b"",
        "garbage": lambda content: b"PAR1" + b"x" * 1000 + b"PAR1",
    }


@pytest.mark.parametrize("how", breakages())
def test_a_broken_file_is_named_and_the_rest_is_usable(
    project: Project, csv: Any, how: str
) -> None:
    csv(bar_lines(100))
    other = study_of(BARS)
    data.fetch(other, project)
    parts = [
        study_of({**SAMPLE, "start": f"{year}-01-01", "end": f"{year}-12-31"})
        for year in (2005, 2006, 2007)
    ]
    for part in parts:
        data.fetch(part, project)
    whole = study_of({**SAMPLE, "start": "2005-01-01", "end": "2007-12-31"})
    expected = data.digest(whole, project)
    path = Dataset(project, "bars", AAPL).files()[1].path
    path.write_bytes(breakages()[how](path.read_bytes()))
    shown = str(path.relative_to(project.root))

    found = data.list_(project)
    assert [each["path"] for each in found["broken"]] == [shown]
    assert stored_rows(project, AAPL)["rows"] == 252 + 251
    for usable in (other, parts[0], parts[2]):
        assert data.inputs(usable, project)
    for needing in (whole, parts[1]):
        with pytest.raises(DataError) as error:
            data.inputs(needing, project)
        assert shown in str(error.value)
    plan = data.plan(whole, project).to_dict()
    assert plan["requests"] == 1
    assert any(shown in note for note in plan["notes"])

    result = data.fetch(whole, project)
    assert result.rows == 251
    assert any(f"{shown} is not a whole Parquet file" in each for each in result.warnings)
    assert data.digest(whole, project) == expected
    assert data.list_(project)["broken"] == []
    assert len(list((project.catalog / "quarantine").rglob("*.parquet"))) == 1


def test_a_broken_file_of_an_import_is_imported_again(project: Project, csv: Any) -> None:
    csv(bar_lines(100))
    study = study_of(BARS)
    data.fetch(study, project)
    expected = data.digest(study, project)
    path = Dataset(project, "bars", IDENTITY).files()[0].path
    path.write_bytes(path.read_bytes()[:100])
    assert data.ensure(study, project).rows == 100
    assert data.digest(study, project) == expected


def test_the_engine_is_kept_from_a_broken_file_beside_good_ones(project: Project) -> None:
    for year in (2005, 2006):
        data.fetch(study_of({**SAMPLE, "start": f"{year}-01-01", "end": f"{year}-12-31"}), project)
    good, bad = (file.path for file in Dataset(project, "bars", AAPL).files())
    bad.write_bytes(bad.read_bytes()[:100])
    code = (
        "import sys; from pathlib import Path; from workbench.engine import catalog\n"
        "from workbench.core.errors import DataError\n"
        "root, identity, good, bad = Path(sys.argv[1]), *sys.argv[2:]\n"
        "assert len(catalog.query('bars', identity, None, None, [good])) == 252\n"
        "try: catalog.query('bars', identity, None, None, [good, bad])\n"
        "except DataError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(project.catalog), AAPL, str(good), str(bad)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(f"{bad}: cannot be read: ")


def test_several_files_are_read_in_order_of_time(project: Project) -> None:
    for year in (2007, 2005, 2006):
        data.fetch(study_of({**SAMPLE, "start": f"{year}-01-01", "end": f"{year}-12-31"}), project)
    study = study_of({**SAMPLE, "start": "2005-06-01", "end": "2007-06-30"})
    ((spec, files),) = data.inputs(study, project)
    assert len(files) == 3
    code = (
        "import sys; from pathlib import Path; from workbench.engine import catalog\n"
        "root, identity, start, end, *files = sys.argv[1:]\n"
        "rows = catalog.query('bars', identity, int(start), int(end), files)\n"
        "times = [row.ts_init for row in rows]\n"
        "assert times == sorted(set(times)); print(len(rows), times[0], times[-1])\n"
    )
    arguments = [project.catalog, spec.identity, spec.start_ns, spec.end_ns, *files]
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    count, first, last = map(int, done.stdout.split())
    assert count == next(iter(data.digest(study, project).values()))["rows"]
    assert count > 500
    assert spec.start_ns <= first < last <= spec.end_ns


def test_rows_of_another_program_are_not_taken_for_ours(project: Project) -> None:
    study = study_of(SAMPLE)
    data.fetch(study, project)
    (file,) = Dataset(project, "bars", AAPL).files()
    table = pq.read_table(file.path)
    metadata = {
        key: value
        for key, value in table.schema.metadata.items()
        if not key.startswith(b"workbench.")
    }
    pq.write_table(table.replace_schema_metadata(metadata), file.path)
    (issue,) = data.check(study, project)
    assert "were written by another program" in issue.message
    assert data.read(study.data[0], project).num_rows == 1511  # looking is free


def test_files_that_overlap_are_refused(project: Project) -> None:
    study = study_of(SAMPLE)
    data.fetch(study, project)
    (file,) = Dataset(project, "bars", AAPL).files()
    twin = file.path.with_name(file.path.name.replace("2010-12-31", "2010-12-30"))
    twin.write_bytes(file.path.read_bytes())
    with pytest.raises(DataError, match="overlap: remove one of them"):
        data.inputs(study, project)


class Paged(SampleProvider):
    """Stands in for a remote provider: months cost money, and its line drops."""

    drops_after: ClassVar[int | None] = None
    asked: ClassVar[int] = 0

    def local(self, item: Item) -> bool:
        return False

    def plan(self, item: Item, missing: Sequence[Interval]) -> Sequence[Request]:
        return [
            Request(each.interval, each.rows, each.bytes, Decimal("0.25"), "USD")
            for each in super().plan(item, missing)
        ]

    def fetch(self, item: Item, request: Request, *rest: Any) -> Iterator[Chunk]:
        first, last = request.interval
        width = (last - first) // 10 + 1
        for start in range(first, last + 1, width):
            if Paged.drops_after is not None and Paged.asked >= Paged.drops_after:
                raise DataError("the line dropped")
            Paged.asked += 1
            page = Request((start, min(start + width - 1, last)))
            yield from super().fetch(item, page, *rest)


@pytest.fixture
def paged(monkeypatch: pytest.MonkeyPatch) -> type[Paged]:
    monkeypatch.setattr(providers, "provider", lambda name, project: Paged(project))
    monkeypatch.setattr(Paged, "asked", 0)
    return Paged


def test_what_arrived_before_the_line_dropped_is_kept(
    project: Project, paged: type[Paged], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(SAMPLE)
    assert data.plan(study, project).to_dict()["cost"] == {"amount": "0.25", "currency": "USD"}
    with pytest.raises(StudyError, match="not in the catalog: 2005-01-01T00:00:00Z to 2010-12-31"):
        data.ensure(study, project)  # a run does not spend money
    monkeypatch.setattr(paged, "drops_after", 4)
    with pytest.raises(DataError, match="the line dropped"):
        data.fetch(study, project)
    assert stored_rows(project, AAPL)["files"] == 4
    monkeypatch.setattr(paged, "drops_after", None)
    missing = data.plan(study, project).rows
    assert missing is not None
    assert 0 < missing < 1511
    assert data.fetch(study, project).rows == missing
    spread = data.digest(study, project)
    monkeypatch.undo()
    data.fetch(study, project, replace=True)
    assert stored_rows(project, AAPL)["files"] == 1
    assert data.digest(study, project) == spread


def test_a_provider_that_comes_back_short_is_an_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short(SampleProvider):
        def fetch(self, item: Item, request: Request, *rest: Any) -> Iterator[Chunk]:
            first, last = request.interval
            yield from super().fetch(item, Request((first, (first + last) // 2)), *rest)

        def check(self, item: Item) -> list[Issue]:
            return []

    monkeypatch.setattr(providers, "provider", lambda name, project: Short(project))
    with pytest.raises(DataError, match=r"'sample' did not deliver AAPL\.XNAS.* of 200"):
        data.fetch(study_of(SAMPLE), project)
