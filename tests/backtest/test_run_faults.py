"""Runs that go wrong: each is a failed, cancelled or flagged result with its reason."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from workbench import backtest, study
from workbench.backtest.store import RunStore
from workbench.core.errors import Cancelled, InputError, RunError, StudyError
from workbench.core.project import Project

FAULTY = Path(__file__).parents[1] / "faulty.py"

STUDY = """\
schema: 1
study: faulty
data:
  - {provider: sample, instrument: AAPL.XNAS, bars: 1-DAY-LAST, start: 2010-01-01, end: 2011-01-01}
venues:
  - {name: XNAS, account: margin, balances: [1_000_000 USD], fees: {maker: 0, taker: 0}}
strategy:
  path: strategies/faulty.py:Faulty
  params: {fault: "%s"}
"""


@pytest.fixture
def faulty(project: Project):
    """Write the study whose strategy has the given fault; return its path."""
    (project.root / "strategies" / "faulty.py").write_text(FAULTY.read_text())

    def write(fault: str) -> Path:
        path = project.root / "studies" / "faulty.yaml"
        path.write_text(STUDY % fault)
        return path

    return write


def only_run(project: Project) -> backtest.Run:
    (run,) = RunStore(project).list()
    return run


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        ("on_start", "on_start"),
        ("on_bar", "on_bar"),
        ("on_order_event", "on_order_event"),
        ("on_order_filled", "on_order_filled"),
        ("on_position_opened", "on_position_opened"),
        ("on_stop", "on_stop"),
        ("time_event", "on_time_event"),
    ],
)
def test_an_exception_in_a_handler_fails_the_run_with_its_traceback(
    project, faulty, fault, where
) -> None:
    with pytest.raises(RunError, match=f"struck in {fault}") as caught:
        backtest.run(faulty(fault))
    run = only_run(project)
    assert run.status == "failed"
    assert caught.value.run_id == run.id
    assert run.error.startswith(f"{where} raised ValueError: struck in {fault}")
    # The traceback begins in the user's file, not in ours.
    frames = [line for line in run.error.splitlines() if line.strip().startswith("File ")]
    assert frames
    assert all("strategies/faulty.py" in frame for frame in frames)


def test_an_exception_in_a_timer_callback_fails_the_run(project, faulty) -> None:
    with pytest.raises(RunError, match="ZeroDivisionError"):
        backtest.run(faulty("timer"))
    assert only_run(project).error.startswith("timer callback <lambda> raised")


def test_an_indicator_that_raises_once_fails_and_stops_the_run(project, faulty) -> None:
    with pytest.raises(RunError, match="struck in indicator"):
        backtest.run(faulty("indicator"))
    run = only_run(project)
    assert run.error.startswith("indicator BadIndicator.handle_bar raised ValueError")
    assert "strategies/faulty.py" in run.error
    assert run.statistics["events"] <= 6


def test_a_handler_put_on_the_instance_is_guarded_too(project, faulty) -> None:
    with pytest.raises(RunError, match="struck in instance"):
        backtest.run(faulty("instance"))
    assert only_run(project).error.startswith("on_bar raised ValueError")


def test_an_exception_only_the_engine_saw_is_found_in_its_log(project, faulty) -> None:
    """Even a single line of it, which the engine writes from a thread of its own."""
    source = project.root / "strategies" / "faulty.py"
    path = faulty("log_error")
    run = backtest.run(path)
    assert any("the strategy's own word" in warning for warning in run.warnings), run.warnings
    hidden = "from nautilus_trader.trading import Strategy as Hidden\n"
    late = "self.__dict__['on_bar'] = self.struck_once  # after the guard has looked"
    text = source.read_text().replace(
        'if self.settings.fault == "timer":', f"{late}\n        if False:"
    )
    source.write_text(hidden + text)
    with pytest.raises(RunError, match="struck in instance"):
        backtest.run(path)


def test_an_exception_in_the_constructor_keeps_its_traceback(project, faulty) -> None:
    with pytest.raises(RunError, match="struck in init"):
        backtest.run(faulty("init"))
    assert only_run(project).error.startswith("the strategy's __init__ raised ValueError")


@pytest.mark.parametrize(
    ("fault", "words"),
    [("exit_0", "exit code 0"), ("fork", "exit code 3"), ("signal", "signal 35")],
)
def test_a_process_that_leaves_is_a_failed_run(project, faulty, fault, words) -> None:
    began = time.monotonic()
    with pytest.raises(RunError, match=words):
        backtest.run(faulty(fault))
    assert time.monotonic() - began < 30, "a child it forked does not hold us up"
    assert only_run(project).status == "failed"


def test_a_strategy_that_shuts_the_system_down_is_flagged(project, faulty) -> None:
    run = backtest.run(faulty("shutdown"))
    assert any("before the end of its data" in warning for warning in run.warnings)


def test_any_text_of_an_exception_is_kept_within_reason(project, faulty) -> None:
    with pytest.raises(RunError, match="struck"):
        backtest.run(faulty("surrogate"))
    assert 1_000 < len(only_run(project).error) < 50_000


@pytest.mark.parametrize(
    "statement",
    [
        "raise KeyboardInterrupt",
        "raise BaseException('no')",
        "class E(Exception):\n    __str__ = None\nraise E",
    ],
)
def test_whatever_a_module_raises_on_import_refuses_the_study(project, faulty, statement) -> None:
    path = faulty("")
    (project.root / "strategies" / "faulty.py").write_text(f"x = 1\n{statement}\n")
    with pytest.raises(StudyError, match=r"importing strategies/faulty.py:Faulty failed"):
        backtest.run(path)
    assert RunStore(project).list() == []


def test_handlers_the_engine_would_never_run_are_refused(project, faulty) -> None:
    path = faulty("")
    source = project.root / "strategies" / "faulty.py"
    source.write_text(source.read_text().replace("    def on_bar(", "    async def on_bar("))
    with pytest.raises(StudyError, match="on_bar is a coroutine"):
        backtest.run(path)


def test_an_annotation_that_cannot_be_read_is_named(project, faulty) -> None:
    path = faulty("")
    source = project.root / "strategies" / "faulty.py"
    source.write_text(source.read_text().replace("fault: str", "fault: 'Strr'"))
    with pytest.raises(StudyError, match=r"annotation of FaultyConfig .*Strr"):
        backtest.run(path)


def test_flipped_bits_in_the_catalog_are_an_error_not_other_prices(project, faulty) -> None:
    backtest.run(faulty(""))
    (file,) = (project.catalog / "data" / "bars").rglob("*.parquet")
    content = bytearray(file.read_bytes())
    for offset in range(200, 260):
        content[offset] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(RunError) as caught:
        backtest.run(faulty(""))
    assert file.name in str(caught.value)


def test_one_damaged_row_does_not_hide_the_others(project, faulty) -> None:
    first, second = backtest.run(faulty("")), backtest.run(faulty(""))
    with sqlite3.connect(project.runs / "runs.sqlite") as database:
        database.execute("UPDATE runs SET statistics = 'garbage' WHERE id = ?", (first.id,))
    database.close()
    assert [run.id for run in RunStore(project).list()] == [second.id, first.id]


def test_system_exit_in_a_handler_fails_the_run(project, faulty) -> None:
    with pytest.raises(RunError, match="SystemExit"):
        backtest.run(faulty("exit"))
    assert only_run(project).status == "failed"


def test_an_abort_fails_the_run_with_the_signal(project, faulty) -> None:
    with pytest.raises(RunError, match="SIGABRT"):
        backtest.run(faulty("abort"))
    assert only_run(project).status == "failed"


def test_a_full_disk_while_the_result_is_written_fails_the_run(project, faulty) -> None:
    with pytest.raises(RunError):
        backtest.run(faulty("disk_full"))
    run = only_run(project)
    assert run.status == "failed"
    assert "File too large" in run.error
    assert not list(run.folder.glob("*.parquet"))
    assert not list(run.folder.glob("*.tmp"))
    assert backtest.run(faulty("")).status == "done", "the store is not hurt"


@pytest.mark.parametrize("fault", ["no_trade", "nothing"])
def test_no_trade_is_a_result_plainly_labelled(project, faulty, fault) -> None:
    run = backtest.run(faulty(fault))
    assert run.status == "done"
    assert (run.n_orders, run.n_fills) == (0, 0)
    assert "no trades: the strategy placed no order" in run.warnings
    assert run.balances == {"USD": "1000000.00"}
    assert run.pnl == {"USD": "0.00"}


def test_denied_orders_are_warned_of_with_their_reason(project, faulty) -> None:
    run = backtest.run(faulty("denied"), {"risk.max_notional_per_order": "1_000_000 USD"})
    assert run.n_fills == 0
    assert any("denied" in w and "NOTIONAL" in w for w in run.warnings), run.warnings


def test_what_the_strategy_prints_is_kept(project, faulty) -> None:
    run = backtest.run(faulty("print"))
    assert "printed by the strategy" in (run.folder / "output.txt").read_text()


@pytest.mark.parametrize("fault", ["loop", "slow"])
def test_cancel_from_elsewhere_ends_a_run(project, faulty, fault) -> None:
    running = backtest.start(faulty(fault))
    deadline = time.monotonic() + 20
    while RunStore(project).get(running.id).status != "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)
    began = time.monotonic()
    found = backtest.cancel(running.id, project=project)
    assert found.status == "cancelled"
    assert time.monotonic() - began < 5
    assert running.wait().status == "cancelled"


def test_cancel_of_a_finished_run_changes_nothing(project, faulty) -> None:
    run = backtest.run(faulty(""))
    assert backtest.cancel(run.id, project=project) == run


def test_ctrl_c_ends_the_command_with_130(project, faulty) -> None:
    path = faulty("loop")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "backtest", "run", str(path), "--json"],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_worker(project)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert '"status": "cancelled"' in out
    assert only_run(project).status == "cancelled"


def test_keyboard_interrupt_in_python_cancels_the_run(project, faulty) -> None:
    path = faulty("loop")
    threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(Cancelled):
        backtest.run(path)
    assert only_run(project).status == "cancelled"


def worker_of(project: Project) -> psutil.Process | None:
    for process in psutil.process_iter(["cmdline", "cwd"]):
        command = process.info["cmdline"] or []
        if "workbench.backtest.worker" in command and process.info["cwd"] == str(project.root):
            return process
    return None


def wait_for_worker(project: Project) -> psutil.Process:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        runs = RunStore(project).list(status="running")
        process = worker_of(project)
        if process and runs:
            time.sleep(0.5)
            return process
        time.sleep(0.02)
    raise AssertionError("the worker never ran")


def test_a_killed_run_is_failed_with_the_signal_and_the_store_still_opens(project, faulty) -> None:
    running = backtest.start(faulty("slow"))
    wait_for_worker(project).kill()
    run = running.wait()
    assert run.status == "failed"
    assert "SIGKILL" in run.error
    assert [r.id for r in RunStore(project).list()] == [run.id]
    assert backtest.run(faulty("")).status == "done"


def test_a_run_whose_starter_was_killed_ends_and_says_so(project, faulty) -> None:
    path = faulty("slow")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "backtest", "run", str(path)],
        cwd=project.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    worker = wait_for_worker(project)
    process.kill()
    process.wait()
    worker.wait(10)
    run = only_run(project)
    assert run.status == "failed"
    assert "started it died" in run.error


def test_a_run_all_of_whose_processes_were_killed_is_seen_as_failed(project, faulty) -> None:
    path = faulty("slow")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "backtest", "run", str(path)],
        cwd=project.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    worker = wait_for_worker(project)
    worker.suspend()  # it must not tidy up after its starter
    process.kill()
    process.wait()
    worker.kill()
    psutil.wait_procs([worker], 10)
    run = only_run(project)
    assert run.status == "failed"
    assert "disappeared" in run.error


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"strategy.path": "strategies/faulty.py:Fauly"}, "strategy.path", "Did you mean 'Faulty'"),
        ({"strategy.path": "strategies/faultt.py:Faulty"}, "strategy.path", "strategies/faulty.py"),
        ({"strategy.path": "workbench.strategies.no:X"}, "strategy.path", "no module"),
        ({"strategy.path": "../outside.py:X"}, "strategy.path", "outside the project"),
        ({"fauult": 1}, "strategy.params.fauult", "Did you mean 'fault'"),
        ({"fault": 3}, "strategy.params.fault", "is str: found 3"),
        ({"fault": "config"}, "strategy.params", "fault may not be 'config'"),
        ({"bar_type": "AAPL.XNAS-1-HOUR-LAST-EXTERNAL"}, "strategy.params.bar_type", "no bars"),
        ({"instrument_id": "nonsense"}, "strategy.params.instrument_id", "nonsense"),
    ],
)
def test_a_refused_strategy_leaves_no_run(project, faulty, change, path, words) -> None:
    with pytest.raises(StudyError) as caught:
        backtest.run(faulty(""), change)
    (issue,) = caught.value.issues
    assert issue.path == path
    assert words in issue.message
    assert issue.file
    assert RunStore(project).list() == []


def test_a_missing_parameter_is_named_with_its_type(project) -> None:
    path = project.root / "studies" / "ema-cross.yaml"
    content = path.read_text().replace(", trade_size: 1_000", "")
    path.write_text(content)
    with pytest.raises(
        StudyError, match=r"parameter 'trade_size' \(Decimal\) is missing"
    ) as caught:
        backtest.run(path)
    (issue,) = caught.value.issues
    assert issue.file == str(path)
    assert issue.line == next(
        number for number, line in enumerate(content.splitlines(), 1) if "params: {fast" in line
    )


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("import os\ndef broken(:\n", 2, "syntax error"),
        ("import os\n\nimport no_such_library\n", 3, "no_such_library"),
        ("x = 1\n\n\ny = x / 0\n", 4, "ZeroDivisionError"),
        ("import sys\nsys.exit(0)\n", 2, "SystemExit"),
    ],
)
def test_a_strategy_file_that_cannot_be_imported_is_located(
    project, faulty, source, line, words
) -> None:
    (project.root / "strategies" / "faulty.py").write_text(source)
    path = project.root / "studies" / "faulty.yaml"
    path.write_text(STUDY % "")
    with pytest.raises(StudyError) as caught:
        backtest.run(path)
    (issue,) = caught.value.issues
    assert (issue.file, issue.line) == ("strategies/faulty.py", line)
    assert words in issue.message


def test_a_store_that_is_no_database_is_named(project, faulty) -> None:
    project.runs.mkdir(parents=True)
    (project.runs / "runs.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(Exception, match=r"run store .* cannot be used"):
        RunStore(project).list()


def test_unknown_and_ambiguous_run_ids_are_explained(project, faulty) -> None:
    first, second = backtest.run(faulty("")), backtest.run(faulty(""))
    store = RunStore(project)
    assert store.get("latest").id == second.id
    assert store.get(first.id[-6:]).id == first.id
    with pytest.raises(InputError, match="several runs"):
        store.get("20")
    with pytest.raises(InputError, match="no run 'nope'"):
        store.get("nope")


def test_the_store_is_an_ordinary_database(project, faulty) -> None:
    run = backtest.run(faulty(""))
    with sqlite3.connect(project.runs / "runs.sqlite") as database:
        assert database.execute("SELECT id, status FROM runs").fetchall() == [(run.id, "done")]
    database.close()
    assert study.load(project.root / "studies" / "faulty.yaml").to_dict() == run.study


def test_a_store_of_version_1_is_brought_up(project, faulty) -> None:
    run = backtest.run(faulty(""))
    short = study.load(faulty("")).with_values({("study",): "faulty-smoke"})
    smoke = backtest.run(short, project=project)
    with sqlite3.connect(project.runs / "runs.sqlite") as database:
        database.execute("ALTER TABLE runs DROP COLUMN gate")
        database.execute("PRAGMA user_version = 1")
    database.close()
    store = RunStore(project)
    assert [each.id for each in store.list()] == [run.id] == [store.get("latest").id]
    assert store.get(smoke.id).gate == "smoke"


def test_an_account_that_cannot_pay_is_refused(project, faulty) -> None:
    with pytest.raises(StudyError, match="settled in USD") as caught:
        backtest.run(faulty(""), {"venues.0.balances": ["1_000_000 EUR"]})
    assert caught.value.issues[0].path == "venues.0.balances"
    assert RunStore(project).list() == []
