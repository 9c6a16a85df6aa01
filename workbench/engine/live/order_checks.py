"""Checks of an order against its instrument, its account and the market, before it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nautilus_trader.model import InstrumentId, Venue

from workbench.core.errors import Issue, choices
from workbench.engine.live import order_abilities
from workbench.engine.live.limits import Market
from workbench.engine.live.order_cost import Cost, margined, notional
from workbench.engine.live.order_market import Prices, closed, prices
from workbench.engine.live.order_offer import offer
from workbench.engine.live.order_request import STOPS, TOUCHED, Order
from workbench.engine.live.order_ticket import Leg, Ticket
from workbench.study import Study
from workbench.study.fields import MAX_AMOUNT, decimals, moment_ns

_PRICES = ("price", "trigger_price", "activation_price")
# The only classes whose prices may be zero or below: the engine's own rule.
_SIGNED = ("OPTION", "OPTION_SPREAD", "FUTURES_SPREAD")


class Checker:
    """Finds what is wrong with an order as things stand.

    Parameters
    ----------
    study
        Says which venues are simulated and what their fees are.
    cache
        The engine's.
    desk
        The strategy that sends the orders: it knows the time and what the feeds are doing.

    """

    def __init__(self, study: Study, cache: Any, desk: Any) -> None:
        assert study.live is not None
        self._cache, self._desk = cache, desk
        self.hedging = {venue.name for venue in study.venues if venue.oms == "hedging"}
        self._traded = list(dict.fromkeys(each.instrument for each in study.data))
        self._adapters = [each.adapter for each in study.live.execution]
        self.simulated = "sandbox" in self._adapters
        self._market = Market(cache)
        self.cost = Cost(study, cache)

    def instrument(self, order: Order) -> Any:
        """Return the engine's instrument of an order; None if it does not know it."""
        return self._cache.instrument(InstrumentId.from_str(order.instrument))

    def prices(self, order: Order) -> Prices:
        """Return the prices an order would meet."""
        return prices(self._cache, InstrumentId.from_str(order.instrument))

    def abilities(self, order: Order) -> order_abilities.Abilities:
        """Return what the venue of an order can do."""
        return self._abilities(order.instrument)

    def offers(self) -> list[dict[str, Any]]:
        """Return what may be ordered of each instrument the study trades."""
        return [
            offer(
                instrument,
                self._abilities(name),
                self._cache,
                hedging=name.rpartition(".")[2] in self.hedging,
            )
            for name in self._traded
            if (instrument := self._cache.instrument(InstrumentId.from_str(name))) is not None
        ]

    def _abilities(self, name: str) -> order_abilities.Abilities:
        symbol, _, venue = name.rpartition(".")
        if self.simulated:
            adapter = "sandbox"
        else:
            own = [each for each in self._adapters if each == venue.lower()]
            adapter = (own or self._adapters)[0]
        return order_abilities.of(adapter, symbol)

    def issues(self, ticket: Ticket) -> list[Issue]:
        """Find everything that keeps a ticket from leaving."""
        found: list[Issue] = []
        for leg in ticket.legs:
            instrument = self.instrument(leg.order)
            if instrument is None:
                known = sorted(map(str, self._cache.instrument_ids()))
                hint = choices(leg.order.instrument, known)
                message = f"the node does not know '{leg.order.instrument}'. {hint}"
                found.append(leg.issue(message, "instrument"))
                continue
            found += fits(leg, instrument, self.prices(leg.order).taken(leg.order.side))
            found += self.abilities(leg.order).issues(leg)
            found += self._expiry(leg, instrument)
            # What waits for another order meets a market nobody knows yet.
            if not leg.waits:
                found += self._meets(leg)
                found += self._position(leg)
                found += [] if found else self._pays(leg, instrument)
            elif ticket.exits:
                found += _exit_side(leg, ticket.legs[0].order, self.prices(leg.order))
        return found

    def warnings(self, ticket: Ticket) -> list[str]:
        """Say what somebody should know who sends this now."""
        said = []
        for feed in self._desk.feeds():
            if feed.get("ended"):
                said.append(f"the feed {feed['name']} has ended: no price will move any more")
            elif feed.get("paused"):
                said.append(f"the feed {feed['name']} is paused: its prices stand still")
        for leg in ticket.legs:
            order = leg.order
            if order.time_in_force == "DAY" and self.simulated:
                said.append("the sandbox has no days: DAY stands until it is cancelled")
            if order.display_quantity is not None and self.simulated:
                said.append("the sandbox fills the whole quantity, shown or not")
            shut = closed(self._cache, InstrumentId.from_str(order.instrument))
            if shut:
                said.append(shut)
        return list(dict.fromkeys(said))

    def takes(self, order: Order) -> bool:
        """Say whether an order meets the market at once, as prices stand."""
        if order.emulation_trigger is not None:
            return False
        if at_once(order) or order.type != "LIMIT" or order.price is None:
            return at_once(order)
        taken = self.prices(order).taken(order.side)
        if taken is None:
            return False
        return order.price >= taken if order.side == "BUY" else order.price <= taken

    def _meets(self, leg: Leg) -> Iterator[Issue]:
        order, found = leg.order, self.prices(leg.order)
        taken, now = found.taken(order.side), at_once(order)
        shut = closed(self._cache, InstrumentId.from_str(order.instrument))
        if shut and (now or self.simulated):
            yield leg.issue(shut, "instrument")
        elif now and self.simulated and any(feed.get("ended") for feed in self._desk.feeds()):
            message = f"the market of {order.instrument} is closed: its replay has ended"
            yield leg.issue(message, "instrument")
        elif taken is None and self.simulated:
            message = f"there is no price of {order.instrument} yet: nothing can be simulated"
            yield leg.issue(message, "instrument")
        if order.emulation_trigger is not None:
            yield from _emulated(leg, found)
        elif self.simulated and order.trigger_type == "LAST_PRICE" and found.last is None:
            message = f"{order.instrument} has quotes only: no last price would ever trigger it"
            yield leg.issue(f"{message}. BID_ASK does", "trigger_type")
        if taken is not None:
            yield from wrong_side(leg, found)

    def _position(self, leg: Leg) -> Iterator[Issue]:
        """Find a position that is not there, or not to be named."""
        order = leg.order
        name = InstrumentId.from_str(order.instrument)
        found = {str(each.id): each for each in self._cache.positions_open(instrument_id=name)}
        if order.position_id is not None:
            if order.instrument.rpartition(".")[2] not in self.hedging:
                yield leg.issue(f"positions of {name} are netted: leave it out", "position_id")
            elif order.position_id not in found:
                hint = choices(order.position_id, found)
                message = f"there is no open position '{order.position_id}'. {hint}"
                yield leg.issue(message, "position_id")
        elif order.reduce_only and self.simulated:
            side = "SHORT" if order.side == "BUY" else "LONG"
            own = [each for each in found.values() if each.strategy_id == self._desk.strategy_id]
            if not any(each.side.name == side for each in own):
                message = f"the desk has no {side.lower()} position of {name} to reduce"
                yield leg.issue(message, "reduce_only")

    def _expiry(self, leg: Leg, instrument: Any) -> Iterator[Issue]:
        now = self._desk.clock.timestamp_ns()
        ends = getattr(instrument, "expiration_ns", None)
        if ends and ends <= now:
            yield leg.issue(f"expired on {instrument.expiration_utc:%Y-%m-%d}", "instrument")
        if leg.order.expire_time is not None and moment_ns(leg.order.expire_time, end=True) <= now:
            yield leg.issue(f"has passed: {leg.order.expire_time}", "expire_time")

    def _pays(self, leg: Leg, instrument: Any) -> Iterator[Issue]:
        """Find what the account cannot pay, where that can be told."""
        order = leg.order
        account = self._cache.account_for_venue(Venue(order.instrument.rpartition(".")[2]))
        price = order.price or order.trigger_price or self.prices(order).taken(order.side)
        if order.reduce_only or account is None or price is None:
            return
        units = self.cost.units(order, instrument, price)
        held = self._market.position(instrument.id)
        sign = 1 if order.side == "BUY" else -1
        opening = units - max(min(units, -sign * held), Decimal(0))
        if opening <= 0:
            return
        share = not hasattr(instrument, "base_currency")
        if share and order.side == "SELL" and not margined(account):
            what = f"only {held} are held" if held > 0 else "the account has none to sell"
            yield leg.issue(f"{what}: a cash account sells no more than it has", "quantity")
            return
        needed = self.cost.needed(order, instrument, account, opening, price)
        if needed is None:
            return
        amount, currency, what = needed
        free = account.balance_free(currency)
        if free is not None and amount > free.as_decimal():
            message = f"needs {amount:f} {currency.code} of {what}, free are {free}"
            yield leg.issue(message, "quantity")


