"""From a finished backtest to a live node in the same session: gates, differences, confirmation."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.live.conftest import live_study
from tests.live.test_nodes import wait_for
from workbench import backtest, live
from workbench.checks.gates import gates
from workbench.core.errors import InputError
from workbench.core.project import Project

RISK = {"max_notional_per_order": "250000 USD", "max_drawdown": "50%"}
MAX = {
    "environment": "sandbox",
    "feeds": [{"adapter": "replay", "speed": "max"}],
    "execution": [{"adapter": "sandbox"}],
}


def run_of(project: Project, **changes: Any) -> backtest.Run:
    return backtest.run(live_study(project, risk=RISK, **changes), project=project)


def test_a_finished_run_goes_live_with_its_own_config(
    project: Project, launch: Callable[..., live.Node]
) -> None:
    run = run_of(project)
    seen: list[str] = []
    promotion = live.flip(run, MAX, on_gate=lambda gate: seen.append(gate.name))
    assert seen == ["study", "run", "strategy", "smoke", "risk", "credentials"]
    assert promotion.open, promotion.gates
    store = backtest.RunStore(project)
    assert [each.id for each in store.list()] == [run.id] == [store.get("latest").id]
    smoke, _ = store.list(gates=True)
    assert (smoke.gate, smoke.name) == ("smoke", f"{run.name}-smoke")
    assert store.get(smoke.id) == smoke, "found by its id all the same"
    (gate,) = (each for each in promotion.gates if each.name == "smoke")
    assert gate.found.startswith(smoke.id)
    assert promotion.phrase is None
    assert all(change.path.startswith("live") for change in promotion.changes)
    node = promotion.go(who="ann")
    wait_for(node, "feed.ended")
    assert sum(entry["type"] == "order.filled" for entry in node.events()) == run.n_fills
    (manifest,) = (project.gateway / "promotions").glob("*.json")
    content = json.loads(manifest.read_text())
    assert (content["who"], content["run_id"], content["node_id"]) == ("ann", run.id, node.id)
    assert content["digests"] == run.digests


def test_each_closed_gate_says_what_to_do(project: Project) -> None:
    run = backtest.run(live_study(project, risk={}), project=project)
    found = {gate.name: gate for gate in live.flip(run, MAX).gates}
    assert not found["risk"].passed
    assert "max_notional_per_order or max_position" in found["risk"].found
    with pytest.raises(InputError, match="add it to the study's 'risk'"):
        live.flip(run, MAX).go()

    other = live_study(project, risk=RISK).with_params(fast=11)
    found = {gate.name: gate for gate in gates(other, run, project)}
    assert "ran another study" in found["run"].found

    mine = live_study(project, "my-strategy", risk=RISK)
    good = backtest.run(mine, project=project)
    early = live.flip(good, MAX)
    assert early.open
    source = project.root / "strategies" / "my_strategy.py"
    source.write_text(source.read_text() + "\n# changed since\n")
    found = {gate.name: gate for gate in gates(mine, good, project)}
    assert "source has changed" in found["strategy"].found
    with pytest.raises(InputError, match="strategy: the strategy's source has changed"):
        early.go()
    assert live.nodes(project) == []


def test_a_testnet_needs_keys_and_a_typed_phrase(project: Project, workbench) -> None:
    run = run_of(project)
    section = {
        "environment": "testnet",
        "feeds": [{"adapter": "bybit", "product_types": ["linear"]}],
        "execution": [{"adapter": "bybit", "product_types": ["linear"]}],
    }
    promotion = live.flip(run, section)
    assert promotion.phrase == "ema-cross testnet"
    found = {gate.name: gate for gate in promotion.gates}
    assert not found["credentials"].passed
    assert "workbench secrets set bybit" in found["credentials"].found
    path = project.root / "studies" / "testnet.json"
    path.write_text(json.dumps({"live": section}))
    answer = workbench("node", "flip", run.id, "--over", str(path), "--check", "--json")
    assert answer.code == 1
    assert answer.json["open"] is False
    answer = workbench("node", "flip", run.id, "--over", str(path), "--confirm", "yes")
    assert answer.code == 2
    assert "credentials" in answer.err
    assert not (project.gateway / "promotions").exists()


def test_from_the_command_line(
    project: Project, launch: Callable[..., live.Node], workbench
) -> None:
    run = run_of(project)
    answer = workbench("node", "flip", run.id)
    assert answer.code == 0, answer.err
    assert "ok      smoke" in answer.out
    assert "ema-cross is RUNNING" in answer.out
    assert len(workbench("runs", "list", "--json").json["runs"]) == 1
    assert "ema-cross-smoke" in workbench("runs", "list", "--all").out
    answer = workbench("node", "flip", "no-such-run")
    assert answer.code == 2
    assert "no run 'no-such-run'" in answer.err
