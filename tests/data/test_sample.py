"""The sample provider, and the verbs on it."""

import subprocess
import sys
from typing import Any

import pytest

from tests.data.conformance import conforms
from tests.data.support import SAMPLE, study_of
from workbench import data
from workbench.core.errors import StudyError
from workbench.core.project import Project
from workbench.data.intervals import iso
from workbench.data.rows import times
from workbench.data.sample import TICKERS, SampleProvider

VENUES = {name: name.rpartition(".")[2] for name in TICKERS}


def sample(**changes: Any) -> Any:
    return study_of({key: v for key, v in {**SAMPLE, **changes}.items() if v is not None})


def test_it_conforms(project: Project) -> None:
    whole = sample(start=None, end=None)
    conforms(SampleProvider(project), whole, sample(instrument="MSFT.XNYS"))


@pytest.mark.parametrize("instrument", TICKERS)
def test_every_share_is_whole_and_in_order(project: Project, instrument: str) -> None:
    study = sample(instrument=instrument, start=None, end=None)
    data.fetch(study, project)
    frame = data.read(study.data[0], project).to_pandas()
    rows = {"AAPL": 3270, "IBM": 3270, "MSFT": 3270, "GOOG": 2148, "FB": 196}
    assert len(frame) == rows[TICKERS[instrument]]
    assert (frame.high >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame.low <= frame[["open", "close"]].min(axis=1)).all()
    assert (frame.low > 0).all()
    assert (frame.volume > 0).all()
    assert frame.ts.is_monotonic_increasing
    local = frame.ts.dt.tz_convert("America/New_York")
    assert set(local.dt.strftime("%H:%M:%S")) == {"16:00:00"}


def test_prices_are_adjusted_and_turnover_is_kept(project: Project) -> None:
    from bokeh_sampledata.stocks import AAPL

    study = sample(start=None, end=None)
    data.fetch(study, project)
    frame = data.read(study.data[0], project).to_pandas()
    assert frame.close.to_numpy() == pytest.approx(AAPL["adj_close"], abs=5.1e-5)
    # Two for one on 2005-02-28: unadjusted, the close falls by half.
    day = AAPL["date"].index("2005-02-28")
    assert AAPL["close"][day] / AAPL["close"][day - 1] < 0.51
    assert 0.97 < frame.close[day] / frame.close[day - 1] < 1.03
    traded = [c * v for c, v in zip(AAPL["close"], AAPL["volume"], strict=True)]
    assert (frame.close * frame.volume).to_numpy() == pytest.approx(traded, rel=1e-4)


def test_only_what_is_missing_is_fetched(project: Project) -> None:
    first = data.fetch(sample(start="2005-01-01", end="2006-12-31"), project)
    assert (first.status, first.requests, first.rows) == ("done", 1, 503)
    wider = sample(start="2003-01-01", end="2008-12-31")
    plan = data.plan(wider, project).to_dict()
    assert plan["requests"] == 2
    assert [(each["start"][:10], each["end"][:10]) for each in plan["missing"]] == [
        ("2003-01-01", "2004-12-31"),
        ("2007-01-01", "2008-12-31"),
    ]
    assert [(each["start"][:10], each["end"][:10]) for each in plan["cached"]] == [
        ("2005-01-01", "2006-12-31")
    ]
    assert plan["cost"] == {"amount": "0", "currency": "USD"}
    second = data.fetch(wider, project)
    assert (second.requests, second.rows) == (2, plan["rows"])
    assert data.fetch(wider, project).to_dict() == {
        "status": "cached", "rows": 0, "requests": 0, "bytes": 0,
        "cost": {"amount": "0", "currency": "USD"}, "error": None, "warnings": [],
    }  # fmt: skip
    assert data.plan(wider, project).complete
    (spec, files) = data.inputs(wider, project)[0]
    assert spec == wider.data[0]
    assert len(files) == 3


def test_the_digest_is_that_of_the_rows_used(project: Project) -> None:
    narrow = sample(start="2005-06-01", end="2006-05-31")
    data.fetch(narrow, project)
    alone = data.digest(narrow, project)
    data.fetch(sample(start="2003-01-01", end="2008-12-31"), project)  # more files about it
    assert data.digest(narrow, project) == alone
    data.fetch(sample(start="2003-01-01", end="2008-12-31"), project, replace=True)  # one file
    assert len(data.inputs(narrow, project)[0][1]) == 1
    assert data.digest(narrow, project) == alone
    ((identity, found),) = alone.items()
    assert identity == "bars/AAPL.XNAS-1-DAY-LAST-EXTERNAL"
    assert found["rows"] == 252
    shorter = data.digest(sample(start="2005-06-02", end="2006-05-31"), project)[identity]
    assert shorter["rows"] == 251
    assert shorter["hash"] != found["hash"]


