"""Tardis's servers: where they are, what an exchange has, how large a day's file is."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from workbench.adapters import secrets
from workbench.core.errors import DataError, DependencyError, InputError

if TYPE_CHECKING:
    import httpx

PARALLEL = 6
"""Requests at once."""

ATTEMPTS = 5
"""Most times one thing is asked for."""

SILENCE_SECONDS = 60.0
"""Longest a server may say nothing."""

FINAL = (400, 401, 403, 404)
"""Statuses that another attempt would not change."""

_REMEMBERED_SECONDS = 60.0
_LONGEST_WAIT = 300  # seconds a server may ask for; Tardis's client has the same bound
_memory: dict[tuple[Any, ...], tuple[float, Any]] = {}


@dataclass(frozen=True, slots=True)
class DayFile:
    """One file of Tardis's: a day of one data type of one symbol."""

    exchange: str
    data_type: str
    symbol: str
    day: dt.date

    @property
    def name(self) -> str:
        """What it is called on this machine."""
        return f"{self.day}_{file_symbol(self.symbol)}.csv.gz"

    @property
    def url(self) -> str:
        """Where it is."""
        symbol = quote(file_symbol(self.symbol), safe="")
        return (
            f"{datasets_url()}/{self.exchange}/{self.data_type}/{self.day:%Y/%m/%d}/{symbol}.csv.gz"
        )

    def __str__(self) -> str:
        return f"{self.data_type} of {self.exchange} {self.symbol}, {self.day}"


class RefusedError(DataError):
    """Tardis said no, and will say so again.

    Parameters
    ----------
    what
        What was asked for.
    status, said
        The HTTP status and the server's words.
    key
        The key that was sent; None if none was.

    """

    def __init__(self, what: str, status: int, said: str, key: secrets.Secret | None) -> None:
        said = words(status, said)
        if status in (401, 403):
            how = "refuses the API key" if status == 401 else "does not give your API key this"
            hint = "Store another: workbench secrets set tardis api_key --environment live"
            if key is None:
                how = "gives without an API key only the first day of each month"
                hint = "Store a key: workbench secrets set tardis api_key --environment live"
            message = f"Tardis {how}: {what}: {said}. {hint}"
        else:
            message = f"Tardis does not have {what}: {said}"
        super().__init__(secrets.redact(message, [key] if key else []))


def file_symbol(symbol: str) -> str:
    """Return a symbol as Tardis's files are named: upper case, ``-`` for ``:`` and ``/``."""
    return symbol.replace(":", "-").replace("/", "-").upper()


def datasets_url() -> str:
    """Return the base of the files' addresses."""
    return _base("https://datasets.tardis.dev")


def api_url() -> str:
    """Return the base of the API's addresses."""
    return _base("https://api.tardis.dev")


def _base(default: str) -> str:
    # Only from the environment: a study must not send the key elsewhere.
    base = (os.environ.get("WORKBENCH_URL_TARDIS") or default).rstrip("/")
    return base if urlsplit(base).path else f"{base}/v1"


def api_key() -> secrets.Secret | None:
    """Return the API key; None where there is none.

    Raises
    ------
    LockedError
        If the store that may hold it needs a passphrase and there is nobody to ask.

    """
    try:
        return secrets.require("tardis", "live", ["api_key"])["api_key"]
    except secrets.LockedError:
        raise
    except InputError:
        return None


def exchange_details(exchange: str) -> dict[str, Any]:
    """Return what Tardis has of an exchange: ``datasets``, ``availableSymbols`` and more.

    No key is needed. The answer is remembered for a minute.

    Raises
    ------
    DataError
        If there was no answer.

    """
    url = f"{api_url()}/exchanges/{exchange}"

    def read(answer: httpx.Response) -> dict[str, Any]:
        found = json.loads(answer.content)
        if not isinstance(found, dict):
            raise TypeError
        return found

    def ask() -> dict[str, Any]:
        with _client(None) as client:
            return _ask(client, "GET", url, f"the exchange {exchange}", None, read)

    found: dict[str, Any] = _remembered(("exchange", url), ask)
    return found


def sizes(files: Sequence[DayFile], key: secrets.Secret | None) -> list[int | None]:
    """Return how many bytes each file has, None where the server does not tell.

    Raises
    ------
    RefusedError
        If one of them cannot be had.

    """
    known = None if key is None else hash(key.reveal())

    def ask(file: DayFile) -> int | None:
        size: int | None = _remembered(("size", file.url, known), lambda: _size(client, file, key))
        return size

    with (
        _client(key) as client,
        ThreadPoolExecutor(PARALLEL, thread_name_prefix="tardis-sizes") as pool,
    ):
        return list(pool.map(ask, files))


def _size(client: httpx.Client, file: DayFile, key: secrets.Secret | None) -> int | None:
    def read(answer: httpx.Response) -> int | None:
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else None

    try:
        return _ask(client, "HEAD", file.url, str(file), key, read)
    except RefusedError:
        # An answer to HEAD has no body, and so no reason; and not every server knows HEAD.
        with client.stream("GET", file.url) as answer:
            if answer.status_code in FINAL:
                said = answer.read().decode(errors="replace")
                raise RefusedError(str(file), answer.status_code, said, key) from None
        return None
    except DataError:
        return None  # the file itself is asked for more patiently


def _remembered(key: tuple[Any, ...], ask: Callable[[], Any]) -> Any:
    when, answer = _memory.get(key, (0.0, None))
    if answer is None or time.monotonic() - when > _REMEMBERED_SECONDS:
        answer = ask()
        _memory[key] = (time.monotonic(), answer)
    return answer


def _client(key: secrets.Secret | None) -> httpx.Client:
    import httpx

    headers = {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}
    return httpx.Client(timeout=SILENCE_SECONDS / 2, headers=headers)


def _ask[T](
    client: httpx.Client,
    method: str,
    url: str,
    what: str,
    key: secrets.Secret | None,
    read: Callable[[httpx.Response], T],
) -> T:
    import httpx

    reason = ""
    for attempt in range(ATTEMPTS):
        pause = 0.25 * 2.0**attempt
        try:
            answer = client.request(method, url)
            status = answer.status_code
            if status == HTTPStatus.OK:
                return read(answer)
            if status in FINAL:
                raise RefusedError(what, status, answer.text, key)
            reason = words(status, answer.text)
            wish = answer.headers.get("Retry-After", "")
            pause = float(wish) if wish.isdecimal() else pause
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
        except (TypeError, ValueError):
            reason = "the answer is none of Tardis's"
        if attempt == ATTEMPTS - 1 or pause > _LONGEST_WAIT:
            break
        time.sleep(pause)
    raise DataError(f"Tardis could not be asked about {what}: {reason}")


def words(status: int, said: str) -> str:
    """Return the reason a server gives: its JSON message, or the first line of a short text."""
    try:
        said = str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        said = "" if "<" in said else said
    first = " ".join(said.split())[:300]
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    return f"{status} {first or phrase}".strip()


def require_client() -> None:
    """Say how to install Tardis's client where it is missing."""
    try:
        import tardis_dev  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        message = "Tardis's client is missing. Install it: pip install 'nt-workbench[tardis]'"
        raise DependencyError(message) from None
