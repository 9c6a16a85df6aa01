"""What a venue lists: cached datasets as linear USDT perpetuals, under names as Bybit has them."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, choices
from workbench.core.project import Project
from workbench.data.catalog import Dataset, datasets
from workbench.data.intervals import BEGINNING, END
from workbench.data.reader import inputs
from workbench.engine.catalog import definitions
from workbench.engine.instruments import Definition, Description
from workbench.study import Study
from workbench.study.document import MakerTaker, Venue
from workbench.study.fields import moment_ns, split_instrument
from workbench.venue.auth import Keys
from workbench.venue.faults import Fault, read_fault
from workbench.venue.model import COIN, DOLLARS, Contract
from workbench.venue.replay import read_speed
from workbench.venue.tape import Source, Tape

_SUFFIXES = ("LINEAR", "SPOT", "INVERSE", "PERP", "SWAP")  # of kinds of contracts: here is one
_MONEY = re.compile(r"([\d_,]+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9]{1,20}USDT", re.ASCII)
_TERMS = ("tick", "step", "price", "maker", "taker", "leverage", "min_notional")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a venue lists and how it is served; see `workbench.venue.serve`.

    Attributes
    ----------
    balance
        USDT the books must have been opened with; None for any.
    opening
        USDT new books are opened with where `balance` is None.
    prices
        With which contracts without data begin, by symbol.

    """

    contracts: Mapping[str, Contract]
    tape: Tape
    keys: Keys
    books: Path | None = None
    balance: Decimal | None = None
    opening: Decimal = Decimal(100_000)
    speed: float | None = 1.0
    paused: bool = False
    start: int | None = None
    port: int = 0
    token: str | None = None
    faults: tuple[Fault, ...] = ()
    prices: Mapping[str, str] = field(default_factory=dict)


def read_settings(
    *,
    study: Study | None = None,
    datasets: Sequence[str] = (),
    symbols: Sequence[str] = (),
    project: Project | None = None,
    speed: float | str = 1,
    paused: bool = False,
    start: str | None = None,
    port: int = 0,
    books: Path | str | None = None,
    balance: str | None = None,
    faults: Sequence[str | Mapping[str, Any]] = (),
    key: str | None = None,
    secret: str | None = None,
    token: str | None = None,
) -> Settings:
    """Read what `workbench.venue.serve` is asked for.

    Raises
    ------
    InputError
        If a value is wrong, a dataset unknown, or two datasets would have one name.
    DataError
        If the catalog's files are broken.

    """
    if study is not None or datasets:
        project = project or Project.find()
        sources = _sources(study, datasets, project)
    else:
        sources = []
    contracts = {source.contract.symbol: source.contract for source in sources}
    prices: dict[str, str] = {}
    for text in symbols:
        contract, price = _named(text)
        if contract.symbol in contracts:
            raise InputError(f"two contracts would be listed as {contract.symbol}")
        contracts[contract.symbol] = contract
        if price is not None:
            prices[contract.symbol] = price
    if not contracts:
        raise InputError("nothing to list: name a study, a dataset or a symbol")
    if not 0 <= port <= 65_535:
        raise InputError(f"port must be from 0 to 65535, found {port}")
    return Settings(
        contracts=contracts,
        tape=Tape(sources),
        keys=Keys.given(key, secret),
        books=None if books is None else Path(books).absolute(),
        balance=None if balance is None else _balance(balance),
        opening=_study_balance(study),
        speed=read_speed(speed),
        paused=paused,
        start=None if start is None else _moment(start),
        port=port,
        token=token,
        faults=tuple(map(read_fault, faults)),
        prices=prices,
    )


def symbol_of(instrument: str) -> str:
    """Return the name under which an instrument is listed: ``AAPLUSDT`` for ``AAPL.XNAS``."""
    name, _ = split_instrument(instrument)
    parts = re.findall("[A-Z0-9]+", name.upper())
    while len(parts) > 1 and parts[-1] in _SUFFIXES:
        parts.pop()
    letters = "".join(parts)
    if letters.endswith(COIN):
        return letters
    return f"{letters}T" if letters.endswith("USD") else f"{letters}{COIN}"


def _sources(study: Study | None, names: Sequence[str], project: Project) -> list[Source]:
    """Return the datasets of a study and those that were named, each once."""
    known = definitions(project.catalog)
    venues = {} if study is None else {each.name: each for each in study.venues}
    found: dict[tuple[str, str], Source] = {}
    if study is not None:
        for spec, _ in inputs(study, project):  # raises where the catalog lacks something
            files = tuple(Dataset(project, spec.kind, spec.identity).good())
            wanted = (
                BEGINNING if spec.start_ns is None else spec.start_ns,
                END if spec.end_ns is None else spec.end_ns,
            )
            contract = _contract(spec.instrument, known, files[0].precisions, venues)
            found[spec.kind, spec.identity] = Source(
                spec.kind, spec.identity, contract, files, wanted
            )
    for dataset in _cached(names, project):
        files = tuple(dataset.good())
        instrument = _instrument(dataset)
        contract = _contract(instrument, known, files[0].precisions, venues)
        found.setdefault(
            (dataset.kind, dataset.identity),
            Source(dataset.kind, dataset.identity, contract, files, (BEGINNING, END)),
        )
    _check_names([source.contract for source in found.values()])
    return list(found.values())


