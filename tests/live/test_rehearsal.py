"""From a finished backtest to the practice venue and back, in one call."""

from typing import Any

import pytest

from tests.live.conftest import live_study
from workbench import backtest, live, venue
from workbench.core.errors import InputError
from workbench.core.project import Project
from workbench.venue import announce

RISK = {"max_notional_per_order": "2_000_000 USD", "max_drawdown": "50%"}


def test_a_run_is_rehearsed_and_leaves_nothing_open(project: Project, workbench: Any) -> None:
    run = backtest.run(live_study(project, risk=RISK), project=project)
    flips: list[live.Promotion] = []
    events: list[dict[str, Any]] = []
    # A venue of one's own is found again afterwards.
    with venue.start(symbols=["BTCUSDT:price=30000"], project=project) as mine:
        found = live.rehearse(run, seconds=5, on_flip=flips.append, on_event=events.append)
        assert announce.find(project).url == mine.url
    assert flips[0].open
    assert found.flat
    assert (found.bars_from, found.bars_to) == ("2011-02-15", "2013-03-01")
    filled = [each["data"] for each in events if each["type"] == "order.filled"]
    assert found.fills == len(filled) >= 10
    assert found.orders >= 10
    held = sum(
        float(each["last_qty"]) * (1 if each["order_side"] == "BUY" else -1) for each in filled
    )
    assert held == 0
    assert found.equity_start == 500_000
    assert found.equity_end != found.equity_start
    node = live.node(found.node_id, project)
    assert node.state()["state"] == "STOPPED"
    table = live.history.fills(node)
    assert list(table["client_order_id"]) == [each["client_order_id"] for each in filled]
    assert table["ts"].is_monotonic_increasing
    assert live.history.picture(node)

    answer = workbench("node", "rehearse", run.id, "--seconds", "3", "--json")
    assert (answer.code, answer.json["flat"]) == (0, True)


def test_a_closed_gate_ends_it_before_it_begins(project: Project) -> None:
    run = backtest.run(live_study(project, risk={}), project=project)
    with pytest.raises(InputError, match="the risk policy sets no"):
        live.rehearse(run, seconds=1)
    assert live.nodes(project) == []
