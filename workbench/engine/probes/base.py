"""What can be found out about a venue by HTTP: the base of every probe.

Nothing here imports NautilusTrader before a probe needs it: a step must not wait for it.
"""

from __future__ import annotations

import socket
import ssl
import statistics
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from workbench.core.errors import WorkbenchError

# A request waits this long at most, so that one that hangs leaves time for the steps after it.
_REQUEST_SECONDS = 5.0
_SAMPLES = 4
# Venues refuse signed requests from a clock that is further ahead than about this.
_CLOCK_SECONDS = 1.0
_QUOTED = 200


class Failed(Exception):  # noqa: N818 - an outcome, in words for a person
    """A step failed; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be checked.

    Attributes
    ----------
    adapter, environment
        Names, as everywhere.
    settings
        Plain values, as a study writes them.
    credentials
        By field, in plain text: they came through a pipe and go into headers.
    url, ws_url
        Addresses that replace the venue's own.
    timeout
        Seconds for all steps together.
    locked
        Why the credentials could not be read; empty where they could.

    """

    adapter: str
    environment: str
    settings: dict[str, Any]
    credentials: dict[str, str]
    url: str | None
    ws_url: str | None
    timeout: float
    locked: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.began + self.timeout

    @property
    def left(self) -> float:
        """Seconds left, at least a tenth of one."""
        return max(0.1, self.began + self.timeout - time.monotonic())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step found.

    Attributes
    ----------
    ok
        True, False, or None where it could not be told.
    detail
        The finding or the reason, in words.
    values
        The numbers and names in it.

    """

    ok: bool | None
    detail: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Sample:
    """One answer to the question for the time.

    Attributes
    ----------
    seconds
        From the request to the answer.
    offset
        Seconds our clock is ahead of the venue's, None where the answer does not tell.
    unsure
        Seconds by which the offset may be wrong.

    """

    seconds: float
    offset: float | None
    unsure: float


class Probe:
    """The steps of a check; a venue's probe fills in what differs.

    Attributes
    ----------
    name
        The venue's, in messages.
    time_path
        The public call for its time; where it is empty it is only asked whether anybody answers.
    fields
        The credentials a signed request needs.

    """

    name: str = ""
    time_path: str = ""
    fields: tuple[str, ...] = ("api_key", "api_secret")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.base = (request.url or self.address()).rstrip("/")
        self.client = httpx.Client(timeout=_REQUEST_SECONDS)
        self._samples: list[_Sample] = []
        self._account: Any = None
        self._tls = self._clock_source = ""

    def address(self) -> str:
        """Return the venue's own address in the request's environment."""
        raise NotImplementedError

    # The steps

    def reachable(self) -> Outcome:
        """Ask for the venue's time a few times; the first request opens the connection."""
        opened = time.perf_counter()
        while len(self._samples) < _SAMPLES and time.perf_counter() - opened < 2.0:
            self._samples.append(self._sample())
        later = self._samples[1:] or self._samples
        latency = statistics.median(sample.seconds for sample in later)
        values = {"address": self.base, "latency_ms": _ms(latency)}
        first, shown = self._samples[0], duration(latency)
        detail = f"{self.base} answers in {shown} (median of {len(later)})"
        if len(self._samples) > 1:
            detail += f", {duration(first.seconds)} with connecting"
        return Outcome(True, f"{detail}{self._tls}", values)

    def clock(self) -> Outcome:
        """Compare our clock with the venue's."""
        told = [sample for sample in self._samples if sample.offset is not None]
        if not told:
            return Outcome(None, f"{self.name} does not tell its time")
        best = min(told, key=lambda sample: sample.seconds)
        assert best.offset is not None
        return self.offset(best.offset, best.unsure)

    def authenticated(self) -> Outcome:
        """Ask, with the key, what the venue says of the key."""
        missing = [name for name in self.fields if name not in self.request.credentials]
        if missing and self.request.locked:
            return Outcome(None, self.request.locked)
        if missing:
            field = f" {missing[0]}" if len(missing) == 1 else ""
            place = f"{self.request.adapter}{field} --environment {self.request.environment}"
            found = f"no {' and no '.join(missing)} stored"
            # Half a credential is a mistake; none may be meant.
            ok = False if len(missing) < len(self.fields) else None
            return Outcome(ok, f"{found}: workbench secrets set {place}")
        self._account = self.account()
        return Outcome(True, f"{self.name} accepts the key")

    def permissions(self) -> Outcome:
        """Say what the key may do, as far as the venue tells."""
        if self._account is None:
            return Outcome(None, "not told without a key that is accepted")
        return self.describe(self._account)

    def instruments(self) -> Outcome:
        """Load instruments as a node would."""
        raise NotImplementedError

    # What differs

    def told_time(self, body: Any) -> tuple[float, float]:
        """Return the time in an answer, seconds since 1970, and how coarse it is."""
        raise NotImplementedError

    def account(self) -> Any:
        """Return what the venue says of the key; raise `Failed` where it refuses it."""
        raise NotImplementedError

    def describe(self, account: Any) -> Outcome:
        """Say what `account` tells of permissions."""
        raise NotImplementedError

    # How

    @property
    def patience(self) -> float:
        """Seconds to wait for one answer."""
        return min(_REQUEST_SECONDS, self.request.left / 2)

    def send(self, method: str, path: str, base: str | None = None, **more: Any) -> httpx.Response:
        """Send a request to the venue, or to another address of it."""
        address = f"{base or self.base}{path}"
        return self.client.request(method, address, timeout=self.patience, **more)

    def offset(self, seconds: float, unsure: float) -> Outcome:
        """Return the outcome of a clock that is `seconds` ahead of the venue's."""
        side = "ahead of" if seconds > 0 else "behind"
        detail = f"this clock is {duration(abs(seconds))} {side} the venue's"
        detail += f" (give or take {duration(unsure)}{self._clock_source})"
        ok = abs(seconds) - unsure <= _CLOCK_SECONDS
        if not ok:
            detail += ": signed requests may be refused; set the clock (NTP)"
        return Outcome(ok, detail, {"offset_ms": _ms(seconds), "unsure_ms": _ms(unsure)})

    def listed(self, names: list[str], what: str = "instrument") -> Outcome:
        """Return the outcome of having seen `names`."""
        names = list(dict.fromkeys(names))
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        values = {"count": len(names), "names": names[:10]}
        if not names:
            return Outcome(False, f"{self.name} lists no {what}", values)
        return Outcome(True, f"{len(names):,} {what}{'s' * (len(names) > 1)}: {shown}", values)

    def _sample(self) -> _Sample:
        before, started = time.time(), time.perf_counter()
        response = self.send("GET", self.time_path)
        seconds = time.perf_counter() - started
        stream = response.extensions.get("network_stream")
        tls = stream.get_extra_info("ssl_object") if stream else None
        self._tls = f", {tls.version()}" if tls else ""
        if response.status_code >= 500 or (self.time_path and response.status_code != 200):
            raise Failed(refusal(response))
        if self.time_path:
            try:
                told, coarse = self.told_time(response.json())
            except (ValueError, KeyError, TypeError, IndexError, AttributeError):
                said = quoted(response.text)
                raise Failed(f"{self.base} answers, but not as {self.name} does: {said}") from None
        elif "Date" in response.headers:
            self._clock_source = ", from the Date of its answer"
            told, coarse = parsedate_to_datetime(response.headers["Date"]).timestamp(), 1.0
        else:
            return _Sample(seconds, None, 0.0)
        # A time in whole seconds is cut off, so half a second early on average.
        offset = before + seconds / 2 - (told + coarse / 2)
        return _Sample(seconds, offset, seconds / 2 + coarse / 2)


