"""Credentials of adapters: kept by the operating system or encrypted, never in a project.

A credential belongs to an adapter and to an environment (``live``, ``testnet``, ``demo``). Nothing
here falls back from one environment to another: a study for the testnet cannot reach a live key.

Where a value comes from, in this order:

1. the variable ``WORKBENCH_SECRET_<ADAPTER>_<ENVIRONMENT>_<FIELD>``, for continuous integration;
2. the OS keyring, where the session has one; else the encrypted file in the user's config folder
   (``WORKBENCH_SECRETS_FILE`` names another file, which is then used even beside a keyring).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench.adapters import registry
from workbench.adapters.redaction import Secret, child_environment, redact, redacting
from workbench.adapters.vault import (
    Document,
    EncryptedFile,
    LockedError,
    Store,
    config_folder,
    os_keyring,
)
from workbench.core.errors import InputError, choices, nearest
from workbench.core.files import locked

__all__ = [
    "ENVIRONMENTS",
    "Entry",
    "LockedError",
    "Secret",
    "child_environment",
    "get",
    "list_",
    "redact",
    "redacting",
    "remove",
    "require",
    "set_",
    "set_fields",
    "unlock",
    "waits",
]

ENVIRONMENTS = ("live", "testnet", "demo")

_PREFIX = "WORKBENCH_SECRET_"
_REFERENCE = re.compile(rf"{_PREFIX}([A-Z0-9_]+?)_({'|'.join(ENVIRONMENTS).upper()})_([A-Z0-9_]+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored credential, without its value.

    Attributes
    ----------
    adapter, environment, field
        What it is: ``bybit``, ``testnet``, ``api_key``.
    where
        Where it is kept, in words.

    """

    adapter: str
    environment: str
    field: str
    where: str


def set_(adapter: str, environment: str, field: str, value: str) -> Entry:
    """Store one credential, in place of the one that was stored.

    Parameters
    ----------
    adapter, environment, field
        What it is: ``bybit``, ``testnet``, ``api_key``.
    value
        The credential itself.

    Raises
    ------
    InputError
        If a name is not known, the value is empty or has space around it, or the passphrase of
        the encrypted file is wrong.

    """
    return set_fields(adapter, environment, {field: value})[0]


def set_fields(adapter: str, environment: str, values: Mapping[str, str]) -> list[Entry]:
    """Store several credentials of one adapter, all of them or none.

    Raises
    ------
    InputError
        As `set_`.

    """
    for field, value in values.items():
        check_names(adapter, environment, field)
        if not value:
            raise InputError(f"the value of {field} is empty: nothing was stored")
        if value != value.strip():
            message = "begins or ends with a space or a line break: nothing was stored"
            raise InputError(f"the value of {field} {message}")
        if not _legible(value):
            message = "holds a character that no key has: nothing was stored"
            raise InputError(f"the value of {field} {message}")
    with _changing() as (document, store):
        kept = document.setdefault(adapter, {}).setdefault(environment, {})
        kept.update({field: _plain(value) for field, value in values.items()})
    return [Entry(adapter, environment, field, store.where) for field in values]


def get(adapter: str, environment: str) -> dict[str, Secret]:
    """Return every credential known of an adapter in an environment, by field; none is ``{}``.

    Raises
    ------
    LockedError
        If the encrypted file needs a passphrase and there is nobody to ask.
    InputError
        If the environment is not known or the passphrase is wrong.

    """
    _check_environment(environment)
    found = dict(_store().read().get(adapter, {}).get(environment, {}))
    found |= {entry.field: value for entry, value in _references(adapter, environment)}
    return {field: Secret(value) for field, value in found.items()}


def waits() -> str:
    """Say which store waits for a passphrase, for those who cannot be asked for it; else empty."""
    store = _store()
    return store.where if store.locked else ""


def unlock(passphrase: str) -> None:
    """Open the store with its passphrase, or choose that of a new one; for this process's life.

    Raises
    ------
    InputError
        If it is wrong, or too short for a new one.

    """
    _store().open(passphrase)


def require(adapter: str, environment: str, fields: Iterable[str]) -> dict[str, Secret]:
    """Return the credentials `fields`, or say which are missing and how to store them.

    The store is not opened where the process's environment has them all.

    Raises
    ------
    InputError
        If one is missing, or as `get`.

    """
    wanted = list(fields)
    _check_environment(environment)
    given = {entry.field: Secret(value) for entry, value in _references(adapter, environment)}
    found = given if set(wanted) <= set(given) else get(adapter, environment)
    missing = [field for field in wanted if field not in found]
    if missing:
        # One with no field asks for each in turn.
        field = f" {missing[0]}" if len(missing) == 1 else ""
        raise InputError(
            f"no {' and no '.join(missing)} stored for {adapter} ({environment}). "
            f"Store it: workbench secrets set {adapter}{field} --environment {environment}; "
            f"or set {reference(adapter, environment, missing[0])}"
        )
    return {field: found[field] for field in wanted}


