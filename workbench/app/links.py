"""Links to the views of the page, and the page's address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

_HERE = Path(__file__).parent


class Links(JSComponent):
    """A row of links, one of them current; where there is only one, none is shown.

    Parameters
    ----------
    label
        What they lead to, for those who cannot see it.
    on_turn
        Called with the name of what was clicked.
    on_address
        Called with the page's query when the browser went back or forward; where it is given, this
        one keeps the page's address.

    """

    label = param.String(doc="What the links lead to.")
    items = param.List(default=[], item_type=dict, doc="Name, label and query of each.")
    current = param.String(doc="Name of the current one.")
    address = param.String(doc="The page's query, without the question mark.")
    keeps = param.Boolean(default=False, doc="Whether the address is written to the browser.")

    _esm = (_HERE / "links.js").read_text()

    def __init__(
        self,
        label: str,
        on_turn: Callable[[str], None],
        on_address: Callable[[str], None] | None = None,
        **options: Any,
    ) -> None:
        self._on_turn, self._on_address = on_turn, on_address
        super().__init__(  # type: ignore[no-untyped-call]
            label=label, keeps=on_address is not None, margin=0,
            stylesheets=[(_HERE / "links.css").read_text()], **options,
        )  # fmt: skip

    def _handle_msg(self, data: Any) -> None:
        if not isinstance(data, Mapping):
            return
        if isinstance(data.get("turn"), str):
            self._on_turn(data["turn"])
        elif isinstance(data.get("address"), str) and self._on_address:
            self._on_address(data["address"])
