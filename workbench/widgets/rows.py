"""A table whose rows are chosen, with the mouse or the keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import param
from panel.custom import JSComponent

from workbench.widgets.look import resource


class Column(TypedDict, total=False):
    """A column: ``right`` for figures, ``wide`` takes the rest, ``low`` goes where it is narrow."""

    label: str
    right: bool
    wide: bool
    low: bool


class Cell(TypedDict, total=False):
    """A text with the ``tone`` of a status, or with more of it in its ``title``."""

    text: str
    tone: str
    title: str


class Row(TypedDict):
    """A row: what its cells show, and the values they are ordered by; None comes last."""

    id: str
    cells: Sequence[str | Cell]
    values: Sequence[Any]


class Rows(JSComponent):
    """A table; every text is only text.

    Parameters
    ----------
    label
        What it is of, for those who do not see it.
    several
        Whether more than one row can be chosen, with Ctrl and Shift.
    tall
        Pixels from which it scrolls.

    """

    columns = param.List(default=[], item_type=dict, doc="See `Column`.")
    rows = param.List(default=[], item_type=dict, doc="See `Row`.")
    selected = param.List(default=[], item_type=str, doc="Ids of the rows chosen.")
    label: Any = param.String(default="")
    several: Any = param.Boolean(default=False)
    placeholder: Any = param.String(default="", doc="What stands there without a row.")

    _esm = resource("rows.js")
    _stylesheets = [resource("rows.css")]  # noqa: RUF012 - Panel's own way

    def __init__(self, label: str, *, tall: int = 680, **options: Any) -> None:
        settings = {"sizing_mode": "stretch_width", "margin": 0} | options
        styles = {"--tall": f"{tall}px"}
        super().__init__(label=label, styles=styles, **settings)  # type: ignore[no-untyped-call]
