"""Databento when something is wrong: what is asked for, the network, the disk, the process."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.data.databento.dbn_files import DAY, ES, T0
from tests.data.databento.support import (
    BARS,
    BUSY,
    FUTURE,
    THEIRS,
    bars,
    glbx,
    parts,
    price,
    stored,
    trades,
)
from tests.data.support import study_of
from tests.servers.databento import KEY, DatabentoServer, Refused
from tests.servers.faults import QUICK, Fault
from workbench import data
from workbench.core.errors import Cancelled, DataError, InputError, StudyError
from workbench.core.project import Project
from workbench.data import databento_client
from workbench.data.catalog import Dataset
from workbench.data.databento import DatabentoProvider
from workbench.data.provider import Item
from workbench.study import Study


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"bars": "5-MINUTE-LAST"},
            "bars: Databento has no bars of 5-MINUTE-LAST. It has 1-SECOND",
        ),
        ({"bars": "1-MINUTE-BID"}, "bars: Databento has no bars of 1-MINUTE-BID"),
        (
            {"schema": "trades"},
            "schema: 'trades' holds no bars of 1-MINUTE-LAST. Allowed: ohlcv-1m",
        ),
        ({"dataset": None}, "dataset: say in which of Databento's datasets it is, such as"),
        ({"start": None}, "start: say where the data are to start: a download is paid for by"),
        ({"end": None}, "end: say where the data are to end"),
        ({"symbol": "ES.c.0"}, "symbol: 'ES.c.0' is a continuous contract: add 'symbology: conti"),
        ({"symbol": "ES.FUT"}, "symbol: 'ES.FUT' stands for many instruments: a dataset is of one"),
        ({"symbol": "ALL_SYMBOLS"}, "symbol: 'ALL_SYMBOLS' stands for many instruments"),
        ({"symbology": "continuous"}, "instrument: 'ESU4' is no continuous contract: ROOT.RULE"),
        ({"symbology": "instrument_id"}, "instrument: with 'symbology: instrument_id' the symbol"),
    ],
)
def test_contradictions_are_found_without_a_connection(
    project: Project, more: dict[str, Any], said: str
) -> None:
    found = DatabentoProvider(project).check(Item(bars(**more), 0))
    assert any(
        f"{issue.path.removeprefix('data.0.')}: {issue.message}".startswith(said) for issue in found
    )


@pytest.mark.parametrize(
    ("wanted", "schema", "allowed"),
    [
        ({"ticks": "quotes"}, "trades", "mbp-1, tbbo, bbo-1s, bbo-1m, cmbp-1, cbbo-1s, cbbo-1m"),
        ({"ticks": "trades"}, "mbp-1", "trades, tbbo"),
        ({"book": "deltas"}, "mbp-10", "mbo"),
        ({"book": "depths"}, "mbo", "mbp-10"),
    ],
)
def test_schemas_that_hold_something_else(
    project: Project, wanted: dict[str, Any], schema: str, allowed: str
) -> None:
    content = {k: v for k, v in BARS.items() if k != "bars"} | wanted | {"schema": schema}
    (found,) = DatabentoProvider(project).check(Item(study_of(content), 0))
    assert found.path == "data.0.schema"
    assert found.message.endswith(f"Allowed: {allowed}")


def refused(project: Project, document: Study) -> str:
    with pytest.raises(StudyError) as caught:
        data.plan(document, project)
    (issue,) = caught.value.issues
    return f"{issue.path.removeprefix('data.0.')}: {issue.message}"


def test_what_databento_does_not_have(project: Project, server: DatabentoServer) -> None:
    assert refused(project, bars(dataset="GLBX.MPD3")) == (
        "dataset: Databento has no dataset 'GLBX.MPD3'. Did you mean 'GLBX.MDP3'? "
        "Allowed: GLBX.MDP3"
    )
    said = refused(project, bars(bars="1-HOUR-LAST"))
    assert said.startswith("bars: GLBX.MDP3 has no schema 'ohlcv-1h'. Did you mean 'ohlcv-1")
    assert refused(project, bars(instrument="ESZ9.GLBX")) == (
        "instrument: Databento knows no raw_symbol 'ESZ9' in GLBX.MDP3 from 2024-07-01 to "
        "2024-07-03. Symbols are those of their time (META was FB before June 2022) and of days of "
        "trading"
    )
    said = refused(project, trades(start="2024-06-20"))
    assert said == (
        "start: there is data from 2024-07-01T00:00:00Z to 2024-07-10T23:59:59.999999999Z, not of "
        "all of 2024-06-20T00:00:00Z to 2024-07-03T23:59:59.999999999Z"
    )
    assert refused(project, trades(end="2031-01-01")).startswith("end: there is data from")
    said = refused(project, trades(start="2031-01-01", end="2031-02-01"))
    assert "none of it" in said
    assert server.count("timeseries") == 0


def test_a_symbol_that_changes_within_the_range(project: Project, server: DatabentoServer) -> None:
    said = refused(project, trades(instrument="META.XNAS", start="2024-07-01", end="2024-07-10"))
    assert said == (
        "start: Databento knows raw_symbol 'META' in GLBX.MDP3 only from 2024-07-08 to 2024-07-10: "
        "ask for that. Symbols are those of their time (META was FB before June 2022) and of days "
        "of trading"
    )


def test_a_range_that_begins_on_a_holiday_is_fine(
    project: Project, server: DatabentoServer
) -> None:
    server.markets["GLBX.MDP3"].raw["ESU4"] = [(118, T0 + 3 * DAY, T0 + 10 * DAY)]
    assert data.plan(trades(start="2024-07-01", end="2024-07-10"), project).rows == 7 * 120


def test_a_weekend_alone_is_empty_and_costs_nothing(
    project: Project, server: DatabentoServer
) -> None:
    """Databento refuses a range in which the symbol is nothing: so it is where nothing trades."""
    spans = [(118, T0, T0 + 5 * DAY), (118, T0 + 7 * DAY, T0 + 10 * DAY)]
    server.markets["GLBX.MDP3"].raw["ESU4"] = spans
    assert data.fetch(trades(start="2024-07-01", end="2024-07-05"), project).rows == 5 * 120
    longer = trades(start="2024-07-01", end="2024-07-07")
    planned = data.plan(longer, project)
    assert (planned.rows, planned.cost) == (0, {})
    asked = server.streams
    assert data.fetch(longer, project).rows == 0
    assert data.plan(longer, project).complete
    assert server.streams == asked
    assert data.fetch(trades(start="2024-07-01", end="2024-07-08"), project).rows == 120


def test_keys_that_do_not_open(
    project: Project, server: DatabentoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = KEY[:-1] + "X"
    monkeypatch.setenv("WORKBENCH_SECRET_DATABENTO_LIVE_API_KEY", wrong)
    with pytest.raises(InputError) as caught:
        data.plan(trades(), project)
    assert str(caught.value) == (
        "Databento does not accept the key (Authentication failed). If it has expired or was "
        "revoked, store the new one: workbench secrets set databento"
    )
    monkeypatch.setenv("WORKBENCH_SECRET_DATABENTO_LIVE_API_KEY", KEY)
    server.forbidden.add("GLBX.MDP3")
    said = refused(project, trades())
    assert said.startswith("dataset: the key may not use GLBX.MDP3")
    assert "A live data license is required" in said
    server.forbidden.clear()
    server.refusal = Refused(402, "account_insufficient_funds", f"No funds for {wrong} {KEY}.")
    with pytest.raises(DataError, match="wants a payment: No funds for") as paid:
        data.plan(trades(), project)
    assert KEY not in str(paid.value)


def test_no_key(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SECRETS_FILE", str(tmp_path / "none.json"))
    with pytest.raises(InputError, match="no api_key stored for databento"):
        data.plan(trades(), project)


def test_nobody_answers(
    project: Project, server: DatabentoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_URL_DATABENTO", "https://127.0.0.1:9")
    with pytest.raises(DataError) as caught:
        data.plan(trades(), project)
    said = "Databento: https://127.0.0.1:9 cannot be reached: [Errno 111] Connection refused"
    assert str(caught.value) == said
    monkeypatch.setenv("WORKBENCH_URL_DATABENTO", server.url)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(DataError, match="could not be trusted"):
        data.plan(trades(), project)


@pytest.mark.parametrize("lost", [1, 240])
def test_a_delivery_that_comes_short(project: Project, server: DatabentoServer, lost: int) -> None:
    server.lost = lost
    with pytest.raises(DataError) as caught:
        data.fetch(trades(), project)
    assert f"delivered {240 - lost} of 240 records of ESU4.GLBX" in str(caught.value)
    assert stored(project, trades())[0] == 0
    server.lost = 0
    assert data.fetch(trades(), project).rows == 240


def test_counts_of_odd_spans_are_no_promise(project: Project, server: DatabentoServer) -> None:
    """Databento says too many where a span is not of whole ten minutes: that is not short."""
    odd = trades(start="2024-07-02T14:00:30", end="2024-07-02T14:01:10")
    planned = data.plan(odd, project)
    assert planned.rows == 120
    assert data.fetch(odd, project).rows == 41


@pytest.mark.parametrize("fault", QUICK)
def test_a_fault_in_passing_is_outlasted(
    project: Project, server: DatabentoServer, reference: Any, fault: Fault
) -> None:
    for path in ("timeseries", "metadata.get_cost", "symbology"):
        server.faults.next(fault, times=2, path=path)
    document = trades()
    assert data.fetch(document, project).rows == 240
    assert stored(project, document) == reference
    assert parts(project) == []


def test_what_arrived_before_a_break_is_not_asked_for_again(
    project: Project, busy: DatabentoServer, busy_reference: Any
) -> None:
    busy.faults.next(Fault.CUT, path="timeseries")
    data.fetch(trades(), project)
    assert stored(project, trades()) == busy_reference
    assert busy.sold["trades"] < 3.3 * BUSY, "the second request was for the rest"


def test_faults_that_do_not_pass(project: Project, server: DatabentoServer) -> None:
    for fault, said in (
        (Fault.UNAVAILABLE, r"has a fault of its own \(503\)"),
        (Fault.TOO_MANY, r"allows no more requests for now \(429\)"),
        (Fault.REFUSED, "the connection failed"),
        (Fault.PORTAL, "did not answer"),
    ):
        server.faults.next(fault, times=6, path="timeseries")
        with pytest.raises(DataError, match=said) as caught:
            data.fetch(trades(), project)
        assert KEY not in str(caught.value)
        server.faults.clear()
    assert data.fetch(trades(), project).rows == 240


def test_the_server_says_how_long_to_wait(project: Project, server: DatabentoServer) -> None:
    server.faults.retry_after = 1
    server.faults.next(Fault.TOO_MANY, path="timeseries")
    start = time.monotonic()
    data.fetch(trades(), project)
    assert time.monotonic() - start > 1
    server.faults.retry_after = 3_600
    server.faults.next(Fault.TOO_MANY, times=9, path="get_record_count")
    start = time.monotonic()
    with pytest.raises(DataError, match="429"):
        data.plan(trades(end="2024-07-09"), project)
    assert time.monotonic() - start < 5, "an hour is not waited for"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        drills = metafunc.config.getoption("--drills")
        metafunc.parametrize("seed", range(200 if drills else 12))


def test_downloads_with_faults_end_complete_or_with_a_reason(
    project: Project,
    server: DatabentoServer,
    reference: Any,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    # Some give up soon: there are errors to see.
    monkeypatch.setattr(databento_client, "PAUSES", (0.0,) * (seed % 4))
    server.faults.__init__(seed, (0.1, 0.3, 0.5)[seed % 3])  # type: ignore[misc]
    errors = 0
    while True:
        try:
            data.fetch(trades(), project)
            break
        except (DataError, StudyError) as error:
            assert str(error)
            errors += 1
            assert errors < 200
        spec = trades().data[0]
        for file in Dataset(project, spec.kind, spec.identity).good():
            assert file.rows == rows_between(file.interval), "a silent gap"
    assert stored(project, trades()) == reference


def rows_between(interval: tuple[int, int]) -> int:
    records = glbx().records["trades"]
    times = records["ts_recv"][records["instrument_id"] == 118]
    return int(((times >= interval[0]) & (times <= interval[1])).sum())


def test_cancelled_while_nothing_comes(project: Project, busy: DatabentoServer) -> None:
    busy.faults.next(Fault.HANG_WITHIN, path="timeseries")
    asked = []

    def stop() -> bool:
        asked.append(time.monotonic())
        return busy.count("timeseries") > 0 and asked[-1] - asked[0] > 0.5

    with pytest.raises(Cancelled):
        data.fetch(trades(), project, should_stop=stop)
    assert asked[-1] - asked[0] < 2
    # Half of it had arrived, and is not paid for again.
    planned = data.plan(trades(), project)
    assert planned.rows is not None
    assert planned.rows < 2.3 * BUSY, "ten minutes may be counted twice"
    assert planned.cost["USD"] < price(1.3 * BUSY)
    assert data.fetch(trades(), project).rows == 2 * BUSY
    assert busy.sold["trades"] < 3.3 * BUSY


def test_too_many_decimals_are_paid_for_once(project: Project, server: DatabentoServer) -> None:
    records = server.markets["GLBX.MDP3"].records["trades"]
    records["price"][records["instrument_id"] == ES] += 5_000_000
    document = trades(start="2024-07-01", end="2024-07-01")
    with pytest.raises(DataError, match="has more decimals than ESU4"):
        data.fetch(document, project)
    assert server.streams == 1
    finer = document.to_dict()["data"][0] | {"definition": FUTURE | {"price_precision": 3}}
    finer = study_of({name: value for name, value in finer.items() if value is not None})
    assert data.plan(finer, project).cost == {}
    assert data.fetch(finer, project).rows == 120
    assert server.streams == 1


def test_no_definition(project: Project, server: DatabentoServer) -> None:
    server.markets["GLBX.MDP3"].definitions.clear()
    with pytest.raises(StudyError, match="Databento has no definition of ESU4 in GLBX"):
        data.fetch(trades(**THEIRS), project)
    assert server.streams == 0


def test_another_venue(project: Project, server: DatabentoServer) -> None:
    with pytest.raises(StudyError, match=r"lists ESU4 on GLBX: call it ESU4\.GLBX or ESU4\.XCME"):
        data.fetch(trades(instrument="ESU4.CME", **THEIRS), project)
    assert server.streams == 0
