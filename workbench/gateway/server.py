"""Serving the gateway: on the loopback interface unless told otherwise."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from workbench.core.errors import InputError
from workbench.core.project import Project
from workbench.gateway.lab import TOKEN_VARIABLE
from workbench.gateway.settings import LOOPBACK, Settings

PORT = 8765
_BACKLOG = 2_048
_MOST_CONNECTIONS = 2_000
_END_SECONDS = 5
_MOST_TYPED = 4 * 2**20  # bytes of one message of the dashboard: the text of a study


def serve(
    project: Project,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    settings: Settings | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    proxies: tuple[str, ...] = (),
    show: bool = False,
    on_ready: Callable[[str, str], None],
) -> None:
    """Serve a project's gateway until the process is told to stop.

    Nodes go on; jobs that were started over it are cancelled.

    Parameters
    ----------
    project
        Whose.
    host, port
        Where to listen; port 0 takes a free one. An address others can reach needs `certificate`
        or a proxy in front.
    settings
        See `Settings`.
    certificate, key
        PEM files, for TLS.
    proxies
        Addresses whose ``X-Forwarded-*`` headers count.
    show
        Open the dashboard in a browser.
    on_ready
        Called with the address, and with that of the dashboard, which holds a token that is good
        until the end. Not called inside JupyterLab, whose log that token has no business in.

    Raises
    ------
    InputError
        If the port is taken, or others could listen in.

    """
    import uvicorn

    from workbench.gateway.app import build
    from workbench.gateway.tokens import Tokens
    from workbench.gateway.wire import Http, Socket

    chosen = settings or Settings()
    _check_open(host, chosen, certificate, proxies)
    project.shut()
    tokens = Tokens(project)
    # Taken out of the environment: what this process starts does not get it.
    given = os.environ.pop(TOKEN_VARIABLE, None)
    _, text = tokens.passing("jupyterlab" if given else "owner", given)
    parent = os.getppid()
    listening = _listening(host, port)
    at = listening.getsockname()[1]
    if certificate:
        chosen = replace(chosen, secure=True)
    app = build(project, chosen, tokens=tokens)

    told: list[int] = []

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # Raised again after the loop has ended: inside it they would cut off what still ends.
            with super().capture_signals():
                try:
                    yield
                finally:
                    told.extend(self._captured_signals)
                    self._captured_signals.clear()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not (self.should_exit or given):
                name = f"[{host}]" if ":" in host else host
                scheme = "https" if certificate else "http"
                base = f"{scheme}://{name}:{at}"
                dashboard = f"{base}{chosen.root_path}/login?token={text}"
                on_ready(base, dashboard)
                if show:
                    webbrowser.open(dashboard)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            logging.getLogger("uvicorn.error").addFilter(_unexpected)
            await super().shutdown(sockets)

        async def on_tick(self, counter: int) -> bool:
            # Lab shut down from its menu, or killed, tells nobody.
            orphan = bool(given) and os.getppid() != parent
            return await super().on_tick(counter) or orphan

    # Its log of requests would show what an address holds: the audit log does not.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        http=Http,
        ws=Socket,
        ws_ping_interval=chosen.ping,
        ws_ping_timeout=2 * chosen.ping,
        ws_max_size=_MOST_TYPED,
        ws_per_message_deflate=False,
        root_path=chosen.root_path,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=chosen.patience,
        timeout_graceful_shutdown=_END_SECONDS,
        backlog=_BACKLOG,
    )
    try:
        Server(config).run(sockets=[listening])
    finally:
        listening.close()
    for number in told:
        signal.raise_signal(number)


def _unexpected(record: logging.LogRecord) -> bool:
    """Whether something logged at the end is more than a stream that was cut off by it."""
    kind = record.exc_info[0] if record.exc_info else None
    cut = record.getMessage().startswith(("ASGI callable returned without", "Cancel "))
    return not (cut or (kind is not None and issubclass(kind, asyncio.CancelledError)))


def _check_open(
    host: str, settings: Settings, certificate: Path | None, proxies: tuple[str, ...]
) -> None:
    """Refuse to show tokens to a network that can be listened in on."""
    if host in LOOPBACK:
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise InputError(f"--host is an address such as 127.0.0.1, found '{host}'") from None
    if not loopback and not (certificate or proxies):
        message = f"{host} can be reached by others, and tokens would pass in the clear"
        raise InputError(f"{message}: give --certificate and --key, or --proxy ADDRESS")
    if not loopback and not settings.hosts:
        raise InputError("who may ask from elsewhere asks for a name: say it with --name NAME")


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        message = f"port {port} of {host} cannot be used ({error.strerror})"
        raise InputError(f"{message}: name another with --port, or --port 0") from None
    found.set_inheritable(False)
    return found
