"""The picture of the cache: what it shows is what the files say."""

import dataclasses
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.market import DAY, HOUR, MINUTE, ns, walk, write
from tests.data.support import SAMPLE, study_of
from workbench import data
from workbench.cli.pictures import timeline
from workbench.core.errors import Cancelled, StudyError
from workbench.data import coverage
from workbench.data.catalog import Dataset
from workbench.data.coverage import Coverage, Covered, covered
from workbench.data.coverage_chart import CoverageMap, _joined, _Spans
from workbench.data.intervals import BEGINNING, END, file_name

START = ns("2024-01-02 00:00:00")
MINUTES = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"


def minutes(first, last, project, **more):
    """Write bars that close at these minutes of the second of January 2024."""
    ts = START + MINUTE * np.arange(first, last + 1)
    return write(project, "bars", MINUTES, ts, **more)


def boxes(picture, layer, span=None):
    """Return dataset, first, last and words of each box of a layer."""
    columns = picture.look(span).layers[layer]
    names = ("dataset", "first", "last", "what")
    return list(zip(*(columns[name].tolist() for name in names), strict=True))


def test_spans_gaps_and_rows(project):
    minutes(1, 100, project)
    minutes(161, 200, project, interval=(START + 100 * MINUTE + 1, START + 200 * MINUTE))
    minutes(401, 450, project, interval=(START + 400 * MINUTE, START + 450 * MINUTE))
    picture = data.coverage_map(project=project)
    (found,) = picture.coverage.datasets
    assert (found.key, found.provider, found.rows) == (f"bars/{MINUTES}", "file", 190)
    assert found.spans == [(START + MINUTE, START + 200 * MINUTE),
                           (START + 400 * MINUTE, START + 450 * MINUTE)]  # fmt: skip
    # Between files that touch there is a gap; where no file is, there is nothing to have gaps.
    assert found.gaps.tolist() == [[START + 100 * MINUTE, START + 161 * MINUTE]]
    covered_boxes = boxes(picture, "covered")
    assert [words for *_, words in covered_boxes] == [
        f"{rows} rows in {file.path.name}"
        for rows, file in zip((100, 40, 50), found.files, strict=True)
    ]
    # A bar's time is its close: what is missing ends where the next bar begins.
    assert boxes(picture, "gaps") == [
        ("BTCUSDT.BINANCE 1-MINUTE-LAST", START + 100 * MINUTE, START + 160 * MINUTE,
         "a gap of 1 hour"),
    ]  # fmt: skip


def test_nights_and_weekends_are_no_gaps(project):
    days = ns("2024-01-02 21:00:00") + DAY * np.array([0, 1, 2, 3, 6, 7, 8, 9, 10, 14, 20])
    write(project, "bars", "AAPL.XNAS-1-DAY-LAST-EXTERNAL", days)
    (found,) = covered(project=project).datasets
    # To the 16th: Monday the 15th is Martin Luther King's. To the 22nd: two sessions are missing.
    assert found.calendar == "XNAS"
    assert found.gaps.tolist() == [[ns("2024-01-16 21:00:00"), ns("2024-01-22 21:00:00")]]


def test_without_a_calendar_no_gaps_are_told(project):
    write(project, "bars", "ODD.NOWHERE-1-MINUTE-LAST-EXTERNAL", START + HOUR * np.arange(1, 5))
    (found,) = covered(project=project).datasets
    assert found.calendar is None
    assert len(found.gaps) == 0
    assert found.to_dict(project)["calendar"] is None


