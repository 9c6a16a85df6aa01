"""What can be asked over HTTP, what it allows, and how its answers are to be taken."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from workbench.core.errors import InputError


class TooMany(Exception):  # noqa: N818 - a wish of the service
    """The service asks to be left alone for a while.

    Parameters
    ----------
    reason
        In its words.
    seconds
        How long; None where it does not say.

    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Trouble(Exception):  # noqa: N818
    """An answer that may be right the next time: an error of the server, a body that was cut."""


class Refused(Exception):  # noqa: N818
    """An answer that stays the same: there is no such symbol, the address is not served.

    Parameters
    ----------
    reason
        In the service's words.
    code
        Its own code of the reason, empty where there is none.

    """

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.code = code


class Limit:
    """At most so much in any window of time, whoever asks in this process.

    Parameters
    ----------
    most
        Requests, or units of weight where a service counts those.
    seconds
        Length of the window.

    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self._spent: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def book(self, weight: int) -> float:
        """Book `weight` and return 0, or return the seconds after which to ask again."""
        with self._lock:
            now = time.monotonic()
            self._forget(now)
            free = self.most - sum(spent for _, spent in self._spent)
            if weight <= free or not self._spent:
                self._spent.append((now, weight))
                return 0.0
            # When enough of the oldest has passed.
            passed = itertools.accumulate((spent for _, spent in self._spent), initial=free)
            enough = sum(1 for room in passed if room < weight)
            moment = self._spent[min(enough, len(self._spent)) - 1][0]
            return moment + self.seconds - now

    def told(self, used: int) -> None:
        """Take over what the service says has been used, by others at this address too."""
        with self._lock:
            now = time.monotonic()
            self._forget(now)
            unknown = used - sum(spent for _, spent in self._spent)
            if unknown > 0:
                self._spent.append((now, unknown))

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now - self.seconds:
            self._spent.popleft()


@dataclass(frozen=True)
class Service:
    """Where and how to ask.

    Attributes
    ----------
    name
        For messages.
    variable
        The environment variable that replaces the address.
    address
        Its own one.
    limit
        What it allows.
    decode
        Makes an answer of status, headers and body; raises `TooMany`, `Trouble` or `Refused`. It is
        handed neither errors of the server nor redirections.
    used
        The header that tells how much of the limit is used, empty where none does.

    """

    name: str
    variable: str
    address: str
    limit: Limit
    decode: Callable[[int, Mapping[str, str], bytes], Any]
    used: str = ""

    @property
    def url(self) -> str:
        """The address to ask, without a slash at its end.

        Raises
        ------
        InputError
            If the environment names none that could be one.

        """
        given = os.environ.get(self.variable, "")
        if given and not given.startswith(("https://", "http://")):
            message = f"{self.variable} is an address such as {self.address}, found '{given}'"
            raise InputError(message)
        try:
            urlsplit(given).port  # noqa: B018  # it is read only here
        except ValueError as error:
            raise InputError(f"{self.variable}: {error}") from None
        return (given or self.address).rstrip("/")


def parsed(body: bytes) -> Any:
    """Read JSON; numbers with a fraction stay exact.

    Raises
    ------
    Trouble
        If it is something else.

    """
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError:
        pass
    start = body[:200].lstrip().lower()
    if not start:
        raise Trouble("an empty answer")
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<body")):
        raise Trouble("a web page instead of data (a login page of the network, or a proxy?)")
    raise Trouble("an answer that is no JSON (cut short?)")
