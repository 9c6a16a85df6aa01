"""A grid of runs."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from workbench import backtest, study
from workbench.backtest.store import RunStore
from workbench.core.errors import InputError, StudyError, WorkbenchError

SWEEP = """\
schema: 1
study: small
data:
  - {provider: sample, instrument: AAPL.XNAS, bars: 1-DAY-LAST, start: 2010-01-01, end: 2012-01-01}
venues:
  - {name: XNAS, account: margin, balances: [1_000_000 USD], fees: {maker: 0, taker: 0}}
strategy:
  path: workbench.strategies.ema_cross:EMACross
  params: {trade_size: 100}
sweep:
  params:
    data.0.instrument: [AAPL.XNAS, MSFT.XNAS]
    fast: [5, 10]
    slow: %s
"""


@pytest.fixture
def small(project):
    def write(slow: str = "[20, 50]"):
        path = project.root / "studies" / "small.yaml"
        path.write_text(SWEEP % slow)
        return path

    return write


def test_a_grid_runs_every_point_once_and_each_like_a_run_of_its_own(project, small) -> None:
    seen = []
    result = backtest.run_sweep(small(), on_progress=seen.append)
    assert result.status == "done"
    assert [run.params for run in result.runs] == [
        {"data.0.instrument": instrument, "fast": fast, "slow": slow}
        for instrument in ("AAPL.XNAS", "MSFT.XNAS")
        for fast in (5, 10)
        for slow in (20, 50)
    ]
    assert len({run.digest for run in result.runs}) == 8
    assert {run.sweep_id for run in result.runs} == {result.id}
    assert [progress.done for progress in seen if progress.unit == "runs"][-1] == 8
    alone = backtest.run(small(), result.runs[5].params)
    assert alone.digest == result.runs[5].digest
    assert backtest.sweep_results(project=project).to_dict() == result.to_dict()


def test_a_point_the_strategy_refuses_is_a_failed_run_with_the_reason(small) -> None:
    result = backtest.run_sweep(small("[20, 7]"))
    assert result.counts == {"done": 6, "failed": 2, "cancelled": 0, "running": 0, "waiting": 0}
    assert result.status == "failed"
    failed = [run for run in result.runs if run.status == "failed"]
    assert all(run.params["fast"] == 10 and run.params["slow"] == 7 for run in failed)
    assert all("fast < slow" in run.error for run in failed)


def test_an_unknown_parameter_refuses_the_sweep(project, small) -> None:
    path = small()
    path.write_text(path.read_text().replace("fast: [5, 10]", "fasst: [5, 10]"))
    with pytest.raises(StudyError, match="Did you mean 'fast'"):
        backtest.run_sweep(path)
    assert RunStore(project).list() == []


def test_a_study_without_a_sweep_says_so(project) -> None:
    with pytest.raises(InputError, match="has no sweep"):
        backtest.run_sweep(project.root / "studies" / "my-strategy.yaml")


def test_ctrl_c_stops_a_sweep_and_resume_finishes_it(project, small) -> None:
    path = small("[20, 30, 40, 50, 60, 70]")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "sweep", "run", str(path)],
        cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(RunStore(project).list(status="done")) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    before = backtest.sweep_results(project=project)
    assert before.status == "incomplete"
    done = {run.id for run in before.runs if run.status == "done"}
    assert 3 <= len(done) < 24
    after = backtest.resume_sweep(project=project)
    assert after.status == "done"
    assert len(after.runs) == 24
    assert done <= {run.id for run in after.runs}, "what was done is not run again"


def test_a_sweep_of_another_process_is_cancelled_and_resumed(project, small, workbench) -> None:
    path = small("[20, 30, 40, 50, 60, 70]")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "sweep", "run", str(path), "--processes", "1"],
        cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    store = RunStore(project)
    deadline = time.monotonic() + 60
    while not store.list(status="done"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = backtest.sweep_results(project=project)
    assert (found.under_way, found.status) == (True, "running")
    # One sweep is worked on by one process.
    with pytest.raises(WorkbenchError, match="is under way already"):
        backtest.resume_sweep(project=project)
    answer = workbench("sweep", "cancel", "studies/small.yaml", "--json")
    assert (answer.code, answer.json["status"]) == (0, "incomplete")
    assert answer.json["counts"]["running"] == 0
    assert answer.json["counts"]["done"] < 24
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"cancelled: sweep {found.id} was cancelled" in said
    # Once more there is nothing to cancel; what it asked for is not held against the next.
    again = backtest.cancel_sweep(project=project)
    assert (again.id, again.under_way) == (found.id, False)
    done = {run.id for run in again.runs if run.status == "done"}
    after = backtest.resume_sweep(found.id, project=project)
    assert (after.status, after.counts["done"]) == ("done", 24)
    assert done <= {run.id for run in after.runs}


def test_a_sweep_whose_process_was_killed_is_not_under_way(project, small) -> None:
    path = small("[20, 30, 40, 50, 60, 70]")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "sweep", "run", str(path)],
        cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    store = RunStore(project)
    deadline = time.monotonic() + 60
    while not store.list(status="done"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    found = backtest.cancel_sweep(project=project)
    assert not found.under_way
    assert found.counts["done"] < 24


def test_looking_at_a_sweep_does_not_keep_it_from_being_begun(project, small) -> None:
    """Who looks holds the lock for a moment: that is not taken for somebody who works on it."""
    result = backtest.run_sweep(small("[20]"))
    store, stop = RunStore(project), threading.Event()

    def look() -> None:
        while not stop.is_set():
            store.swept(result.id)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with store.sweeping(result.id):
                assert store.swept(result.id)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not store.swept(result.id)


def test_a_sweep_through_papermill_gives_the_same_digests(project, small) -> None:
    path = small("[20]")
    direct = backtest.run_sweep(path)
    notebook = backtest.run_sweep(path, notebook=project.root / "notebooks" / "backtest.ipynb")
    assert [run.digest for run in notebook.runs] == [run.digest for run in direct.runs]
    assert all((run.folder / "notebook.ipynb").is_file() for run in notebook.runs)


def test_the_grid_is_the_product_in_order(small) -> None:
    points = backtest.grid(study.load(small("[20]")))
    assert [point["fast"] for point in points] == [5, 10, 5, 10]
