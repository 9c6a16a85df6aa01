"""The process that runs one backtest (internal); see `workbench.backtest.process`.

The run is cancelled by a file in its folder, which anybody may make, or by the end of standard
input, which comes when the starting process dies.
"""

# ruff: noqa: E402 - see the next line
import gc

gc.disable()  # while 1,500 modules are imported there is no garbage: a tenth of the time

import json
import os
import resource
import select
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt
import pandas as pd  # noqa: F401 - the engine imports it when it is built: better while we wait
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.backtest import artefacts
from workbench.backtest.process import receive
from workbench.backtest.statistics import statistics
from workbench.backtest.store import CANCEL_FILE, RunStore, now
from workbench.core.errors import Cancelled, InputError, WorkbenchError
from workbench.core.progress import Progress
from workbench.core.project import Project
from workbench.data.fetcher import ensure
from workbench.data.reader import digest, inputs
from workbench.engine import require, simulate, strategy
from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places

gc.freeze()
gc.enable()

GRACE_SECONDS = 2.0
"""From the wish to cancel to the end of a strategy that does not return from a handler."""

EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, EXIT_CANCELLED = 0, 1, 2, 130


def main() -> int:
    """Run the backtest named on standard input; return the exit code."""
    if (received := receive()) is None:
        return EXIT_DONE
    started = time.perf_counter()
    request, events = received
    store = RunStore(Project(Path(request["project"])))
    run_id = request["run_id"]
    lock = store.hold(run_id)
    control = Control(store, run_id)
    control.start()
    try:
        with lock:
            code = _run(store, run_id, events, control, started)
    except Cancelled:
        control.finished.set()
        return control.end()
    except InputError as error:
        print(json.dumps({"issues": [issue.to_dict() for issue in error.issues]}), file=events)
        return EXIT_REFUSED
    except WorkbenchError as error:
        return _fail(store, run_id, str(error))
    except OSError as error:
        return _fail(store, run_id, f"a file could not be read or written: {error}")
    except MemoryError:
        return _fail(store, run_id, "out of memory")
    except BaseException as error:  # the last word of a process nobody else watches from inside
        traceback.print_exc()
        return _fail(store, run_id, f"internal error: {type(error).__name__}: {error}")
    print(json.dumps({"finished": code}), file=events)
    return code


def _fail(store: RunStore, run_id: str, reason: str) -> int:
    """Mark the run failed; where even that cannot be written, the starting process will."""
    try:
        store.finish(run_id, "failed", error=reason)
    except WorkbenchError:
        sys.stdout.write(reason + "\n")
        sys.stdout.flush()
    return EXIT_FAILED


class Control(threading.Thread):
    """Heeds the wish to cancel, from outside the engine's thread.

    It sets a flag that the run looks at. A strategy that loops for ever never looks: after
    `GRACE_SECONDS` the run is marked cancelled and the process leaves.
    """

    def __init__(self, store: RunStore, run_id: str) -> None:
        super().__init__(daemon=True)
        self.store, self.run_id = store, run_id
        self.wanted = threading.Event()
        self.finished = threading.Event()
        self.orphaned = False

    def run(self) -> None:
        """Wait for the wish; see the class."""
        flag = self.store.folder(self.run_id) / CANCEL_FILE
        while not flag.exists():
            readable, _, _ = select.select([sys.stdin], [], [], 0.1)
            if readable and not os.read(sys.stdin.fileno(), 4096):
                self.orphaned = not flag.exists()
                break
        self.wanted.set()
        if not self.finished.wait(GRACE_SECONDS):
            os._exit(self.end())

    def end(self) -> int:
        """Mark the run as stopped before its end; return the exit code."""
        if self.orphaned:
            self.store.finish(self.run_id, "failed", error="the process that started it died")
            return EXIT_FAILED
        self.store.finish(self.run_id, "cancelled")
        return EXIT_CANCELLED


def _run(store: RunStore, run_id: str, events: TextIO, control: Control, started: float) -> int:
    require()
    project = store.project
    store.update(run_id, status="running", started=now())
    study = _study(store, run_id)
    loaded = strategy.load(study, project)

    def fetching(progress: Progress) -> None:
        line = {"task": progress.task, "progress": round(progress.fraction, 4)}
        print(json.dumps(line), file=events)

    fetched = ensure(study, project, on_progress=fetching, should_stop=control.wanted.is_set)
    datasets = [simulate.Input(spec, files) for spec, files in inputs(study, project)]
    last = [time.monotonic()]

    def progress(share: float) -> None:
        print(json.dumps({"progress": round(share, 4)}), file=events)
        if time.monotonic() - last[0] > 1.0:  # others follow it through the store
            last[0] = time.monotonic()
            store.update(run_id, progress=share)

    outcome = simulate.simulate(
        study,
        project,
        loaded,
        datasets,
        log_folder=store.folder(run_id),
        on_progress=progress,
        should_stop=control.wanted.is_set,
    )
    control.finished.set()
    if outcome.cancelled:
        return control.end()
    artefacts.write(
        store.folder(run_id),
        {name: getattr(outcome, name) for name in ("orders", "fills", "positions", "equity")},
    )
    numbers = statistics(
        outcome.equity, outcome.positions, outcome.fills, price_times=_price_times(datasets)
    )
    failed = outcome.failure.where is not None
    store.finish(
        run_id,
        "failed" if failed else "done",
        error=outcome.failure.text if failed else None,
        digest=outcome.digest,
        digests=_digests(study, loaded.digest, project) | {"fills": outcome.digest},
        orders=len(outcome.orders["ts_init"]),
        fills=len(outcome.fills["ts"]),
        balances=outcome.balances,
        pnl=_difference(outcome.equity_end, outcome.starting),
        statistics=numbers | {"events": outcome.events},
        warnings=[*fetched.warnings, *outcome.warnings],
        **({} if failed else {"progress": 1.0}),
        seconds=round(time.perf_counter() - started, 3),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )
    return EXIT_FAILED if failed else EXIT_DONE


def _study(store: RunStore, run_id: str) -> Study:
    content = json.loads((store.folder(run_id) / "study.json").read_text())
    return build(content, Places())


def _price_times(datasets: Sequence[simulate.Input]) -> npt.NDArray[np.int64]:
    """Return when there were prices, in UNIX nanoseconds: it decides what a trading day is."""
    times = []
    for item in datasets:
        for file in item.files:
            column = pq.read_table(file, columns=["ts_init"], use_threads=False)["ts_init"]
            found = column.cast(pa.int64()).to_numpy()
            start, end = item.spec.start_ns, item.spec.end_ns
            low = 0 if start is None else np.searchsorted(found, start)
            high = len(found) if end is None else np.searchsorted(found, end, side="right")
            times.append(found[low:high])
    return np.concatenate(times)


def _digests(study: Study, strategy: str, project: Project) -> dict[str, object]:
    return {
        "study": study.digest,
        "strategy": strategy,
        "data": digest(study, project),
        "engine": require(),
    }


def _difference(end: dict[str, str], start: dict[str, str]) -> dict[str, str]:
    names = sorted({*end, *start})
    return {
        name: f"{Decimal(end.get(name, '0')) - Decimal(start.get(name, '0')):f}" for name in names
    }


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The engine's own threads and destructors have nothing left to do that matters.
    os._exit(code)
