"""Getting what the catalog lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from workbench.core.errors import DataError, Issue, StudyError
from workbench.core.progress import OnProgress, ShouldStop, ignore, never
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.intervals import shown
from workbench.data.planner import Plan, plan, plan_dataset
from workbench.data.provider import Item, Provider
from workbench.data.providers import items
from workbench.data.transfer import Transfer
from workbench.engine import catalog as engine_catalog
from workbench.study.document import Study
from workbench.study.fields import split_money

_AT_ONCE = 8  # datasets; each provider says how many of its requests may run at once


@dataclass(slots=True)
class FetchResult:
    """What a fetch brought.

    Attributes
    ----------
    status
        ``done``, or ``cached`` where the catalog had everything.
    rows, requests, bytes
        Rows stored, requests made, and bytes the provider delivered where it tells.
    cost
        The price of the requests made, by currency, as planned.
    error
        None: a fetch that failed raises.
    warnings
        Gaps, rows that were mended, broken files that were put aside.

    """

    status: str = "cached"
    rows: int = 0
    requests: int = 0
    bytes: int = 0
    cost: dict[str, Decimal] = field(default_factory=dict)
    error: str | None = None
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the result with the keys ``workbench data fetch`` prints."""
        currency, amount = next(iter(self.cost.items()), ("USD", Decimal(0)))
        return {
            "status": self.status,
            "rows": self.rows,
            "requests": self.requests,
            "bytes": self.bytes,
            "cost": {"amount": f"{amount:f}", "currency": currency},
            "error": self.error,
            "warnings": self.warnings,
        }


def fetch(
    study: Study,
    project: Project | None = None,
    *,
    replace: bool = False,
    only: str | None = None,
    max_cost: Decimal | None = None,
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
    max_cost
        Most it may cost, in US dollars; default: the study's ``budget``.
    on_progress, should_stop
        See `workbench.core.progress`.

    Raises
    ------
    StudyError
        See `workbench.data.plan`; also if it would cost more than it may: nothing is fetched.
    InputError
        If a source file has faults; nothing of it is stored.
    DataError
        If a provider did not deliver, or the disk is full.
    Cancelled
        If `should_stop` said so.

    """
    project = project or Project.find()
    # Every issue at once, and the price, before anything is changed.
    planned = plan(study, project, replace=replace, only=only)
    if too_much := over_budget(study, planned, max_cost):
        raise StudyError(too_much)
    result = FetchResult()
    pairs = items(study, project, only)
    lacking = [
        pair for pair, each in zip(pairs, planned.datasets, strict=True) if each.missing or replace
    ]
    try:
        _write_instruments(pairs, lacking, project, local=False)
        transfer = Transfer(result, planned, on_progress, should_stop)
        single = [pair for pair in lacking if pair[1].parallel == 1]
        several = [pair for pair in lacking if pair[1].parallel > 1]
        jobs = [partial(_fetch_dataset, *pair, replace, transfer) for pair in several]
        transfer.together(jobs, _AT_ONCE)
        for item, provider in single:
            _fetch_dataset(item, provider, replace, transfer)
        _write_instruments(pairs, lacking, project, local=True)
    except OSError as error:
        what = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        raise DataError(f"the catalog could not be written: {what}{where}") from None
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
    planned = plan(study, project, connect=False)
    issues: list[Issue] = []
    for (item, _), dataset in zip(items(study, project), planned.datasets, strict=True):
        if dataset.missing and not dataset.local:
            spans = ", ".join(map(shown, dataset.missing))
            message = f"not in the catalog: {spans}. Get it: workbench data fetch STUDY"
            issues.append(item.issue(message))
    if issues:
        raise StudyError(issues)
    return fetch(study, project, on_progress=on_progress, should_stop=should_stop)


def over_budget(study: Study, planned: Plan, max_cost: Decimal | None = None) -> Issue | None:
    """Return the issue to raise if a plan costs more than it may, None if it does not.

    Parameters
    ----------
    study
        Whose ``budget`` counts where `max_cost` is None.
    planned
        What would be fetched.
    max_cost
        In US dollars.

    """
    if max_cost is not None:
        most, currency = max_cost, "USD"
    elif study.budget is not None:
        most, currency = split_money(study.budget)
    else:
        return None
    for paid_in, cost in planned.cost.items():
        if paid_in != currency or cost > most:
            message = (
                f"the data would cost {cost:f} {paid_in}, more than the {most:f} {currency} they "
                "may: nothing was fetched. Ask for less (range, schema), or allow more"
            )
            return study.issue(message, "budget") if max_cost is None else Issue(message)
    return None


def _fetch_dataset(item: Item, provider: Provider, replace: bool, transfer: Transfer) -> None:
    spec = item.spec
    dataset = Dataset(provider.project, spec.kind, spec.identity)
    with dataset.locked():
        transfer.warn(dataset.sweep())
        # Another process may have fetched it while this one waited.
        planned = plan_dataset(item, provider, replace=replace)
        if isinstance(planned, Issue):
            raise StudyError(planned)
        source = provider.source(item)  # before the first row is read, not after the last
        if planned.requests:
            transfer.dataset(dataset, item, provider, source, planned.requests, replace=replace)
        after = plan_dataset(item, provider, connect=False)
    if isinstance(after, Issue):
        raise StudyError(after)
    if after.missing:
        spans = ", ".join(map(shown, after.missing))
        raise DataError(f"'{provider.name}' did not deliver {spec.identity} of {spans}")
    transfer.warn(after.notes)


def _write_instruments(
    pairs: Sequence[tuple[Item, Provider]],
    lacking: Sequence[tuple[Item, Provider]],
    project: Project,
    *,
    local: bool,
) -> None:
    """Bring the catalog's instruments up to date with what the study or its provider says.

    Those of remote providers come before their rows, which are read by their precision; a provider
    is asked only if something is fetched or the catalog does not know the instrument.
    """
    known = engine_catalog.definitions(project.catalog)
    wanted = {
        item.spec.instrument: provider.instrument(item)
        for item, provider in pairs
        if provider.local(item) == local
        and (local or (item, provider) in lacking or item.spec.instrument not in known)
    }
    if all(known.get(name) == each for name, each in wanted.items()):
        return
    lock = Dataset(project, "bars", "instruments")
    with lock.locked():
        known = engine_catalog.definitions(project.catalog)
        changed = [(name, each) for name, each in wanted.items() if known.get(name) != each]
        if changed:
            engine_catalog.write_instruments(project.catalog, changed)
