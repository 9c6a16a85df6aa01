"""The run store: ``runs.sqlite`` for what is looked up, a folder of Parquet files for each run.

Contract. A run's row is made before its process is told of it, and belongs to the process that
runs it. That process and the one that started it share a lock on ``owner.lock`` in the run's
folder; the system lets go of it when both are dead. A run that says "running" whose lock is free
has lost its process and is marked failed by whoever looks first. Any process may read at any time.
What may be lost to a crash is the run in hand, never a finished one: artefacts are written aside
and renamed, then the row is committed. Whoever works on a sweep holds the lock in its folder alone.
"""

import datetime as dt
import fcntl
import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from workbench.backtest.model import FINISHED, Run
from workbench.core.errors import InputError, WorkbenchError, choices
from workbench.core.project import Project

Status = Literal["queued", "running", "done", "failed", "cancelled"]

LOCK_FILE = "owner.lock"

CANCEL_FILE = "cancel"
"""Anybody may make this file in the folder of a run or a sweep: it is cancelled."""

_JSON = ("params", "warnings", "digests", "balances", "pnl", "statistics", "study")

_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, sweep_id TEXT, notebook TEXT,
    created TEXT NOT NULL, started TEXT, finished TEXT, seconds REAL, peak_memory_mb REAL,
    progress REAL NOT NULL DEFAULT 0, error TEXT, digest TEXT, orders INTEGER, fills INTEGER,
    params TEXT NOT NULL, study TEXT NOT NULL, warnings TEXT NOT NULL DEFAULT '[]',
    digests TEXT NOT NULL DEFAULT '{}', balances TEXT NOT NULL DEFAULT '{}',
    pnl TEXT NOT NULL DEFAULT '{}', statistics TEXT NOT NULL DEFAULT '{}',
    gate TEXT
);
CREATE INDEX IF NOT EXISTS runs_by_time ON runs (created);
CREATE INDEX IF NOT EXISTS runs_by_sweep ON runs (sweep_id);
CREATE TABLE IF NOT EXISTS sweeps (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, created TEXT NOT NULL, notebook TEXT,
    study TEXT NOT NULL, points TEXT NOT NULL
);
PRAGMA user_version = 2;
"""


_LOOKING_SECONDS = 0.5
"""Whoever looks whether a lock is held holds it for a moment."""


def _bring_up(connection: sqlite3.Connection) -> None:
    """Make version 2 of version 1, where only their names told the gates' runs."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 1:  # nobody was faster
            connection.execute("ALTER TABLE runs ADD COLUMN gate TEXT")
            connection.execute(
                "UPDATE runs SET gate = 'smoke' WHERE name IN (SELECT name || '-smoke' FROM runs)"
            )
            connection.execute("PRAGMA user_version = 2")


