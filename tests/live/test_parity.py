"""A replay beside its backtest: equal where nothing differs, in words where something does."""

from collections.abc import Callable

import pytest

from tests.live.conftest import live_study
from tests.live.test_nodes import SLOW, wait_for
from workbench import backtest, live
from workbench.core.errors import InputError
from workbench.core.project import Project

Launch = Callable[..., live.Node]


def test_a_node_and_its_backtest_decide_the_same(
    project: Project, launch: Launch, workbench
) -> None:
    study = live_study(project)
    run = backtest.run(study, project=project)
    node = launch(study)
    wait_for(node, "feed.ended")
    found = live.parity(node, run)
    assert found.equal, str(found)
    assert found.node_decisions == found.run_decisions == 45
    assert str(found) == f"node {node.id} made 45 orders, run {run.id} made 45: the same decisions"
    assert live.parity(node.folder / "journal.jsonl", run.id, project).equal
    answer = workbench("node", "parity", node.id, run.id, "--json")
    assert (answer.code, answer.json["equal"]) == (0, True)

    # Another run: other parameters, other costs, a limit the backtest does not have.
    other = backtest.run(study.with_params(trade_size=500), project=project)
    texts = live.parity(node, other).differences
    assert len(texts) >= 45
    assert ": SELL 1000 AAPL.XNAS MARKET: quantity 1000 in the node, 500.0 in the run" in texts[0]
    assert texts[0].startswith("2005-04-15 20:00:00: ")
    faster = backtest.run(study.with_params(fast=5), project=project)
    texts = live.parity(node, faster).differences
    assert any(": only the node: " in text for text in texts)
    assert any(": only the run: " in text for text in texts)
    answer = workbench("node", "parity", node.id, faster.id)
    assert answer.code == 1
    assert f"{len(texts)} differences" in answer.out


def test_what_the_node_refused_is_said(project: Project, launch: Launch) -> None:
    run = backtest.run(live_study(project), project=project)
    node = launch(live_study(project, risk={"max_position": {"AAPL.XNAS": 500}}))
    wait_for(node, "feed.ended")
    found = live.parity(node, run)
    assert "refused in the node: max_position: AAPL.XNAS could reach -1000 units" in str(found)
    assert found.node_decisions == 45


def test_up_to_where_the_replay_has_come(project: Project, launch: Launch) -> None:
    run = backtest.run(live_study(project), project=project)
    node = launch(live_study(project, speed=86_400 * 300))
    wait_for(node, "order.filled", 30)
    node.ask("pause_feed")
    found = live.parity(node, run)
    assert found.equal, str(found)
    assert 0 < found.node_decisions == found.run_decisions < 45
    assert " orders up to 20" in str(found)


def test_what_cannot_be_compared(project: Project, launch: Launch) -> None:
    run = backtest.run(live_study(project), project=project)
    with pytest.raises(InputError, match="no node 'ema-crss'"):
        live.parity("ema-crss", run, project)
    node = launch(live_study(project, speed=SLOW))
    with pytest.raises(InputError, match="no run"):
        live.parity(node, "20200101-000000-nothing-000000")
    journal = project.root / "other.jsonl"
    with pytest.raises(InputError, match="node 'other' has not played any data"):
        live.parity(journal, run, project)
