"""The venue's WebSockets: who listens to what, and what is sent to whom."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Literal

from aiohttp import ClientConnectionError, web

from workbench.venue.faults import Faults

type Kind = Literal["public", "private", "trade"]
type Document = dict[str, Any]

_MOST_WAITING = 20_000
_CROWDED = 1_000
_HELD = 1.0  # seconds a message waits for the one that is to overtake it


class Connection:
    """One socket: what it listens to, and what waits to be sent.

    Attributes
    ----------
    kind
        Which of the three sockets it is.
    id
        Bybit's ``conn_id``.
    topics
        What it subscribed to.
    authenticated
        Whether it may hear of the account.

    """

    def __init__(
        self,
        kind: Kind,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        faults: Faults,
    ) -> None:
        self.kind, self.socket, self._transport = kind, socket, transport
        self.id = secrets.token_hex(10)
        self.topics: set[str] = set()
        self.authenticated = False
        self._faults = faults
        self._waiting: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()

    @property
    def crowded(self) -> bool:
        """Whether more waits than a fast replay should add to."""
        return self._waiting.qsize() > _CROWDED

    def send(self, document: Document) -> None:
        """Send an answer."""
        self._put(json.dumps(document, separators=(",", ":")), news=False)

    def publish(self, written: str) -> None:
        """Send news, which faults may disturb."""
        self._put(written, news=True)

    def cut(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Send what waits, until the connection ends."""
        with suppress(ClientConnectionError, ConnectionError):
            while True:
                written, news = await self._waiting.get()
                await self._faults.hold(self.kind)
                if news and self._faults.take("reorder", self.kind):
                    await self._overtaken(written)
                    continue
                await self.socket.send_str(written)
                if news and self._faults.take("duplicate", self.kind):
                    await self.socket.send_str(written)

    async def _overtaken(self, written: str) -> None:
        with suppress(TimeoutError):
            following, _ = await asyncio.wait_for(self._waiting.get(), _HELD)
            await self.socket.send_str(following)
        await self.socket.send_str(written)

    def _put(self, written: str, *, news: bool) -> None:
        if self._waiting.qsize() >= _MOST_WAITING:
            self.cut()  # as an exchange does with a client that does not read
        else:
            self._waiting.put_nowait((written, news))


class Hub:
    """All connections.

    Parameters
    ----------
    faults
        Those that bear on messages.

    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._all: set[Connection] = set()
        self._listeners: defaultdict[str, set[Connection]] = defaultdict(set)

    def join(
        self, kind: Kind, socket: web.WebSocketResponse, transport: asyncio.Transport | None
    ) -> Connection:
        """Take in a new connection."""
        connection = Connection(kind, socket, transport, self._faults)
        self._all.add(connection)
        return connection

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._all.discard(connection)
        for topic in connection.topics:
            self._listeners[topic].discard(connection)

    def subscribe(self, connection: Connection, topics: Iterable[str]) -> None:
        """Let a connection hear of topics."""
        for topic in topics:
            connection.topics.add(topic)
            self._listeners[topic].add(connection)

    def unsubscribe(self, connection: Connection, topics: Iterable[str]) -> None:
        """Let a connection hear no more of topics."""
        for topic in topics:
            connection.topics.discard(topic)
            self._listeners[topic].discard(connection)

    def heard(self, topic: str) -> bool:
        """Whether anybody listens to a topic."""
        return bool(self._listeners.get(topic))

    def topics(self) -> list[str]:
        """Return the topics somebody listens to."""
        return [topic for topic, listeners in self._listeners.items() if listeners]

    def publish(self, topic: str, make: Callable[[], Document]) -> None:
        """Send a message to all who listen to a topic; it is made if there are any."""
        if self.heard(topic):
            written = json.dumps(make(), separators=(",", ":"))
            for connection in self._listeners[topic]:
                connection.publish(written)

    def counts(self) -> dict[str, int]:
        """Return how many connections of each kind there are."""
        kinds = [connection.kind for connection in self._all]
        return {kind: kinds.count(kind) for kind in ("public", "private", "trade")}

    def cut(self, where: str) -> None:
        """Drop the connections of a kind, or all."""
        for connection in list(self._all):
            if where in ("all", connection.kind):
                connection.cut()

    async def room(self) -> None:
        """Wait until clients have taken most of what was sent to them."""
        while any(connection.crowded for connection in self._all):
            await asyncio.sleep(0.005)
