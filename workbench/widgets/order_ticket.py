"""Orders by hand: written, looked at, placed, changed and cancelled."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import panel as pn

from workbench.core.errors import InputError, Issue
from workbench.core.project import Project
from workbench.live import orders
from workbench.live.handle import NoAnswer, Node
from workbench.widgets import live_html, order_answers
from workbench.widgets.escape import Escape
from workbench.widgets.live_hub import View
from workbench.widgets.live_page import Board, Confirm, Deeds, LiveWidget
from workbench.widgets.look import CARD, button, notice, resource
from workbench.widgets.order_diagram import diagram
from workbench.widgets.order_leg import LegForm

KINDS = {
    "One order": "order",
    "Bracket: an entry and its exits": "bracket",
    "OCO: one filled cancels the others": "OCO",
    "OUO: one filled makes the others smaller": "OUO",
    "OTO: one filled sends the others": "OTO",
}
_MOST = 10
_REAL = ("testnet", "live")


class OrderTicket(LiveWidget):
    """Writes an order, or several that depend on each other, and places it on a node.

    Only what the instrument and its venue allow is offered; the node holds it against all its rules
    again. What was placed is not placed again: neither by a second click, nor when the first answer
    got lost.

    Parameters
    ----------
    project
        Whose nodes; default: the project of the working folder.
    node
        Name of the node shown first; default: one that runs.
    dark
        Whether it is drawn for a dark page; default: as the page it is shown on.

    """

    topics = ("status", "orders", "abilities")

    def __init__(
        self, project: Project | None = None, node: str = "", *, dark: bool | None = None
    ) -> None:
        super().__init__(project, node, dark=dark)
        self._offers: dict[str, Mapping[str, Any]] = {}
        self._shape: Any = None
        self._spent, self._placing, self._id = False, False, _made_id()
        self._environment = ""
        style: dict[str, Any] = {"margin": 0, "stylesheets": [resource("controls.css")]}
        self._kind = pn.widgets.Select(
            name="What", options=KINDS, value="order", width=300, **style
        )
        self._instrument = pn.widgets.Select(name="Instrument", options=[], width=200, **style)
        self._named = pn.widgets.TextInput(name="Order's id", value=self._id, width=220, **style)
        self._market, self._drawn_ticket = Board(), Board()
        self._legs: dict[str, LegForm] = {}
        self._forms = pn.Column(margin=0, sizing_mode="stretch_width", styles={"gap": "14px"})
        self._add = button("Another order", "default", self._another, visible=False)
        self._preview = button("Preview", "default", self._do_preview)
        self._place = button("Place", "primary", self._ask_place, min_width=180)
        self._new = button("New order", "default", lambda _: self._start_anew(), visible=False)
        self._confirm, self._deeds = Confirm(), Deeds()
        self._cost = Board()
        self._open = Board(on_pick=self._picked)
        self._changing = _Change(self)
        self._all = button("Cancel all …", "danger", self._ask_cancel_all)
        self._done = Deeds()
        self._kind.param.watch(lambda _: self._lay_out(), "value")
        self._instrument.param.watch(lambda _: self._allow(), "value")
        gap = {"gap": "10px", "flex-wrap": "wrap"}
        left = pn.Column(
            pn.Row(self._kind, self._instrument, margin=0, styles=gap),
            self._market, self._forms, self._add, self._named,
            margin=0, styles=CARD | {"gap": "14px", "flex": "1.25 1 560px", "min-width": "0"},
        )  # fmt: skip
        right = pn.Column(
            self._drawn_ticket,
            pn.Row(self._preview, self._place, self._new, margin=0, styles=gap),
            self._confirm, self._deeds, self._cost,
            margin=0, styles=CARD | {"gap": "12px", "flex": "1 1 420px", "min-width": "0"},
        )  # fmt: skip
        self.place(
            self._select,
            pn.FlexBox(
                left, right, gap="12px", align_items="flex-start", margin=0,
                sizing_mode="stretch_width",
            ),
            self._open, self._changing,
            pn.Row(self._all, margin=0), self._done,
        )  # fmt: skip
        self._body.styles = {"gap": "12px"}
        self._lay_out()

    def draw(self, view: View) -> None:
        """Show the market and the open orders; offer what may be ordered now."""
        self._environment = str(view.state.get("environment") or "")
        self._offers = {
            each["instrument"]: each
            for each in (view.value("abilities") or {}).get("instruments", [])
        }
        if list(self._offers) != self._instrument.options and self._offers:
            self._instrument.options = list(self._offers)
            self._instrument.value = next(iter(self._offers))
        offer = self._offers.get(str(self._instrument.value))
        said = live_html.age(view)
        if offer is not None:
            said = order_answers.market(offer) + said
            shape = {key: value for key, value in offer.items() if key != "market"}
            if shape != self._shape:
                self._allow()
        self._market.content = said
        self._open.content = live_html.orders(
            (view.value("orders") or {}).get("orders", []), acts=view.running
        )
        able = view.running and offer is not None and not self._placing
        for each, usable in (
            (self._preview, able and not self._spent),
            (self._place, able and not self._spent),
            (self._all, view.running),
        ):
            if each.disabled == usable:
                each.disabled = not usable

    def drawn_anew(self) -> None:
        """Start over: another node is shown."""
        self._confirm.close()
        self._changing.close()
        self._shape = None
        self._start_anew()
        self._done.say("")

    def request(self) -> dict[str, Any]:
        """Return what is asked for, as `workbench.live.orders.submit` takes it."""
        name = {"client_order_id": str(self._named.value).strip() or self._id}
        where = {"instrument": self._instrument.value}
        legs = {key: leg.request() for key, leg in self._legs.items() if leg.included}
        match self._kind.value:
            case "order":
                return where | legs["order"] | name
            case "bracket":
                parts = {"entry": where | legs["entry"]}
                return {"bracket": legs | parts, **name}
        return {
            "contingency": self._kind.value, "orders": [where | each for each in legs.values()],
            **name,
        }  # fmt: skip

    @property
    def _node(self) -> Node:
        return Node(self.project, self.node)

    def _lay_out(self) -> None:
        """Make the forms of the kind of ticket."""

        def leg(title: str, **options: Any) -> LegForm:
            return LegForm(title, self._turned_leg, **options)

        match self._kind.value:
            case "order":
                legs = {"order": leg("Order")}
            case "bracket":
                exits: dict[str, Any] = {"exits": True, "optional": True}
                legs = {
                    "entry": leg("Entry"),
                    "take_profit": leg("Take profit", kind="LIMIT", **exits),
                    "stop_loss": leg("Stop loss", kind="STOP_MARKET", **exits),
                }
            case _:
                legs = {f"{at}": leg(f"Order {at + 1}", kind="LIMIT") for at in range(2)}
                if self._kind.value != "OTO":
                    legs["1"].side.value = "SELL"
        before, self._legs = next(iter(self._legs.values()), None), legs
        if before is not None:  # what was said already stands
            first = next(iter(legs.values()))
            first.side.value, first.quantity.value = before.side.value, before.quantity.value
        self._forms.objects = list(legs.values())
        self._add.visible = self._kind.value in ("OCO", "OUO", "OTO")
        self._allow()
        self._start_anew()

    def _another(self, _: Any) -> None:
        at = len(self._legs)
        if at < _MOST:
            self._legs[f"{at}"] = LegForm(f"Order {at + 1}", self._turned_leg, kind="LIMIT")
            self._forms.objects = list(self._legs.values())
            self._allow()

    def _allow(self) -> None:
        offer = self._offers.get(str(self._instrument.value))
        if offer is not None:
            self._shape = {key: value for key, value in offer.items() if key != "market"}
            for each in self._legs.values():
                each.allow(offer)
        self._turned_leg()

    def _turned_leg(self) -> None:
        """Draw the ticket anew; what was placed or looked at before was another one."""
        if not self._legs:
            return
        if self._spent:
            self._start_anew()
        self._cost.content = ""
        self._drawn_ticket.content = diagram(self.request())
        self._place.label = self._said()

    def _said(self) -> str:
        first = next(iter(self._legs.values()))
        if self._kind.value not in ("order", "bracket"):
            return f"Place {len(self._legs)} orders"
        size = str(first.quantity.value).strip()
        return f"Place {first.side.value} {size}".strip()

    def _start_anew(self) -> None:
        """Begin another order, with an id of its own."""
        self._spent, self._id = False, _made_id()
        self._named.value = self._id
        self._new.visible = False
        self._cost.content = ""
        self._deeds.say("")
        for each in self._legs.values():
            each.complain([])

    def _do_preview(self, _: Any) -> None:
        node, request = self._node, self.request()
        self._complain([])

        def told(answer: dict[str, Any]) -> str:
            self._cost.content = order_answers.preview(answer)
            return ""

        self._deeds.do(
            "Asking what it would cost", lambda: orders.preview(node, request), told,
            wrong="It would be refused", buttons=(self._preview,), after=self._refused,
        )  # fmt: skip

    def _ask_place(self, _: Any) -> None:
        if self._placing or self._spent:
            return  # a second click
        if self._environment not in _REAL:
            self._do_place()
            return
        self._confirm.ask(
            f"{self._place.label} of {self._instrument.value} on {self._environment}?",
            "It is sent to the venue as it is drawn above.",
            f"Yes, {self._place.label[0].lower()}{self._place.label[1:]}",
            self._do_place,
        )

    def _do_place(self) -> None:
        node, request = self._node, self.request()
        self._placing = self._place.disabled = True
        self._complain([])

        def after(error: Exception | None) -> None:
            self._placing = False
            self.hub.stir(node.id)
            if error is None:
                # Not again by a click too many: a new order takes a change, or its button.
                self._spent = self._new.visible = True
            elif isinstance(error, NoAnswer):
                self._new.visible = True
            self._refused(error)

        self._deeds.do(
            "Placing the order", lambda: orders.submit(node, request), order_answers.placed,
            wrong="Not placed", after=after,
        )  # fmt: skip

    def _refused(self, error: Exception | None) -> None:
        if isinstance(error, InputError):
            self._complain(error.issues)

    def _complain(self, issues: Sequence[Issue]) -> None:
        """Say at each order what is wrong with it."""
        own: dict[str, list[Issue]] = {key: [] for key in self._legs}
        for issue in issues:
            parts = [
                each for each in issue.path.replace("[", ".").replace("]", "").split(".") if each
            ]
            key = "order" if self._kind.value == "order" else (parts[1] if len(parts) > 1 else "")
            if key in own:
                own[key].append(replace(issue, path=parts[-1] if parts else ""))
        for key, found in own.items():
            self._legs[key].complain(found if key != "order" else [])

    def _picked(self, what: str) -> None:
        act, _, name = what.partition(":")
        if act == "modify":
            view = self.hub.look(self.node, *self.topics)
            listed = (view.value("orders") or {}).get("orders", [])
            known = {each["client_order_id"]: each for each in listed}
            if name in known:
                self._changing.open(known[name])
            return
        node = self._node
        self.do(
            f"Cancelling {name}",
            lambda: orders.cancel(node, name),
            lambda found: order_answers.cancelled(found),
        )

    def do(self, doing: str, act: Any, told: Any) -> None:
        """Carry out something about an open order."""
        name = self.node
        self._done.do(doing, act, told, after=lambda _: self.hub.stir(name))

    def _ask_cancel_all(self, _: Any) -> None:
        node = self._node

        def told(found: dict[str, Any]) -> str:
            left = len(found["orders"]) - found["cancelled"]
            rest = [f"{left} could not be: they are listed above"] if left else []
            return notice("failure" if left else "good", f"{found['cancelled']} cancelled", rest)

        self._confirm.ask(
            f"Cancel every open order of {node.id}?",
            "Those of its strategies too, and the exits that protect positions.",
            "Yes, cancel all",
            lambda: self.do("Cancelling all", lambda: orders.cancel_all(node), told),
        )


class _Change(pn.viewable.Viewer):
    """The form that changes an open order; takes no room while none is changed."""

    def __init__(self, ticket: OrderTicket) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ticket, self._order = ticket, ""
        style: dict[str, Any] = {"margin": 0, "stylesheets": [resource("controls.css")]}
        self._about = Board()
        self._fields = {
            key: pn.widgets.TextInput(name=f"New {name}", width=140, **style)
            for key, name in (
                ("quantity", "quantity"), ("price", "price"), ("trigger_price", "trigger price"),
            )
        }  # fmt: skip
        self._before: dict[str, str] = {}
        act = button("Change the order", "primary", self._do, align="end")
        leave = button("Leave it", "default", lambda _: self.close(), align="end")
        escape = Escape(self.close)
        self._box = pn.Column(
            escape, self._about,
            pn.Row(*self._fields.values(), act, leave, margin=0, styles={"gap": "10px"}),
            margin=0, sizing_mode="stretch_width", visible=False, styles=CARD | {"gap": "10px"},
        )  # fmt: skip
        self._box.param.watch(lambda event: escape.param.update(on_now=event.new), "visible")

    def __panel__(self) -> Any:
        return self._box

    def open(self, order: Mapping[str, Any]) -> None:
        """Begin with an order as it is."""
        self._order = order["client_order_id"]
        self._about.content = f"<b>Change {escape(self._order)}</b>"
        self._before = {key: str(order.get(key) or "") for key in self._fields}
        for key, field in self._fields.items():
            field.value = self._before[key]
            field.visible = bool(self._before[key])
        self._box.visible = True

    def close(self) -> None:
        """Leave the order as it is."""
        self._box.visible = False

    def _do(self, _: Any) -> None:
        node, name = Node(self._ticket.project, self._ticket.node), self._order
        wanted: dict[str, Any] = {
            key: str(field.value).strip()
            for key, field in self._fields.items()
            if str(field.value).strip() != self._before[key]
        }

        def told(found: dict[str, Any]) -> str:
            if found["changed"]:
                self.close()
                return notice("good", f"{name} is changed")
            return notice("failure", f"{name} is not changed", [str(found["reason"])])

        self._ticket.do(f"Changing {name}", lambda: orders.modify(node, name, **wanted), told)


def _made_id() -> str:
    return f"D{uuid.uuid4().hex[:21]}"
