"""Databento's own client, with its failures in our words.

Each call runs in a thread of its own, which nobody waits for longer than the user wants: the
client has no way to stop a call that is under way. What passes by itself (too many requests, a
fault of the server, a broken connection) is tried again; what does not is raised with its reason.
The key is in none of these texts.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import itertools
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

from workbench.adapters import secrets
from workbench.core.errors import Cancelled, DataError, InputError, WorkbenchError
from workbench.core.progress import ShouldStop, never
from workbench.data.dbn import library

ADDRESS = "WORKBENCH_URL_DATABENTO"
"""Variable that names another address than Databento's."""

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each further attempt where the server does not say."""

_LONGEST_PAUSE = 120.0
_TICK = 0.1
_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file may not grow that large",
}
_KEPT_SECONDS = 120.0


class RefusedError(DataError):
    """Databento refuses a request, and would again.

    Parameters
    ----------
    message
        In our words, with Databento's own.
    status, case
        The HTTP status, and Databento's name for what is wrong.

    """

    def __init__(self, message: str, status: int, case: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.case = case

    @property
    def unresolved(self) -> bool:
        """Whether a symbol stands for nothing in the range asked for."""
        return self.case.startswith("symbology")


class PassingError(DataError):
    """Something failed that may work the next time.

    Parameters
    ----------
    message
        What happened.
    wait
        Seconds the server asks to wait.

    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Background:
    """A call in a thread of its own, which does not keep the process alive."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._done = threading.Event()
        self._work = work
        self._result: Any = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="databento", daemon=True).start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            # The frames of the client's code hold its file, with what is not yet written of it.
            ours = isinstance(error, WorkbenchError)
            self._error = error.with_traceback(None) if ours else error
        finally:
            self._done.set()

    def result(
        self, should_stop: ShouldStop = never, on_wait: Callable[[], None] | None = None
    ) -> Any:
        """Wait for the call and return what it gave, or raise what it raised.

        Raises
        ------
        Cancelled
            If `should_stop` says so; the call goes on, unheeded.

        """
        while not self._done.wait(_TICK):
            if should_stop():
                raise Cancelled
            if on_wait:
                on_wait()
        if self._error:
            raise self._error
        return self._result


class Client:
    """Databento's historical service.

    Raises
    ------
    InputError
        If no key is stored.
    DependencyError
        If the client library is missing.

    """

    def __init__(self) -> None:
        key = secrets.require("databento", "live", ["api_key"])["api_key"]
        databento = library("databento")
        self.address = os.environ.get(ADDRESS) or str(databento.HistoricalGateway.BO1)
        self._key = key
        with self.guarded():
            self.api = databento.Historical(key.reveal(), gateway=self.address)
        # The client tells of days of lesser quality so; they are asked for by `conditions`.
        quality = library("databento.common.error").BentoWarning
        warnings.filterwarnings("ignore", category=quality, module=r"workbench\.data\.databento")

    @property
    def authorization(self) -> tuple[str, str]:
        """User name and password, for downloads from addresses Databento tells."""
        return self._key.reveal(), ""

    def ask(
        self,
        name: str,
        valid: Callable[[Any], bool],
        should_stop: ShouldStop = never,
        **query: Any,
    ) -> Any:
        """Call one of the free methods, such as ``metadata.get_cost``; repeat what passes.

        The answer is kept for two minutes: a plan and the fetch after it ask the same.

        Parameters
        ----------
        name
            API and method.
        valid
            Says whether an answer is one.
        should_stop
            See `workbench.core.progress`.
        query
            The method's arguments.

        Raises
        ------
        InputError
            If the key is not accepted.
        RefusedError
            If Databento refuses the request.
        DataError
            If it did not answer, or not with what was asked.

        """
        owner = hashlib.sha256(self._key.reveal().encode()).hexdigest()
        kept = (self.address, owner, name, repr(sorted(query.items())))
        found = _answers.get(kept)
        if found is None:
            api, _, method = name.partition(".")
            call = getattr(getattr(self.api, api), method)

            def once() -> Any:
                answer = Background(lambda: self._called(call, query)).result(should_stop)
                if not valid(answer):
                    raise PassingError(f"{name} did not answer as it should")
                return answer

            found = self.repeated(once, should_stop)
            _answers.keep(kept, found)
        return found

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """Make several calls at the same time; raise what the first that failed raised."""
        return [each.result() for each in [Background(call) for call in calls]]

    def repeated(self, once: Callable[[], Any], should_stop: ShouldStop = never) -> Any:
        """Do something that may fail in passing, up to six times.

        Raises
        ------
        DataError
            If it never worked.
        Cancelled
            If `should_stop` said so.

        """
        for failures in itertools.count(1):
            try:
                return once()
            except PassingError as error:
                rest_after(error, failures, should_stop)
        raise AssertionError

    def check(self, answer: Any) -> None:
        """Raise what is wrong with the answer to a request that the client did not make."""
        with self.guarded():
            library("databento.common.http").check_http_error(answer)

    def _called(self, call: Callable[..., Any], query: dict[str, Any]) -> Any:
        with self.guarded():
            return call(**query)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise what a call of the client raises in our words, without the key."""
        failure: Exception | None = None
        try:
            yield
        except (DataError, InputError, Cancelled):
            raise
        except Exception as error:
            failure = self._translated(error)
        if failure:  # outside of the handler: what is raised there keeps the client's files open
            raise failure

    def _translated(self, error: Exception) -> Exception:
        databento, requests = library("databento"), library("requests")
        if isinstance(error, databento.BentoHttpError):
            return self._refused(error)
        # What the client raises of a stream hides the reason.
        reason = error.__context__ if isinstance(error, databento.BentoError) else error
        if isinstance(reason, OSError) and (full := _FULL.get(reason.errno or 0)):
            return DataError(f"the download could not be written: {full}. What arrived is kept")
        text = self._redacted(str(reason or error)).splitlines() or [type(error).__name__]
        if isinstance(reason, requests.exceptions.SSLError):
            return DataError(f"{self.address} could not be trusted: {text[0]}")
        if isinstance(reason, requests.exceptions.Timeout):
            return PassingError("nothing came for a long time")
        if isinstance(reason, requests.exceptions.JSONDecodeError):
            return PassingError("did not answer as it should (a login page of the network?)")
        if isinstance(reason, requests.exceptions.RequestException):
            if cause := _unreachable(reason):
                return PassingError(f"{self.address} cannot be reached: {cause}")
            return PassingError(f"the connection failed: {text[0]}")
        if isinstance(reason, OSError):
            what = reason.strerror or text[0]
            return DataError(f"the download could not be written: {what} ({reason.filename})")
        return PassingError(f"did not answer as it should: {text[0]}")

    def _refused(self, error: Any) -> Exception:
        status = int(error.http_status)
        case, message = _detail(error)
        message = self._redacted(message).rstrip(".")
        if status == 429:
            return PassingError("allows no more requests for now (429)", _retry_after(error))
        if status >= 500 or status == 408:
            return PassingError(f"has a fault of its own ({status}): {message}")
        if status == 401:
            return InputError(
                f"Databento does not accept the key ({message}). If it has expired or was revoked, "
                "store the new one: workbench secrets set databento"
            )
        if status == 402:
            return RefusedError(f"Databento wants a payment: {message}", status, case)
        return RefusedError(f"Databento refuses ({status}): {message}", status, case)

    def _redacted(self, text: str) -> str:
        return secrets.redact(text, [self._key])


