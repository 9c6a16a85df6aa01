"""What each venue can do with an order, so that what it cannot is refused before it leaves.

The sandbox's were measured (see docs/orders.md), the others are those of NautilusTrader's adapters:
what an adapter would deny, and what it would change without a word, such as Bybit's a DAY order
into GTC. A venue that is not listed decides itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.core.errors import Issue
from workbench.engine.live.order_request import TRAILING, TYPES, Order
from workbench.engine.live.order_ticket import Leg

_CONDITIONAL = ("STOP_MARKET", "STOP_LIMIT", "MARKET_IF_TOUCHED", "LIMIT_IF_TOUCHED")


@dataclass(frozen=True, slots=True)
class Abilities:
    """Of a venue, or of a product of one. None: it decides itself.

    Attributes
    ----------
    name
        For messages.
    types, times, triggers
        Order types, times in force, trigger types besides DEFAULT.
    post_only
        Types that may be post-only.
    reduce_only, display, quote_quantity
        Whether it knows them.
    contingencies
        Which it keeps itself; the node keeps the others.

    """

    name: str
    types: tuple[str, ...] | None = None
    times: tuple[str, ...] | None = None
    triggers: tuple[str, ...] | None = None
    post_only: tuple[str, ...] | None = None
    reduce_only: bool = True
    display: bool = True
    quote_quantity: tuple[str, ...] | None = None
    contingencies: tuple[str, ...] = ()

    def issues(self, leg: Leg) -> Iterator[Issue]:
        """Find what the venue cannot do."""
        order = leg.order
        # What the node emulates reaches the venue as a plain order.
        kind = order.type if order.emulation_trigger is None else _released(order)
        if self.types is not None and kind not in self.types:
            hint = ""
            if order.type in (*TRAILING, *_CONDITIONAL):
                hint = ". With emulation_trigger the node keeps it itself"
            yield leg.issue(f"{self.name} has no {kind} orders{hint}", "type")
        if self.times is not None and order.time_in_force not in self.times:
            found, known = order.time_in_force, ", ".join(self.times)
            yield leg.issue(f"{self.name} has no {found}. It has: {known}", "time_in_force")
        if (
            self.triggers is not None
            and order.emulation_trigger is None
            and order.trigger_type not in ("DEFAULT", *self.triggers)
        ):
            found, known = order.trigger_type, ", ".join(self.triggers)
            yield leg.issue(f"{self.name} has no {found} triggers. It has: {known}", "trigger_type")
        if order.post_only and self.post_only is not None and kind not in self.post_only:
            known = ", ".join(self.post_only)
            yield leg.issue(f"{self.name} has that for {known} orders only", "post_only")
        if order.reduce_only and not self.reduce_only:
            yield leg.issue(f"{self.name} has no reduce-only orders", "reduce_only")
        if order.display_quantity is not None and not self.display:
            yield leg.issue(f"{self.name} shows whole orders", "display_quantity")
        if (
            order.quote_quantity
            and self.quote_quantity is not None
            and kind not in self.quote_quantity
        ):
            known = ", ".join(self.quote_quantity) or "no"
            yield leg.issue(f"{self.name} has that for {known} orders only", "quote_quantity")


def _released(order: Order) -> str:
    """Return the type an emulated order reaches the venue with."""
    return "LIMIT" if order.type in ("STOP_LIMIT", "TRAILING_STOP_LIMIT") else "MARKET"


SANDBOX = Abilities(
    "the sandbox",
    types=TYPES,
    times=("GTC", "IOC", "FOK", "GTD", "DAY"),
    # It takes the others, and triggers them by bid and ask.
    triggers=("BID_ASK", "LAST_PRICE"),
    contingencies=("OCO", "OUO"),
)

_BYBIT_TYPES = ("MARKET", "LIMIT", *_CONDITIONAL)
_BYBIT_TRIGGERS = ("LAST_PRICE", "MARK_PRICE", "INDEX_PRICE")


def _bybit(product: str) -> Abilities:
    derivative = product in ("LINEAR", "INVERSE", "OPTION")
    return Abilities(
        f"Bybit ({product.lower()})",
        types=("MARKET", "LIMIT") if product == "OPTION" else _BYBIT_TYPES,
        times=("GTC", "IOC", "FOK"),
        triggers=_BYBIT_TRIGGERS,
        post_only=("LIMIT", "STOP_LIMIT", "LIMIT_IF_TOUCHED"),
        reduce_only=derivative,
        display=False,
        quote_quantity=() if derivative else ("MARKET",),
    )


def _okx(_: str) -> Abilities:
    return Abilities(
        "OKX",
        types=(
            "MARKET", "MARKET_TO_LIMIT", "LIMIT", *_CONDITIONAL, "TRAILING_STOP_MARKET",
        ),
        times=("GTC", "IOC", "FOK"),
        post_only=("LIMIT",),
    )  # fmt: skip


def _kraken(symbol: str) -> Abilities:
    if symbol.startswith(("PF_", "PI_", "FF_", "FI_")):
        return Abilities(
            "Kraken Futures",
            types=("MARKET", "LIMIT", *_CONDITIONAL),
            times=("GTC", "IOC"),
            triggers=("LAST_PRICE", "MARK_PRICE", "INDEX_PRICE"),
            display=False,
            quote_quantity=(),
        )
    return Abilities(
        "Kraken",
        types=("MARKET", "LIMIT", *_CONDITIONAL, *TRAILING),
        times=("GTC", "GTD", "IOC", "FOK"),
        triggers=("LAST_PRICE", "INDEX_PRICE"),
    )


def of(adapter: str, symbol: str) -> Abilities:
    """Return the abilities of the venue behind an execution adapter.

    Parameters
    ----------
    adapter
        Its name in the study.
    symbol
        Of the instrument: it tells the product.

    """
    match adapter:
        case "sandbox":
            return SANDBOX
        case "bybit":
            return _bybit(symbol.rpartition("-")[2])
        case "okx":
            return _okx(symbol)
        case "kraken":
            return _kraken(symbol)
        case _:
            return Abilities(adapter)
