"""What an order would cost: notional, fees, and the balance or margin it needs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import Currency, LiquiditySide, Price, Quantity, Venue

from workbench.engine.live.order_request import Order
from workbench.study import Study
from workbench.study.document import FixedFee, MakerTaker, PerContractFee
from workbench.study.fields import split_money

_TAKES = ("MARKET", "MARKET_TO_LIMIT", "STOP_MARKET", "MARKET_IF_TOUCHED", "TRAILING_STOP_MARKET")


class Cost:
    """Estimates by the study's fees and the account's own rules.

    Parameters
    ----------
    study
        Of the node.
    cache
        The engine's.

    """

    def __init__(self, study: Study, cache: Any) -> None:
        self._venues = {venue.name: venue for venue in study.venues}
        self._cache = cache

    def units(self, order: Order, instrument: Any, price: Decimal) -> Decimal:
        """Return the quantity in units."""
        if not order.quote_quantity or instrument.is_inverse or not price:
            return order.quantity
        multiplier: Decimal = instrument.multiplier.as_decimal()
        return order.quantity / (price * multiplier)

    def fees(
        self, order: Order, instrument: Any, units: Decimal, price: Decimal
    ) -> tuple[Decimal, Any] | None:
        """Return amount and currency by the study's fees for the venue, None if it has none."""
        venue = self._venues.get(str(instrument.id.venue))
        match venue.fees if venue is not None else None:
            case FixedFee(per_order=money):
                amount, code = split_money(money)
                return amount, Currency.from_str(code)
            case PerContractFee(per_contract=money):
                amount, code = split_money(money)
                return amount * units, Currency.from_str(code)
            case MakerTaker(maker=maker, taker=taker):
                account = self._cache.account_for_venue(instrument.id.venue)
                if account is None:
                    return None
                takes = order.type in _TAKES or order.time_in_force in ("IOC", "FOK")
                side = LiquiditySide.TAKER if takes else LiquiditySide.MAKER
                money = account.calculate_commission(
                    instrument, *_sized(instrument, units, price), side, maker, taker
                )
                return money.as_decimal(), money.currency
        return None

    def needed(
        self, order: Order, instrument: Any, account: Any, units: Decimal, price: Decimal
    ) -> tuple[Decimal, Any, str] | None:
        """Return what opening so many units takes from the account: amount, currency, what for."""
        size, at = _sized(instrument, units, price)
        if margined(account):
            margin = account.calculate_initial_margin(instrument, size, at)
            return margin.as_decimal(), margin.currency, "initial margin"
        if order.side == "BUY":
            value = instrument.notional_value(size, at)
            return value.as_decimal(), value.currency, "cash"
        base = getattr(instrument, "base_currency", None)
        return None if base is None else (units, base, "what is sold")

    def estimate(self, order: Order, instrument: Any, price: Decimal | None) -> dict[str, Any]:
        """Return notional, fees and margin as text with currency; None where it cannot be told."""
        if price is None or price <= 0:
            return {"price": None, "notional": None, "fees": None, "margin": None}
        units = self.units(order, instrument, price)
        account = self._cache.account_for_venue(Venue(order.instrument.rpartition(".")[2]))
        margin = None
        if account is not None and margined(account):
            found = self.needed(order, instrument, account, units, price)
            margin = None if found is None else f"{found[0]:f} {found[1].code}"
        fees = self.fees(order, instrument, units, price)
        return {
            "price": f"{price:f}",
            "notional": str(notional(instrument, units, price)),
            "fees": None if fees is None else f"{fees[0]:f} {fees[1].code}",
            "margin": margin,
        }


def notional(instrument: Any, units: Decimal, price: Decimal) -> Any:
    """Return the engine's money of so many units."""
    return instrument.notional_value(*_sized(instrument, units, price))


def margined(account: Any) -> bool:
    """Say whether an account trades on margin."""
    return bool(account.account_type.name == "MARGIN")


def _sized(instrument: Any, units: Decimal, price: Decimal) -> tuple[Any, Any]:
    return (
        Quantity.from_decimal_dp(units, instrument.size_precision),
        Price.from_decimal_dp(price, instrument.price_precision),
    )
