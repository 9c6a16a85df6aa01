"""Configuring an adapter: its settings, its credentials, and whether it connects."""

from __future__ import annotations

import io
from functools import partial
from html import escape
from typing import Any

import panel as pn
import param

from workbench import adapters
from workbench.adapters import Check, secrets
from workbench.adapters.connection import Step
from workbench.core.errors import Cancelled, InputError, StudyError, WorkbenchError
from workbench.core.files import write_text
from workbench.core.project import Project
from workbench.engine.connection import STEPS
from workbench.live import connections
from workbench.study import StudyStore, edit, loads, source
from workbench.venue import announce
from workbench.widgets import adapter_fields as fields
from workbench.widgets.base import Widget
from workbench.widgets.escape import Escape
from workbench.widgets.form import Form
from workbench.widgets.jobs import Job
from workbench.widgets.look import CARD, bound, button, failure, html, notice, resource
from workbench.widgets.studies import study_files

PRACTICE = "practice"
_SECONDS = 30.0
_TONES = {True: "done", False: "failed", None: "queued"}
_WORDS = {
    "reachable": "Reachable", "clock": "Clock", "authenticated": "Key accepted",
    "permissions": "What the key may do", "instruments": "Instruments",
}  # fmt: skip


class AdapterForm(Widget):
    """Configure an adapter, store its credentials, see whether it connects.

    The form is made of what the installed NautilusTrader says of the adapter: each setting with its
    type, default and help. Credentials go to the keyring or the encrypted file and are never shown
    again. What was set can be put into a study's live section.

    Parameters
    ----------
    project
        Whose studies and practice venue; default: the project of the working folder.
    adapter, environment
        What is shown first.
    dark
        See `Widget`.

    """

    adapter: Any = param.Selector(objects=[], doc="Which adapter.")
    environment: Any = param.Selector(objects=[], doc="live, testnet, demo or practice.")
    settings = param.Dict(default={}, doc="What was set: by side, then as a study writes it.")

    def __init__(
        self,
        project: Project | None = None,
        *,
        adapter: str = "bybit",
        environment: str | None = None,
        dark: bool | None = None,
    ) -> None:
        super().__init__(project, dark=dark)
        self._values: dict[tuple[str, ...], Any] = {}
        self._job: Job[Check] | None = None
        self._storing: Job[str] | None = None
        self._steps: list[Step] = []
        self._stored: dict[str, str] = {}
        self._forgetting = False
        names = [one.name for one in adapters.list_()]
        self.param.adapter.objects = names
        style = [resource("controls.css")]
        self._choice = pn.widgets.Select(
            name="Adapter", options=names, width=220, margin=0, stylesheets=style
        )
        self._where = pn.widgets.Select(
            name="Environment", options=[], width=150, margin=0, stylesheets=style
        )
        self._about = html(
            sizing_mode=None, align="end", margin=(0, 0, 6, 0), styles={"flex": "1 1 200px"}
        )
        self._said = html()
        self._form = Form(on_edit=self._edited, on_action=self._acted)
        self._escape = Escape(lambda: self._acted("keep", "", {}))
        self._check = button("Check the connection", "primary", self._start, min_width=170)
        self._cancel = button("Cancel", "danger", self._stop, disabled=True)
        self._result, self._snippet, self._put_said = html(), html(), html()
        self._study = pn.widgets.Select(
            name="Study", options=[], width=200, margin=0, stylesheets=style
        )
        self._into = button("Put it into the study", "default", self._put, align="end")
        self._place()
        bound(self._choice, self, "adapter")
        bound(self._where, self, "environment")
        self.adapter = adapter
        if environment:
            self.environment = environment

    def _place(self) -> None:
        top = pn.FlexBox(
            self._choice, self._where, self._about,
            gap="10px", align_items="flex-end", margin=0,
            sizing_mode="stretch_width",
        )  # fmt: skip
        card = {"sizing_mode": "stretch_width", "margin": 0, "styles": CARD | {"gap": "10px"}}
        checked = pn.Column(
            html("<h3>Connection</h3>"),
            pn.Row(self._check, self._cancel, styles={"gap": "10px"}, margin=0), self._result,
            **card,
        )  # fmt: skip
        written = pn.Column(
            html("<h3>In a study</h3>"), self._snippet,
            pn.FlexBox(self._study, self._into, gap="10px", align_items="flex-end", margin=0,
                       sizing_mode="stretch_width"),
            self._put_said,
            **card,
        )  # fmt: skip
        flex = {"min-width": "0", "gap": "12px"}
        right = pn.Column(checked, written, styles=flex | {"flex": "1 1 400px"}, margin=0)
        left = pn.Column(self._form, styles=flex | {"flex": "1.3 1 540px"}, margin=0)
        both = pn.FlexBox(
            left, right, flex_wrap="wrap", gap="16px", align_items="flex-start",
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        self.place(
            pn.Column(self._escape, top, self._said, both, sizing_mode="stretch_width", margin=0,
                      styles={"gap": "12px"})
        )  # fmt: skip

    async def refresh(self) -> None:
        """Show the steps of a check under way, and what storing came to."""
        known = study_files(self.project.root / "studies")
        if known != self._study.options:
            self._study.options = known
            self._study.visible = self._into.visible = bool(known)
        if self._job:
            self._draw()
        if self._storing and self._storing.finished:
            job, self._storing = self._storing, None
            if job.error:
                self._said.object = failure(job.error, "It was not stored")
            else:
                self._said.object = notice("good", str(job.result))
            self._read_stored()
            self._show()

    @param.depends("adapter", watch=True)
    def _turned(self) -> None:
        found = adapters.show(self.adapter)
        environments = list(found.environments)
        if self.adapter == connections.PRACTISED:
            environments.append(PRACTICE)
        self._values, self._steps, self._said.object = {}, [], ""
        self.param.environment.objects = environments
        self._where.options = environments
        self._where.visible = bool(environments)
        self.environment = environments[0] if environments else None
        self._stop(None)
        self._job, self._put_said.object = None, ""
        self._about.object = f'<p class="muted">{escape(found.doc)}</p>'
        self._check.disabled = found.data is None
        self._turned_to()

    @param.depends("environment", watch=True)
    def _turned_to(self) -> None:
        self._forgetting = False
        self._result.object = _steps([], under_way=False)
        self._read_stored()
        self._show()

    def _read_stored(self) -> None:
        self._stored = {}
        try:
            if not secrets.waits():
                self._stored = {
                    one.field: one.where
                    for one in secrets.list_()
                    if (one.adapter, one.environment) == (self.adapter, self.environment)
                }
        except WorkbenchError as error:
            self._said.object = failure(error, "The store of secrets cannot be read")

    def _show(self) -> None:
        if not self.adapter:
            return
        found = adapters.show(self.adapter)
        practice = self.environment == PRACTICE
        words = self._practice() if practice else ""
        waits = "" if practice else secrets.waits()
        first = fields.credentials(
            found, str(self.environment), self._stored, waits=waits, practice=words
        )
        self._escape.on_now = self._forgetting
        if self._forgetting:
            first["actions"] = [
                {"id": "forget!", "label": "Remove them for good", "tone": "danger"},
                {"id": "keep", "label": "Keep them"},
            ]
        errors = fields.wrong(found, self._values, "live" if practice else str(self.environment))
        self._form.groups = [first, *fields.settings(found, self._values, errors)]
        self.settings = {side.side: fields.nested(self._values, side.side) for side in found.sides}
        text = io.StringIO()
        _yaml().dump({"live": self._live()}, text)
        self._snippet.object = f"<pre>{escape(text.getvalue())}</pre>"
        self._into.disabled = bool(errors)

    def _practice(self) -> str:
        try:
            venue = announce.find(self.project)
        except WorkbenchError as error:
            return str(error)
        return f"The practice venue's own, at {venue.url}: {len(venue.instruments)} instruments"

    def _live(self) -> dict[str, Any]:
        """Return the live section that what was set makes."""
        found = adapters.show(self.adapter)
        names = {"live": "live", PRACTICE: PRACTICE}
        live: dict[str, Any] = {"environment": names.get(str(self.environment), "testnet")}
        for side, section, other in (
            (found.data, "feeds", "replay"), (found.execution, "execution", "sandbox")
        ):  # fmt: skip
            entry: dict[str, Any] = {"adapter": self.adapter if side else other}
            if side:
                known = side.environments.get(str(self.environment), {})
                entry |= {**known, **fields.nested(self._values, side.side)}
            live[section] = [entry]
        if not found.data or not found.execution:
            live["environment"] = "sandbox"
        return live

    def _edited(self, key: str, value: Any) -> None:
        path = tuple(key.split("."))
        item = fields.find(adapters.show(self.adapter), path)
        if item is None:
            return
        if value == "" or (isinstance(value, list) and value == (item.default or [])):
            self._values.pop(path, None)
        else:
            self._values[path] = fields.read(item.kind, value)
        self._show()

    def _acted(self, action: str, _: str, values: dict[str, str]) -> None:
        verb, _, side = action.partition(":")
        name, environment = str(self.adapter), str(self.environment)
        given = {key.rpartition(".")[2]: value for key, value in values.items()}
        match verb:
            case "reset":
                self._values = {k: v for k, v in self._values.items() if k[0] != side}
            case "store" if not given:
                self._said.object = notice("warning", "Nothing was entered: nothing was stored")
            case "store":
                self._work(partial(_store, name, environment, given))
            case "unlock":
                self._work(partial(_unlock, given.get("passphrase", "")))
            case "forget" | "keep":
                self._forgetting = verb == "forget"
            case "forget!":
                self._forgetting = False
                self._work(partial(_forget, name, environment))
        self._show()

    def _work(self, work: Any) -> None:
        # Deriving the key of an encrypted file takes a moment.
        self._storing = Job("Storing", lambda *_: work())

    def _start(self, _: Any) -> None:
        self._steps = []
        name, environment = str(self.adapter), str(self.environment)
        chosen = fields.nested(self._values, "data")

        def work(_: Any, should_stop: Any) -> Check:
            return connections.check(
                name, environment=environment, project=self.project, settings=chosen,
                timeout=_SECONDS, on_step=self._steps.append, should_stop=should_stop,
            )  # fmt: skip

        self._check.disabled, self._cancel.disabled = True, False
        self._job = Job("Checking the connection", work)
        self._draw()

    def _stop(self, _: Any) -> None:
        if self._job:
            self._job.cancel()
            self._cancel.disabled = True

    def _draw(self) -> None:
        job = self._job
        if job is None:
            return
        said = ""
        if job.finished:
            self._job = None
            self._check.disabled, self._cancel.disabled = False, True
            if isinstance(job.error, Cancelled):
                said = notice("hint", "Cancelled")
            elif job.error:
                said = failure(job.error, "It could not be checked")
            elif job.result and job.result.ok:
                said = notice("good", f"It works: all told in {job.result.seconds:.1f} s")
            else:
                said = notice("failure", "It does not work: see the step that failed")
        self._result.object = _steps(self._steps, under_way=not job.finished) + said

    def _put(self, _: Any) -> None:
        """Put the live section into the chosen study, if that is then valid."""
        path = self.project.root / "studies" / str(self._study.value)
        live, name = self._live(), f"studies/{self._study.value}"
        try:
            text = path.read_text()
            there = source.read_text(text, name)[0].get("live")
            parts: dict[str, Any] = live if isinstance(there, dict) else {"": live}
            for key, value in parts.items():
                text = edit.put(text, ("live", key) if key else ("live",), value)
            study = loads(text, name)
            if issues := adapters.check_study(study):
                raise StudyError(issues)
            write_text(path, text)
            version = StudyStore(self.project).save(study)
        except (OSError, InputError) as error:
            shown = error if isinstance(error, InputError) else InputError(str(error))
            self._put_said.object = failure(shown, f"{name} was left as it is")
            return
        words = f"{name} goes live with it: stored as version {version}"
        self._put_said.object = notice("good", words)


def _store(name: str, environment: str, values: dict[str, str]) -> str:
    entries = secrets.set_fields(name, environment, values)
    names = ", ".join(entry.field for entry in entries)
    return f"Stored {names} of {name} ({environment}): {entries[0].where}"


def _unlock(passphrase: str) -> str:
    if not passphrase:
        raise InputError("no passphrase was entered")
    secrets.unlock(passphrase)
    return "The store is open"


def _forget(name: str, environment: str) -> str:
    entries = secrets.remove(name, environment)
    return f"Removed {', '.join(entry.field for entry in entries)} of {name} ({environment})"


def _steps(found: list[Step], *, under_way: bool) -> str:
    """Return the steps of a check; of those to come, the first is under way."""
    rows = []
    known = {step.name: step for step in list(found)}
    for name in STEPS:
        step = known.get(name)
        if step:
            took = "" if step.seconds is None else f"{step.seconds:.2f} s"
            tone, detail = _TONES[step.ok], step.detail
        else:
            tone, took = "queued", ""
            detail = "…" if under_way else "not tried"
            if under_way and name == STEPS[min(len(known), len(STEPS) - 1)]:
                tone, detail = "running", "trying …"
        mark = f'<span class="status {tone}">{_WORDS[name]}</span>'
        rows.append(
            f'<tr><th scope="row">{mark}</th><td class="said">{escape(detail)}</td>'
            f"<td>{took}</td></tr>"
        )
    return f'<table class="steps"><tbody>{"".join(rows)}</tbody></table>'


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
