"""Who did what: one line for each call that changes something, and for each that was refused.

``.gateway/audit.jsonl`` is readable by its owner only. It names the token, never shows it, and
holds no body: what an order said is in the node's journal, under the same name.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.core.files import make_folder
from workbench.core.project import Project

_LONGEST = 10_000
_MOST_TEXT = 200
_BLOCK = 65_536


class Audit:
    """The audit log of a project's gateway; any number of processes may write to it.

    Parameters
    ----------
    project
        Whose ``.gateway/audit.jsonl`` it is.

    """

    def __init__(self, project: Project) -> None:
        self.path = project.gateway / "audit.jsonl"
        self._guard = threading.Lock()
        self._file: int | None = None

    def write(self, action: str, **content: Any) -> None:
        """Append an entry: when, what, and who did it from where; cut if it is too long."""
        when = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        entry = {"at": when, "action": action, **content}
        line = _line(entry)
        if len(line) > _LONGEST:
            line = _line({key: _short(value) for key, value in entry.items()} | {"cut": True})
        with self._guard:
            if self._file is None:
                make_folder(self.path.parent)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                self._file = os.open(self.path, flags, 0o600)
            os.write(self._file, line)  # one call: lines of several processes do not mix

    def newest(self) -> Iterator[dict[str, Any]]:
        """Yield the entries, newest first; lines that cannot be read are passed over."""
        for line in _backwards(self.path):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry

    def close(self) -> None:
        """Let go of the file."""
        with self._guard:
            if self._file is not None:
                os.close(self._file)
                self._file = None


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":"), default=str).encode() + b"\n"


def _short(value: Any) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if len(text) <= _MOST_TEXT:
        return value
    return f"{text[:_MOST_TEXT]}..."


def _backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, the last one first, without reading what is not asked for."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        at, rest = file.seek(0, os.SEEK_END), b""
        while at:
            size = min(at, _BLOCK)
            at -= size
            file.seek(at)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest
