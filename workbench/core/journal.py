"""An append-only journal: numbered JSON lines that outlast any crash.

One writer at a time holds the journal's lock; any number of processes read it meanwhile. A line is
``{"seq": 17, "ts": <UNIX ns>, "crc": ..., "type": "order.filled", ...}``. Numbers start at 1 and
have no holes. A writer that was killed in the middle of a line leaves a torn tail: readers stop
before it, the next writer cuts it off. A line in the middle that cannot be read is damage, and an
error: what came after it may depend on it.
"""

from __future__ import annotations

import json
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from workbench.core.errors import DataError, WorkbenchError
from workbench.core.files import make_folder

type Entry = dict[str, Any]
"""``seq``, ``ts`` and ``type``, and what belongs to the type."""

_BLOCK = 1 << 16
_RESERVED = ("seq", "ts", "type", "crc")


class Journal:
    """The writer of a journal.

    Parameters
    ----------
    path
        The file; made if it is not there. A torn tail is cut off.
    timeout
        Seconds to wait for another writer to finish.

    Raises
    ------
    WorkbenchError
        If another process writes to it.
    DataError
        If it is damaged.

    """

    def __init__(self, path: Path, *, timeout: float = 0.0) -> None:
        self.path = path
        make_folder(path.parent)
        self._lock: Any = FileLock(path.with_name(f"{path.name}.lock"), thread_local=False)
        try:
            self._lock.acquire(timeout=timeout)
        except Timeout:
            raise WorkbenchError(f"another process writes to {path}") from None
        self._guard = threading.Lock()
        try:
            self._file = path.open("ab", buffering=0)
        except BaseException:
            self._lock.release()
            raise
        try:
            end, self.last = _end(path)
            if end < self._file.seek(0, os.SEEK_END):
                self._file.truncate(end)
        except BaseException:
            self.close()
            raise

    def append(self, kind: str, content: Mapping[str, Any], *, durable: bool = False) -> Entry:
        """Append an entry.

        Parameters
        ----------
        kind
            Its type, such as ``order.filled``.
        content
            JSON values; the keys ``seq``, ``ts``, ``type`` and ``crc`` are the journal's own.
        durable
            Whether to return only once it is on the disk, and everything before it.

        Returns
        -------
        dict
            The entry as readers will see it.

        Raises
        ------
        DataError
            If it cannot be written (the disk is full): the journal is as it was.

        """
        if taken := [key for key in _RESERVED if key in content]:
            raise ValueError(f"the journal's own keys: {taken}")
        with self._guard:
            entry = {"seq": self.last + 1, "ts": time.time_ns(), "type": kind, **content}
            before = self._file.tell()
            try:
                self._write(_line(entry))
                if durable:
                    os.fsync(self._file.fileno())
            except OSError as error:
                self._file.truncate(before)
                self._file.seek(before)
                reason = error.strerror or str(error)
                raise DataError(f"{self.path} could not be written: {reason}") from None
            self.last += 1
            return entry

    def sync(self) -> None:
        """Return once everything appended is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let another writer have it."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            view = view[self._file.write(view) :]


def read(path: Path, since: int = 0) -> Iterator[Entry]:
    """Yield the entries after number `since`, as far as they are whole; none if there is no file.

    Raises
    ------
    DataError
        If a line in the middle is damaged; it is named.

    """
    reader = Reader(path, since)
    yield from reader.new()


def last(path: Path) -> int:
    """Return the number of the newest whole entry, found from the end; 0 if there is none.

    Raises
    ------
    DataError
        If that entry is damaged.

    """
    return _end(path)[1] if path.exists() else 0


class Reader:
    """Follows a journal that is being written.

    Parameters
    ----------
    path
        The file; it need not exist yet.
    since
        Entries up to this number are passed over.

    Attributes
    ----------
    number
        Of the newest entry it has come to.

    """

    def __init__(self, path: Path, since: int = 0) -> None:
        self.path, self._since = path, since
        self._at, self.number = 0, 0

    @classmethod
    def newest(cls, path: Path, count: int) -> Reader:
        """Return a reader that begins with the newest `count` entries.

        What is older is not looked at: a journal of months is not read for the last minute of it.
        """
        reader = cls(path)
        if not path.exists():
            return reader
        start, tail = path.stat().st_size, b""
        with path.open("rb") as file:
            while start and tail.count(b"\n") < count + 2:
                step = min(_BLOCK, start)
                start -= step
                file.seek(start)
                tail = file.read(step) + tail
        lines = tail.split(b"\n")[:-1]  # what follows the last is torn, or nothing
        if start:
            start += len(lines.pop(0)) + 1
        passed = lines[: max(len(lines) - count, 0)]
        known = _parsed(passed[-1] + b"\n") if passed else None
        if known is not None:  # else from the beginning: damage is told there
            reader._at = start + sum(len(line) + 1 for line in passed)
            reader.number = reader._since = known["seq"]
        return reader

    def new(self) -> Iterator[Entry]:
        """Yield what has been appended whole since the last call.

        Raises
        ------
        DataError
            If a line is damaged and another follows it.

        """
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._at)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # torn, or still being written
                self.number += 1
                entry = _parsed(line)
                if entry is None or entry["seq"] != self.number:
                    raise DataError(f"{self.path}:{self.number}: the journal is damaged here")
                self._at += len(line)
                if entry["seq"] > self._since:
                    yield entry


def _line(entry: Entry) -> bytes:
    text = json.dumps(entry, separators=(",", ":"), allow_nan=False)
    # The sum is put last and covers the line before it was there.
    return f'{text[:-1]},"crc":{zlib.crc32(text.encode())}}}\n'.encode()


def _parsed(line: bytes) -> Entry | None:
    """Return the entry of a line, None if it is not whole or not as it was written."""
    if not line.endswith(b"}\n"):
        return None
    text, found, crc = line[:-2].rpartition(b',"crc":')
    if not found or not crc.isdigit() or int(crc) != zlib.crc32(text + b"}"):
        return None
    entry: Entry = json.loads(text + b"}")
    return entry


def _end(path: Path) -> tuple[int, int]:
    """Return where the whole lines end, and the number of the last."""
    start, tail = path.stat().st_size, b""
    with path.open("rb") as file:
        # The last whole line is found from the end: journals grow for months.
        while True:
            end = tail.rfind(b"\n")
            begin = tail.rfind(b"\n", 0, max(end, 0))
            if end >= 0 and (begin >= 0 or start == 0):
                break
            if start == 0:
                return 0, 0
            step = min(_BLOCK, start)
            start -= step
            file.seek(start)
            tail = file.read(step) + tail
    entry = _parsed(tail[begin + 1 : end + 1])
    if entry is None:  # a torn line has no end: this one was whole once
        raise DataError(f"{path}: the last line of the journal is damaged")
    return start + end + 1, int(entry["seq"])
