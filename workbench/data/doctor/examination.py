"""One file, read to its end: whether it is whole, and what is wrong with its rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import Cancelled
from workbench.core.progress import ShouldStop
from workbench.data.catalog import CatalogFile, Dataset, inspect
from workbench.data.doctor.findings import Finding, finding
from workbench.data.doctor.instruments import Known
from workbench.data.doctor.pauses import Pauses
from workbench.data.doctor.repeats import CHECKED, Repeats
from workbench.data.doctor.schemas import legacy_schema, misfit
from workbench.data.doctor.spikes import USUAL, Spikes
from workbench.data.doctor.tally import Tallies, counted, everything
from workbench.data.doctor.values import faults, spike_columns
from workbench.data.intervals import Interval, iso, parse_file_name
from workbench.data.rows import add_hashes, row_hashes, times

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 100_000

FETCH_AGAIN = "fetch it again: workbench data fetch STUDY --replace"
QUARANTINED = "moved to the quarantine: its time counts as missing and can be fetched again"
_REPAIRS = {
    "unsorted": "sorted by time; rows of one moment keep their order",
    "outside": "named by the span of its rows, where no other file covers that",
}
_ADVICE = dict.fromkeys(("price", "bar", "size", "precision"), FETCH_AGAIN)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the doctor may be told.

    Attributes
    ----------
    calendars
        Trading calendars by venue, instead of the usual ones: a name of ``exchange_calendars``,
        ``24/7`` or ``24/5``.
    spikes
        How far a spike must stand out, in robust standard deviations; 0 not to look for any.

    """

    calendars: Mapping[str, str] = field(default_factory=dict)
    spikes: float = USUAL


