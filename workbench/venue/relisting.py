"""A study as the practice venue has it: its instruments under the names they are listed by.

The venue lists AAPL.XNAS as AAPLUSDT-LINEAR.BYBIT and takes its prices for USDT. A study that is to
trade there needs no change: data, parameters and limits are translated when it is launched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workbench.study import Study
from workbench.study.fields import split_money
from workbench.study.load import build
from workbench.study.places import Places
from workbench.venue.model import COIN, DOLLARS

VENUE = "BYBIT"


def relist(study: Study, instruments: Mapping[str, str]) -> Study:
    """Return the study as it trades on the practice venue.

    Each instrument is named as it is listed, wherever it stands: data, strategy parameters (bar
    types too), limits. The venues become the one there is; dollars become USDT.

    Parameters
    ----------
    study
        Of any venues.
    instruments
        The name each is listed by, by its own: `workbench.venue.Venue.instruments`.

    Raises
    ------
    StudyError
        If an instrument of its data is not listed.

    """
    listed = set(instruments.values())
    for index, spec in enumerate(study.data):
        if spec.instrument not in listed and spec.instrument not in instruments:
            known = ", ".join(sorted({*instruments}))
            message = f"the practice venue does not list it. Listed: {known}"
            raise study.error(message, "data", index, "instrument")
    if all(spec.instrument in listed for spec in study.data):
        return study
    document = study.written()
    document = _renamed(document, {old: new for old, new in instruments.items() if old != new})
    document["venues"] = [_venue(study)]
    document["risk"] = {key: _in_coin(value) for key, value in document.get("risk", {}).items()}
    document.pop("sweep", None)  # its values are of the study as it was
    return build(document, Places())


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with every instrument in it renamed, keys of mappings too."""
    if isinstance(value, dict):
        return {_renamed(key, names): _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    if not isinstance(value, str):
        return value
    for old, new in names.items():
        # The instrument alone, or with its bars behind it: AAPL.XNAS-1-DAY-LAST-EXTERNAL.
        if re.fullmatch(re.escape(old) + r"(-\d+-.+)?", value):
            return new + value[len(old) :]
    return value


def _venue(study: Study) -> dict[str, Any]:
    """Return the practice venue with the first dollars and the leverage of the study's first."""
    first = study.venues[0]
    found = (split_money(each) for each in first.balances)
    amount = next((amount for amount, currency in found if currency in DOLLARS), 100_000)
    return {
        "name": VENUE,
        "account": "margin",
        "balances": [f"{amount:f} {COIN}"],
        "leverage": str(first.leverage),
        "fees": first.fees.model_dump(mode="json"),
    }


def _in_coin(value: Any) -> Any:
    """Return dollars as the venue's coin."""
    if isinstance(value, str):
        amount, _, currency = value.rpartition(" ")
        if amount and currency in DOLLARS:
            return f"{amount} {COIN}"
    return value
