"""Examining the catalog: every file, every row, and the series they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.core.errors import Cancelled, InputError, choices
from workbench.core.progress import OnProgress, Progress, ShouldStop, ignore, never
from workbench.core.project import Project
from workbench.data.catalog import Dataset, inspect
from workbench.data.doctor import layout
from workbench.data.doctor.examination import Examiner, Health, Settings
from workbench.data.doctor.findings import Finding, Report, finding
from workbench.data.doctor.hours import Hours, calendar_name, check_calendars
from workbench.data.doctor.instruments import Instruments, Known, read_instruments
from workbench.data.doctor.journal import repairs
from workbench.data.doctor.overlaps import overlap_findings
from workbench.data.doctor.pauses import Pauses
from workbench.data.doctor.spikes import USUAL
from workbench.data.intervals import parse_file_name, shown


def instrument_of(dataset: Dataset) -> str:
    """Return the instrument of a dataset: its identity, or the beginning of its bar type."""
    return dataset.identity.rsplit("-", 4)[0] if dataset.kind == "bars" else dataset.identity


@dataclass(slots=True)
class Selection:
    """What a call is about.

    Attributes
    ----------
    datasets
        In the engine's layout.
    legacy
        In that of NautilusTrader 1.x.
    whole
        Whether that is the whole catalog.

    """

    datasets: list[Dataset]
    legacy: list[layout.LegacyFolder]
    whole: bool


def select(project: Project, names: Sequence[str]) -> Selection:
    """Return the datasets of those names, or all.

    Parameters
    ----------
    project
        Whose catalog.
    names
        ``bars/AAPL.XNAS-1-DAY-LAST-EXTERNAL``, the same without its kind, or an instrument for all
        there is of it.

    Raises
    ------
    InputError
        If the catalog has nothing of a name.

    """
    datasets, legacy = layout.find_datasets(project), layout.find_legacy(project)
    if not names:
        return Selection(datasets, legacy, whole=True)
    known = [*datasets, *(folder.dataset for folder in legacy)]
    by_name: dict[str, list[Dataset]] = {}
    for each in known:
        full = f"{each.kind}/{each.identity}"
        for name in {full, each.identity, instrument_of(each)}:
            by_name.setdefault(name, []).append(each)
    for name in names:
        if name not in by_name:
            known_names = sorted({f"{each.kind}/{each.identity}" for each in known})
            raise InputError(f"no dataset '{name}' in the catalog. {choices(name, known_names)}")
    wanted = [each for name in names for each in by_name[name]]
    return Selection(
        [each for each in datasets if each in wanted],
        [each for each in legacy if each.dataset in wanted],
        whole=False,
    )


@dataclass(slots=True)
class Examination:
    """Examines datasets, one after the other.

    Attributes
    ----------
    instruments
        Of the catalog.
    settings
        See there.
    on_progress, should_stop
        See `workbench.core.progress`.
    total
        Rows to come in all.

    """

    instruments: Instruments
    settings: Settings
    on_progress: OnProgress
    should_stop: ShouldStop
    total: int
    _done: int = 0
    _hours: dict[str, Hours] = field(default_factory=dict)

    def known(self, dataset: Dataset) -> Known | None:
        """Return the dataset's instrument, where the catalog has it."""
        return self.instruments.known.get(instrument_of(dataset))

    def dataset(self, dataset: Dataset, report: Report) -> None:
        """Examine one dataset and add what is found to a report."""
        known = self.known(dataset)
        name = f"{dataset.kind}/{dataset.identity}"
        calendar = calendar_name(
            instrument_of(dataset), known.type if known else None, self.settings.calendars
        )
        pauses = None
        if calendar:
            hours = self._hours.setdefault(calendar, Hours(calendar))
            pauses = Pauses(dataset.kind, dataset.identity, hours)

        def on_rows(count: int) -> None:
            self._done += count
            self.on_progress(Progress(dataset.identity, self._done, self.total, "rows"))

        examiner = Examiner(dataset, known, self.settings, pauses, self.should_stop, on_rows)
        paths = sorted(dataset.folder.glob("*.parquet"), key=_by_time)
        healths = [health for path in paths if (health := examiner.examine(path))]
        report.datasets += 1
        report.files += len(healths)
        report.rows += sum(health.rows for health in healths)
        found = [each for health in healths for each in health.findings]
        found += overlap_findings(dataset, healths)
        found += layout.strangers(dataset)
        if left := layout.strays(dataset):
            found += [_stray(dataset, path) for path in left]
        if known is None and healths:
            message = (
                f"the catalog does not know {instrument_of(dataset)}: precision and prices were "
                "not checked against it"
            )
            advice = "a fetch of a study that uses it writes it"
            found.append(finding("instrument-missing", message, dataset=name, advice=advice))
        report.add([*found, *_series(dataset, calendar, pauses, healths)])


