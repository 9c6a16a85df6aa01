"""A sweep: started, watched and understood: results as they come, a heat map, what matters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import param

from workbench.backtest import (
    RunStore,
    SweepResult,
    cancel_sweep,
    resume_sweep,
    run_sweep,
    sweep_results,
)
from workbench.backtest.glossary import TERMS
from workbench.backtest.insight import STATISTICS, in_words, ranked, short, varied
from workbench.core.progress import OnProgress, ShouldStop
from workbench.core.project import Project
from workbench.widgets.base import Widget
from workbench.widgets.look import CARD, button, drawing, failure, figure, html, notice, resource
from workbench.widgets.rows import Rows
from workbench.widgets.run_detail import RunDetail
from workbench.widgets.studies import NO_STUDIES, study_files
from workbench.widgets.sweep_pieces import Plan, columns, counts, row, shares
from workbench.widgets.turns import in_turns
from workbench.widgets.work import Work

MOST = 200

_NO_SWEEP = '<div class="empty"><h2>No sweep of this study yet</h2><p>{}</p></div>'


class SweepBoard(Widget):
    """Run a study over a grid of parameters and see what comes of it, as it comes.

    Sweeps that other processes run are followed as well, and can be cancelled.

    Parameters
    ----------
    project, dark
        As for every `Widget`.
    study
        The file chosen at first, by its name in ``studies/``; default: the first with a sweep.
    on_open
        Called with a run's id when the user selects a point; default: the run is shown below.

    """

    study: Any = param.String(default="", doc="The file chosen, by its name in ``studies/``.")
    sweep: Any = param.String(default="", doc="Id of the sweep shown; empty for none.")
    statistic: Any = param.Selector(
        default=STATISTICS[0], objects=list(STATISTICS), doc="What points are compared by."
    )

    def __init__(
        self,
        project: Project | None = None,
        *,
        dark: bool | None = None,
        study: str = "",
        on_open: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(project, dark=dark)
        self._store = RunStore(self.project)
        self._on_open = on_open
        self.result: SweepResult | None = None
        self._files: dict[str, tuple[float, Plan]] = {}
        self._seen: object = None
        self._started = ""
        self._drawn: object = None
        self._drawing = False
        style = [resource("controls.css")]

        def select(name: str, width: int, **options: Any) -> Any:
            return pn.widgets.Select(name=name, width=width, margin=0, stylesheets=style, **options)

        self._study = select("Study", 240, options=[])
        self._sweep = select("Sweep", 280, options={"": ""})
        self._statistic = select(
            "Compared by", 180, options={TERMS[name].label: name for name in STATISTICS}
        )
        self._x, self._y = select("Across", 150, options={}), select("Down", 150, options={})
        self._run = button("Run the sweep", "primary", self._go, align="end", disabled=True)
        self._resume = button("Run what is missing", "default", self._go_on, align="end")
        self._resume.visible = False
        self._stop = button("Cancel the sweep", "danger", self._cancel, align="end", visible=False)
        self._work = Work(self.project, on_turn=self._turn)
        self._about, self._state, self._words, self._shares = html(), html(), html(), html()
        self._empty, self._none = html(), html()
        self._table = Rows("Points of the sweep", tall=420, placeholder="No point yet.")
        self._chart = pn.Column(sizing_mode="stretch_width", margin=0)
        self._detail = RunDetail(self.project)
        self._detail.visible = False
        axes = pn.FlexBox(
            self._statistic, self._x, self._y, gap="8px 12px", margin=0, sizing_mode="stretch_width"
        )
        words = pn.Column(
            self._words, self._shares,
            styles=CARD | {"flex": "1 1 400px", "min-width": "0", "gap": "12px"}, margin=0,
        )  # fmt: skip
        chart = pn.Column(
            axes, self._chart, styles=CARD | {"flex": "1.5 1 520px", "min-width": "0"}, margin=0
        )
        self._board = pn.Column(
            self._state,
            pn.FlexBox(chart, words, flex_wrap="wrap", gap="16px", align_items="stretch",
                       sizing_mode="stretch_width", margin=0),
            self._table,
            html('<p class="muted small">The best first. Click a point to see its run.</p>'),
            self._detail,
            sizing_mode="stretch_width", margin=0, styles={"gap": "14px"}, visible=False,
        )  # fmt: skip
        self._head = pn.Column(
            pn.FlexBox(self._study, self._run, self._sweep, self._resume, self._stop,
                       gap="12px",
                       align_items="flex-end", margin=0, sizing_mode="stretch_width"),
            self._about, self._work,
            sizing_mode="stretch_width", margin=0, styles={"gap": "10px"}, visible=False,
        )  # fmt: skip
        self.place(
            self._empty,
            pn.Column(self._head, self._none, self._board, sizing_mode="stretch_width", margin=0,
                      styles={"gap": "16px"}),
        )  # fmt: skip
        self._study.param.watch(self._study_chosen, "value")
        self._sweep.param.watch(self._sweep_chosen, "value")
        self._statistic.param.watch(self._statistic_chosen, "value")
        for one in (self._x, self._y):
            one.param.watch(lambda _: self._redraw(), "value")
        self._table.param.watch(self._click, "selected")
        self.study = study.removeprefix("studies/")

    async def refresh(self) -> None:
        """Look at the studies and the run store again, where they have changed."""
        folder = self.project.root / "studies"
        await asyncio.to_thread(self._look, folder)
        files = list(self._files)
        self._head.visible = bool(files)
        self._empty.object = "" if files else NO_STUDIES.format(escape(str(folder)))
        if not files:
            return
        if files != self._study.options:
            first = next((one for one in files if self._files[one][1].points), files[0])
            self._study.param.update(
                options=files, value=self.study if self.study in files else first
            )
        self._say()
        if self._started:
            self.sweep, self._started = self._started, ""
        stamp = (self._store.stamp(), self.study, self.sweep)
        if stamp != self._seen or (self.result and self.result.status == "running"):
            self._seen = stamp
            await self._read()

    def _look(self, folder: Path) -> None:
        """Read the studies whose files have changed; in a thread."""
        names = study_files(folder)
        self._files = {
            name: known
            if (known := self._files.get(name)) and known[0] == (folder / name).stat().st_mtime
            else ((folder / name).stat().st_mtime, Plan(folder / name, self.project))
            for name in names
        }

    @property
    def _plan(self) -> Plan | None:
        return self._files[self.study][1] if self.study in self._files else None

    def _say(self) -> None:
        """Say what the chosen study's sweep is, or why it has none."""
        plan = self._plan
        if plan is not None and self._about.object != plan.told:
            self._about.object = plan.told
        self._turn()

    def _turn(self) -> None:
        plan, result, busy = self._plan, self.result, self._work.busy
        self._run.disabled = busy or plan is None or not plan.points
        missing = len(result.points) - result.counts["done"] if result else 0
        under_way = result is not None and result.status == "running"
        self._resume.visible = bool(missing and not under_way and not busy)
        self._stop.visible = bool(result and result.under_way and not busy)

    async def _read(self) -> None:
        """Read the sweeps of the study, and the results of the one shown."""
        plan = self._plan
        name = plan.name if plan else ""
        known = await asyncio.to_thread(self._store.sweeps, limit=MOST)
        own = [one for one in known if one["name"] == name]
        options = {
            f"{one['created'][:19].replace('T', ' ')}, {one['points']:,} points": one["id"]
            for one in own
        }
        if options != self._sweep.options:
            self._sweep.options = options or {"none yet": ""}
        if self.sweep not in options.values():
            self.sweep = own[0]["id"] if own else ""
        if self._sweep.value != self.sweep and self.sweep:
            self._sweep.value = self.sweep
        if not self.sweep:
            self.result = None
            self._board.visible = False
            hint = ("<b>Run the sweep</b>: its points appear here as they are done."
                    if plan and plan.points else "Choose a study that has one.")  # fmt: skip
            self._none.object = _NO_SWEEP.format(hint)
            self._turn()
            return
        self._none.object = ""
        self.result = await asyncio.to_thread(sweep_results, self.sweep, project=self.project)
        self._show()

    def _show(self) -> None:
        """Show the results there are; the chart only where they have changed."""
        result = self.result
        if result is None:
            return
        self._board.visible = True
        self._state.object = counts(result)
        lines = "".join(f"<p>{escape(line)}</p>" for line in in_words(result, self.statistic))
        self._words.object = f"<h3>In words</h3>{lines}"
        self._shares.object = shares(result, self.statistic)
        names = {short(name): name for name in varied(result)}
        if names != self._x.options:
            chosen = list(names.values())
            self._x.param.update(options=names, value=chosen[-2] if len(names) > 1 else chosen[0]
                                 if chosen else None)  # fmt: skip
            self._y.param.update(options=names, value=chosen[-1] if chosen else None)
            self._y.visible = len(names) > 1
        self._place(result)
        self._turn()
        self._redraw()

    def _place(self, result: SweepResult) -> None:
        """Put the points in the table; what is selected stays selected."""
        names = list(result.points[0]) if result.points else []
        best = ranked(result, self.statistic)
        known = {run.id for run in best}
        others = [run for run in result.runs if run.id not in known]
        rows = [row(run, names) for run in (*best, *others)]
        wanted = columns(names)
        if wanted != self._table.columns:
            self._table.param.update(columns=wanted, rows=rows)
        elif rows != self._table.rows:
            self._table.rows = rows

    def _click(self, event: Any) -> None:
        runs = [run for run in self.result.runs if run.id in event.new] if self.result else []
        if self._on_open and runs:
            self._on_open(runs[0].id)
        elif not self._on_open:
            self._detail.visible = bool(runs)
            self._detail.display(runs, dark=self.dark)

    @param.depends("dark", "statistic", watch=True)
    def _again(self) -> None:
        self._statistic.value = self.statistic
        self._show()

    def _redraw(self) -> None:
        """Draw the chart, unless it shows what is known already."""
        if self.result is None or not self._x.value:
            self._chart.objects = [html('<p class="muted">The sweep has one point only.</p>')]
            return
        done = frozenset(run.id for run in self.result.runs if run.status == "done")
        y = self._y.value if self._y.value != self._x.value else None
        wanted = (self.result.id, done, self.statistic, self._x.value, y, self.dark)
        if wanted == self._drawn or self._drawing:
            return
        self._drawn, self._drawing = wanted, True
        in_turns(self._draw)

    async def _draw(self) -> None:
        result, x, statistic, dark = self.result, self._x.value, self.statistic, self.dark
        y = self._y.value if self._y.value != x else None
        assert result is not None

        def work() -> Any:
            from workbench.backtest.sweep_charts import over

            with drawing:
                return figure(over(result, statistic, x, y), dark=dark)

        try:
            drawn = await asyncio.to_thread(work)
            self._chart.objects = [pn.pane.Bokeh(drawn, sizing_mode="stretch_width", margin=0)]
        except Exception as error:
            self._chart.objects = [html(failure(error, "The chart cannot be drawn"))]
        finally:
            self._drawing = False
        self._redraw()  # what has come meanwhile

    def _study_chosen(self, event: Any) -> None:
        if event.new and event.new != self.study:
            self.study, self.sweep = event.new, ""

    def _sweep_chosen(self, event: Any) -> None:
        if event.new:
            self.sweep = event.new

    def _statistic_chosen(self, event: Any) -> None:
        self.statistic = event.new

    def _go(self, _: Any) -> None:
        path = self.project.root / "studies" / self.study

        def work(heard: OnProgress, should_stop: ShouldStop) -> SweepResult:
            return run_sweep(
                path, project=self.project, on_progress=heard, on_start=self._begun,
                should_stop=should_stop,
            )  # fmt: skip

        self._work.begin(f"Sweep of {self.study}", work, self._ended)

    def _go_on(self, _: Any) -> None:
        sweep = self.sweep

        def work(heard: OnProgress, should_stop: ShouldStop) -> SweepResult:
            return resume_sweep(
                sweep, project=self.project, on_progress=heard, should_stop=should_stop
            )

        self._work.begin(f"Sweep {sweep}", work, self._ended)

    async def _cancel(self, _: Any) -> None:
        """Cancel a sweep that another page or another process runs."""
        self._stop.disabled = True
        try:
            await asyncio.to_thread(cancel_sweep, self.sweep, project=self.project)
            self._work.say(notice("hint", "Cancelled"))
            await self._read()
        except Exception as error:  # said beside the button
            self._work.say(failure(error, "The sweep cannot be cancelled"))
        finally:
            self._stop.disabled = False

    def _begun(self, sweep_id: str) -> None:
        self._started = sweep_id

    def _ended(self, result: SweepResult) -> None:
        found = result.counts
        tone = "warning" if found["failed"] else "good"
        self._work.say(notice(tone, f"{found['done']:,} of {len(result.points):,} points done"))
