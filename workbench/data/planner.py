"""What a study needs, what the catalog has of it, and what it would take to get the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from workbench.core.errors import Issue, StudyError
from workbench.core.project import Project
from workbench.data import intervals
from workbench.data.catalog import CatalogFile, Dataset
from workbench.data.intervals import BEGINNING, END, Interval, clip, iso, shown
from workbench.data.provider import Item, Provider, Request
from workbench.data.providers import items
from workbench.study.datasets import DataSpec
from workbench.study.document import Study

_DAY = 86_400 * 10**9


def total(numbers: Sequence[int | None]) -> int | None:
    """Add up numbers; None if one of them is not known."""
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """One dataset of a study against the catalog.

    Attributes
    ----------
    spec
        What is wanted.
    wanted
        The span wanted of what the provider has; its ends are open where only a fetch can tell.
    cached, missing
        The parts of it the catalog has and lacks.
    files
        The good files that hold the cached part, in order of time.
    requests
        What would be asked of the provider; none in a plan made without asking it.
    local
        Whether getting the rest is free and needs no connection.
    notes
        What is worth knowing: a range that was clipped, broken files.
    replaces
        Whether the dataset's files all give way.

    """

    spec: DataSpec
    wanted: Interval
    cached: tuple[Interval, ...]
    missing: tuple[Interval, ...]
    files: tuple[CatalogFile, ...]
    requests: tuple[Request, ...]
    local: bool = True
    notes: tuple[str, ...] = ()
    replaces: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what a fetch of this dataset would take."""
        rows = [request.rows for request in self.requests]
        size = [request.bytes for request in self.requests]
        return {
            "provider": self.spec.provider,
            "kind": self.spec.kind,
            "identity": self.spec.identity,
            "requests": sum(request.calls for request in self.requests),
            "rows": total(rows),
            "bytes": total(size),
            "cost": f"{sum((request.cost for request in self.requests), Decimal(0)):f}",
        }

    def _spans(self, spans: Sequence[Interval]) -> list[dict[str, Any]]:
        return [
            {
                "provider": self.spec.provider,
                "instrument": self.spec.instrument,
                "kind": self.spec.kind,
                "identity": self.spec.identity,
                "start": None if start == BEGINNING else iso(start),
                "end": None if end == END else iso(end),
            }
            for start, end in spans
        ]


@dataclass(frozen=True, slots=True)
class Plan:
    """The data of a study against the catalog.

    Attributes
    ----------
    datasets
        One for each entry of the study's ``data``, in its order.

    """

    datasets: tuple[DatasetPlan, ...]

    @property
    def requests(self) -> int:
        """How many requests a fetch would make."""
        return sum(request.calls for request in self._requests())

    @property
    def complete(self) -> bool:
        """Whether the catalog has everything."""
        return not any(dataset.missing for dataset in self.datasets)

    @property
    def rows(self) -> int | None:
        """Rows a fetch would bring, None where a provider cannot tell."""
        return total([request.rows for request in self._requests()])

    @property
    def bytes(self) -> int | None:
        """Bytes a fetch would bring, None where a provider cannot tell."""
        return total([request.bytes for request in self._requests()])

    @property
    def cost(self) -> dict[str, Decimal]:
        """The price of a fetch, by currency; empty where it is free."""
        cost: dict[str, Decimal] = {}
        for request in self._requests():
            if request.cost:
                cost[request.currency] = cost.get(request.currency, Decimal(0)) + request.cost
        return cost

    def to_dict(self) -> dict[str, Any]:
        """Return the plan with the keys ``workbench data plan`` prints."""
        cost = next(iter(self.cost.items()), ("USD", Decimal(0)))
        return {
            "requests": self.requests,
            "cached": [s for d in self.datasets for s in d._spans(d.cached)],
            "missing": [s for d in self.datasets for s in d._spans(d.missing)],
            "rows": self.rows,
            "bytes": self.bytes,
            "cost": {"amount": f"{cost[1]:f}", "currency": cost[0]},
            "datasets": [dataset.to_dict() for dataset in self.datasets],
            "notes": [note for dataset in self.datasets for note in dataset.notes],
        }

    def _requests(self) -> list[Request]:
        return [request for dataset in self.datasets for request in dataset.requests]