def test_files_that_cannot_be_used(project):
    for first in (1, 5_001, 10_001, 15_001):
        minutes(first, first + 4_999, project, prices=walk(5_000))
    short, flipped, overlapped, _ = sorted(Dataset(project, "bars", MINUTES).folder.iterdir())
    footer = pq.read_metadata(flipped).row_group(0)
    columns = [footer.column(number) for number in range(footer.num_columns)]
    times = next(each for each in columns if each.path_in_schema == "ts_init")
    content = bytearray(flipped.read_bytes())
    content[times.data_page_offset + times.total_compressed_size // 2] ^= 0xFF
    flipped.write_bytes(content)
    copy = overlapped.with_name(file_name((START + 11_000 * MINUTE, START + 12_000 * MINUTE)))
    copy.write_bytes(overlapped.read_bytes())
    short.write_bytes(b"PAR1")
    stranger = short.with_name("notes.parquet")
    stranger.write_bytes(b"PAR1")
    picture = data.coverage_map(project=project)
    (found,) = picture.coverage.datasets
    assert found.rows == 10_000
    reasons = {file.path.name: file.broken for file in found.broken}
    assert set(reasons) == {each.name for each in (short, flipped, copy, stranger)}
    assert "not a whole Parquet file" in reasons[short.name]
    assert "cannot be read" in reasons[flipped.name]
    assert reasons[copy.name] == f"overlaps {overlapped.name}"
    assert len(boxes(picture, "broken")) == 4
    assert {each["path"] for each in picture.to_dict()["broken"]} == {
        project.relative(short.with_name(name)) for name in reasons
    }
    picture.draw()


def test_only_broken_files(project):
    path = minutes(1, 100, project).path
    path.write_bytes(b"")
    picture = data.coverage_map(project=project)
    (found,) = picture.coverage.datasets
    assert (found.rows, found.start, len(found.broken)) == (0, None, 1)
    assert boxes(picture, "broken")[0][1:3] == (START + MINUTE, START + 100 * MINUTE)
    picture.draw()


def test_rows_of_two_providers_are_two_rows(project):
    minutes(1, 10, project, provider="binance")
    minutes(21, 30, project, provider="")
    found = covered(project=project).datasets
    assert [(each.key, each.provider, each.rows) for each in found] == [
        (f"bars/{MINUTES}", "", 10),
        (f"bars/{MINUTES}", "binance", 10),
    ]


def test_what_a_study_wants_and_the_catalog_lacks(project):
    data.fetch(study_of(SAMPLE), project)
    wider = study_of(SAMPLE | {"start": "2004-01-01", "end": "2011-12-31"},
                     SAMPLE | {"instrument": "MSFT.XNAS"})  # fmt: skip
    picture = data.coverage_map(wider, project)
    apple, microsoft = picture.coverage.datasets
    assert apple.missing == (
        (ns("2004-01-01 00:00:00"), ns("2005-01-01 00:00:00") - 1),
        (ns("2011-01-01 00:00:00"), ns("2012-01-01 00:00:00") - 1),
    )
    assert (microsoft.name, microsoft.files) == ("MSFT.XNAS 1-DAY-LAST", ())
    assert [words for *_, words in boxes(picture, "missing")] == ["wanted by the study"] * 3
    assert data.coverage_map(study_of(SAMPLE), project).coverage.datasets[0].missing == ()
    assert picture.look().span[0] < apple.missing[0][0]
    picture.draw()


def test_a_study_whose_data_came_from_elsewhere_is_refused(project):
    days = ns("2005-01-03 21:00:00") + DAY * np.arange(5)
    write(project, "bars", "AAPL.XNAS-1-DAY-LAST-EXTERNAL", days, provider="file")
    with pytest.raises(StudyError, match="came from the provider 'file'"):
        data.coverage_map(study_of(SAMPLE), project)


def test_open_ends_reach_as_far_as_anything_does():
    known = Covered("bars", MINUTES, "binance", gaps=coverage.NO_GAPS,
                    missing=((BEGINNING, START), (START + DAY, END)))  # fmt: skip
    first, last = CoverageMap(Coverage(None, (known,))).span
    assert first < START
    assert last > START + 365 * DAY


def test_a_file_is_read_once(project, monkeypatch):
    minutes(1, 100, project)
    read = []
    rows = coverage.read_rows
    monkeypatch.setattr(
        coverage, "read_rows", lambda files, **more: read.append(files) or rows(files, **more)
    )
    for _ in range(3):
        covered(project=project)
    assert len(read) == 1
    minutes(101, 200, project)
    (found,) = covered(project=project).datasets
    assert found.end == START + 200 * MINUTE
    assert len(read) == 3


def test_progress_and_stop(project):
    minutes(1, 10, project)
    told = []
    covered(project=project, on_progress=told.append)
    assert "BTCUSDT.BINANCE 1-MINUTE-LAST" in told[0].task
    with pytest.raises(Cancelled):
        covered(project=project, should_stop=lambda: True)


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)), min_size=1, max_size=300),
    st.sampled_from(["covered", "gaps", "missing"]),
    st.integers(5, 500),
)
def test_what_is_joined_is_neither_lost_nor_moved(parts, kind, cells):
    steps = np.cumsum([each for part in parts for each in part])
    starts, ends = steps[::2], steps[1::2]
    weights = (ends - starts).astype(float)
    spans = _Spans(starts, ends, weights, ["?"] * len(starts))
    visible = int(starts[0]), int(ends[-1]) + 1
    cell = max((visible[1] - visible[0]) // cells, 1)
    found = _joined(kind, spans, visible, cells)
    # At most one box a cell, and one for each span wide enough to be seen.
    assert sum(len(each[0]) for each in found.values()) <= 2 * cells + 2
    boxes_of = [(int(s), int(e)) for each in found.values()
                for s, e in zip(each[0], each[1], strict=True)]  # fmt: skip
    for start, end in zip(starts, ends, strict=True):
        assert any(first <= start and end <= last for first, last in boxes_of)
    for first, last in boxes_of:
        assert first in starts
        assert last in ends
        inside = (starts >= first) & (ends <= last)
        assert last - first < 3 * cell + 1 or inside.sum() == 1


def test_short_gaps_are_ticks_until_one_comes_near(project):
    ts = START + MINUTE * np.arange(1, 60 * 24 * 60)
    write(project, "bars", MINUTES, np.delete(ts, [5_000, 5_001, 40_000]), prices=None)
    picture = data.coverage_map(project=project)
    ticks = boxes(picture, "ticks")
    assert [words for *_, words in ticks] == ["a gap of 2 minutes", "a gap of 1 minute"]
    assert boxes(picture, "gaps") == []
    near = START + 4_990 * MINUTE, START + 5_010 * MINUTE
    assert len(boxes(picture, "gaps", near)) == 1
    assert boxes(picture, "ticks", near) == []


def many(count, days):
    """Make up the coverage of many datasets, each over so many days with many gaps."""
    random = np.random.default_rng(4)
    found = []
    for number in range(count):
        first = START + int(random.integers(0, days)) * DAY
        gaps = first + np.sort(random.choice(days * 1440, 1_400, replace=False)) * MINUTE
        (file,) = [dataclasses.replace(FILE, interval=(first, first + days * DAY), rows=days)]
        identity = f"SYM{number:03d}.XNAS-1-MINUTE-LAST-EXTERNAL"
        found.append(Covered("bars", identity, "databento", (file,), start=first,
                             end=first + days * DAY, calendar="XNAS",
                             gaps=np.column_stack([gaps[::2], gaps[1::2]])))  # fmt: skip
    return CoverageMap(Coverage(None, tuple(found)))


FILE = coverage.CatalogFile(coverage.Path("some.parquet"), (0, 1))


@pytest.mark.parametrize(("count", "days"), [(1, 1), (200, 7_300)])
def test_one_and_two_hundred_datasets(count, days, tmp_path):
    picture = many(count, days)
    view = picture.look()
    total = sum(len(columns["left"]) for columns in view.layers.values())
    assert total < 50_000
    drawn = picture.draw()
    figure = drawn.figures[0]
    assert len(figure.yaxis[0].ticker.ticks) == count
    assert len(figure.xaxis) == (1 if count == 1 else 2)
    assert f"{count} dataset" in figure.title.text
    if count == 1:
        assert picture.save(tmp_path / "map.svg").read_text().startswith("<?xml")
    # The row of the page is the dataset of the list.
    labels = figure.yaxis[0].major_label_overrides
    for place, dataset in ((count - 1, picture.coverage.datasets[0]),
                           (0, picture.coverage.datasets[-1])):  # fmt: skip
        assert picture.at(place + 0.4) is dataset
        assert labels[place].startswith(dataset.name)
    assert picture.at(-1) is None
    assert picture.at(count) is None


def test_what_hides_behind_colour_differs_in_pattern(project):
    minutes(1, 100, project)
    minutes(401, 450, project, interval=(START + 100 * MINUTE + 1, START + 450 * MINUTE))
    path = minutes(501, 600, project).path
    path.write_bytes(b"PAR1")
    figure = data.coverage_map(project=project).draw().figures[0]
    looks = {}
    for renderer in figure.renderers:
        glyph = renderer.glyph
        looks[renderer.name] = (str(glyph.hatch_pattern), str(glyph.line_dash))
    assert set(looks) == {"covered", "gaps", "ticks", "broken"}
    assert len({looks[name] for name in ("covered", "gaps", "broken")}) == 3
    items = {item.label.value for item in figure.legend[0].items}
    assert items == {"Covered", "Gap", "Short gaps", "Broken file"}


def test_an_empty_catalog_says_what_to_do(project, workbench, tmp_path):
    picture = data.coverage_map(project=project)
    assert picture.to_dict() == {"datasets": [], "broken": []}
    assert "workbench data fetch" in picture.save(tmp_path / "map.svg").read_text()
    answer = workbench("data", "coverage")
    assert answer.code == 0
    assert "workbench data fetch" in answer.out


def test_the_command(project, workbench):
    data.fetch(study_of(SAMPLE), project)
    (project.root / "wide.yaml").write_text(STUDY)
    answer = workbench("data", "coverage", "wide.yaml", "--save", "map.html")
    assert answer.code == 0
    line = next(line for line in answer.out.splitlines() if line.startswith("AAPL.XNAS"))
    assert re.search(r"sample +·?░+█+░+·? +1,511 +0$", line)
    assert "Covered" in (project.root / "map.html").read_text()
    found = workbench("data", "coverage", "wide.yaml", "--json").json
    (dataset,) = found["datasets"]
    assert dataset["rows"] == 1_511
    assert dataset["covered"] == [["2005-01-01T00:00:00Z", "2010-12-31T23:59:59.999999999Z"]]
    assert dataset["missing"][0] == ["2004-01-01T00:00:00Z", "2004-12-31T23:59:59.999999999Z"]
    assert workbench("data", "coverage", "none.yaml").code == 2
    assert workbench("data", "coverage", "--save", "map.txt").code == 2


STUDY = """\
schema: 1
study: wide
data:
  - {provider: sample, instrument: AAPL.XNAS, bars: 1-DAY-LAST, start: 2004-01-01, end: 2011-12-31}
venues: [{name: XNAS, account: margin, balances: [1000 USD], fees: {maker: 0, taker: 0}}]
strategy: {path: "workbench.strategies.ema_cross:EMACross"}
"""


def test_letters_of_the_timeline(project):
    minutes(1, 100, project)
    minutes(161, 200, project, interval=(START + 100 * MINUTE + 1, START + 200 * MINUTE))
    (found,) = covered(project=project).datasets
    found = dataclasses.replace(found, missing=((START + 300 * MINUTE, START + 400 * MINUTE),))
    whole = START, START + 400 * MINUTE
    assert timeline(found, whole, 8) == "██▒█··░░"
