"""Downloading one of Tardis's files, whole or not at all.

Tardis's own client does it. It tries again after most errors, up to thirty times, and does not look
at what it got: a body that was cut where the server announced no length counts as whole. So the
file is decompressed to its end, with its checksum, before anybody uses it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import functools
import gzip
import logging
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from workbench.adapters.secrets import Secret
from workbench.core.errors import Cancelled, DataError
from workbench.core.progress import ShouldStop
from workbench.data import tardis_api
from workbench.data.tardis_api import DayFile

_DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file may not grow that large",
}


def download(
    file: DayFile,
    folder: Path,
    key: Secret | None,
    expected: int | None,
    on_bytes: Callable[[int], None],
    should_stop: ShouldStop,
) -> Path:
    """Download a file, whole.

    Parameters
    ----------
    file, folder
        What, and where to; what is there of an earlier attempt goes.
    key
        The API key; None for the days that need none.
    expected
        How many bytes the server announced, None if it did not.
    on_bytes
        Told now and then how many bytes have arrived.
    should_stop
        Asked ten times a second.

    Raises
    ------
    DataError
        If it did not arrive whole, with the reason. Nothing is left of it.
    Cancelled
        If `should_stop` said so.

    """
    tardis_api.require_client()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file.name
    intact: set[int] = set()
    reason: str | None = None
    for _ in range(tardis_api.ATTEMPTS):
        _remove(folder, file)
        try:
            _in_own_loop(functools.partial(_arrive, file, folder, key, on_bytes), should_stop)
        except BaseException:
            _remove(folder, file)  # a client that is cancelled leaves its file at times
            raise
        reason, size = _broken(path), path.stat().st_size
        # A size that comes twice is right, whatever was announced.
        if reason is None and (expected in (None, size) or size in intact):
            return path
        if reason is None:
            intact.add(size)
            reason = f"it has {size:,} bytes, {expected:,} were announced"
        path.unlink()
    attempts = f"{tardis_api.ATTEMPTS} attempts"
    raise DataError(f"Tardis's {file} did not arrive whole in {attempts}: {reason}")


def _remove(folder: Path, file: DayFile) -> None:
    for path in folder.glob(f"{file.name}*"):
        path.unlink(missing_ok=True)


def _broken(path: Path) -> str | None:
    """Say why a gzip file is not whole, None if it is."""
    if path.stat().st_size == 0:
        return "it is empty"
    try:
        with gzip.open(path) as content:
            while content.read(1 << 20):
                pass
    except EOFError:
        return "it is cut short"
    except (OSError, zlib.error) as error:
        return f"it is no gzip file, or a corrupt one: {error}"
    return None


def _in_own_loop(work: Callable[[ShouldStop], Any], should_stop: ShouldStop) -> None:
    """Run a coroutine in a thread of its own: this one may have a loop, as notebooks do."""
    interrupted = threading.Event()

    def stopped() -> bool:
        return interrupted.is_set() or should_stop()

    with ThreadPoolExecutor(1, thread_name_prefix="tardis-download") as pool:
        future = pool.submit(lambda: asyncio.run(work(stopped)))
        try:
            future.result()
        except BaseException:  # Ctrl-C among them: the thread would go on
            interrupted.set()
            raise


async def _arrive(
    file: DayFile,
    folder: Path,
    key: Secret | None,
    on_bytes: Callable[[int], None],
    should_stop: ShouldStop,
) -> None:
    import aiohttp
    from tardis_dev import download_datasets_async  # type: ignore[import-untyped]

    path = folder / file.name
    failures = _failures().of(path)
    task = asyncio.create_task(
        download_datasets_async(
            exchange=file.exchange,
            data_types=[file.data_type],
            symbols=[file.symbol],
            from_date=f"{file.day}",
            to_date=f"{file.day + dt.timedelta(days=1)}",
            api_key=key.reveal() if key else "",
            download_dir=str(folder),
            endpoint=tardis_api.datasets_url(),
            timeout=tardis_api.SILENCE_SECONDS,
            get_filename=lambda *_: file.name,
            skip_if_exists=False,
        )
    )
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=0.1)
            if should_stop():
                raise Cancelled
            if failures and (number := getattr(failures[-1], "errno", None)) in _DISK:
                raise DataError(f"{folder} could not be written: {_DISK[number]}")
            if len(failures) >= tardis_api.ATTEMPTS:
                raise failures[-1]
            on_bytes(_arrived(folder, file))
        await task
    except HTTPError as error:
        raise _named(error, file, key) from None
    except (aiohttp.ClientError, OSError) as error:
        said = " ".join(str(error).split())[:300]
        reason = "the server says nothing" if isinstance(error, TimeoutError) else said
        raise DataError(f"Tardis's {file} could not be downloaded: {reason or error!r}") from None
    finally:
        task.cancel()
        await asyncio.wait({task})  # it removes what has arrived of the file


def _arrived(folder: Path, file: DayFile) -> int:
    size = 0
    for part in folder.glob(f"{file.name}*.unconfirmed"):
        with suppress(FileNotFoundError):  # it has just got its name
            size += part.stat().st_size
    return size


def _named(error: HTTPError, file: DayFile, key: Secret | None) -> DataError:
    if error.code in tardis_api.FINAL:
        return tardis_api.RefusedError(str(file), error.code, error.msg, key)
    reason = tardis_api.words(error.code, error.msg)
    headers = getattr(error, "headers", None)
    if headers and (wish := headers.get("Retry-After")):
        reason += f". It asks to come back in {wish} s"
    return DataError(f"Tardis's {file} could not be downloaded: {reason}")


class _Failures(logging.Filter):
    """Hears of each attempt of the client that failed: only its log tells why it tries again."""

    def __init__(self, *, passes: bool) -> None:
        super().__init__()
        self._passes = passes
        self._by_path: dict[str, list[Exception]] = {}

    def of(self, path: Path) -> list[Exception]:
        """Return the list that the failures of a download to `path` will be added to."""
        failures: list[Exception] = []
        self._by_path[str(path)] = failures
        return failures

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        for argument in arguments:
            if isinstance(argument, Exception):
                self._by_path.get(str(arguments[0]), []).append(argument)
        return self._passes or record.levelno > logging.DEBUG


@functools.cache
def _failures() -> _Failures:
    logger = logging.getLogger("tardis_dev._http")
    failures = _Failures(passes=logger.isEnabledFor(logging.DEBUG))
    logger.addFilter(failures)
    logger.setLevel(logging.DEBUG)
    return failures
