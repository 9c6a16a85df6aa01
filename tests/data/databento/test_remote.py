"""Databento through its own client, against a local server: plan, fetch, price, conformance."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import yaml

from tests.data.conformance import conforms
from tests.data.databento.dbn_files import DAY, NQ, T0
from tests.data.databento.support import BARS, THEIRS, bars, stored, trades
from tests.data.support import study_of
from tests.servers.databento import KEY, DatabentoServer
from workbench import data
from workbench.core.errors import StudyError
from workbench.core.project import Project
from workbench.data.databento import DatabentoProvider
from workbench.engine.catalog import definitions


def test_a_plan_tells_the_price_and_fetches_nothing(
    project: Project, server: DatabentoServer
) -> None:
    found = data.plan(trades(**THEIRS), project).to_dict()
    assert (found["requests"], found["rows"], found["bytes"]) == (1, 240, 240 * 48)
    # The instrument's definition, seven days of it, is part of the price.
    price = Decimal(str(round(240 * 48 * 0.5 / 2**30, 12)))
    price += Decimal(str(round(3 * 520 * 0.5 / 2**30, 12)))
    assert found["cost"] == {"amount": f"{price:f}", "currency": "USD"}
    assert server.count("timeseries") == 0
    assert len(server.requests) < 10


def test_a_fetch_then_nothing_more(project: Project, server: DatabentoServer) -> None:
    document = trades(**THEIRS)
    result = data.fetch(document, project)
    assert (result.status, result.rows, result.warnings) == ("done", 240, [])
    assert result.bytes == 240 * 48
    assert server.streams == 1
    known = definitions(project.catalog)["ESU4.GLBX"]
    assert json.loads(known.content)["expiration_ns"] == T0 + 90 * DAY  # type: ignore[union-attr]
    asked = len(server.requests)
    assert data.fetch(document, project).status == "cached"
    assert data.plan(document, project).complete
    assert len(server.requests) == asked, "a second fetch makes no request"


def test_only_what_lacks_is_asked_for(project: Project, server: DatabentoServer) -> None:
    data.fetch(trades(), project)
    result = data.fetch(trades(start="2024-07-01", end="2024-07-05"), project)
    assert (result.rows, result.requests) == (360, 2)
    assert server.sold["trades"] == 600
    assert stored(project, trades())[0] == 600


def test_bars_at_their_close(project: Project, server: DatabentoServer) -> None:
    assert data.fetch(bars(), project).rows == 120
    rows = data.read(bars().data[0], project).to_pandas()
    assert str(rows["ts"].iloc[0]) == "2024-07-02 14:01:00+00:00"
    days = bars(bars="1-DAY-LAST", start="2024-07-01", end="2024-07-05")
    assert data.fetch(days, project).rows == 4, "the bar of 1 July is known on the 2nd"


def test_bars_side_by_side_lack_none(project: Project, server: DatabentoServer) -> None:
    """Spans that begin and end within a bar, within ten minutes, at a bar's end."""
    ends = ["14:07", "14:10", "14:20:30", "14:21", "14:59:59", "15:00"]
    for end in ends:
        data.fetch(bars(start="2024-07-02T14:00", end=f"2024-07-02T{end}"), project)
    whole = Project(project.root / "other")
    whole.gateway.mkdir(parents=True)
    document = bars(start="2024-07-02T14:00", end="2024-07-02T15:00")
    assert data.fetch(document, whole).rows == 60
    assert stored(project, document) == stored(whole, document)


@pytest.mark.parametrize("kind", ["bars", "trades", "quotes"])
def test_conformance(project: Project, server: DatabentoServer, kind: str) -> None:
    wanted = {k: v for k, v in BARS.items() if k not in ("start", "end")}
    wanted |= {"start": "2024-07-01", "end": "2024-07-10"}
    if kind != "bars":
        wanted |= {"ticks": kind}
        del wanted["bars"]
    conforms(DatabentoProvider(project), study_of(wanted), bars(bars="5-MINUTE-LAST"))


