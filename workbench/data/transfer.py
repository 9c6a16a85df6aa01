"""Carrying out the requests of a fetch: one after the other, or several at once.

What arrives is stored chunk by chunk. The first request that fails, and a user who stops, end the
others at their next step; what they had stored stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING

from workbench.core.errors import Cancelled
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.data.catalog import Dataset
from workbench.data.planner import Plan
from workbench.data.provider import Item, Provider, Request

if TYPE_CHECKING:
    from workbench.data.fetcher import FetchResult


class Transfer:
    """The requests of one fetch, its result and its progress.

    Parameters
    ----------
    result
        Filled as chunks and requests are done.
    planned
        What is expected in all, for the progress.
    on_progress, should_stop
        See `workbench.core.progress`.

    """

    def __init__(
        self,
        result: FetchResult,
        planned: Plan,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        self._result = result
        self._total = planned.rows
        self._alone = sum(len(dataset.requests) for dataset in planned.datasets) == 1
        self._on_progress, self._should_stop = on_progress, should_stop
        self._lock = threading.Lock()
        self._tickets: dict[str, threading.Semaphore] = {}
        self._failed = threading.Event()

    def stopped(self) -> bool:
        """Say whether the user stopped the fetch, or another request has failed."""
        return self._failed.is_set() or self._should_stop()

    def warn(self, warnings: Iterable[str]) -> None:
        """Add warnings to the result, each once."""
        with self._lock:
            known = self._result.warnings
            known += [text for text in warnings if text not in known]

    def together(self, jobs: Sequence[Callable[[], None]], at_once: int) -> None:
        """Do several things in threads; raise what the first one that failed raised."""
        if len(jobs) < 2:
            for job in jobs:
                job()
            return
        with ThreadPoolExecutor(min(at_once, len(jobs)), thread_name_prefix="fetch") as pool:
            futures = [pool.submit(self._guarded, job) for job in jobs]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:  # also when Ctrl-C comes while waiting
                if not all(future.done() for future in futures):
                    self._failed.set()
                for future in futures:
                    future.cancel()
        errors = [e for f in futures if not f.cancelled() and (e := f.exception())]
        # Those that were told to stop because of the first say only that they were.
        for error in sorted(errors, key=lambda error: isinstance(error, Cancelled)):
            raise error

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException:
            self._failed.set()
            raise

    def dataset(
        self,
        dataset: Dataset,
        item: Item,
        provider: Provider,
        source: str,
        requests: Sequence[Request],
        *,
        replace: bool,
    ) -> None:
        """Carry out the requests of one dataset, whose lock the caller holds."""
        old = threading.Event()  # set while files wait to give way to the first chunk
        if replace:
            old.set()
        tickets = self._tickets_of(provider)

        def carry_out(request: Request) -> None:
            with tickets:
                self._request(dataset, item, provider, source, request, old)

        jobs = [partial(carry_out, request) for request in requests]
        if provider.parallel > 1:
            self.together(jobs, provider.parallel)
        else:
            for job in jobs:
                job()

    def _tickets_of(self, provider: Provider) -> threading.Semaphore:
        with self._lock:
            new = threading.Semaphore(provider.parallel)
            return self._tickets.setdefault(provider.name, new)

    def _request(
        self,
        dataset: Dataset,
        item: Item,
        provider: Provider,
        source: str,
        request: Request,
        old: threading.Event,
    ) -> None:
        if self.stopped():
            raise Cancelled
        with self._lock:
            self._result.status = "done"
            self._result.requests += request.calls
            if request.cost:
                paid = self._result.cost.get(request.currency, 0)
                self._result.cost[request.currency] = request.cost + paid
        for chunk in provider.fetch(item, request, self._passed_on(provider), self.stopped):
            with self._lock:
                dataset.write(
                    chunk.rows,
                    chunk.interval,
                    provider=provider.name,
                    source=source,
                    replace=old.is_set() or provider.whole,
                )
                old.clear()
                self._result.rows += chunk.rows.num_rows
                self._result.bytes += chunk.bytes
            self.warn(chunk.warnings)
            if provider.parallel > 1:
                self._report(item)
            if self.stopped():
                raise Cancelled

    def _passed_on(self, provider: Provider) -> OnProgress:
        """Return what a request reports to: of requests side by side only the sum is of use."""
        alone = provider.parallel == 1 or self._alone
        return self._on_progress if alone else lambda _: None

    def _report(self, item: Item) -> None:
        with self._lock:
            result = self._result
            money = ", ".join(f"{cost:f} {currency}" for currency, cost in result.cost.items())
            detail = ", ".join(filter(None, [f"{result.bytes / 1e6:,.1f} MB", money]))
            self._on_progress(
                Progress(item.spec.identity, result.rows, self._total or 0, "rows", detail)
            )
