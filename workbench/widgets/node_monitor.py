"""All nodes at a glance, and one of them in full."""

from __future__ import annotations

from typing import Any

import panel as pn
import param

from workbench.core.project import Project
from workbench.live.handle import Node
from workbench.widgets import live_events, live_html
from workbench.widgets.jobs import Job
from workbench.widgets.live_hub import View
from workbench.widgets.live_page import Board, Confirm, Deeds, LiveWidget, tick
from workbench.widgets.look import bound, button, notice, resource

LOGS = {"Engine's log": "engine.jsonl", "Printed output": "output.txt"}
_LOG_LINES = 200


class NodeMonitor(LiveWidget):
    """Watches a project's nodes: state, money, positions, orders, feeds, alerts, events, logs.

    A node that hangs or has died holds up nothing: its last figures are shown with their age.

    Parameters
    ----------
    project
        Whose nodes; default: the project of the working folder.
    node
        Name of the node shown first; default: one that runs.
    dark
        Whether it is drawn for a dark page; default: as the page it is shown on.

    """

    shows: Any = param.Selector(
        default="All events", objects=[*live_events.KINDS, *LOGS], doc="Which events or log."
    )

    topics = ("status", "telemetry", "risk", "orders")

    def __init__(
        self, project: Project | None = None, node: str = "", *, dark: bool | None = None
    ) -> None:
        super().__init__(project, node, dark=dark)
        self._overview = Board(on_pick=self._picked)
        self._head, self._figures = Board(), Board()
        self._positions, self._orders = Board(), Board()
        self._feeds, self._alerts, self._latency = Board(), Board(), Board()
        self._events = Board(css_classes=["events"])
        self._log: Job[str] | None = None
        self._confirm, self._deeds = Confirm(), Deeds()
        self._stop = button("Stop …", "default", self._ask_stop)
        self._kill = button("Kill …", "danger", self._ask_kill)
        style = [resource("controls.css")]
        self._which = pn.widgets.Select(
            name="Show", options=[*live_events.KINDS, *LOGS], width=220, margin=0, stylesheets=style
        )
        bound(self._which, self, "shows")
        self._still = tick("Hold still", margin=(22, 0, 0, 16))
        gap = {"gap": "12px"}
        side = {"flex": "1 1 420px", "min-width": "0"} | gap
        self.place(
            self._overview,
            pn.Row(
                self._head, self._stop, self._kill,
                sizing_mode="stretch_width", margin=(6, 0, 0, 0), styles={"gap": "10px"},
            ),
            self._confirm, self._deeds, self._figures,
            pn.FlexBox(
                pn.Column(self._positions, self._orders, margin=0, styles=side | {
                    "flex": "1.6 1 560px"}),
                pn.Column(self._alerts, self._feeds, self._latency, margin=0, styles=side),
                sizing_mode="stretch_width", margin=0, gap="12px", align_items="flex-start",
            ),
            pn.Row(self._which, self._still, margin=0),
            self._events,
        )  # fmt: skip
        self._body.styles = gap

    def draw(self, view: View) -> None:
        """Show all nodes, and one in full."""
        views = [self.hub.look(name, "status") for name in self.hub.names()]
        self._overview.content = live_html.overview(views, self.node)
        self._head.content = live_html.head(view)
        self._figures.content = live_html.figures(view)
        self._positions.content = live_html.positions(view)
        listed = view.value("orders")
        found = listed["orders"] if listed else (view.value("status") or {}).get("orders") or []
        self._orders.content = live_html.orders(found)
        self._feeds.content = live_html.feeds(view)
        self._latency.content = live_html.latency(view)
        risk = view.value("risk") or {}
        self._alerts.content = live_html.alerts(risk.get("alerts") or [], most=5)
        for each in (self._stop, self._kill):
            if each.disabled == view.running:
                each.disabled = not view.running
        if not self._still.value:
            self._draw_events(view)

    def drawn_anew(self) -> None:
        """Start over: another node is shown."""
        self._log = None
        self._deeds.say("")
        self._confirm.close()

    def _draw_events(self, view: View) -> None:
        if self.shows not in LOGS:
            self._events.content = live_events.rows(view.events, self.shows)
            return
        # A log may lie on a slow disk: it is read beside the page.
        if self._log is None or self._log.finished:
            if self._log is not None and self._log.result is not None:
                self._events.content = self._log.result
            file, node = LOGS[self.shows], Node(self.project, self.node)
            self._log = Job("Reading a log", lambda *_: _log(node, file))

    @param.depends("shows", watch=True)
    def _turn_log(self) -> None:
        self._log, self._drawn = None, 0.0

    def _picked(self, what: str) -> None:
        self.node = what.removeprefix("node:")

    def _ask_stop(self, _: Any) -> None:
        self._confirm.ask(
            f"Stop {self.node}?",
            "It ends in order. Its open orders and positions stay as they are; to close them "
            "first, flatten it.",
            f"Yes, stop {self.node}",
            lambda: self._end("Stopping", Node(self.project, self.node).stop),
        )

    def _ask_kill(self, _: Any) -> None:
        self._confirm.ask(
            f"Kill {self.node}?",
            "Its process ends at once, also if it hangs. Nothing is cancelled or closed: its "
            "orders and positions stay at the venue, and nobody looks after them.",
            f"Yes, kill {self.node}",
            lambda: self._end("Killing", Node(self.project, self.node).kill),
        )

    def _end(self, doing: str, act: Any) -> None:
        name = self.node

        def told(known: dict[str, Any]) -> str:
            return notice("good", f"{name} is {known['state']}: {known['reason']}")

        self._deeds.do(f"{doing} {name}", act, told, buttons=(self._stop, self._kill))


def _log(node: Node, file: str) -> str:
    return live_events.log(node.logs(_LOG_LINES).get(file, []), engine=file == "engine.jsonl")
