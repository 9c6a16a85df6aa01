"""Files downloaded from Tardis earlier, on this machine."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, Issue, choices
from workbench.core.project import Project
from workbench.data import tardis_csv
from workbench.data.intervals import Interval, iso
from workbench.data.provider import Item
from workbench.data.tardis_api import file_symbol
from workbench.data.tardis_csv import data_type
from workbench.engine import tardis as engine
from workbench.study.datasets import TardisData

_SUFFIXES = (".csv", ".csv.gz")
_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One file of a dataset.

    Attributes
    ----------
    path, shown
        Where it is, and its name for messages.
    exchange, symbol
        Of its rows, by the first of them.

    """

    path: Path
    shown: str
    exchange: str
    symbol: str

    def stat(self) -> dict[str, int]:
        """Return what tells a changed file without reading it."""
        stat = self.path.stat()
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}

    def span(self) -> Interval:
        """Return ``local_timestamp`` of its first and last row."""
        found = _span(self.path, self.shown, **self.stat())
        assert found is not None, "a file with a first row has a last one"
        return found

    def sha256(self) -> str:
        """Return the hash of its bytes."""
        return _sha256(self.path, **self.stat())

    def to_dict(self) -> dict[str, Any]:
        """Return what the catalog remembers of it."""
        return {"path": self.shown, **self.stat(), "sha256": self.sha256()}


def misfit(spec: TardisData, exchange: str, symbol: str) -> str | None:
    """Say why data of an exchange's symbol are not those of a dataset; None if they may be."""
    venue = spec.venue
    if exchange not in (known := engine.exchanges()):
        return f"unknown exchange '{exchange}'. {choices(exchange, known)}"
    if exchange not in (here := engine.exchanges_of(venue)):
        right = engine.venue_of(exchange)
        named = f"that venue is {' or '.join(here)}" if here else f"name the instrument ....{right}"
        return f"'{exchange}' is the venue {right}, the instrument's is {venue}: {named}"
    wanted = [spec.symbol] if spec.symbol else engine.symbols_of(_symbol(spec), exchange)
    if file_symbol(symbol) not in map(file_symbol, wanted):
        hint = "" if spec.symbol else f". If it is the same, set 'symbol: {symbol}'"
        return f"'{symbol}' is not {spec.instrument}{hint}"
    if spec.exchange not in (None, exchange):
        return f"holds data of '{exchange}', not '{spec.exchange}'"
    return None


def _symbol(spec: TardisData) -> str:
    return spec.instrument.rpartition(".")[0]


def find(item: Item, project: Project) -> list[LocalFile]:
    """Return the files of a dataset, in order of time.

    Of a folder those that hold what the dataset is; the files in it may be of any kind and symbol.

    Raises
    ------
    StudyError
        If there is none, or the one that is named holds something else.
    InputError
        If a file cannot be read, or two cover the same time.

    """
    spec = item.spec
    assert isinstance(spec, TardisData)
    assert spec.path is not None
    path = project.root / spec.path
    wanted = data_type(spec)
    if path.is_dir():
        paths = [each for each in sorted(path.rglob("*")) if _named_right(each)]
    elif path.is_file():
        if not _named_right(path):
            raise item.error(f"'{path.name}' is not named .csv or .csv.gz", "path")
        paths = [path]
    else:
        raise item.error(_absent(spec.path, path), "path")
    found, others = [], []
    for each in paths:
        shown = project.relative(each)
        columns, cells = _head(each, shown, **_stat(each))
        if message := tardis_csv.wrong_columns(list(columns), wanted):
            others.append(f"{each.name} {message}")
        elif not cells:
            others.append(f"{each.name} has no rows")
        elif len(cells) != len(columns):
            message = f"has {len(cells)} cells, the header has {len(columns)}"
            raise InputError(Issue(message, file=shown, line=2))
        elif message := misfit(spec, cells[0], cells[1]):
            others.append(f"{each.name}: {message}")
        else:
            found.append(LocalFile(each, shown, cells[0], cells[1]))
    if not found:
        reasons = "; ".join(others[:3]) + (f"; and {len(others) - 3} more" if others[3:] else "")
        what = f"no file in '{spec.path}' holds {wanted} of {spec.instrument}"
        raise item.error(
            f"{what}: {reasons or 'there is none'}" if path.is_dir() else reasons, "path"
        )
    return found


def in_order(files: list[LocalFile]) -> list[tuple[LocalFile, Interval]]:
    """Return files with their spans, in order of time.

    Every file is read to its end, once for each state it is in.

    Raises
    ------
    InputError
        If a file is not whole, or two cover the same time.

    """
    ordered = sorted(((file, file.span()) for file in files), key=lambda each: each[1])
    for (one, early), (other, late) in itertools.pairwise(ordered):
        if early[1] >= late[0]:
            message = f"begins at {iso(late[0])}, and {one.shown} ends at {iso(early[1])}"
            raise InputError(Issue(f"{message}: remove one of them", file=other.shown))
    return ordered


def changed(then: list[dict[str, Any]], now: list[LocalFile]) -> str | None:
    """Say how files that were read differ from those there are now, None if they do not.

    Files that have come beside them are no difference.
    """
    by_name = {file.shown: file for file in now}
    for old in then:
        file = by_name.get(old["path"])
        if file is None:
            continue
        untouched = all(old[key] == value for key, value in file.stat().items())
        if not untouched and file.sha256() != old["sha256"]:
            return f"came from {file.shown} before it was changed"
    if any(old["path"] in by_name for old in then):
        return None
    hashes = {old["sha256"] for old in then}  # moved or copied files are the same files
    same = any(file.sha256() in hashes for file in now)
    return None if same else f"came from other files, such as {then[0]['path']}"


def days_between(end: int, start: int) -> str | None:
    """Name the whole days between the end of a file and the start of the next."""
    first, last = end // _DAY + 1, start // _DAY - 1
    if first > last:
        return None
    names = [str(dt.date(1970, 1, 1) + dt.timedelta(days=day)) for day in (first, last)]
    return names[0] if first == last else f"{names[0]} to {names[1]}"


def _named_right(path: Path) -> bool:
    return path.is_file() and path.name.endswith(_SUFFIXES)


def _absent(named: str, path: Path) -> str:
    beside = [each.name for each in path.parent.glob("*")] if path.parent.is_dir() else []
    hint, mark, _ = choices(path.name, sorted(beside)).partition("? ")
    near = f". {hint}?" if mark else ""
    return f"there is no file or folder '{named}' (looked for {path}){near}"


def _stat(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


# Asked several times in one fetch; a file that changes has another time of change.
@functools.lru_cache(maxsize=4096)
def _head(
    path: Path,
    shown: str,
    *,
    size: int,  # noqa: ARG001
    mtime_ns: int,  # noqa: ARG001
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    columns, cells = tardis_csv.head(path, shown)
    return tuple(columns), tuple(cells)


@functools.lru_cache(maxsize=4096)
def _span(path: Path, shown: str, *, size: int, mtime_ns: int) -> Interval | None:  # noqa: ARG001
    return tardis_csv.span(path, shown)


@functools.lru_cache(maxsize=4096)
def _sha256(path: Path, *, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
