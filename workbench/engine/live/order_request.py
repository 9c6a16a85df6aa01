"""What can be asked of the desk, as JSON values: an order, or several that belong together.

One order is a group of keys (`Order`). Orders that belong together are ``{"contingency": "OCO",
"orders": [...]}`` (`Group`) or ``{"bracket": {"entry": ..., "take_profit": ...,
"stop_loss": ...}}`` (`Bracket`). What one key alone can tell is checked by its type; how the keys
fit is in `workbench.engine.live.order_ticket`, what takes an instrument, an account or a market in
`workbench.engine.live.order_checks`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from workbench.core.errors import choices
from workbench.study.base import Document
from workbench.study.fields import Flag, InstrumentId, Moment, Positive, parse_number, wrong
from workbench.study.values import shown

TYPES = (
    "MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT", "MARKET_TO_LIMIT", "MARKET_IF_TOUCHED",
    "LIMIT_IF_TOUCHED", "TRAILING_STOP_MARKET", "TRAILING_STOP_LIMIT",
)  # fmt: skip
TIMES = ("GTC", "IOC", "FOK", "GTD", "DAY", "AT_THE_OPEN", "AT_THE_CLOSE")
TRIGGERS = (
    "DEFAULT", "BID_ASK", "LAST_PRICE", "MARK_PRICE", "INDEX_PRICE", "MID_POINT", "DOUBLE_LAST",
    "DOUBLE_BID_ASK", "LAST_OR_BID_ASK",
)  # fmt: skip
EMULATIONS = ("DEFAULT", "BID_ASK", "LAST_PRICE")
CONTINGENCIES = ("OCO", "OTO", "OUO")

TRAILING = ("TRAILING_STOP_MARKET", "TRAILING_STOP_LIMIT")
STOPS = ("STOP_MARKET", "STOP_LIMIT", *TRAILING)
TOUCHED = ("MARKET_IF_TOUCHED", "LIMIT_IF_TOUCHED")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,35}")
MOST_ORDERS = 10


def _one_of(names: Sequence[str], what: str) -> BeforeValidator:
    def check(value: object) -> str:
        text = value.strip().upper() if isinstance(value, str) else ""
        if text not in names:
            raise wrong(f"unknown {what} {shown(value)}. {choices(text, names)}")
        return text

    return BeforeValidator(check)


def _id(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        rule = "1 to 36 letters, digits, - and _, beginning with a letter or digit"
        raise wrong(f"an order's id is {rule}; found {shown(value)}")
    return value


def _tag(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(text) <= 100 or not text.isprintable():
        raise wrong(f"a tag is 1 to 100 printable characters, found {shown(value)}")
    return text


def _price(value: object) -> Decimal:
    return parse_number(value, "a price")


Price = Annotated[Decimal, BeforeValidator(_price)]
Id = Annotated[str, BeforeValidator(_id)]


class Terms(Document):
    """What an order says besides instrument, side and quantity."""

    type: Annotated[str, _one_of(TYPES, "order type")] = Field("MARKET", description="Of the order")
    price: Price | None = Field(None, description="Limit price")
    trigger_price: Price | None = Field(None, description="That makes it an order in the market")
    trigger_type: Annotated[str, _one_of(TRIGGERS, "trigger type")] = Field(
        "DEFAULT", description="Which price triggers"
    )
    trailing_offset: Positive | None = Field(None, description="Distance of the trigger")
    trailing_offset_type: Annotated[
        str, _one_of(("PRICE", "BASIS_POINTS", "TICKS"), "type of offset")
    ] = Field("PRICE", description="Unit of the offsets")
    limit_offset: Positive | None = Field(None, description="Distance of the limit")
    activation_price: Price | None = Field(None, description="From which on the stop trails")
    time_in_force: Annotated[str, _one_of(TIMES, "time in force")] = Field(
        "GTC", description="How long it stands"
    )
    expire_time: Moment | None = Field(None, description="Of GTD")
    post_only: Flag = Field(False, description="Refused rather than take from the book")
    display_quantity: Positive | None = Field(None, description="Shown in the book")
    emulation_trigger: Annotated[str, _one_of(EMULATIONS, "emulation trigger")] | None = Field(
        None, description="Keep the order in the node until this price triggers it"
    )
    client_order_id: Id | None = Field(None, description="Default: one is made")
    tags: tuple[Annotated[str, BeforeValidator(_tag)], ...] = Field((), max_length=20)


class Order(Terms):
    """One order."""

    instrument: InstrumentId = Field(description="SYMBOL.VENUE")
    side: Annotated[str, _one_of(("BUY", "SELL"), "side")] = Field(description="BUY or SELL")
    quantity: Positive = Field(description="In units, or in quote currency")
    reduce_only: Flag = Field(False, description="May only make a position smaller")
    quote_quantity: Flag = Field(False, description="The quantity is in the quote currency")
    position_id: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="Of the position it belongs to, where a venue has several an instrument"
    )


class Group(Document):
    """Orders that depend on each other.

    OCO: one filled cancels the others. OUO: one filled makes the others smaller. OTO: the first
    filled sends the others.
    """

    contingency: Annotated[str, _one_of(CONTINGENCIES, "contingency")]
    orders: tuple[Order, ...] = Field(min_length=2, max_length=MOST_ORDERS)
    client_order_id: Id | None = Field(None, description="Of the group")


class Exits(Document):
    """An entry and what is to close its position."""

    entry: Order
    take_profit: Terms | None = None
    stop_loss: Terms | None = None


class Bracket(Document):
    """A position with its exits: one filled cancels the other."""

    bracket: Exits
    client_order_id: Id | None = Field(None, description="Of the entry")
