"""Repairs of one dataset: what is safe to do about its files, and doing it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import DataError
from workbench.core.progress import ShouldStop
from workbench.data.catalog import Dataset, read_rows
from workbench.data.doctor import rewriting
from workbench.data.doctor.examination import Examiner, Health, Settings
from workbench.data.doctor.findings import Repaired
from workbench.data.doctor.instruments import Known
from workbench.data.doctor.journal import Journal
from workbench.data.doctor.layout import strays
from workbench.data.doctor.legacy import convert, legacy_files
from workbench.data.doctor.overlaps import overlapping
from workbench.data.doctor.repeats import CHECKED, duplicates
from workbench.data.doctor.steps import link_or_copy
from workbench.data.doctor.tally import counted
from workbench.data.intervals import Interval, clip, file_name, missing, parse_file_name, shown
from workbench.data.rows import add_hashes, row_hashes, rows_hash, times
from workbench.study.datasets import Kind

if TYPE_CHECKING:
    import pyarrow as pa

_ROUNDS = 10_000  # every round repairs something; files run out long before
_QUARANTINE = ("corrupt", "metadata", "schema", "identity")


class Surgeon:
    """Repairs one dataset, whose lock the caller holds.

    Parameters
    ----------
    dataset
        Which.
    known
        Its instrument, where the catalog has it.
    journal
        Carries out each step.
    should_stop
        Asked between batches of rows.

    """

    def __init__(
        self, dataset: Dataset, known: Known | None, journal: Journal, should_stop: ShouldStop
    ) -> None:
        self._dataset, self._journal = dataset, journal
        self._examiner = Examiner(dataset, known, Settings(spikes=0), None, should_stop)
        self._seen: dict[tuple[Any, ...], Health] = {}
        self._left: set[tuple[Path, ...]] = set()
        self.done: list[Repaired] = []

    def healths(self) -> list[Health]:
        """Return what there is to know of each file, in order of time."""
        found = []
        for path in self._dataset.folder.glob("*.parquet"):
            stat = path.stat()
            key = (path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if key not in self._seen and (health := self._examiner.examine(path)):
                self._seen[key] = health
            if key in self._seen:
                found.append(self._seen[key])
        return sorted(found, key=lambda health: (health.file.interval, health.file.path.name))

    def repair(self) -> None:
        """Do what is safe, step by step, until nothing is left that is.

        Raises
        ------
        DataError
            If a file could not be written, or would have changed rows: it was not used.
        Cancelled
            If `should_stop` said so; steps made stay.

        """
        if left := strays(self._dataset, held=True):
            self._step("remove", f"{counted(len(left), 'stray file')} removed", old=left)
        self._convert()
        for _ in range(_ROUNDS):
            healths = self.healths()
            mended = [self._mend(each) for each in healths]
            if not any(mended) and not self._untangle(healths):
                break

    def _mend(self, health: Health) -> bool:
        """Repair one file by itself; return whether anything was done."""
        path = health.file.path
        if health.fault:
            if health.fault not in _QUARANTINE:
                return False
            self._put_aside(health, f"{health.findings[0].message}: moved to the quarantine")
            return True
        if not health.intact or not health.ordered or health.duplicates:
            return self._rewrite(health)
        if health.named and health.inside:
            return False
        others = [each for each in self.healths() if each.named and each.file.path != path]
        taken = health.span is None or any(clip(each.file.interval, health.span) for each in others)
        if not taken:
            assert health.span is not None
            self._rename(health, health.span)
        elif not health.named:
            self._put_aside(health, "not named FIRST_LAST.parquet: moved to the quarantine")
        return not taken or not health.named

    def _put_aside(self, health: Health, message: str) -> None:
        path = health.file.path
        shelf, number = self._dataset.quarantine / path.name, 1
        while shelf.exists():  # it was repaired, and broke again
            number += 1
            shelf = self._dataset.quarantine / f"{path.name}.{number}"
        self._step("quarantine", message, health, old=[path], shelves=[shelf])

    def _rename(self, health: Health, span: Interval) -> None:
        path = health.file.path
        staged = self._journal.stage(path.name)
        link_or_copy(path, staged)
        target = path.with_name(file_name(span))
        same = ((health.rows,) * 2, (health.hash,) * 2)
        message = f"named by the span of its rows, {shown(span)}"
        self._step("rename", message, health, old=[path], new=[(staged, target)], change=same)

    def _rewrite(self, health: Health) -> bool:
        """Sort a file and drop what is there twice, or put it aside if its rows are not its own."""
        file, kind = health.file, self._dataset.kind
        rows = read_rows([file])
        if not health.ordered:
            rows = rows.take(np.argsort(times(rows["ts_init"]), kind="stable"))
        ts, hashes = times(rows["ts_init"]), row_hashes(rows)
        keep = np.ones(len(ts), dtype=bool)
        if kind in CHECKED and (health.duplicates or not health.intact):
            keep = ~_twice(kind, rows, ts, hashes)
        digest = int(np.add.reduce(hashes[keep], dtype=np.uint64))
        if not health.intact and digest != file.rows_hash:
            message = "its rows are not those that were stored: moved to the quarantine"
            self._put_aside(health, message)
            return True
        dropped = len(keep) - int(np.count_nonzero(keep))
        kept = rows.filter(keep) if dropped else rows
        action = "deduplicate" if dropped else "sort"
        message = f"{counted(dropped, 'row')} there twice kept once" if dropped else "rows sorted"
        staged = self._journal.stage(file.path.name)
        self._write(staged, file.path, kept, digest)
        change = (health.rows, kept.num_rows), (health.hash, digest)
        self._step(
            action, message, health, old=[file.path], new=[(staged, file.path)], change=change
        )
        return True

    def _untangle(self, healths: list[Health]) -> bool:
        """Resolve one overlap of two files that agree; return whether one was."""
        sound = [each for each in healths if is_sound(each)]
        for first, second in overlapping(sound):
            pair = first.file.path, second.file.path
            if pair in self._left:
                continue
            if self._agree(first, second):
                self._trim(first, second)
                return True
            self._left.add(pair)
        return False

    def _agree(self, first: Health, second: Health) -> bool:
        """Whether two files hold the same rows of the time both cover."""
        common = clip(first.file.interval, second.file.interval)
        assert common is not None
        if first.file.precisions != second.file.precisions:
            return False
        one, other = (read_rows([each.file], common) for each in (first, second))
        return one.num_rows == other.num_rows and rows_hash(one) == rows_hash(other)

    def _trim(self, first: Health, second: Health) -> None:
        """Cut what both files hold out of one of them."""
        keep, cut = _which(first, second)
        common = clip(keep.file.interval, cut.file.interval)
        assert common is not None
        rows, digest = keep.rows, keep.hash
        new = []
        for rest in missing(cut.file.interval, [keep.file.interval]):
            part = read_rows([cut.file], rest)
            target = cut.file.path.with_name(file_name(rest))
            staged = self._journal.stage(target.name)
            self._write(staged, cut.file.path, part, rows_hash(part))
            rows, digest = rows + part.num_rows, add_hashes(digest, rows_hash(part))
            new.append((staged, target))
        self._step(
            "trim",
            f"{shown(common)} is in {keep.file.path.name} too, with the same rows: "
            + ("cut off" if new else "removed"),
            cut,
            old=[cut.file.path],
            new=new,
            change=((keep.rows + cut.rows, rows), (add_hashes(keep.hash, cut.hash), digest)),
        )

    def _convert(self) -> None:
        """Convert files 1.x left among the engine's own: order books lie in the same folder."""
        if files := legacy_files(self._dataset.folder):
            self.done.append(migrate(self._journal, self._dataset, self._dataset.folder, files))

    def _write(self, staged: Path, source: Path, rows: pa.Table, digest: int) -> None:
        schema = rewriting.schema_of(source)
        rewriting.write(staged, schema, [rows], rows=rows.num_rows, digest=digest)

    def _step(
        self,
        action: str,
        message: str,
        health: Health | None = None,
        *,
        change: tuple[tuple[int, int], tuple[int, int]] | None = None,
        **files: Any,
    ) -> None:
        dataset = self._dataset
        repaired = Repaired(
            action,
            message,
            dataset=f"{dataset.kind}/{dataset.identity}",
            file=dataset.project.relative(health.file.path) if health else None,
            rows=change[0] if change else None,
            hashes=change[1] if change else None,
        )
        self.done.append(self._journal.step(dataset, repaired, **files))