def plan(
    study: Study,
    project: Project | None = None,
    *,
    replace: bool = False,
    only: str | None = None,
    connect: bool = True,
) -> Plan:
    """Work out what a fetch would do; change nothing.

    Remote providers are asked for prices and numbers of rows of what the catalog lacks, and of
    nothing else.

    Parameters
    ----------
    study
        Whose data.
    project
        Default: the project of the working folder.
    replace
        Plan to fetch everything again and to replace what the catalog has.
    only
        Only the data of this provider.
    connect
        False to ask no remote provider: what is missing of theirs is told without requests.

    Raises
    ------
    DataError
        If a remote provider could not be asked.
    StudyError
        If the data cannot be had as the study has it, or the catalog holds other rows under the
        same name (from another provider, another file, or a file that has changed since).

    """
    project = project or Project.find()
    pairs = items(study, project, only)
    issues = [issue for item, provider in pairs for issue in provider.check(item)]
    if issues:
        raise StudyError(issues)
    plans: list[DatasetPlan] = []
    for item, provider in pairs:
        found = plan_dataset(item, provider, replace=replace, connect=connect)
        if isinstance(found, Issue):
            issues.append(found)
        else:
            plans.append(found)
    if issues:
        raise StudyError(issues)
    return Plan(tuple(plans))


def plan_dataset(
    item: Item, provider: Provider, *, replace: bool = False, connect: bool = True
) -> DatasetPlan | Issue:
    """Plan one dataset whose `Provider.check` found nothing; an issue where it cannot be had."""
    spec = item.spec
    dataset = Dataset(provider.project, spec.kind, spec.identity)
    notes = [
        f"{provider.project.relative(file.path)} {file.broken}: it will be fetched again"
        for file in dataset.files()
        if file.broken
    ]
    files = [] if replace else dataset.good()
    if not replace and (different := _difference(item, provider, files)):
        return item.issue(different)
    wanted = (
        BEGINNING if spec.start_ns is None else spec.start_ns,
        END if spec.end_ns is None else spec.end_ns,
    )
    covered = intervals.union(file.interval for file in files)
    local = provider.local(item)
    # Of what the catalog has nobody needs to be asked.
    ask = (local or connect) and intervals.missing(wanted, covered)
    available = provider.available(item) if ask else None
    if available is None and provider.whole and covered and not notes:
        available = (covered[0][0], covered[-1][1])
    if available is not None:
        part = clip(wanted, available)
        if part is None:
            message = f"there is data from {shown(available)}, none of it in {shown(wanted)}"
            return item.issue(message, "start" if wanted[0] > available[1] else "end")
        if not local and part != wanted:
            key = "start" if part[0] != wanted[0] else "end"
            message = f"there is data from {shown(available)}, not of all of {shown(wanted)}"
            return item.issue(message, key)
        # The last session ends before its day does: less than a day is nothing to speak of.
        early = part[0] - (part[0] if spec.start_ns is None else spec.start_ns)
        late = (part[1] if spec.end_ns is None else spec.end_ns) - part[1]
        if max(early, late) >= _DAY:
            notes.append(f"{spec.identity}: there is data from {shown(available)} only")
        wanted = part
    if provider.whole and available is None:
        covered = []
    missing = intervals.missing(wanted, covered)
    cached = [part for span in covered if (part := clip(span, wanted))]
    requests = tuple(provider.plan(item, missing)) if missing and (local or connect) else ()
    notes += [f"{spec.identity}: {note}" for request in requests for note in request.notes]
    return DatasetPlan(
        spec=spec,
        wanted=wanted,
        cached=tuple(cached),
        missing=tuple(missing),
        files=tuple(file for file in files if clip(file.interval, wanted)) if cached else (),
        requests=requests,
        local=local,
        notes=tuple(notes),
        replaces=replace,
    )


def _difference(item: Item, provider: Provider, files: Sequence[CatalogFile]) -> str | None:
    """Say how the catalog's rows differ from those a fetch would give, None if they do not."""
    if provider.foreign:
        return None
    for provider_name, source in {(file.provider, file.source): None for file in files}:
        if not provider_name:
            why = "were written by another program"
        elif provider_name != provider.name:
            why = f"came from the provider '{provider_name}'"
        else:
            why = provider.difference(item, source) or ""
        if why:
            return (
                f"the catalog's rows of {item.spec.identity} ({item.spec.kind}) {why}. To replace "
                f"them: workbench data fetch STUDY --replace"
            )
    return None