def test_as_a_user(
    project: Project, server: DatabentoServer, workbench: Callable[..., Any]
) -> None:
    document = bars(start="2024-07-02", end="2024-07-05", **THEIRS).to_dict()
    document["strategy"]["params"] = {"fast": 3, "slow": 8, "trade_size": 1}
    document["venues"][0]["balances"] = ["1000000 USD"]
    (project.root / "study.yaml").write_text(yaml.safe_dump(document))
    refused = workbench("backtest", "run", "study.yaml")
    assert refused.code == 2
    assert "Get it: workbench data fetch STUDY" in refused.err
    assert server.requests == []
    fetched = workbench("data", "fetch", "study.yaml", "--json")
    assert fetched.code == 0, fetched.err
    assert fetched.json["rows"] == 240
    assert Decimal(fetched.json["cost"]["amount"]) > 0
    asked = len(server.requests)
    answer = workbench("backtest", "run", "study.yaml", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["fills"] > 5
    assert len(server.requests) == asked
    for text in (fetched.out, fetched.err, answer.out, answer.err):
        assert KEY not in text


def test_over_budget_nothing_is_fetched(
    project: Project, server: DatabentoServer, workbench: Callable[..., Any]
) -> None:
    server.price = 5_000
    document = trades().to_dict() | {"budget": "0.01 USD"}
    (project.root / "study.yaml").write_text(yaml.safe_dump(document))
    refused = workbench("data", "fetch", "study.yaml")
    assert refused.code == 2
    assert "more than the 0.01 USD they may: nothing was fetched" in refused.err
    assert server.count("timeseries") == 0
    assert workbench("data", "fetch", "study.yaml", "--max-cost", "1").code == 0


def test_a_long_range_is_cut_at_midnight(
    project: Project, server: DatabentoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.data import databento_query

    monkeypatch.setattr(databento_query, "REQUEST_BYTES", 120 * 48)
    document = trades(start="2024-07-01", end="2024-07-10")
    planned = data.plan(document, project)
    requests = planned.datasets[0].requests
    assert len(requests) == 10
    assert [request.rows for request in requests] == [120] * 10
    assert all(request.interval[0] % DAY == 0 for request in requests)
    whole = round(1_200 * 48 * 0.5 / 2**30, 12)
    assert planned.cost["USD"] == pytest.approx(Decimal(str(whole)))
    assert data.fetch(document, project).rows == 1_200
    monkeypatch.setattr(databento_query, "REQUEST_BYTES", 30 * 48)
    again = data.fetch(document, project, replace=True)
    assert again.rows == 1_200
    assert again.requests > 10, "an hour of a day"


def test_days_of_lesser_quality_and_rolls_are_said(
    project: Project, server: DatabentoServer
) -> None:
    server.markets["GLBX.MDP3"].conditions["2024-07-03"] = "degraded"
    server.warn = '["BentoWarning: The request holds days of reduced quality: 2024-07-03"]'
    result = data.fetch(trades(), project)
    assert result.warnings == ["Databento calls its GLBX.MDP3 data of 2024-07-03 degraded"]
    rolling = trades(
        instrument="ES.GLBX", symbol="ES.c.0", symbology="continuous", end="2024-07-09", **THEIRS
    )
    roll = "ES.c.0 rolls on 2024-07-06, from ESU4 to NQU4: its prices jump, they are not adjusted"
    assert f"ES.GLBX: {roll}" in data.plan(rolling, project).to_dict()["notes"]
    result = data.fetch(rolling, project)
    assert result.rows == 8 * 120
    assert result.warnings[-1] == roll
    known = definitions(project.catalog)["ES.GLBX"]
    assert json.loads(known.content)["raw_symbol"] == "NQU4"  # type: ignore[union-attr]


def test_an_instrument_by_its_number(project: Project, server: DatabentoServer) -> None:
    document = trades(instrument="NQU4.XCME", symbol=str(NQ), symbology="instrument_id", **THEIRS)
    assert data.fetch(document, project).rows == 240


def test_other_rows_are_not_mixed(project: Project, server: DatabentoServer) -> None:
    data.fetch(trades(), project)
    with pytest.raises(StudyError, match=r"other settings \(symbol ESU4\)"):
        data.plan(trades(symbol="NQU4"), project)
    with pytest.raises(StudyError, match=r"other settings \(dataset GLBX\.MDP3\)"):
        data.plan(trades(dataset="XNAS.ITCH"), project)


def test_time_between_files_of_seconds(project: Project, server: DatabentoServer) -> None:
    """A span in the middle of a second is cut to the nanosecond."""
    part = trades(start="2024-07-02T14:00:00.5", end="2024-07-02T14:00:10")
    assert data.fetch(part, project).rows == 10
    assert data.fetch(trades(), project).rows == 230
    assert stored(project, trades())[0] == 240
