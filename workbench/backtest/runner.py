"""Running a study: a process of its own, watched from here."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from workbench import data
from workbench.backtest.model import FINISHED, Run
from workbench.backtest.process import OUTPUT_FILE, close, dismiss, launch, tell
from workbench.backtest.store import CANCEL_FILE, RunStore
from workbench.core.errors import Cancelled, InputError, Issue, RunError, StudyError
from workbench.core.files import write_text
from workbench.core.progress import OnProgress, Progress, ShouldStop, ignore, never
from workbench.core.project import Project, locate
from workbench.engine import require
from workbench.engine.inspection import check_strategy, located
from workbench.study import Study, load

# A worker that does not leave by itself after a cancel is killed this much later.
KILL_SECONDS = 5.0


def run(
    study: Study | str | Path,
    params: Mapping[str, Any] | None = None,
    *,
    project: Project | None = None,
    run_id: str | None = None,
    notebook: str | Path | None = None,
    gate: str | None = None,
    on_progress: OnProgress = ignore,
) -> Run:
    """Run a study's backtest and return the recorded run.

    Parameters
    ----------
    study
        A study or the path of its file.
    params
        Over the study's own values: ``{"fast": 20}`` for a strategy parameter, a dotted path such
        as ``data.0.start`` for anything else.
    project
        Default: the one the study's file or the working folder lies in.
    run_id
        A run that is queued already; a notebook run through papermill is handed one.
    notebook
        Run it as this notebook, through papermill; the result is the same.
    gate
        The gate that runs it for itself: it is in no list of runs unless asked for.
    on_progress
        Called as it goes, with a share of 1.

    Raises
    ------
    StudyError
        If study, strategy or data are refused; nothing is recorded then.
    RunError
        If it failed, the strategy's traceback in its message; the run stays in the store.
    Cancelled
        On Ctrl-C or `cancel`.

    """
    running = start(
        study,
        params,
        project=project,
        run_id=run_id,
        notebook=notebook,
        gate=gate,
        on_progress=on_progress,
    )
    try:
        found = running.wait()
    except KeyboardInterrupt:
        running.cancel()
        with suppress(StudyError):
            running.wait()
        raise Cancelled(f"run {running.id} was cancelled", running.id) from None
    if found.status == "cancelled":
        raise Cancelled(f"run {found.id} was cancelled", found.id)
    if found.status == "failed":
        raise RunError(f"run {found.id} failed: {found.error}", found.id)
    return found


def start(
    study: Study | str | Path,
    params: Mapping[str, Any] | None = None,
    *,
    project: Project | None = None,
    run_id: str | None = None,
    notebook: str | Path | None = None,
    gate: str | None = None,
    sweep_id: str | None = None,
    recorded_params: Mapping[str, Any] | None = None,
    process: subprocess.Popen[bytes] | None = None,
    on_progress: OnProgress = ignore,
) -> "Running":
    """Start a study's backtest and return at once.

    Parameters
    ----------
    study, params, project, run_id, notebook, gate, on_progress
        As for `run`.
    sweep_id, recorded_params
        For a point of a sweep: which sweep, and the parameters `study` has already been given.
    process
        One that `workbench.backtest.process.launch` made ahead.

    Raises
    ------
    StudyError
        If the study or its data are refused.

    """
    require()
    # Its imports run while the study is checked.
    process = process or launch("notebook" if notebook else "worker")
    try:
        if project is None:
            project = Project.find(None if isinstance(study, Study) else locate(study).parent)
        if not isinstance(study, Study):
            study = load(study, params=params or {})
        elif params:
            study = study.with_values(params)
        if notebook:
            # A notebook takes seconds to come to its first cell: say what is wrong before.
            data.ensure(study, project, on_progress=on_progress)
            check_strategy(study, project)
    except BaseException:
        dismiss(process)
        raise
    store = RunStore(project)
    if run_id is None:
        run_id = store.create(
            study.to_dict(),
            params=recorded_params or params or {},
            sweep_id=sweep_id,
            notebook=str(notebook) if notebook else None,
            gate=gate,
        )
    return Running(store, run_id, study, process, notebook, on_progress)


def cancel(run_id: str, *, project: Project | None = None) -> Run:
    """Cancel a run, whichever process started it; return it once it has ended.

    A run that has ended already is left as it is.
    """
    store = RunStore(project or Project.find())
    found = store.get(run_id)
    if found.status in FINISHED:
        return found
    (found.folder / CANCEL_FILE).touch()
    deadline = time.monotonic() + KILL_SECONDS + 5
    while found.status not in FINISHED and time.monotonic() < deadline:
        time.sleep(0.05)
        found = store.get(found.id)
    return found


class Running:
    """A run under way.

    Attributes
    ----------
    id
        The run's id.
    progress
        Share done, 0 to 1.

    """

    def __init__(
        self,
        store: RunStore,
        run_id: str,
        study: Study,
        process: subprocess.Popen[bytes],
        notebook: str | Path | None,
        on_progress: OnProgress,
    ) -> None:
        self.id, self.store, self.study = run_id, store, study
        self.progress = 0.0
        self._on_progress = on_progress
        self._issues: list[Issue] = []
        self._problem: Exception | None = None
        self._ended = threading.Event()
        folder = store.folder(run_id)
        write_text(folder / "study.json", json.dumps(study.to_dict(), indent=1))
        self._lock = store.hold(run_id)
        self._process = process
        request = {
            "project": str(store.project.root),
            "folder": str(folder),
            "run_id": run_id,
            "notebook": str(notebook) if notebook else None,
        }
        tell(process, request)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        threading.Thread(target=self._follow, daemon=True).start()

    def _read(self) -> None:
        """Follow the process to its end (in a thread)."""
        stream: IO[bytes] | None = self._process.stdout
        assert stream is not None
        for line in stream:
            try:
                event = json.loads(line)
            except ValueError:  # the last line of a process that was killed
                continue
            self._issues += [Issue(**issue) for issue in event.get("issues", [])]
            if "progress" in event:
                self._tell(event.get("task", self.study.name), float(event["progress"]))
            if "finished" in event:
                # Its result is recorded. Freeing half a gigabyte takes it a while: do not wait.
                self._ended.set()

    def _follow(self) -> None:
        """Wait for the process itself (in a thread): its pipe may live on in a child it forked."""
        self._process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what it left behind
        self._reader.join(5)
        close(self._process)
        self._ended.set()

    def _tell(self, task: str, share: float) -> None:
        if task == self.study.name:
            self.progress = share
        try:
            self._on_progress(Progress(task, share, 1.0))
        except Exception as error:  # the caller's; `wait` hands it back
            self._on_progress, self._problem = ignore, error

    def cancel(self) -> None:
        """Ask the run to stop; `wait` returns once it has."""
        with suppress(FileNotFoundError):
            (self.store.folder(self.id) / CANCEL_FILE).touch()
        threading.Thread(target=self._kill_later, daemon=True).start()

    def _kill_later(self) -> None:
        try:
            self._process.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    @property
    def finished(self) -> bool:
        """Whether it has ended, one way or another."""
        return self._ended.is_set()

    def wait(self, should_stop: ShouldStop = never) -> Run:
        """Wait for the end; return the run, done, failed or cancelled.

        Parameters
        ----------
        should_stop
            Asked ten times a second; True cancels the run.

        Raises
        ------
        StudyError
            If strategy or data were refused; nothing is recorded then.

        """
        while not self._ended.wait(0.1):
            if should_stop():
                self.cancel()
                self._ended.wait()
        code = self._process.poll()
        self._lock.close()
        if self._issues:
            self.store.discard(self.id)
            raise StudyError([located(self.study, issue) for issue in self._issues])
        if (self.store.folder(self.id) / CANCEL_FILE).exists():
            self.store.finish(self.id, "cancelled")
        elif code is not None:  # of no effect on a run that is recorded
            self.store.finish(self.id, "failed", error=self._death(code))
        if self._problem is not None:
            raise self._problem
        try:
            return self.store.get(self.id)
        except InputError:
            raise RunError(f"run {self.id} is gone from the store {self.store.path}") from None

    def _death(self, code: int) -> str:
        """Say how the process died."""
        if code < 0:
            known = {number.value: number.name for number in signal.Signals}
            name = known.get(-code, f"signal {-code}")
            causes = {
                "SIGABRT": " (the engine aborted)",
                "SIGKILL": " (by hand, or because memory ran out)",
            }
            reason = f"its process was killed by {name}{causes.get(name, '')}"
        else:
            reason = f"its process ended with exit code {code}"
        output = self.store.folder(self.id) / OUTPUT_FILE
        lines = output.read_text(errors="replace").strip().splitlines() if output.is_file() else []
        return f"{reason}; the last it printed, in {output}: {lines[-1]}" if lines else reason
