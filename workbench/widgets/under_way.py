"""A backtest under way that this page did not start: how far it is, and its Cancel button."""

from __future__ import annotations

import asyncio
from typing import Any

import panel as pn

from workbench import backtest
from workbench.backtest import Run, RunStore
from workbench.backtest.model import FINISHED
from workbench.core.errors import InputError
from workbench.core.project import Project
from workbench.widgets.look import bar, button, failure, html


class UnderWay(pn.viewable.Viewer):
    """Follows the newest run of a study that is under way; takes no room while there is none.

    Parameters
    ----------
    project
        Whose runs.

    """

    def __init__(self, project: Project) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._store = RunStore(project)
        self._run: Run | None = None
        self._seen: object = None
        self._bar, self._said = html(), html()
        self._cancel = button("Cancel", "danger", self._stop, align="center")
        self._line = pn.Row(
            self._bar, self._cancel, sizing_mode="stretch_width", margin=0, visible=False,
            styles={"gap": "16px"},
        )  # fmt: skip

    def __panel__(self) -> Any:
        return pn.Column(self._line, self._said, sizing_mode="stretch_width", margin=0)

    async def look(self, name: str) -> Run | None:
        """Look for a run of the study `name`; return one that was followed and has ended."""
        followed = self._run
        seen = (name, self._store.stamp())
        if seen == self._seen and followed is None:
            return None
        self._seen = seen
        found = await asyncio.to_thread(_newest, self._store, name)
        self._run = found
        if found is None:
            self._line.visible = False
        elif followed is None or followed.id != found.id:
            self._cancel.disabled, self._line.visible, self._said.object = False, True, ""
        if found is not None:
            stopping = "Stopping: " if self._cancel.disabled else ""
            told = f"{stopping}{found.name}: {found.progress:.0%}, begun elsewhere"
            self._bar.object = bar(told, found.progress)
        if followed is None or followed.name != name or (found and found.id == followed.id):
            return None
        try:
            ended = await asyncio.to_thread(self._store.get, followed.id)
        except InputError:  # refused, after all: nothing is kept of it
            return None
        return ended if ended.status in FINISHED else None

    def hide(self) -> None:
        """Show nothing, and follow nothing."""
        self._run, self._seen, self._line.visible = None, None, False

    async def _stop(self, _: Any) -> None:
        run = self._run
        if run is None:
            return
        self._cancel.disabled = True
        try:
            await asyncio.to_thread(backtest.cancel, run.id, project=self._store.project)
        except Exception as error:  # said beside the button
            self._said.object = failure(error, "The run cannot be cancelled")
            self._cancel.disabled = False


def _newest(store: RunStore, name: str) -> Run | None:
    """Return the newest run of a study that is under way and no point of a sweep; in a thread."""
    found = [
        run
        for status in ("running", "queued")
        for run in store.list(status=status, name=name, limit=20)
        if run.sweep_id is None and run.status not in FINISHED
    ]
    return max(found, key=lambda run: run.created, default=None)
