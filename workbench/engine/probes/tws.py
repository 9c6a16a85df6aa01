"""Interactive Brokers: the socket of Trader Workstation or IB Gateway, on this machine or another.

There is no key: whoever reaches the socket acts for the account that is logged in there.
"""

from __future__ import annotations

import socket
import struct
import time
from urllib.parse import urlsplit

from workbench.engine.probes.answers import config_of
from workbench.engine.probes.base import Failed, Outcome, Probe, Request, duration

# The versions of the protocol whose messages are plain text, which is all that is needed here.
_VERSIONS = b"v100..176"
_START, _CURRENT_TIME = "71", "49"
_ERROR, _MANAGED_ACCOUNTS = "4", "15"
_MOST_BYTES = 1 << 20


class Tws(Probe):
    """The steps by way of the TWS protocol."""

    name = "TWS or IB Gateway"
    fields = ()

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        parts = urlsplit(self.base)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 4002
        self._socket: socket.socket | None = None
        self._said: dict[str, list[str]] = {}

    def address(self) -> str:
        """Return what the settings say: it is nobody's public address."""
        config = config_of(self.request)
        return f"tcp://{config.host}:{config.port}"

    def reachable(self) -> Outcome:
        """Connect and agree on a version."""
        started = time.perf_counter()
        connection = socket.create_connection((self._host, self._port), timeout=self.patience)
        self._socket = connection
        connection.sendall(b"API\0" + struct.pack(">I", len(_VERSIONS)) + _VERSIONS)
        try:
            version = int(self._message()[0])
        except (ValueError, IndexError, UnicodeDecodeError):
            raise Failed(f"{self.base} answers, but not as {self.name} does") from None
        seconds = time.perf_counter() - started
        detail = f"{self.base} answers in {duration(seconds)}, server version {version}"
        values = {"address": self.base, "latency_ms": round(seconds * 1000, 1)}
        return Outcome(True, detail, values | {"server_version": version})

    def clock(self) -> Outcome:
        """Start the session, which tells the accounts too, and ask for the time."""
        config = config_of(self.request)
        self._send(_START, "2", str(config.client_id), "")
        before, started = time.time(), time.perf_counter()
        self._send(_CURRENT_TIME, "1")
        while _CURRENT_TIME not in self._said:
            self._read()
        seconds = time.perf_counter() - started
        told = float(self._said[_CURRENT_TIME][2]) + 0.5  # whole seconds, cut off
        return self.offset(before + seconds / 2 - told, seconds / 2 + 0.5)

    def authenticated(self) -> Outcome:
        """Say whether an account is logged in."""
        accounts = [name for name in self._said.get(_MANAGED_ACCOUNTS, [])[2:] if name]
        count = len(",".join(accounts).split(",")) if accounts else 0
        if not count:
            return Outcome(None, "it did not tell an account: log in to TWS or IB Gateway")
        return Outcome(True, f"logged in there, {count} account{'s' * (count > 1)}")

    def permissions(self) -> Outcome:
        """Say that they are set there."""
        return Outcome(None, "set in TWS or IB Gateway: Configuration, API, Settings")

    def instruments(self) -> Outcome:
        """Say that there is no list."""
        return Outcome(None, "it has no list: instruments are asked for one by one")

    def _send(self, *fields: str) -> None:
        body = "".join(f"{field}\0" for field in fields).encode()
        assert self._socket is not None
        self._socket.sendall(struct.pack(">I", len(body)) + body)

    def _read(self) -> None:
        """Read a message and keep it by its kind; an error that ends the session is raised."""
        fields = self._message()
        self._said[fields[0]] = fields
        # 326: the client id is taken; 21xx and 10xxx are notices.
        if fields[0] == _ERROR and len(fields) > 4 and fields[3] in ("326", "501", "502", "503"):
            raise Failed(f"{self.name} refuses: {fields[3]} {fields[4]}")

    def _message(self) -> list[str]:
        size = struct.unpack(">I", self._bytes(4))[0]
        if size > _MOST_BYTES:
            raise Failed(f"{self.base} answers, but not as {self.name} does")
        return self._bytes(size).decode().split("\0")[:-1]

    def _bytes(self, count: int) -> bytes:
        found = b""
        assert self._socket is not None
        self._socket.settimeout(self.patience)
        while len(found) < count:
            piece = self._socket.recv(count - len(found))
            if not piece:
                raise Failed(f"{self.base} closes the connection: is this address trusted there?")
            found += piece
        return found
