"""The button of all widgets."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import param
from panel.custom import JSComponent

from workbench.widgets.look import resource
from workbench.widgets.turns import in_turns


class Button(JSComponent):
    """A button that keeps a click, and the focus, when its label changes or it is disabled.

    Panel's own is made anew at each change: of a press whose end meets another element than its
    beginning the page hears nothing.

    Parameters
    ----------
    does
        Called with the button when it is pressed; may be a coroutine function.

    """

    label = param.String(default="", doc="What stands on it.")
    kind: Any = param.Selector(default="default", objects=["primary", "default", "danger"])
    disabled: Any = param.Boolean(default=False, doc="Whether it cannot be pressed.")

    _esm = resource("button.js")

    def __init__(self, does: Callable[[Any], Any], **options: Any) -> None:
        sheets = [resource("controls.css"), resource("button.css")]
        super().__init__(stylesheets=sheets, css_classes=["solid"], **options)  # type: ignore[no-untyped-call]
        self._does = does

    def _handle_msg(self, _: Any) -> None:
        if inspect.iscoroutinefunction(self._does):
            in_turns(partial(self._does, self))
        else:
            self._does(self)