def at_once(order: Order) -> bool:
    """Say whether an order meets the market the moment it arrives, whatever the prices."""
    plain = order.type in ("MARKET", "MARKET_TO_LIMIT")
    return plain or (order.type == "LIMIT" and order.time_in_force in ("IOC", "FOK"))


def fits(leg: Leg, instrument: Any, market: Decimal | None) -> Iterator[Issue]:
    """Find what the instrument does not allow; `market` is the price an order would meet."""
    order = leg.order
    name, places = instrument.id, instrument.size_precision
    for key in ("quantity", "display_quantity"):
        units = getattr(order, key)
        if units is None or (key == "quantity" and order.quote_quantity):
            continue
        step = instrument.size_increment.as_decimal()
        if decimals(units) > places:
            yield leg.issue(f"{name} has quantities of {_places(places)}, found {units}", key)
        elif units % step:
            yield leg.issue(f"of {name} is a multiple of {step}, found {units}", key)
    least, most = _decimal(instrument.min_quantity), _decimal(instrument.max_quantity)
    if not order.quote_quantity:
        if least is not None and order.quantity < least:
            yield leg.issue(f"of {name} is at least {least}, found {order.quantity}", "quantity")
        if most is not None and order.quantity > most:
            yield leg.issue(f"of {name} is at most {most}, found {order.quantity}", "quantity")
    elif decimals(order.quantity) > places:
        yield leg.issue(f"{name} has quantities of {_places(places)}", "quantity")
    for key in _PRICES:
        if (price := getattr(order, key)) is not None:
            yield from price_fits(leg, instrument, key, price)
    yield from _offsets_fit(leg, instrument, market)
    yield from _notional_fits(leg, instrument, market)


