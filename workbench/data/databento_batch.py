"""Orders for files that Databento makes and keeps for download, for thirty days.

An order is paid for once, so what was ordered is written down before it is sent, and the order's
number when it is known. A fetch that was killed finds its order again, by its number or, if it
died in between, among the orders of the account.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workbench.core.errors import Cancelled, DataError
from workbench.core.files import make_folder, write_text
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.data.databento_client import (
    Background,
    PassingError,
    disk_error,
    rest,
    rest_after,
)
from workbench.data.databento_query import Query, to_ns
from workbench.data.databento_remote import Remote
from workbench.data.dbn import Reader, selected
from workbench.data.intervals import Interval, missing

POLLS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between looks at an order, the last of them for ever."""

_STATES = "queued,processing,done,expired"
_PIECE = 2**16
_TIMEOUT = (30.0, 60.0)
_HOUR = 3_600 * 10**9


@dataclass(frozen=True, slots=True)
class Order:
    """One order, as it is written down.

    Attributes
    ----------
    path
        The file it is written in.
    query
        What was ordered.
    wanted
        The rows it was ordered for.
    since
        When, in UNIX nanoseconds.
    number
        Databento's name for it; None if it was not heard of before the process died.

    """

    path: Path
    query: Query
    wanted: Interval
    since: int
    number: str | None

    @property
    def folder(self) -> Path:
        """Where its files are downloaded to."""
        return self.path.with_suffix("")


class Orders:
    """The orders of one dataset.

    Parameters
    ----------
    remote
        The dataset.
    folder
        Where its downloads lie.

    """

    def __init__(self, remote: Remote, folder: Path) -> None:
        self._remote, self._folder = remote, folder

    def known(self, query: Query) -> Order | None:
        """Return the order that has the records of a query, unless it has expired."""
        for order in self._all():
            if order.query.start <= query.start and query.end <= order.query.end:
                job = self.job(order)
                if job and job.get("state") != "expired":
                    return order
        return None

    def job(self, order: Order) -> dict[str, Any] | None:
        """Return what Databento has of an order, None if it never arrived there."""
        jobs = self._jobs(order)
        found = [job for job in jobs if order.number in (None, job.get("id"))]
        return found[0] if found else None

    def _jobs(self, order: Order) -> list[dict[str, Any]]:
        client = self._remote.client

        def once() -> Any:
            def work() -> Any:
                with client.guarded():
                    since = order.since - _HOUR
                    return client.api.batch.list_jobs(states=_STATES, since=since)

            found = Background(work).result()
            if not isinstance(found, list):
                raise PassingError("did not answer with a list of orders")
            return found

        jobs: list[dict[str, Any]] = client.repeated(once)
        return [job for job in jobs if order.number or self._same(job, order.query)]

    def _same(self, job: dict[str, Any], query: Query) -> bool:
        symbols = job.get("symbols", "")
        names = symbols.split(",") if isinstance(symbols, str) else symbols
        asked = self._remote.query
        return (
            all(job.get(key) == asked[key] for key in ("dataset", "schema", "stype_in"))
            and [name.upper() for name in names] == [self._remote.symbol.upper()]
            and (to_ns(job["start"]), to_ns(job["end"])) == (query.start, query.end)
        )

    def place(self, query: Query, wanted: Interval, should_stop: ShouldStop) -> Order:
        """Order the records of a query, for some rows; this costs what the plan said."""
        make_folder(self._folder)
        path = self._folder / f"order_{query.start}_{query.end}.json"
        order = Order(path, query, wanted, time.time_ns(), None)
        _write(order)
        client = self._remote.client
        options = {"split_duration": "none" if self._remote.step else "day"}
        asked = self._remote.query | {"start": query.start, "end": query.end} | options

        def work() -> Any:
            with client.guarded():
                return client.api.batch.submit_job(**asked)

        def once() -> str:
            try:
                job = Background(work).result(should_stop)
            except PassingError:
                # It may have arrived all the same: ordered twice, it would be paid twice.
                job = self.job(order)
                if job is None:
                    raise
            if not isinstance(job, dict) or not job.get("id"):
                raise PassingError("did not answer with the number of the order")
            return str(job["id"])

        try:
            with self._remote.located():
                number = client.repeated(once, should_stop)
        except DataError:
            if self.job(order) is None:
                path.unlink(missing_ok=True)
            raise
        order = replace(order, number=number)
        _write(order)
        return order

    def sweep(self, stored: Sequence[Interval]) -> None:
        """Remove the files of orders whose rows are all stored."""
        for order in self._all():
            if not missing(order.wanted, stored):
                self.forget(order)

    def _all(self) -> list[Order]:
        return [_read(path) for path in sorted(self._folder.glob("order_*.json"))]

    def forget(self, order: Order) -> None:
        """Remove an order's files."""
        shutil.rmtree(order.folder, ignore_errors=True)
        order.path.unlink(missing_ok=True)


