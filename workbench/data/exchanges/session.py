"""Asking services over HTTP: paced, repeated where that helps, cancelled at once.

A session runs its requests on an event loop in a thread of its own, because the thread that wants
the answers has to watch for a cancel, and may itself be a notebook's, whose loop is taken.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import email.utils
import random
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from workbench.core.errors import Cancelled, DataError, InputError
from workbench.core.progress import ShouldStop, never
from workbench.data.exchanges.service import Refused, Service, TooMany, Trouble

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 5
"""How often a request is sent before its error counts."""

FIRST_PAUSE = 0.5
"""Seconds before the second attempt; each further pause is twice as long."""

TIME_LIMIT = 30.0
"""Seconds one attempt may take, from sending it to the last byte."""

LONGEST_WAIT = 600.0
"""Seconds a service may ask to be left alone; beyond that the fetch ends with the reason."""

_LONGEST_PAUSE = 30.0
_PATIENCE = 20  # answers in a row that ask to wait
_POLL = 0.1


@dataclass(frozen=True)
class Answer[T]:
    """What came.

    Attributes
    ----------
    content
        What was read out of the body.
    body
        As it came.
    moment
        The server's clock, UNIX nanoseconds; this machine's where the server does not tell.

    """

    content: T
    body: bytes
    moment: int


class Session:
    """Requests of one thread.

    Parameters
    ----------
    should_stop
        Asked ten times a second.
    report
        Called as often, from the thread that waits, with what is being waited for (empty if that is
        just an answer).

    Attributes
    ----------
    bytes
        How many have come, unpacked.

    """

    def __init__(
        self, should_stop: ShouldStop = never, report: Callable[[str], None] = lambda _: None
    ) -> None:
        import httpx

        self._should_stop, self._report = should_stop, report
        self.bytes = 0
        self._waiting = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._client = httpx.AsyncClient(
            headers={"User-Agent": "nt-workbench"},
            timeout=None,  # noqa: S113 - `_once` sets one limit for everything
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(0.5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(0.5)  # it ends later if it is still reading a large answer
        if not self._thread.is_alive():
            self._loop.close()

    async def _close(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work and wait for it.

        Raises
        ------
        Cancelled
            If `should_stop` said so; within a tenth of a second.
        DataError
            If a service did not deliver.

        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        while True:
            with contextlib.suppress(concurrent.futures.TimeoutError):
                return future.result(_POLL)
            if future.done():
                return future.result()
            if self._should_stop():
                future.cancel()
                raise Cancelled
            self._report(self._waiting)

    async def get[T](
        self,
        service: Service,
        path: str,
        params: Mapping[str, Any],
        read: Callable[[Any], T],
        *,
        weight: int = 1,
        seconds: float | None = None,
    ) -> Answer[T]:
        """Ask until there is a good answer.

        Parameters
        ----------
        service, path, params
            What to ask.
        read
            Reads the decoded answer; raises `Trouble`, or one of the errors of a wrong shape
            (`LookupError`, `TypeError`, `ValueError`, `ArithmeticError`), if it is no answer to
            what was asked.
        weight
            What it counts against the service's limit.
        seconds
            Another limit than `TIME_LIMIT`.

        Raises
        ------
        Refused
            If the service will not answer this.
        DataError
            If it did not answer well in `ATTEMPTS` attempts.

        """
        limit = seconds or TIME_LIMIT
        where = f"{service.name}: GET {service.url}{path}"
        failed = limited = 0
        while True:
            while pause := service.limit.book(weight):
                await self._pause(pause, f"{service.name} allows no more requests just now")
            try:
                return await self._once(service, path, params, read, limit)
            except TooMany as error:
                limited += 1
                wait = _back_off(limited) if error.seconds is None else error.seconds
                if wait > LONGEST_WAIT:
                    message = f"{where}: {error}: it asks to wait {wait:,.0f} s. Try again then"
                    raise DataError(message) from None
                if limited == _PATIENCE:
                    message = f"{where}: {error}, {limited} times in a row. Try again later"
                    raise DataError(message) from None
                await self._pause(wait, f"{service.name}: {error}")
            except Trouble as error:
                failed += 1
                if failed == ATTEMPTS:
                    raise DataError(f"{where}: {error} (tried {failed} times)") from None
                await self._pause(_back_off(failed), f"{service.name}: {error}; trying again")

    async def _once[T](
        self,
        service: Service,
        path: str,
        params: Mapping[str, Any],
        read: Callable[[Any], T],
        limit: float,
    ) -> Answer[T]:
        import httpx

        try:
            async with asyncio.timeout(limit):
                response = await self._client.get(service.url + path, params=dict(params))
        except TimeoutError:
            raise Trouble(f"no whole answer within {limit:g} s") from None
        except httpx.InvalidURL as error:
            raise InputError(f"{service.variable}: {error}") from None
        except httpx.RequestError as error:
            raise Trouble(_words(error)) from None
        self.bytes += len(response.content)
        _judge(response)
        if used := response.headers.get(service.used or "-"):
            service.limit.told(int(used) if used.isdigit() else 0)
        try:
            content = service.decode(response.status_code, response.headers, response.content)
            return Answer(read(content), response.content, _moment(response.headers))
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            reason = f"the answer has another shape than expected ({type(error).__name__}: {error})"
            raise Trouble(reason) from None

    async def _pause(self, seconds: float, reason: str) -> None:
        self._waiting = f"waiting {seconds:.0f} s: {reason}" if seconds >= 1 else ""
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting = ""


async def together[T](works: list[Awaitable[T]]) -> list[T]:
    """Do several things at once; what the first one raises ends the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _judge(response: httpx.Response) -> None:
    """Raise what the status alone says."""
    status = response.status_code
    told = f"{status} {response.reason_phrase}".strip()
    seconds = _retry_after(response.headers)
    if status in (418, 429):
        raise TooMany(told, seconds)
    if status >= 500:
        if seconds is not None:
            raise TooMany(told, seconds)
        raise Trouble(told)
    if 300 <= status < 400:
        to = response.headers.get("Location", "nowhere")
        raise Trouble(f"sent on to {to[:200]} (a login page of the network, or a proxy?)")
    if status in (403, 451):
        text = response.text[:200] if "json" in response.headers.get("Content-Type", "") else ""
        message = f"{told}: it does not serve this address (country, or too many requests) {text}"
        raise Refused(message.strip(), str(status))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read the header, seconds or a date; None where it is absent or neither."""
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    with contextlib.suppress(TypeError, ValueError):
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    return None


def _moment(headers: Mapping[str, str]) -> int:
    with contextlib.suppress(LookupError, TypeError, ValueError):
        return int(email.utils.parsedate_to_datetime(headers["Date"]).timestamp()) * 10**9
    return time.time_ns()


def _back_off(times: int) -> float:
    longest = min(FIRST_PAUSE * 2.0 ** (times - 1), _LONGEST_PAUSE)
    return longest * random.uniform(0.8, 1.0)  # noqa: S311 - so that several do not come at once


def _words(error: httpx.RequestError) -> str:
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
