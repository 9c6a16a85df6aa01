"""Databento's files on this machine: one, or a folder of them such as a batch download."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import DataError, InputError, Issue, choices, nearest
from workbench.core.project import Project
from workbench.data.databento_schema import schema_of, schemas, symbol_of
from workbench.data.dbn import CutShortError, Header, Mapping, Reader, selected
from workbench.data.intervals import BEGINNING, END, Interval, clip, iso
from workbench.data.provider import Item
from workbench.study.datasets import DatabentoData

_DAY = 86_400 * 10**9
# Files made day by day begin and end with a record: nights, weekends and holidays lie between.
_PAUSE = 4 * _DAY


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One file that holds part of what a study wants.

    Attributes
    ----------
    path, header
        The file and what it says of itself.
    mappings
        The wanted instrument's number in it.

    """

    path: Path
    header: Header
    mappings: tuple[Mapping, ...]

    @property
    def stat(self) -> dict[str, int]:
        """Return its size and time of change."""
        stat = self.path.stat()
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}

    @property
    def span(self) -> Interval:
        """First and last nanosecond it has all records of, by their index time."""
        return self.header.start, max(_last(self.path, self.header, **self.stat), self.header.start)


@dataclass(frozen=True, slots=True)
class LocalData:
    """The files of one dataset of a study.

    Attributes
    ----------
    files
        In order of time.
    definitions
        Files with the instrument's definition.

    """

    files: tuple[LocalFile, ...]
    definitions: tuple[Path, ...]

    @property
    def interval(self) -> Interval:
        """The span of index time from the first file's beginning to the last one's end."""
        return self.files[0].span[0], self.files[-1].span[1]


def examine(item: Item, project: Project) -> LocalData:
    """Find the files of a dataset.

    Raises
    ------
    StudyError
        If they do not hold what the study wants.

    """
    spec = item.spec
    assert isinstance(spec, DatabentoData)
    assert spec.path is not None
    place = project.root / spec.path
    known = _headers(item, place)
    data = _files_of(item, known, schema_of(spec) if spec.schema_ else None)
    for one, other in itertools.pairwise(data):
        if other.header.start < (one.header.end or 0):
            message = f"{one.path.name} and {other.path.name} are of the same time: keep one"
            raise item.error(message, "path")
    definitions = () if spec.definition else _definitions(item, project, place, data[0].header)
    return LocalData(tuple(data), definitions)


def check(item: Item, project: Project) -> list[Issue]:
    """Return what is wrong with the files of a dataset."""
    try:
        local = examine(item, project)
    except InputError as error:
        return list(error.issues)
    spec = item.spec
    first = BEGINNING if spec.start_ns is None else spec.start_ns
    last = END if spec.end_ns is None else spec.end_ns
    issues = []
    for one, other in itertools.pairwise(local.files):
        hole = (one.header.end or one.header.start, other.header.start)
        lacking = clip(hole, (first, last))
        if lacking and lacking[1] - lacking[0] > _PAUSE:
            message = (
                f"no file has {iso(hole[0])} to {iso(hole[1])}, between {one.path.name} and "
                f"{other.path.name}: add it, or set 'start' or 'end'"
            )
            issues.append(item.issue(message, "path"))
    return issues


def records_of(files: Sequence[LocalFile], project: Project, asked: Interval) -> Iterator[Any]:
    """Yield the records of one instrument, from the file that holds the first of `asked` on.

    Raises
    ------
    DataError
        If a file is damaged or cut short.

    """
    for file in files:
        if file.span[1] < asked[0]:
            continue
        name = project.relative(file.path)
        until = file.header.start
        with Reader(file.path) as reader:
            try:
                for records in reader.records():
                    until = int(records[reader.header.index][-1])
                    yield selected(records, file.mappings)
            except CutShortError:
                raise DataError(
                    f"{name} is cut short: it ends within {iso(until)}. Get it again, or set an "
                    "earlier 'end'"
                ) from None
            except DataError as error:
                raise DataError(f"{name}: {error}") from None


def definition(local: LocalData, symbol: str) -> bytes | None:
    """Return the definition records of an instrument as a compressed DBN file, None without any."""
    import zstandard

    numbers = {mapping.number for file in local.files for mapping in file.mappings}
    for path in local.definitions:
        with Reader(path) as reader:
            found = []
            for records in reader.records():
                mine = records["raw_symbol"] == symbol.encode()
                if not mine.any():
                    mine = np.isin(records["instrument_id"], list(numbers))
                found.append(records[mine].tobytes())
            if any(found):
                content: bytes = zstandard.compress(reader.header.encoded + b"".join(found))
                return content
    return None


def source(local: LocalData, project: Project) -> dict[str, Any]:
    """Return the size, time of change and hash of each file."""
    paths = [*(file.path for file in local.files), *local.definitions]
    return {project.relative(path): _stamp(path) | {"sha256": _sha256_of(path)} for path in paths}


def difference(local: LocalData, project: Project, then: dict[str, Any]) -> str | None:
    """Say how rows of the files `then` differ from those of the files now, None if they do not."""
    paths = [*(file.path for file in local.files), *local.definitions]
    now = {project.relative(path): path for path in paths}
    for name, stored in then.items():
        path = now.get(name)
        if path is not None:
            stamp = _stamp(path)
            if all(stored[key] == stamp[key] for key in stamp):
                continue
            if stamp["size"] == stored["size"] and _sha256_of(path) == stored["sha256"]:
                continue
            return f"came from {name} before it was changed"
        if not any(_same(other, stored) for other in now.values()):
            return f"came from another file, {name}"
    return None


def _same(path: Path, stored: dict[str, Any]) -> bool:
    size: int = stored["size"]
    return path.stat().st_size == size and _sha256_of(path) == stored["sha256"]


