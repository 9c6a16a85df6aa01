"""What the gateway measures of itself, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from workbench.core.project import Project
from workbench.live.metrics import registry

_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "WEBSOCKET")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class Meters:
    """The gateway's own measurements; its page shows those of the nodes too.

    Parameters
    ----------
    project
        Whose nodes.

    """

    def __init__(self, project: Project) -> None:
        self._project = project
        own = self._own = CollectorRegistry()
        self._requests = Counter(
            "workbench_gateway_requests", "Answered", ["method", "route", "status"], registry=own
        )
        self._seconds = Histogram(
            "workbench_gateway_request_seconds", "To the answer's end", ["route"],
            buckets=_BUCKETS, registry=own,
        )  # fmt: skip
        self.clients = Gauge("workbench_gateway_event_clients", "Listening now", registry=own)
        self.sent = Counter("workbench_gateway_events_sent", "To all clients", registry=own)
        self.missed = Counter(
            "workbench_gateway_events_missed", "By clients that were too slow", registry=own
        )

    def seen(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        known = method if method in _METHODS else "OTHER"
        self._requests.labels(known, route, str(status)).inc()
        if method != "WEBSOCKET":
            self._seconds.labels(route).observe(seconds)

    def page(self) -> bytes:
        """Return the page for Prometheus; asks every node."""
        return generate_latest(self._own) + generate_latest(registry(self._project))
