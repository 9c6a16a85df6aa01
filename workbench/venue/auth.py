"""Who may trade: practice keys, and the signatures that Bybit asks for.

A practice key begins with ``practice-``. The venue takes no other, so that nobody hands it a real
one, and a launcher can refuse such a key for any other place.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import InputError
from workbench.venue.model import Refusal

PREFIX = "practice-"
RECV_WINDOW = 5_000
_LONGEST_WINDOW = 60_000


@dataclass(frozen=True, slots=True)
class Keys:
    """A key and its secret."""

    key: str
    secret: str

    @classmethod
    def new(cls) -> Keys:
        """Make a pair nobody knows."""
        return cls(PREFIX + secrets.token_hex(8), secrets.token_hex(18))

    @classmethod
    def given(cls, key: str | None, secret: str | None) -> Keys:
        """Take a pair, or make one if neither is given.

        Raises
        ------
        InputError
            If one is missing, or the key may be a real one.

        """
        if key is None and secret is None:
            return cls.new()
        if not key or not secret:
            raise InputError("a practice key needs its secret, and a secret its key: give both")
        if not key.startswith(PREFIX):
            raise InputError(
                f"a practice key begins with '{PREFIX}': a real one must never be handed to the "
                "practice venue"
            )
        return cls(key, secret)

    def __repr__(self) -> str:
        return f"Keys({self.key!r}, ********)"

    def signature(self, text: str) -> str:
        """Return the HMAC-SHA256 of a text, in hexadecimal digits."""
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def check_request(headers: Mapping[str, str], payload: str, keys: Keys, now: int) -> None:
    """Check a request over HTTP.

    Parameters
    ----------
    headers
        Its headers.
    payload
        The query string of a GET, the body of a POST.
    keys
        Those of the account.
    now
        UNIX milliseconds.

    Raises
    ------
    Refusal
        10001 without credentials, 10003 for another key, 10004 for a wrong signature, 10002 for
        a time outside the window.

    """
    key, stamp = headers.get("X-BAPI-API-KEY", ""), headers.get("X-BAPI-TIMESTAMP", "")
    given = headers.get("X-BAPI-SIGN", "")
    window = headers.get("X-BAPI-RECV-WINDOW", "")
    if not key or not stamp or not given:
        message = f"empty value: apiTimestamp[{stamp[:20]}] apiKey[{key[:40]}] apiSignature[]"
        raise Refusal(10001, message)
    _check_key(key, keys)
    check_time(stamp, window, now)
    wanted = keys.signature(f"{stamp}{key}{window}{payload}")
    if not hmac.compare_digest(wanted.encode(), given.lower().encode()):
        origin = f"{stamp}{key}{window}{payload}"[:300]
        raise Refusal(
            10004,
            "error sign! please check your signature generation algorithm. "
            f"origin_string[{origin}]",
        )


def check_time(stamp: str, window: str, now: int) -> None:
    """Refuse a time stamp outside ``now - window <= stamp < now + 1000``, milliseconds."""
    width = int(window) if window.isascii() and window.isdigit() else RECV_WINDOW
    width = min(width, _LONGEST_WINDOW)
    good = stamp.isascii() and stamp.isdigit() and len(stamp) < 20
    if not good or not now - width <= int(stamp) < now + 1_000:
        raise Refusal(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp[:20]}],server_timestamp[{now}],recv_window[{width}]",
        )


def check_socket(args: Any, keys: Keys, now: int) -> None:
    """Check the arguments of a socket's ``auth``: key, expiry and signature.

    Raises
    ------
    Refusal
        See `check_request`.

    """
    if not isinstance(args, list) or len(args) != 3:
        raise Refusal(10001, "Params Error: args of auth are key, expires and signature")
    key, expires, given = args
    _check_key(str(key), keys)
    moment = str(expires)
    if not (moment.isascii() and moment.isdigit() and len(moment) < 20 and int(moment) > now):
        raise Refusal(10004, f"Request expired: expires[{moment[:20]}] now[{now}]")
    if not hmac.compare_digest(
        keys.signature(f"GET/realtime{moment}").encode(), str(given).lower().encode()
    ):
        raise Refusal(10004, "Error sign, please check your signature generation algorithm.")


def _check_key(key: str, keys: Keys) -> None:
    if not hmac.compare_digest(key.encode(), keys.key.encode()):
        raise Refusal(10003, "API key is invalid.")