def _stamp(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _sha256_of(path: Path) -> str:
    return _sha256(path, **_stamp(path))


def _headers(item: Item, place: Path) -> dict[Path, Header]:
    """Read the header of each file."""
    assert isinstance(item.spec, DatabentoData)
    if not place.exists():
        beside = [each.name for each in place.parent.glob("*")] if place.parent.is_dir() else []
        near = nearest(place.name, beside)
        hint = f". Did you mean '{near}'?" if near else ""
        message = f"there is no file '{item.spec.path}' (looked for {place}){hint}"
        raise item.error(message, "path")
    if not place.is_dir() and not place.is_file():
        raise item.error(f"'{item.spec.path}' is neither a file nor a folder", "path")
    paths = _listed(place) if place.is_dir() else [place]
    if not paths:
        raise item.error(f"there is no .dbn or .dbn.zst file in '{item.spec.path}'", "path")
    found, issues = {}, []
    for path in paths:
        try:
            found[path] = _header(path, **_stamp(path))
        except DataError as error:
            issues.append(item.issue(str(error), "path"))
    if issues:
        raise InputError(issues)
    return found


def _listed(folder: Path) -> list[Path]:
    # Pipes and devices are left out: to read one may never end.
    found = [*folder.glob("*.dbn"), *folder.glob("*.dbn.zst")]
    return sorted(path for path in found if path.is_file())


def _files_of(item: Item, known: dict[Path, Header], wanted: str | None) -> list[LocalFile]:
    """Return the files that hold what is wanted of the instrument."""
    spec = item.spec
    assert isinstance(spec, DatabentoData)
    if mixed := [path.name for path, header in known.items() if header.schema is None]:
        message = f"{mixed[0]} holds records of several kinds: a recording of the live feed"
        raise item.error(message, "path")
    fitting = (wanted,) if wanted else schemas(spec)
    schema = next((s for s in fitting if any(h.schema == s for h in known.values())), None)
    if schema is None:
        there = ", ".join(sorted({str(header.schema) for header in known.values()}))
        message = f"no file holds {' or '.join(fitting)}: found {there}"
        raise item.error(message, "schema" if wanted else "path")
    right = {path: header for path, header in known.items() if header.schema == schema}
    datasets = sorted({header.dataset for header in right.values()})
    if spec.dataset is None and len(datasets) > 1:
        message = f"the files are of {', '.join(datasets)}: say which with 'dataset'"
        raise item.error(message, "dataset")
    of_dataset = {p: h for p, h in right.items() if spec.dataset in (None, h.dataset)}
    if not of_dataset:
        message = f"the files are of {', '.join(datasets)}, not of {spec.dataset}"
        raise item.error(message, "dataset")
    symbol = symbol_of(spec)
    files = [
        LocalFile(path, header, mappings)
        for path, header in of_dataset.items()
        if (mappings := _mapped(spec, header, symbol))
    ]
    if not files:
        symbols = sorted({name for header in of_dataset.values() for name in header.mappings})
        message = f"the files have no symbol '{symbol}'. {choices(symbol, symbols)}"
        raise item.error(message, "symbol" if spec.symbol else "instrument")
    return sorted(files, key=lambda file: file.header.start)


def _mapped(spec: DatabentoData, header: Header, symbol: str) -> tuple[Mapping, ...]:
    if spec.symbology == "instrument_id" and symbol.isdecimal():
        return (Mapping(int(symbol), (BEGINNING, END)),)
    return header.mappings.get(symbol, ())


def _definitions(item: Item, project: Project, place: Path, header: Header) -> tuple[Path, ...]:
    """Return the files of definitions beside the data that may have the instrument."""
    spec = item.spec
    assert isinstance(spec, DatabentoData)
    symbol = symbol_of(spec)
    folder = place if place.is_dir() else place.parent
    found = []
    for path in _listed(folder):
        try:
            other = _header(path, **_stamp(path))
        except DataError:
            continue  # one of another study, perhaps
        if other.schema == "definition" and other.dataset == header.dataset:
            named = symbol in other.mappings or not other.mappings
            if named or spec.symbology != "raw_symbol":
                found.append(path)
    if not found:
        message = (
            f"nothing in {project.relative(folder)} defines {symbol}: put Databento's definitions "
            "beside the data (schema 'definition'), or describe the instrument with 'definition'"
        )
        raise item.error(message, "definition")
    return tuple(found)


def _last(path: Path, header: Header, size: int, mtime_ns: int) -> int:
    """Return the last nanosecond of index time a file has all records of."""
    end = header.end
    if header.limit is not None or end is None:
        # Its last moment may have had more records than the query was allowed.
        return _scan(path, size, mtime_ns) - (header.limit is not None)
    # The end of a query is not inside; that of one file of several is its last record.
    if header.index == "ts_recv" and not str(header.schema).startswith(("bbo", "cbbo")):
        return end - 1 if end % 10**9 == 0 else end
    if end % _DAY == 0 and header.schema != "ohlcv-1d":
        return end - 1
    return max(end - 1, _scan(path, size, mtime_ns))


# Asked several times in one fetch; a file that changes has another time of change.
@functools.lru_cache(maxsize=4096)
def _header(path: Path, size: int, mtime_ns: int) -> Header:  # noqa: ARG001
    with Reader(path) as reader:
        return reader.header


@functools.lru_cache(maxsize=4096)
def _scan(path: Path, size: int, mtime_ns: int) -> int:  # noqa: ARG001
    """Return the time of the last record, the query's start if there is none."""
    with Reader(path) as reader:
        last = reader.header.start
        try:
            for records in reader.records():
                last = int(records[reader.header.index][-1])
        except CutShortError:
            pass
        return last


@functools.lru_cache(maxsize=4096)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
