"""What a node measures of itself, and the page for Prometheus."""

import os
import signal
import time
import urllib.request
from collections.abc import Callable
from decimal import Decimal

import psutil
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.conftest import live_study
from tests.live.test_nodes import SLOW, wait_for
from workbench import live
from workbench.core.project import Project
from workbench.live.metrics import registry, serve

Launch = Callable[..., live.Node]


def values(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_the_numbers_are_the_engines(project: Project, launch: Launch) -> None:
    node = launch()
    wait_for(node, "feed.ended")
    sample = node.ask("telemetry")
    (pnl,) = sample["pnl"]
    gained = Decimal(pnl["realized"]) + Decimal(pnl["unrealized"])
    assert Decimal(sample["equity"]["USD"]) == Decimal(500_000) + gained
    status = node.status()
    assert status["pnl"] == sample["pnl"]
    assert status["equity"] == sample["equity"]
    (position,) = status["positions"]
    last = Decimal(sample["exposure"]["AAPL.XNAS"]["notional"]) / Decimal(position["quantity"])
    assert last == Decimal("-56.1374")  # the last close, and it is short
    assert sample["orders"] == {"initialized": 45, "submitted": 45, "filled": 45}
    assert sample["latency"]["fill"]["count"] == 45
    assert 0 < sample["latency"]["fill"]["median"] < 0.5
    process = psutil.Process(node.state()["pid"])
    assert sample["process"]["memory_bytes"] == pytest.approx(process.memory_info().rss, rel=0.2)


def test_prometheus_reads_all_nodes_also_when_one_hangs(project: Project, launch: Launch) -> None:
    first = launch(live_study(project, speed=SLOW))
    second = launch(live_study(project, speed=SLOW, trader="OTHER-001"), name="second")
    os.kill(second.state()["pid"], signal.SIGSTOP)
    server = serve(project, port=0)
    try:
        began = time.monotonic()
        address = f"http://127.0.0.1:{server.server_port}/metrics"
        with urllib.request.urlopen(address, timeout=10) as answer:
            page = answer.read().decode()
        assert time.monotonic() - began < 5
    finally:
        server.shutdown()
        server.server_close()
    found = values(page)
    for node in (first, second):
        labels = {("node", node.id), ("state", "RUNNING")}
        assert found["workbench_node_state", frozenset(labels)] == 1
    money = frozenset({("node", first.id), ("currency", "USD")})
    assert found["workbench_equity", money] == 500_000
    assert ("workbench_equity", frozenset({("node", "second"), ("currency", "USD")})) not in found
    second.kill()
    page = generate_latest(registry(project)).decode()
    labels = {("node", "second"), ("state", "KILLED")}
    assert values(page)["workbench_node_state", frozenset(labels)] == 1
