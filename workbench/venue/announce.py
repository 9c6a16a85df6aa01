"""A running venue tells its project where it is, so that practice studies find it.

``.gateway/venue.json`` holds the address and the practice credentials; only its owner can read it.
The newest venue of a project is the one that is found. It is removed when the venue ends in order;
one that was killed leaves it behind, which `find` says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from workbench.core.errors import WorkbenchError
from workbench.core.files import write_bytes
from workbench.core.project import Project

FILE = "venue.json"
START = "Start one: workbench venue serve"


@dataclass(frozen=True, slots=True)
class Announced:
    """The practice venue of a project.

    Attributes
    ----------
    url, websocket
        Its addresses.
    key, secret
        Practice credentials.
    pid
        Its process.
    instruments
        NautilusTrader's id at the venue of each instrument that is listed, by its own id.

    """

    url: str
    websocket: str
    key: str
    secret: str
    pid: int
    instruments: dict[str, str]

    def __repr__(self) -> str:
        return f"Announced({self.url}, pid={self.pid})"


def find(project: Project) -> Announced:
    """Return the venue that runs in a project.

    Raises
    ------
    WorkbenchError
        If none does, or it was killed.

    """
    try:
        known = json.loads((project.gateway / FILE).read_text())
        found = Announced(**{name: known[name] for name in Announced.__slots__})
        born = known["born"]
    except FileNotFoundError:
        raise WorkbenchError(f"no practice venue runs in this project. {START}") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = f"{project.gateway / FILE} cannot be read ({error}). {START}"
        raise WorkbenchError(message) from None
    if _born(found.pid) != born:
        message = f"the practice venue at {found.url} (pid {found.pid}) was killed. {START}"
        raise WorkbenchError(message)
    return found


@contextmanager
def announcing(project: Project | None) -> Iterator[Any]:
    """Yield a function that announces this process's venue; take it back in the end.

    The venue that was there before, if it still runs, is found again then.
    """
    path = None if project is None else project.gateway / FILE
    before: bytes | None = None

    def announce(
        url: str, websocket: str, key: str, secret: str, instruments: dict[str, str]
    ) -> None:
        nonlocal before
        if path is not None:
            before = _running(path)
            content = {
                "url": url, "websocket": websocket, "key": key, "secret": secret,
                "instruments": instruments, "pid": os.getpid(), "born": _born(os.getpid()),
            }  # fmt: skip
            write_bytes(path, json.dumps(content).encode(), mode=0o600)

    try:
        yield announce
    finally:
        if path is not None and _announces(path) == os.getpid():
            if before is not None and _alive(before):
                write_bytes(path, before, mode=0o600)
            else:
                path.unlink(missing_ok=True)


def _running(path: Path) -> bytes | None:
    """Return the announcement of another venue that runs."""
    try:
        found = path.read_bytes()
    except OSError:
        return None
    return found if _alive(found) else None


def _alive(announcement: bytes) -> bool:
    try:
        known = json.loads(announcement)
        return bool(known["pid"] != os.getpid() and _born(known["pid"]) == known["born"])
    except (ValueError, TypeError, KeyError):
        return False


def _announces(path: Path) -> int | None:
    """Return whose announcement it is: a newer venue may have taken its place."""
    try:
        pid: int = json.loads(path.read_text())["pid"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return pid


def _born(pid: int) -> float | None:
    """Return when a process began; None if there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