def price_fits(leg: Leg, instrument: Any, key: str, price: Decimal) -> Iterator[Issue]:
    """Find what the instrument does not allow of a price."""
    name, places = instrument.id, instrument.price_precision
    step = instrument.price_increment.as_decimal()
    least, most = _decimal(instrument.min_price), _decimal(instrument.max_price)
    if decimals(price) > places:
        yield leg.issue(f"{name} has prices of {_places(places)}, found {price}", key)
    elif price % step:
        yield leg.issue(f"of {name} is a multiple of {step}, found {price}", key)
    elif price <= 0 and instrument.instrument_class.name not in _SIGNED:
        yield leg.issue(f"of {name} is above 0, found {price}", key)
    elif least is not None and price < least:
        yield leg.issue(f"of {name} is at least {least}, found {price}", key)
    elif most is not None and price > most:
        yield leg.issue(f"of {name} is at most {most}, found {price}", key)


def _offsets_fit(leg: Leg, instrument: Any, market: Decimal | None) -> Iterator[Issue]:
    order = leg.order
    for key in ("trailing_offset", "limit_offset"):
        offset = getattr(order, key)
        if offset is None:
            continue
        kind = order.trailing_offset_type
        tick = instrument.price_increment.as_decimal()
        distance = {"PRICE": offset, "TICKS": offset * tick}.get(kind, Decimal(0))
        if market is not None and 0 < market <= distance:
            yield leg.issue(f"is less than the price, {market}, found {distance}", key)
        if kind == "TICKS" and offset % 1:
            yield leg.issue(f"in ticks is a whole number, found {offset}", key)
        elif kind == "BASIS_POINTS" and offset >= 10_000:
            yield leg.issue(f"in basis points is below 10000 (100%), found {offset}", key)
        elif kind == "PRICE" and decimals(offset) > instrument.price_precision:
            places = _places(instrument.price_precision)
            yield leg.issue(f"{instrument.id} has prices of {places}, found {offset}", key)


