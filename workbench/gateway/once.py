"""Calls that are made once however often they are asked for: ``Idempotency-Key``.

An answer is stored, on the disk, before it is sent; who asks again with the same key gets that
answer. What a call was is kept with it, so that a key cannot be used for another. A key belongs to
a token, and is kept for a week.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.responses import Response

from workbench.core.errors import DataError
from workbench.core.files import make_folder
from workbench.core.project import Project
from workbench.gateway.problems import Json, Problem
from workbench.gateway.rooms import Rooms

_KEPT_SECONDS = 7 * 86_400
_LONGEST = 200
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    token TEXT NOT NULL, key TEXT NOT NULL, call TEXT NOT NULL, at REAL NOT NULL,
    status INTEGER, body BLOB, PRIMARY KEY (token, key)
) WITHOUT ROWID;
"""

type Answered = tuple[int, dict[str, Any]]


class Once:
    """The calls of a project's gateway that were made with a key.

    Parameters
    ----------
    project
        Whose ``.gateway/calls.sqlite`` it is.
    rooms
        Where the file is written.

    """

    def __init__(self, project: Project, rooms: Rooms) -> None:
        self.path: Path = project.gateway / "calls.sqlite"
        self._rooms = rooms
        self._under_way: set[tuple[str, str]] = set()
        self._guard = threading.Lock()
        self._open: sqlite3.Connection | None = None

    async def answer(
        self, request: Request, work: Callable[[str | None, bool], Awaitable[Answered]]
    ) -> Response:
        """Return the answer of `work`, or the stored one where it was done already.

        Parameters
        ----------
        request
            Which may have an ``Idempotency-Key``.
        work
            Called with the key, in a form that names nothing else in the project, and whether the
            call was begun before and its end is not known; returns status and body. None for a
            request without a key. Only what went well is stored: after an error the same key may
            be tried again.

        """
        key = request.headers.get("idempotency-key")
        if key is None:
            status, body = await work(None, False)
            return Json(body, status)
        if not 1 <= len(key) <= _LONGEST or not key.isprintable() or not key.isascii():
            message = f"an Idempotency-Key has 1 to {_LONGEST} printable characters"
            raise Problem(400, message, "idempotency")
        token: str = request.state.token.id
        place = (token, key)
        if place in self._under_way:
            message = "the first call with this Idempotency-Key is still under way"
            raise Problem(409, message, "under-way", headers={"Retry-After": "1"})
        self._under_way.add(place)
        try:
            call = _fingerprint(request, await request.body())
            begun = await self._rooms.run(self._begin, place, call)
            if begun and begun[1] is not None:
                headers = {"Idempotency-Replayed": "true"}
                return Response(begun[1], begun[0] or 200, headers, "application/json")
            named = hashlib.sha256(f"{token}\0{key}".encode()).hexdigest()[:24]
            status, body = await work(named, begun is not None)
            response = Json(body, status)
            await self._rooms.run(self._finish, place, status, bytes(response.body))
            return response
        finally:
            self._under_way.discard(place)

    def close(self) -> None:
        """Let go of the file."""
        with self._guard:
            if self._open is not None:
                self._open.close()
                self._open = None

    def _begin(self, place: tuple[str, str], call: str) -> tuple[int | None, bytes | None] | None:
        """Note a call; return what is known of it from before, None if nothing is."""
        query = "SELECT call, status, body FROM calls WHERE token = ? AND key = ?"
        with self._guard:
            try:
                row = self._database().execute(query, place).fetchone()
                if row is None:
                    # This need not outlast a power cut: what it announces would not either.
                    self._database().execute("PRAGMA synchronous = NORMAL")
                    self._database().execute(
                        "INSERT INTO calls (token, key, call, at) VALUES (?, ?, ?, ?)",
                        (*place, call, time.time()),
                    )
                    return None
            except sqlite3.DatabaseError as error:
                raise DataError(f"{self.path} cannot be used: {error}") from None
        if row[0] != call:
            message = "this Idempotency-Key was used for another call: take a new one"
            raise Problem(422, message, "idempotency")
        return row[1], row[2]

    def _finish(self, place: tuple[str, str], status: int, body: bytes) -> None:
        update = "UPDATE calls SET status = ?, body = ? WHERE token = ? AND key = ?"
        with self._guard:
            try:
                self._database().execute("PRAGMA synchronous = FULL")
                self._database().execute(update, (status, body, *place))
            except sqlite3.DatabaseError as error:
                raise DataError(f"{self.path} cannot be used: {error}") from None

    def _database(self) -> sqlite3.Connection:
        if self._open is None:
            make_folder(self.path.parent)
            found = sqlite3.connect(
                self.path, timeout=10, isolation_level=None, check_same_thread=False
            )
            self.path.chmod(0o600)
            found.execute("PRAGMA journal_mode = WAL")
            found.executescript(_SCHEMA)
            found.execute("DELETE FROM calls WHERE at < ?", (time.time() - _KEPT_SECONDS,))
            self._open = found
        return self._open


def _fingerprint(request: Request, body: bytes) -> str:
    what = json.dumps([request.method, request.url.path, request.url.query]).encode()
    return hashlib.sha256(what + b"\0" + body).hexdigest()
