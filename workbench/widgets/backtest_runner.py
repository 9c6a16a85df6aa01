"""Running a study: what is wrong with it, its parameters, a run, its progress and its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import param

from workbench.backtest import Run, start
from workbench.backtest.glossary import duration, written
from workbench.core.errors import InputError, WorkbenchError
from workbench.core.progress import OnProgress, ShouldStop
from workbench.core.project import Project
from workbench.engine.inspection import check_strategy
from workbench.study import Study
from workbench.study.overlay import parameter_overrides
from workbench.widgets.base import Widget
from workbench.widgets.form import Field, Form
from workbench.widgets.look import button, html, notice, resource
from workbench.widgets.run_detail import RunDetail
from workbench.widgets.studies import NO_STUDIES, Inspection, about, inspect, source, study_files
from workbench.widgets.turns import in_turns
from workbench.widgets.under_way import UnderWay
from workbench.widgets.work import Work

_ASIDE = (
    '<div class="empty"><h2>No result yet</h2><p>Change parameters if you like, then <b>Run</b>. '
    "What is missing of the data is fetched first.</p></div>"
)


class BacktestRunner(Widget):
    """Choose a study, change its parameters for one run, run it, look at the result.

    The files of ``studies/`` are looked at again as soon as they change. A run of the study that
    another page or process has begun is followed, and can be cancelled.

    Parameters
    ----------
    project, dark
        As for every `Widget`.
    study
        The file chosen at first, by its name in ``studies/``.
    on_open
        Called with a run's id when the user wants to see it elsewhere; default: it is shown here.

    """

    study: Any = param.String(default="", doc="The file chosen, by its name in ``studies/``.")

    def __init__(
        self,
        project: Project | None = None,
        *,
        dark: bool | None = None,
        study: str = "",
        on_open: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(project, dark=dark)
        self.run: Run | None = None
        self._on_open = on_open
        self._seen: tuple[Path, float] | None = None
        self._inspection = Inspection("")
        self._edits: dict[str, str] = {}
        self._wrong: dict[str, str] = {}
        self._checking = self._asked = False
        self._select = pn.widgets.Select(
            name="Study", options=[], width=320, margin=0, stylesheets=[resource("controls.css")]
        )
        self._select.param.watch(self._selected, "value")
        self._about, self._issues, self._source = html(), html(), html()
        self._form = Form(on_edit=self._edit, on_action=self._reset, visible=False)
        self._refused = html()
        self._start = button("Run", "primary", self._go, disabled=True)
        self._open = button("Open the run", "default", self._show, visible=False)
        self._work = Work(self.project, on_turn=self._turn)
        self._under_way = UnderWay(self.project)
        self._empty, self._aside = html(), html(_ASIDE if on_open is None else "")
        self._detail = RunDetail(self.project)
        self._detail.visible = False
        left = pn.Column(
            self._select, self._about, self._issues, self._form, self._refused,
            pn.Row(self._start, self._open, margin=0, styles={"gap": "10px"}),
            self._work, self._under_way, self._source,
            styles={"flex": "1 1 460px", "min-width": "0", "gap": "12px"}, margin=0,
        )  # fmt: skip
        right = pn.Column(
            self._aside, self._detail, styles={"flex": "1.4 1 560px", "min-width": "0"}, margin=0,
            visible=on_open is None,
        )  # fmt: skip
        self._parts = pn.FlexBox(
            left, right, flex_wrap="wrap", gap="24px", align_items="flex-start",
            sizing_mode="stretch_width", margin=0, visible=False,
        )  # fmt: skip
        self.place(self._empty, self._parts)
        self.study = study.removeprefix("studies/")

    async def refresh(self) -> None:
        """List the project's studies; look again at the chosen one if its file has changed."""
        folder = self.project.root / "studies"
        found = await asyncio.to_thread(study_files, folder)
        if found != self._select.options:
            value = self.study if self.study in found else next(iter(found), None)
            self._select.param.update(options=found, value=value)
        self._parts.visible = bool(found)
        self._empty.object = "" if found else NO_STUDIES.format(escape(str(folder)))
        if found:
            self._look()
            await self._follow()

    async def _follow(self) -> None:
        """Show a run that another page or process has begun, such as this page before a reload."""
        study = self._inspection.study
        if study is None or self._work.busy:
            self._under_way.hide()
            return
        ended = await self._under_way.look(study.name)
        if ended is not None and not self._work.busy:
            self._ended(ended)

    def _selected(self, _: Any) -> None:
        if self._select.value:
            self.study = self._select.value

    @param.depends("study", watch=True)
    def _turned(self) -> None:
        if self.study in self._select.options:
            self._select.value = self.study
            self._look()

    def _look(self) -> None:
        """Look at the chosen study, unless it is the one shown already."""
        path = self.project.root / "studies" / self._select.value
        seen = (path, path.stat().st_mtime if path.exists() else 0.0)
        if seen != self._seen:
            if self._seen is None or self._seen[0] != path:
                self._edits = {}
            self._seen = seen
            self._start.disabled = True
            self._issues.object = notice("hint", "Checking the study …")
            in_turns(self._inspect)

    async def _inspect(self) -> None:
        assert self._seen is not None
        seen, path = self._seen, self._seen[0]
        found = await asyncio.to_thread(inspect, path, self.project)
        if seen != self._seen:  # another was chosen meanwhile
            return
        name = path.name
        self._inspection, self._wrong = found, {}
        self._about.object = about(found.study) if found.study else ""
        told = [str(issue) for issue in found.issues]
        self._issues.object = (
            notice("failure", f"studies/{name} cannot be run", told) if told else ""
        )
        self._source.object = source(found, f"studies/{name}")
        self._refused.object = ""
        self._fill()

    def _fill(self) -> None:
        """Show the parameters: what is typed, what is wrong with it, what counts otherwise."""
        found = self._inspection
        given = found.study.strategy.params if found.study else {}
        fields = [
            _field(one, given, self._edits.get(one["name"]), self._wrong.get(one["name"], ""))
            for one in found.parameters
        ]
        changed = any(field["changed"] for field in fields)
        actions = [{"id": "reset", "label": "As the study has them"}] if changed else []
        group = {"id": "parameters", "title": "Parameters of this run", "level": 0, "open": True,
                 "fields": fields, "actions": actions}  # fmt: skip
        self._form.groups = [group]
        self._form.visible = bool(fields)
        self._turn()

    def _edit(self, name: str, value: Any) -> None:
        self._edits[name] = str(value)
        self._fill()
        self._asked = True
        if not self._checking:
            self._checking = True
            in_turns(self._check)

    def _reset(self, *_: Any) -> None:
        self._edits, self._wrong, self._refused.object = {}, {}, ""
        self._fill()

    async def _check(self) -> None:
        """Check the parameters as the strategy's config does; once more if they have changed."""
        try:
            while self._asked:
                self._asked = False
                study, changes = self._inspection.study, self._changes()
                if study is None:
                    return
                issues = await asyncio.to_thread(_refusals, study, changes, self.project)
                self._wrong = {
                    path.removeprefix("strategy.params."): message
                    for path, message in issues
                    if path.startswith("strategy.params.")
                }
                others = [said for path, said in issues if not path.startswith("strategy.params.")]
                self._refused.object = (
                    notice("failure", "These parameters are refused", others) if others else ""
                )
                self._fill()
        finally:
            self._checking = False

    def _changes(self) -> dict[str, Any]:
        """Return the parameters that are set to something else than the study has."""
        found = self._inspection
        given = found.study.strategy.params if found.study else {}
        changes: dict[str, Any] = {}
        for one in found.parameters:
            name, text = one["name"], self._edits.get(one["name"], "").strip()
            if text and text != _text(given.get(name)):
                changes[name] = text if one["type"] == "str" else _parsed(name, text)
        return changes

    def _go(self, _: Any) -> None:
        name = self._select.value
        path, changes = self.project.root / "studies" / name, self._changes()

        def work(heard: OnProgress, should_stop: ShouldStop) -> Run:
            running = start(path, changes, project=self.project, on_progress=heard)
            return running.wait(should_stop)

        self._open.visible = False
        self._work.begin(f"Running {name}", work, self._ended, wrong="Refused: nothing was run")

    def _ended(self, run: Run) -> None:
        self.run = run
        self._work.say(_result(run))
        if self._on_open:
            self._open.visible = True
            return
        self._aside.object, self._detail.visible = "", True
        self._detail.display([run], dark=self.dark)

    @param.depends("dark", watch=True)
    def _redraw(self) -> None:
        if self.run and not self._on_open:
            self._detail.display([self.run], dark=self.dark)

    def _show(self, _: Any) -> None:
        if self._on_open and self.run:
            self._on_open(self.run.id)

    def _turn(self) -> None:
        self._start.disabled = bool(self._work.busy or self._inspection.issues or self._wrong)


