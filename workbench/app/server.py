"""Serving the dashboard: on the loopback interface only, and only to who has the token."""

from __future__ import annotations

import importlib.util
import secrets
import signal
import socket
import webbrowser
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.core.errors import DependencyError, InputError
from workbench.core.project import Project

if TYPE_CHECKING:
    from bokeh.server.auth_provider import AuthProvider

HOST = "127.0.0.1"
PORT = 5006


def serve(
    project: Project,
    *,
    port: int = PORT,
    show: bool = False,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the dashboard of a project until the process is told to stop.

    Runs that were started from it and have not ended by then are cancelled.

    Parameters
    ----------
    project
        Whose studies, runs and data.
    port
        On 127.0.0.1; 0 takes a free one.
    show
        Open the page in a browser.
    on_ready
        Called with the page's address, which holds the token, once it can be opened.

    Raises
    ------
    DependencyError
        If Panel is not installed.
    InputError
        If the port is taken.

    """
    if importlib.util.find_spec("panel") is None:
        raise DependencyError("Panel is not installed: pip install 'nt-workbench[lab]'")
    port = _free(port)

    import panel as pn
    from tornado.ioloop import IOLoop

    from workbench.app.dashboard import page
    from workbench.widgets import jobs

    token = secrets.token_urlsafe(24)
    loop = IOLoop.current()
    server = pn.io.server.get_server(
        {"/": lambda: page(project)},
        port=port,
        address=HOST,
        websocket_origin=[f"{HOST}:{port}", f"localhost:{port}"],
        title="NT Workbench",
        loop=loop,
        auth_provider=token_auth(token, f"workbench-{port}"),
        # The session's token, which the page holds, repeats the cookies it lists.
        include_cookies=["workbench-theme"],
    )

    before = signal.signal(signal.SIGTERM, lambda *_: loop.add_callback_from_signal(loop.stop))
    server.start()
    url = f"http://{HOST}:{port}/login?token={token}"
    loop.add_callback(on_ready, url)
    if show:
        loop.add_callback(webbrowser.open, url)
    try:
        loop.start()
    finally:
        signal.signal(signal.SIGTERM, before)
        jobs.cancel_all()
        server.stop(wait=False)


def _free(port: int) -> int:
    """Return the port to listen on, or say that it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = f"port {port} of {HOST} cannot be used ({error.strerror})"
            raise InputError(f"{message}: name another with --port, or --port 0") from None
        found: int = probe.getsockname()[1]
        return found


def token_auth(token: str, cookie: str) -> AuthProvider:
    """Return what lets in requests whose cookie holds `token`, and gives it to who brings it.

    Parameters
    ----------
    token
        What ``/login?token=`` must bring.
    cookie
        Name of the cookie; ports of one host share their cookies, so it should name the port.

    """
    from bokeh.server.auth_provider import AuthProvider
    from tornado.web import RequestHandler

    class Login(RequestHandler):
        """Takes the token from the address and puts it in a cookie no script can read."""

        def get(self) -> None:
            self.set_header("Cache-Control", "no-store")
            self.set_header("Referrer-Policy", "no-referrer")
            if _same(self.get_query_argument("token", ""), token):
                self.set_cookie(cookie, token, httponly=True, samesite="Strict")
                self.redirect("/")
                return
            self.set_status(403)
            self.finish(refused_page("workbench dashboard"))

    class TokenAuth(AuthProvider):
        """Knows one user: who has the token."""

        @property
        def get_user(self) -> Any:
            return lambda handler: (
                "owner" if _same(handler.get_cookie(cookie) or "", token) else None
            )

        @property
        def get_user_async(self) -> None:
            return None

        @property
        def login_url(self) -> str:
            return "/login"

        @property
        def get_login_url(self) -> None:
            return None

        @property
        def login_handler(self) -> Any:
            return Login

        @property
        def logout_url(self) -> None:
            return None

        @property
        def logout_handler(self) -> None:
            return None

    return TokenAuth()


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def refused_page(command: str, reason: str = "") -> str:
    """Return what a browser without a token is shown.

    Parameters
    ----------
    command
        Which prints the address with the token.
    reason
        What is wrong with what was given, as text.

    """
    told = f"<p>{escape(reason)}.</p>" if reason else ""
    return _REFUSED.format(command=escape(command), reason=told)


_REFUSED = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>NT Workbench</title>
<meta name="color-scheme" content="light dark">
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto; }}</style>
<h1>This dashboard asks for its token</h1>
{reason}<p>Open the address that <code>{command}</code> printed in its terminal: it ends in
<code>/login?token=…</code> and is good until that command ends.</p></html>
"""
