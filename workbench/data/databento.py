"""The provider ``databento``: history of Databento, or files downloaded from there.

Databento sells market data by use: a plan asks it for the price first, and a fetch asks for
nothing that is in the catalog or lies, half downloaded, in the project's scratch folder.

Databento sorts and cuts its records by an index time: the time it received them, or the open of a
bar. The engine's time of a row is the same, but the close of a bar, one step later.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.core.errors import Cancelled, Issue
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.core.project import Project
from workbench.data import databento_schema, intervals
from workbench.data.catalog import Dataset
from workbench.data.databento_query import Query
from workbench.data.databento_schema import schema_of, step_of, symbol_of
from workbench.data.dbn_rows import Target
from workbench.data.intervals import Interval, clip
from workbench.data.provider import Chunk, Item, Provider, Request
from workbench.engine.catalog import definitions
from workbench.engine.instruments import Definition, Description
from workbench.study.datasets import DatabentoData

if TYPE_CHECKING:
    from workbench.data.databento_batch import Orders
    from workbench.data.databento_parts import Parts
    from workbench.data.databento_remote import Remote
    from workbench.engine.databento import Listing


class DatabentoProvider(Provider):
    """Databento, and its files on this machine."""

    name: ClassVar[str] = "databento"
    parallel: ClassVar[int] = 4

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._remotes: dict[str, Remote] = {}
        self._known: dict[str, Definition] = {}
        self._lock = threading.RLock()
        self._ordering = threading.Lock()

    def local(self, item: Item) -> bool:  # noqa: D102
        return _spec(item).path is not None

    def check(self, item: Item) -> list[Issue]:  # noqa: D102
        issues = databento_schema.check(item)
        if issues or not self.local(item):
            return issues
        from workbench.data import databento_files as files

        return files.check(item, self.project)

    def instrument(self, item: Item) -> Definition:  # noqa: D102
        spec = _spec(item)
        if spec.definition:
            return spec.definition
        key = spec.model_dump_json()
        with self._lock:
            if key not in self._known:
                known = definitions(self.project.catalog).get(spec.instrument)
                # One the catalog has is not asked, nor paid, for again.
                if not isinstance(known, Description) or not self._stands(item):
                    known = self._described(item)
                self._known[key] = known
            return self._known[key]

    def available(self, item: Item) -> Interval | None:  # noqa: D102
        if not self.local(item):
            return self._remote(item).available()
        from workbench.data import databento_files as files

        first, last = files.examine(item, self.project).interval
        step = step_of(_spec(item))
        return first + step, last + step

    def source(self, item: Item) -> str:  # noqa: D102
        content: dict[str, Any] = {"settings": self._settings(item)}
        if self.local(item):
            from workbench.data import databento_files as files

            local = files.examine(item, self.project)
            content["files"] = files.source(local, self.project)
        return json.dumps(content, sort_keys=True)

    def difference(self, item: Item, stored: str) -> str | None:  # noqa: D102
        then: dict[str, Any] = json.loads(stored)
        if self.local(item) != ("files" in then):
            here, there = "were downloaded by the workbench", "came from files on this machine"
            return there if "files" in then else here
        settings = self._settings(item)
        changed = [key for key, now in settings.items() if then["settings"].get(key) != now]
        if changed:
            was = ", ".join(f"{key} {then['settings'].get(key)}" for key in changed)
            return f"were imported with other settings ({was})"
        if not self.local(item):
            return None
        from workbench.data import databento_files as files

        return files.difference(files.examine(item, self.project), self.project, then["files"])

    def plan(self, item: Item, missing: Sequence[Interval]) -> Sequence[Request]:  # noqa: D102
        if not missing:
            return []
        if self.local(item):
            return self._plan_files(item, missing)
        from workbench.data.databento_parts import usable
        from workbench.data.databento_prices import Prices

        spec, remote = _spec(item), self._remote(item)
        left = self._parts(item).found()
        requests: list[Request] = []
        for span in missing:
            used = usable(left, span, remote.step)
            left = [part for part in left if all(part is not each for each, _ in used)]
            requests += [Request(rows, part.records, 0, payload=part.path) for part, rows in used]
            gaps = intervals.missing(span, [rows for _, rows in used])
            price = self._order if spec.delivery == "batch" else self._streams
            requests += [each for gap in gaps for each in price(item, gap)]
        known = definitions(self.project.catalog).get(spec.instrument)
        if not isinstance(known, Description) and not spec.definition:
            cost = requests[0].cost + Prices(remote).definition()
            requests[0] = replace(requests[0], cost=cost)
        notes = remote.notes()
        said = [text for span in missing for text in notes.of(span)]
        requests[0] = replace(requests[0], notes=tuple(dict.fromkeys(said)))
        return sorted(requests, key=lambda request: request.interval)

    def fetch(  # noqa: D102
        self, item: Item, request: Request, on_progress: OnProgress, should_stop: ShouldStop
    ) -> Iterator[Chunk]:
        if should_stop():
            raise Cancelled
        target = self._target(item)
        fetched = (
            self._fetch_files(item, request, target)
            if self.local(item)
            else self._fetch_remote(item, request, target, on_progress, should_stop)
        )
        done = 0
        for chunk in fetched:
            done += chunk.rows.num_rows
            on_progress(Progress(target.identity, done, request.rows or 0, "rows"))
            yield chunk
            if should_stop():
                raise Cancelled

    def _plan_files(self, item: Item, missing: Sequence[Interval]) -> list[Request]:
        from workbench.data import databento_files as files

        step = step_of(_spec(item))
        local = files.examine(item, self.project)
        return [
            Request(
                span,
                bytes=sum(
                    file.stat["size"]
                    for file in local.files
                    if clip(file.span, (span[0] - step, span[1] - step))
                ),
            )
            for span in missing
        ]

    def _fetch_files(self, item: Item, request: Request, target: Target) -> Iterator[Chunk]:
        from workbench.data import databento_files as files
        from workbench.data.dbn_chunks import chunks_of

        local = files.examine(item, self.project)
        start, end = request.interval
        span = (start - target.step, end - target.step)
        records = files.records_of(local.files, self.project, span)
        yield from chunks_of(records, local.files[0].header.dtype, target, request.interval)

    def _fetch_remote(
        self,
        item: Item,
        request: Request,
        target: Target,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> Iterator[Chunk]:
        from workbench.data.databento_stream import Stream

        remote, parts = self._remote(item), self._parts(item)
        stream = Stream(remote, parts, target, on_progress, should_stop)
        if isinstance(request.payload, Path):
            chunks = stream.decode(request.payload, request.interval)
        elif isinstance(request.payload, Ordered):
            chunks = self._deliver(item, request, target, on_progress, should_stop)
        else:
            chunks = stream.fetch(request.payload, request.interval)
        notes = remote.notes(should_stop)
        try:
            for chunk in chunks:
                yield replace(chunk, warnings=(*chunk.warnings, *notes.of(chunk.interval)))
        finally:
            parts.release()
        if isinstance(request.payload, Path):
            request.payload.unlink(missing_ok=True)
        if parts.leftovers():
            parts.sweep(self._stored(target), remote.step)

    def _streams(self, item: Item, gap: Interval) -> list[Request]:
        from workbench.data.databento_prices import Prices

        return Prices(self._remote(item)).streams(gap)

    def _order(self, item: Item, gap: Interval) -> list[Request]:
        """Plan an order for files, or the delivery of one that was placed before."""
        from workbench.data.databento_prices import Prices

        request = Prices(self._remote(item)).order(gap)
        if request.payload.start >= request.payload.end:
            return [request]
        order = self._orders(item).known(request.payload)
        cost = Decimal(0) if order else request.cost
        return [replace(request, cost=cost, payload=Ordered(request.payload))]

    def _deliver(
        self,
        item: Item,
        request: Request,
        target: Target,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> Iterator[Chunk]:
        from workbench.data.databento_batch import Delivery
        from workbench.data.dbn import dtype_of
        from workbench.data.dbn_chunks import chunks_of

        remote, orders = self._remote(item), self._orders(item)
        ordered: Ordered = request.payload
        delivery = Delivery(remote, orders, on_progress, should_stop)
        with self._ordering:  # two requests may be parts of one order
            order = orders.known(ordered.query)
            order = order or orders.place(ordered.query, request.interval, should_stop)
            paths, count = delivery.files(order)
        records = delivery.records(paths, count)
        yield from chunks_of(records, dtype_of(remote.schema), target, request.interval)
        # Another request may be part of the same order: its files go when all of it is stored.
        orders.sweep(self._stored(target))

    def _stored(self, target: Target) -> list[Interval]:
        files = Dataset(self.project, target.kind, target.identity).good()
        return [file.interval for file in files]

    def _remote(self, item: Item) -> Remote:
        from workbench.data.databento_remote import Remote

        key = _spec(item).model_dump_json()
        with self._lock:
            if key not in self._remotes:
                self._remotes[key] = Remote(item)
            return self._remotes[key]

    def _parts(self, item: Item) -> Parts:
        from workbench.data.databento_parts import Parts

        return Parts(self.scratch, self._remote(item))

    def _orders(self, item: Item) -> Orders:
        from workbench.data.databento_batch import Orders

        return Orders(self._remote(item), self._parts(item).folder)

    def _target(self, item: Item) -> Target:
        spec, definition = _spec(item), self.instrument(item)
        return Target(
            spec.kind,
            spec.identity,
            spec.instrument,
            definition.price_precision,
            definition.size_precision,
            step_of(spec),
        )

    def _settings(self, item: Item) -> dict[str, Any]:
        """Return what of the study decides which rows come, and how they are read."""
        spec = _spec(item)
        dataset, schema, precision = spec.dataset, schema_of(spec), None
        if spec.definition:
            precision = [spec.definition.price_precision, spec.definition.size_precision]
        if self.local(item):
            from workbench.data import databento_files as files

            header = files.examine(item, self.project).files[0].header
            dataset, schema = header.dataset, header.schema or schema
        return {
            "dataset": dataset,
            "schema": schema,
            "symbol": symbol_of(spec),
            "symbology": spec.symbology,
            "precision": precision,
        }

    def _stands(self, item: Item) -> bool:
        """Whether the catalog's description of an instrument is what the source says still."""
        if not self.local(item):
            return True
        files = Dataset(self.project, item.spec.kind, item.spec.identity).good()
        return bool(files) and all(
            file.provider == self.name and self.difference(item, file.source) is None
            for file in files
        )

    def _described(self, item: Item) -> Description:
        spec = _spec(item)
        listed = self._listing(item)
        if spec.venue not in listed.venues:
            symbol = spec.instrument.rpartition(".")[0]
            names = " or ".join(f"{symbol}.{venue}" for venue in listed.venues)
            message = f"Databento lists {listed.symbol} on {listed.venues[0]}: call it {names}"
            raise item.error(message, "instrument")
        return listed.named(spec.instrument)

    def _listing(self, item: Item) -> Listing:
        if not self.local(item):
            return self._remote(item).listing()
        from workbench.data import databento_files as files
        from workbench.engine.databento import listing

        symbol = symbol_of(_spec(item))
        content = files.definition(files.examine(item, self.project), symbol)
        if content is None:
            message = (
                f"the definitions beside the data have no '{symbol}': describe the instrument "
                "with 'definition'"
            )
            raise item.error(message, "definition")
        return listing(content)


@dataclass(frozen=True, slots=True)
class Ordered:
    """What a request for files asks for."""

    query: Query


def _spec(item: Item) -> DatabentoData:
    assert isinstance(item.spec, DatabentoData)
    return item.spec
