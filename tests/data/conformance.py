"""What every provider has to do; see `workbench.data.provider`.

A test of a new provider calls `conforms` with a study of one of its datasets.
"""

import itertools
from collections.abc import Callable

import pytest

from workbench.core.errors import Cancelled
from workbench.core.progress import Progress, ignore, never
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.intervals import BEGINNING, END, Interval
from workbench.data.provider import Chunk, Item, Provider
from workbench.data.rows import PRICES, SIZES, add_hashes, rows_hash, times
from workbench.study import Study


def conforms(provider: Provider, study: Study, invalid: Study) -> None:
    """Check the contract.

    Parameters
    ----------
    provider
        Under test.
    study
        Its first dataset is one the provider can deliver.
    invalid
        Its first dataset is one the provider cannot deliver.

    """
    item = Item(study, 0)
    assert provider.check(item) == []
    issues = provider.check(Item(invalid, 0))
    assert issues
    for issue in issues:
        assert issue.message
        assert issue.path.startswith("data.0")
    before = _everything(provider.project)
    instrument = provider.instrument(item)
    available = provider.available(item)
    span = (BEGINNING, END) if available is None else available
    assert span[0] <= span[1]
    assert provider.source(item) == provider.source(item)
    assert provider.difference(item, provider.source(item)) is None
    assert list(provider.plan(item, [])) == []
    requests = provider.plan(item, [span])
    assert requests
    assert _everything(provider.project) == before, "planning changed files"

    seen: list[Progress] = []
    chunks = _fetch(provider, item, span, seen.append)
    assert seen, "no progress was reported"
    assert sum(chunk.rows.num_rows for chunk in chunks) > 0
    known = [request.rows for request in requests]
    if None not in known:
        assert sum(rows or 0 for rows in known) == sum(chunk.rows.num_rows for chunk in chunks)
    for chunk, following in itertools.pairwise(chunks):
        assert chunk.interval[1] < following.interval[0], "chunks overlap or are not in order"
    for chunk in chunks:
        _check_chunk(chunk, item, instrument.price_precision, instrument.size_precision)
    if not provider.whole:
        _halves_make_the_whole(provider, item, span, chunks)

    with pytest.raises(Cancelled):
        list(provider.fetch(item, requests[0], ignore, lambda: True))
    assert _everything(provider.project) == before, "fetching is not the provider's to store"


def _everything(project: Project) -> dict[str, int]:
    files = (path for path in project.root.rglob("*") if path.is_file())
    return {str(path): path.stat().st_mtime_ns for path in files}


def _fetch(
    provider: Provider, item: Item, span: Interval, on_progress: Callable[[Progress], None]
) -> list[Chunk]:
    return [
        chunk
        for request in provider.plan(item, [span])
        for chunk in provider.fetch(item, request, on_progress, never)
    ]


def _check_chunk(chunk: Chunk, item: Item, price_precision: int, size_precision: int) -> None:
    spec = item.spec
    names = [*PRICES[spec.kind], *SIZES[spec.kind]]
    names += ["aggressor_side", "trade_id"] if spec.kind == "trades" else []
    assert chunk.rows.column_names == [*names, "ts_event", "ts_init"]
    metadata = {key.decode(): value.decode() for key, value in chunk.rows.schema.metadata.items()}
    assert metadata["instrument_id"] == spec.instrument
    assert metadata.get("bar_type", spec.identity) == spec.identity
    assert int(metadata["price_precision"]) == price_precision
    assert int(metadata["size_precision"]) == size_precision
    ts = times(chunk.rows.column("ts_init"))
    assert (ts[1:] >= ts[:-1]).all()
    if len(ts):
        assert chunk.interval[0] <= ts[0]
        assert ts[-1] <= chunk.interval[1]


def _halves_make_the_whole(
    provider: Provider, item: Item, span: Interval, chunks: list[Chunk]
) -> None:
    middle = (span[0] + span[1]) // 2
    parts = [
        chunk
        for half in ((span[0], middle), (middle + 1, span[1]))
        for chunk in _fetch(provider, item, half, ignore)
    ]
    hashes = [[rows_hash(chunk.rows) for chunk in each] for each in (chunks, parts)]
    assert add_hashes(*hashes[0]) == add_hashes(*hashes[1])
    ends = [chunk.interval for chunk in parts]
    assert Dataset(provider.project, item.spec.kind, item.spec.identity).files() == []
    assert (ends[0][0], ends[-1][1]) == span