def rest_after(failure: PassingError, failures: int, should_stop: ShouldStop) -> None:
    """Wait before the next attempt, as long as the server asks for.

    Raises
    ------
    DataError
        If that is enough of failures, or too long a wait.
    Cancelled
        If `should_stop` said so.

    """
    asked = failure.wait
    if failures > len(PAUSES) or (asked or 0) > _LONGEST_PAUSE:
        raise DataError(f"Databento: {failure}")
    rest(PAUSES[failures - 1] if asked is None else asked, should_stop)


def rest(seconds: float, should_stop: ShouldStop) -> None:
    """Wait; raise `Cancelled` if `should_stop` says so meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if should_stop():
            raise Cancelled
        time.sleep(min(left, _TICK))


def disk_error(error: OSError) -> DataError:
    """Say in words why a download could not be written."""
    reason = _FULL.get(error.errno or 0, error.strerror or str(error))
    return DataError(f"the download could not be written: {reason}. What arrived is kept")


class _Answers:
    """Answers of the last minutes."""

    def __init__(self) -> None:
        self._kept: dict[Sequence[str], tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def get(self, name: Sequence[str]) -> Any:
        with self._lock:
            when, answer = self._kept.get(name, (0.0, None))
            return answer if time.monotonic() - when < _KEPT_SECONDS else None

    def keep(self, name: Sequence[str], answer: Any) -> None:
        now = time.monotonic()
        with self._lock:
            fresh = {k: v for k, v in self._kept.items() if now - v[0] < _KEPT_SECONDS}
            self._kept = fresh | {name: (now, answer)}


_answers = _Answers()


def _detail(error: Any) -> tuple[str, str]:
    """Return Databento's name for what is wrong, and its words."""
    body = error.json_body if isinstance(error.json_body, dict) else {}
    detail = body.get("detail")
    if isinstance(detail, dict):
        return str(detail.get("case", "")), str(detail.get("message", "no reason given"))
    return "", str(detail or "no reason given")


def _unreachable(error: Any) -> str | None:
    """Say why no connection was made, None if one was."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    if type(cause).__name__ not in ("NewConnectionError", "NameResolutionError"):
        return None
    return str(cause).rpartition(": ")[2]


def _retry_after(error: Any) -> float | None:
    text = str(error.headers.get("Retry-After", ""))
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - dt.datetime.now(dt.UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(seconds, 0.0)
