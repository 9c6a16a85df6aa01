"""The events of all nodes as a Redis stream, for programs that read those rather than files.

Each event is an entry with the fields ``node``, ``seq``, ``type`` and ``event`` (the whole of it as
JSON). Entry and position are written in one transaction: whoever copies may be killed at any time
and go on, and every event is in the stream once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

import redis

from workbench.core.errors import WorkbenchError
from workbench.core.project import Project
from workbench.live import redis_server
from workbench.live.bus import EngineEventBus

KEY = "workbench:events"
_LONGEST = 100_000
_WAIT_SECONDS = 0.5
_BATCH = 500


def stream(
    project: Project | None = None,
    *,
    key: str = KEY,
    types: Collection[str] | None = None,
    most: int = _LONGEST,
    on_copied: Callable[[int], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Copy events into a Redis stream until told to stop; go on where the last copy ended.

    Parameters
    ----------
    project
        Whose nodes; default: that of the working folder.
    key
        Of the stream; its position is kept in the hash ``<key>:position``.
    types
        Types of events, or what they begin with; default all.
    most
        About how many entries the stream keeps.
    on_copied
        Called with how many have been copied, after each batch.
    should_stop
        Asked twice a second.

    Returns
    -------
    int
        How many events were copied.

    Raises
    ------
    WorkbenchError
        If the server cannot be reached, or is lost: nothing is lost with it, begin again.

    """
    project = project or Project.find()
    server = redis_server.find(project)
    copied = 0
    try:
        with server.client() as client:
            where = f"{key}:position"
            position = {name: int(seq) for name, seq in client.hgetall(where).items()}
            subscription = EngineEventBus(project).subscribe(position, types=types)
            while not should_stop():
                events = subscription.next(_WAIT_SECONDS)
                for begin in range(0, len(events), _BATCH):
                    batch = events[begin : begin + _BATCH]
                    with client.pipeline(transaction=True) as pipe:
                        for event in batch:
                            fields = {name: str(event[name]) for name in ("node", "seq", "type")}
                            fields["event"] = json.dumps(event, separators=(",", ":"))
                            pipe.xadd(key, fields, maxlen=most, approximate=True)
                            pipe.hset(where, event["node"], event["seq"])
                        pipe.execute()
                    copied += len(batch)
                    on_copied(copied)
    except redis.RedisError as error:
        raise WorkbenchError(f"Redis at {server.host}:{server.port}: {error}") from None
    return copied
