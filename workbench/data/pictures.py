"""The verbs that draw: the picture of the cache, and of any dataset in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.core.errors import DataError, InputError, choices
from workbench.core.progress import OnProgress, ShouldStop, ignore, never
from workbench.core.project import Project
from workbench.data.buckets import Series
from workbench.data.candles import Preview
from workbench.data.catalog import Dataset, datasets
from workbench.data.coverage import covered, named
from workbench.data.coverage_chart import CoverageMap
from workbench.study.datasets import DataSpec

if TYPE_CHECKING:
    from workbench.study import Study


def coverage_map(
    study: Study | None = None,
    project: Project | None = None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> CoverageMap:
    """Return the picture of what the catalog covers: a row for each dataset, along time.

    Parameters
    ----------
    study
        Mark what it wants and the catalog lacks; no provider is asked over a network.
    project
        Default: the project of the working folder.
    on_progress, should_stop
        While the times of the rows are read.

    Raises
    ------
    StudyError
        If the study's data cannot be had as it has it, see `workbench.data.plan`.
    Cancelled
        If `should_stop` said so.

    """
    found = covered(study, project, on_progress=on_progress, should_stop=should_stop)
    return CoverageMap(found)


def preview(
    dataset: DataSpec | Dataset | str,
    project: Project | None = None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Preview:
    """Read a dataset once and return the picture of it.

    Memory is bounded however many rows there are; see `workbench.data.buckets`.

    Parameters
    ----------
    dataset
        An entry of a study's ``data``, or a name: ``AAPL.XNAS-1-DAY-LAST-EXTERNAL``,
        ``trades/BTCUSDT.BINANCE``, what `coverage_map` calls it, or an instrument that has only
        one dataset.
    project
        Default: the project of the working folder.
    on_progress, should_stop
        While it is read.

    Raises
    ------
    InputError
        If the catalog has no such dataset; those it has are named.
    DataError
        If it has no row, or a file cannot be read.
    Cancelled
        If `should_stop` said so.

    """
    if isinstance(dataset, DataSpec):
        dataset = Dataset(project or Project.find(), dataset.kind, dataset.identity)
    elif isinstance(dataset, str):
        dataset = find(dataset, project or Project.find())
    files = [file for file in dataset.good() if file.rows]
    if not files:
        name = named(dataset.kind, dataset.identity)
        raise DataError(f"the catalog has no row of {name}. Get it: workbench data fetch STUDY")
    series = Series(
        dataset.kind, dataset.identity, files, on_progress=on_progress, should_stop=should_stop
    )
    return Preview(series, files[0].precisions[0])


def find(name: str, project: Project) -> Dataset:
    """Return the dataset of the catalog that people call `name`.

    Raises
    ------
    InputError
        If there is none such, or several.

    """
    known = datasets(project)
    if not known:
        message = f"the catalog of {project.root} is empty. Get data: workbench data fetch STUDY"
        raise InputError(message)
    for names in (_exact, _loose):
        found = [each for each in known if name in names(each)]
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(f"{each.kind}/{each.identity}" for each in found)
            raise InputError(f"'{name}' is the name of several datasets: {several}. Name one")
    allowed = [f"{each.kind}/{each.identity}" for each in known]
    raise InputError(f"no dataset '{name}' in the catalog. {choices(name, allowed)}")


def _exact(dataset: Dataset) -> set[str]:
    return {f"{dataset.kind}/{dataset.identity}", named(dataset.kind, dataset.identity)}


def _loose(dataset: Dataset) -> set[str]:
    identity = dataset.identity
    names = {identity, identity.removesuffix("-EXTERNAL"), dataset.folder.name}
    if dataset.kind == "bars":
        names.add(identity.rsplit("-", 4)[0])
    return names
