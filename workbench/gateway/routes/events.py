"""``/events``: what happens in the nodes, as it happens, over a WebSocket or as SSE."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Query, Request, WebSocket
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from workbench.gateway.gate import Gate, needs
from workbench.gateway.guard import Buckets
from workbench.gateway.listeners import Listener, Since, position
from workbench.gateway.problems import Problem
from workbench.gateway.settings import Rate
from workbench.gateway.tokens import Token

SinceText = Annotated[
    str,
    Query(
        max_length=10_000,
        description='now; a number (0: everything); or numbers by node: {"ema-cross": 17}',
    ),
]
Names = Annotated[list[str] | None, Query(alias="node", max_length=100, description="Of nodes")]
Types = Annotated[
    list[str] | None, Query(alias="type", max_length=100, description="order, order.filled, ...")
]
_TALK = Rate(5, 20)
_POLICY = 1008  # why a WebSocket is closed


class Places:
    """How many listen, altogether and with each token.

    Parameters
    ----------
    gate
        Whose settings count.

    """

    def __init__(self, gate: Gate) -> None:
        self._settings = gate.settings
        self._taken: Counter[str] = Counter()

    def take(self, token: Token) -> None:
        """Take a place, or answer 429."""
        most, each = self._settings.max_clients, self._settings.max_clients_each
        if self._taken.total() >= most or self._taken[token.id] >= each:
            message = f"too many listen: at most {most}, {each} with one token"
            raise Problem(429, message, "listeners", headers={"Retry-After": "5"})
        self._taken[token.id] += 1

    def leave(self, token: Token) -> None:
        """Give the place back."""
        self._taken[token.id] -= 1
        if self._taken[token.id] <= 0:
            del self._taken[token.id]


def routes(gate: Gate) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter()
    places = Places(gate)

    @router.websocket("/events")
    async def events_socket(socket: WebSocket) -> None:
        """Tell events as they come: each is one message, ``{"missed": ...}`` what was not told."""
        token: Token = socket.state.token
        query = socket.query_params
        try:
            _listening(token)
            since = parsed_since(query.get("since", "now"))
            places.take(token)
        except Problem as problem:
            await socket.send_denial_response(problem.response(socket.url.path))
            return
        listener = Listener(
            since,
            query.getlist("node") or None,
            query.getlist("type") or None,
            gate.settings.queue,
        )
        try:
            offered = socket.scope.get("subprotocols") or []
            chosen = "workbench.events" if "workbench.events" in offered else None
            await gate.hub.join(listener)
            await socket.accept(subprotocol=chosen)
            await _tell(gate, socket, listener, token)
        finally:
            gate.hub.leave(listener)
            places.leave(token)

    @router.get(
        "/events",
        tags=["events"],
        dependencies=needs("read"),
        response_class=EventSourceResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"}
        },
    )
    async def events_stream(
        request: Request,
        since: SinceText = "now",
        only: Names = None,
        types: Types = None,
        follow: Annotated[bool, Query(description="Go on with what comes")] = True,
        last_event_id: Annotated[str | None, Header(max_length=10_000)] = None,
    ) -> Response:
        """Tell events as server-sent events; a WebSocket at the same address tells the same.

        The id of each is the place in all journals: an EventSource that lost its connection goes on
        there by itself.
        """
        token: Token = request.state.token
        listener = Listener(parsed_since(last_event_id or since), only, types, gate.settings.queue)
        places.take(token)
        await gate.hub.join(listener)

        async def stream() -> AsyncIterator[ServerSentEvent]:
            place: dict[str, Any] = {}
            try:
                told = gate.hub.listen(
                    listener, follow=follow, good=lambda: gate.tokens.good(token)
                )
                async for some in told:
                    for event, text in some:
                        place = position(listener, event, place)
                        kind = None if event else "missed"
                        yield ServerSentEvent(text, event=kind, id=json.dumps(place))
            finally:
                places.leave(token)

        return EventSourceResponse(stream(), ping=15, headers={"Cache-Control": "no-store"})

    return router


async def _tell(gate: Gate, socket: WebSocket, listener: Listener, token: Token) -> None:
    """Send events until the client leaves, says too much, or its token ends."""
    end: tuple[int, str] | None = None
    async with anyio.create_task_group() as tasks:

        async def hear() -> None:
            # Nothing is asked of a client; who floods us all the same is shown out.
            nonlocal end
            talk = Buckets(_TALK)
            try:
                while True:
                    message = await socket.receive()
                    if message["type"] == "websocket.disconnect":
                        break
                    if talk.take(""):
                        end = (_POLICY, "too many messages: none are expected here")
                        break
            except (WebSocketDisconnect, RuntimeError):
                pass
            tasks.cancel_scope.cancel()

        async def tell() -> None:
            nonlocal end
            try:
                async for some in gate.hub.listen(listener, good=lambda: gate.tokens.good(token)):
                    for _, text in some:
                        await socket.send_text(text)
                end = (_POLICY, "the token is no longer good")
            except (WebSocketDisconnect, RuntimeError):
                pass  # it has left
            tasks.cancel_scope.cancel()

        tasks.start_soon(hear)
        tasks.start_soon(tell)
    if end is not None:
        try:
            await socket.close(*end)
        except (WebSocketDisconnect, RuntimeError):
            return


def _listening(token: Token) -> None:
    if "read" not in token.allowed:
        raise Problem(403, "listening needs the scope read", "scope")


def parsed_since(text: str) -> Since:
    """Return where to begin.

    Raises
    ------
    Problem
        422 if it says nothing known.

    """
    if text == "now":
        return "now"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if _number(value):
        number: int = value
        return number
    if isinstance(value, dict) and all(_number(each) for each in value.values()):
        return value
    message = "since is 'now', a number, or numbers by node such as {\"ema-cross\": 17}"
    raise Problem(
        422, message, "invalid",
        errors=[{"message": message, "path": "query: since", "file": None, "line": None}],
    )  # fmt: skip


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