@dataclass(slots=True)
class Health:
    """What reading one file to its end has shown.

    Attributes
    ----------
    file
        What its name and footer say.
    named
        Whether it is named FIRST_LAST.parquet; its interval means nothing otherwise.
    fault
        Why it cannot be used as it is; None for a file that can be read.
    rows, hash
        Number of its rows and their hash.
    span
        First and last time of its rows; None where there are none.
    ordered
        Whether its rows are in order of time.
    duplicates
        Rows to be dropped.
    findings
        What is wrong with it, its fault included.

    """

    file: CatalogFile
    named: bool
    fault: str | None = None
    rows: int = 0
    hash: int = 0
    span: Interval | None = None
    ordered: bool = True
    duplicates: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether the rows are those that were stored, as far as the file tells."""
        return self.file.rows_hash in (None, self.hash)

    @property
    def inside(self) -> bool:
        """Whether every row lies in the time the name claims."""
        first, last = self.file.interval
        return self.span is None or (first <= self.span[0] and self.span[1] <= last)

    def take(self, ts: Any, hashes: Any) -> Any:
        """Take the next rows into account; return a mask of those that come too late."""
        late = np.concatenate([[False], ts[1:] < ts[:-1]])
        first, last = int(ts.min()), int(ts.max())
        if self.span:
            late[0] = ts[0] < self.span[1]
            first, last = min(first, self.span[0]), max(last, self.span[1])
        self.ordered &= not late.any()
        self.span = first, last
        self.rows += len(ts)
        self.hash = add_hashes(self.hash, int(np.add.reduce(hashes, dtype=np.uint64)))
        return late


class Examiner:
    """Examines the files of one dataset.

    Parameters
    ----------
    dataset
        Whose files.
    known
        Its instrument, where the catalog has it.
    settings
        See there.
    pauses
        Takes the times of the rows; None not to look for gaps.
    should_stop
        Asked between batches.
    on_rows
        Told how many rows were read, batch by batch.

    """

    def __init__(
        self,
        dataset: Dataset,
        known: Known | None,
        settings: Settings,
        pauses: Pauses | None,
        should_stop: ShouldStop,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._dataset, self._known, self._settings = dataset, known, settings
        self._pauses, self._should_stop, self._on_rows = pauses, should_stop, on_rows
        self._name = f"{dataset.kind}/{dataset.identity}"

    def examine(self, path: Path) -> Health | None:
        """Read one file to its end; None if it is gone meanwhile.

        Raises
        ------
        Cancelled
            If `should_stop` said so.

        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        interval = parse_file_name(path.name)
        health = Health(inspect(path, interval or (0, 0)), named=interval is not None)
        if not path.exists():
            return None
        if not os.access(path, os.R_OK):
            self._unusable(health, "unreadable", "may not be read: its permissions", repair=None)
        elif legacy_schema(path):
            self._unusable(health, "legacy", _LEGACY, repair=_CONVERTED)
        elif health.file.broken:
            code = "corrupt" if "cut short" in health.file.broken else "metadata"
            self._unusable(health, code, health.file.broken)
        elif health.file.identity != self._dataset.identity:
            self._unusable(health, "identity", f"holds rows of {health.file.identity}")
        else:
            try:
                with pq.ParquetFile(path, page_checksum_verification=True) as source:
                    if wrong := misfit(self._dataset.kind, source.schema_arrow):
                        self._unusable(health, "schema", wrong)
                    else:
                        self._read(health, source)
            except (pa.ArrowException, OSError) as error:
                reason = str(error).splitlines()[0]
                self._unusable(health, "corrupt", f"cannot be read to its end: {reason}")
        return health

    def _read(self, health: Health, source: Any) -> None:
        kind, file = self._dataset.kind, health.file
        tallies = Tallies()
        repeats = Repeats(kind, file.provider) if kind in CHECKED else None
        jumps = Spikes(self._settings.spikes) if kind in CHECKED and self._settings.spikes else None
        if self._pauses and health.named:
            self._pauses.begin(file.interval)
        for rows in self._batches(source):
            ts, hashes = times(rows["ts_init"]), row_hashes(rows)
            tallies.add("unsorted", "earlier than one before it", ts, health.take(ts, hashes))
            if health.named:
                outside = (ts < file.interval[0]) | (ts > file.interval[1])
                tallies.add("outside", "outside the time its name claims", ts, outside)
            if kind in CHECKED:
                for fault in faults(kind, rows, file.precisions, self._known):
                    tallies.add(fault.code, fault.what, ts, fault.rows)
            if not health.ordered:
                continue
            if repeats:
                ids = row_hashes(rows.select(["trade_id"])) if kind == "trades" else hashes
                repeats.feed(ts, hashes, ids)
            if jumps:
                jumps.feed(ts, *spike_columns(kind, rows))
            if self._pauses and health.named:
                self._pauses.feed(ts)
        if jumps and health.ordered:
            jumps.finish()
            moments = np.array(jumps.moments, dtype=np.int64)
            tallies.add("spike", "that jump and come back", moments, everything(moments))
        for tally in tallies:
            self._tallied(health, tally.code, str(tally), tally.span, tally.count)
        if repeats and health.ordered:
            repeats.finish()
            self._repeated(health, repeats)
        self._footer(health)

    def _batches(self, source: Any) -> Iterator[pa.Table]:
        import pyarrow as pa

        left = source.metadata.num_rows
        for batch in source.iter_batches(BATCH_ROWS, use_threads=False):
            left -= batch.num_rows
            if self._should_stop():
                raise Cancelled
            rows = pa.Table.from_batches([batch])
            empty = [name for name in rows.column_names if rows[name].null_count]
            if empty and self._dataset.kind in CHECKED:
                raise pa.ArrowInvalid(f"column {empty[0]} has empty cells")
            if rows.num_rows:
                yield rows
            self._on_rows(rows.num_rows)
        if left:  # a damaged page header: batches end early, without an error
            raise pa.ArrowInvalid(f"{counted(left, 'row')} of {source.metadata.num_rows:,} missing")

    def _tallied(self, health: Health, code: str, message: str, span: Interval, count: int) -> None:
        details: dict[str, Any] = {"repair": _REPAIRS.get(code), "advice": _ADVICE.get(code)}
        if code == "price" and self._known is None:
            details["severity"] = "warning"
            message += "; whether its instrument can have it the catalog does not know"
        self._add(health, code, message, span=span, rows=count, **details)

    def _repeated(self, health: Health, repeats: Repeats) -> None:
        for code, moments in (("duplicate", repeats.twice), ("conflict", repeats.conflicts)):
            count = repeats.count(moments)
            if not count:
                continue
            together = np.concatenate(moments)
            span = int(together[0]), int(together[-1])
            details: dict[str, Any] = {"span": span, "rows": count}
            first = f"first at {iso(span[0])}"
            if code == "duplicate" and repeats.certain:
                health.duplicates = count
                message = f"{counted(count, 'row')} there twice, {first}"
                self._add(health, code, message, repair="each kept once", **details)
            elif code == "duplicate":
                message = (
                    f"{counted(count, 'row')} equal to another of the same moment, {first}: "
                    "each is a message of its own here, so equal ones may be two"
                )
                self._add(health, "repeated", message, **details)
            elif self._dataset.kind == "bars":
                message = f"{counted(count, 'moment')} with bars that differ, {first}"
                self._add(health, code, message, advice=FETCH_AGAIN, **details)

    def _footer(self, health: Health) -> None:
        file, known = health.file, self._known
        if not health.named:
            self._add(
                health, "name", "is not named FIRST_LAST.parquet",
                repair="named by the span of its rows; to the quarantine where that is taken",
            )  # fmt: skip
        if not health.intact:
            assert file.rows_hash is not None
            message = (
                f"its rows are not those that were stored: their hash is {health.hash:016x}, the "
                f"one kept with them is {file.rows_hash:016x}"
            )
            self._add(health, "hash", message, repair=QUARANTINED)
        if known and file.precisions != known.precisions:
            message = (
                f"its prices and sizes have {file.precisions[0]} and {file.precisions[1]} "
                f"decimals, the instrument has {known.precisions[0]} and {known.precisions[1]}"
            )
            self._add(health, "precision", message, advice=FETCH_AGAIN)

    def _unusable(
        self, health: Health, code: str, message: str, repair: str | None = QUARANTINED
    ) -> None:
        health.fault = code
        health.findings.clear()
        self._add(health, code, message, repair=repair)

    def _add(self, health: Health, code: str, message: str, **details: Any) -> None:
        name = self._dataset.project.relative(health.file.path)
        health.findings.append(finding(code, message, dataset=self._name, file=name, **details))


_LEGACY = (
    "written by NautilusTrader 1.x, which stored numbers in another way: the 2.x engine does not "
    "read them"
)
_CONVERTED = "converted; the old file is kept for the undo"
