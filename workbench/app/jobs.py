"""Runs started from the dashboard, each followed by a thread of its own.

A job outlives the page that started it: a closed browser does not touch the run. It does not
outlive the server, which is the parent of the run's process; `cancel_all` ends what is left then.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.backtest import Run, Running, start
from workbench.core.errors import InputError, Issue, RunError, WorkbenchError
from workbench.core.progress import Progress
from workbench.core.project import Project

_under_way: set["Job"] = set()


class Job:
    """A run from its start to its end.

    Parameters
    ----------
    study
        The study's file, as seen from the project's root.
    params
        Over the study's own values, as for `workbench.backtest.run`.
    project
        The project the study lies in.

    Attributes
    ----------
    progress
        How far it has come; the data it lacks is fetched first.
    run
        The recorded run, once it has ended.
    error
        Why there is none.

    """

    def __init__(self, study: str, params: Mapping[str, Any], project: Project) -> None:
        self.study, self.params, self.project = study, params, project
        self.progress = Progress("starting", 0, 1)
        self.run: Run | None = None
        self.error: WorkbenchError | None = None
        self._running: Running | None = None
        self._cancelled = False
        self._guard = threading.Lock()
        _under_way.add(self)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            path = self.project.root / self.study
            running = start(path, self.params, project=self.project, on_progress=self._heard)
            with self._guard:
                self._running = running
                if self._cancelled:
                    running.cancel()
            self.run = running.wait()
        except InputError as error:
            self.error = InputError(shortened(error.issues, self.project))
        except WorkbenchError as error:
            self.error = error
        except Exception as error:  # a thread's exception would be seen by nobody
            self.error = RunError(f"internal error: {type(error).__name__}: {error}")
        finally:
            _under_way.discard(self)

    def _heard(self, progress: Progress) -> None:
        self.progress = progress

    @property
    def finished(self) -> bool:
        """Whether it has ended: `run` or `error` says how."""
        return self.run is not None or self.error is not None

    def cancel(self) -> None:
        """Ask the run to stop, at the latest once it has begun; returns at once."""
        with self._guard:
            self._cancelled = True
            if self._running:
                self._running.cancel()

    def wait(self, seconds: float) -> None:
        """Wait for the end, at most so long."""
        self._thread.join(seconds)


def shortened(issues: Iterable[Issue], project: Project) -> list[Issue]:
    """Return issues with their files named as seen from the project's root."""
    return [
        replace(issue, file=project.relative(Path(issue.file))) if issue.file else issue
        for issue in issues
    ]


def cancel_all() -> None:
    """Cancel every run under way and wait for their ends: the server stops."""
    jobs = list(_under_way)
    for job in jobs:
        job.cancel()
    for job in jobs:
        job.wait(10.0)
