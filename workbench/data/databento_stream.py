"""Downloading one request from Databento as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.core.errors import DataError
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.data.databento_client import Background, PassingError, disk_error, rest_after
from workbench.data.databento_parts import Parts
from workbench.data.databento_query import Query
from workbench.data.databento_remote import Remote
from workbench.data.dbn import dtype_of
from workbench.data.dbn_chunks import chunks_of
from workbench.data.dbn_rows import Target
from workbench.data.intervals import Interval
from workbench.data.provider import Chunk


class Stream:
    """The downloads of one dataset.

    Parameters
    ----------
    remote
        The dataset.
    parts
        Its downloads.
    target
        What the rows are to be.
    on_progress, should_stop
        See `workbench.core.progress`.

    """

    def __init__(
        self,
        remote: Remote,
        parts: Parts,
        target: Target,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        self._remote, self._parts, self._target = remote, parts, target
        self._on_progress, self._should_stop = on_progress, should_stop

    def fetch(self, query: Query, interval: Interval) -> Iterator[Chunk]:
        """Download the records of a query and yield its rows, which cover `interval`.

        What breaks off is asked for again from where it broke.

        Raises
        ------
        DataError
            If Databento did not deliver all of it.
        Cancelled
            If the user stopped; what has arrived stays in the scratch folder.

        """
        rest_of, start, had, failures = query, interval[0], 0, 0
        while rest_of.start < rest_of.end:
            path = self._parts.new(rest_of, (start, interval[1]))
            failure = self._download(rest_of, path)
            part = self._parts.part(path)
            if part and part.short:
                path.unlink()
                raise DataError(
                    f"Databento delivered {had + part.records} of {query.least} records of "
                    f"{self._target.identity}: none of the rest was kept. Fetch again, or ask "
                    "Databento's support"
                )
            if part is None or part.until == rest_of.start:
                path.unlink(missing_ok=True)
                failures += 1
                failure = failure or PassingError("did not answer with market data")
                rest_after(failure, failures, self._should_stop)
                continue
            failures = 0
            last = interval[1] if part.complete else part.until + self._target.step - 1
            if last >= start:
                yield from self.decode(part.path, (start, last))
                start = last + 1
            had += part.records
            rest_of = Query(part.until, query.end, max(query.least - had, 0))
        if start <= interval[1]:
            none = dtype_of(self._remote.schema)
            yield from chunks_of([], none, self._target, (start, interval[1]))
        self._parts.discard((query.start, query.end))

    def decode(self, path: Path, interval: Interval) -> Iterator[Chunk]:
        """Yield the rows of a download; the caller knows which of them are all there."""
        done = 0
        name = self._target.identity
        records = self._parts.records(path)
        for chunk in chunks_of(records, dtype_of(self._remote.schema), self._target, interval):
            done += chunk.rows.num_rows
            self._on_progress(Progress(name, done, 0, "rows"))
            yield chunk

    def _download(self, query: Query, path: Path) -> PassingError | None:
        """Write what Databento answers to a file; return what failed if that may pass."""
        get_range = self._remote.client.api.timeseries.get_range
        asked = self._remote.query | {"start": query.start, "end": query.end}

        def work() -> None:
            with self._remote.client.guarded():
                get_range(path=path, **asked).reader.close()

        def told() -> None:
            size = path.stat().st_size if path.exists() else 0
            text = f"{self._target.identity}: {size / 1e6:,.1f} MB downloaded"
            self._on_progress(Progress(text, 0, 0, "rows"))

        try:
            with self._remote.located():
                Background(work).result(self._should_stop, told)
        except PassingError as error:
            return error
        except OSError as error:
            raise disk_error(error) from None
        return None
