"""What takes more than one field of a study to see."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workbench.core.errors import Issue, choices
from workbench.study.fields import split_instrument, split_money

if TYPE_CHECKING:
    from workbench.study.document import DataSpec, FileData, Instrument, Study, Venue


def check(study: Study) -> list[Issue]:
    """Return every contradiction in `study`; none means it is valid in itself."""
    issues: list[Issue] = []
    venues: dict[str, int] = {}
    for index, venue in enumerate(study.venues):
        if venue.name in venues:
            message = f"venue '{venue.name}' is already venues.{venues[venue.name]}"
            issues.append(study.issue(message, "venues", index, "name"))
        venues.setdefault(venue.name, index)
        issues += _venue(study, venue, index)
    seen: dict[tuple[str, str], int] = {}
    for index, spec in enumerate(study.data):
        issues += _data(study, spec, index)
        if spec.venue not in venues:
            message = (
                f"'{spec.instrument}' trades at '{spec.venue}', which is not among the venues. "
                f"{choices(spec.venue, venues)}"
            )
            issues.append(study.issue(message, "data", index, "instrument"))
        key = (spec.kind, spec.identity)
        if key in seen:
            message = f"{spec.identity} is already data.{seen[key]}"
            issues.append(study.issue(message, "data", index))
        seen.setdefault(key, index)
    for instrument in study.risk.max_position:
        if instrument not in (known := [spec.instrument for spec in study.data]):
            message = f"'{instrument}' is not in the data. {choices(instrument, known)}"
            issues.append(study.issue(message, "risk", "max_position", instrument))
    return issues


def _data(study: Study, spec: DataSpec, index: int) -> list[Issue]:
    issues = []
    if (spec.bars is None) == (spec.ticks is None):
        message = "say what is wanted: either 'bars: 1-DAY-LAST' or 'ticks: quotes' (or trades)"
        issues.append(study.issue(message, "data", index))
    start, end = spec.start_ns, spec.end_ns
    if start is not None and end is not None and start > end:
        message = f"ends {spec.end} before it starts ({spec.start})"
        issues.append(study.issue(message, "data", index, "end"))
    if spec.provider == "file":
        issues += _file(study, spec, index)  # type: ignore[arg-type]
    return issues


def _file(study: Study, spec: FileData, index: int) -> list[Issue]:
    issues = []
    try:
        ZoneInfo(spec.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"unknown time zone '{spec.timezone}': an IANA name such as America/New_York"
        issues.append(study.issue(message, "data", index, "timezone"))
    if spec.definition:
        issues += _definition(study, spec, spec.definition, index)
    return issues


def _definition(study: Study, spec: FileData, definition: Instrument, index: int) -> list[Issue]:
    issues = []
    at = ("data", index, "definition")
    pair = definition.type in ("currency_pair", "crypto_perpetual")
    if pair and definition.base is None:
        issues.append(study.issue(f"a {definition.type} needs 'base'", *at))
    if pair and definition.base == definition.currency:
        issues.append(study.issue("'base' and 'currency' are the same", *at, "base"))
    if definition.type == "equity" and definition.size_precision:
        issues.append(study.issue("an equity trades in whole units", *at, "size_precision"))
    if definition.type == "future":
        issues += [
            study.issue(f"a future needs '{name}'", *at)
            for name in ("underlying", "expires")
            if getattr(definition, name) is None
        ]
        if definition.size_precision:
            issues.append(study.issue("a future trades in whole contracts", *at, "size_precision"))
    for what in ("price", "size"):
        increment = getattr(definition, f"{what}_increment")
        precision = getattr(definition, f"{what}_precision")
        if increment is not None and increment % (1 / _ten(precision)):
            message = f"{increment} does not fit {precision} decimals"
            issues.append(study.issue(message, *at, f"{what}_increment"))
    return issues


def _ten(precision: int) -> int:
    return 10**precision


def _venue(study: Study, venue: Venue, index: int) -> list[Issue]:
    issues = []
    currencies = [split_money(balance)[1] for balance in venue.balances]
    for number, (balance, currency) in enumerate(zip(venue.balances, currencies, strict=True)):
        if split_money(balance)[0] < 0:
            message = f"a starting balance is not negative, found {balance}"
            issues.append(study.issue(message, "venues", index, "balances", number))
        if currency in currencies[:number]:
            message = f"two balances in {currency}"
            issues.append(study.issue(message, "venues", index, "balances", number))
    if venue.base_currency and currencies != [venue.base_currency]:
        message = (
            f"an account with base currency {venue.base_currency} holds one balance, in "
            f"{venue.base_currency}; found {', '.join(venue.balances)}"
        )
        issues.append(study.issue(message, "venues", index, "base_currency"))
    if venue.account == "cash":
        if venue.leverage != 1 or venue.leverages:
            issues.append(study.issue("a cash account has no leverage", "venues", index, "leverage"))
    elif venue.allow_cash_borrowing:
        message = "is for cash accounts; a margin account borrows as it is"
        issues.append(study.issue(message, "venues", index, "allow_cash_borrowing"))
    for instrument in venue.leverages:
        if split_instrument(instrument)[1] != venue.name:
            message = f"'{instrument}' does not trade at '{venue.name}'"
            issues.append(study.issue(message, "venues", index, "leverages", instrument))
    return issues
