"""Where secrets are kept: the operating system's keyring, or an encrypted file.

Both keep one document, ``{adapter: {environment: {field: value}}}``, whole.
"""

from __future__ import annotations

import base64
import functools
import getpass
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Protocol

from workbench.adapters.redaction import redact
from workbench.core.errors import DataError, InputError, WorkbenchError
from workbench.core.files import write_bytes

type Document = dict[str, dict[str, dict[str, str]]]

SERVICE = "nt-workbench"
_ENTRY = "credentials"
_FORMAT = "nt-workbench secrets"
# scrypt with 128 MiB, as OWASP recommends for passwords.
_COST = {"n": 2**17, "r": 8, "p": 1}
# What a file may ask of us at most: a file that was tampered with must not take all memory.
_MOST = {"n": 2**20, "r": 32, "p": 16}
_MOST_BYTES = 2**30
_SHORTEST_PASSPHRASE = 8

# Passphrases that opened a file in this process, so that each is asked for once.
_known: dict[Path, str] = {}


def config_folder() -> Path:
    """Return the folder of this user's configuration of the workbench."""
    import platformdirs

    return platformdirs.user_config_path(SERVICE)


class LockedError(InputError):
    """The encrypted file needs a passphrase and there is nobody to ask."""


class Store(Protocol):
    """A place that keeps the document.

    Attributes
    ----------
    where
        The place in words, for `list_` and messages.
    lock
        The lock file that whoever changes it holds.

    """

    where: str
    lock: Path

    def unlock(self) -> None:
        """Ask for what opening it needs, so that nobody is asked while a lock is held."""

    @property
    def locked(self) -> bool:
        """Whether somebody would be asked."""

    def open(self, passphrase: str) -> None:
        """Try what opening it needs, and remember it as long as this process lives."""

    def read(self) -> Document:
        """Return the document, an empty one where none was kept yet."""

    def write(self, document: Document) -> None:
        """Keep `document` in place of what was kept, whole or not at all."""


