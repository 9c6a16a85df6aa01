"""Who may use the gateway: tokens with scopes, an end and a way to revoke them.

``.gateway/tokens.json`` (readable by its owner only) holds the SHA-256 of each token, never the
token: it is shown once, when it is made. A running gateway looks at the file before each request,
so that a revoked token is refused from the next request on. A token is 256 random bits, so one
round of SHA-256 is as hard to turn back as many.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbench.core.errors import DataError, InputError, Issue, choices
from workbench.core.files import locked, write_bytes
from workbench.core.project import Project

SCOPES = ("read", "research", "trade", "admin")
"""What a token may do; ``research`` and ``trade`` include ``read``, ``admin`` includes all."""

DEFAULT_DAYS = 90
MOST_DAYS = 3_650

_PREFIX = "ntw"
_TEXT = re.compile(r"ntw_[0-9a-f]{12}_[0-9a-f]{64}")
_INCLUDED = {
    "read": {"read"},
    "research": {"read", "research"},
    "trade": {"read", "trade"},
    "admin": set(SCOPES),
}


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the store knows it, without its secret.

    Attributes
    ----------
    id, name
        Which, and whose or what for.
    scopes
        As they were granted.
    created, expires
        ISO 8601 in UTC; `expires` is None for one that is good until it is revoked.
    revoked
        When, None while it is good.

    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created: str
    expires: str | None
    revoked: str | None = None

    @property
    def allowed(self) -> frozenset[str]:
        """Every scope it has, those included in others too."""
        return frozenset().union(*(_INCLUDED[scope] for scope in self.scopes))

    @property
    def expired(self) -> bool:
        """Whether its time has passed."""
        return self.expires is not None and dt.datetime.fromisoformat(self.expires) <= _now()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values, with its ``state``."""
        state = "revoked" if self.revoked else "expired" if self.expired else "active"
        return asdict(self) | {"scopes": list(self.scopes), "state": state}


class Refused(InputError):  # noqa: N818 - what the door says
    """A token lets nobody in; the message says why."""


class Tokens:
    """The tokens of a project's gateway.

    Parameters
    ----------
    project
        Whose ``.gateway/tokens.json`` it is.

    """

    def __init__(self, project: Project) -> None:
        self.path = project.gateway / "tokens.json"
        self._lock = project.gateway / "locks" / "tokens.lock"
        self._guard = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[str, tuple[Token, str]] = {}
        self._passing: dict[str, tuple[Token, str]] = {}

    def create(
        self, name: str, scopes: Iterable[str], *, days: float | None = DEFAULT_DAYS
    ) -> tuple[Token, str]:
        """Make a token; return it and its text, which is kept nowhere.

        Parameters
        ----------
        name
            Whose it is or what it is for: it stands in the audit log and in the nodes' journals.
        scopes
            Some of `SCOPES`.
        days
            How long it is good; None until it is revoked.

        Raises
        ------
        InputError
            If a scope is not known, or name or time make no sense.

        """
        token, text = _new(name, scopes, days)
        with locked(self._lock, what="the tokens"):
            known = self._read()
            known[token.id] = (token, _digest(text))
            self._write(known)
        return token, text

    def passing(self, name: str, text: str | None = None) -> tuple[Token, str]:
        """Make a token for everything that lives in this process only, and is written nowhere.

        Parameters
        ----------
        name
            As for `create`.
        text
            The token, where whoever started this process has chosen it.

        Raises
        ------
        InputError
            If `text` is none.

        """
        token, made = _new(name, ["admin"], None)
        if text is not None:
            if not _TEXT.fullmatch(text):
                raise InputError("the token this process was started with is none")
            token, made = replace(token, id=text.split("_")[1]), text
        self._passing[token.id] = (token, _digest(made))
        return token, made

    def list_(self) -> list[Token]:
        """Return every token of the store, oldest first, those that are no longer good too."""
        return [token for token, _ in self._read().values()]

    def revoke(self, name: str) -> list[Token]:
        """Revoke the token with this id, or all good ones of this name; return them.

        Raises
        ------
        InputError
            If there is none.

        """
        with locked(self._lock, what="the tokens"):
            known = self._read()
            found = [t for t, _ in known.values() if name in (t.id, t.name) and not t.revoked]
            if not found:
                good = [token.id for token, _ in known.values() if not token.revoked]
                raise InputError(Issue(f"no token '{name}' to revoke. {choices(name, good)}"))
            now = _now().isoformat(timespec="seconds")
            for token in found:
                known[token.id] = (replace(token, revoked=now), known[token.id][1])
            self._write(known)
            return [known[token.id][0] for token in found]

    def verify(self, text: str) -> Token:
        """Return the token that `text` is.

        Raises
        ------
        Refused
            If it is none, or no longer good.

        """
        parts = text.split("_")
        name = parts[1] if len(parts) == 3 and parts[0] == _PREFIX else ""
        known = self._passing.get(name) or self._current().get(name)
        # Always compared, so that the time taken does not tell which ids there are.
        given, wanted = _digest(text), known[1] if known else "0" * 64
        if not hmac.compare_digest(given, wanted) or known is None:
            raise Refused("the token is not known")
        token = known[0]
        if token.revoked:
            raise Refused("the token has been revoked")
        if token.expired:
            raise Refused(f"the token expired at {token.expires}")
        return token

    def good(self, token: Token) -> bool:
        """Whether a token that was verified before is good still."""
        known = self._passing.get(token.id) or self._current().get(token.id)
        return known is not None and not known[0].revoked and not known[0].expired

    def _current(self) -> dict[str, tuple[Token, str]]:
        """Return the store's tokens, read again if the file is another."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return {}
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        with self._guard:
            if seen != self._seen:
                self._known = self._read()
                self._seen = seen
            return self._known

    def _read(self) -> dict[str, tuple[Token, str]]:
        try:
            document = json.loads(self.path.read_bytes())
            entries = [dict(entry) for entry in document["tokens"]]
            found = [(entry.pop("sha256"), entry) for entry in entries]
            return {
                entry["id"]: (Token(**entry | {"scopes": tuple(entry["scopes"])}), digest)
                for digest, entry in found
            }
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.path} is damaged: {error!r}") from None

    def _write(self, known: Mapping[str, tuple[Token, str]]) -> None:
        entries = [asdict(token) | {"sha256": digest} for token, digest in known.values()]
        content = json.dumps({"tokens": entries}, indent=1).encode()
        write_bytes(self.path, content, mode=0o600)


def _new(name: str, scopes: Iterable[str], days: float | None) -> tuple[Token, str]:
    granted = tuple(scope for scope in SCOPES if scope in (wanted := list(scopes)))
    for scope in wanted:
        if scope not in SCOPES:
            raise InputError(Issue(f"unknown scope '{scope}'. {choices(scope, SCOPES)}", "scopes"))
    if not granted:
        raise InputError(Issue(f"a token has one scope or more: {', '.join(SCOPES)}", "scopes"))
    if not (1 <= len(name) <= 64 and name.isprintable() and name.isascii() and name.strip()):
        raise InputError(Issue("a name is 1 to 64 printable characters", "name"))
    if days is not None and not 0 < days <= MOST_DAYS:
        raise InputError(Issue(f"a token is good for up to {MOST_DAYS} days, found {days}", "days"))
    end = None if days is None else _now() + dt.timedelta(days=days)
    token = Token(
        id=secrets.token_hex(6),
        name=name,
        scopes=granted,
        created=_now().isoformat(timespec="seconds"),
        expires=end.isoformat(timespec="seconds") if end else None,
    )
    return token, f"{_PREFIX}_{token.id}_{os.urandom(32).hex()}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
