"""Faults of a server, the same for every local server of the tests.

A server is an aiohttp application whose handlers know nothing of faults; `Faults.middleware` stands
before them. Faults come by script or by chance::

    faults = Faults()
    faults.next(Fault.TOO_MANY, times=2, path="/v5/market/kline")   # the next two answers there
    faults = Faults(seed=7, rate=0.3)                               # three in ten, repeatable

    with LocalServer(web.Application(middlewares=[faults.middleware])) as server: ...

Handlers return whole `web.Response` objects: a fault of the body is made of the good answer.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Fault(StrEnum):
    """One way an answer goes wrong."""

    TOO_MANY = "429 with Retry-After"
    BANNED = "418 with Retry-After"
    INTERNAL = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    CUT = "connection closed within the body"
    RESET = "connection reset within the body"
    REFUSED = "connection closed before any answer"
    CUT_UNDECLARED = "body cut short, without a Content-Length that tells"
    TOO_LONG = "Content-Length of more than the body"
    TOO_SHORT = "Content-Length of less than the body"
    SLOW = "body in small pieces with pauses"
    HANG = "no answer at all"
    HANG_WITHIN = "half a body, then nothing"
    EMPTY = "an empty body"
    GARBAGE = "a body of random bytes"
    PORTAL = "200 and a login page of somebody else's"
    DUPLICATE = "the answer before, once more"


_PATIENCE = {Fault.HANG, Fault.HANG_WITHIN, Fault.BANNED}
QUICK: tuple[Fault, ...] = tuple(fault for fault in Fault if fault not in _PATIENCE)
"""Faults that cost a client no time limit; the others are for tests of their own."""

_STATUS = {
    Fault.TOO_MANY: 429,
    Fault.BANNED: 418,
    Fault.INTERNAL: 500,
    Fault.BAD_GATEWAY: 502,
    Fault.UNAVAILABLE: 503,
}
_PORTAL = "<!DOCTYPE html><html><body><h1>Welcome to Hotel WiFi</h1>Please log in.</body></html>"


@dataclass(slots=True)
class _Scripted:
    fault: Fault
    times: int
    path: str
    after: int


class Faults:
    """Which answers go wrong, and how.

    Parameters
    ----------
    seed, rate
        Of the faults by chance: the share of requests that meet one. The same seed gives the same
        faults for the same order of requests.
    kinds
        Those that may come by chance.
    retry_after
        Seconds a 429 asks to wait, an HTTP-date if it is text; None to leave the header out.
    path
        Faults by chance strike only paths that contain it.

    Attributes
    ----------
    made
        How often each fault was made.

    """

    def __init__(
        self,
        seed: int = 0,
        rate: float = 0.0,
        *,
        kinds: Sequence[Fault] = QUICK,
        retry_after: int | str | None = 0,
        path: str = "",
    ) -> None:
        self.rate, self.kinds, self.path = rate, tuple(kinds), path
        self.retry_after = retry_after
        self.made: Counter[Fault] = Counter()
        self._random = random.Random(seed)
        self._script: deque[_Scripted] = deque()
        self._before: dict[str, web.Response] = {}
        self._lock = threading.Lock()

    def next(self, fault: Fault, times: int = 1, path: str = "", after: int = 0) -> None:
        """Let the next `times` answers to paths that contain `path` go wrong, `after` good ones."""
        with self._lock:
            self._script.append(_Scripted(fault, times, path, after))

    def clear(self) -> None:
        """Let every answer be good from now on."""
        with self._lock:
            self._script.clear()
            self.rate = 0.0

    def draw(self, path: str) -> Fault | None:
        """Return the fault the next answer to `path` meets; None for a good answer."""
        with self._lock:
            for each in self._script:
                if each.path not in path:
                    continue
                if each.after:
                    each.after -= 1
                    continue
                each.times -= 1
                if not each.times:
                    self._script.remove(each)
                return each.fault
            if self.path in path and self._random.random() < self.rate:
                return self._random.choice(self.kinds)
        return None

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer with a fault, or as the handler does."""
        fault = self.draw(request.path)
        before = self._before.get(_page(request))
        if fault is None or (fault == Fault.DUPLICATE and before is None):
            answer = await handler(request)
            if isinstance(answer, web.Response):
                self._before[_page(request)] = answer
            return answer
        self.made[fault] += 1
        if fault in _STATUS:
            return self._status(fault)
        if fault == Fault.HANG:
            await asyncio.Event().wait()  # until the client goes or the server stops
        if fault == Fault.EMPTY:
            return web.Response(body=b"", content_type="application/json")
        if fault == Fault.PORTAL:
            return web.Response(text=_PORTAL, content_type="text/html")
        if fault == Fault.DUPLICATE and before is not None:
            return web.Response(
                body=before.body, status=before.status, content_type=before.content_type
            )
        good = await handler(request)
        assert isinstance(good, web.Response), "a fault of the body needs a whole answer"
        return await self._broken(request, fault, good)

    def _status(self, fault: Fault) -> web.Response:
        status = _STATUS[fault]
        waits = fault in (Fault.TOO_MANY, Fault.BANNED) and self.retry_after is not None
        headers = {"Retry-After": str(self.retry_after)} if waits else {}
        return web.Response(status=status, text=HTTPStatus(status).phrase, headers=headers)

    async def _broken(
        self, request: web.Request, fault: Fault, good: web.Response
    ) -> web.StreamResponse:
        body = bytes(good.body) if isinstance(good.body, bytes | bytearray) else b""
        if fault == Fault.GARBAGE:
            noise = random.Random(len(body)).randbytes(max(len(body), 16))
            return web.Response(body=noise, content_type=good.content_type)
        half = len(body) // 2
        announced: int | None = len(body)
        if fault == Fault.TOO_LONG:
            announced = len(body) + 100
        elif fault == Fault.TOO_SHORT:
            announced = half
        elif fault == Fault.CUT_UNDECLARED:
            announced = None
        head = [f"HTTP/1.1 {good.status} {HTTPStatus(good.status).phrase}", "Connection: close"]
        passed = {"content-length", "connection", "transfer-encoding"}
        head += [f"{name}: {v}" for name, v in good.headers.items() if name.lower() not in passed]
        head += [] if announced is None else [f"Content-Length: {announced}"]
        transport = request.transport
        if transport is None:
            return web.Response()
        if fault != Fault.REFUSED:
            transport.write(("\r\n".join(head) + "\r\n\r\n").encode())
        if fault == Fault.SLOW:
            for at in range(0, len(body), max(len(body) // 10, 1)):
                transport.write(body[at : at + max(len(body) // 10, 1)])
                await asyncio.sleep(0.02)
        elif fault in (Fault.TOO_LONG, Fault.TOO_SHORT):
            transport.write(body)
        elif fault != Fault.REFUSED:
            transport.write(body[:half])
        if fault == Fault.HANG_WITHIN:
            await asyncio.Event().wait()
        if fault == Fault.RESET:
            await asyncio.sleep(0.02)  # what was written arrives first
            now = struct.pack("ii", 1, 0)  # no lingering: RST instead of FIN
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            transport.abort()
        else:
            transport.close()
        return web.Response()  # goes nowhere: the connection is closed


def _page(request: web.Request) -> str:
    """Name what a request asks for, without the page: paging goes by numbers."""
    names = sorted((k, v) for k, v in request.query.items() if not v.isdigit())
    return f"{request.method} {request.path} {names}"