def refusal(response: httpx.Response) -> str:
    """Say what an answer other than 200 is."""
    location = response.headers.get("Location")
    told = f"to {location}" if location else quoted(response.text)
    return f"HTTP {response.status_code} {response.reason_phrase}: {told or 'no reason is given'}"


def quoted(text: str) -> str:
    """Return the beginning of an answer, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED else f"{line[:_QUOTED]}..."


def words(error: BaseException, address: str) -> str:
    """Say in words why a step failed.

    Parameters
    ----------
    error
        What a library raised.
    address
        Whom it was talking to.

    """
    if isinstance(error, Failed | WorkbenchError):
        return "; ".join(str(error).splitlines())
    causes: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in causes:
        causes.append(link)
        link = link.__cause__ or link.__context__
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {address} is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS with {address} fails: {cause.reason or cause}"
        if isinstance(cause, socket.gaierror):
            return f"the name in {address} cannot be resolved: {cause.strerror}"
        if isinstance(cause, ConnectionRefusedError):
            return f"{address} refuses the connection: nothing listens there"
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection to {address} in time"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return f"{address} took the connection and does not answer"
    if isinstance(error, UnicodeEncodeError | httpx.LocalProtocolError):
        return "a credential holds characters that cannot be sent: was it stored whole?"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | ConnectionError):
        return f"{address} breaks the connection off: {error}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def duration(seconds: float) -> str:
    """Write a time as people read it."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