def is_sound(health: Health) -> bool:
    """Whether a file's name, order and rows are right, so that it may be compared with others."""
    good = health.fault is None and health.named and health.inside
    return good and health.ordered and health.intact and not health.duplicates


def _which(first: Health, second: Health) -> tuple[Health, Health]:
    """Return which of two files that overlap is kept whole, and which is cut."""
    if bool(first.file.provider) != bool(second.file.provider):
        # Only what is known to come from a provider is of use to a study.
        return (first, second) if first.file.provider else (second, first)
    inside = first.file.interval[0] == second.file.interval[0]  # and it ends earlier
    return (second, first) if inside else (first, second)


def migrate(journal: Journal, dataset: Dataset, folder: Path, files: list[Path]) -> Repaired:
    """Convert files of NautilusTrader 1.x; call with the lock of the dataset they become held.

    Raises
    ------
    DataError
        If they cannot be converted, or the dataset has data of the same time already.

    """
    converted = convert(dataset.kind, folder, files, journal)
    intervals = [
        parse_file_name(path.name) for path in dataset.folder.glob("*.parquet") if path not in files
    ]
    for each in converted:
        mine = parse_file_name(each.name)
        if mine and any(other and clip(mine, other) for other in intervals):
            where = dataset.project.relative(dataset.folder)
            raise DataError(f"{where} has data of {shown(mine)} already")
    rows = sum(each.rows for each in converted)
    digest = add_hashes(*(each.hash for each in converted))
    repaired = Repaired(
        "migrate",
        f"{counted(len(files), 'file')} of NautilusTrader 1.x converted",
        dataset=f"{dataset.kind}/{dataset.identity}",
        file=dataset.project.relative(folder),
        rows=(rows, rows),
        hashes=(digest, digest),  # the same: every value was compared
    )
    new = [(each.staged, dataset.folder / each.name) for each in converted]
    journal.step(dataset, repaired, old=files, new=new)
    with suppress(OSError):  # not empty: left alone
        folder.rmdir()
        folder.parent.rmdir()
    return repaired


def _twice(kind: Kind, rows: pa.Table, ts: Any, hashes: Any) -> Any:
    """Return the mask of rows to drop: equal to a row that stays, in every column."""
    found = duplicates(kind, ts, hashes)
    order = np.lexsort((hashes, ts))
    same = (np.diff(ts[order]) == 0) & (hashes[order[1:]] == hashes[order[:-1]])
    first = np.maximum.accumulate(np.where(np.concatenate([[False], same]), 0, np.arange(len(ts))))
    kept = np.empty_like(order)
    kept[order] = order[first]
    dropped = np.flatnonzero(found)
    if rows.take(dropped).equals(rows.take(kept[dropped])):
        return found
    raise DataError("different rows with the same hash: nothing was dropped")
