"""A grid of runs on processes."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import data
from workbench.backtest.model import Run
from workbench.backtest.runner import Running, start
from workbench.backtest.store import CANCEL_FILE, RunStore, new_id
from workbench.core.errors import Cancelled, Issue, StudyError, WorkbenchError
from workbench.core.progress import OnProgress, Progress, ShouldStop, ignore, never
from workbench.core.project import Project, locate
from workbench.engine.inspection import check_strategy
from workbench.study import Study, load
from workbench.study.load import build
from workbench.study.places import Places

_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A sweep and its runs.

    Attributes
    ----------
    id, name
        The sweep's id and its study's name.
    points
        Every set of parameters asked for.
    runs
        The newest run of each point that has one, in the order of the points.
    under_way
        Whether some process works on it.

    """

    id: str
    name: str
    points: Sequence[dict[str, Any]]
    runs: Sequence[Run]
    under_way: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are done, failed, cancelled, running; and points not begun."""
        counts = dict.fromkeys(("done", "failed", "cancelled", "running"), 0)
        for run in self.runs:
            counts["running" if run.status == "queued" else run.status] += 1
        return counts | {"waiting": len(self.points) - len(self.runs)}

    @property
    def status(self) -> str:
        """``done`` when every point has a finished run that went well."""
        counts = self.counts
        if self.under_way or counts["running"]:
            return "running"
        if counts["done"] == len(self.points):
            return "done"
        return "failed" if counts["failed"] and not counts["waiting"] else "incomplete"

    def to_dict(self) -> dict[str, Any]:
        """Return the sweep as plain JSON values."""
        return {
            "sweep_id": self.id,
            "study": self.name,
            "status": self.status,
            "points": len(self.points),
            "counts": self.counts,
            "runs": [run.summary() | {"statistics": run.statistics} for run in self.runs],
        }


def grid(study: Study) -> list[dict[str, Any]]:
    """Return every combination of the sweep's values, the last name varying fastest.

    Raises
    ------
    StudyError
        If the study has no sweep.

    """
    if study.sweep is None:
        raise study.error("the study has no sweep: add 'sweep: {params: {name: [...]}}'", "sweep")
    names = list(study.sweep.params)
    values = itertools.product(*study.sweep.params.values())
    return [dict(zip(names, combination, strict=True)) for combination in values]


def run_sweep(
    study: Study | str | Path,
    *,
    project: Project | None = None,
    notebook: str | Path | None = None,
    processes: int | None = None,
    on_progress: OnProgress = ignore,
    on_start: Callable[[str], None] = lambda _: None,
    should_stop: ShouldStop = never,
) -> SweepResult:
    """Run every point of a study's sweep.

    Parameters
    ----------
    study
        A study or the path of its file.
    project
        Default: the one the study's file or the working folder lies in.
    notebook
        Run each point as this notebook, through papermill.
    processes
        How many at a time; default one a core.
    on_progress
        Called after each run, in runs.
    on_start
        Called with the sweep's id once it is stored: its results can be looked at from then on.
    should_stop
        Asked twice a second; True cancels the runs under way.

    Raises
    ------
    StudyError
        If the study, or one of its points, is refused; nothing is run then.
    Cancelled
        If `should_stop` said so, or somebody called `cancel_sweep`; what is done stays done,
        `resume_sweep` goes on from there, as it does after Ctrl-C.

    """
    project = project or Project.find(None if isinstance(study, Study) else locate(study).parent)
    study = study if isinstance(study, Study) else load(study)
    points = grid(study)
    studies = [point_study(study, point) for point in points]
    # One check for each distinct study would be slow; each value was checked on loading, and the
    # worker checks the combination: a refused point is a failed run of this sweep.
    try:
        check_strategy(studies[0], project)
    except StudyError as error:
        raise StudyError([_of_sweep(study, issue) for issue in error.issues]) from None
    for each in _distinct_data(studies):
        data.ensure(each, project, on_progress=on_progress, should_stop=should_stop)
    store = RunStore(project)
    name = str(notebook) if notebook else None
    sweep_id = new_id(f"{study.name}-sweep")
    with store.sweeping(sweep_id):
        store.create_sweep(sweep_id, study.to_dict(), points, name)
        on_start(sweep_id)
        _work(store, study, sweep_id, points, notebook, processes, on_progress, should_stop)
    return sweep_results(sweep_id, project=project)


def resume_sweep(
    sweep_id: str = "latest",
    *,
    name: str | None = None,
    project: Project | None = None,
    processes: int | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> SweepResult:
    """Run the points of a sweep that are not done; parameters as for `run_sweep`.

    Raises
    ------
    WorkbenchError
        If another process works on it.
    Cancelled
        As for `run_sweep`.

    """
    store = RunStore(project or Project.find())
    row = store.sweep(sweep_id, name=name)
    study = build(row["study"], Places())
    with store.sweeping(row["id"]):
        done = {_key(run.params) for run in store.list(sweep_id=row["id"], status="done")}
        missing = [point for point in row["points"] if _key(point) not in done]
        notebook = row["notebook"]
        _work(store, study, row["id"], missing, notebook, processes, on_progress, should_stop)
    return sweep_results(row["id"], project=store.project)


def cancel_sweep(
    sweep_id: str = "latest", *, name: str | None = None, project: Project | None = None
) -> SweepResult:
    """Cancel a sweep, whichever process works on it; return it once that one has stopped.

    What is done stays done; `resume_sweep` goes on from there. One that is not under way is left as
    it is.

    Raises
    ------
    WorkbenchError
        If its process does not stop.

    """
    store = RunStore(project or Project.find())
    row = store.sweep(sweep_id, name=name)
    late = time.monotonic() + _STOP_SECONDS
    if store.swept(row["id"]):
        (store.folder(row["id"]) / CANCEL_FILE).touch()
    while store.swept(row["id"]):
        if time.monotonic() > late:
            raise WorkbenchError(f"sweep {row['id']} was asked to stop and has not: does it hang?")
        time.sleep(0.05)
    return sweep_results(row["id"], project=store.project)


def sweep_results(
    sweep_id: str = "latest", *, name: str | None = None, project: Project | None = None
) -> SweepResult:
    """Return a sweep and its runs; ``latest`` is the newest (of the study `name`)."""
    store = RunStore(project or Project.find())
    row = store.sweep(sweep_id, name=name)
    newest: dict[str, Run] = {}
    for run in reversed(store.list(sweep_id=row["id"])):
        newest[_key(run.params)] = run
    runs = [newest[_key(point)] for point in row["points"] if _key(point) in newest]
    return SweepResult(row["id"], row["name"], row["points"], runs, store.swept(row["id"]))


def point_study(study: Study, point: dict[str, Any]) -> Study:
    """Return the study of one point of its sweep."""
    return study.with_values(point)


def _of_sweep(study: Study, issue: Issue) -> Issue:
    """Locate an issue of a point where its value stands: in the sweep."""
    names = study.sweep.params if study.sweep else {}
    for name in names:
        if issue.path in (name, f"strategy.params.{name}"):
            return study.issue(issue.message, "sweep", "params", name)
    return issue


def _key(params: dict[str, Any]) -> str:
    return repr(sorted((name, str(value)) for name, value in params.items()))


def _distinct_data(studies: Sequence[Study]) -> list[Study]:
    return list({repr(study.data): study for study in studies}.values())


def _work(
    store: RunStore,
    study: Study,
    sweep_id: str,
    points: Sequence[dict[str, Any]],
    notebook: str | Path | None,
    processes: int | None,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> None:
    """Keep `processes` runs going until every point has had its turn."""
    stop = threading.Event()
    current: set[Running] = set()
    guard = threading.Lock()

    def one(point: dict[str, Any]) -> None:
        if stop.is_set():
            return
        values = point_study(study, point)
        try:
            running = start(
                values,
                project=store.project,
                notebook=notebook,
                sweep_id=sweep_id,
                recorded_params=point,
            )
        except WorkbenchError as error:
            _record_refusal(store, values, point, sweep_id, error)
            return
        with guard:
            current.add(running)
        if stop.is_set():
            running.cancel()
        try:
            running.wait()
        except WorkbenchError as error:
            _record_refusal(store, values, point, sweep_id, error)
        finally:
            with guard:
                current.discard(running)

    asked = store.folder(sweep_id) / CANCEL_FILE
    began = time.monotonic()
    with ThreadPoolExecutor(processes or os.cpu_count() or 1) as pool:
        pending: set[Future[None]] = {pool.submit(one, point) for point in points}
        try:
            while pending:
                finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                _heed(lambda: should_stop() or asked.exists(), sweep_id)
                if finished:
                    done = len(points) - len(pending)
                    task = f"{study.name}, {time.monotonic() - began:.0f} s"
                    on_progress(Progress(task, done, len(points), "runs"))
        except BaseException:
            stop.set()
            with guard:
                for running in current:
                    running.cancel()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _heed(should_stop: ShouldStop, sweep_id: str) -> None:
    if should_stop():
        raise Cancelled(f"sweep {sweep_id} was cancelled")


def _record_refusal(
    store: RunStore, study: Study, point: dict[str, Any], sweep_id: str, error: WorkbenchError
) -> None:
    """Keep a refused point as a failed run: a hole in a grid has a reason."""
    run_id = store.create(study.to_dict(), params=point, sweep_id=sweep_id)
    store.finish(run_id, "failed", error=str(error))
