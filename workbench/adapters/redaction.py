"""Secrets as values that do not show, and texts from which they are taken out."""

from __future__ import annotations

import base64
import json
import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Never
from urllib.parse import quote, quote_plus

from workbench.core.errors import InputError, WorkbenchError

MASK = "********"
# Shorter than this a value is no secret, and masking it would garble the text around it.
_SHORTEST = 4
# A part of a key as long as this is masked too: errors cut what they quote.
_PART = 8
# What a child needs of our environment. Everything else stays here: our passphrase, our
# references, and the variables in which NautilusTrader looks for keys when it is given none
# (BYBIT_API_KEY): a check of the testnet would find the live key there.
_INHERITED = frozenset(
    {
        "ALL_PROXY", "CURL_CA_BUNDLE", "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LANGUAGE",
        "LD_LIBRARY_PATH", "LOGNAME", "NO_PROXY", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME",
        "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONUTF8", "REQUESTS_CA_BUNDLE", "SHELL",
        "SSL_CERT_DIR", "SSL_CERT_FILE", "TERM", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
    }
)  # fmt: skip
_INHERITED_PREFIXES = ("LC_", "WORKBENCH_URL_")


class Secret:
    """A value that shows as ``********`` wherever it is printed, logged or formatted.

    It cannot be pickled or written as JSON, has no length and compares only with itself. `reveal`
    is the one way to the value: call it where the value is handed to a client, not before.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a secret is not pickled: it would be written or sent in plain text")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


type Secrets = Iterable[Secret | str] | Mapping[str, Secret | str]


def _forms(value: str) -> Iterator[str]:
    """Yield `value` as it may stand in a URL, in JSON, in a Python text, in a header."""
    yield value
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="")
    yield quote_plus(value)
    # As user name or password of basic authentication it stands at any of three offsets; the
    # first and last characters of each depend on their neighbours.
    for offset in range(3):
        encoded = base64.b64encode(b" " * offset + value.encode()).decode().rstrip("=")
        yield encoded[(0, 2, 3)[offset] : -1]
    if "\n" in value:
        yield from (line for line in value.splitlines() if len(line) >= 2 * _PART)


def redact(text: str, secrets: Secrets) -> str:
    """Return `text` with every secret replaced by ``********``.

    Encoded forms (URL, JSON, base64) are found too, and so are the beginning and the end of a
    secret from 8 characters on, since errors cut what they quote.

    Parameters
    ----------
    text
        What is about to be shown, logged or raised.
    secrets
        The values, or a mapping whose values they are.

    """
    values = {value for value in _plain(secrets) if len(value) >= _SHORTEST}
    parts = {part for value in values for form in _forms(value) for part in _parts(form)}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, MASK)
    return text


def _parts(form: str) -> Iterator[str]:
    yield form
    for size in range(_PART, len(form)):
        yield form[:size]
        yield form[-size:]


def _plain(secrets: Secrets) -> Iterator[str]:
    for value in secrets.values() if isinstance(secrets, Mapping) else secrets:
        yield value.reveal() if isinstance(value, Secret) else value


@contextmanager
def redacting(secrets: Secrets) -> Iterator[None]:
    """Let no exception out of the block that quotes a secret.

    One that does is replaced by a `WorkbenchError` (an `InputError` stays one) with the redacted
    text; its cause and context, which quote it too, are dropped.

    Raises
    ------
    WorkbenchError
        In place of an exception whose text holds a secret.

    """
    secrets = tuple(_plain(secrets))
    try:
        yield
    except Exception as error:
        printed = "".join(traceback.format_exception(error))  # with what it came from, and notes
        if redact(printed, secrets) == printed:
            raise
        kind = InputError if isinstance(error, InputError) else WorkbenchError
        name = "" if isinstance(error, WorkbenchError) else f"{type(error).__name__}: "
        raise kind(redact(f"{name}{error}", secrets)) from None


def child_environment(**more: str) -> dict[str, str]:
    """Return the environment for a child that is handed credentials through a pipe.

    It holds what programs need to run (paths, language, proxies, certificates) and the
    ``WORKBENCH_URL_*`` addresses, and no variable that may hold a key.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    return kept | more
