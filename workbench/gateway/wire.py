"""What uvicorn leaves open on the wire: requests that do not end, handshakes it cannot read.

Who begins a request and does not end it would keep his connection, and a place, for ever; so would
who reads no answer, or holds a WebSocket and reads nothing. Both classes are
handed to uvicorn by `serve`.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import MAX_LINE_LENGTH, MAX_NUM_HEADERS, Request

from workbench.gateway.problems import Problem

_FAREWELL_SECONDS = 1.0
_MOST_HEARD = 4_096  # bytes of a message of who listens


class Http(H11Protocol):
    """Gives a client as long for the whole of a request as for the next one: `timeout_keep_alive`.

    However slowly it comes: a byte a second does not prolong it. As long may an answer wait
    until more of it is read.
    """

    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._rest()
        self.resume_writing()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Go on with what came meanwhile: it may be a part of the next request."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._watch()

    def pause_writing(self) -> None:
        """Wait for a reader, but not for ever."""
        super().pause_writing()
        if self._unread is None:
            self._look(math.inf)

    def resume_writing(self) -> None:
        """Go on: it is read."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _look(self, before: float) -> None:
        """Drop a reader who has taken nothing since `before` bytes were left."""
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._unread = self.loop.call_later(self.timeout_keep_alive, self._look, left)
        elif self.transport.get_protocol() is self:
            self.transport.abort()

    def _watch(self) -> None:
        ours = not self.transport.is_closing() and self.transport.get_protocol() is self
        if not (ours and self.conn.their_state in (h11.IDLE, h11.SEND_BODY)):
            self._rest()
        elif self._late is None:
            self._late = self.loop.call_later(self.timeout_keep_alive, self._give_up)

    def _rest(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if self.conn.their_state is h11.SEND_BODY:
            answered = self.cycle.response_started
        else:  # who has sent nothing at all is not answered
            answered = not self.conn.trailing_data[0]
        if not answered:
            detail = f"the request has not come whole within {self.timeout_keep_alive:g} s"
            self.transport.write(_written(Problem(408, detail, "late")))
        self.transport.close()


class Socket(WebSocketsSansIOProtocol):
    """Answers handshakes that cannot be read, and lets go of who no longer answers.

    websockets takes no header longer than its line; uvicorn would say nothing to who sends one, and
    wait.
    """

    def data_received(self, data: bytes) -> None:
        """Take in a handshake, or frames."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.close_sent = self.handshake_complete = True
            detail = (
                f"a line of a WebSocket's handshake has at most {MAX_LINE_LENGTH:,} bytes, "
                f"and there are at most {MAX_NUM_HEADERS} headers"
            )
            self.transport.write(_written(Problem(431, detail, "headers")))
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """Take in a handshake: nothing is expected of who only listens."""
        super().handle_connect(event)
        if event.path.partition("?")[0].rstrip("/").endswith("/events"):
            self.conn.max_message_size = _MOST_HEARD

    def keepalive_timeout(self) -> None:
        """Close the connection; what was never read would keep it open."""
        super().keepalive_timeout()
        self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)


def _written(problem: Problem) -> bytes:
    """Return an answer as it goes over the wire."""
    response: Any = problem.response(None)
    reason = problem.document(None)["title"]
    lines = [f"HTTP/1.1 {problem.status} {reason}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    lines += [b"connection: close", b"", response.body]
    return b"\r\n".join(lines)
