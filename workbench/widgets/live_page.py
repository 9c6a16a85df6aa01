"""What the widgets of live nodes stand on: boards, commands, confirmations, one pulse a page."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import panel as pn
import param
from panel.custom import JSComponent
from panel.io.document import hold

from workbench.core.project import Project
from workbench.widgets.base import Widget
from workbench.widgets.escape import Escape
from workbench.widgets.jobs import Job
from workbench.widgets.live_hub import View, hub
from workbench.widgets.look import button, failure, html, notice, resource
from workbench.widgets.turns import in_turns

PULSE_MS = 150
_FOLLOW_SECONDS = 0.05

NO_NODES = (
    '<div class="empty"><h2>No nodes yet</h2><p>A node trades a study, live or on a replay. Flip a '
    "finished run to one, or launch one: <code>workbench node launch studies/NAME.yaml</code>.</p>"
    "</div>"
)


class Board(JSComponent):
    """A piece of HTML that is brought up to date in place; buttons in it are told to `on_pick`.

    Parameters
    ----------
    content
        HTML; whoever makes it escapes what comes from outside.
    on_pick
        Called with the ``data-pick`` of what was clicked.

    """

    content = param.String(default="", doc="The HTML shown.")

    _esm = resource("live.js")

    def __init__(
        self, content: str = "", *, on_pick: Callable[[str], None] = lambda _: None, **options: Any
    ) -> None:
        settings: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0} | options
        sheets = [resource("pieces.css"), resource("live.css")]
        super().__init__(content=content, stylesheets=sheets, **settings)  # type: ignore[no-untyped-call]
        self._on_pick = on_pick

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, Mapping) and isinstance(data.get("pick"), str):
            self._on_pick(data["pick"])


def tick(name: str, *, on: bool = False, **options: Any) -> Any:
    """Return a box to tick whose name is told to those who cannot see it; its value is true if so.

    Panel's own `Checkbox` has a label that belongs to nothing.
    """
    return pn.widgets.CheckBoxGroup(
        options=[name], value=[name] if on else [], stylesheets=[resource("controls.css")],
        **{"margin": 0} | options,
    )  # fmt: skip


class Deeds(pn.viewable.Viewer):
    """Carries out commands, each in a thread of its own, and says how they ended.

    A node that hangs keeps its thread waiting, not the page.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._said = html()
        self._newest = 0

    def __panel__(self) -> Any:
        return self._said

    def say(self, content: str) -> None:
        """Show HTML in the place of the last answer."""
        self._newest += 1
        self._said.object = content

    def do[Result](
        self,
        doing: str,
        act: Callable[[], Result],
        done: Callable[[Result], str],
        *,
        wrong: str | None = None,
        buttons: Sequence[Any] = (),
        after: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        """Carry out a command.

        Parameters
        ----------
        doing
            In words: ``Halting ema-cross``.
        act
            Called in a thread.
        done
            Returns what is shown of its result, as HTML.
        wrong
            Heading of an error; default: "`doing` failed".
        buttons
            Disabled meanwhile.
        after
            Called at the end with the error, if there was one.

        """
        self._newest += 1
        number, began = self._newest, time.monotonic()
        job: Job[Result] = Job(doing, lambda *_: act())
        document = pn.state.curdoc
        for each in buttons:
            each.disabled = True

        async def follow() -> None:
            while not job.finished:
                if document and document.session_context and document.session_context.destroyed:
                    return  # the page is closed: the command goes on without it
                waited = time.monotonic() - began
                if waited > 1.0 and number == self._newest:
                    self._said.object = notice("hint", f"{doing}: {waited:.0f} s …")
                await asyncio.sleep(_FOLLOW_SECONDS)
            for each in buttons:
                each.disabled = False
            try:
                told = (
                    failure(job.error, wrong or f"{doing} failed")
                    if job.error
                    else done(job.result)  # type: ignore[arg-type]
                )
                after(job.error)
            except Exception as error:  # of showing the result
                told = failure(error, f"{doing}: what came of it cannot be shown")
            if number == self._newest:
                self._said.object = told

        in_turns(follow)


class Confirm(pn.viewable.Viewer):
    """Asks before something that cannot be undone; takes no room while it does not.

    Escape takes the question back.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._text = html()
        self._typed = pn.widgets.TextInput(
            width=280, margin=0, stylesheets=[resource("controls.css")], visible=False
        )
        self._yes = button("Yes", "danger", self._agree, align="end")
        self._no = button("No, leave it", "default", lambda _: self.close(), align="end")
        self._escape = Escape(self.close)
        self._phrase: str | None = None
        self._then: Callable[[], None] = lambda: None
        self._typed.param.watch(self._hear, "value_input")
        self._box = pn.Column(
            self._text,
            pn.Row(
                self._typed, self._yes, self._no,
                margin=0, styles={"gap": "10px", "align-items": "flex-end"},
            ),
            margin=0, sizing_mode="stretch_width", visible=False,
            styles={
                "gap": "10px", "padding": "12px 16px", "background": "var(--bad)",
                "border": "1px solid var(--bad-edge)", "border-radius": "10px",
            },
        )  # fmt: skip
        self._box.param.watch(lambda event: self._escape.param.update(on_now=event.new), "visible")
        self._box.append(self._escape)

    def __panel__(self) -> Any:
        return self._box

    def ask(
        self, question: str, detail: str, yes: str, then: Callable[[], None],
        *, phrase: str | None = None,
    ) -> None:  # fmt: skip
        """Ask.

        Parameters
        ----------
        question, detail
            In words; escaped here.
        yes
            On the button that agrees.
        then
            Called if it is agreed to.
        phrase
            What has to be typed, if anything.

        """
        self._then, self._phrase = then, phrase
        self._text.object = notice_plain(question, detail)
        self._yes.label = yes
        self._typed.visible = phrase is not None
        self._typed.value = self._typed.value_input = ""
        self._typed.name = f"Type {phrase} to confirm" if phrase else ""
        self._yes.disabled = phrase is not None
        self._box.visible = True

    def _hear(self, event: Any) -> None:
        self._yes.disabled = self._phrase is not None and event.new != self._phrase

    def _agree(self, _: Any) -> None:
        if self._phrase is None or self._typed.value_input == self._phrase:
            self._box.visible = False
            self._then()

    def close(self) -> None:
        """Take the question back."""
        self._box.visible = False


def notice_plain(title: str, text: str) -> str:
    """Return a heading and a line below it; both are escaped."""
    from html import escape

    return f'<div role="alert"><b>{escape(title)}</b><p>{escape(text)}</p></div>'


class LiveWidget(Widget):
    """A widget that shows one node, and hears of it within a fifth of a second.

    A subclass makes its parts, hands them to `place`, says which figures it wants in `topics`, and
    draws them in `draw`.

    Parameters
    ----------
    project
        Whose nodes; default: the project of the working folder.
    node
        Name of the node shown first; default: one that runs.
    dark
        Whether it is drawn for a dark page; default: as the page it is shown on.

    """

    node: Any = param.String(default="", doc="Name of the node that is shown.")
    active: Any = param.Boolean(
        default=True, doc="Whether it is kept up to date; false while another tab is in front."
    )

    topics: ClassVar[tuple[str, ...]] = ("status",)

    def __init__(
        self, project: Project | None = None, node: str = "", *, dark: bool | None = None
    ) -> None:
        super().__init__(project, dark=dark)
        self.hub = hub(self.project)
        self._drawn = 0.0
        self._select = pn.widgets.Select(
            name="Node", options=[node] if node else [], width=240, margin=0,
            stylesheets=[resource("controls.css")],
        )  # fmt: skip
        self._empty = html()
        self._select.param.watch(self._chosen, "value")
        with param.parameterized.discard_events(self):  # there is nothing to draw it in yet
            self.node = node

    def draw(self, view: View) -> None:
        """Show a node as it was last seen."""
        raise NotImplementedError

    def drawn_anew(self) -> None:
        """Start over: another node is shown."""

    def tick(self) -> None:
        """Bring the widget up to date, unless that was just done."""
        now = time.monotonic()
        if not self.active or now - self._drawn < self.hub.pace(self) - PULSE_MS / 2e3:
            return
        self._drawn = now
        try:
            self._offer()
            if self.node:
                self.draw(self.hub.look(self.node, *self.topics))
            if self._trouble.object:
                self._trouble.object = ""
        except Exception as error:
            # A widget that stands still without a word would be worse.
            self._trouble.object = failure(error, "This cannot be brought up to date")

    def _offer(self) -> None:
        """List the nodes; show one if none is shown."""
        names = self.hub.names(now=not self.node)
        there = bool(names)
        if bool(self._empty.object) == there:
            self._empty.object = "" if there else NO_NODES
        if self._body.visible != there:
            self._body.visible = there
        if not names:
            return
        shown = self.node
        if shown not in names:
            running = [name for name in names if self.hub.look(name).running]
            shown = (running or names)[0]
        if names != self._select.options or shown != self._select.value:
            # At once: with options alone the first would be chosen.
            self._select.param.update(options=list(names), value=shown)
        self.node = shown

    def _chosen(self, event: Any) -> None:
        if event.new:
            self.node = event.new

    @param.depends("node", watch=True)
    def _turned(self) -> None:
        if self.node in self._select.options:
            self._select.value = self.node
        self._drawn = 0.0
        self.drawn_anew()

    def _begin(self) -> None:
        if self._refreshing:
            return
        self._refreshing = True
        self._frame.append(self._empty)
        self._pulse = Pulse.of_page()
        self._pulse.add(self)
        self.tick()


class Pulse:
    """The one periodic callback of a page; in a notebook, of its kernel."""

    # The callback knows its page: held by the widgets, so that it goes with them.
    _pages: ClassVar[weakref.WeakKeyDictionary[Any, weakref.ref[Pulse]]] = (
        weakref.WeakKeyDictionary()
    )
    _kernel: ClassVar[Pulse | None] = None

    def __init__(self) -> None:
        self._widgets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._callback = pn.state.add_periodic_callback(self._beat, PULSE_MS)

    @classmethod
    def of_page(cls) -> Pulse:
        """Return that of the page that is being made."""
        page = pn.state.curdoc
        if page is not None and page.session_context is not None:
            known = cls._pages.get(page, lambda: None)()
            if known is None:
                known = cls()
                cls._pages[page] = weakref.ref(known)
            return known
        if cls._kernel is None:
            cls._kernel = cls()
        return cls._kernel

    def add(self, widget: Any) -> None:
        """Have a widget's `tick` called."""
        self._widgets.add(widget)
        if not self._callback.running:
            self._callback.start()

    def _beat(self) -> None:
        if not self._widgets:
            self._callback.stop()
        with hold():
            for widget in list(self._widgets):
                widget.tick()