def _locked(file: IO[bytes], kind: int) -> bool:
    """Take a lock if it is free."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def now() -> str:
    """Return the time in UTC as text, to the millisecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def new_id(name: str) -> str:
    """Return an id that sorts by time and names its study."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(3)}"


class RunStore:
    """The runs of one project.

    Parameters
    ----------
    project
        Whose runs; the store is made where there is none yet.

    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.path = project.runs / "runs.sqlite"

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one transaction."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=30)) as connection:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA journal_mode = WAL")
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    connection.executescript(_SCHEMA)
                elif version == 1:
                    _bring_up(connection)
                elif version != _VERSION:
                    message = f"the run store {self.path} is of version {version}, not {_VERSION}"
                    raise WorkbenchError(message)
                with connection:
                    yield connection
        except sqlite3.DatabaseError as error:
            message = f"the run store {self.path} cannot be used: {error}"
            raise WorkbenchError(message) from error

    def stamp(self) -> object:
        """Return something that differs once anything in the store has changed."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        found = []
        for file in files:
            with suppress(FileNotFoundError):  # a log of writes comes and goes
                seen = file.stat()
                found.append((seen.st_mtime_ns, seen.st_size))
        return found

    def folder(self, run_id: str) -> Path:
        """Return the folder of a run's artefacts."""
        return self.project.runs / run_id

    def create(
        self,
        study: Mapping[str, Any],
        *,
        params: Mapping[str, Any],
        sweep_id: str | None = None,
        notebook: str | None = None,
        gate: str | None = None,
    ) -> str:
        """Add a queued run; return its id. `gate`: the gate that makes it for itself."""
        run_id = new_id(str(study["study"]))
        self.folder(run_id).mkdir(parents=True)
        with self._database() as database:
            database.execute(
                "INSERT INTO runs "
                "(id, name, status, sweep_id, notebook, created, params, study, gate) "
                "VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                (
                    run_id, study["study"], sweep_id, notebook, now(),
                    json.dumps(dict(params), default=str), json.dumps(study), gate,
                ),
            )  # fmt: skip
        return run_id

    def update(self, run_id: str, *, unless_finished: bool = False, **values: Any) -> bool:
        """Set columns of a run; return whether it was changed.

        Parameters
        ----------
        run_id
            Which run.
        unless_finished
            Leave a run alone that is done, failed or cancelled already.
        values
            Columns by name; mappings and lists are kept as JSON.

        """
        columns = ", ".join(f"{name} = ?" for name in values)
        cells = [json.dumps(value) if name in _JSON else value for name, value in values.items()]
        condition = f" AND status NOT IN {FINISHED!r}" if unless_finished else ""
        with self._database() as database:
            cursor = database.execute(
                f"UPDATE runs SET {columns} WHERE id = ?{condition}",  # noqa: S608 - our names
                (*cells, run_id),
            )
            return cursor.rowcount > 0

    def finish(self, run_id: str, status: Status, **values: Any) -> bool:
        """Set the last status of a run that has none yet."""
        return self.update(run_id, unless_finished=True, status=status, finished=now(), **values)

    def discard(self, run_id: str) -> None:
        """Remove a run that never began: its input was refused."""
        with self._database() as database:
            database.execute("DELETE FROM runs WHERE id = ?", (run_id,))
        shutil.rmtree(self.folder(run_id), ignore_errors=True)

    def get(self, run_id: str) -> Run:
        """Return a run by id, by the unique start or end of one, or the newest for ``latest``.

        Runs that gates made for themselves are never ``latest``.

        Raises
        ------
        InputError
            If there is none such, or several.

        """
        with self._database() as database:
            if run_id == "latest":
                rows = database.execute(
                    "SELECT * FROM runs WHERE gate IS NULL "
                    "ORDER BY created DESC, rowid DESC LIMIT 1"
                ).fetchall()
            else:
                rows = database.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchall()
            if not rows and run_id:
                rows = database.execute(
                    "SELECT * FROM runs WHERE substr(id, 1, length(:part)) = :part "
                    "OR substr(id, -length(:part)) = :part LIMIT 10",
                    {"part": run_id},
                ).fetchall()
            if not rows:
                query = "SELECT id FROM runs WHERE gate IS NULL ORDER BY created DESC LIMIT 5"
                known = [row["id"] for row in database.execute(query)]
        if not rows:
            raise InputError(f"no run '{run_id}'. {choices(run_id, known)}")
        if len(rows) > 1:
            ids = ", ".join(row["id"] for row in rows)
            raise InputError(f"'{run_id}' is the start or end of several runs: {ids}")
        return self._settled(rows[0])

    def list(
        self,
        *,
        status: str | None = None,
        sweep_id: str | None = None,
        name: str | None = None,
        before: str | None = None,
        limit: int = -1,
        gates: bool = False,
    ) -> list[Run]:
        """Return runs, newest first.

        Parameters
        ----------
        status, sweep_id, name
            Only runs with this status, of this sweep, of the study of this name.
        before
            Only runs that come after the one with this id in the list: to go on where one ended.
        limit
            At most this many; -1 for all.
        gates
            Also the runs that gates made for themselves.

        """
        wanted = {"status": status, "sweep_id": sweep_id, "name": name}
        given = {column: value for column, value in wanted.items() if value is not None}
        conditions = [f"{column} = ?" for column in given]
        if not gates:
            conditions.append("gate IS NULL")
        if before is not None:
            given["before"] = before
            conditions.append("(created, rowid) < (SELECT created, rowid FROM runs WHERE id = ?)")
        where = " AND ".join(conditions) or "1"
        with self._database() as database:
            rows = database.execute(
                f"SELECT * FROM runs WHERE {where} "  # noqa: S608 - our names
                "ORDER BY created DESC, rowid DESC LIMIT ?",
                (*given.values(), limit),
            ).fetchall()
        return [self._settled(row) for row in rows]

    def _settled(self, row: sqlite3.Row) -> Run:
        """Return the run of a row; one that lost its process is marked failed first."""
        run = self._run(row)
        if run.status in ("queued", "running") and self._abandoned(run.id):
            error = "the process that ran it disappeared (killed, or the machine went down)"
            self.finish(run.id, "failed", error=error)
            with self._database() as database:
                row = database.execute("SELECT * FROM runs WHERE id = ?", (run.id,)).fetchone()
            run = self._run(row)
        return run

    def _run(self, row: sqlite3.Row) -> Run:
        values = dict(row)
        for name in _JSON:
            try:
                values[name] = json.loads(values[name])
            except ValueError:  # damaged by hand: one such row must not hide the others
                values[name] = [f"{name} of this run is damaged"] if name == "warnings" else {}
        values["n_orders"], values["n_fills"] = values.pop("orders"), values.pop("fills")
        return Run(**values, folder=self.folder(values["id"]), project=self.project)

    def hold(self, run_id: str) -> IO[bytes]:
        """Share in the run's lock until the file is closed or the process dies."""
        lock = (self.folder(run_id) / LOCK_FILE).open("ab")
        fcntl.flock(lock, fcntl.LOCK_SH)
        return lock

    def _abandoned(self, run_id: str) -> bool:
        path = self.folder(run_id) / LOCK_FILE
        try:
            with path.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            # Between the row and the lock there is a moment; a minute later it is no moment.
            row_age = dt.datetime.now(dt.UTC) - dt.datetime.strptime(
                run_id[:15], "%Y%m%d-%H%M%S"
            ).replace(tzinfo=dt.UTC)
            return row_age > dt.timedelta(minutes=1)
        except OSError:
            return False
        return True

    @contextmanager
    def sweeping(self, sweep_id: str) -> Iterator[None]:
        """Be the one process that works on a sweep; a cancel asked of an earlier one is forgotten.

        Raises
        ------
        WorkbenchError
            If another one does.

        """
        folder = self.folder(sweep_id)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOCK_FILE).open("ab") as lock:
            late = time.monotonic() + _LOOKING_SECONDS
            while not _locked(lock, fcntl.LOCK_EX):
                if time.monotonic() > late:
                    message = f"sweep {sweep_id} is under way already"
                    raise WorkbenchError(f"{message}: wait for its end, or cancel it")
                time.sleep(0.02)
            (folder / CANCEL_FILE).unlink(missing_ok=True)
            yield

    def swept(self, sweep_id: str) -> bool:
        """Whether some process works on a sweep."""
        try:
            with (self.folder(sweep_id) / LOCK_FILE).open("rb") as lock:
                return not _locked(lock, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def create_sweep(
        self,
        sweep_id: str,
        study: Mapping[str, Any],
        points: Sequence[Mapping[str, Any]],
        notebook: str | None,
    ) -> None:
        """Add a sweep over `points` (parameters by name)."""
        with self._database() as database:
            database.execute(
                "INSERT INTO sweeps (id, name, created, notebook, study, points) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    sweep_id, study["study"], now(), notebook, json.dumps(study),
                    json.dumps(list(points), default=str),
                ),
            )  # fmt: skip

    def sweeps(self, *, limit: int = -1) -> Sequence[dict[str, Any]]:
        """Return id, name, time of creation and number of points of each sweep, newest first.

        Parameters
        ----------
        limit
            At most this many; -1 for all.

        """
        with self._database() as database:
            rows = database.execute(
                "SELECT id, name, created, json_array_length(points) AS points FROM sweeps "
                "ORDER BY created DESC, rowid DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [dict(row) for row in rows]

    def sweep(self, sweep_id: str, *, name: str | None = None) -> dict[str, Any]:
        """Return a sweep's row by id, or the newest (of the study `name`) for ``latest``.

        Raises
        ------
        InputError
            If there is none such.

        """
        with self._database() as database:
            if sweep_id == "latest":
                row = database.execute(
                    "SELECT * FROM sweeps WHERE :name IS NULL OR name = :name "
                    "ORDER BY created DESC, rowid DESC LIMIT 1",
                    {"name": name},
                ).fetchone()
            else:
                query = "SELECT * FROM sweeps WHERE id = ?"
                row = database.execute(query, (sweep_id,)).fetchone()
        if row is None:
            of = f" of study '{name}'" if name else ""
            raise InputError(f"no sweep '{sweep_id}'{of}: start one with workbench sweep run STUDY")
        values = dict(row)
        return values | {key: json.loads(values[key]) for key in ("study", "points")}
