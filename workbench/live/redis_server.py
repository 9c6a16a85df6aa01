"""The memory of live nodes: a Redis server, somebody's by URL or one of the project's own.

``WORKBENCH_REDIS_URL`` names a server (``redis://user:password@host:port``, 6.2 or later). Without
it the project's own is started where ``redis-server`` is installed: on this machine only, with a
password, every write on the disk before it is answered. It outlives the session, as nodes do.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from workbench.core.errors import DependencyError, InputError, Issue, WorkbenchError
from workbench.core.files import locked, make_folder, write_bytes
from workbench.core.project import Project

VARIABLE = "WORKBENCH_REDIS_URL"
_OLDEST = (6, 2)
_PATIENCE = 5.0
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Redis:
    """How to reach a server.

    Attributes
    ----------
    host, port, username, password, ssl
        As in its URL.

    """

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    ssl: bool = False

    def __repr__(self) -> str:
        return f"Redis({self.host}:{self.port})"

    def to_dict(self) -> dict[str, Any]:
        """Return the engine's settings; they hold the password."""
        return {
            "host": self.host, "port": self.port, "username": self.username,
            "password": self.password, "ssl": self.ssl,
        }  # fmt: skip

    def client(self) -> redis.Redis:
        """Return a client; it connects when it is used."""
        return redis.Redis(
            self.host,
            self.port,
            username=self.username,
            password=self.password,
            ssl=self.ssl,
            socket_connect_timeout=_PATIENCE,
            socket_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # what a server that is too old can answer in
            decode_responses=True,
        )

    def check(self) -> None:
        """Raise `WorkbenchError` if it cannot be reached, refuses us, or is too old."""
        try:
            with self.client() as client:
                version = str(client.info("server")["redis_version"])
        except redis.RedisError as error:
            message = f"Redis at {self.host}:{self.port} cannot be used: {error}"
            raise WorkbenchError(message) from None
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            raise WorkbenchError(f"Redis {version} is too old: 6.2 or later is needed")


def find(project: Project) -> Redis:
    """Return the server nodes of a project use, started if it is the project's own.

    Raises
    ------
    InputError
        If the URL is none.
    DependencyError
        If there is neither a URL nor a ``redis-server``.
    WorkbenchError
        If it cannot be reached.

    """
    if url := os.environ.get(VARIABLE):
        found = _parsed(url)
    else:
        with locked(project.gateway / "locks" / "redis.lock", what="the project's Redis"):
            found = _own(project)
    found.check()
    return found


def _parsed(url: str) -> Redis:
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        # The URL itself may hold a password.
        raise InputError(Issue(f"{VARIABLE} is no address such as redis://127.0.0.1:6379"))
    return Redis(
        parts.hostname,
        port,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        parts.scheme == "rediss",
    )


def _own(project: Project) -> Redis:
    folder = project.gateway / "redis"
    known = folder / "server.json"
    if known.exists():
        found = Redis(**json.loads(known.read_text()))
        with suppress(WorkbenchError):
            found.check()
            return found
    program = shutil.which("redis-server")
    if program is None:
        raise DependencyError(
            f"persistence: redis needs a server. Install redis-server, or set {VARIABLE}"
        )
    make_folder(folder)
    folder.chmod(0o700)
    password = secrets.token_urlsafe(24)
    for _ in range(5):  # the port may be taken between choosing and using it
        found = Redis("127.0.0.1", _free_port(), None, password)
        settings = (
            f"bind 127.0.0.1\nport {found.port}\nrequirepass {password}\ndir {folder}\n"
            'appendonly yes\nappendfsync everysec\nsave ""\ndaemonize yes\n'
            f"logfile {folder / 'redis.log'}\npidfile {folder / 'redis.pid'}\n"
        )
        # The password is in a file of ours alone: arguments can be seen by everybody.
        write_bytes(folder / "redis.conf", settings.encode(), mode=0o600)
        subprocess.run([program, str(folder / "redis.conf")], check=False, capture_output=True)
        late = time.monotonic() + _START_SECONDS
        while time.monotonic() < late:
            with suppress(WorkbenchError):
                found.check()
                write_bytes(known, json.dumps(found.to_dict()).encode(), mode=0o600)
                return found
            time.sleep(0.05)
    raise WorkbenchError(f"redis-server did not start: see {folder / 'redis.log'}")


def stop(project: Project) -> bool:
    """Stop the project's own server; say whether there was one."""
    known = project.gateway / "redis" / "server.json"
    if not known.exists():
        return False
    try:
        with Redis(**json.loads(known.read_text())).client() as client:
            client.ping()
            client.shutdown(save=True)
    except redis.RedisError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
