"""The Escape key: it takes back whatever asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param
from panel.custom import JSComponent

from workbench.widgets.look import resource


class Escape(JSComponent):
    """Calls `on_escape` when the key is pressed, while it is on."""

    on_now: Any = param.Boolean(default=False, doc="Whether it is listened to.")

    _esm = resource("escape.js")

    def __init__(self, on_escape: Callable[[], None]) -> None:
        super().__init__(width=0, height=0, margin=0)  # type: ignore[no-untyped-call]
        self._on_escape = on_escape

    def _handle_msg(self, _: Any) -> None:
        if self.on_now:
            self._on_escape()