def _refusals(study: Study, changes: Mapping[str, Any], project: Project) -> list[tuple[str, str]]:
    """Return path and message of everything that is wrong with other parameters."""
    try:
        check_strategy(study.with_values(changes) if changes else study, project)
    except InputError as error:
        return [(issue.path, issue.message) for issue in error.issues]
    except WorkbenchError as error:
        return [("", str(error))]
    return []


def _parsed(name: str, text: str) -> Any:
    """Read what was typed as a study would; text that is no YAML stays text."""
    try:
        (parsed,) = parameter_overrides([f"{name}={text}"])
    except InputError:
        return text
    return parsed.value


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _field(
    parameter: dict[str, Any], given: Mapping[str, Any], typed: str | None, wrong: str
) -> Field:
    """Return the control of one parameter."""
    name, kind = parameter["name"], parameter["type"]
    own = _text(given.get(name))
    field: Field = {
        "key": name, "label": name, "kind": "text", "value": own if typed is None else typed,
        "placeholder": own or _text(parameter["default"]), "error": wrong,
        "help": f"{kind}{_counts(parameter, own)}", "required": parameter["required"],
        "changed": typed is not None and typed.strip() not in ("", own),
    }  # fmt: skip
    if kind in ("int", "float", "Decimal"):
        field["kind"] = "number"
    elif kind == "bool":
        field |= {"kind": "choice", "options": ["True", "False"]}
    return field


def _counts(parameter: dict[str, Any], own: str) -> str:
    """Say what counts where nothing is typed."""
    if own:
        return f", the study has {own}"
    return ", required" if parameter["required"] else f", default {parameter['default']}"


def _result(run: Run) -> str:
    if run.status == "done":
        gain = written(run.statistics.get("total_return"), "percent", sign=True)
        sharpe = written(run.statistics.get("sharpe"), "ratio")
        took = duration(run.seconds or 0)
        title = f"Done in {took}: return {gain}, Sharpe ratio {sharpe}, {run.n_fills:,} fills"
        return notice("good", title, run.warnings)
    if run.status == "cancelled":
        return notice("hint", "Cancelled")
    reason, _, rest = (run.error or "").partition("\n")
    return notice("failure", f"Failed: {reason}", pre=rest)
