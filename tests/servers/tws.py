"""The socket of Trader Workstation, as far as a connection check goes."""

from __future__ import annotations

import socketserver
import struct
import threading
import time
from typing import Self


class TwsServer:
    """A gateway on 127.0.0.1 with accounts logged in.

    Parameters
    ----------
    accounts
        Those it tells.
    ahead
        Seconds its clock is ahead of this machine's.
    greeting
        What it answers to a greeting in place of the protocol's own answer.
    error
        Code and text it answers to the start of a session.

    """

    def __init__(
        self,
        accounts: str = "DU1,DU2",
        ahead: float = 0.0,
        greeting: bytes | None = None,
        error: tuple[str, str] | None = None,
    ) -> None:
        self.accounts, self.ahead, self.greeting, self.error = accounts, ahead, greeting, error
        self.client_ids: list[str] = []
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer.talk(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"tcp://127.0.0.1:{self.port}"

    def talk(self, connection) -> None:
        def receive(count: int) -> bytes:
            found = b""
            while len(found) < count and (piece := connection.recv(count - len(found))):
                found += piece
            return found

        def send(*fields: str) -> None:
            body = "".join(f"{field}\0" for field in fields).encode()
            connection.sendall(struct.pack(">I", len(body)) + body)

        assert receive(4) == b"API\0"
        versions = receive(struct.unpack(">I", receive(4))[0])
        lowest, highest = versions.removeprefix(b"v").split(b"..")
        assert int(lowest) <= 176 <= int(highest)
        if self.greeting is not None:
            connection.sendall(self.greeting)
            return
        send("176", "20261122 21:00:00 EST")
        while size := receive(4):
            fields = receive(struct.unpack(">I", size)[0]).decode().split("\0")
            if fields[0] == "71":
                self.client_ids.append(fields[2])
                if self.error:
                    send("4", "2", "-1", *self.error)
                    return
                send("15", "1", self.accounts)
                send("9", "1", "1")
                send("4", "2", "-1", "2104", "Market data farm connection is OK")
            if fields[0] == "49":
                send("49", "1", str(int(time.time() + self.ahead)))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
