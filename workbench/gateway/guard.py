"""What every request passes first: Host, Origin, size, token, rate; and what is noted of it.

It stands before the endpoints and the dashboard alike, so that nothing is reached without a token
but the page that takes one and the sign of life.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.app.server import refused_page
from workbench.core.errors import WorkbenchError
from workbench.gateway.audit import Audit
from workbench.gateway.meters import Meters
from workbench.gateway.problems import Problem
from workbench.gateway.settings import Rate, Settings
from workbench.gateway.tokens import Refused, Token, Tokens

DASHBOARD = "/dashboard"
COOKIE = "workbench-gateway"
COMMAND = "workbench gateway serve"
_PUBLIC = ("/login", "/health")
_READING = ("GET", "HEAD", "OPTIONS")
_SUBPROTOCOL = "workbench.token."
_MOST_BUCKETS = 10_000
_LOOK_SECONDS = 2.0
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"SAMEORIGIN"),
]


class Guard:
    """The middleware.

    Parameters
    ----------
    app
        What is behind it.
    settings, tokens, audit, meters
        What it decides by, and where it notes what it saw.

    """

    def __init__(
        self, app: ASGIApp, settings: Settings, tokens: Tokens, audit: Audit, meters: Meters
    ) -> None:
        self._app, self._settings = app, settings
        self._tokens, self._audit, self._meters = tokens, audit, meters
        self._names = settings.names
        self._changes, self._orders = Buckets(settings.changes), Buckets(settings.orders)
        self._failures = Buckets(Rate(1, 20))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        state = scope.setdefault("state", {})
        state["request_id"] = uuid.uuid4().hex[:12]
        state["note"] = {}
        heard = _Answer(
            send,
            state["request_id"],
            api=not _of_dashboard(self._path(scope)),
            before=lambda status: self._note(scope, status),
        )
        try:
            self._check(scope)
        except Problem as problem:
            await self._refuse(scope, receive, heard, problem)
        else:
            if scope["type"] == "http":
                receive = _limited(receive, self._settings.max_body)
                await self._app(scope, receive, heard)
            elif _of_dashboard(self._path(scope)):
                token = scope["state"]["token"]
                tied = _Tied(receive, heard, lambda: self._good(token))
                await self._app(scope, tied.receive, tied.send)
            else:  # the events' socket looks after its token itself
                await self._app(scope, receive, heard)
        finally:
            if not heard.status:  # it ended without an answer
                self._note(scope, 0)
            self._count(scope, heard.status, time.perf_counter() - began)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._check_host(headers)
        _check_origin(headers, scope["scheme"])
        if scope["type"] == "http":
            length = headers.get("content-length", "0")
            if not length.isdecimal() or int(length[:20]) > self._settings.max_body:
                most = self._settings.max_body
                raise Problem(413, f"a body has at most {most:,} bytes", "too-large")
        path = self._path(scope)
        if path in _PUBLIC:
            return
        token = self._token(headers, scope)
        scope["state"]["token"] = token
        if _of_dashboard(path):
            if "admin" not in token.allowed:
                raise Problem(403, "the dashboard can do everything: it needs the scope admin")
        elif scope["type"] == "http" and scope["method"] not in _READING:
            buckets = self._orders if path.startswith("/orders") else self._changes
            if wait := buckets.take(token.id):
                seconds = {"Retry-After": str(max(1, round(wait)))}
                raise Problem(
                    429, f"too many calls: again in {wait:.1f} s", "rate", headers=seconds
                )

    def _check_host(self, headers: Headers) -> None:
        given = headers.getlist("host")
        name = _host_name(given[0]) if len(given) == 1 else None
        if name is None or name not in self._names:
            known = ", ".join(sorted(self._names))
            found = f"'{given[0][:100]}'" if given else "none"
            raise Problem(421, f"not the Host of this gateway: {found}. Allowed: {known}", "host")

    def _token(self, headers: Headers, scope: Scope) -> Token:
        text = _given(headers, scope)
        if text is None:
            raise _unauthorized("a token is needed: Authorization: Bearer TOKEN")
        try:
            return self._tokens.verify(text)
        except Refused as error:
            raise _unauthorized(str(error)) from None
        except (WorkbenchError, OSError) as error:
            raise Problem(500, f"no token can be looked up: {error}", "tokens") from None

    def _good(self, token: Token) -> bool:
        try:
            return self._tokens.good(token)
        except (WorkbenchError, OSError):
            return False  # as at the door: a store that cannot be read lets nobody in

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
        path = self._path(scope)
        response: Response = problem.response(path)
        if scope["type"] == "websocket":
            await _reject(scope, receive, send, response)
            return
        if problem.status in (401, 403) and _of_dashboard(path):
            page = refused_page(COMMAND, problem.detail)
            response = HTMLResponse(page, problem.status, problem.headers)
        if problem.status == 413:
            response.headers["Connection"] = "close"  # what follows is not read
        await response(scope, receive, send)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None)
        if route is None:
            route = DASHBOARD if _of_dashboard(self._path(scope)) else "other"
        self._meters.seen(scope.get("method", "WEBSOCKET"), route, status, seconds)

    def _note(self, scope: Scope, status: int) -> None:
        """Write to the audit log what changed something or was refused, before it is answered."""
        method = scope.get("method", "WEBSOCKET")[:20]
        token: Token | None = scope["state"].get("token")
        source = (scope.get("client") or ("", 0))[0]
        refused = status in (401, 403, 421, 429)
        if _of_dashboard(self._path(scope)) and not refused:
            return  # the dashboard's own requests: pages and their sockets
        if method in (*_READING, "WEBSOCKET") and not refused and not scope["state"]["note"]:
            return
        if refused and self._failures.take(token.id if token else source):
            return  # a flood of refusals must not fill the disk
        self._audit.write(
            f"{method} {scope['path'][:500]}",
            who=token.name if token else None,
            token=token.id if token else None,
            source=source,
            status=status,
            request=scope["state"]["request_id"],
            **scope["state"]["note"],
        )

    def _path(self, scope: Scope) -> str:
        path: str = scope["path"]
        root = scope.get("root_path") or ""
        return path[len(root) :] if root and path.startswith(f"{root}/") else path


class Buckets:
    """How much each one may still do: a bucket that fills steadily.

    Parameters
    ----------
    rate
        How fast it fills, and how much it holds.

    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take one; return 0, or the seconds to wait if there is none."""
        now = time.monotonic()
        level, then = self._levels.pop(name, (self._rate.burst, now))
        level = min(self._rate.burst, level + (now - then) * self._rate.per_second)
        wait = 0.0 if level >= 1 else (1 - level) / self._rate.per_second
        self._levels[name] = (level if wait else level - 1, now)
        if len(self._levels) > _MOST_BUCKETS:
            self._levels.popitem(last=False)
        return wait


class _Answer:
    """Passes an answer on, with our headers, and remembers its status."""

    def __init__(
        self, send: Send, request_id: str, *, api: bool, before: Callable[[int], None]
    ) -> None:
        self._send, self._id, self._api = send, request_id, api
        self._before: Callable[[int], None] | None = before
        self.status = 0

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            # Closed to other origins, also where a library would open it.
            own = [
                pair
                for pair in message.get("headers", ())
                if not pair[0].lower().startswith(b"access-control-")
            ]
            names = {name.lower() for name, _ in own}
            more = [pair for pair in _HEADERS if pair[0] not in names]
            if self._api and b"cache-control" not in names:
                more.append((b"cache-control", b"no-store"))
            message = {
                **message,
                "headers": [*own, *more, (b"x-request-id", self._id.encode())],
            }
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and not self.status:
            self.status = 403
        if self._before is not None:
            told, self._before = self._before, None
            told(self.status)
        await self._send(message)


class _Tied:
    """A WebSocket that ends with its token: nothing that comes after is heard, or answered."""

    def __init__(self, receive: Receive, send: Send, good: Callable[[], bool]) -> None:
        self._receive, self._send, self._good = receive, send, good
        self._ended = False

    async def receive(self) -> Message:
        """Return the next message; a disconnection if the token is no longer good."""
        coming = asyncio.ensure_future(self._receive())
        try:
            while not coming.done() and self._good():
                await asyncio.wait([coming], timeout=_LOOK_SECONDS)
            if coming.done() and (
                coming.result()["type"] == "websocket.disconnect" or self._good()
            ):
                return coming.result()
        finally:
            coming.cancel()
        self._ended = True
        reason = "the token is no longer good"
        await self._send({"type": "websocket.close", "code": 1008, "reason": reason})
        return {"type": "websocket.disconnect", "code": 1008, "reason": reason}

    async def send(self, message: Message) -> None:
        """Pass a message on until the end."""
        if not self._ended:
            await self._send(message)


def _limited(receive: Receive, most: int) -> Receive:
    """Return a `receive` that ends with 413 where a body without a length goes on too long."""
    count = 0

    async def counted() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > most:
            raise HTTPException(413, f"a body has at most {most:,} bytes", {"Connection": "close"})
        return message

    return counted


def _given(headers: Headers, scope: Scope) -> str | None:
    """Return the token a request brings: in its header, its cookie, or as a subprotocol."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if scope["type"] == "websocket":  # a browser can set no header of a WebSocket
        for each in scope.get("subprotocols", ()):
            if each.startswith(_SUBPROTOCOL):
                found: str = each.removeprefix(_SUBPROTOCOL)
                return found
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie else None


