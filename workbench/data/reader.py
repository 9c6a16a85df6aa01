"""Using the catalog: the files a run reads, the digest of its rows, charts and the list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import DataError, Issue, StudyError
from workbench.core.project import Project
from workbench.data.catalog import CatalogFile, Dataset, datasets, read_rows
from workbench.data.gaps import find_gaps
from workbench.data.intervals import BEGINNING, END, Interval, clip, iso, shown
from workbench.data.planner import DatasetPlan, plan
from workbench.data.providers import items
from workbench.data.rows import PRICES, SIZES, add_hashes, best_levels, rows_hash, times, to_float
from workbench.study.datasets import DataSpec
from workbench.study.document import Study

if TYPE_CHECKING:
    import pyarrow as pa


def check(study: Study, project: Project | None = None) -> list[Issue]:
    """Return what is wrong with a study's data that the study alone cannot tell.

    Unknown instruments, ranges without data, missing files, and rows in the catalog that came from
    elsewhere. Nothing is fetched.
    """
    try:
        plan(study, project, connect=False)
    except StudyError as error:
        return list(error.issues)
    return []


def inputs(study: Study, project: Project | None = None) -> list[tuple[DataSpec, list[Path]]]:
    """Return for each dataset of a study the files that hold it, in order of time.

    Raises
    ------
    StudyError
        If something is missing from the catalog or came from another source.
    DataError
        If a file the run needs is broken; it is named.

    """
    project = project or Project.find()
    return [(each.spec, [file.path for file in each.files]) for each in _complete(study, project)]


def digest(study: Study, project: Project | None = None) -> dict[str, dict[str, Any]]:
    """Return what tells exactly the rows a study uses.

    Returns
    -------
    dict
        By ``kind/identity``: ``start`` and ``end`` (the span that counts, ISO 8601 in UTC),
        ``rows``, ``hash`` (16 hexadecimal digits, the same however the rows are spread over files)
        and ``precision`` of prices and sizes.

    Raises
    ------
    StudyError, DataError
        See `inputs`.

    """
    project = project or Project.find()
    found: dict[str, dict[str, Any]] = {}
    for each in _complete(study, project):
        rows, hashes = 0, []
        for file in each.files:
            if file.rows_hash is not None and clip(file.interval, each.wanted) == file.interval:
                rows += file.rows
                hashes.append(file.rows_hash)
            else:
                part = read_rows([file], each.wanted)
                rows += part.num_rows
                hashes.append(rows_hash(part))
        found[f"{each.spec.kind}/{each.spec.identity}"] = {
            "start": iso(each.wanted[0]),
            "end": iso(each.wanted[1]),
            "rows": rows,
            "hash": f"{add_hashes(*hashes):016x}",
            "precision": list(each.files[0].precisions),
        }
    return found


def _complete(study: Study, project: Project) -> list[DatasetPlan]:
    """Return the plan of each dataset, or raise because one is not whole."""
    planned = plan(study, project, connect=False).datasets
    issues, broken = [], []
    for (item, _), each in zip(items(study, project), planned, strict=True):
        if not each.missing:
            continue
        known = Dataset(project, each.spec.kind, each.spec.identity).files()
        named = [file for file in known if file.broken]
        broken += [f"{project.relative(file.path)} {file.broken}" for file in named]
        spans = ", ".join(map(shown, each.missing))
        message = f"not in the catalog: {spans}. Get it: workbench data fetch STUDY"
        issues.append(item.issue(message))
    if broken:
        message = "\n".join(broken) + "\nFetch it again: workbench data fetch STUDY"
        raise DataError(message)
    if issues:
        raise StudyError(issues)
    return list(planned)


def read(
    spec: DataSpec,
    project: Project | None = None,
    start: int | None = None,
    end: int | None = None,
) -> pa.Table:
    """Read what the catalog has of one dataset, as numbers for charts and statistics.

    Parameters
    ----------
    spec
        An entry of a study's ``data``.
    project
        Default: the project of the working folder.
    start, end
        First and last nanosecond (UNIX, UTC), both inside; default: those of `spec`.

    Returns
    -------
    pyarrow.Table
        ``ts`` (timestamp[ns, UTC]; of bars the close), then float64 columns: open, high, low,
        close, volume; or bid_price, ask_price, bid_size, ask_size; or price, size, and the texts
        aggressor_side and trade_id. Of order book deltas price and size, the texts action and
        side, and order_id, flags, sequence as they are; of depths the best bid_price, bid_size,
        ask_price and ask_size (NaN on an empty side). ``.to_pandas()`` makes it a DataFrame.

    Raises
    ------
    DataError
        If the catalog has nothing of it, or a file cannot be read.

    """
    import pyarrow as pa

    project = project or Project.find()
    start = spec.start_ns if start is None else start
    end = spec.end_ns if end is None else end
    wanted: Interval = (BEGINNING if start is None else start, END if end is None else end)
    good = Dataset(project, spec.kind, spec.identity).good()
    files = [file for file in good if clip(file.interval, wanted)]
    if not files:
        raise DataError(f"the catalog has no {spec.kind} of {spec.identity} in {shown(wanted)}")
    rows = read_rows(files, wanted)
    prices, sizes = files[0].precisions
    columns: dict[str, Any] = {"ts": rows.column("ts_init")}
    for names, precision in ((PRICES[spec.kind], prices), (SIZES[spec.kind], sizes)):
        columns |= {name: to_float(rows.column(name), precision) for name in names}
    if spec.kind == "trades":
        columns["aggressor_side"] = rows.column("aggressor_side").cast(pa.string())
        columns["trade_id"] = rows.column("trade_id")
    elif spec.kind == "order_book_deltas":
        columns |= {name: rows.column(name).cast(pa.string()) for name in ("action", "side")}
        columns |= {name: rows.column(name) for name in ("order_id", "flags", "sequence")}
    elif spec.kind == "order_book_depths":
        columns |= best_levels(rows, prices, sizes)
    return pa.table(columns)


def list_(project: Project | None = None) -> dict[str, Any]:
    """Return what the catalog holds.

    Returns
    -------
    dict
        ``instruments``: id, type, currency and precisions of each. ``datasets``: kind, identity,
        instrument, provider, ``start``, ``end`` (of the rows, ISO 8601 in UTC), rows, files,
        bytes, ``gaps`` (how many) and ``largest_gaps``. ``broken``: path and reason of each file
        that cannot be used.

    """
    from workbench.engine import catalog as engine_catalog

    project = project or Project.find()
    broken = [
        {"path": project.relative(path), "reason": reason}
        for path, reason in engine_catalog.broken_instruments(project.catalog).items()
    ]
    listed = []
    for dataset in datasets(project):
        try:
            files = dataset.files()
            good = [file for file in files if not file.broken]
            if good:
                listed.append(_listed(dataset, good))
        except DataError as error:
            broken.append({"path": project.relative(dataset.folder), "reason": str(error)})
            continue
        broken += [
            {"path": project.relative(file.path), "reason": file.broken}
            for file in files
            if file.broken
        ]
    instruments = [
        {
            "id": name,
            "type": known.type,
            "currency": known.currency,
            "price_precision": known.price_precision,
            "size_precision": known.size_precision,
        }
        for name, known in sorted(engine_catalog.definitions(project.catalog).items())
    ]
    return {"instruments": instruments, "datasets": listed, "broken": broken}


def _listed(dataset: Dataset, files: list[CatalogFile]) -> dict[str, Any]:
    moments = times(read_rows(files, columns=["ts_init"])["ts_init"])
    gaps = find_gaps(dataset.kind, dataset.identity, moments)
    return {
        "kind": dataset.kind,
        "identity": dataset.identity,
        "provider": files[0].provider or None,
        "start": iso(int(moments[0])) if len(moments) else None,
        "end": iso(int(moments[-1])) if len(moments) else None,
        "rows": sum(file.rows for file in files),
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "gaps": gaps.count,
        "largest_gaps": [list(map(iso, span)) for span in gaps.largest],
    }
