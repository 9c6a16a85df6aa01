"""A place on the page for long work: how far it has come, its Cancel button, how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import panel as pn

from workbench.core.errors import Cancelled
from workbench.core.progress import OnProgress, ShouldStop
from workbench.core.project import Project
from workbench.widgets.jobs import Job
from workbench.widgets.look import bar, button, failure, html, notice
from workbench.widgets.turns import in_turns

REDRAW_SECONDS = 0.25


class Work(pn.viewable.Viewer):
    """Runs one piece of long work at a time and shows it; takes no room while there is none.

    Parameters
    ----------
    project
        Files in issues are named as seen from its root.
    on_turn
        Called when work begins and when it has ended: what must not be used meanwhile is disabled
        there, by `busy`.

    """

    def __init__(
        self, project: Project | None = None, *, on_turn: Callable[[], None] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._project, self._on_turn = project, on_turn
        self._job: Job[Any] | None = None
        self._bar, self._said = html(), html()
        self._cancel = button("Cancel", "danger", lambda _: self.cancel(), align="center")
        self._line = pn.Row(
            self._bar, self._cancel, sizing_mode="stretch_width", margin=0, visible=False,
            styles={"gap": "16px"},
        )  # fmt: skip

    def __panel__(self) -> Any:
        return pn.Column(self._line, self._said, sizing_mode="stretch_width", margin=0)

    @property
    def busy(self) -> bool:
        """Whether work is under way."""
        return self._job is not None

    def begin[Result](
        self,
        doing: str,
        work: Callable[[OnProgress, ShouldStop], Result],
        done: Callable[[Result], None],
        *,
        wrong: str | None = None,
    ) -> None:
        """Begin a piece of work; nothing happens if one is under way.

        Parameters
        ----------
        doing
            What is done, in words: ``Fetching ema-cross``.
        work
            Called in a thread with `on_progress` and `should_stop`, as the rooms' verbs take them.
        done
            Called on the page with what `work` returned.
        wrong
            The heading of an error; default: "`doing` failed".

        """
        if self._job is not None:
            return
        self._job = Job(doing, work, project=self._project)
        self._said.object = ""
        self._line.visible, self._cancel.disabled = True, False
        self._draw(self._job)
        self._turn()

        async def follow() -> None:
            await self._follow(done, wrong or f"{doing} failed")

        in_turns(follow)

    def say(self, content: str) -> None:
        """Show HTML where the end of the work is told; empty for none."""
        self._said.object = content

    def cancel(self) -> None:
        """Ask the work under way to stop."""
        if self._job:
            self._cancel.disabled = True
            self._job.cancel()
            self._draw(self._job)

    async def _follow(self, done: Callable[[Any], None], wrong: str) -> None:
        """Show how far the work has come until its end, four times a second at most."""
        job = self._job
        assert job is not None
        document = pn.state.curdoc
        while not job.finished:
            if document and document.session_context and document.session_context.destroyed:
                return  # the page is closed: the work goes on without it
            self._draw(job)
            await asyncio.sleep(REDRAW_SECONDS)
        self._job, self._line.visible, self._bar.object = None, False, ""
        try:
            if isinstance(job.error, Cancelled):
                self._said.object = notice("hint", "Cancelled")
            elif job.error:
                self._said.object = failure(job.error, wrong)
            else:
                done(job.result)
        except Exception as error:  # of showing the result
            self._said.object = failure(error, wrong)
        finally:
            self._turn()

    def _turn(self) -> None:
        if self._on_turn:
            self._on_turn()

    def _draw(self, job: Job[Any]) -> None:
        progress = job.progress
        share = f": {progress.fraction:.0%}" if progress.total else ""
        detail = f", {progress.detail}" if progress.detail else ""
        stopping = "Stopping: " if job.stopping else ""
        drawn = bar(f"{stopping}{progress.task}{share}{detail}", progress.fraction)
        if drawn != self._bar.object:
            self._bar.object = drawn
