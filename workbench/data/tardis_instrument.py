"""Instruments as Tardis's API describes them."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

from workbench.adapters.secrets import Secret, child_environment, redact
from workbench.core.errors import DataError
from workbench.data import tardis_api
from workbench.data.provider import Item
from workbench.data.tardis_api import file_symbol
from workbench.engine import tardis as engine
from workbench.engine.instruments import Definition, Description
from workbench.study.datasets import TardisData
from workbench.study.fields import split_instrument


def describe(item: Item, symbol: str, key: Secret, known: Definition | None) -> Definition:
    """Ask for the definition of a dataset's instrument.

    Parameters
    ----------
    item, symbol
        The dataset, and what Tardis calls its instrument.
    key
        Of a subscription with access to that API.
    known
        What the catalog knows: of use if the API gives nothing.

    Raises
    ------
    StudyError
        If Tardis describes another instrument than the study names.
    DataError
        If it does not describe it and nothing is known.

    """
    spec = item.spec
    assert isinstance(spec, TardisData)
    exchange = spec.exchange or ""
    try:
        found = _asked(exchange, _spelt(exchange, symbol), key)
    except DataError as error:
        if known is not None:
            return known
        message = f"Tardis does not describe {symbol} of {exchange}: {error}"
        hint = "That needs a pro or business subscription; else write a 'definition'"
        raise DataError(redact(f"{message}. {hint}", [key])) from None
    if spec.symbol is None and found.id.rpartition(".")[0] != split_instrument(spec.instrument)[0]:
        name = f"{found.id.rpartition('.')[0]}.{spec.venue}"
        message = (
            f"{symbol} of {exchange} is a {found.type}, which NautilusTrader calls {name}. Name it "
            f"so, or set 'symbol: {symbol}' to keep your name"
        )
        raise item.error(message, "instrument")
    return Description(
        json.dumps(json.loads(found.content) | {"id": spec.instrument}, sort_keys=True)
    )


def _asked(exchange: str, symbol: str, key: Secret) -> Description:
    error: DataError | None = None
    for attempt in range(3):
        try:
            found = engine.describe(
                exchange,
                symbol,
                key.reveal(),
                tardis_api.api_url(),
                timeout=tardis_api.SILENCE_SECONDS,
                environment=child_environment(),
            )
        except DataError as failed:
            error = failed
            time.sleep(0.25 * 2**attempt)
            continue
        if found is None:
            raise DataError("it is none of the kinds NautilusTrader knows")
        return found
    assert error is not None
    raise error


def _spelt(exchange: str, symbol: str) -> str:
    """Return a symbol as the API's path has it: in the exchange's own case."""
    symbols = tardis_api.exchange_details(exchange).get("availableSymbols", [])
    named = {file_symbol(str(each["id"])): str(each["id"]) for each in symbols}
    return quote(named.get(file_symbol(symbol), symbol), safe="")