def list_() -> list[Entry]:
    """Return what is stored, sorted, without values.

    A credential that both a variable and the store have is listed once, with the variable: that
    is the one which is used.

    Raises
    ------
    InputError
        If the encrypted file cannot be opened.

    """
    store = _store()
    entries = {(e.adapter, e.environment, e.field): e for e in _entries(store)}
    entries |= {(e.adapter, e.environment, e.field): e for e, _ in _references()}
    return [entries[key] for key in sorted(entries)]


def remove(adapter: str, environment: str, field: str | None = None) -> list[Entry]:
    """Remove one credential, or all of an adapter in an environment; return what was removed.

    Raises
    ------
    InputError
        If there is no such credential, or it comes from a variable.

    """
    _check_environment(environment)
    with _changing() as (document, store):
        kept = document.get(adapter, {}).get(environment, {})
        names = sorted(kept) if field is None else [name for name in kept if name == field]
        if not names:
            raise InputError(_nothing(adapter, environment, field, document))
        for name in names:
            del kept[name]
        document[adapter] = {key: fields for key, fields in document[adapter].items() if fields}
        if not document[adapter]:
            del document[adapter]
    return [Entry(adapter, environment, name, store.where) for name in names]


def reference(adapter: str, environment: str, field: str) -> str:
    """Return the name of the variable that holds this credential where it is set."""
    return f"{_PREFIX}{adapter}_{environment}_{field}".upper()


def _nothing(adapter: str, environment: str, field: str | None, document: Document) -> str:
    for entry, _ in _references(adapter, environment):
        if field in (None, entry.field):
            return f"{entry.field} of {adapter} comes from the {entry.where}: unset that"
    what = f"{field} of {adapter}" if field else f"credential of {adapter}"
    stored = [f"{name} {key}" for name, environments in document.items() for key in environments]
    near = nearest(f"{adapter} {environment}", stored)
    stored_now = ", ".join(stored) or "nothing"
    hint = f"Did you mean '{near}'? " if near and field is None else ""
    return f"no {what} is stored for {environment}. {hint}Stored: {stored_now}"


def check_names(adapter: str, environment: str, field: str | None = None) -> None:
    """Check that there is such a credential, before anybody is asked for it.

    Raises
    ------
    InputError
        If the adapter, the environment or the field is not known, or it takes no credentials.

    """
    allowed = credential_fields(adapter)
    if not allowed:
        raise InputError(f"{adapter} takes no credentials")
    check_environment(adapter, environment)
    if field is not None and field not in allowed:
        # What was found is not repeated: it may be the key itself, in the wrong place.
        raise InputError(f"{adapter} has no such credential. {choices(field, allowed)}")


def check_environment(adapter: str, environment: str) -> None:
    """Check that the adapter's venue has such an environment.

    Raises
    ------
    InputError
        If there is no such adapter or environment.

    """
    _check_environment(environment)
    reachable = registry.show(adapter).environments
    if environment not in reachable:
        message = f"{adapter} has no environment '{environment}'. {choices(environment, reachable)}"
        raise InputError(message)


def _check_environment(environment: str) -> None:
    if environment not in ENVIRONMENTS:
        message = f"unknown environment '{environment}'. {choices(environment, ENVIRONMENTS)}"
        raise InputError(message)


def credential_fields(adapter: str) -> list[str]:
    """Return the names of the credentials an adapter takes.

    Raises
    ------
    InputError
        If there is no such adapter.

    """
    return list(registry.show(adapter).credentials)


def _legible(value: str) -> bool:
    # A private key in PEM has lines; bytes that are no text cannot be sent to any venue.
    return "".join(value.splitlines()).isprintable()


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _store() -> Store:
    named = os.environ.get("WORKBENCH_SECRETS_FILE")
    if named:
        return EncryptedFile(Path(named))
    return os_keyring() or EncryptedFile(config_folder() / "secrets.json")


@contextmanager
def _changing() -> Iterator[tuple[Document, Store]]:
    """Yield the document; what the block made of it is kept, unless it raises."""
    store = _store()
    store.unlock()
    store.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(store.lock, timeout=30.0, what="the store of secrets"):
        document = store.read()
        yield document, store
        store.write(document)


def _entries(store: Store) -> Iterator[Entry]:
    for adapter, environments in store.read().items():
        for environment, fields in environments.items():
            for field in fields:
                yield Entry(adapter, environment, field, store.where)


def _references(
    adapter: str | None = None, environment: str | None = None
) -> Iterator[tuple[Entry, str]]:
    """Yield the credentials that variables hold; one that is set but empty holds none."""
    for name, value in os.environ.items():
        match = _REFERENCE.fullmatch(name)
        if match and value:
            if not _legible(value):
                raise InputError(f"the variable {name} holds a character that no key has")
            owner, place, field = (part.lower() for part in match.groups())
            if adapter in (None, owner) and environment in (None, place):
                yield Entry(owner, place, field, f"variable {name}"), value