class Keyring:
    """The keyring of the operating system, through the library `keyring`."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.where = f"OS keyring ({backend.name})"
        self.lock = config_folder() / "keyring.lock"

    def unlock(self) -> None:
        """Do nothing: the system asks its user itself."""

    @property
    def locked(self) -> bool:
        """False: the system asks its user itself."""
        return False

    def open(self, passphrase: str) -> None:
        """Do nothing."""

    def read(self) -> Document:
        """Return the document."""
        try:
            text = self._backend.get_password(SERVICE, _ENTRY)
        except Exception as error:
            raise WorkbenchError(f"{self.where} cannot be read: {error}") from None
        return _parse(text, self.where) if text else {}

    def write(self, document: Document) -> None:
        """Keep `document`; an empty one is removed from the keyring."""
        try:
            if document:
                self._backend.set_password(SERVICE, _ENTRY, json.dumps(document))
            elif self._backend.get_password(SERVICE, _ENTRY) is not None:
                self._backend.delete_password(SERVICE, _ENTRY)
        except Exception as error:
            values = [v for a in document.values() for e in a.values() for v in e.values()]
            message = redact(f"{self.where} cannot be written: {error}", values)
            raise WorkbenchError(message) from None


def os_keyring() -> Keyring | None:
    """Return the system's keyring, None where there is no real one.

    A backend that the library `keyring` itself does not recommend (none, plain text) is none.

    Raises
    ------
    WorkbenchError
        If the backend that the user chose for `keyring` cannot be loaded.

    """
    import keyring

    try:
        chosen: Any = keyring.get_keyring()
    except Exception as error:
        message = f"the keyring chosen in PYTHON_KEYRING_BACKEND or keyringrc.cfg fails: {error}"
        raise WorkbenchError(message) from None
    # Where the library found several, it chains them, the best one first.
    backends = getattr(chosen, "backends", [chosen])
    real = next((backend for backend in backends if keyring.core.recommended(backend)), None)
    return Keyring(real) if real else None


class EncryptedFile:
    """A file of permissions 0600, encrypted with a key derived from a passphrase.

    It is JSON: the parameters and the salt of scrypt, and a Fernet token (AES-128 in CBC mode and
    an HMAC, so that a change of any bit is noticed) of the document.
    """

    def __init__(self, path: Path) -> None:
        # A link stays one: what it points to is replaced.
        self.path = path.expanduser().resolve()
        self.where = f"encrypted file {path}"
        self.lock = self.path.with_name(f"{self.path.name}.lock")

    def unlock(self) -> None:
        """Ask for the passphrase and try it; for a file yet to be made, ask twice."""
        if self.path.exists():
            self.read()
        else:
            self._new_passphrase()

    @property
    def locked(self) -> bool:
        """Whether the passphrase is not known yet."""
        return not (os.environ.get("WORKBENCH_PASSPHRASE") or _known.get(self.path))

    def open(self, passphrase: str) -> None:
        """Try a passphrase, or take it for the file that is yet to be made.

        Raises
        ------
        InputError
            If it is wrong, or too short for a new file.

        """
        _known[self.path] = passphrase
        try:
            if self.path.exists():
                self.read()
            else:
                self._new_passphrase()
        except WorkbenchError:
            _known.pop(self.path, None)
            raise

    def read(self) -> Document:
        """Return the document.

        Raises
        ------
        LockedError
            If there is no passphrase and nobody to ask.
        InputError
            If the passphrase is wrong.
        DataError
            If this is no file of secrets.

        """
        from cryptography.fernet import Fernet, InvalidToken

        try:
            if not self.path.is_file() and self.path.exists():  # a device may have no end
                raise DataError(f"{self.path} is no file: secrets are kept in one")
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        salt, cost, token = self._header(content)
        passphrase = self._passphrase()
        try:
            text = Fernet(_derive(passphrase, salt, **cost)).decrypt(token)
        except InvalidToken:
            _known.pop(self.path, None)
            message = f"{self.path}: wrong passphrase, or the file was changed or damaged"
            raise InputError(message) from None
        _known[self.path] = passphrase
        return _parse(text.decode(), str(self.path))

    def write(self, document: Document) -> None:
        """Keep `document`, with a fresh salt."""
        from cryptography.fernet import Fernet

        passphrase = self._passphrase() if self.path.exists() else self._new_passphrase()
        salt = os.urandom(16)
        token = Fernet(_derive(passphrase, salt, **_COST)).encrypt(json.dumps(document).encode())
        content = {
            "format": _FORMAT,
            "version": 1,
            "kdf": {"name": "scrypt", "salt": base64.b64encode(salt).decode(), **_COST},
            "token": token.decode(),
        }
        write_bytes(self.path, json.dumps(content, indent=2).encode() + b"\n", mode=0o600)
        _known[self.path] = passphrase

    def _header(self, content: bytes) -> tuple[bytes, dict[str, int], bytes]:
        try:
            header = json.loads(content)
            kdf, kind = header["kdf"], (header["format"], header["version"])
            salt = base64.b64decode(kdf["salt"], validate=True)
            cost = {name: int(kdf[name]) for name in _COST}
            token = header["token"].encode()
        except (ValueError, KeyError, TypeError, AttributeError):
            kind, salt, cost, token = ("", 0), b"", {}, b""
        if kind != (_FORMAT, 1):
            message = f"{self.path}: this is no secrets file of this workbench, or it is damaged"
            raise DataError(message)
        out = any(not 1 <= cost[name] <= most for name, most in _MOST.items())
        if out or cost["n"] * cost["r"] * 128 > _MOST_BYTES:
            raise DataError(f"{self.path}: its scrypt parameters are out of range")
        return salt, cost, token

    def _passphrase(self) -> str:
        given = os.environ.get("WORKBENCH_PASSPHRASE")
        return given or _known.get(self.path) or _ask(f"Passphrase of {self.path}: ", self.path)

    def _new_passphrase(self) -> str:
        passphrase = os.environ.get("WORKBENCH_PASSPHRASE") or _known.get(self.path)
        if not passphrase:
            passphrase = _ask(f"New passphrase for {self.path}: ", self.path)
            if passphrase != _ask("The same once more: ", self.path):
                raise InputError("the two passphrases differ: nothing was stored")
        if len(passphrase) < _SHORTEST_PASSPHRASE:
            message = f"a passphrase has at least {_SHORTEST_PASSPHRASE} characters"
            raise InputError(message)
        _known[self.path] = passphrase
        return passphrase


@functools.lru_cache(maxsize=4)
def _derive(passphrase: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    try:
        key = Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode())
    except ValueError as error:
        raise DataError(f"the scrypt parameters of the secrets file are wrong: {error}") from None
    except MemoryError:
        raise DataError("there is too little memory to open the secrets file") from None
    return base64.urlsafe_b64encode(key)


def _ask(prompt: str, path: Path) -> str:
    """Ask the person at the terminal or, in a notebook, through its input field."""
    if "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", getpass.GetPassWarning)  # it would echo
                return getpass.getpass(prompt)
        except (EOFError, OSError, NotImplementedError, getpass.GetPassWarning):
            pass
    message = f"{path} is encrypted and there is no terminal to ask for its passphrase: "
    raise LockedError(message + "set WORKBENCH_PASSPHRASE")


def _parse(text: str, where: str) -> Document:
    """Read a document that was decrypted: no error quotes it, it is full of secrets."""
    try:
        found: Document = json.loads(text)
        fields = [kept for places in found.values() for kept in places.values()]
        sound = all(isinstance(value, str) for kept in fields for value in kept.values())
    except (ValueError, AttributeError):
        sound = False
    if not sound:
        raise DataError(f"{where}: what is stored there is no document of secrets")
    return found
