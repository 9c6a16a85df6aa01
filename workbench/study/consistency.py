"""What takes more than one field of a study to see."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workbench.core.errors import Issue, choices
from workbench.study.datasets import DatabentoData, FileData, TardisData
from workbench.study.fields import decimals, split_instrument, split_money
from workbench.study.places import Path
from workbench.study.values import shown

if TYPE_CHECKING:
    from workbench.study.datasets import Instrument
    from workbench.study.document import Study, Venue

MAX_RUNS = 100_000

_SECRET = re.compile(
    r".*(apikey|apisecret|accesskey|privatekey|secretkey|signingkey|secret|token|pass(word|wd|phrase)"
    r"|mnemonic|seedphrase|credential|authorization)s?(id|value)?"
)
_URL_WITH_PASSWORD = re.compile(r"\w+://[^/@\s]*:[^/@\s]+@.*")


def check(study: Study) -> list[Issue]:
    """Return every contradiction in `study`; none means it is valid in itself."""
    return [
        *_venues(study),
        *_datasets(study),
        *_instruments(study, study.risk.max_position, "risk", "max_position"),
        *_sweep(study),
        *_credentials(study),
    ]


def _venues(study: Study) -> Iterator[Issue]:
    first: dict[str, int] = {}
    for index, venue in enumerate(study.venues):
        if first.setdefault(venue.name, index) != index:
            message = f"venue '{venue.name}' is already venues.{first[venue.name]}"
            yield study.issue(message, "venues", index, "name")
        yield from _account(study, venue, index)
        yield from _instruments(study, venue.leverages, "venues", index, "leverages")
        for instrument in venue.leverages:
            if split_instrument(instrument)[1] != venue.name:
                message = f"'{instrument}' does not trade at '{venue.name}'"
                yield study.issue(message, "venues", index, "leverages", instrument)


def _account(study: Study, venue: Venue, index: int) -> Iterator[Issue]:
    currencies = [split_money(balance)[1] for balance in venue.balances]
    for number, currency in enumerate(currencies):
        if currency in currencies[:number]:
            message = f"two balances in {currency}"
            yield study.issue(message, "venues", index, "balances", number)
    if venue.base_currency and currencies != [venue.base_currency]:
        message = (
            f"an account with base currency {venue.base_currency} holds one balance, in "
            f"{venue.base_currency}; found {', '.join(venue.balances)}"
        )
        yield study.issue(message, "venues", index, "base_currency")
    if venue.account == "cash":
        for key, given in (("leverage", venue.leverage != 1), ("leverages", venue.leverages)):
            if given:
                yield study.issue("a cash account has no leverage", "venues", index, key)
    elif venue.allow_cash_borrowing:
        message = "is for cash accounts; a margin account borrows as it is"
        yield study.issue(message, "venues", index, "allow_cash_borrowing")


def _instruments(study: Study, names: Collection[str], *path: str | int) -> Iterator[Issue]:
    """Refuse what is set for an instrument the study has no data of: it would never apply."""
    if not names:
        return
    known = {spec.instrument for spec in study.data}
    for name, values in study.sweep.params.items() if study.sweep else ():
        if re.fullmatch(r"data\.\d+\.instrument", name):
            known.update(map(str, values))
    for name in names:
        if name not in known:
            message = f"'{name}' is not in the data. {choices(name, sorted(known))}"
            yield study.issue(message, *path, name)


def _datasets(study: Study) -> Iterator[Issue]:
    venues = [venue.name for venue in study.venues]
    first: dict[tuple[str, str], int] = {}
    for index, spec in enumerate(study.data):
        if sum(each is not None for each in (spec.bars, spec.ticks, spec.book)) != 1:
            message = (
                "say what is wanted, one of 'bars: 1-DAY-LAST', 'ticks: quotes' (or trades) and "
                "'book: deltas' (or depths)"
            )
            yield study.issue(message, "data", index)
        start, end = spec.start_ns, spec.end_ns
        if start is not None and end is not None and start > end:
            message = f"the data ends at {spec.end}, before it starts at {spec.start}"
            yield study.issue(message, "data", index, "end")
        if spec.venue not in venues:
            message = (
                f"'{spec.instrument}' trades at '{spec.venue}', which is not among the venues. "
                f"{choices(spec.venue, venues)}"
            )
            yield study.issue(message, "data", index, "instrument")
        if first.setdefault((spec.kind, spec.identity), index) != index:
            message = f"{spec.identity} is already data.{first[spec.kind, spec.identity]}"
            yield study.issue(message, "data", index)
        if isinstance(spec, FileData):
            yield from _file(study, spec, index)
        if isinstance(spec, FileData | DatabentoData | TardisData) and spec.definition:
            yield from _definition(study, spec.definition, ("data", index, "definition"))


def _file(study: Study, spec: FileData, index: int) -> Iterator[Issue]:
    try:
        ZoneInfo(spec.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"unknown time zone {shown(spec.timezone)}: an IANA name such as America/New_York"
        yield study.issue(message, "data", index, "timezone")


def _definition(study: Study, definition: Instrument, at: Path) -> Iterator[Issue]:
    needed = {
        "currency_pair": ("base",),
        "crypto_perpetual": ("base",),
        "future": ("underlying", "expires"),
    }
    for name in needed.get(definition.type, ()):
        if getattr(definition, name) is None:
            yield study.issue(f"is missing: a {definition.type} has one", *at, name)
    if definition.base == definition.currency:
        yield study.issue("'base' and 'currency' are the same", *at, "base")
    if definition.type in ("equity", "future") and definition.size_precision:
        message = f"is 0 for a {definition.type}: it trades in whole units"
        yield study.issue(message, *at, "size_precision")
    for what in ("price", "size"):
        increment: Decimal | None = getattr(definition, f"{what}_increment")
        precision: int = getattr(definition, f"{what}_precision")
        if increment is not None and decimals(increment) > precision:
            message = f"{increment:f} does not fit {precision} decimals"
            yield study.issue(message, *at, f"{what}_increment")


def _sweep(study: Study) -> Iterator[Issue]:
    if study.sweep and study.sweep.size > MAX_RUNS:
        message = f"a grid of {study.sweep.size:,} runs; at most {MAX_RUNS:,}"
        yield study.issue(message, "sweep", "params")


def _credentials(study: Study) -> Iterator[Issue]:
    for section in ("feeds", "execution") if study.live else ():
        for index, adapter in enumerate(getattr(study.live, section)):
            for path in _secrets(adapter.model_extra or {}):
                message = (
                    "credentials never stand in a study; they come from the keyring or the "
                    "environment: remove it from here"
                )
                yield study.issue(message, "live", section, index, *path)


def _secrets(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of values that are credentials by their key or their look."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            name = re.sub(r"[^a-z]", "", key.lower())
            if _SECRET.fullmatch(name) and item and not isinstance(item, bool):
                yield (*path, key)
            else:
                yield from _secrets(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secrets(item, (*path, index))
    elif isinstance(value, str) and _URL_WITH_PASSWORD.fullmatch(value):
        yield path
