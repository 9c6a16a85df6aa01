"""Turns of a page: what is done in one is drawn as one, and nothing else overtakes it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any

import panel as pn
from panel.io.document import hold
from panel.io.state import set_curdoc


def in_turns(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function of a page; each stretch between two awaits is a turn of its own.

    Panel alone would run it beside the clicks of the page: what a click had set could then reach
    the page after what the coroutine set later, and stay. In turns one follows the other, what one
    of them changes arrives at once, and the page takes clicks while something is awaited.
    """
    document = pn.state.curdoc
    context: Any = document.session_context if document else None
    if context is None:  # in a notebook one thing is done after the other anyway
        pn.state.execute(work)
        return

    async def run() -> None:
        under_way = work()

        async def turn() -> tuple[Any, ...]:
            with set_curdoc(document), hold(document):
                try:
                    return (under_way.send(None),)
                except StopIteration:
                    return ()

        try:
            # Nothing is returned where it has ended, nor where the page is closed.
            while awaited := await context.session.with_document_locked(turn):
                await _Awaited(awaited[0])
        finally:
            under_way.close()

    pn.state.execute(run)


class _Awaited:
    """Waits for what a coroutine waits for; how that ended, the coroutine asks itself."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def __await__(self) -> Generator[Any]:
        try:
            yield self._future
        except BaseException:
            if self._future is None or not self._future.done():
                raise
