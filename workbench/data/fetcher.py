"""Getting what the catalog lacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workbench.core.errors import Cancelled, DataError, Issue, StudyError
from workbench.core.progress import OnProgress, ShouldStop, ignore, never
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.intervals import shown
from workbench.data.planner import DatasetPlan, plan, plan_dataset
from workbench.data.provider import Item, Provider
from workbench.data.providers import items
from workbench.engine import catalog as engine_catalog
from workbench.study.document import Study


@dataclass(slots=True)
class FetchResult:
    """What a fetch brought.

    Attributes
    ----------
    status
        ``done``, or ``cached`` where the catalog had everything.
    rows, requests
        Rows stored and requests made.
    error
        None: a fetch that failed raises.
    warnings
        Gaps, rows that were mended, broken files that were put aside.

    """

    status: str = "cached"
    rows: int = 0
    requests: int = 0
    error: str | None = None
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the result with the keys ``workbench data fetch`` prints."""
        return {
            "status": self.status,
            "rows": self.rows,
            "requests": self.requests,
            "error": self.error,
            "warnings": self.warnings,
        }


def fetch(
    study: Study,
    project: Project | None = None,
    *,
    replace: bool = False,
    only: str | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> FetchResult:
    """Fetch what the catalog lacks of a study's data, and its instruments.

    Each dataset is locked while it is fetched: of two processes that want the same data one fetches
    it and the other finds it there. What has arrived stays when a fetch is stopped or killed.

    Parameters
    ----------
    study
        Whose data.
    project
        Default: the project of the working folder.
    replace
        Fetch everything again and replace what the catalog has.
    only
        Only the data of this provider.
    on_progress, should_stop
        See `workbench.core.progress`.

    Raises
    ------
    StudyError
        See `workbench.data.plan`.
    InputError
        If a source file has faults; nothing of it is stored.
    DataError
        If a provider did not deliver, or the disk is full.
    Cancelled
        If `should_stop` said so.

    """
    project = project or Project.find()
    pairs = items(study, project, only)
    plan(
        study, project, replace=replace, only=only
    )  # every issue at once, before anything is changed
    result = FetchResult()
    try:
        for item, provider in pairs:
            _fetch_dataset(item, provider, replace, result, on_progress, should_stop)
        _write_instruments(pairs, project)
    except OSError as error:
        what = error.strerror or str(error)
        raise DataError(f"the catalog could not be written: {what} ({error.filename})") from None
    return result


def ensure(
    study: Study,
    project: Project | None = None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> FetchResult:
    """Fetch what a run lacks where that is free and local; say what to do where it is not.

    Raises
    ------
    StudyError
        If data are missing that cost money or need a connection.

    """
    project = project or Project.find()
    planned = plan(study, project)
    issues: list[Issue] = []
    for (item, provider), dataset in zip(items(study, project), planned.datasets, strict=True):
        if dataset.missing and not provider.local:
            spans = ", ".join(map(shown, dataset.missing))
            message = f"not in the catalog: {spans}. Get it: workbench data fetch STUDY"
            issues.append(item.issue(message))
    if issues:
        raise StudyError(issues)
    return fetch(study, project, on_progress=on_progress, should_stop=should_stop)


def _fetch_dataset(
    item: Item,
    provider: Provider,
    replace: bool,
    result: FetchResult,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> None:
    spec = item.spec
    dataset = Dataset(provider.project, spec.kind, spec.identity)
    planned = _planned(item, provider, replace)
    # Looking takes no lock: a project on a read-only disk can run what it has.
    if not planned.missing:
        return
    with dataset.locked():
        result.warnings += dataset.sweep()
        # Another process may have fetched it while this one waited.
        planned = _planned(item, provider, replace)
        for request in planned.requests:
            result.status = "done"
            result.requests += 1
            source = provider.source(item)  # before the first row is read, not after the last
            for chunk in provider.fetch(item, request, on_progress, should_stop):
                dataset.write(
                    chunk.rows,
                    chunk.interval,
                    provider=provider.name,
                    source=source,
                    replace=replace or provider.whole,
                )
                replace = False
                result.rows += chunk.rows.num_rows
                result.warnings += chunk.warnings
                if should_stop():
                    raise Cancelled
        after = _planned(item, provider, replace=False)
    if after.missing:
        spans = ", ".join(map(shown, after.missing))
        raise DataError(f"'{provider.name}' did not deliver {spec.identity} of {spans}")
    if after.notes:
        result.warnings += [note for note in after.notes if note not in result.warnings]


def _planned(item: Item, provider: Provider, replace: bool) -> DatasetPlan:
    planned = plan_dataset(item, provider, replace=replace)
    if isinstance(planned, Issue):
        raise StudyError(planned)
    return planned


def _write_instruments(pairs: list[tuple[Item, Provider]], project: Project) -> None:
    """Bring the catalog's instruments up to date with what the study or its provider says."""
    wanted = {item.spec.instrument: provider.instrument(item) for item, provider in pairs}
    if all(engine_catalog.definitions(project.catalog).get(k) == v for k, v in wanted.items()):
        return
    lock = Dataset(project, "bars", "instruments")
    with lock.locked():
        known = engine_catalog.definitions(project.catalog)
        changed = [(name, item) for name, item in wanted.items() if known.get(name) != item]
        if changed:
            engine_catalog.write_instruments(project.catalog, changed)
