"""One stream of the events of all nodes.

Every node writes its own journal; the bus follows them all. Any number of subscribers, in any
number of processes, read at their own pace: a slow one misses nothing and holds up nobody, for the
journals are files.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from typing import Any, Literal

from workbench.core.errors import DataError
from workbench.core.journal import Reader
from workbench.core.project import Project
from workbench.live.handle import JOURNAL, Node, nodes

type Event = dict[str, Any]
"""A journal entry (``seq``, ``ts``, ``type``, ...) with the ``node`` it comes from."""

type Since = Literal["now"] | int | Mapping[str, int]
"""Where to begin: now, after a number, or after one for each node; below 0: so many of each."""

_LOOK_SECONDS = 0.01
_NEW_NODES_SECONDS = 0.25


class EngineEventBus:
    """The events of a project's nodes.

    Parameters
    ----------
    project
        Default: the project of the working folder.

    """

    def __init__(self, project: Project | None = None) -> None:
        self._project = project or Project.find()

    def subscribe(
        self,
        since: Since = "now",
        *,
        only: Collection[str] | None = None,
        types: Collection[str] | None = None,
    ) -> Subscription:
        """Follow the events.

        Parameters
        ----------
        since
            ``"now"``, a number (0: everything; below 0: so many of each node, the newest), or a
            number by node; a node that is not named, or that is new, is followed from its
            beginning.
        only
            Names of nodes; default all, also those launched later.
        types
            Types of events, or what they begin with (``order``, ``order.filled``); default all.

        """
        return Subscription(self._project, since, only, types)

    def replay(self, since: Since = 0, **filters: Any) -> list[Event]:
        """Return the events that are there now, in order of time."""
        return self.subscribe(since, **filters).poll()


class Subscription:
    """Events of several journals, merged by time.

    Iterating waits for the next one and never ends by itself; so does ``async for``.

    Attributes
    ----------
    position
        Number of the last event seen, by node: what to hand over as `since` to go on later.

    """

    def __init__(
        self,
        project: Project,
        since: Since,
        only: Collection[str] | None,
        types: Collection[str] | None,
    ) -> None:
        self._project, self._only = project, only
        self._types = None if types is None else tuple(types)
        self._readers: dict[str, Reader] = {}
        self._broken: set[str] = set()
        self._looked = 0.0
        self.position: dict[str, int] = {}
        self._since: Since = since
        self._find_nodes()
        if since == "now":
            self._since = 0  # nodes launched from now on are followed whole

    def poll(self) -> list[Event]:
        """Return what is new, oldest first; nothing if nothing is."""
        if time.monotonic() - self._looked > _NEW_NODES_SECONDS:
            self._find_nodes()
        found: list[Event] = []
        for name, reader in self._readers.items():
            if name not in self._broken:
                found += self._new(name, reader)
        found.sort(key=lambda event: event["ts"])
        return found

    def next(self, timeout: float | None = None) -> list[Event]:
        """Wait until something is new and return it; nothing after `timeout` seconds."""
        late = None if timeout is None else time.monotonic() + timeout
        while not (found := self.poll()):
            if late is not None and time.monotonic() > late:
                break
            time.sleep(_LOOK_SECONDS)
        return found

    def __iter__(self) -> Iterator[Event]:
        while True:
            yield from self.next()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            for event in self.poll():
                yield event
            await asyncio.sleep(_LOOK_SECONDS)

    def _new(self, name: str, reader: Reader) -> Iterator[Event]:
        try:
            for entry in reader.new():
                self.position[name] = entry["seq"]
                if self._wanted(entry["type"]):
                    yield {"node": name, **entry}
        except DataError as error:
            # One damaged journal must not silence the other nodes.
            self._broken.add(name)
            yield {
                "node": name, "seq": self.position.get(name, 0), "ts": time.time_ns(),
                "type": "journal.damaged", "reason": str(error),
            }  # fmt: skip

    def _wanted(self, kind: str) -> bool:
        if self._types is None:
            return True
        return any(kind == each or kind.startswith(f"{each}.") for each in self._types)

    def _find_nodes(self) -> None:
        self._looked = time.monotonic()
        for node in nodes(self._project):
            if node.id not in self._readers and (self._only is None or node.id in self._only):
                self._readers[node.id], start = self._reader(node)
                self.position.setdefault(node.id, start)

    def _reader(self, node: Node) -> tuple[Reader, int]:
        """Return a reader of a node's journal, and the number it begins after."""
        path = node.folder / JOURNAL
        since = 0 if isinstance(self._since, str) else self._since
        if isinstance(since, Mapping):
            since = since.get(node.id, 0)
        elif isinstance(self._since, str) or since < 0:
            reader = Reader.newest(path, -since)
            return reader, reader.number
        return Reader(path, since), since
