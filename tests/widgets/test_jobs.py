"""Long work in threads: how it ends, and that its end is waited for."""

import threading
import time

import pytest

from workbench.core.errors import Cancelled, InputError, Issue
from workbench.core.progress import Progress
from workbench.widgets import jobs
from workbench.widgets.jobs import Job


def test_a_job_tells_its_progress_and_keeps_its_result():
    go, told = threading.Event(), threading.Event()

    def work(heard, should_stop):
        heard(Progress("halfway", 1, 2))
        told.set()
        go.wait(10)
        return "found"

    job = Job("Looking", work)
    told.wait(10)
    assert (job.progress.task, job.progress.fraction, job.finished) == ("halfway", 0.5, False)
    go.set()
    job.wait(10)
    assert (job.finished, job.result, job.error) == (True, "found", None)


def test_the_issues_of_a_refused_job_name_files_as_seen_from_the_project(project):
    def work(heard, should_stop):
        raise InputError(Issue("no", "strategy", str(project.root / "studies" / "a.yaml"), 3))

    job = Job("Looking", work, project=project)
    job.wait(10)
    assert str(job.error) == "studies/a.yaml:3: strategy: no"


def test_an_error_nobody_foresaw_is_kept():
    job = Job("Dividing", lambda heard, should_stop: 1 // 0)
    job.wait(10)
    assert isinstance(job.error, ZeroDivisionError)
    assert job.finished


def test_all_work_is_cancelled_and_waited_for_at_the_end():
    def work(heard, should_stop):
        while not should_stop():
            time.sleep(0.01)
        raise Cancelled

    both = [Job("Waiting", work) for _ in range(2)]
    jobs.cancel_all()
    assert all(isinstance(job.error, Cancelled) for job in both)


@pytest.mark.slow
def test_a_run_cancelled_before_it_began_is_cancelled(project):
    from workbench.backtest import start

    path = project.root / "studies" / "ema-cross.yaml"
    job = Job("Running", lambda heard, stop: start(path, project=project).wait(lambda: True))
    job.wait(60)
    assert job.error is None
    assert job.result.status == "cancelled"
