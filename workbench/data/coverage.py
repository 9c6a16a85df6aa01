"""What the catalog covers: a row for each dataset with its files, gaps and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import Cancelled, DataError
from workbench.core.progress import OnProgress, Progress, ShouldStop, ignore, never
from workbench.core.project import Project
from workbench.data.catalog import CatalogFile, Dataset, datasets, read_rows
from workbench.data.doctor.diagnosis import instrument_of
from workbench.data.doctor.hours import Hours, calendar_name
from workbench.data.doctor.instruments import read_instruments
from workbench.data.doctor.pauses import Pauses
from workbench.data.intervals import BEGINNING, END, Interval, clip, iso, union
from workbench.data.planner import plan
from workbench.data.rows import times
from workbench.study.datasets import Kind

if TYPE_CHECKING:
    from workbench.study import Study

NO_GAPS = np.empty((0, 2), dtype=np.int64)

_WORDS = {"order_book_deltas": "deltas", "order_book_depths": "depths"}


@dataclass(frozen=True, slots=True)
class Covered:
    """What the catalog has of one dataset from one provider.

    Attributes
    ----------
    kind, identity
        The dataset's.
    provider
        Where its rows came from; empty where another program wrote them.
    files
        Those that can be used, in order of time.
    broken
        Those that cannot; ``broken`` of each says why.
    start, end
        Times of the first and last row, None where there is none.
    gaps
        int64, shape (gaps, 2): the times of the rows before and after each gap inside the files.
    calendar
        What they were counted by; None where none is known, and none were looked for.
    missing
        What a study wants of it and the catalog lacks; an open end reaches to all time.

    """

    kind: Kind
    identity: str
    provider: str
    files: tuple[CatalogFile, ...] = ()
    broken: tuple[CatalogFile, ...] = ()
    start: int | None = None
    end: int | None = None
    gaps: Any = None
    calendar: str | None = None
    missing: tuple[Interval, ...] = ()

    @property
    def key(self) -> str:
        """``kind/identity``, which tells it from every other dataset."""
        return f"{self.kind}/{self.identity}"

    @property
    def name(self) -> str:
        """What people call it."""
        return named(self.kind, self.identity)

    @property
    def rows(self) -> int:
        """How many it has."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)

    @property
    def spans(self) -> list[Interval]:
        """The time its files cover, whether there is a row in it or not."""
        return union(file.interval for file in self.files)

    def to_dict(self, project: Project) -> dict[str, Any]:
        """Return it with the keys ``workbench data coverage --json`` prints."""
        return {
            "kind": self.kind,
            "identity": self.identity,
            "provider": self.provider or None,
            "start": None if self.start is None else iso(self.start),
            "end": None if self.end is None else iso(self.end),
            "rows": self.rows,
            "files": len(self.files),
            "bytes": self.size,
            "covered": [[iso(start), iso(end)] for start, end in self.spans],
            "calendar": self.calendar,
            "gaps": [[iso(start), iso(end)] for start, end in self.gaps.tolist()],
            "missing": [
                [None if start == BEGINNING else iso(start), None if end == END else iso(end)]
                for start, end in self.missing
            ],
            "broken": [
                {"path": project.relative(file.path), "reason": file.broken} for file in self.broken
            ],
        }


def named(kind: Kind, identity: str) -> str:
    """Return what people call a dataset: ``AAPL.XNAS 1-DAY-LAST``, ``AAPL.XNAS trades``."""
    if kind != "bars":
        return f"{identity} {_WORDS.get(kind, kind)}"
    instrument, *spec = identity.removesuffix("-EXTERNAL").rsplit("-", 3)
    return f"{instrument} {'-'.join(spec) or kind}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a project's catalog covers.

    Attributes
    ----------
    project
        Whose catalog.
    datasets
        By instrument, kind and provider.
    broken
        What belongs to no dataset and cannot be used, with the reason: instruments, folders.

    """

    project: Project
    datasets: tuple[Covered, ...]
    broken: tuple[tuple[Path, str], ...] = ()

    @property
    def faults(self) -> list[tuple[str, str]]:
        """Everything that cannot be used, each path with its reason."""
        files = ((file.path, file.broken) for each in self.datasets for file in each.broken)
        return [(self.project.relative(path), str(why)) for path, why in (*files, *self.broken)]

    def to_dict(self) -> dict[str, Any]:
        """Return it with the keys ``workbench data coverage --json`` prints."""
        return {
            "datasets": [each.to_dict(self.project) for each in self.datasets],
            "broken": [{"path": path, "reason": reason} for path, reason in self.faults],
        }


def covered(
    study: Study | None = None,
    project: Project | None = None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Coverage:
    """Return what the catalog covers, and what a study wants beside it.

    Parameters
    ----------
    study
        Whose missing spans to tell; no provider is asked over a network.
    project
        Default: the project of the working folder.
    on_progress, should_stop
        While the times of the rows are read, which happens once for each file.

    Raises
    ------
    StudyError
        If the study's data cannot be had as it has it, see `workbench.data.plan`.
    Cancelled
        If `should_stop` said so.

    """
    from workbench.engine.catalog import broken_instruments

    project = project or Project.find()
    broken = list(broken_instruments(project.catalog).items())
    found: list[Covered] = []
    reader, known = _Reader(project), datasets(project)
    for number, dataset in enumerate(known):
        if should_stop():
            raise Cancelled
        task = f"Reading {named(dataset.kind, dataset.identity)}"
        on_progress(Progress(task, number, len(known), "datasets"))
        try:
            found += reader.read(dataset)
        except DataError as error:
            broken.append((dataset.folder, str(error)))
    if study is not None:
        found = _with_missing(found, study, project)
    found.sort(key=lambda each: (each.identity.partition("-")[0], each.key, each.provider))
    return Coverage(project, tuple(found), tuple(broken))


@dataclass(frozen=True, slots=True)
class _Times:
    """What the times of a dataset's rows tell."""

    first: int | None
    last: int | None
    gaps: Any
    unreadable: tuple[CatalogFile, ...]