class Delivery:
    """Waiting for an order and downloading its files.

    Parameters
    ----------
    remote, orders
        The dataset and its orders.
    on_progress, should_stop
        See `workbench.core.progress`.

    """

    def __init__(
        self, remote: Remote, orders: Orders, on_progress: OnProgress, should_stop: ShouldStop
    ) -> None:
        self._remote, self._orders = remote, orders
        self._on_progress, self._should_stop = on_progress, should_stop

    def files(self, order: Order) -> tuple[list[Path], int | None]:
        """Wait until an order is done; return its files in order of time, and its records.

        Raises
        ------
        DataError
            If the order has expired, or a file did not arrive whole.
        Cancelled
            If the user stopped; the order stays.

        """
        job = self._done(order)
        client = self._remote.client
        number = str(job["id"])
        listed = client.ask(
            "batch.list_files", lambda found: isinstance(found, list), self._should_stop,
            job_id=number,
        )  # fmt: skip
        wanted = [each for each in listed if str(each["filename"]).endswith(".dbn.zst")]
        if not wanted and job.get("record_count"):
            raise DataError(f"Databento's order {number} has no DBN files")
        make_folder(order.folder)
        total = sum(int(each["size"]) for each in wanted)
        before = 0
        paths = []
        for each in wanted:
            path = order.folder / Path(str(each["filename"])).name
            self._download(path, each, before, total)
            before += int(each["size"])
            paths.append(path)
        count = job.get("record_count")
        return sorted(paths, key=_start_of), None if count is None else int(count)

    def records(self, paths: Sequence[Path], least: int | None) -> Iterator[Any]:
        """Yield the records of an order's files.

        Raises
        ------
        DataError
            If there are fewer than `least`.

        """
        found = 0
        symbol = self._remote.symbol
        for path in paths:
            with Reader(path) as reader:
                mappings = reader.header.mappings.get(symbol) or reader.header.mappings.get(
                    symbol.upper()
                )
                for records in reader.records():
                    found += len(records)
                    yield selected(records, mappings) if mappings else records
        if least is not None and found < least:
            raise DataError(f"Databento's files hold {found} of {least} records: fetch again")

    def _done(self, order: Order) -> dict[str, Any]:
        """Wait until Databento has made an order's files."""
        for wait in _for_ever(POLLS):
            job = self._orders.job(order)
            state = str(job.get("state")) if job else "expired"
            if job and state == "done":
                return job
            if job is None or state == "expired":
                self._orders.forget(order)
                raise DataError(
                    f"Databento's order {order.number} has expired before its files were here. "
                    "Fetch again to order anew: data plan tells the price"
                )
            text = f"{self._remote.symbol}: order {order.number} is {state}"
            self._on_progress(Progress(text, float(job.get("progress") or 0), 100, "%"))
            rest(wait, self._should_stop)
        raise AssertionError

    def _download(self, path: Path, file: dict[str, Any], before: int, total: int) -> None:
        """Download one file, from where it broke off."""
        size, expected = int(file["size"]), str(file["hash"])
        url = str(file["urls"]["https"])
        failures, had = 0, -1
        while True:
            there = path.stat().st_size if path.exists() else 0
            if there == size:
                if _has_hash(path, expected):
                    return
                path.unlink()
                failure = PassingError(f"{path.name} arrived damaged")
            else:
                failure = self._attempt(path, url, size, before, total)
                there = path.stat().st_size if path.exists() else 0
                if there == size:
                    continue
            failures = failures + 1 if there <= had else 1
            had = there
            rest_after(failure, failures, self._should_stop)

    def _attempt(self, path: Path, url: str, size: int, before: int, total: int) -> PassingError:
        stop = threading.Event()

        def told() -> None:
            there = before + (path.stat().st_size if path.exists() else 0)
            text = f"{self._remote.symbol}: {there / 1e6:,.1f} of {total / 1e6:,.1f} MB downloaded"
            self._on_progress(Progress(text, there, total, "bytes"))

        try:
            Background(lambda: self._get(path, url, size, stop)).result(self._should_stop, told)
        except PassingError as error:
            return error
        except OSError as error:
            raise disk_error(error) from None
        except Cancelled:
            stop.set()
            raise
        return PassingError("it came short")

    def _get(self, path: Path, url: str, size: int, stop: threading.Event) -> None:
        """Append what is missing of a file.

        Databento's client has no time limit for this, and waits for it even as Python ends.
        """
        import requests

        client = self._remote.client
        there = path.stat().st_size if path.exists() else 0
        if there > size:
            path.unlink()
            there = 0
        headers = {"Range": f"bytes={there}-{size - 1}"} if there else {}
        with client.guarded():
            if not _ours(url, client.address):
                raise DataError(f"Databento names a strange address for its files: {url}")
            with requests.get(
                url, headers=headers, auth=client.authorization, stream=True, timeout=_TIMEOUT
            ) as answer:
                client.check(answer)
                mode = "ab" if answer.status_code == 206 else "wb"
                with path.open(mode) as file:
                    for piece in answer.iter_content(_PIECE):
                        if stop.is_set():
                            return
                        file.write(piece)


def _ours(url: str, address: str) -> bool:
    """Whether the key may be sent to an address: it is Databento's, or the one it was told."""
    found = urlsplit(url)
    host = found.hostname or ""
    known = host == urlsplit(address).hostname or host.endswith(".databento.com")
    return found.scheme == "https" and known


def _for_ever(pauses: Sequence[float]) -> Iterator[float]:
    yield from pauses
    while True:
        yield pauses[-1]


def _has_hash(path: Path, expected: str) -> bool:
    kind, _, digest = expected.partition(":")
    if kind != "sha256":
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest


def _start_of(path: Path) -> int:
    with Reader(path) as reader:
        return reader.header.start


def _read(path: Path) -> Order:
    content = json.loads(path.read_text())
    query = Query(content["start"], content["end"], 0)
    wanted = (content["first"], content["last"])
    return Order(path, query, wanted, content["since"], content["number"])


def _write(order: Order) -> None:
    content = {
        "start": order.query.start,
        "end": order.query.end,
        "first": order.wanted[0],
        "last": order.wanted[1],
        "since": order.since,
        "number": order.number,
    }
    write_text(order.path, json.dumps(content))