def test_what_the_provider_does_not_have_is_clipped_and_said(project: Project) -> None:
    study = sample(start="1999-01-01", end="2020-01-01")
    plan = data.plan(study, project)
    assert plan.to_dict()["notes"] == [
        (
            "AAPL.XNAS-1-DAY-LAST-EXTERNAL: there is data from 2000-03-01T21:00:00Z to "
            "2013-03-01T21:00:00Z only"
        )
    ]
    assert data.fetch(study, project).rows == 3270
    # The last session ends before its day does: nothing to speak of.
    assert data.plan(sample(end="2013-03-01"), project).to_dict()["notes"] == []


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"instrument": "APPL.XNAS"}, "instrument", "Did you mean 'AAPL.XNAS'?"),
        ({"instrument": "IBM.XNAS"}, "instrument", "IBM.XNYS"),
        ({"bars": "1-HOUR-LAST"}, "bars", "bars of 1-DAY-LAST, found 1-HOUR-LAST"),
        ({"bars": "1-DAY-BID"}, "bars", "found 1-DAY-BID"),
        ({"bars": None, "ticks": "trades"}, "ticks", "bars of 1-DAY-LAST"),
        ({"start": "2014-01-01", "end": None}, "start", "none of it is in the range"),
        ({"start": None, "end": "1999-01-01"}, "end", "none of it is in the range"),
    ],
)
def test_what_it_cannot_deliver(
    project: Project, changes: dict[str, Any], path: str, words: str
) -> None:
    study = sample(**changes)
    (issue,) = data.check(study, project)
    assert issue.path == f"data.0.{path}"
    assert words in issue.message
    for verb in (data.plan, data.fetch, data.ensure, data.inputs, data.digest):
        with pytest.raises(StudyError) as error:
            verb(study, project)
        assert error.value.issues == (issue,)
    assert not project.catalog.exists()


def test_nothing_cached_is_an_error_that_says_what_to_do(project: Project) -> None:
    for verb in (data.inputs, data.digest):
        with pytest.raises(
            StudyError, match=r"data\.0: not in the catalog: .*workbench data fetch"
        ):
            verb(sample(), project)


def test_ensure_fetches(project: Project) -> None:
    assert data.ensure(sample(), project).rows == 1511
    assert data.ensure(sample(), project).status == "cached"


def test_the_list(project: Project) -> None:
    assert data.list_(project) == {"instruments": [], "datasets": [], "broken": []}
    data.fetch(sample(start="2001-01-01", end="2001-12-31"), project)
    found = data.list_(project)
    assert found["instruments"] == [
        {
            "id": "AAPL.XNAS",
            "type": "equity",
            "currency": "USD",
            "price_precision": 4,
            "size_precision": 0,
        }
    ]
    (dataset,) = found["datasets"]
    assert dataset["bytes"] > 1000
    del dataset["bytes"]
    assert dataset == {
        "kind": "bars",
        "identity": "AAPL.XNAS-1-DAY-LAST-EXTERNAL",
        "provider": "sample",
        "start": "2001-01-02T21:00:00Z",
        "end": "2001-12-31T21:00:00Z",
        "rows": 248,
        "files": 1,
        "gaps": 1,
        "largest_gaps": [["2001-09-10T20:00:00Z", "2001-09-17T20:00:00Z"]],
    }


def test_read_takes_a_range(project: Project) -> None:
    study = sample()
    data.fetch(study, project)
    day = 86_400 * 10**9
    start = study.data[0].start_ns + 10 * day
    table = data.read(study.data[0], project, start, start + 7 * day - 1)
    assert table.column_names == ["ts", "open", "high", "low", "close", "volume"]
    assert [iso(ts)[:10] for ts in times(table["ts"]).tolist()] == [
        f"2005-01-{day}" for day in ("11", "12", "13", "14")
    ]


def test_the_room_is_light_to_import() -> None:
    code = (
        "import sys, workbench.data\n"
        "heavy = {'numpy', 'pyarrow', 'pandas', 'nautilus_trader', 'bokeh'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = (
        "import sys, workbench.data.sample as sample\n"
        "sample._series('AAPL')\n"
        "assert 'pandas' not in sys.modules and 'nautilus_trader' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
