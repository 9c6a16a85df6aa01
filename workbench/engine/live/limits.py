"""Limits an order is held against before it leaves, each refusal in words."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    AggregationSource,
    InstrumentId,
    OrderSide,
    Price,
    PriceType,
    Quantity,
)

from workbench.study import Risk
from workbench.study.fields import duration_seconds, split_money

_REMEMBERED = 10_000


class Market:
    """What the limits need to know of prices, positions and orders.

    Parameters
    ----------
    cache
        The engine's.

    Attributes
    ----------
    gone
        Orders the engine takes to be on their way that never arrived.

    """

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self.gone: set[str] = set()

    def instrument(self, name: InstrumentId) -> Any:
        """Return the engine's instrument, None if it does not know it."""
        return self._cache.instrument(name)

    def price(self, name: InstrumentId) -> Decimal | None:
        """Return the newest price: the middle of the quote, else the last trade or close."""
        found = self.last(name)
        return None if found is None else found.as_decimal()

    def last(self, name: InstrumentId) -> Any:
        """Return the newest price as the engine's object."""
        for kind in (PriceType.MID, PriceType.LAST):
            if (found := self._cache.price(name, kind)) is not None:
                return found
        kinds = [
            kind
            for source in (AggregationSource.EXTERNAL, AggregationSource.INTERNAL)
            for kind in self._cache.bar_types(source, instrument_id=name)
        ]
        newest = [self._cache.bar(kind) for kind in kinds]
        closes = [bar for bar in newest if bar is not None]
        if not closes:
            return None
        return max(closes, key=lambda bar: bar.ts_init).close

    def position(self, name: InstrumentId) -> Decimal:
        """Return the net position in units, short below zero."""
        return sum((signed(each) for each in self.positions(name)), Decimal(0))

    def positions(self, name: InstrumentId | None = None) -> list[Any]:
        """Return the open positions, of one instrument or of all."""
        return [
            each
            for each in self._cache.positions_open()
            if name is None or each.instrument_id == name
        ]

    def working(self, name: InstrumentId, side: OrderSide) -> Decimal:
        """Return the units of orders on their way or resting that are not reduce-only."""
        orders = [*self._cache.orders_open(), *self._cache.orders_inflight()]
        unique = {str(each.client_order_id): each for each in orders}
        return sum(
            (
                each.leaves_qty.as_decimal()
                for each in unique.values()
                if each.instrument_id == name
                and each.side == side
                and not each.is_reduce_only
                and str(each.client_order_id) not in self.gone
            ),
            Decimal(0),
        )

    def exposures(self, currency: str) -> Iterator[tuple[InstrumentId, Decimal]]:
        """Yield each instrument's signed notional, of those quoted in `currency`."""
        names = {str(each.instrument_id): each.instrument_id for each in self.positions()}
        for name in names.values():
            price = self.price(name)
            if price is not None and self.currency(name) == currency:
                yield name, self.notional(name, self.position(name), price)

    def currency(self, name: InstrumentId) -> str | None:
        """Return the currency notionals of an instrument are in."""
        found = self.instrument(name)
        if found is None:
            return None
        currency = found.base_currency if found.is_inverse else found.quote_currency
        return str(currency.code)

    def notional(self, name: InstrumentId, units: Decimal, price: Decimal) -> Decimal:
        """Return the signed notional of so many units."""
        instrument = self.instrument(name)
        size = Quantity.from_decimal_dp(abs(units), instrument.size_precision)
        value = instrument.notional_value(
            size, Price.from_decimal_dp(price, instrument.price_precision)
        )
        return value.as_decimal().copy_sign(units)  # type: ignore[no-any-return]


