"""Downloads that are under way, and what is left of those that were broken off.

Each download is a file whose name says what was asked (first and last nanosecond of index time, the
records there are at least) and which rows it was for. What arrived was paid for, so a file that is
not whole is used up to its last whole moment, by the next plan; the moment itself may lack records.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import DataError
from workbench.core.files import make_folder
from workbench.data.databento_query import Query
from workbench.data.databento_remote import Remote
from workbench.data.dbn import CutShortError, Mapping, Reader, selected
from workbench.data.intervals import Interval, clip, missing

_NAME = re.compile(r"([0-9]+)_([0-9]+)_([0-9]+)_([0-9]+)_([0-9]+)_[0-9a-f]+\.dbn\.zst")

# Those this process writes right now.
_active: set[Path] = set()


@dataclass(frozen=True, slots=True)
class Part:
    """What arrived of one request.

    Attributes
    ----------
    path
        The file.
    query
        What was asked.
    wanted
        The rows it was asked for.
    until
        It has all records of the query with an index time before this.
    records
        How many these are.
    complete
        Whether it came to its end.

    """

    path: Path
    query: Query
    wanted: Interval
    records: int
    until: int
    complete: bool

    @property
    def short(self) -> bool:
        """Whether it came to its end with fewer records than there are."""
        return self.complete and self.records < self.query.least


class Parts:
    """The downloads of one dataset.

    Parameters
    ----------
    scratch
        `Provider.scratch`.
    remote
        The dataset.

    """

    def __init__(self, scratch: Path, remote: Remote) -> None:
        self._remote = remote
        self._mine: list[Path] = []
        what = repr((remote.client.address, sorted(remote.query.items())))
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{remote.dataset}-{remote.schema}-{remote.symbol}")
        self.folder = scratch / f"{name}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"

    def new(self, query: Query, wanted: Interval) -> Path:
        """Return a path for the answer to a query for the rows of a span."""
        make_folder(self.folder)
        numbers = (query.start, query.end, query.least, *wanted)
        name = "_".join(map(str, numbers)) + f"_{uuid.uuid4().hex}.dbn.zst"
        path = self.folder / name
        _active.add(path)
        self._mine.append(path)
        return path

    def release(self) -> None:
        """Say that what this object gave paths for is not written any more."""
        _active.difference_update(self._mine)

    def found(self) -> list[Part]:
        """Return the parts that can be used, in order of time."""
        parts = [part for path in self.folder.glob("*.dbn.zst") if (part := self.part(path))]
        usable = [part for part in parts if part.until > part.query.start and not part.short]
        return sorted(usable, key=lambda part: (part.query.start, -part.until))

    def part(self, path: Path) -> Part | None:
        """Examine a download; None if it is no answer to its query."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        start, end, least, first, last = map(int, match.groups())
        try:
            with Reader(path) as reader:
                return self._examined(path, Query(start, end, least), (first, last), reader)
        except (DataError, OSError):
            return None

    def records(self, path: Path) -> Iterator[Any]:
        """Yield the wanted instrument's records of a part, as far as it goes."""
        with Reader(path) as reader, suppress(CutShortError):
            for records in reader.records():
                mappings = self._mappings(reader)
                yield selected(records, mappings) if mappings else records

    def discard(self, span: Interval) -> None:
        """Remove what was asked for within a span of index time: its rows are in the catalog."""
        for path in self.folder.glob("*.dbn.zst"):
            match = _NAME.fullmatch(path.name)
            if match and span[0] <= int(match[1]) and int(match[2]) <= span[1]:
                path.unlink(missing_ok=True)

    def leftovers(self) -> list[Path]:
        """Return the downloads that nobody writes any more."""
        return [path for path in self.folder.glob("*.dbn.zst") if path not in _active]

    def sweep(self, stored: Sequence[Interval], step: int) -> None:
        """Remove what was left behind and is of no use: its rows are stored.

        Parameters
        ----------
        stored
            Spans of rows' times.
        step
            Nanoseconds from a record's index time to its row's.

        """
        for path in self.leftovers():
            match = _NAME.fullmatch(path.name)
            wanted = (int(match[4]), int(match[5])) if match else (0, 0)
            if part := self.part(path):
                had = (part.query.start + step, part.until + step - 1)
                wanted = clip(had, wanted) or wanted
            if not missing(wanted, stored):
                path.unlink(missing_ok=True)

    def _examined(self, path: Path, query: Query, wanted: Interval, reader: Reader) -> Part | None:
        header = reader.header
        if (header.dataset, header.schema) != (self._remote.dataset, self._remote.schema):
            return None
        if header.mappings and not self._mappings(reader):
            return None
        count = at_last = 0
        last = query.start
        try:
            for records in reader.records():
                times = records[header.index]
                latest = int(times.max())
                if int(times.min()) < query.start or latest >= query.end:
                    return None  # an intermediary mixed up two answers
                same = int((times == latest).sum())
                at_last = at_last + same if latest == last else same
                count, last = count + len(records), latest
        except CutShortError:
            return Part(path, query, wanted, count - at_last, last, complete=False)
        return Part(path, query, wanted, count, query.end, complete=True)

    def _mappings(self, reader: Reader) -> Sequence[Mapping]:
        found, symbol = reader.header.mappings, self._remote.symbol
        return found.get(symbol) or found.get(symbol.upper()) or ()


def usable(parts: Sequence[Part], span: Interval, step: int) -> list[tuple[Part, Interval]]:
    """Return the parts that hold rows of a span, each with the rows to take from it.

    Parameters
    ----------
    parts
        In order of time.
    span
        Of rows' times.
    step
        Nanoseconds from a record's index time to its row's.

    """
    used = []
    at = span[0]
    for part in parts:
        rows = clip((part.query.start + step, part.until + step - 1), (at, span[1]))
        if rows:
            used.append((part, rows))
            at = rows[1] + 1
    return used
