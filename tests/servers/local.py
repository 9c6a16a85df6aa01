"""A server on this machine for a test: any aiohttp application, in a thread, counting requests."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import threading
import warnings
from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalServer:
    """An application on 127.0.0.1, served by a thread of the test's process.

    Parameters
    ----------
    app
        To serve; another thread's event loop runs it.
    tls
        Serve https with this context.

    Attributes
    ----------
    url
        Such as ``http://127.0.0.1:40123``, once entered.
    requests
        Every request that arrived: method and path with query.

    """

    def __init__(self, app: web.Application, tls: ssl.SSLContext | None = None) -> None:
        self.app, self.tls = app, tls
        self.url = ""
        self.requests: list[tuple[str, str]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="local-server", daemon=True)
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self.app.middlewares.insert(0, self._note)

    def count(self, path: str = "") -> int:
        """Return how many requests came for paths that contain `path`."""
        return sum(path in each for _, each in self.requests)

    @web.middleware
    async def _note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        return await handler(request)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(10) or not self.url:
            raise RuntimeError("the local server did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        # A connection cut in mid-sentence leaves its socket to the collector, and databento's
        # client the file of a broken stream: they must not fail the test that comes next.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._run())

    async def _run(self) -> None:
        # A handler ends with its client, so that one that hangs keeps nobody waiting.
        runner = web.AppRunner(self.app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http{'s' if self.tls else ''}://{host}:{port}"
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()