class Limits:
    """The limits in force, and what they remember of earlier orders.

    Parameters
    ----------
    risk
        The study's policy; replaced when it is changed at run time.
    market
        Prices, positions, orders.

    """

    def __init__(self, risk: Risk, market: Market) -> None:
        self.risk, self.market = risk, market
        self._sent: deque[tuple[float, tuple[Any, ...]]] = deque(maxlen=_REMEMBERED)

    def refusal(self, order: Any) -> str | None:
        """Say why an order may not leave; None, and remember it, if it may."""
        now = time.monotonic()
        name = order.instrument_id
        if self.market.instrument(name) is None:
            return f"the node does not know {name}"
        price = self._price_of(order)
        same = _fingerprint(order)
        for found in (
            self._duplicate(same, now),
            self._rate(now),
            self._band(order, name),
            self._notional(name, order.quantity.as_decimal(), price),
            self._position(order, name),
            self._exposure(order, name, price),
        ):
            if found:
                return found
        self._sent.append((now, same))
        return None

    def change_refusal(self, order: Any, quantity: Any, price: Any) -> str | None:
        """Say why an order may not be changed like that; None if it may."""
        name = order.instrument_id
        units = (quantity or order.quantity).as_decimal()
        at = price.as_decimal() if price is not None else self._price_of(order)
        more = max(units - order.quantity.as_decimal(), Decimal(0))
        return (
            (self._far(price.as_decimal(), name) if price is not None else None)
            or self._notional(name, units, at)
            or self._beyond(order, name, more)
        )

    def _price_of(self, order: Any) -> Decimal | None:
        """Return the price an order counts at; not looked up where no limit needs it."""
        risk = self.risk
        if not (risk.max_notional_per_order or risk.max_gross_exposure or risk.max_net_exposure):
            return None
        return _price(order) or self.market.price(order.instrument_id)

    def used(self) -> dict[str, Any]:
        """Return how much of each limit that counts something is used."""
        risk = self.risk
        used: dict[str, Any] = {}
        if risk.max_orders:
            used["max_orders"] = self._recent(time.monotonic())
        if risk.max_position:
            used["max_position"] = {
                name: str(self.market.position(InstrumentId.from_str(name)))
                for name in risk.max_position
            }
        for key in ("max_gross_exposure", "max_net_exposure"):
            if limit := getattr(risk, key):
                currency = split_money(limit)[1]
                parts = [value for _, value in self.market.exposures(currency)]
                total = sum(map(abs, parts)) if "gross" in key else abs(sum(parts))
                used[key] = f"{total} {currency}"
        return used

    def _recent(self, now: float) -> int:
        assert self.risk.max_orders
        span = duration_seconds(self.risk.max_orders.partition("/")[2])
        return sum(now - at < span for at, _ in self._sent)

    def _rate(self, now: float) -> str | None:
        if self.risk.max_orders is None:
            return None
        most = int(self.risk.max_orders.partition("/")[0])
        if self._recent(now) >= most:
            return f"max_orders: {self._recent(now)} orders of {self.risk.max_orders} already sent"
        return None

    def _duplicate(self, same: tuple[Any, ...], now: float) -> str | None:
        if self.risk.duplicate_window is None:
            return None
        span = duration_seconds(self.risk.duplicate_window)
        if any(now - at < span and each == same for at, each in self._sent):
            return f"duplicate_window: the same order was sent less than {span:g} s ago"
        return None

    def _band(self, order: Any, name: InstrumentId) -> str | None:
        for price in (_price(order), _trigger(order)):
            if price is not None and (found := self._far(price, name)):
                return found
        return None

    def _far(self, price: Decimal, name: InstrumentId) -> str | None:
        if self.risk.price_band is None:
            return None
        market = self.market.price(name)
        if not market:
            return f"price_band: there is no price of {name} yet to compare with"
        share = abs(price / market - 1) * 100
        if share > Decimal(self.risk.price_band.rstrip("%")):
            return (
                f"price_band: {price} is {share:.2f}% away from the market at {market}, "
                f"allowed are {self.risk.price_band}"
            )
        return None

    def _notional(self, name: InstrumentId, units: Decimal, price: Decimal | None) -> str | None:
        if self.risk.max_notional_per_order is None:
            return None
        most, currency = split_money(self.risk.max_notional_per_order)
        if price is None:
            return f"max_notional_per_order: there is no price of {name} yet"
        if self.market.currency(name) != currency:
            return f"max_notional_per_order: {name} is not quoted in {currency}"
        value = abs(self.market.notional(name, units, price))
        if value > most:
            return f"max_notional_per_order: {value} {currency} is more than {most}"
        return None

    def _position(self, order: Any, name: InstrumentId) -> str | None:
        if order.is_reduce_only:
            return None
        return self._beyond(order, name, order.quantity.as_decimal())

    def _beyond(self, order: Any, name: InstrumentId, units: Decimal) -> str | None:
        most = self.risk.max_position.get(str(name))
        if most is None or not units:
            return None
        sign = 1 if order.side == OrderSide.BUY else -1
        worst = self.market.position(name) + sign * (self.market.working(name, order.side) + units)
        # What brings the position nearer to flat may pass, however large it was.
        if abs(worst) > most and worst * sign > 0:
            return f"max_position: {name} could reach {worst} units, allowed are {most}"
        return None

    def _exposure(self, order: Any, name: InstrumentId, price: Decimal | None) -> str | None:
        for key in ("max_gross_exposure", "max_net_exposure"):
            limit = getattr(self.risk, key)
            if limit is None or order.is_reduce_only:
                continue
            most, currency = split_money(limit)
            if price is None:
                return f"{key}: there is no price of {name} yet"
            if self.market.currency(name) != currency:
                return f"{key}: {name} is not quoted in {currency}"
            now = {str(each): value for each, value in self.market.exposures(currency)}
            sign = 1 if order.side == OrderSide.BUY else -1
            added = self.market.notional(name, sign * order.quantity.as_decimal(), price)
            then = now | {str(name): now.get(str(name), Decimal(0)) + added}
            total = _total(key, then)
            if total > most and total > _total(key, now):
                return f"{key}: it would be {total} {currency}, allowed are {most}"
        return None


def _total(key: str, parts: dict[str, Decimal]) -> Decimal:
    if "gross" in key:
        return sum((abs(value) for value in parts.values()), Decimal(0))
    return abs(sum(parts.values(), Decimal(0)))


def signed(position: Any) -> Decimal:
    """Return the units of a position, short below zero."""
    units: Decimal = position.quantity.as_decimal()
    return units if position.side.name == "LONG" else -units


def _price(order: Any) -> Decimal | None:
    return _number(getattr(order, "price", None))


def _trigger(order: Any) -> Decimal | None:
    return _number(getattr(order, "trigger_price", None))


def _number(value: Any) -> Decimal | None:
    return None if value is None else value.as_decimal()


def _fingerprint(order: Any) -> tuple[Any, ...]:
    return (
        str(order.instrument_id),
        order.side.name,
        order.order_type.name,
        str(order.quantity),
        str(_price(order)),
        str(_trigger(order)),
    )
