"""How a gateway is set up."""

from __future__ import annotations

from dataclasses import dataclass, field

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may be done.

    Attributes
    ----------
    per_second
        In the long run.
    burst
        At once, after a pause.

    """

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Settings:
    """How a gateway is set up.

    Attributes
    ----------
    hosts
        Names it may be asked for by, besides this machine's own: those of a proxy before it. A
        request for any other name is refused, as one is that a foreign page makes through a name
        that points here (DNS rebinding).
    root_path
        Where a proxy has put it, such as ``/user/me/proxy/8080``.
    max_body
        Bytes a request may have.
    changes, orders
        How often each token may change something, and place, change or cancel orders.
    max_clients, max_clients_each
        How many may listen to events, altogether and with one token.
    queue
        Events that wait for one such client; beyond that it misses some, and is told which.
    patience
        Seconds a client has for the whole of a request, and until its next one.
    ping
        Seconds between two pings of a WebSocket; who answers none for twice as long is let go.
    dashboard
        Whether the dashboard is served too.
    secure
        Whether the browser may send the cookie over HTTPS only, also where the login came without.

    """

    hosts: tuple[str, ...] = ()
    root_path: str = ""
    max_body: int = 1_000_000
    changes: Rate = field(default=Rate(20, 60))
    orders: Rate = field(default=Rate(300, 600))
    max_clients: int = 500
    max_clients_each: int = 250
    queue: int = 1_000
    patience: int = 30
    ping: float = 20.0
    dashboard: bool = True
    secure: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Every name it answers to."""
        return frozenset((*LOOPBACK, *(host.lower() for host in self.hosts)))
