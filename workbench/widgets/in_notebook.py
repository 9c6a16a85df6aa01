"""What widgets need in a notebook's kernel: Panel's scripts, one thread, and every message."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import panel as pn


def load() -> None:
    """Load Panel's scripts into the notebook, once; they come from this machine.

    The first widget made in a kernel does this. Call it in a cell of its own, above, where a
    notebook is to show widgets as soon as it is opened.
    """
    if in_kernel():
        _one_thread()
    if not pn.extension._loaded:
        pn.extension(inline=True, design="native")


def _one_thread() -> None:
    """Have what pages send handled by the kernel's main thread, where its cells run.

    JupyterLab sends it to a subshell, which ipykernel runs in a thread beside the main one; a
    click and a refresh that change a model of Panel's at once then fail.
    """
    from IPython import get_ipython

    kernel: Any = get_ipython().kernel
    for kind in ("comm_open", "comm_msg", "comm_close"):
        handler = kernel.shell_handlers[kind]
        if not isinstance(handler, _InMainThread):
            kernel.shell_handlers[kind] = _InMainThread(handler, kernel.io_loop)


class _InMainThread:
    def __init__(self, handler: Callable[..., Any], loop: Any) -> None:
        self._handler, self._loop = handler, loop

    def __call__(self, *message: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            self._handler(*message)
        else:
            self._loop.add_callback(self._handler, *message)


def in_kernel() -> bool:
    """Whether this process is the kernel of a notebook."""
    with contextlib.suppress(ImportError):
        from IPython import get_ipython

        shell = get_ipython()
        return getattr(shell, "kernel", None) is not None
    return False


def ipywidget(viewer: Any) -> Any:
    """Return anything of Panel as an ipywidget that asks nothing of another machine."""
    from bokeh.document import Document
    from bokeh.models import Spacer
    from panel.io.notebook import patch_inline_stylesheets

    # A document that has been through this holds its style sheets, instead of asking for them:
    # the one the models are made in, and the one they are put into.
    document = Document()
    patch_inline_stylesheets(Spacer(), document)
    made = pn.ipywidget(viewer, doc=document)
    patch_inline_stylesheets(Spacer(), made._document)
    return made


class Frame(pn.Column):
    """A column that takes what a notebook's page sends event by event.

    The page sends what happened within a twentieth of a second as one patch, and Bokeh drops a
    patch, without a word, if it speaks of a model that is gone: a chart that was drawn anew. A
    choice, a click, even that the widget is on a page at all, would be lost with it.
    """

    def _on_msg(self, ref: str, manager: Any, msg: dict[str, Any]) -> None:
        events = msg.get("content", {}).get("events", ())
        failed: Exception | None = None
        for event in events:
            content = msg["content"] | {"events": [event]}
            alone = msg | {"header": dict(msg["header"]), "content": content}
            try:
                super()._on_msg(ref, manager, alone)
            except Exception as error:  # of one event; told to the page below
                failed = failed or error
        if failed:
            raise failed
