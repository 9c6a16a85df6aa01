"""Instruments: from a study's definition to the engine's object."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.study.fields import moment_ns, split_instrument

if TYPE_CHECKING:
    from workbench.study.document import Instrument

DEFINITION = "workbench.definition"
"""Key in an instrument's ``info`` under which its definition is kept."""


def build(instrument_id: str, definition: Instrument) -> Any:
    """Build the engine's instrument.

    Parameters
    ----------
    instrument_id
        Such as ``AAPL.XNAS``; checked by the study.
    definition
        What the engine must know of it. Kept whole in the object's ``info``.

    Returns
    -------
    Equity | CurrencyPair | CryptoPerpetual | FuturesContract
        With `definition.type`, ``ts_event`` and ``ts_init`` 0: it is known from the beginning.

    """
    from nautilus_trader import model

    symbol = model.Symbol(split_instrument(instrument_id)[0])
    common: dict[str, Any] = {
        "instrument_id": model.InstrumentId.from_str(instrument_id),
        "raw_symbol": symbol,
        "price_precision": definition.price_precision,
        "price_increment": model.Price.from_str(
            _fixed(definition.price_increment, definition.price_precision)
        ),
        "margin_init": definition.margin_init,
        "margin_maint": definition.margin_maint,
        "info": {DEFINITION: definition.model_dump(mode="json")},
        "ts_event": 0,
        "ts_init": 0,
    }
    if definition.lot_size is not None:
        common["lot_size"] = model.Quantity.from_str(
            _fixed(definition.lot_size, definition.size_precision)
        )
    quote = model.Currency.from_str(definition.currency)
    if definition.type == "equity":
        return model.Equity(currency=quote, **common)
    multiplier = model.Quantity.from_str(f"{definition.multiplier:f}")
    if definition.type == "future":
        return model.FuturesContract(
            # Neither the class nor the activation decides anything in a backtest.
            asset_class=model.AssetClass.INDEX,
            underlying=definition.underlying or symbol.value,
            activation_ns=0,
            expiration_ns=moment_ns(definition.expires, end=True) if definition.expires else 0,
            currency=quote,
            multiplier=multiplier,
            **({"lot_size": model.Quantity.from_str("1")} | common),
        )
    common |= {
        "base_currency": model.Currency.from_str(definition.base or definition.currency),
        "quote_currency": quote,
        "size_precision": definition.size_precision,
        "size_increment": model.Quantity.from_str(
            _fixed(definition.size_increment, definition.size_precision)
        ),
        "multiplier": multiplier,
    }
    if definition.type == "currency_pair":
        return model.CurrencyPair(**common)
    settlement = definition.settlement or (
        definition.base if definition.inverse else definition.currency
    )
    return model.CryptoPerpetual(
        settlement_currency=model.Currency.from_str(settlement or definition.currency),
        is_inverse=definition.inverse,
        **common,
    )


def describe(instrument: Any) -> dict[str, Any]:
    """Return what the engine holds of `instrument` as plain JSON values."""
    content: dict[str, Any] = instrument.to_dict()
    content.pop("info", None)
    return content


def _fixed(number: Decimal | None, precision: int) -> str:
    """Write an increment with all its decimals; by default one unit of the last decimal."""
    return f"{Decimal(1).scaleb(-precision) if number is None else number:.{precision}f}"
