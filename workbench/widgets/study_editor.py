"""Editing a study: its form and its text side by side, what is wrong with it, its versions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import panel as pn
import param

from workbench import checks
from workbench.core.errors import InputError, Issue, StudyError
from workbench.core.project import Project
from workbench.study import Study, StudyStore, diff, edit, loads, source
from workbench.study.fields import is_name
from workbench.study.places import Path as Place
from workbench.widgets import study_hints as hints
from workbench.widgets.base import Widget
from workbench.widgets.escape import Escape
from workbench.widgets.form import Form, YamlEditor
from workbench.widgets.jobs import Job
from workbench.widgets.look import button, failure, html, notice, resource
from workbench.widgets.studies import SUFFIXES, study_files
from workbench.widgets.study_draft import Draft, acted, mended, told
from workbench.widgets.study_form import FEES, Known, StudyForm, read
from workbench.widgets.study_known import known_of
from workbench.widgets.study_versions import Versions

_PAUSE_SECONDS = 0.6  # after the last key before data and strategy are looked at


class StudyEditor(Widget):
    """Edit the studies of a project as a form and as text, which are kept in step.

    What is wrong is told while it is typed, at the field and at the line; what the data, the
    strategy and the adapters say of it follows after a moment. Saving writes the file and stores a
    version; any version can be compared and brought back. Nothing is written before that.

    Parameters
    ----------
    project
        Whose studies; default: the project of the working folder.
    study
        Which is opened, a file's name in ``studies/``; default: the first.
    dark
        See `Widget`.

    """

    study = param.String(default="", doc="The file that is open, as seen from ``studies/``.")
    valid: Any = param.Boolean(default=False, doc="Whether the text is a valid study.")

    def __init__(
        self, project: Project | None = None, *, study: str = "", dark: bool | None = None
    ) -> None:
        super().__init__(project, dark=dark)
        self._draft: Draft | None = None
        self._form_spec: StudyForm | None = None
        self._issues: Sequence[Issue] = ()
        self._deep: Sequence[Issue] | None = None
        self._due: float | None = None
        self._job: Job[tuple[list[Issue], Known]] | None = None
        self._checked = ""
        self._known = Known()
        style = [resource("controls.css")]
        self._select = pn.widgets.Select(
            name="Study", options=[], width=240, margin=0, stylesheets=style
        )
        self._select.param.watch(self._selected, "value")
        self._name = pn.widgets.TextInput(
            name="New study", placeholder="its name", width=150, margin=0, stylesheets=style
        )
        self._make = button("Make", "default", self._create, min_width=70, align="end")
        self._undo = button("Undo", "default", lambda _: self._step(-1), min_width=70, align="end")
        self._redo = button("Redo", "default", lambda _: self._step(1), min_width=70, align="end")
        self._save = button("Save", "primary", lambda _: self.save(), min_width=90, align="end")
        self._load = button("Load the file", "default", self._reload, visible=False)
        self._over = button("Save over it", "danger", self._force, visible=False)
        self._state = html(sizing_mode=None, min_width=120, align="end", margin=(0, 0, 6, 0))
        self._said = html()
        self._form = Form(on_edit=self._edited, on_action=self._acted)
        self._yaml = YamlEditor(on_message=self._heard)
        self._escape = Escape(self._leave_it)
        self._versions = Versions(self.project, on_back=self._bring_back)
        top = pn.FlexBox(
            self._select, self._name, self._make, pn.Spacer(styles={"flex": "1"}), self._state,
            self._undo, self._redo, self._save,
            gap="10px", align_items="flex-end", margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        left = pn.Column(self._form, styles={"flex": "1.1 1 520px", "min-width": "0"}, margin=0)
        right = pn.Column(
            self._yaml, self._versions,
            styles={
                "flex": "1 1 460px", "min-width": "0", "gap": "12px",
                "position": "sticky", "top": "12px",
            },
            margin=0,
        )  # fmt: skip
        self._both = pn.FlexBox(
            left, right, flex_wrap="wrap", gap="16px", align_items="flex-start",
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        self._empty = html()
        choice = pn.Row(self._load, self._over, styles={"gap": "10px"}, margin=0)
        self.place(
            pn.Column(
                self._escape, top, self._said, choice, self._empty, self._both,
                sizing_mode="stretch_width", styles={"gap": "12px"}, margin=0,
            )
        )  # fmt: skip
        self._list()
        if study:
            self.study = study
        elif self._select.options:
            self.study = self._select.options[0]
        else:
            self._show()

    @property
    def text(self) -> str:
        """The text as it is now, saved or not."""
        return self._draft.text if self._draft else ""

    @property
    def changed(self) -> bool:
        """Whether there is something that is not saved."""
        return self._draft is not None and self._draft.changed

    async def refresh(self) -> None:
        """Look at the file, and at the study's data and strategy once nobody types."""
        self._list()
        if self._draft and not self._load.visible and self._draft.overtaken():
            if self._draft.changed:
                self._conflict("studies/{} has been changed by somebody else, and here too")
            else:
                self._reload(None)
        if self._job and self._job.finished:
            self._take(self._job)
        if self._due and time.monotonic() >= self._due and self._job is None:
            self._examine()

    def save(self, *, over: bool = False) -> int | None:
        """Write the file and store the study as a version.

        Parameters
        ----------
        over
            Write even if the file has been changed by somebody else since.

        Returns
        -------
        int or None
            The version; None if it was refused, which is said on the page.

        """
        draft = self._draft
        if draft is None:
            return None
        try:
            study = loads(draft.text, self._shown_name())
            if not over and draft.there() not in (draft.base, draft.text):
                self._conflict("studies/{} was changed by somebody else: nothing was saved")
                return None
            draft.write()
            version = StudyStore(self.project).save(study)
        except StudyError as error:
            first = error.issues[0]
            self._said.object = failure(error, "Not saved: first this has to be mended")
            if first.line:
                self._yaml.go_to(first.line)
            return None
        except (OSError, InputError) as error:
            self._said.object = failure(error, "Not saved")
            return None
        self._ask(False)
        self._said.object = notice("good", f"Saved as version {version} of {study.name}")
        self._show()
        return version

    def put(self, path: Place, value: Any) -> None:
        """Set one value, as the form does; see `workbench.study.edit.put`."""
        self._change(edit.put(self.text, path, value))

    def _path(self) -> Path:
        return self.project.root / "studies" / self.study

    def _shown_name(self) -> str:
        return f"studies/{self.study or 'study.yaml'}"

    def _list(self) -> None:
        found = study_files(self.project.root / "studies")
        if self.study and self.study not in found:
            found = sorted([*found, self.study])
        if found != self._select.options:
            self._select.options = found
        self._select.visible = bool(found)

    def _selected(self, event: Any) -> None:
        if event.new and event.new != self.study:
            if self.changed:
                self._select.value = self.study
                title = f"{self.study} has changes that are not saved: save or undo them first"
                self._said.object = notice("warning", title)
                return
            self.study = event.new

    @param.depends("study", watch=True)
    def _open(self) -> None:
        if Path(self.study).name != self.study or Path(self.study).suffix not in SUFFIXES:
            title = f"'{self.study}' names no study: studies are files in studies/, such as a.yaml"
            self._said.object = notice("failure", title)
            return
        self._list()
        self._select.value = self.study
        try:
            self._draft = Draft(self._path())
        except OSError as error:
            self._said.object = failure(InputError(str(error)), "It cannot be opened")
            return
        self._known, self._checked = Known(), ""
        self._leave_it()
        self._put()

    def _create(self, _: Any) -> None:
        name = str(self._name.value).strip().removesuffix(".yaml")
        if not is_name(name):
            wanted = "a name has lower-case letters, digits, - and _, such as my-study"
            self._said.object = notice("failure", f"'{name}' cannot be its name: {wanted}")
        elif (self.project.root / "studies" / f"{name}.yaml").exists():
            self._said.object = notice("failure", f"studies/{name}.yaml is there already: open it")
        elif self.changed:
            title = f"{self.study} has changes that are not saved: save or undo them first"
            self._said.object = notice("warning", title)
        else:
            self._name.value = ""
            self.study = f"{name}.yaml"

    def _conflict(self, words: str) -> None:
        self._said.object = notice("warning", words.format(self.study))
        self._ask(True)

    def _ask(self, whether: bool) -> None:
        self._load.visible = self._over.visible = self._escape.on_now = whether

    def _leave_it(self) -> None:
        self._said.object = ""
        self._ask(False)

    def _reload(self, _: Any) -> None:
        if self._draft:
            self._draft.reload()
            self._leave_it()
            self._put()

    def _force(self, _: Any) -> None:
        self.save(over=True)

    def _change(self, text: str, *, typed: bool = False) -> None:
        if self._draft and self._draft.change(text, typed=typed):
            self._put(typed=typed)

    def _step(self, by: int) -> None:
        if self._draft and self._draft.step(by):
            self._put()

    def _put(self, *, typed: bool = False) -> None:
        """Show the text and what there is to say of it."""
        if not typed:
            self._yaml.put(self.text)
        self._deep = None
        self._due = time.monotonic() + _PAUSE_SECONDS
        self._show()

    def _show(self) -> None:
        """Check the text and show what is found, in the form and beside the lines."""
        draft = self._draft
        self._both.visible = draft is not None
        self._empty.object = "" if draft else _EMPTY
        if draft is None:
            return
        name, content, study = self._shown_name(), None, None
        try:
            content = source.read_text(self.text, name)[0]
            study = loads(self.text, name)
            self._issues = ()
        except StudyError as error:
            self._issues = error.issues
        self.valid = study is not None
        issues = [*self._issues, *(self._deep or ())]
        if content is not None:
            self._form_spec = StudyForm(content, issues, self._known)
            self._form.groups = self._form_spec.groups
        self._form.disabled = content is None
        self._yaml.label, self._yaml.unsaved = name, draft.changed
        self._yaml.issues = told(
            issues, valid=self.valid, readable=content is not None, looked=self._deep is not None
        )
        self._undo.disabled, self._redo.disabled = not draft.can_undo, not draft.can_redo
        tone, words = ("done", "valid") if not issues else ("failed", f"{len(issues)} to mend")
        unsaved = " · not saved" if self.changed else ""
        self._state.object = f'<span class="status {tone}">{words}{unsaved}</span>'
        self._versions.display(study)

    def _examine(self) -> None:
        """Have data, strategy and adapters looked at, in a thread."""
        self._due = None
        if not self.valid:
            return
        text, name, known = self.text, self._shown_name(), self._known
        self._checked = text

        def work(*_: Any) -> tuple[list[Issue], Known]:
            study = loads(text, name)
            return list(checks.check(study, self.project)), known_of(self.project, study, known)

        self._job = Job("Checking data and strategy", work, project=self.project)

    def _take(self, job: Job[tuple[list[Issue], Known]]) -> None:
        self._job = None
        if self._checked != self.text:
            self._due = self._due or time.monotonic()  # typed meanwhile: once more
            return
        if job.result is not None:
            self._deep, self._known = job.result
        elif isinstance(job.error, InputError):
            self._deep = job.error.issues
        elif job.error is not None:
            self._deep = [Issue(f"could not be checked: {job.error}")]
        self._show()

    def _heard(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "text":
                self._change(message["value"], typed=True)
                self._yaml.hint = hints.hint(self.text, message["line"], message["column"])
            case "caret":
                self._yaml.hint = hints.hint(self.text, message["line"], message["column"])
            case "offers":
                place = message["line"], message["column"]
                self._yaml.offers = hints.offers(self.text, *place, self._known)
            case "undo" | "redo":
                self._step(-1 if message["type"] == "undo" else 1)
            case "save":
                self.save()
            case "mend":
                swap = message["value"]
                self._change(mended(self.text, tuple(message["path"]), **swap))

    def _edited(self, key: str, value: Any) -> None:
        """Take what a field of the form was set to."""
        if self._form_spec is None or key not in self._form_spec.specs:
            return
        spec = self._form_spec.specs[key]
        try:
            if spec.kind == "fees":
                self._change(edit.put(self.text, spec.path, FEES[value]))
            elif value in ("", []) and not spec.required:
                self._drop(spec.path)
            else:
                self._change(edit.put(self.text, spec.path, *read(spec, value)))
        except StudyError as error:
            self._said.object = failure(error, "This cannot be set")

    def _drop(self, path: Place) -> None:
        try:
            self._change(edit.drop(self.text, path))
        except (KeyError, IndexError, TypeError):
            return  # it was not there

    def _acted(self, action: str, value: str, secrets: dict[str, str]) -> None:  # noqa: ARG002
        """Add or take away what a button of the form stands for."""
        try:
            self._change(acted(self.text, action, value))
        except StudyError as error:
            self._said.object = failure(error, "This cannot be done")

    def _bring_back(self, old: Study) -> None:
        """Put a stored version in the place of the text, comments and layout kept."""
        study = loads(self.text, self._shown_name())
        text = edit.revert(self.text, diff(old, study))
        self._change(text)
        self._said.object = notice("good", "It is in the editor now: save it to keep it")


_EMPTY = (
    '<div class="empty"><h2>No studies yet</h2><p>A study is one YAML file: data, venues, strategy '
    "and its parameters. Write a name under <b>New study</b> and make one: it begins as a small "
    "example that runs.</p></div>"
)
