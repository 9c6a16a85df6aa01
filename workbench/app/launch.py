"""The view that runs a study: what is wrong with it, its parameters, a run and its progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import panel as pn

from workbench.backtest import Run, start
from workbench.backtest.glossary import duration, written
from workbench.checks import check
from workbench.core.errors import InputError, Issue, WorkbenchError
from workbench.core.progress import OnProgress, ShouldStop
from workbench.core.project import Project
from workbench.engine.inspection import check_strategy
from workbench.study import Study, load
from workbench.study.overlay import parameter_overrides
from workbench.widgets.jobs import Job, shortened
from workbench.widgets.look import bar, failure, html, notice, resource

SUFFIXES = (".yaml", ".yml", ".json")

_NO_STUDIES = (
    '<div class="empty"><h2>No studies yet</h2><p>A study is one YAML file in <code>{}</code>: '
    "data, venues, strategy and its parameters. Put one there, or make a project with examples: "
    "<code>workbench init DIR</code>.</p></div>"
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """A study's file, looked at.

    Attributes
    ----------
    text
        The file's.
    study
        None where it cannot be loaded.
    issues
        Everything that keeps it from running.
    parameters
        Those its strategy takes, without those that come from the study's data.

    """

    text: str
    study: Study | None = None
    issues: Sequence[Issue] = ()
    parameters: Sequence[dict[str, Any]] = ()


class LaunchView(pn.viewable.Viewer):
    """Choose a study, change its parameters, run it.

    Parameters
    ----------
    project
        Whose studies.
    on_open
        Called with a run's id when the user wants to see it.

    """

    def __init__(self, project: Project, *, on_open: Callable[[str], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._project, self._on_open = project, on_open
        self._job: Job[Run] | None = None
        self._seen: tuple[Path, float] | None = None
        self._inspection = Inspection("")
        self._fields: dict[str, Any] = {}
        self._style = [resource("controls.css")]
        self._select = pn.widgets.Select(
            name="Study", options=[], width=320, stylesheets=self._style, margin=(0, 0, 4, 0)
        )
        self._about, self._issues, self._source = html(), html(), html()
        self._form = pn.FlexBox(gap="4px 16px", sizing_mode="stretch_width", margin=0)
        self._run = self._button("Run", "primary", self._start)
        self._cancel = self._button("Cancel", "danger", self._stop, visible=False)
        self._open = self._button("Open the run", "default", self._show, visible=False)
        self._progress, self._result = html(), html()
        self._empty = html()
        left = pn.Column(
            self._select, self._about, self._issues, self._form,
            pn.Row(self._run, self._cancel, self._open, styles={"gap": "10px"}, margin=(6, 0)),
            self._progress, self._result,
            styles={"flex": "1 1 480px", "min-width": "0", "gap": "12px"}, margin=0,
        )  # fmt: skip
        right = pn.Column(self._source, styles={"flex": "1 1 480px", "min-width": "0"}, margin=0)
        self._body = pn.FlexBox(
            left, right, flex_wrap="wrap", gap="28px", align_items="flex-start",
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        self._select.param.watch(self._selected, "value")

    def __panel__(self) -> Any:
        return pn.Column(self._empty, self._body, sizing_mode="stretch_width", margin=0)

    def _button(self, name: str, kind: str, does: Callable[[Any], Any], **options: Any) -> Any:
        button = pn.widgets.Button(
            name=name, button_type=kind, stylesheets=self._style, margin=0, min_width=96, **options
        )
        button.on_click(does)
        return button

    async def refresh(self) -> None:
        """List the project's studies; look again at the selected one if its file has changed."""
        folder = self._project.root / "studies"
        found = await asyncio.to_thread(study_files, folder)
        if found != self._select.options:
            self._select.options = found
        self._body.visible = bool(found)
        self._empty.object = "" if found else _NO_STUDIES.format(escape(str(folder)))
        if found:
            self._look()

    def _selected(self, _: Any) -> None:
        self._look()

    def _look(self) -> None:
        """Look at the selected study, unless it is the one shown already."""
        path = self._project.root / "studies" / self._select.value
        seen = (path, path.stat().st_mtime if path.exists() else 0.0)
        if seen != self._seen:
            self._seen = seen
            self._run.disabled = True
            self._issues.object = notice("hint", "Checking the study …")
            pn.state.execute(self._inspect)

    async def _inspect(self) -> None:
        assert self._seen is not None
        seen, path = self._seen, self._seen[0]
        found = await asyncio.to_thread(_inspection, path, self._project)
        if seen != self._seen:  # another was selected meanwhile
            return
        name = path.name
        self._inspection = found
        study = found.study
        self._about.object = _about(study) if study else ""
        told = [str(issue) for issue in found.issues]
        self._issues.object = (
            notice("failure", f"studies/{name} cannot be run", told) if told else ""
        )
        self._source.object = _source(found, f"studies/{name}")
        given = study.strategy.params if study else {}
        self._fields = {one["name"]: _field(one, given, self._style) for one in found.parameters}
        self._form.objects = list(self._fields.values())
        self._run.disabled = bool(told) or self._job is not None
        if self._job is None:
            self._result.object, self._open.visible = "", False

    def _changes(self) -> dict[str, Any]:
        """Return the parameters whose fields say something else than the study."""
        changes: dict[str, Any] = {}
        for name, field in self._fields.items():
            if field.value in (None, "") or field.value == field.tags[0]:
                continue
            if isinstance(field.value, str):
                (parsed,) = parameter_overrides([f"{name}={field.value}"])
                changes[name] = parsed.value
            else:
                changes[name] = field.value
        return changes

    def _start(self, _: Any) -> None:
        self._open.visible, self._result.object = False, ""
        try:
            path = self._project.root / "studies" / self._select.value
            self._job = run_job(path, self._changes(), self._project)
        except InputError as error:
            self._result.object = failure(error, "Refused")
            return
        self._run.disabled, self._cancel.visible, self._cancel.disabled = True, True, False
        self._draw(self._job)

    def _stop(self, _: Any) -> None:
        if self._job:
            self._cancel.disabled = True
            self._job.cancel()

    def _show(self, _: Any) -> None:
        self._on_open(self._open.tags[0])

    def follow(self) -> None:
        """Show how far the run under way has come, and its end."""
        job = self._job
        if job is None:
            return
        if not job.finished:
            self._draw(job)
            return
        self._job = None
        self._cancel.visible, self._progress.object = False, ""
        self._run.disabled = bool(self._inspection.issues)
        if job.error:
            self._result.object = failure(job.error, "Refused: nothing was run")
        elif job.result:
            self._open.tags, self._open.visible = [job.result.id], True
            self._result.object = _result(job.result)

    def _draw(self, job: Job[Run]) -> None:
        share = job.progress.fraction
        self._progress.object = bar(f"{job.progress.task}: {share:.0%}", share)


