"""Forms and the editor of YAML: what a person types goes to Python, which says what it makes of it.

Both are one component each, however many fields there are: labels, errors and help belong to their
controls as assistive technology expects, and nothing moves when an error appears.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

import param
from panel.custom import JSComponent

from workbench.widgets.look import resource

Control = Literal["text", "number", "choice", "flag", "many", "area", "secret"]


class Field(TypedDict, total=False):
    """One control of a form.

    ``key`` names it, ``value`` is what it shows (a list for ``many``), ``placeholder`` what counts
    where nothing is set, ``error`` stands in the place of ``help``.
    """

    key: str
    label: str
    kind: Control
    value: Any
    placeholder: str
    help: str
    options: Sequence[str]
    suggestions: Sequence[str]
    required: bool
    changed: bool
    error: str


class Action(TypedDict, total=False):
    """A button of a group; with ``options`` a choice; ``collect`` sends what its secrets hold."""

    id: str
    label: str
    tone: Literal["", "primary", "danger"]
    options: Sequence[str]
    collect: bool


class Group(TypedDict, total=False):
    """Fields that belong together, under a title they can be folded away with.

    ``error`` is of the group itself, in the place of ``help``.
    """

    id: str
    title: str
    help: str
    error: str
    level: int
    open: bool
    fields: Sequence[Field]
    actions: Sequence[Action]


class Form(JSComponent):
    """Groups of fields.

    Parameters
    ----------
    on_edit
        Called with a field's key and what it was set to: text, or a list of a ``many``.
    on_action
        Called with an action's id, what was chosen of its options, and the secrets it collected by
        their fields' keys.

    """

    groups = param.List(default=[], item_type=dict, doc="What is there, see `Group`.")
    seen = param.Integer(default=0, doc="The number of the last edit that was taken.")
    disabled: Any = param.Boolean(default=False, doc="Whether nothing can be changed.")

    _esm = resource("form.js")
    _stylesheets = [resource("form.css")]  # noqa: RUF012 - Panel's own way

    def __init__(
        self,
        *,
        on_edit: Callable[[str, Any], None],
        on_action: Callable[[str, str, dict[str, str]], None],
        **options: Any,
    ) -> None:
        settings = {"sizing_mode": "stretch_width", "margin": 0} | options
        super().__init__(**settings)  # type: ignore[no-untyped-call]
        self._on_edit, self._on_action = on_edit, on_action

    def focus(self, key: str) -> None:
        """Put the cursor into a field."""
        self._send_msg({"focus": key})

    def _handle_msg(self, data: Any) -> None:
        if data["type"] == "edit":
            self._on_edit(data["key"], data["value"])
            # Last: until then the page keeps what was entered, whatever it is shown.
            self.seen = data["number"]
        else:
            self._on_action(data["id"], data.get("value", ""), data.get("values", {}))


class Issue(TypedDict, total=False):
    """A problem, or a remark, at a line; ``mend`` is what a click on its button sets."""

    line: int | None
    path: str
    message: str
    tone: Literal["wrong", "told", "well"]
    mend: dict[str, Any] | None


class YamlEditor(JSComponent):
    """A text of YAML with its problems.

    Parameters
    ----------
    on_message
        Called with what happened: ``type`` is ``text`` (with ``value``), ``caret`` and ``offers``
        (with ``line``, from 1, and ``column``, from 0), ``mend``, ``undo``, ``redo`` or ``save``.

    What is typed while Python puts another text there is kept: the page brings both together and
    sends the result. A text typed on top of one that has been replaced meanwhile is not told.

    """

    shown = param.Dict(default={"text": ""}, doc="The text Python puts there.")
    issues = param.List(default=[], item_type=dict, doc="See `Issue`.")
    hint = param.Dict(default={}, doc="``path`` and ``words`` of where the cursor is.")
    offers = param.Dict(default={}, doc="``items`` with ``text`` and ``help``, and what is typed.")
    label: Any = param.String(default="YAML", doc="For those who do not see it.")
    unsaved: Any = param.Boolean(default=False, doc="Whether leaving the page loses something.")
    readonly: Any = param.Boolean(default=False, doc="Whether it cannot be changed.")

    _esm = resource("yaml.js")
    _stylesheets = [resource("form.css")]  # noqa: RUF012 - Panel's own way

    def __init__(self, *, on_message: Callable[[dict[str, Any]], None], **options: Any) -> None:
        settings = {"sizing_mode": "stretch_width", "margin": 0} | options
        super().__init__(**settings)  # type: ignore[no-untyped-call]
        self._on_message = on_message
        self._count = self._taken = 0

    def put(self, text: str) -> None:
        """Show another text, made of the one told last."""
        self._count += 1
        self.shown = {"text": text, "count": self._count, "taken": self._taken}

    def go_to(self, line: int) -> None:
        """Put the cursor on a line."""
        self._send_msg({"line": line})

    def _handle_msg(self, data: Any) -> None:
        if data["type"] == "text":
            if data["on"] != self._count:
                return
            self._taken = data["number"]
        self._on_message(data)
