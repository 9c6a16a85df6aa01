"""The fields of one order: no more than its type, its instrument and its venue allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import panel as pn

from workbench.core.errors import Issue
from workbench.widgets.live_page import tick
from workbench.widgets.look import html, notice, resource

_NAMES = {
    "price": "Limit price", "trigger_price": "Trigger price", "trigger_type": "Triggered by",
    "trailing_offset": "Trails by", "trailing_offset_type": "Unit", "limit_offset": "Limit offset",
    "activation_price": "Trails from", "display_quantity": "Shown in the book",
    "emulation_trigger": "Kept by the node until", "expire_time": "Until (UTC)",
    "position_id": "Position", "tags": "Tags, with commas",
}  # fmt: skip
_FLAGS = {
    "post_only": "Post only", "reduce_only": "Reduce only", "quote_quantity": "In quote currency",
}  # fmt: skip
_CHOSEN = ("trigger_type", "trailing_offset_type", "emulation_trigger", "position_id")
_UNITS = ["PRICE", "BASIS_POINTS", "TICKS"]
_AT_ONCE = ("MARKET", "MARKET_TO_LIMIT")
_NO = ""


class LegForm(pn.viewable.Viewer):
    """One order, or one exit of a bracket.

    Parameters
    ----------
    title
        Above the fields.
    on_change
        Called after every change.
    exits
        Whether it closes the position of another order: then it has neither side nor quantity.
    kind
        Its type to begin with.
    optional
        Whether it may be left out; a box to tick says so.

    """

    def __init__(
        self, title: str, on_change: Callable[[], None], *,
        exits: bool = False, kind: str = "MARKET", side: str = "BUY", optional: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()  # type: ignore[no-untyped-call]
        self.title, self._on_change, self._exits = title, on_change, exits
        self._offer: Mapping[str, Any] = {}
        self._silent = False
        style: dict[str, Any] = {"margin": 0, "stylesheets": [resource("controls.css")]}
        text = style | {"width": 132}
        self._included = tick(title, on=True, visible=optional)
        heading = html(f"<h3>{title}</h3>")
        heading.visible = not optional
        self.side = pn.widgets.Select(
            name="Side", options=["BUY", "SELL"], value=side, **style | {"width": 92}
        )
        self.quantity = pn.widgets.TextInput(name="Quantity", **text)
        self.kind = pn.widgets.Select(
            name="Type", options=[kind], value=kind, **style | {"width": 204}
        )
        self.time = pn.widgets.Select(name="Time in force", options=["GTC"], **text)
        self._fields: dict[str, Any] = {
            key: pn.widgets.Select(name=name, options=[_NO], **text)
            if key in _CHOSEN
            else pn.widgets.TextInput(name=name, **text)
            for key, name in _NAMES.items()
        }
        self._fields["trailing_offset_type"].options = _UNITS
        self._fields["expire_time"].placeholder = "2030-01-31T16:00Z"
        self._flags = {key: pn.widgets.Checkbox(name=name, **style) for key, name in _FLAGS.items()}
        self._more = pn.widgets.Toggle(
            name="More", button_type="default", width=72, align="end", **style
        )
        self._wrong = html()
        rows: dict[str, Any] = {
            "gap": "10px", "sizing_mode": "stretch_width", "margin": 0, "align_items": "flex-end",
        }  # fmt: skip
        head = [] if exits else [self.side, self.quantity]
        self._first = pn.FlexBox(*head, self.kind, **rows)
        self._rest = pn.FlexBox(**rows, visible=False)
        self._box = pn.Column(self._first, self._rest, self._wrong, margin=0, styles={"gap": "8px"},
                              sizing_mode="stretch_width")  # fmt: skip
        self._whole = pn.Column(
            heading, self._included, self._box, margin=0, sizing_mode="stretch_width",
            styles={"gap": "6px"},
        )  # fmt: skip
        inputs = [self.side, self.quantity, self.kind, self.time, self._included]
        for each in (*inputs, *self._fields.values(), *self._flags.values()):
            each.param.watch(self._changed, "value")
        self._more.param.watch(lambda _: self._arrange(), "value")

    def __panel__(self) -> Any:
        return self._whole

    @property
    def included(self) -> bool:
        """Whether this order is part of the ticket."""
        return bool(self._included.value)

    def allow(self, offer: Mapping[str, Any]) -> None:
        """Offer what may be ordered of an instrument, and nothing else."""
        self._offer = offer
        kinds = [each for each in offer["types"] if not (self._exits and each in _AT_ONCE)]
        self._silent = True
        try:
            _choose(self.kind, kinds)
            self.quantity.placeholder = f"multiple of {offer['size_increment']}"
            tick = f"multiple of {offer['price_increment']}"
            for key in ("price", "trigger_price", "activation_price"):
                self._fields[key].placeholder = tick
            _choose(self._fields["trigger_type"], offer["triggers"])
            _choose(self._fields["emulation_trigger"], [_NO, *offer["emulations"]])
            _choose(self._fields["position_id"], [_NO, *offer["positions"]])
        finally:
            self._silent = False
        self._arrange()

    def request(self) -> dict[str, Any]:
        """Return what is asked for, as `workbench.live.orders` takes it."""
        found: dict[str, Any] = {}
        if not self._exits:
            found |= {"side": self.side.value, "quantity": str(self.quantity.value).strip()}
        found |= {"type": self.kind.value, "time_in_force": self.time.value}
        for key in self._shown():
            if key in self._flags:
                found |= {key: True} if self._flags[key].value else {}
                continue
            text = str(self._fields[key].value or "").strip()
            if text and not (key == "trigger_type" and text == "DEFAULT"):
                found[key] = [one.strip() for one in text.split(",")] if key == "tags" else text
        return {key: value for key, value in found.items() if value != ""}

    def complain(self, issues: Iterable[Issue]) -> None:
        """Say at the fields what is wrong with them; nothing takes it back."""
        lines = [f"{_NAMES.get(one.path, one.path)}: {one.message}" for one in issues]
        self._wrong.object = notice("failure", "Refused", lines) if lines else ""

    def _changed(self, event: Any) -> None:
        if self._silent:
            return
        if event.obj in (self.kind, self.time, self._included):
            self._arrange()
        self._on_change()

    def _terms(self) -> Mapping[str, Sequence[str]]:
        empty: Mapping[str, Sequence[str]] = {"needed": (), "optional": (), "times": ("GTC",)}
        found: Mapping[str, Sequence[str]] = self._offer.get("types", {}).get(
            self.kind.value, empty
        )
        return found

    def _needed(self) -> list[str]:
        keys = list(self._terms()["needed"])
        return keys + (["expire_time"] if self.time.value == "GTD" else [])

    def _optional(self) -> list[str]:
        keys = list(self._terms()["optional"])
        if not self._exits:
            kind = self.kind.value
            keys += ["reduce_only"] if self._offer.get("reduce_only") else []
            keys += ["quote_quantity"] if kind in self._offer.get("quote_quantity", ()) else []
            keys += ["position_id"] if self._offer.get("positions") else []
        return [*keys, "tags"]

    def _shown(self) -> list[str]:
        return self._needed() + (self._optional() if self._more.value else [])

    def _arrange(self) -> None:
        """Show the fields an order of this type has."""
        self._silent = True
        try:
            _choose(self.time, list(self._terms()["times"]))
        finally:
            self._silent = False
        head = [] if self._exits else [self.side, self.quantity]
        needed = [self._fields[key] for key in self._needed()]
        _put(self._first, [*head, self.kind, *needed, self.time, self._more])
        inputs = {**self._fields, **self._flags}
        more = [inputs[key] for key in self._optional()] if self._more.value else []
        _put(self._rest, more)
        self._rest.visible = bool(more)
        self._box.visible = self.included
        self._on_change()


def _choose(select: Any, options: Sequence[str]) -> None:
    """Offer options; keep what is chosen where it is still among them."""
    if select.options != list(options):
        kept = select.value
        select.options = list(options)
        select.value = kept if kept in options else next(iter(options), None)


def _put(box: Any, parts: list[Any]) -> None:
    if list(box.objects) != parts:
        box.objects = parts
