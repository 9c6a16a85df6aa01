"""A rehearsal from a page: a finished run on a practice venue of its own for some seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from workbench.core.progress import OnProgress, ShouldStop
from workbench.core.project import Project
from workbench.live import Rehearsal, rehearse
from workbench.widgets.look import button, notice, resource
from workbench.widgets.work import Work

SECONDS = (5, 20, 60, 300)


class Rehearse(pn.viewable.Viewer):
    """The button, how far it is, its Cancel button, and what came of it.

    Parameters
    ----------
    project
        Whose runs.
    run
        Returns the id of the run that is chosen; empty for none.
    on_turn
        Called when a rehearsal begins and when it has ended.

    """

    def __init__(
        self, project: Project, run: Callable[[], str], on_turn: Callable[[], None]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._project, self._run, self._on_turn = project, run, on_turn
        self._seconds = pn.widgets.Select(
            name="Rehearse for", options={f"{each} s": each for each in SECONDS}, value=20,
            width=120, margin=0, stylesheets=[resource("controls.css")],
        )  # fmt: skip
        self._go = button("Rehearse", "default", self._begin, align="end")
        self._work = Work(project, on_turn=self._turn)

    def __panel__(self) -> Any:
        line = pn.FlexBox(
            self._seconds, self._go, gap="10px", align_items="flex-end", margin=0,
            sizing_mode="stretch_width",
        )  # fmt: skip
        return pn.Column(
            line, self._work, margin=0, sizing_mode="stretch_width", styles={"gap": "12px"}
        )

    @property
    def busy(self) -> bool:
        """Whether one is under way."""
        return self._work.busy

    def _turn(self) -> None:
        self._go.disabled = self._seconds.disabled = self._work.busy
        self._on_turn()

    def _begin(self, _: Any) -> None:
        run, seconds = self._run(), self._seconds.value
        if not run:
            return

        def work(tell: OnProgress, should_stop: ShouldStop) -> Rehearsal:
            return rehearse(
                run, self._project, seconds=seconds, on_progress=tell, should_stop=should_stop
            )

        self._work.begin("Rehearsing", work, self._rehearsed, wrong="It was not rehearsed")

    def _rehearsed(self, found: Rehearsal) -> None:
        gain = found.equity_end - found.equity_start
        title = "Rehearsed: nothing is open" if found.flat else "Rehearsed, and NOT FLAT"
        played = f"{found.bars_from} to {found.bars_to} in {found.seconds:.0f} s"
        wallet = f"{found.equity_start:,.2f} to {found.equity_end:,.2f} USDT ({gain:+,.2f})"
        lines = [
            f"{played}: {found.orders:,} orders, {found.fills:,} fills",
            f"wallet {wallet}",
            f"its journal is that of the node {found.node_id}",
        ]
        self._work.say(notice("good" if found.flat else "failure", title, lines))
