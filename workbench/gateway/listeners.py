"""The events of all nodes, read once and handed to any number of listeners.

One task follows the journals; each listener has a bounded queue. Where one is too slow its queue
runs over: from then on it misses events until it has caught up, and then is told which. The
journals are files, so what was missed can be asked for again by its numbers.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Literal

from workbench.core.errors import DataError, WorkbenchError
from workbench.core.journal import read
from workbench.core.project import Project
from workbench.gateway.meters import Meters
from workbench.gateway.rooms import Rooms
from workbench.live.bus import EngineEventBus, Event, Subscription
from workbench.live.handle import JOURNAL, Node, nodes

type Since = Literal["now"] | int | Mapping[str, int]
"""Where to begin: now, after a number of each node, or after one by node."""

_LOOK_SECONDS = 0.02
_IDLE_SECONDS = 0.5
_CHUNK = 200
_ROUNDS = 20
_DAMAGED = "journal.damaged"

_log = logging.getLogger("workbench.gateway")


class Listener:
    """One who listens.

    Parameters
    ----------
    since
        Where to begin.
    only, types
        Names of nodes; types of events or what they begin with. None: all.
    queue
        How many events may wait.

    """

    def __init__(
        self,
        since: Since,
        only: Collection[str] | None,
        types: Collection[str] | None,
        queue: int,
    ) -> None:
        self.since = since
        self.floor: dict[str, int] = {}
        self.gap: dict[str, list[int]] = {}
        self.queue: deque[tuple[Event, str]] = deque()
        self._only = None if only is None else frozenset(only)
        self._types = None if types is None else tuple(types)
        self._prefixes = None if types is None else tuple(f"{each}." for each in types)
        self._most = queue
        self._woken = asyncio.Event()

    def wants(self, event: Event) -> bool:
        """Whether an event is for it."""
        node, kind = event["node"], event["type"]
        if self._only is not None and node not in self._only:
            return False
        if self._types is not None and kind not in self._types:
            assert self._prefixes is not None
            if not kind.startswith(self._prefixes):
                return False
        return bool(event["seq"] > self.after(node) or kind == _DAMAGED)

    def after(self, node: str) -> int:
        """Return the number up to which it has, or does not want, a node's events."""
        if node in self.floor or isinstance(self.since, str):
            return self.floor.get(node, 0)
        return self.since if isinstance(self.since, int) else self.since.get(node, 0)

    def put(self, event: Event, text: str) -> bool:
        """Hand it an event; return whether there was room."""
        if self.gap or len(self.queue) >= self._most:
            span = self.gap.setdefault(event["node"], [event["seq"], event["seq"]])
            span[1] = event["seq"]
            self._woken.set()
            return False
        self.queue.append((event, text))
        self._woken.set()
        return True

    def taken(self) -> list[tuple[Event | None, str]]:
        """Return what is there, oldest first; after a gap, which events were missed."""
        found: list[tuple[Event | None, str]] = list(self.queue)
        self.queue.clear()
        if not found and self.gap:
            gap, self.gap = self.gap, {}
            for node, (first, last) in gap.items():
                told = {"missed": {"node": node, "from": first, "to": last}}
                found.append((None, json.dumps(told)))
        self._woken.clear()
        if self.gap:
            self._woken.set()
        return found

    async def wait(self, seconds: float) -> bool:
        """Wait until there is something; False after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        return self._woken.is_set()


class Hub:
    """Follows the journals and hands out their events.

    Parameters
    ----------
    project
        Whose nodes.
    rooms
        Where files are read.
    meters
        What is counted.

    """

    def __init__(self, project: Project, rooms: Rooms, meters: Meters) -> None:
        self._project, self._rooms, self._meters = project, rooms, meters
        self._listeners: set[Listener] = set()
        self._position: dict[str, int] = {}
        self._ready = asyncio.Event()
        self._busy = asyncio.Event()
        self._waiting: list[asyncio.Event] = []

    async def run(self) -> None:
        """Follow the journals until cancelled."""
        stream: Subscription | None = None
        while True:
            asked, self._waiting = self._waiting, []
            try:
                if stream is None:
                    stream = await self._rooms.run(EngineEventBus(self._project).subscribe, "now")
                    self._position = dict(stream.position)
                    self._ready.set()
                self._hand_out(await self._rooms.run(stream.poll))
                self._position = dict(stream.position)
                for each in asked:
                    each.set()
            except (WorkbenchError, OSError) as error:
                _log.error("the nodes' events cannot be read: %s", error)
                self._waiting += asked
                await asyncio.sleep(_IDLE_SECONDS)
            if self._listeners:
                await asyncio.sleep(_LOOK_SECONDS)
            elif not self._waiting:
                self._busy.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_SECONDS):
                        await self._busy.wait()

    def _hand_out(self, events: list[Event]) -> None:
        for event in events:
            text = json.dumps(event, separators=(",", ":"))
            for listener in self._listeners:
                if listener.wants(event) and not listener.put(event, text):
                    self._meters.missed.inc()

    async def join(self, listener: Listener) -> None:
        """Count `listener` in: from when this returns on, it misses nothing unknowingly."""
        looked = asyncio.Event()
        self._waiting.append(looked)
        self._busy.set()
        await self._ready.wait()
        await looked.wait()  # the journals have been looked at anew: `now` is now
        if listener.since == "now":
            listener.floor = dict(self._position)
        self._listeners.add(listener)
        self._meters.clients.set(len(self._listeners))

    async def listen(
        self, listener: Listener, *, follow: bool = True, good: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[list[tuple[Event | None, str]]]:
        """Yield what `listener`, who has joined, is to be told: events and their text.

        First what there is since where it wants to begin, from the files, then what comes. What it
        has missed is a text without an event.

        Parameters
        ----------
        listener
            Who.
        follow
            Whether to go on with what comes.
        good
            Asked every few seconds; False ends it.

        """
        try:
            if listener.since != "now":
                async for some in self._replayed(listener):
                    yield some
            while follow and good():
                if await listener.wait(3.0) and (some := listener.taken()):
                    self._meters.sent.inc(len(some))
                    yield some
        finally:
            self.leave(listener)

    def leave(self, listener: Listener) -> None:
        """Tell `listener` nothing more."""
        self._listeners.discard(listener)
        self._meters.clients.set(len(self._listeners))

    async def _replayed(self, listener: Listener) -> AsyncIterator[list[tuple[Event | None, str]]]:
        """Yield what is in the files, until the listener's queue has all that comes after it."""
        for _ in range(_ROUNDS):
            # What is handed out from here on is in the queue, what was before is in the files.
            listener.queue.clear()
            listener.gap.clear()
            until = dict(self._position)
            entries = await self._rooms.run(self._stored, listener, until)
            while chunk := await self._rooms.run(_chunk, entries):
                self._meters.sent.inc(len(chunk))
                yield chunk
            listener.floor |= {
                node: max(last, listener.after(node)) for node, last in until.items()
            }
            if not listener.gap:
                return

    def _stored(self, listener: Listener, until: Mapping[str, int]) -> Iterator[Event]:
        """Return the events in the files, merged by time."""
        found = [
            _of_node(node, listener.after(node.id), until[node.id])
            for node in nodes(self._project)
            if until.get(node.id, 0) > listener.after(node.id)
        ]
        merged = heapq.merge(*found, key=lambda event: event["ts"])
        return (event for event in merged if listener.wants(event))


def _chunk(entries: Iterator[Event]) -> list[tuple[Event | None, str]]:
    return [(event, json.dumps(event, separators=(",", ":"))) for event in islice(entries, _CHUNK)]


def _of_node(node: Node, since: int, until: int) -> Iterator[Event]:
    last = since
    try:
        for entry in read(node.folder / JOURNAL, since):
            if entry["seq"] > until:
                return
            last = entry["seq"]
            yield {"node": node.id, **entry}
    except DataError as error:
        now = time.time_ns()
        yield {"node": node.id, "seq": last, "ts": now, "type": _DAMAGED, "reason": str(error)}


def position(listener: Listener, event: Event | None, before: dict[str, Any]) -> dict[str, Any]:
    """Return the place in all journals after an event: what to hand over as `since`."""
    if event is None:
        return before
    if not before and isinstance(listener.since, Mapping):
        before = dict(listener.since)
    return {**before, event["node"]: event["seq"]}