# By project and dataset, with the files and when they changed: a file is read once.
_kept: dict[tuple[Any, ...], tuple[tuple[Any, ...], _Times]] = {}


class _Reader:
    """Reads the times of rows and finds their gaps, by the calendars the doctor goes by."""

    def __init__(self, project: Project) -> None:
        self._types = {name: one.type for name, one in read_instruments(project).known.items()}
        self._hours: dict[str, Hours] = {}

    def read(self, dataset: Dataset) -> list[Covered]:
        """Return what there is of a dataset, by provider."""
        good: list[CatalogFile] = []
        broken: list[CatalogFile] = []
        for file in dataset.files():
            if file.broken:
                broken.append(file)
            elif good and clip(good[-1].interval, file.interval):
                broken.append(replace(file, broken=f"overlaps {good[-1].path.name}"))
            else:
                good.append(file)
        instrument = instrument_of(dataset)
        calendar = calendar_name(instrument, self._types.get(instrument), {}) if good else None
        parts = []
        for provider in dict.fromkeys(file.provider for file in good):
            own = [file for file in good if file.provider == provider]
            times = self._times(dataset, provider, own, calendar)
            broken += times.unreadable
            unreadable = {file.path for file in times.unreadable}
            usable = tuple(file for file in own if file.path not in unreadable)
            parts.append(
                Covered(
                    dataset.kind,
                    dataset.identity,
                    provider,
                    usable,
                    start=times.first,
                    end=times.last,
                    gaps=times.gaps,
                    calendar=calendar,
                )
            )
        parts = parts or [Covered(dataset.kind, dataset.identity, "", gaps=NO_GAPS)]
        return [replace(parts[0], broken=tuple(broken)), *parts[1:]]

    def _times(
        self, dataset: Dataset, provider: str, files: Sequence[CatalogFile], calendar: str | None
    ) -> _Times:
        key = (dataset, provider)
        state = (calendar, *((file, file.path.stat().st_mtime_ns) for file in files))
        known = _kept.get(key)
        if known is None or known[0] != state:
            known = _kept[key] = state, self._read(dataset, files, calendar)
        return known[1]

    def _read(self, dataset: Dataset, files: Sequence[CatalogFile], calendar: str | None) -> _Times:
        pauses = None
        if calendar:
            hours = self._hours.setdefault(calendar, Hours(calendar))
            pauses = Pauses(dataset.kind, dataset.identity, hours)
        first, last = None, None
        unreadable = []
        for file in files:
            try:
                moments = times(read_rows([file], columns=["ts_init"])["ts_init"])
            except DataError as error:
                why = str(error).removeprefix(f"{file.path}: ")
                unreadable.append(replace(file, broken=why))
                continue
            if pauses:
                pauses.begin(file.interval)
            if not len(moments):
                continue
            moments = np.sort(moments)  # in order already, unless another program wrote them
            first = int(moments[0]) if first is None else first
            last = int(moments[-1])
            if pauses:
                pauses.feed(moments)
        gaps = NO_GAPS
        if pauses:
            pauses.finish()
            gaps = np.concatenate([NO_GAPS, *pauses.spans])
            gaps = gaps[np.argsort(gaps[:, 0], kind="stable")]
        return _Times(first, last, gaps, tuple(unreadable))


def _with_missing(found: list[Covered], study: Study, project: Project) -> list[Covered]:
    """Add what the study wants and the catalog lacks."""
    for wanted in plan(study, project, connect=False).datasets:
        if not wanted.missing:
            continue
        spec = wanted.spec
        at = next(
            (n for n, e in enumerate(found) if (e.kind, e.identity) == (spec.kind, spec.identity)),
            None,
        )
        if at is None:
            found.append(Covered(spec.kind, spec.identity, spec.provider, gaps=NO_GAPS))
            at = len(found) - 1
        found[at] = replace(found[at], missing=(*found[at].missing, *wanted.missing))
    return found