def run_job(path: Path, params: Mapping[str, Any], project: Project) -> Job[Run]:
    """Start the run of a study's file; a cancelled or failed run is a result as well."""

    def work(heard: OnProgress, should_stop: ShouldStop) -> Run:
        return start(path, params, project=project, on_progress=heard).wait(should_stop)

    return Job(f"Running {path.name}", work, project=project)


def study_files(folder: Path) -> list[str]:
    """Return the names of the studies in a folder."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES)


def _inspection(path: Path, project: Project) -> Inspection:
    """Look at a study's file: it is read, checked, and its strategy is imported elsewhere."""
    text, study, found = "", None, []
    try:
        text = path.read_text(errors="replace")
        study = load(path)
        found = check(study, project)
        parameters = check_strategy(study, project)
    except InputError as error:
        issues = found or error.issues
    except (WorkbenchError, OSError) as error:
        issues = [Issue(str(error))]
    else:
        own = [one for one in parameters if not _from_data(one, study)]
        return Inspection(text, study, shortened(found, project), own)
    return Inspection(text, study, shortened(issues, project))


def _from_data(parameter: dict[str, Any], study: Study) -> bool:
    """Whether the workbench fills a parameter in from the study's data."""
    name = parameter["name"]
    bound = name.rstrip("s") in ("instrument_id", "bar_type")
    return bound and not parameter["required"] and name not in study.strategy.params


def _field(parameter: dict[str, Any], given: dict[str, Any], style: list[str]) -> Any:
    """Return the input of one parameter; its first tag is the value the study gives it."""
    name, kind, default = parameter["name"], parameter["type"], parameter["default"]
    value = given.get(name)
    note = "required" if parameter["required"] else f"default {default}"
    label = f"{name} ({kind})"
    common = {"name": label, "width": 148, "stylesheets": style, "margin": 0}
    if kind == "bool":
        start = value if isinstance(value, bool) else default == "True"
        return pn.widgets.Select(options=[True, False], value=start, tags=[start], **common)
    if kind == "int" and isinstance(value, int | None):
        return pn.widgets.IntInput(value=value, placeholder=note, tags=[value], **common)
    if kind == "float" and isinstance(value, int | float | None):
        number = None if value is None else float(value)
        return pn.widgets.FloatInput(
            value=number, step=_step(number), placeholder=note, tags=[number], **common
        )
    text = "" if value is None else str(value)
    return pn.widgets.TextInput(value=text, placeholder=note, tags=[text], **common)


def _step(value: float | None) -> float:
    """Return how far an arrow moves a number: a tenth of its size."""
    return 10.0 ** (len(str(int(abs(value or 1)))) - 2)


def _about(study: Study) -> str:
    data = "".join(
        f"<p><code>{escape(one.identity)}</code> <span class='muted'>{escape(one.provider)}"
        f"{_span(one)}</span></p>"
        for one in study.data
    )
    said = f"<p>{escape(study.description)}</p>" if study.description else ""
    strategy = f"<p><code>{escape(study.strategy.path)}</code></p>"
    return f"{said}{data}{strategy}"


def _span(spec: Any) -> str:
    start, end = spec.start or "its beginning", spec.end or "its end"
    return escape(f", {start} to {end}") if spec.start or spec.end else ""


def _source(found: Inspection, name: str) -> str:
    """Return the study's text, the lines of its issues marked."""
    wrong = {issue.line: issue.message for issue in found.issues if issue.file == name}
    lines = "".join(
        f'<li class="wrong" title="{escape(wrong[at])}">{escape(line) or " "}</li>'
        if at in wrong
        else f"<li>{escape(line) or ' '}</li>"
        for at, line in enumerate(found.text.splitlines(), 1)
    )
    return f'<h3>{escape(name)}</h3><ol class="source">{lines}</ol>'


def _result(run: Any) -> str:
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
