"""Instruments: from a study's definition, or a venue's, to the engine's object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.study.fields import moment_ns, split_instrument

if TYPE_CHECKING:
    from workbench.study.datasets import Instrument

DEFINITION = "workbench.definition"
"""Key in an instrument's ``info`` under which a study's definition of it is kept."""

DESCRIPTION = "workbench.description"
"""Key in an instrument's ``info`` under which a venue's description of it is kept."""


@dataclass(frozen=True, slots=True)
class Description:
    """An instrument as its venue or vendor describes it, in the engine's terms.

    Attributes
    ----------
    content
        What the engine's ``to_dict`` gives, as JSON text with sorted keys; ``type`` names its
        class. Without the venue's own ``info``, and with ``ts_event`` and ``ts_init`` 0: it is
        known from the beginning.

    """

    content: str

    @classmethod
    def of(cls, instrument: Any) -> Description:
        """Describe one of the engine's instruments."""
        content = describe(instrument) | {"ts_event": 0, "ts_init": 0}
        return cls(json.dumps(content, sort_keys=True))

    @property
    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.content)
        return values

    @property
    def id(self) -> str:
        """Its id, such as ``ESU4.GLBX``."""
        return str(self._values["id"])

    @property
    def type(self) -> str:
        """Its class in the engine, such as ``FuturesContract``."""
        return str(self._values["type"])

    @property
    def currency(self) -> str:
        """The currency its prices are in."""
        values = self._values
        return str(values.get("quote_currency") or values["currency"])

    @property
    def price_precision(self) -> int:
        """Decimals of a price."""
        return int(self._values["price_precision"])

    @property
    def size_precision(self) -> int:
        """Decimals of a quantity."""
        return int(self._values["size_precision"])

    @property
    def price_increment(self) -> Decimal:
        """The smallest step of its price."""
        return Decimal(self._values["price_increment"])


type Definition = Instrument | Description
"""What is known of an instrument: as a study defines it, or as its venue describes it."""


def defined(info: Mapping[str, Any]) -> Definition | None:
    """Return the definition kept in an instrument's ``info``, None where there is none."""
    from workbench.study.datasets import Instrument

    if DESCRIPTION in info:
        return Description(info[DESCRIPTION])
    return Instrument.model_validate(info[DEFINITION]) if DEFINITION in info else None


def build(instrument_id: str, definition: Definition) -> Any:
    """Build the engine's instrument.

    Parameters
    ----------
    instrument_id
        Such as ``AAPL.XNAS``; checked by the study.
    definition
        What the engine must know of it. Kept whole in the object's ``info``.

    Returns
    -------
    Equity | CurrencyPair | CryptoPerpetual | FuturesContract | ...
        One of the engine's, ``ts_event`` and ``ts_init`` 0: it is known from the beginning.

    """
    from nautilus_trader import model

    if isinstance(definition, Description):
        values = json.loads(definition.content)
        values["info"] = {DESCRIPTION: definition.content}
        return getattr(model, values["type"]).from_dict(values)

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
