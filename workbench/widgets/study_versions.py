"""The stored versions of a study: what has changed since, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn

from workbench.backtest.glossary import NONE
from workbench.core.errors import InputError, WorkbenchError
from workbench.core.project import Project
from workbench.study import Change, Study, StudyStore, diff
from workbench.widgets.look import CARD, button, failure, html, resource
from workbench.widgets.study_schema import text_of

_MOST = 60


class Versions(pn.viewable.Viewer):
    """A choice of versions, how the study at hand differs from the chosen one, and the way back.

    Parameters
    ----------
    project
        Whose stored studies.
    on_back
        Called with the version that is to be brought back.

    """

    def __init__(self, project: Project, *, on_back: Callable[[Study], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._store = StudyStore(project)
        self._study: Study | None = None
        self._name = ""
        style = [resource("controls.css")]
        self._select = pn.widgets.Select(
            name="Stored versions", options={}, width=280, margin=0, stylesheets=style
        )
        self._select.param.watch(lambda _: self._compare(), "value")
        self._back = button("Bring it back", "default", self._bring, align="end")
        self._on_back = on_back
        self._said = html()
        self._old: Study | None = None
        self._column = pn.Column(
            pn.Row(self._select, self._back, styles={"gap": "10px"}, margin=0), self._said,
            sizing_mode="stretch_width", margin=0, styles=CARD | {"gap": "10px"},
        )  # fmt: skip

    def __panel__(self) -> Any:
        return self._column

    def display(self, study: Study | None) -> None:
        """Compare another study; None for a text that is none."""
        self._study = study
        if study is not None:
            self._name = study.name
        try:
            known = self._name in self._store.names()
            history = self._store.history(self._name)[::-1] if known else []
        except WorkbenchError as error:
            self._said.object = failure(error, "The stored versions cannot be read")
            return
        options = {
            f"{one.version} · {(one.saved_at or 'damaged')[:16].replace('T', ' ')}"
            + (f" · {one.digest[:8]}" if one.digest else ""): one.version
            for one in history
        }
        self._select.visible = self._back.visible = bool(options)
        if options != self._select.options:
            self._select.options = options
            self._select.value = next(iter(options.values()), None)
        self._compare()

    def _compare(self) -> None:
        self._old = None
        if not self._select.options:
            words = "No version is stored yet: saving stores one, with the way back to it."
            self._said.object = f'<h3>Stored versions</h3><p class="muted">{words}</p>'
            return
        try:
            self._old = self._store.load(self._name, self._select.value)
        except WorkbenchError as error:
            self._said.object = failure(error, "This version cannot be read")
        if self._old is not None:
            self._said.object = self._difference(self._old)
        self._back.disabled = self._study is None or self._old is None

    def _difference(self, old: Study) -> str:
        if self._study is None:
            return '<p class="muted">What has changed is told once the text is a valid study.</p>'
        changes = diff(old, self._study)
        if not changes:
            return f'<p class="muted">No difference to version {self._select.value}.</p>'
        rows = "".join(map(_row, changes[:_MOST]))
        more = f"<p class='muted'>and {len(changes) - _MOST} more</p>" if changes[_MOST:] else ""
        head = f"<th>Value</th><th>Version {self._select.value}</th><th>Now</th>"
        return (
            f'<div class="scroll" tabindex="0">'
            f'<table class="compared"><thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>{more}"
        )

    def _bring(self, _: Any) -> None:
        try:
            if self._old is not None:
                self._on_back(self._old)
        except InputError as error:
            self._said.object = failure(error, "It cannot be brought back")


def _row(change: Change) -> str:
    def cell(value: Any, there: bool) -> str:
        text = escape(text_of(value)) if value not in (None, "") else NONE
        return f"<td>{text if there else '<span class="muted">not there</span>'}</td>"

    before = cell(change.old, change.kind != "added")
    after = cell(change.new, change.kind != "removed")
    return f"<tr><th>{escape(change.path)}</th>{before}{after}</tr>"
