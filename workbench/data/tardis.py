"""The provider ``tardis``: ticks and order books of crypto venues, downloaded or from files.

One request is one file: a day of Tardis's, or a file on this machine. It is read through for faults
before the first of its rows is stored. A day's file stays in the `scratch` folder until all its
rows are, so a fetch that was killed does not download it again.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from workbench.adapters.secrets import Secret
from workbench.core.errors import Cancelled, DataError, InputError, Issue, nearest
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.core.project import Project
from workbench.data import tardis_api, tardis_csv, tardis_files, tardis_rows
from workbench.data.catalog import Dataset
from workbench.data.intervals import Interval, clip, iso, union
from workbench.data.intervals import missing as absent
from workbench.data.provider import Chunk, Item, Provider, Request
from workbench.data.tardis_api import DayFile, file_symbol
from workbench.data.tardis_check import Contents, Expected, check
from workbench.data.tardis_csv import data_type
from workbench.data.tardis_download import download
from workbench.data.tardis_files import LocalFile
from workbench.data.tardis_instrument import describe
from workbench.engine import tardis as engine
from workbench.engine.catalog import definitions, folder_name
from workbench.engine.instruments import Definition
from workbench.engine.tardis import Reading
from workbench.study.datasets import TardisData

_DAY = 86_400 * 10**9
_EPOCH = dt.date(1970, 1, 1)
# Files Tardis makes of all symbols of a kind.
_GROUPS = ("SPOT", "PERPETUALS", "FUTURES", "OPTIONS")


@dataclass(frozen=True, slots=True)
class _Payload:
    """What a request is carried out with: its file, and the spans wanted of it."""

    file: DayFile | LocalFile
    spans: tuple[Interval, ...]
    size: int | None = None
    gap: str | None = None  # days after a local file that no file has


class TardisProvider(Provider):
    """Tardis.dev's files of a day of one symbol each."""

    name: ClassVar[str] = "tardis"
    parallel: ClassVar[int] = tardis_api.PARALLEL

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._keys: list[Secret | None] = []
        self._sweeping, self._swept = threading.Lock(), False

    def local(self, item: Item) -> bool:  # noqa: D102
        return _spec(item).path is not None

    def check(self, item: Item) -> list[Issue]:  # noqa: D102
        spec = _spec(item)
        issues = []
        if spec.bars:
            message = (
                "Tardis has no bars: take 'ticks: trades' and let the engine make them, with a bar "
                f"type such as {spec.instrument}-{spec.bars}-INTERNAL in the strategy's parameters"
            )
            issues.append(item.issue(message, "bars"))
        if spec.snapshot != 25 and spec.book != "depths":
            issues.append(item.issue("is of 'book: depths' only", "snapshot"))
        if spec.path is None:
            return issues + self._check_download(item)
        try:
            if not spec.bars:
                self._definition(item)
                tardis_files.find(item, self.project)
        except InputError as error:
            issues += error.issues
        return issues

    def instrument(self, item: Item) -> Definition:  # noqa: D102
        spec = _spec(item)
        if spec.definition:
            return spec.definition
        known = definitions(self.project.catalog).get(spec.instrument)
        if spec.path is None and (key := self._key()) is not None:
            return describe(item, _symbol(spec), key, known)
        if known is not None:
            return known
        why = "" if spec.path else "without an API key Tardis describes no instrument, and "
        message = f"{why}the catalog does not know {spec.instrument}: describe it with 'definition'"
        raise item.error(f"{message} (type, currency, price_precision, ...)", "instrument")

    def available(self, item: Item) -> Interval | None:  # noqa: D102
        spec = _spec(item)
        if spec.path is not None:
            files = tardis_files.in_order(tardis_files.find(item, self.project))
            return files[0][1][0], files[-1][1][1]
        symbol, wanted = _symbol(spec), data_type(spec)
        key = "symbol" if spec.symbol else "instrument"
        datasets = tardis_api.exchange_details(spec.exchange or "").get("datasets")
        if not datasets:
            raise item.error(f"Tardis has no files of '{spec.exchange}'", "exchange")
        symbols = {file_symbol(each["id"]): each for each in datasets["symbols"]}
        if (found := symbols.get(file_symbol(symbol))) is None:
            near = nearest(symbol, symbols)
            hint = f"Did you mean '{near}'? " if near else ""
            message = f"Tardis has no '{symbol}' of {spec.exchange}. {hint}"
            raise item.error(f"{message}It has {len(symbols):,} symbols there", key)
        types = found.get("dataTypes", [wanted])
        if wanted not in types:
            message = f"Tardis has no {wanted} of {symbol}. It has: {', '.join(types)}"
            raise item.error(message, "book" if spec.book else "ticks")
        try:
            first = _moment(found["availableSince"]) // _DAY * _DAY
            until = _moment(datasets["exportedUntil"])
            if found.get("availableTo"):
                until = min(until, -(-_moment(found["availableTo"]) // _DAY) * _DAY)
        except (KeyError, TypeError, ValueError):
            message = f"Tardis does not say which days of {symbol} ({spec.exchange}) it has"
            raise DataError(message) from None
        return first, max(first, until - 1)

    def source(self, item: Item) -> str:  # noqa: D102
        spec = _spec(item)
        content: dict[str, Any] = {"data_type": data_type(spec)}
        content["precision"] = self._precision(item)
        if spec.path is None:
            content |= {"exchange": spec.exchange, "symbol": _symbol(spec)}
        else:
            files = tardis_files.find(item, self.project)
            content["files"] = [file.to_dict() for file in files]
        return json.dumps(content, sort_keys=True)

    def difference(self, item: Item, stored: str) -> str | None:  # noqa: D102
        spec = _spec(item)
        then: dict[str, Any] = json.loads(stored)
        now: dict[str, Any] = {"data_type": data_type(spec), "precision": self._precision(item)}
        if spec.path is None:
            now |= {"exchange": spec.exchange, "symbol": _symbol(spec)}
        if ("files" in then) != (spec.path is not None):
            came = "files on this machine" if "files" in then else "a download"
            return f"came from {came}"
        for name, value in now.items():
            if None not in (value, then.get(name)) and value != then[name]:
                what = {"data_type": "data", "precision": "decimals (price, size)"}.get(name, name)
                return f"are of other {what}: {then[name]}, not {value}"
        if spec.path is None:
            return None
        return tardis_files.changed(then["files"], tardis_files.find(item, self.project))

    def plan(self, item: Item, missing: Sequence[Interval]) -> Sequence[Request]:  # noqa: D102
        if _spec(item).path is not None:
            return self._plan_files(item, missing)
        tardis_api.require_client()
        days: dict[int, list[Interval]] = {}
        for start, end in union(missing):
            for day in range(start // _DAY, end // _DAY + 1):
                part = clip((start, end), (day * _DAY, (day + 1) * _DAY - 1))
                days.setdefault(day, []).extend([part] if part else [])
        paid = [str(_date(day)) for day in days if _date(day).day != 1]
        key = self._key() if paid else None
        if paid and key is None:
            many = f" and {len(paid) - 1:,} more" if paid[1:] else ""
            message = (
                "without an API key Tardis gives the first day of each month only, not "
                f"{paid[0]}{many}. Store a key: workbench secrets set tardis api_key "
                "--environment live"
            )
            raise item.error(message, "start")
        files = [self._file(item, day) for day in days]
        wanted = [file for file in files if not (self._folder(item) / file.name).exists()]
        sizes = dict(zip(wanted, tardis_api.sizes(wanted, key), strict=True))
        return [
            Request(
                (parts[0][0], parts[-1][1]),
                bytes=sizes.get(file, 0),
                payload=_Payload(file, tuple(parts), sizes.get(file)),
            )
            for file, parts in zip(files, days.values(), strict=True)
        ]

    def fetch(  # noqa: D102
        self, item: Item, request: Request, on_progress: OnProgress, should_stop: ShouldStop
    ) -> Iterator[Chunk]:
        payload: _Payload = request.payload
        shown = str(payload.file) if isinstance(payload.file, DayFile) else payload.file.shown

        def step(what: str, total: int = 0) -> Callable[[int], None]:
            def report(done: int) -> None:
                if should_stop():
                    raise Cancelled
                unit = "rows" if what == "reading" else "bytes"
                on_progress(Progress(f"{what} {shown}", done, total, unit))

            return report

        step("downloading")(0)
        if isinstance(payload.file, LocalFile):
            yield from self._read(item, payload, payload.file, 0, step)
            return
        with self._sweeping:  # before any request has a file there
            self._sweep(item)
        path, received = self._folder(item) / payload.file.name, 0
        if not path.exists():
            arriving = download(
                payload.file,
                path.parent / "arriving",
                None if payload.file.day.day == 1 else self._key(),
                payload.size,
                step("downloading", payload.size or 0),
                should_stop,
            )
            received = arriving.stat().st_size
            arriving.replace(path)
        file = self._downloaded(payload.file, path)
        try:
            yield from self._read(item, payload, file, received, step)
        except InputError as error:
            aside = path.replace(path.with_name(f"{path.name}.refused"))
            said = str(error).replace(file.shown, self.project.relative(aside))
            raise DataError(f"Tardis's {payload.file} has faults:\n{said}") from None
        path.unlink()

    def _sweep(self, item: Item) -> None:
        """Remove files of fetches that ended just before they could, once all their rows are in."""
        if self._swept:
            return
        self._swept = True
        waiting = list(self._folder(item).glob("*.csv.gz"))
        dataset = Dataset(self.project, item.spec.kind, item.spec.identity)
        covered = [each.interval for each in dataset.files() if not each.broken] if waiting else []
        for path in waiting:
            day = _whole_day(dt.date.fromisoformat(path.name[:10]))
            if not absent(day, covered):
                path.unlink()

    def _read(
        self,
        item: Item,
        payload: _Payload,
        file: LocalFile,
        received: int,
        step: Callable[..., Callable[[int], None]],
    ) -> Iterator[Chunk]:
        definition = self._definition(item)
        wanted = data_type(_spec(item))
        precisions = definition.price_precision, definition.size_precision
        day = _whole_day(payload.file.day) if isinstance(payload.file, DayFile) else None
        expected = Expected(wanted, file.exchange, file.symbol, *precisions, within=day)
        before = file.stat()
        contents = check(file.path, file.shown, expected, step("checking"))
        warnings = [*contents.warnings, *_doubts(item, payload, file, contents)]
        reading = Reading(wanted, item.spec.instrument, *precisions)
        for span in payload.spans:
            report = step("reading", contents.objects)
            for interval, rows in tardis_rows.chunks(
                file.path, file.shown, reading, contents, span, report
            ):
                if file.stat() != before:
                    raise DataError(f"{file.shown} was changed while it was read: fetch again")
                yield Chunk(interval, rows, tuple(warnings), received)
                warnings, received = [], 0

    def _downloaded(self, wanted: DayFile, path: Path) -> LocalFile:
        """Return a day's file with the symbol as it is spelt in its rows."""
        shown = self.project.relative(path)
        _, cells = tardis_csv.head(path, shown)
        spelt = cells[1] if len(cells) > 1 else wanted.symbol
        same = file_symbol(spelt) == file_symbol(wanted.symbol)
        return LocalFile(path, shown, wanted.exchange, spelt if same else wanted.symbol)

    def _check_download(self, item: Item) -> list[Issue]:
        spec = _spec(item)
        issues = []
        if spec.exchange is None:
            here = engine.exchanges_of(spec.venue)
            where = f" of {spec.venue}" if here else ""
            names = ", ".join(here or engine.exchanges())
            message = f"a download needs the exchange; Tardis's{where}: {names}"
            issues.append(item.issue(message, "exchange"))
        elif misfit := tardis_files.misfit(spec, spec.exchange, _symbol(spec)):
            issues.append(item.issue(misfit, "exchange"))
        if (spec.symbol or "").upper() in _GROUPS:
            issues.append(item.issue("is a file of many symbols: name one", "symbol"))
        for key in ("start", "end"):
            if getattr(spec, key) is None:
                message = f"a download needs the {key}: it is one file for each day"
                issues.append(item.issue(message, key))
        return issues

    def _plan_files(self, item: Item, missing: Sequence[Interval]) -> list[Request]:
        requests = []
        files = tardis_files.in_order(tardis_files.find(item, self.project)) if missing else []
        for number, (file, (start, end)) in enumerate(files):
            gap = None
            if number + 1 < len(files):  # up to the next one
                following = files[number + 1][1][0]
                gap = tardis_files.days_between(end, following)
                end = following - 1
            spans = tuple(part for span in union(missing) if (part := clip(span, (start, end))))
            if spans:
                interval = spans[0][0], spans[-1][1]
                size = file.stat()["size"]
                requests.append(
                    Request(interval, bytes=size, payload=_Payload(file, spans, gap=gap))
                )
        return requests

    def _key(self) -> Secret | None:
        """Return the API key; the store is opened once."""
        if not self._keys:
            self._keys.append(tardis_api.api_key())
        return self._keys[0]

    def _definition(self, item: Item) -> Definition:
        """Return the definition without asking Tardis where the catalog knows it."""
        spec = _spec(item)
        known = definitions(self.project.catalog).get(spec.instrument)
        return spec.definition or known or self.instrument(item)

    def _precision(self, item: Item) -> list[int] | None:
        """Return the decimals of prices and sizes as far as they are known on this machine."""
        spec = _spec(item)
        known = spec.definition or definitions(self.project.catalog).get(spec.instrument)
        return [known.price_precision, known.size_precision] if known else None

    def _folder(self, item: Item) -> Path:
        spec = _spec(item)
        return self.scratch / f"{folder_name(spec.instrument)} {spec.exchange} {data_type(spec)}"

    def _file(self, item: Item, day: int) -> DayFile:
        spec = _spec(item)
        return DayFile(spec.exchange or "", data_type(spec), _symbol(spec), _date(day))


def _spec(item: Item) -> TardisData:
    assert isinstance(item.spec, TardisData)
    return item.spec


def _symbol(spec: TardisData) -> str:
    """Return the symbol of a download, as Tardis writes it."""
    name = spec.instrument.rpartition(".")[0]
    if spec.symbol or spec.exchange is None:
        return spec.symbol or name
    return engine.symbols_of(name, spec.exchange)[0]


def _date(day: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=day)


def _whole_day(day: dt.date) -> Interval:
    start = (day - _EPOCH).days * _DAY
    return start, start + _DAY - 1


def _moment(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return round(zoned.timestamp()) * 10**9


def _doubts(item: Item, payload: _Payload, file: LocalFile, contents: Contents) -> list[str]:
    """Return what the user should know of a file beside what is left out of it."""
    doubts = []
    if not contents.rows:
        doubts.append(f"{payload.file}: it has no rows; the day is kept as a day without any")
    begin = payload.spans[0][0]
    if item.spec.book == "deltas" and contents.first < begin == item.spec.start_ns:
        doubts.append(
            f"{file.shown}: the book's changes are taken from {iso(begin)} on, after the day's "
            "first snapshot: the book is not whole until the next one. Begin with the day"
        )
    if payload.gap:
        doubts.append(f"{file.shown}: no file has {payload.gap}: kept as days without rows")
    return doubts
