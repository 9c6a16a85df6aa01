"""What the venue trades and keeps: contracts, orders, executions; and Bybit's way of refusing.

Money, prices and quantities are `decimal.Decimal` throughout. `exact` is the context they are
computed in: wide enough that nothing but a division is ever rounded.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any, Literal, Self

type Side = Literal["Buy", "Sell"]

ZERO = Decimal(0)
COIN = "USDT"
DOLLARS = ("USD", COIN, "USDC")  # taken for one another
CENT = Decimal("0.00000001")
"""What the wallet is kept in: fees, and the cost of a part of a position, are rounded to it."""

OPEN = ("New", "PartiallyFilled", "Untriggered", "Triggered")


def exact() -> Any:
    """Return a context manager within which sums and products are not rounded."""
    return decimal.localcontext(prec=80, rounding=decimal.ROUND_HALF_EVEN)


def text(number: Decimal | None) -> str:
    """Write a number as Bybit does: plain digits, ``0`` for nothing, empty for None."""
    if number is None:
        return ""
    if not number:
        return "0"
    written = f"{number:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    """The venue refuses a request, as Bybit would.

    Parameters
    ----------
    code
        Bybit's ``retCode``.
    message
        Its ``retMsg``.

    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Contract:
    """A linear USDT perpetual the venue lists.

    Attributes
    ----------
    symbol
        Its name here, such as ``AAPLUSDT``.
    instrument
        The instrument it stands for in the catalog, such as ``AAPL.XNAS``.
    tick, step
        Increments of prices and of quantities.
    min_notional
        Least value of an order in USDT.
    leverage
        Until another is set.
    maker, taker
        Fee rates.

    """

    symbol: str
    instrument: str
    tick: Decimal
    step: Decimal
    min_notional: Decimal = Decimal(5)
    max_quantity: Decimal = Decimal(1_000_000_000)
    leverage: Decimal = Decimal(10)
    max_leverage: Decimal = Decimal(100)
    maker: Decimal = Decimal("0.0002")
    taker: Decimal = Decimal("0.00055")

    @property
    def base(self) -> str:
        """The coin it is a contract on."""
        return self.symbol.removesuffix(COIN)

    @property
    def nautilus(self) -> str:
        """Its instrument id in NautilusTrader."""
        return f"{self.symbol}-LINEAR.BYBIT"


class _Kept:
    """A record that goes into the books and comes back the same."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, numbers as text."""
        values = asdict(self)  # type: ignore[call-overload]
        return {k: str(v) if isinstance(v, Decimal) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Restore what `to_dict` returned."""
        kinds = {field.name: str(field.type) for field in fields(cls)}  # type: ignore[arg-type]
        restored = {
            name: Decimal(value) if "Decimal" in kinds[name] and value is not None else value
            for name, value in values.items()
        }
        return cls(**restored)


@dataclass(slots=True)
class Order(_Kept):
    """An order, from its acceptance to its end. Times are UNIX milliseconds."""

    id: str
    link: str
    symbol: str
    side: Side
    type: Literal["Market", "Limit"]
    quantity: Decimal
    price: Decimal | None
    tif: Literal["GTC", "IOC", "FOK", "PostOnly"]
    created: int
    updated: int
    rank: int
    reduce_only: bool = False
    close_on_trigger: bool = False
    trigger: Decimal | None = None
    direction: int = 0
    trigger_by: str = ""
    last_price: Decimal | None = None
    status: str = "New"
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fee: Decimal = ZERO
    cancel_type: str = "UNKNOWN"
    reason: str = "EC_NoError"

    @property
    def leaves(self) -> Decimal:
        """What is left to fill of an open order; nothing of a closed one."""
        return self.quantity - self.filled if self.open else ZERO

    @property
    def open(self) -> bool:
        """Whether it may still fill."""
        return self.status in OPEN

    @property
    def active(self) -> bool:
        """Whether it rests in the book: open, and not waiting for its trigger."""
        return self.open and self.status != "Untriggered"

    @property
    def average(self) -> Decimal | None:
        """Average price of its fills."""
        return self.value / self.filled if self.filled else None

    @property
    def buys(self) -> bool:
        """Whether it buys."""
        return self.side == "Buy"

    @property
    def conditional(self) -> bool:
        """Whether it has, or had, a trigger."""
        return self.trigger is not None


@dataclass(frozen=True, slots=True)
class Execution(_Kept):
    """A fill of an order, with what it did to the position."""

    id: str
    order: str
    link: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    rate: Decimal
    maker: bool
    time: int
    leaves: Decimal
    order_price: Decimal | None
    order_quantity: Decimal
    order_type: str
    conditional: bool
    mark: Decimal
    closed: Decimal
    pnl: Decimal
    seq: int

    @property
    def value(self) -> Decimal:
        """Price times quantity."""
        return self.price * self.quantity

    @property
    def signed(self) -> Decimal:
        """Quantity, negative where it sells."""
        return self.quantity if self.side == "Buy" else -self.quantity
