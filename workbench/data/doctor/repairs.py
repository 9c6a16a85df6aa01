"""Repairing the catalog: dataset by dataset, each step safe, recorded, and open to be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.core.errors import Cancelled, DataError
from workbench.core.progress import OnProgress, Progress, ShouldStop, ignore, never
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.doctor.consolidation import put_together
from workbench.data.doctor.diagnosis import Selection, diagnose, instrument_of, select
from workbench.data.doctor.findings import Finding, Repaired, Report, finding
from workbench.data.doctor.hours import check_calendars
from workbench.data.doctor.instruments import Instruments, read_instruments
from workbench.data.doctor.journal import Journal, finish
from workbench.data.doctor.spikes import USUAL
from workbench.data.doctor.surgeon import Surgeon, migrate
from workbench.engine.migration import migrate_instruments


def repair(
    names: Sequence[str] = (),
    project: Project | None = None,
    *,
    consolidate: bool = False,
    calendars: Mapping[str, str] | None = None,
    spikes: float = USUAL,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Report:
    """Repair what is safe to repair, and examine the catalog again.

    Each step keeps the files it replaces: `workbench.data.undo` brings them back. Rows are never
    changed, and dropped only where the same row stays.

    Parameters
    ----------
    names, project, calendars, spikes, on_progress, should_stop
        See `workbench.data.diagnose`.
    consolidate
        Also put files together that follow one another without a gap.

    Returns
    -------
    Report
        What is still wrong, what was done, and the id that undoes it.

    Raises
    ------
    InputError
        See `workbench.data.diagnose`.
    Cancelled
        If `should_stop` said so; steps made stay, and can be undone.

    """
    project = project or Project.find()
    check_calendars(calendars or {})
    journal = Journal(project)
    done, failed = finish(project), []
    try:
        work = _Work(project, journal, select(project, names), should_stop)
        work.instruments()
        work.legacy()
        for number, dataset in enumerate(work.selection.datasets):
            total = len(work.selection.datasets)
            on_progress(Progress(f"repairing {dataset.identity}", number, total, "datasets"))
            work.dataset(dataset, consolidate=consolidate)
        done, failed, undo = done + work.done, work.failed, journal.id
    except Cancelled:
        if journal.id is None:
            raise
        message = f"cancelled; undo what was repaired: workbench data doctor --undo {journal.id}"
        raise Cancelled(message) from None
    finally:
        journal.close()
    report = diagnose(
        names,
        project,
        calendars=calendars,
        spikes=spikes,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    report.repaired, report.undo = done, undo
    report.add(failed)
    return report


class _Work:
    """The repairs of one call."""

    def __init__(
        self, project: Project, journal: Journal, selection: Selection, should_stop: ShouldStop
    ) -> None:
        self._project, self._journal, self._should_stop = project, journal, should_stop
        self.selection = selection
        self.done: list[Repaired] = []
        self.failed: list[Finding] = []
        self._instruments: Instruments

    def instruments(self) -> None:
        """Convert instruments of 1.x, put those aside that cannot be used."""
        if self.selection.whole:
            self._repair_instruments()
        self._instruments = read_instruments(self._project)

    def _repair_instruments(self) -> None:
        lock = Dataset(self._project, "bars", "instruments")
        with lock.locked():
            found = read_instruments(self._project)
            reasons = dict.fromkeys(found.broken, "cannot be read")
            if found.legacy:
                reasons |= self._convert_instruments(lock, found.legacy)
            for path, reason in reasons.items():
                self._put_aside(lock, path, reason)

    def _convert_instruments(self, lock: Dataset, files: Sequence[Path]) -> dict[Path, str]:
        aside = self._journal.stage("instruments")
        failed = migrate_instruments(files, aside)
        data = self._project.catalog / "data"
        for path in files:
            if path in failed:
                continue
            folder = path.parent.relative_to(data)
            made = list((aside / "data" / folder).glob("*.parquet"))
            target = data / folder / made[0].name if made else None
            if target is None or (target.exists() and target not in files):
                failed[path] = "of NautilusTrader 1.x, and the catalog knows it already"
                continue
            repaired = Repaired(
                "migrate", "instrument of NautilusTrader 1.x converted",
                file=self._project.relative(path),
            )  # fmt: skip
            self.done.append(
                self._journal.step(lock, repaired, old=[path], new=[(made[0], target)])
            )
        return failed

    def _put_aside(self, lock: Dataset, path: Path, reason: str) -> None:
        catalog = self._project.catalog
        shelf = catalog / "quarantine" / path.relative_to(catalog / "data")
        while shelf.exists():
            shelf = shelf.with_name(f"{shelf.name}.2")
        repaired = Repaired(
            "quarantine", f"instrument {reason}: moved to the quarantine",
            file=self._project.relative(path),
        )  # fmt: skip
        self.done.append(self._journal.step(lock, repaired, old=[path], shelves=[shelf]))

    def legacy(self) -> None:
        """Convert datasets that lie where only 1.x looks."""
        for folder in self.selection.legacy:
            with folder.dataset.locked():
                try:
                    args = self._journal, folder.dataset, folder.path, folder.files
                    self.done.append(migrate(*args))
                except DataError as error:
                    self._fail(folder.dataset, error)
            if folder.dataset not in self.selection.datasets:
                self.selection.datasets.append(folder.dataset)

    def dataset(self, dataset: Dataset, *, consolidate: bool) -> None:
        """Repair one dataset in the engine's layout."""
        if self._should_stop():
            raise Cancelled
        known = self._instruments.known.get(instrument_of(dataset))
        with dataset.locked():
            surgeon = Surgeon(dataset, known, self._journal, self._should_stop)
            try:
                surgeon.repair()
                if consolidate:
                    surgeon.done += put_together(dataset, surgeon.healths(), self._journal)
            except DataError as error:
                self._fail(dataset, error)
            finally:
                self.done += surgeon.done

    def _fail(self, dataset: Dataset, error: DataError) -> None:
        name = f"{dataset.kind}/{dataset.identity}"
        reason = " ".join(str(error).split())
        self.failed.append(finding("failed", f"not repaired: {reason}", dataset=name))