def _check_origin(headers: Headers, scheme: str) -> None:
    """Refuse what a page of another origin makes a browser send.

    Over TLS a page that came without it is another one's. The reverse is not refused: TLS may end
    at a proxy we know nothing of, as Lab's may.
    """
    origin = headers.get("origin")
    clear = origin is not None and scheme in ("https", "wss") and not origin.startswith("https:")
    if clear or (origin is not None and _netloc(origin) != headers.get("host", "").lower()):
        raise Problem(403, f"the origin '{(origin or '')[:100]}' is foreign", "origin")
    site = headers.get("sec-fetch-site", "none")
    if site == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
        raise Problem(403, "another site's page asked for this", "origin")


def _netloc(origin: str) -> str | None:
    """Return host and port of an origin, None if it is none."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None


def _host_name(host: str) -> str | None:
    """Return the name in a Host header, without its port; None if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises if it is no number
    except ValueError:
        return None
    same = parts.netloc == host and "@" not in host
    return parts.hostname.lower() if same and parts.hostname else None


def _of_dashboard(path: str) -> bool:
    """Whether a path is the dashboard's: its page, its socket, the files of its libraries."""
    return path == DASHBOARD or path.startswith(
        (f"{DASHBOARD}/", "/static/", "/components/", "/favicon.ico")
    )


def _unauthorized(detail: str) -> Problem:
    return Problem(401, detail, "token", headers={"WWW-Authenticate": "Bearer"})


async def _reject(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Answer a WebSocket's handshake with an error."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        return
    start: dict[str, Any] = {"status": response.status_code, "headers": response.raw_headers}
    await send({"type": "websocket.http.response.start", **start})
    await send({"type": "websocket.http.response.body", "body": response.body})
