"""Serving a venue in this process."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import Cancelled
from workbench.core.project import Project
from workbench.study import Study
from workbench.venue.announce import announcing

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ready:
    """A venue that clients can connect to.

    Attributes
    ----------
    url, websocket
        Its addresses: ``http://127.0.0.1:PORT`` and ``ws://127.0.0.1:PORT``.
    port
        Of both.
    key, secret
        Practice credentials; they open nothing else.
    token
        For ``/practice``.
    instruments
        NautilusTrader's id at the venue of each instrument that is listed, by its own id.
    books
        The journal of orders and account; None where they are in memory.

    """

    url: str
    websocket: str
    port: int
    key: str
    secret: str
    token: str
    instruments: dict[str, str]
    books: str | None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point Bybit clients of the workbench here."""
        return {
            "WORKBENCH_URL_BYBIT": self.url,
            "WORKBENCH_URL_BYBIT_WS": self.websocket,
            "WORKBENCH_SECRET_BYBIT_PRACTICE_API_KEY": self.key,
            "WORKBENCH_SECRET_BYBIT_PRACTICE_API_SECRET": self.secret,
        }

    def __repr__(self) -> str:
        return f"Ready({self.url}, {', '.join(self.instruments.values())})"


def serve(
    *,
    study: Study | None = None,
    datasets: Sequence[str] = (),
    symbols: Sequence[str] = (),
    project: Project | None = None,
    speed: float | str = 1,
    paused: bool = False,
    start: str | None = None,
    port: int = 0,
    books: Path | str | None = None,
    balance: str | None = None,
    faults: Sequence[str | Mapping[str, Any]] = (),
    key: str | None = None,
    secret: str | None = None,
    token: str | None = None,
    on_ready: Callable[[Ready], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> None:
    """Serve a practice venue on 127.0.0.1 until the process is told to stop.

    Parameters
    ----------
    study
        Its data are listed, with the fees, leverage and dollars of its venues.
    datasets
        Datasets of the catalog that are listed: a bar type, or an instrument for its ticks, with
        ``KIND/`` before it where it has several.
    symbols
        Contracts without data, such as ``BTCUSDT:tick=0.1,step=0.001,price=30000``.
    project
        Whose catalog, and whose practice studies find it (`workbench.venue.announce`); default:
        that of the working folder where `study` or `datasets` are given, else none.
    speed
        Times real time, or ``max``: as fast as clients take it.
    paused
        Whether the replay waits to be told.
    start
        Date or time at which the replay begins; what lies before is history. Default: where the
        data begin, or where the books say it was.
    port
        0 takes a free one.
    books
        Journal of orders and account, kept over restarts; None keeps them in memory.
    balance
        Such as ``100000 USDT``; what new books are opened with.
    faults
        Those that strike from the start, see `workbench.venue.faults`.
    key, secret, token
        Practice credentials; made if they are not given.
    on_ready
        Called once clients can connect.
    stop
        Ends it, from another thread.

    Raises
    ------
    InputError
        If something asked for is wrong, unknown, or not in the catalog.
    DataError
        If files of the catalog or the books are broken.
    WorkbenchError
        If another venue keeps the books.
    Cancelled
        If it was ended by Ctrl-C.

    """
    from workbench.venue.listing import read_settings
    from workbench.venue.server import Server

    if project is None and (study is not None or datasets):
        project = Project.find()
    settings = read_settings(
        study=study, datasets=datasets, symbols=symbols, project=project, speed=speed,
        paused=paused, start=start, port=port, books=books, balance=balance, faults=faults,
        key=key, secret=secret, token=token,
    )  # fmt: skip
    contracts = settings.contracts.values()

    async def run() -> bool:
        ended, loop, interrupted = asyncio.Event(), asyncio.get_running_loop(), False

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            ended.set()

        if threading.current_thread() is threading.main_thread():
            loop.add_signal_handler(signal.SIGTERM, ended.set)
            loop.add_signal_handler(signal.SIGINT, interrupt)
        if stop is not None:
            threading.Thread(
                target=_wait, args=(stop, loop, ended), name="venue-stop", daemon=True
            ).start()
        server = Server(settings)

        def ready(at: int) -> None:
            found = Ready(
                f"http://{HOST}:{at}",
                f"ws://{HOST}:{at}",
                at,
                settings.keys.key,
                settings.keys.secret,
                server.token,
                {contract.instrument: contract.nautilus for contract in contracts},
                None if settings.books is None else str(settings.books),
            )
            announce(found.url, found.websocket, found.key, found.secret, found.instruments)
            on_ready(found)

        with announcing(project) as announce:
            await server.run(ended, ready)
        return interrupted

    if asyncio.run(run()):
        raise Cancelled("interrupted")


def _wait(stop: threading.Event, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    stop.wait()
    with suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(ended.set)
