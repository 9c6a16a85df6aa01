"""Long work started from a page or a notebook, each piece in a thread of its own.

A job outlives the page that started it: a closed browser does not touch it. It does not outlive
its process, which is the parent of the processes it works with; `cancel_all` ends what is left.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, Issue
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.core.project import Project
from workbench.engine.loading import load

_under_way: set[Job[Any]] = set()


class Job[Result]:
    """A piece of work from its start, which is at once, to its end.

    Parameters
    ----------
    doing
        What is done, in words: ``Fetching ema-cross``.
    work
        Called in a thread with what it tells its progress to, and what it asks whether to stop.
        It stops by raising `Cancelled` or by returning what there is.
    project
        Where given, files in issues are named as seen from its root.

    Attributes
    ----------
    progress
        How far it has come.
    result
        What `work` returned.
    error
        Why it did not.
    finished
        Whether it has ended: `result` or `error` says how.

    """

    def __init__(
        self,
        doing: str,
        work: Callable[[OnProgress, ShouldStop], Result],
        *,
        project: Project | None = None,
    ) -> None:
        self.doing = doing
        self.progress = Progress(doing, 0, 1)
        self.result: Result | None = None
        self.error: Exception | None = None
        self.finished = False
        self._work, self._project = work, project
        self._stop = threading.Event()
        _under_way.add(self)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            load()  # not by this thread, which ends
            self.result = self._work(self._heard, self._stop.is_set)
        except InputError as error:
            shown = shortened(error.issues, self._project) if self._project else error.issues
            self.error = InputError(shown)
        except Exception as error:  # a thread's exception would be seen by nobody
            self.error = error
        finally:
            self.finished = True
            _under_way.discard(self)

    def _heard(self, progress: Progress) -> None:
        self.progress = progress

    @property
    def stopping(self) -> bool:
        """Whether it has been asked to stop."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Ask it to stop; returns at once."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Wait for the end, at most so long."""
        self._thread.join(seconds)


def shortened(issues: Iterable[Issue], project: Project) -> list[Issue]:
    """Return issues with their files named as seen from the project's root."""
    return [
        replace(issue, file=project.relative(Path(issue.file))) if issue.file else issue
        for issue in issues
    ]


@atexit.register
def cancel_all() -> None:
    """Cancel all work under way and wait for its end: the process stops."""
    jobs = list(_under_way)
    for job in jobs:
        job.cancel()
    for job in jobs:
        job.wait(10.0)
