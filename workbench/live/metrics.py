"""The nodes' measurements for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from workbench.core.errors import WorkbenchError
from workbench.core.project import Project
from workbench.live.handle import Node, nodes

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.registry import CollectorRegistry

_STATES = (
    "STARTING", "RUNNING", "STOPPING", "RESTARTING", "STOPPED", "FAILED", "KILLED", "LOST",
)  # fmt: skip
_ANSWER_SECONDS = 2.0


def registry(project: Project | None = None) -> CollectorRegistry:
    """Return a registry that asks every node of a project when it is read.

    ``prometheus_client.generate_latest(registry())`` is the page for Prometheus.
    """
    from prometheus_client.registry import CollectorRegistry

    found = CollectorRegistry(auto_describe=False)
    found.register(_Nodes(project or Project.find()))
    return found


def serve(project: Project | None = None, *, port: int = 9464, host: str = "127.0.0.1") -> Any:
    """Serve the page over HTTP from a thread; return the server.

    Raises
    ------
    WorkbenchError
        If the port is taken.

    """
    from prometheus_client import start_http_server

    try:
        server, _ = start_http_server(port, addr=host, registry=registry(project))
    except OSError as error:
        message = f"{host}:{port} cannot be listened on: {error.strerror}"
        raise WorkbenchError(message) from None
    return server


class _Nodes:
    """Asks the nodes side by side: one that hangs must not hide the others."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def collect(self) -> Iterator[Metric]:
        found = nodes(self._project)
        with ThreadPoolExecutor(max(len(found), 1)) as pool:
            samples = list(pool.map(_sample, found))
        yield from _families([(node, *sample) for node, sample in zip(found, samples, strict=True)])


def _sample(node: Node) -> tuple[dict[str, Any], dict[str, Any] | None]:
    known = node.state()
    try:
        return known, node.ask("telemetry", timeout=_ANSWER_SECONDS)
    except WorkbenchError:
        return known, None


def _families(
    samples: list[tuple[Node, dict[str, Any], dict[str, Any] | None]],
) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    made: dict[str, Any] = {}

    def gauge(name: str, text: str, value: Any, **labels: str) -> None:
        if value is not None:
            family = made.setdefault(
                name, GaugeMetricFamily(f"workbench_{name}", text, labels=list(labels))
            )
            family.add_metric(list(labels.values()), float(value))

    def counter(name: str, text: str, value: float, **labels: str) -> None:
        family = made.setdefault(
            name, CounterMetricFamily(f"workbench_{name}", text, labels=list(labels))
        )
        family.add_metric(list(labels.values()), value)

    for node, known, sample in samples:
        for state in _STATES:
            text = "1 for the state the node is in"
            gauge("node_state", text, known["state"] == state, node=node.id, state=state)
        counter("node_restarts", "Restarts after crashes", known.get("restarts", 0), node=node.id)
        if sample is None:
            continue
        for code, value in sample["equity"].items():
            gauge("equity", "Marked to market", value, node=node.id, currency=code)
        for each in sample["pnl"]:
            labels = {key: each[key] for key in ("strategy", "instrument", "currency")}
            for kind in ("realized", "unrealized"):
                gauge("pnl", "Profit", each[kind], node=node.id, **labels, kind=kind)
        for name, each in sample["exposure"].items():
            labels = {"instrument": name, "currency": each["currency"]}
            gauge("exposure", "Signed notional", each["notional"], node=node.id, **labels)
        for kind, each in (*sample["latency"].items(), ("loop_lag", sample["loop_lag"])):
            for quantile in ("median", "p95", "max"):
                labels = {"kind": kind, "quantile": quantile}
                text = "From order to answer; of the engine's loop"
                gauge("latency_seconds", text, each[quantile], node=node.id, **labels)
        for each in sample["feeds"]:
            text = "Since the last row"
            gauge("feed_age_seconds", text, each["age_s"], node=node.id, feed=each["name"])
        for what, count in sample["orders"].items():
            counter("order_events", "Events of orders", count, node=node.id, event=what)
        process = sample["process"]
        gauge("cpu_percent", "Of one core", process["cpu_percent"], node=node.id)
        gauge("memory_bytes", "Resident", process["memory_bytes"], node=node.id)
        gauge("threads", "Of the process", process["threads"], node=node.id)
    yield from made.values()