def _series(
    dataset: Dataset, calendar: str | None, pauses: Pauses | None, healths: Sequence[Health]
) -> Iterator[Finding]:
    """Yield what is wrong with the series the files make together."""
    name = f"{dataset.kind}/{dataset.identity}"
    if pauses is None:
        venue = instrument_of(dataset).rpartition(".")[2]
        message = f"no trading calendar is known for {venue}: gaps were not looked for"
        advice = f"name one: --calendar {venue}=24/7, or the code of an exchange such as XNYS"
        yield finding("calendar", message, dataset=name, advice=advice)
        return
    if not pauses.possible:
        return
    if any(not health.ordered for health in healths):
        message = "rows are out of order: gaps were not looked for"
        yield finding("calendar", message, dataset=name)
        return
    pauses.finish()
    for span in pauses.uncovered:
        message = f"no file covers {shown(span)}"
        yield finding("uncovered", message, dataset=name, span=span)
    if pauses.count:
        yield finding(
            "gap",
            f"{pauses.text()} (calendar {calendar})",
            dataset=name,
            span=pauses.largest[0][1],
            rows=pauses.missing or None,
            advice="fetch it again: workbench data fetch STUDY --replace; some sources leave out "
            "bars in which nothing traded",
        )


def _stray(dataset: Dataset, path: Path) -> Finding:
    return finding(
        "stray",
        "left by a writer that was killed",
        dataset=f"{dataset.kind}/{dataset.identity}",
        file=dataset.project.relative(path),
        repair="removed",
    )


def _by_time(path: Path) -> tuple[int, int, str]:
    first, last = parse_file_name(path.name) or (2**63, 2**63)
    return first, last, path.name


def diagnose(
    names: Sequence[str] = (),
    project: Project | None = None,
    *,
    calendars: Mapping[str, str] | None = None,
    spikes: float = USUAL,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Report:
    """Examine the catalog; change nothing.

    Every file is read to its end, a batch of rows at a time.

    Parameters
    ----------
    names
        Datasets (``bars/AAPL.XNAS-1-DAY-LAST-EXTERNAL``, with or without its kind) or instruments;
        default: the whole catalog.
    project
        Default: the project of the working folder.
    calendars
        Trading calendars by venue, instead of the usual ones: a name of ``exchange_calendars``,
        ``24/7`` or ``24/5``.
    spikes
        How far a spike must stand out, in robust standard deviations; 0 not to look for any.
    on_progress, should_stop
        See `workbench.core.progress`.

    Returns
    -------
    Report
        What is wrong, the worst first.

    Raises
    ------
    InputError
        If the catalog has no such dataset, or a calendar does not exist.
    Cancelled
        If `should_stop` said so.

    """
    project, settings = project or Project.find(), Settings(calendars or {}, spikes)
    check_calendars(settings.calendars)
    selection = select(project, names)
    instruments = read_instruments(project)
    report = Report()
    report.add(_cut_off(project))
    if selection.whole:
        report.add([*layout.examine_layout(project), *instruments.findings])
    report.add(layout.legacy_finding(folder) for folder in selection.legacy)
    files = [path for dataset in selection.datasets for path in dataset.folder.glob("*.parquet")]
    total = sum(inspect(path, (0, 0)).rows for path in files)
    examination = Examination(instruments, settings, on_progress, should_stop, total)
    for dataset in selection.datasets:
        if should_stop():
            raise Cancelled
        examination.dataset(dataset, report)
    return report


def _cut_off(project: Project) -> Iterator[Finding]:
    for run in repairs(project):
        if run.cut_off:
            message = f"repair {run.id} was cut off: some of its files may be missing"
            where = project.relative(run.folder)
            yield finding("unfinished", message, file=where, repair="finished, or rolled back")
