"""Writing files so that a reader sees the old one or the new one, never half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from workbench.core.errors import WorkbenchError


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it that are missing, so that they outlast a power cut."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for part in missing:
        _sync(part.parent)


def _sync(folder: Path) -> None:
    """Write a folder's entries to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`.

    The content is fsynced before the rename and the folder after it. On any exception, a full
    disk among them, the temporary file is removed and `path` is as it was. The file gets the
    permissions `mode`; until it is complete only its owner can read it.
    """
    make_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync(path.parent)


def write_bytes(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path, mode=mode) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` as UTF-8, whole or not at all."""
    write_bytes(path, content.encode())


@contextmanager
def locked(path: Path, *, timeout: float = 600.0, what: str | None = None) -> Iterator[None]:
    """Hold the lock file `path` against other processes and threads.

    Parameters
    ----------
    path
        The lock file. The system releases it when its holder dies, however it dies.
    timeout
        Seconds to wait for another holder.
    what
        What is being locked, for the message.

    Raises
    ------
    WorkbenchError
        If another process kept the lock for longer than `timeout`.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock: Any = FileLock(path, timeout=timeout)
    try:
        lock.acquire()
    except Timeout as error:
        message = f"{what or path} is in use by another process (waited {timeout:g} s)"
        raise WorkbenchError(message) from error
    try:
        yield
    finally:
        lock.release()