def _cached(names: Sequence[str], project: Project) -> list[Dataset]:
    """Return the datasets of the catalog that names ask for: ``[KIND/]IDENTITY``."""
    held = [dataset for dataset in datasets(project) if any(not f.broken for f in dataset.files())]
    found = []
    for name in names:
        kind, slash, identity = name.partition("/")
        if not slash or kind not in {dataset.kind for dataset in held}:
            kind, identity = "", name  # EUR/USD.SIM has a slash of its own
        chosen = [
            dataset
            for dataset in held
            if dataset.identity == identity and kind in ("", dataset.kind)
        ]
        if not chosen:
            all_names = sorted({dataset.identity for dataset in held})
            raise InputError(
                f"the catalog has no dataset '{name}'. {choices(name, all_names)}. "
                "Fetch one: workbench data fetch STUDY"
            )
        found += chosen
    return found


def _instrument(dataset: Dataset) -> str:
    """Return the instrument of a dataset; a bar type is ``INSTRUMENT-STEP-UNIT-PRICE-SOURCE``."""
    return dataset.identity.rsplit("-", 4)[0] if dataset.kind == "bars" else dataset.identity


def _contract(
    instrument: str,
    known: Mapping[str, Definition],
    precisions: tuple[int, int],
    venues: Mapping[str, Venue],
) -> Contract:
    definition = known.get(instrument)
    tick, step = (Decimal(1).scaleb(-precision) for precision in precisions)
    if isinstance(definition, Description):
        values = json.loads(definition.content)
        tick = definition.price_increment
        step = Decimal(
            values.get("size_increment") or Decimal(1).scaleb(-definition.size_precision)
        )
    elif definition is not None:
        tick = definition.price_increment or Decimal(1).scaleb(-definition.price_precision)
        step = definition.size_increment or Decimal(1).scaleb(-definition.size_precision)
    contract = Contract(symbol_of(instrument), instrument, tick, step)
    venue = venues.get(split_instrument(instrument)[1])
    if venue is None:
        return contract
    leverage = venue.leverages.get(instrument, venue.leverage)
    contract = replace(contract, leverage=min(max(leverage, Decimal(1)), contract.max_leverage))
    if isinstance(venue.fees, MakerTaker):
        contract = replace(contract, maker=venue.fees.maker, taker=venue.fees.taker)
    return contract


def _check_names(contracts: Sequence[Contract]) -> None:
    names: dict[str, str] = {}
    for contract in contracts:
        other = names.setdefault(contract.symbol, contract.instrument)
        if other != contract.instrument:
            raise InputError(
                f"{other} and {contract.instrument} would both be listed as {contract.symbol}: "
                "serve one of them"
            )


def _named(text: str) -> tuple[Contract, str | None]:
    """Read a contract without data: ``BTCUSDT:tick=0.1,step=0.001,price=30000``."""
    symbol, _, rest = text.partition(":")
    if not _SYMBOL.fullmatch(symbol):
        raise InputError(f"symbol: '{symbol}' is no name such as BTCUSDT")
    terms: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        name, _, value = pair.partition("=")
        if name not in _TERMS:
            raise InputError(f"symbol {symbol}: no '{name}'. {choices(name, _TERMS)}")
        terms[name] = _positive(f"symbol {symbol}: {name}", value, zero=name in ("maker", "taker"))
    price = terms.pop("price", None)
    tick, step = terms.pop("tick", Decimal("0.01")), terms.pop("step", Decimal("0.001"))
    contract = replace(Contract(symbol, f"{symbol}-LINEAR.BYBIT", tick, step), **terms)
    if price is not None and price % contract.tick:
        raise InputError(f"symbol {symbol}: price {price} is no multiple of the tick size {tick}")
    return contract, None if price is None else str(price)


def _positive(what: str, text: str, *, zero: bool = False) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0 or not (number or zero):
        raise InputError(f"{what} must be a number above 0, found '{text}'")
    return number


def _balance(text: str) -> Decimal:
    """Read an amount such as ``100000 USDT``."""
    found = _MONEY.fullmatch(text.strip())
    if found is None or found[2].upper() not in ("", COIN):
        raise InputError(f"balance '{text}' is no amount of USDT, such as '100000 USDT'")
    return _positive("balance", re.sub("[_,]", "", found[1]))


def _study_balance(study: Study | None) -> Decimal:
    """Return what new books are opened with: the study's dollars, or 100,000."""
    for venue in study.venues if study else ():
        for balance in venue.balances:
            amount, _, currency = str(balance).partition(" ")
            if currency in DOLLARS:
                return Decimal(amount.replace("_", "").replace(",", ""))
    return Decimal(100_000)


def _moment(text: str) -> int:
    """Read a date, or a time with its offset from UTC, as UNIX nanoseconds."""
    readers: tuple[Callable[[str], dt.date], ...] = (
        dt.date.fromisoformat,
        dt.datetime.fromisoformat,
    )
    for read in readers:
        try:
            moment = read(text)
        except ValueError:
            continue
        if not isinstance(moment, dt.datetime) or moment.tzinfo is not None:
            return moment_ns(moment)
    raise InputError(
        f"start '{text}' is no date (2013-03-01) or time with a zone (2013-03-01T14:30:00Z)"
    )