def _notional_fits(leg: Leg, instrument: Any, market: Decimal | None) -> Iterator[Issue]:
    order = leg.order
    price = order.price or order.trigger_price or market
    if price is None or price <= 0 or order.quote_quantity:
        return
    size = instrument.multiplier.as_decimal() * order.quantity
    if size * max(price, 1) > MAX_AMOUNT:
        yield leg.issue(f"at {price} is worth more than can be counted", "quantity")
        return
    least, most = instrument.min_notional, instrument.max_notional
    if not (least or most) or decimals(order.quantity) > instrument.size_precision:
        return
    value = notional(instrument, order.quantity, price)
    if least is not None and value < least:
        yield leg.issue(f"is worth {value}, of {instrument.id} at least {least}", "quantity")
    if most is not None and value > most:
        yield leg.issue(f"is worth {value}, of {instrument.id} at most {most}", "quantity")


def _emulated(leg: Leg, found: Prices) -> Iterator[Issue]:
    """Find what the engine's emulator could not see: it looks at quotes and trades, not at bars."""
    name, key = leg.order.instrument, "emulation_trigger"
    if leg.order.emulation_trigger == "LAST_PRICE" and not found.trades:
        yield leg.issue(f"there are no trades of {name} to trigger it", key)
    elif leg.order.emulation_trigger != "LAST_PRICE" and not found.quotes:
        yield leg.issue(f"there are no quotes of {name} to trigger it", key)


def wrong_side(leg: Leg, found: Prices) -> Iterator[Issue]:
    """Find a trigger on the wrong side of the market, or a post-only order that would take."""
    order = leg.order
    market = _reference(order, found)
    if market is None:
        return
    buys = order.side == "BUY"
    if order.trigger_price is not None:
        above = order.trigger_price > market
        below = order.trigger_price < market
        if order.type in STOPS and not (above if buys else below):
            side, other = ("above", "at or below") if buys else ("below", "at or above")
            yield leg.issue(
                f"of a {order.side} stop is {side} the market at {market}, found "
                f"{order.trigger_price}, {other} it: it would trigger at once",
                "trigger_price",
            )
        elif order.type in TOUCHED and not (below if buys else above):
            side = "below" if buys else "above"
            yield leg.issue(
                f"of a {order.side} {order.type} is {side} the market at {market}, found "
                f"{order.trigger_price}: it would trigger at once",
                "trigger_price",
            )
    taken, price = found.taken(order.side), order.price
    if order.type == "LIMIT" and order.post_only and taken is not None and price is not None:
        takes = price >= taken if buys else price <= taken
        if takes:
            message = f"a {order.side} at {price} would take at once: the market is {taken}"
            yield leg.issue(message, "post_only")


def _reference(order: Order, found: Prices) -> Decimal | None:
    """Return the price a trigger is compared with."""
    if order.trigger_type == "LAST_PRICE":
        return found.last
    return found.taken(order.side)


def _exit_side(leg: Leg, entry: Order, found: Prices) -> Iterator[Issue]:
    """Find an exit on the wrong side of the entry."""
    at = entry.price or entry.trigger_price or found.taken(entry.side)
    if at is None:
        return
    order, buys = leg.order, entry.side == "BUY"
    price = order.trigger_price if order.type in (*STOPS, *TOUCHED) else order.price
    if price is None:
        return
    wants_below = (order.type in STOPS) == buys
    if not (price < at if wants_below else price > at):
        key = "trigger_price" if order.type in (*STOPS, *TOUCHED) else "price"
        side = "below" if wants_below else "above"
        yield leg.issue(f"is {side} the entry at {at}, found {price}", key)


def _places(number: int) -> str:
    return "no decimals" if number == 0 else f"at most {number} decimal{'s' * (number > 1)}"


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else value.as_decimal()
