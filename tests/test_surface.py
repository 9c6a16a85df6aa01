"""The public surface: what users may rely on, guarded name by name."""

import subprocess
import sys
import time
import tomllib
from pathlib import Path

import workbench
from workbench import adapters, backtest, checks, client, data, gateway, live, study, venue, widgets
from workbench.core.errors import DependencyError
from workbench.engine import REQUIRED, version

ROOT = Path(__file__).parents[1]


def test_the_public_names_are_these() -> None:
    assert workbench.__all__ == [
        "Cancelled", "DataError", "DependencyError", "InputError", "Issue", "Project", "RunError",
        "StudyError", "WorkbenchError", "adapters", "backtest", "checks", "data", "live",
        "study", "venue",
    ]  # fmt: skip
    assert backtest.__all__ == [
        "Run", "RunStore", "Running", "SweepResult", "cancel", "cancel_sweep", "compare", "grid",
        "picture", "resume_sweep", "run", "run_sweep", "start", "sweep_results",
    ]  # fmt: skip
    assert data.__all__ == [
        "FetchResult", "Plan", "check", "coverage_map", "diagnose", "digest", "ensure", "fetch",
        "inputs", "list_", "over_budget", "plan", "preview", "read", "repair", "repairs", "undo",
    ]  # fmt: skip
    assert checks.__all__ == ["check"]
    assert adapters.__all__ == [
        "Check", "Client", "check", "check_study", "clients", "list_", "missing_credentials",
        "secrets", "show",
    ]  # fmt: skip
    assert live.__all__ == [
        "EngineEventBus", "Node", "Parity", "Promotion", "Rehearsal", "flip", "history", "launch",
        "node", "nodes", "orders", "parity", "rehearse", "risk", "stream",
    ]  # fmt: skip
    assert widgets.__all__ == [
        "AdapterForm", "BacktestRunner", "DataPlanner", "FlipPanel", "NodeMonitor", "OrderTicket",
        "RiskPanel", "RunExplorer", "StudyEditor", "SweepBoard", "Widget", "load",
    ]  # fmt: skip
    assert venue.__all__ == ["Ready", "Venue", "serve", "start"]
    assert gateway.__all__ == [
        "SCOPES", "Rate", "Settings", "Token", "Tokens", "build", "serve",
    ]  # fmt: skip
    assert client.__all__ == ["Client", "GatewayError"]
    assert {"Study", "StudyStore", "load", "schema"} <= set(study.__all__)
    rooms = (adapters, backtest, data, live, study, checks, venue, widgets, gateway, client)
    for room in (workbench, *rooms):
        for name in room.__all__:
            assert getattr(room, name).__doc__, f"{room.__name__}.{name} has no docstring"


def test_a_verb_is_not_hidden_by_the_module_it_lives_in() -> None:
    code = (
        "import workbench.backtest.runner, workbench.backtest.comparison\n"
        "import workbench.backtest.sweep\n"
        "import workbench.data.planner, workbench.data.reader, workbench.data.fetcher\n"
        "import workbench.data.coverage, workbench.data.pictures\n"
        "import workbench.data.doctor.repairs, workbench.data.doctor.diagnosis\n"
        "import workbench.adapters.connection, workbench.adapters.registry\n"
        "from workbench import adapters, backtest, data, study\n"
        "verbs = [adapters.check, adapters.show, backtest.run, backtest.compare]\n"
        "verbs += [backtest.start, data.plan, data.check, data.repair, data.repairs]\n"
        "assert all(callable(verb) for verb in (*verbs, study.load, study.schema))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_pin_the_check_and_the_lock_name_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"nautilus_trader=={REQUIRED}" in project["dependencies"]
    lock = (ROOT / "requirements.txt").read_text()
    assert f"nautilus-trader=={REQUIRED}" in lock
    assert "--hash=sha256:" in lock
    assert "://" not in lock, "an address of a registry must not stand in the lock"
    assert f"nautilus_trader=={REQUIRED}" in (ROOT / "environment.yml").read_text()


def test_another_engine_version_is_refused_with_both_named(monkeypatch) -> None:
    monkeypatch.setattr(version.metadata, "version", lambda name: "1.231.0")
    try:
        version.require()
    except DependencyError as error:
        assert "1.231.0" in str(error)
        assert REQUIRED in str(error)
    else:
        raise AssertionError("an engine of another version was accepted")


def loaded_by(*arguments: str) -> set[str]:
    """Return the top-level modules a fresh interpreter loads for a command."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    lines = [line for line in process.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_import_and_help_load_nothing_heavy() -> None:
    heavy = {"pandas", "numpy", "pyarrow", "nautilus_trader", "pydantic", "holoviews", "bokeh",
             "matplotlib", "papermill", "rich"}  # fmt: skip
    assert not heavy & loaded_by("-c", "import workbench")
    assert not heavy & loaded_by("-m", "workbench", "--help")


def test_import_and_help_are_fast() -> None:
    """The bound is 0.3 s; the best of five keeps a busy machine from failing it."""
    for arguments in (["-c", "import workbench"], ["-m", "workbench", "--help"]):
        best = float("inf")
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            best = min(best, time.perf_counter() - began)
        assert best < 0.3, f"{arguments}: {best:.2f} s"


def test_no_module_is_too_long() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / "workbench").rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 430
    }
    assert not long
