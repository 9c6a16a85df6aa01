"""Long work that a request starts and does not wait for: fetches, backtests, sweeps, rehearsals.

A job lives in the gateway's memory; what it makes, a run, a sweep, rows of the catalog, is in the
project's files. When the gateway ends, its jobs are cancelled.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Container
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from workbench.core.errors import Cancelled, choices
from workbench.core.progress import OnProgress, ShouldStop
from workbench.core.project import Project
from workbench.gateway import problems
from workbench.gateway.problems import Problem
from workbench.widgets import jobs as work

_KEPT = 500
_AT_ONCE = 16
_AT_ONCE_EACH = 8

type Known = dict[str, Any]
type Work = Callable[[Known, OnProgress, ShouldStop], dict[str, Any]]


class JobDocument(BaseModel):
    """A job, as it is now."""

    job_id: str
    kind: str = Field(description="fetch, backtest, sweep or rehearsal")
    status: str = Field(description="running, cancelling, done, failed or cancelled")
    who: str = Field(description="The token that started it")
    started: float = Field(description="UNIX seconds")
    ended: float | None
    progress: dict[str, Any] = Field(description="task, done, total, unit, detail, fraction")
    known: dict[str, Any] = Field(description="What is known of it meanwhile, such as run_id")
    result: dict[str, Any] | None
    problem: dict[str, Any] | None = Field(description="Why it failed, as a problem")


@dataclass
class Entry:
    """One job: who started it, and what it has told."""

    id: str
    kind: str
    who: str
    scope: str
    started: float
    known: Known
    job: work.Job[dict[str, Any]] | None = None
    ended: float | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.job is None or not self.job.finished

    def to_dict(self, project: Project) -> dict[str, Any]:
        """Return it as plain JSON values."""
        job = self.job
        assert job is not None
        error = job.error
        if not job.finished:
            status = "cancelling" if job.stopping else "running"
        elif error is None:
            status = "done"
        else:
            status = "cancelled" if isinstance(error, Cancelled) else "failed"
        told = None
        if error is not None and status == "failed":
            told = problems.of(error, project).document(None)
        progress = asdict(job.progress) | {"fraction": job.progress.fraction}
        return {
            "job_id": self.id, "kind": self.kind, "status": status, "who": self.who,
            "started": self.started, "ended": self.ended, "progress": progress,
            "known": dict(self.known), "result": job.result if job.finished else None,
            "problem": told,
        }  # fmt: skip


class Jobs:
    """The jobs of a gateway.

    Parameters
    ----------
    project
        Whose.

    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._guard = threading.Lock()

    def start(
        self, kind: str, doing: str, who: str, work_: Work, scope: str = "research"
    ) -> dict[str, Any]:
        """Start a job and return it.

        Parameters
        ----------
        kind, doing
            ``fetch``, ``backtest``, ``sweep``, ``rehearsal``; and in words.
        who
            Name of the token.
        work_
            Called in a thread with a mapping for what is known meanwhile, what to tell the
            progress, and what to ask whether to stop.
        scope
            Who may cancel it.

        Raises
        ------
        Problem
            429 if as many run as may, altogether or of this token.

        """
        with self._guard:
            running = [entry.who for entry in self._entries.values() if entry.running]
            if len(running) >= _AT_ONCE or running.count(who) >= _AT_ONCE_EACH:
                most = f"at most {_AT_ONCE}, {_AT_ONCE_EACH} of one token"
                message = f"too many jobs run already ({most}): wait for one, or cancel it"
                raise Problem(429, message, "jobs", headers={"Retry-After": "5"})
            entry = Entry(uuid.uuid4().hex[:12], kind, who, scope, time.time(), {})

            def run(on_progress: OnProgress, should_stop: ShouldStop) -> dict[str, Any]:
                try:
                    return work_(entry.known, on_progress, should_stop)
                finally:
                    entry.ended = time.time()

            entry.job = work.Job(doing, run, project=self._project)
            self._entries[entry.id] = entry
            for old in [key for key, each in self._entries.items() if not each.running][:-_KEPT]:
                del self._entries[old]
        return entry.to_dict(self._project)

    def list_(self) -> list[dict[str, Any]]:
        """Return all jobs, newest first."""
        with self._guard:
            found = list(reversed(self._entries.values()))
        return [entry.to_dict(self._project) for entry in found]

    def get(self, name: str) -> dict[str, Any]:
        """Return a job; 404 if there is none."""
        return self._entry(name).to_dict(self._project)

    def cancel(self, name: str, allowed: Container[str]) -> dict[str, Any]:
        """Ask a job to stop; return it. 403 if its scope is not among those `allowed`."""
        entry = self._entry(name)
        if entry.scope not in allowed:
            message = f"to cancel a {entry.kind} needs the scope {entry.scope}"
            raise Problem(403, message, "scope")
        if entry.job is not None:
            entry.job.cancel()
        return entry.to_dict(self._project)

    def cancel_all(self) -> None:
        """Ask every job to stop, and wait a while for their ends."""
        with self._guard:
            running = [entry.job for entry in self._entries.values() if entry.job]
        for job in running:
            job.cancel()
        for job in running:
            job.wait(10.0)

    def _entry(self, name: str) -> Entry:
        with self._guard:
            if name in self._entries:
                return self._entries[name]
            known = list(self._entries)[-5:]
        message = f"no job '{name}': they end with the gateway. {choices(name, known)}"
        raise Problem(404, message, "not-found")
