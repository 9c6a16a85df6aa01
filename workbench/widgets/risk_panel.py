"""Limits and their use, alerts, halt, resume, flatten, and the switch that ends everything."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from contextlib import suppress
from html import escape
from typing import Any

import panel as pn

from workbench.core.errors import InputError, Issue
from workbench.core.project import Project
from workbench.live import risk
from workbench.live.handle import Node
from workbench.study import Risk
from workbench.study.overlay import parameter_overrides
from workbench.widgets import live_html
from workbench.widgets.live_hub import View
from workbench.widgets.live_page import Board, Confirm, Deeds, LiveWidget
from workbench.widgets.look import CARD, button, failure, notice, resource
from workbench.widgets.risk_limits import EXAMPLES, limits, written

_SWITCH = "flatten all nodes"


class RiskPanel(LiveWidget):
    """Watches and changes what a node may do.

    Whatever is done is journaled by the node, with the name in "Who".

    Parameters
    ----------
    project
        Whose nodes; default: the project of the working folder.
    node
        Name of the node shown first; default: one that runs.
    dark
        Whether it is drawn for a dark page; default: as the page it is shown on.

    """

    topics = ("risk", "status", "telemetry")

    def __init__(
        self, project: Project | None = None, node: str = "", *, dark: bool | None = None
    ) -> None:
        super().__init__(project, node, dark=dark)
        self._limits_known: Mapping[str, Any] = {}
        style = {"margin": 0, "stylesheets": [resource("controls.css")]}
        self._who = pn.widgets.TextInput(name="Who", value=_me(), width=180, **style)
        self._reason = pn.widgets.TextInput(
            name="Reason", placeholder="on request", width=260, **style
        )
        self._banner, self._limits = Board(), Board()
        self._alerts = Board(on_pick=self._acknowledge)
        self._confirm, self._deeds, self._changed = Confirm(), Deeds(), Deeds()
        self._halt = button("Halt", "danger", self._do_halt)
        self._resume = button("Resume", "default", self._do_resume)
        self._flatten = button("Flatten …", "danger", self._ask_flatten)
        self._alive = button("I am watching", "default", self._do_alive, visible=False)
        self._switch = button("Kill switch …", "danger", self._ask_switch)
        self._limit = pn.widgets.Select(
            name="Limit", options=list(Risk.model_fields), width=220, **style
        )
        self._value = pn.widgets.TextInput(name="At most", width=280, **style)
        self._set = button("Set the limit", "primary", self._do_set, align="end")
        self._remove = button("Remove …", "danger", self._ask_remove, align="end")
        self._limit.param.watch(lambda _: self._offer_value(), "value")
        line: dict[str, Any] = {
            "gap": "10px", "align_items": "flex-end", "margin": 0, "sizing_mode": "stretch_width",
        }  # fmt: skip
        self.place(
            pn.FlexBox(self._select, self._who, self._reason, **line),
            self._banner,
            pn.FlexBox(
                self._halt, self._resume, self._flatten, self._alive,
                pn.Spacer(styles={"flex": "1"}), self._switch, **line,
            ),
            self._confirm, self._deeds, self._limits,
            pn.Column(
                pn.FlexBox(self._limit, self._value, self._set, self._remove, **line),
                self._changed,
                margin=0, sizing_mode="stretch_width", styles=CARD | {"gap": "10px"},
            ),
            self._alerts,
        )  # fmt: skip
        self._body.styles = {"gap": "12px"}
        self._offer_value()

    def draw(self, view: View) -> None:
        """Show a node's limits, their use and its alerts."""
        found = view.value("risk") or {}
        self._banner.content = _banner(view)
        self._limits.content = limits(view)
        self._alerts.content = live_html.alerts(found.get("alerts") or [], acts=view.running)
        known = found.get("limits") or {}
        if known != self._limits_known:
            before = written(self._limits_known.get(self._limit.value))
            self._limits_known = known
            if self._value.value == before:  # not while somebody is writing
                self._offer_value()
        state = found.get("state") if view.running else None
        _able(self._halt, state is not None and state != "halted")
        _able(self._resume, state is not None and state != "active")
        for each in (self._flatten, self._set, self._remove):
            _able(each, view.running)
        watched = bool(known.get("dead_man")) and view.running
        if self._alive.visible != watched:
            self._alive.visible = watched

    def drawn_anew(self) -> None:
        """Start over: another node is shown."""
        self._confirm.close()
        for each in (self._deeds, self._changed):
            each.say("")
        self._limits_known = {}

    @property
    def _node(self) -> Node:
        return Node(self.project, self.node)

    def _offer_value(self) -> None:
        """Write the limit in force into the field."""
        name = self._limit.value
        # At once: what is typed between the two would be written over.
        self._value.param.update(
            placeholder=f"for example {EXAMPLES[name]}",
            value=written(self._limits_known.get(name) or None),
        )

    def _run(
        self,
        doing: str,
        act: Callable[[], Any],
        told: Callable[[Any], str],
        place: Deeds | None = None,
    ) -> None:
        name = self.node
        (place or self._deeds).do(
            doing, act, told, after=lambda _: self.hub.stir(name),
            buttons=(self._halt, self._resume, self._flatten, self._set, self._remove),
        )  # fmt: skip

    def _do_halt(self, _: Any) -> None:
        node, who, reason = self._node, self._who.value, self._reason.value or "on request"
        self._run(
            f"Halting {node.id}",
            lambda: risk.halt(node, reason, who=who or None),
            lambda _: notice(
                "warning", f"{node.id} is halted: no order leaves. What rests at the venue stays."
            ),
        )

    def _do_resume(self, _: Any) -> None:
        node, who = self._node, self._who.value
        self._run(
            f"Resuming {node.id}",
            lambda: risk.resume(node, who=who or None),
            lambda _: notice("good", f"{node.id} trades again"),
        )

    def _do_alive(self, _: Any) -> None:
        node = self._node
        self._run(
            f"Telling {node.id}",
            lambda: risk.alive(node),
            lambda _: notice("good", f"{node.id} knows that somebody watches"),
        )

    def _ask_flatten(self, _: Any) -> None:
        self._confirm.ask(
            f"Flatten {self.node}?",
            "Every order is cancelled and every position closed at the market, and then no order "
            "leaves until it is resumed.",
            f"Yes, flatten {self.node}",
            self._do_flatten,
        )

    def _do_flatten(self) -> None:
        node, who, reason = self._node, self._who.value, self._reason.value or "on request"

        def act() -> dict[str, Any]:
            risk.flatten(node, reason, stay_halted=True, who=who or None)
            return risk.wait_flat(node)

        def told(left: dict[str, Any]) -> str:
            still = [f"{each['instrument']} {each['quantity']}" for each in left["positions"]]
            still += [f"order {each['client_order_id']}" for each in left["orders"]]
            if still:
                return notice("failure", f"{node.id} is not flat yet, still open:", still)
            return notice("good", f"{node.id} is flat, and halted")

        self._run(f"Flattening {node.id}", act, told)

    def _ask_switch(self, _: Any) -> None:
        self._confirm.ask(
            "Flatten and halt every node of this project?",
            "Every order of every node is cancelled, every position closed. A node that does not "
            "answer is killed: what it has open then stays at the venue.",
            "Yes, end everything",
            self._do_switch,
            phrase=_SWITCH,
        )

    def _do_switch(self) -> None:
        project, who, reason = self.project, self._who.value, self._reason.value or "kill switch"
        self._run(
            "Ending everything",
            lambda: risk.kill_switch(project, reason, who=who or None),
            _switched,
        )

    def _do_set(self, _: Any) -> None:
        name, text = self._limit.value, str(self._value.value)
        try:
            value = parameter_overrides([f"{name}={text}"])[0].value
        except InputError as error:
            self._changed.say(failure(error, "Not a limit"))
            return
        if value in (None, ""):
            empty = InputError(Issue(f"is empty: for example {EXAMPLES[name]}", name))
            self._changed.say(failure(empty, "Not a limit"))
        else:
            self._change(name, value)

    def _ask_remove(self, _: Any) -> None:
        name = self._limit.value
        self._confirm.ask(
            f"Remove {name} from {self.node}?",
            "The node trades on without this limit, also after a restart.",
            f"Yes, remove {name}",
            lambda: self._change(name, None),
        )

    def _change(self, name: str, value: Any) -> None:
        node, who = self._node, self._who.value

        def told(found: dict[str, Any]) -> str:
            now = written(found["limits"].get(name)) or "no limit"
            return notice("good", f"{name} of {node.id} is now {now}")

        self._run(
            f"Changing {name}",
            lambda: risk.set_limit(node, name, value, who=who or None),
            told,
            self._changed,
        )

    def _acknowledge(self, what: str) -> None:
        node, who = self._node, self._who.value
        alert = int(what.removeprefix("acknowledge:"))
        self._run(
            f"Acknowledging alert {alert}",
            lambda: risk.acknowledge(node, alert, who=who or None),
            lambda found: notice("good", f"Alert {alert} was seen by {found['acknowledged']}"),
        )


def _banner(view: View) -> str:
    found = live_html.trading(view)
    state = str(found.get("state") or "")
    said = {
        "active": "Orders leave, within the limits below.",
        "reduce_only": "Only orders that make a position smaller leave.",
        "halted": "No order leaves.",
    }.get(state, "")
    mode = live_html.badge(state, state.replace("_", " ")) if state else ""
    reason = f"<b>{escape(str(found['reason']))}</b>" if found.get("reason") else ""
    return (
        f'<section class="sheet banner"><h2>{escape(view.id)}</h2>{mode}'
        f"<span>{said if view.running else 'It does not run.'}</span>{reason}"
        f"{live_html.age(view, 'risk')}</section>"
    )


def _switched(found: Mapping[str, Mapping[str, Any]]) -> str:
    if not found:
        return notice("hint", "No node runs: there was nothing to end")
    lines = [
        f"{name}: {each['result']} after {each['seconds']:.1f} s {each['detail']}".strip()
        for name, each in found.items()
    ]
    well = all(each["result"] == "flat" for each in found.values())
    return notice("good" if well else "failure", "Every node was told to end", lines)


def _able(one: Any, able: bool) -> None:
    if one.disabled == able:
        one.disabled = not able


def _me() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return ""
