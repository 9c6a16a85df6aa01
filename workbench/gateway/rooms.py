"""Calling the rooms' functions, which block, from an event loop that must not.

Each node has places of its own: where one hangs, those who ask it wait, and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from anyio import CapacityLimiter, to_thread

from workbench import live
from workbench.core.errors import InputError
from workbench.core.project import Project
from workbench.gateway.problems import Problem

_THREADS = 24
_THREADS_A_NODE = 8
_WAITING_A_NODE = 200
_MOST_NODES = 1_000


class Rooms:
    """Runs functions of the rooms in threads.

    Parameters
    ----------
    project
        Whose nodes.

    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._shared: CapacityLimiter | None = None
        self._nodes: dict[str, CapacityLimiter] = {}

    async def run[Result](self, work: Callable[..., Result], *values: Any, **named: Any) -> Result:
        """Return what `work` returns, run in a thread."""
        if self._shared is None:
            self._shared = CapacityLimiter(_THREADS)
        return await to_thread.run_sync(partial(work, *values, **named), limiter=self._shared)

    async def ask[Result](
        self, name: str, work: Callable[..., Result], *values: Any, **named: Any
    ) -> Result:
        """Return what `work`, which asks the node `name`, returns; it is called with the node.

        Raises
        ------
        Problem
            404 if there is no such node, 503 if too many wait for it.

        """
        if not (self.project.gateway / "nodes" / name).is_dir() or "/" in name or name in "..":
            return await self.run(self._unknown, name)
        limiter = self._nodes.get(name)
        if limiter is None:
            if len(self._nodes) >= _MOST_NODES:
                self._nodes.clear()
            limiter = self._nodes[name] = CapacityLimiter(_THREADS_A_NODE)
        if limiter.statistics().tasks_waiting >= _WAITING_A_NODE:
            message = f"too many calls wait for the node '{name}'"
            raise Problem(503, message, "busy", headers={"Retry-After": "1"})
        node = live.Node(self.project, name)
        return await to_thread.run_sync(partial(work, node, *values, **named), limiter=limiter)

    async def look[Result](
        self, name: str, work: Callable[..., Result], *values: Any, **named: Any
    ) -> Result:
        """Return what `work`, called with the node `name`, returns; it does not ask the engine."""

        def looked() -> Result:
            return work(found(live.node, name, self.project), *values, **named)

        return await self.run(looked)

    def _unknown(self, name: str) -> Any:
        try:
            live.node(name, self.project)
        except InputError as error:
            raise Problem(404, str(error), "not-found") from None
        raise Problem(404, f"no node '{name}'", "not-found")


def found[Result](work: Callable[..., Result], *values: Any, **named: Any) -> Result:
    """Return what `work` returns; answer 404 where it says that there is no such thing."""
    try:
        return work(*values, **named)
    except InputError as error:
        raise Problem(404, str(error), "not-found") from None
