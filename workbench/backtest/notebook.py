"""The process that runs a study as a notebook, through papermill (internal).

The notebook's parameters cell receives ``study`` (a file with the whole study), ``params`` and
``run_id``; a cell of it calls ``workbench.backtest.run(study, run_id=run_id)``, which records the
result. Nothing is read from what the notebook prints. Same protocol as `workbench.backtest.worker`.
"""

import json
import os
import select
import sys
import threading
from pathlib import Path
from typing import Any

import papermill
from papermill.exceptions import PapermillException, PapermillExecutionError

from workbench.backtest.model import FINISHED
from workbench.backtest.process import receive
from workbench.backtest.store import RunStore
from workbench.core.project import Project

EXECUTED = "notebook.ipynb"


def main() -> int:
    """Execute the notebook named on standard input; return the exit code."""
    if (received := receive()) is None:
        return 0
    request, events = received
    store = RunStore(Project(Path(request["project"])))
    run_id = request["run_id"]
    lock = store.hold(run_id)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    threading.Thread(target=_tell_progress, args=(store, run_id, events), daemon=True).start()
    error = _execute(store, run_id, Path(request["notebook"]))
    found = store.get(run_id)
    if error and found.status not in ("failed", "cancelled"):
        # The backtest may have gone well; the notebook, which is what was asked for, did not.
        store.update(run_id, status="failed", error=error)
    elif not error and found.status not in FINISHED:
        reason = (
            "the notebook ended without recording a result: one of its cells has to call "
            "workbench.backtest.run(study, run_id=run_id)"
        )
        store.finish(run_id, "failed", error=reason)
    lock.close()
    return 0 if store.get(run_id).finished_well else 1


def _execute(store: RunStore, run_id: str, notebook: Path) -> str | None:
    """Run papermill; return what went wrong."""
    folder = store.folder(run_id)
    parameters: dict[str, Any] = {"study": str(folder / "study.json"), "run_id": run_id}
    try:
        papermill.execute_notebook(
            _literal(notebook),
            _literal(folder / EXECUTED),
            parameters=parameters,
            cwd=str(store.project.root),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            log_output=False,
        )
    except PapermillExecutionError as error:
        return f"notebook cell {error.exec_count} raised {error.ename}: {error.evalue}"
    except (PapermillException, OSError, ValueError, RuntimeError) as error:
        return f"the notebook {notebook} could not be run: {error}"
    return None


def _literal(path: Path) -> str:
    """Write a path so that papermill, which formats paths with the parameters, leaves it alone."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _leave_with_parent() -> None:
    while True:
        select.select([sys.stdin], [], [])
        if not os.read(sys.stdin.fileno(), 4096):
            # The kernel notices that its parent is gone, and the backtest that its kernel is.
            os._exit(1)


def _tell_progress(store: RunStore, run_id: str, events: Any) -> None:
    while True:
        found = store.get(run_id)
        print(json.dumps({"progress": found.progress}), file=events)
        threading.Event().wait(0.5)


if __name__ == "__main__":
    code = main()
    os._exit(code)
