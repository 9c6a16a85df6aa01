"""The three WebSockets of Bybit v5: public data, private news, and orders."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from workbench.core.errors import choices
from workbench.venue import auth
from workbench.venue.auth import Keys
from workbench.venue.commands import COMMANDS, Answer, Commands
from workbench.venue.faults import Faults
from workbench.venue.model import Refusal
from workbench.venue.sockets import Connection, Document, Hub, Kind

PRIVATE_TOPICS = (
    *(
        f"{name}{category}"
        for name in ("order", "execution", "execution.fast", "position")
        for category in ("", ".linear", ".spot", ".inverse", ".option")
    ),
    "wallet",
    "greeks",
)

_PUBLIC = re.compile(r"(orderbook\.(?:1|50|200|500|1000)|publicTrade|tickers|kline\.(\w+))\.(\w+)")
_DEAF = 60.0  # seconds without a word after which Bybit, and we, drop a client
_LONGEST = 1 << 20


class Channels:
    """Serves the sockets.

    Parameters
    ----------
    hub
        Where connections are kept.
    commands
        What the trade socket may ask for.
    keys
        Those of the account.
    faults
        Those that bear on sockets, and the venue's clock.
    intervals
        Returns the lengths of a contract's bars, None where there is no such contract.
    welcome
        Called with each public topic that was subscribed to: it is published once.

    """

    def __init__(
        self,
        hub: Hub,
        commands: Commands,
        keys: Keys,
        faults: Faults,
        intervals: Callable[[str], list[str] | None],
        welcome: Callable[[str], None],
    ) -> None:
        self._hub, self._commands, self._keys, self._faults = hub, commands, keys, faults
        self._intervals, self._welcome = intervals, welcome

    async def public(self, request: web.Request) -> web.WebSocketResponse:
        """Serve ``/v5/public/{category}``."""
        return await self._serve("public", request, self._on_public)

    async def private(self, request: web.Request) -> web.WebSocketResponse:
        """Serve ``/v5/private``."""
        return await self._serve("private", request, self._on_private)

    async def trade(self, request: web.Request) -> web.WebSocketResponse:
        """Serve ``/v5/trade``."""
        return await self._serve("trade", request, self._on_trade)

    async def _serve(
        self,
        kind: Kind,
        request: web.Request,
        answer: Callable[[Connection, Mapping[str, Any]], Document | None],
    ) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=_LONGEST, compress=False)
        await socket.prepare(request)
        connection = self._hub.join(kind, socket, request.transport)
        writer = asyncio.create_task(connection.write())
        try:
            while True:
                message = await socket.receive(timeout=_DEAF)
                if message.type != WSMsgType.TEXT:
                    break
                try:
                    asked = json.loads(message.data)
                except ValueError:
                    asked = None
                if not isinstance(asked, dict):
                    connection.send(self._failed(connection, {}, "error:Invalid JSON"))
                elif (told := answer(connection, asked)) is not None:
                    connection.send(told)
        except TimeoutError:
            pass
        finally:
            self._hub.leave(connection)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            await socket.close()
        return socket

    def _on_public(self, connection: Connection, asked: Mapping[str, Any]) -> Document | None:
        told = self._common(connection, asked, self._public_fault)
        if asked.get("op") == "subscribe" and told["success"]:
            # The answer goes first, then a snapshot of what was asked for.
            connection.send(told)
            for topic in asked["args"]:
                self._welcome(topic)
            return None
        return told

    def _on_private(self, connection: Connection, asked: Mapping[str, Any]) -> Document:
        op = asked.get("op")
        if op == "auth":
            try:
                auth.check_socket(asked.get("args"), self._keys, self._faults.now())
            except Refusal as refusal:
                return self._failed(connection, asked, refusal.message) | {"retCode": refusal.code}
            connection.authenticated = True
            return self._done(connection, asked)
        if op == "ping":
            return {
                "req_id": asked.get("req_id", ""),
                "op": "pong",
                "args": [str(self._faults.now())],
                "conn_id": connection.id,
            }
        if not connection.authenticated:
            return self._failed(connection, asked, "Request not authorized")
        return self._common(connection, asked, _private_fault)

    def _common(
        self,
        connection: Connection,
        asked: Mapping[str, Any],
        fault: Callable[[str], str | None],
    ) -> Document:
        """Answer what public and private sockets have in common."""
        op, topics = asked.get("op"), asked.get("args")
        if op == "ping":
            return self._done(connection, asked) | {"ret_msg": "pong"}
        if op not in ("subscribe", "unsubscribe"):
            return self._failed(connection, asked, f"error:Invalid op:{str(op)[:40]}")
        if not isinstance(topics, list) or not all(isinstance(each, str) for each in topics):
            return self._failed(connection, asked, "error:args must be a list of topics")
        if op == "unsubscribe":
            self._hub.unsubscribe(connection, topics)
            return self._done(connection, asked)
        for topic in topics:
            if topic in connection.topics:
                return self._failed(connection, asked, f"error:already subscribed,topic:{topic}")
            if wrong := fault(topic):
                return self._failed(connection, asked, f"error:{wrong},topic:{topic[:60]}")
        self._hub.subscribe(connection, topics)
        return self._done(connection, asked)

    def _public_fault(self, topic: str) -> str | None:
        found = _PUBLIC.fullmatch(topic)
        if found is None:
            return "handler not found"
        _, interval, symbol = found.groups()
        lengths = self._intervals(symbol)
        if lengths is None:
            return "invalid symbol"
        if interval and interval not in lengths:
            # Bybit would have it: to subscribe and then hear nothing is worse than to be told.
            held = ", ".join(lengths) or "none"
            return f"the practice venue has no bars of this length (it has: {held})"
        return None

    def _on_trade(self, connection: Connection, asked: Mapping[str, Any]) -> Document | None:
        op = asked.get("op")
        told: Document = {"retCode": 0, "retMsg": "OK", "op": op, "connId": connection.id}
        if "reqId" in asked:
            told = {"reqId": asked["reqId"]} | told
        if op == "ping":
            return told | {"op": "pong", "data": [str(self._faults.now())]}
        if op == "auth":
            try:
                auth.check_socket(asked.get("args"), self._keys, self._faults.now())
            except Refusal as refusal:
                return told | {"retCode": refusal.code, "retMsg": refusal.message}
            repeated, connection.authenticated = connection.authenticated, True
            return told | ({"retCode": 20001, "retMsg": "Repeat auth"} if repeated else {})
        answer = self._command(connection, asked)
        told |= answer.head() | {"data": answer.result, "header": self._header()}
        if late := self._faults.slow("trade"):
            asyncio.get_running_loop().call_later(late, connection.send, told)
            return None
        return told

    def _command(self, connection: Connection, asked: Mapping[str, Any]) -> Answer:
        try:
            self._check(connection, asked)
        except Refusal as refusal:
            return Answer({}, refusal.code, refusal.message)
        return self._commands.run(str(asked["op"]), asked["args"][0])

    def _check(self, connection: Connection, asked: Mapping[str, Any]) -> None:
        """Refuse a command whose form is not that of the trade socket."""
        op, args, header = asked.get("op"), asked.get("args"), asked.get("header")
        if not connection.authenticated:
            raise Refusal(10007, "User authentication failed.")
        if op not in COMMANDS:
            raise Refusal(10404, f"op type is not found. {choices(str(op), COMMANDS)}")
        if not isinstance(header, dict) or "X-BAPI-TIMESTAMP" not in header:
            raise Refusal(10001, "params error: header X-BAPI-TIMESTAMP is missing")
        stamp, window = str(header["X-BAPI-TIMESTAMP"]), str(header.get("X-BAPI-RECV-WINDOW", ""))
        auth.check_time(stamp, window, self._faults.now())
        if self._faults.take("rate_limit", "trade", str(op)):
            raise Refusal(10006, "Too many visits. Exceeded the API Rate Limit.")
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise Refusal(10001, "params error: args must hold one request")

    def _header(self) -> Document:
        now = str(self._faults.now())
        return {
            "X-Bapi-Limit": "1000",
            "X-Bapi-Limit-Status": "999",
            "X-Bapi-Limit-Reset-Timestamp": now,
            "Traceid": secrets.token_hex(16),
            "Timenow": now,
        }

    def _done(self, connection: Connection, asked: Mapping[str, Any]) -> Document:
        return {
            "success": True,
            "ret_msg": "",
            "conn_id": connection.id,
            "req_id": asked.get("req_id", ""),
            "op": asked.get("op"),
        }

    def _failed(self, connection: Connection, asked: Mapping[str, Any], why: str) -> Document:
        return self._done(connection, asked) | {"success": False, "ret_msg": why}


def _private_fault(topic: str) -> str | None:
    return None if topic in PRIVATE_TOPICS else "handler not found"
