"""The commands as a user types them: what they print, what they exit with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = "studies/ema-cross.yaml"


def test_help_names_every_noun(workbench) -> None:
    answer = workbench("--help")
    assert answer.code == 0
    for noun in ("init", "demo", "lab", "config", "data", "backtest", "sweep", "runs"):
        assert f"\n  {noun}" in answer.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backtst"], "Did you mean 'backtest'"),
        (["backtest", "rn"], "No such command 'rn'"),
        (["backtest", "run"], "Missing argument 'STUDY'"),
        (["backtest", "run", STUDY, "--nope"], "No such option"),
        (["backtest", "run", "studies/none.yaml"], "studies/none.yaml: cannot be read"),
        (["backtest", "run", STUDY, "-p", "fast"], "write name=value"),
        (["runs", "show", "nope"], "no run 'nope'"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_right(workbench, arguments, words) -> None:
    answer = workbench(*arguments)
    assert answer.code == 2
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""


def test_a_valid_study_is_valid(workbench) -> None:
    answer = workbench("config", "check", STUDY, "--json")
    assert (answer.code, answer.json) == (0, {"valid": True, "errors": []})


def test_errors_of_a_study_are_located_in_json_and_in_words(workbench, project) -> None:
    path = project.root / STUDY
    lines = path.read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "account: margin" in line)
    path.write_text(path.read_text().replace("account: margin", "acount: margin"))
    answer = workbench("config", "check", STUDY, "--json")
    assert answer.code == 2
    assert answer.json["valid"] is False
    found = {error["path"]: error for error in answer.json["errors"]}
    assert found["venues.0.acount"]["line"] == number
    assert found["venues.0.acount"]["file"] == STUDY
    assert "Did you mean 'account'" in found["venues.0.acount"]["message"]
    text = workbench("config", "check", STUDY)
    assert f"error: {STUDY}:{number}: venues.0.acount: unknown key 'acount'" in text.out


def test_errors_of_strategy_and_data_are_found_by_check(workbench) -> None:
    answer = workbench(
        "config", "check", STUDY, "-p", "fasst=3", "-p", "data.0.instrument=AAPK.XNAS", "--json"
    )
    assert answer.code == 2
    words = " ".join(error["message"] for error in answer.json["errors"])
    assert "Did you mean 'fast'" in words
    assert "AAPL.XNAS" in words


def test_show_prints_the_study_as_it_will_run(workbench) -> None:
    answer = workbench(
        "config", "show", STUDY, "-p", "fast=7", "--json", env={"WORKBENCH__TRADER": "DESK-007"}
    )
    assert answer.json["strategy"]["params"]["fast"] == 7
    assert answer.json["trader"] == "DESK-007"
    assert answer.json["venues"][0]["oms"] == "netting"


def test_schema_is_a_json_schema(workbench) -> None:
    assert workbench("config", "schema").json["title"] == "Study"


def test_stored_versions_are_compared_and_restored(workbench) -> None:
    assert workbench("config", "save", STUDY, "--json").json["version"] == 1
    assert workbench("config", "save", STUDY, "--json").json["version"] == 1
    assert workbench("config", "save", STUDY, "-p", "fast=9", "--json").json["version"] == 2
    changes = workbench("config", "diff", "ema-cross", "1", "--json").json["changes"]
    assert [(c["path"], c["old"], c["new"]) for c in changes] == [("strategy.params.fast", 10, 9)]
    assert workbench("config", "restore", "ema-cross", "1", "--json").json["version"] == 3
    history = workbench("config", "history", "ema-cross", "--json").json["versions"]
    assert sorted(entry["version"] for entry in history) == [1, 2, 3]
    unknown = workbench("config", "history", "ema-cros")
    assert unknown.code == 2
    assert "Did you mean 'ema-cross'" in unknown.err


def test_data_is_planned_fetched_once_and_listed(workbench) -> None:
    plan = workbench("data", "plan", STUDY, "--json").json
    assert {"requests", "cached", "missing", "rows", "bytes", "cost"} <= set(plan)
    assert plan["requests"] == 1
    assert plan["missing"]
    fetched = workbench("data", "fetch", STUDY, "--json").json
    assert (fetched["status"], fetched["rows"], fetched["error"]) == ("done", 2054, None)
    assert workbench("data", "plan", STUDY, "--json").json["requests"] == 0
    assert workbench("data", "fetch", STUDY, "--json").json["requests"] == 0
    (dataset,) = workbench("data", "list", "--json").json["datasets"]
    assert dataset["identity"] == "AAPL.XNAS-1-DAY-LAST-EXTERNAL"
    assert "AAPL.XNAS-1-DAY-LAST-EXTERNAL" in workbench("data", "list").out


def test_import_of_a_study_without_files_says_so(workbench) -> None:
    answer = workbench("data", "import", STUDY)
    assert answer.code == 2
    assert "provider: file" in answer.err


def test_a_run_prints_the_contract_and_its_digest_is_that_of_the_notebook(workbench) -> None:
    first = workbench("backtest", "run", STUDY, "--json")
    assert first.code == 0
    result = first.json
    assert {
        "run_id", "status", "error", "orders", "fills", "balances", "pnl", "digest", "seconds",
    } <= set(result)  # fmt: skip
    assert (result["status"], result["error"]) == ("done", None)
    notebook = workbench(
        "backtest", "run", STUDY, "--notebook", "notebooks/backtest.ipynb", "--json"
    ).json
    assert notebook["digest"] == result["digest"]
    assert Path(notebook["folder"], "notebook.ipynb").is_file()
    listed = workbench("runs", "list", "--json").json["runs"]
    assert [run["run_id"] for run in listed] == [notebook["run_id"], result["run_id"]]
    shown = workbench("runs", "show", result["run_id"], "--json").json
    assert shown["digests"]["engine"] == "2.0.0rc6"
    assert shown["statistics"]["sharpe"] is not None


def test_people_read_words(workbench) -> None:
    answer = workbench("backtest", "run", STUDY, "--report")
    assert answer.code == 0
    for word in ("status       done", "return", "Sharpe ratio", "digest"):
        assert word in answer.out
    page = Path(answer.out.splitlines()[-1].removeprefix("report").strip())
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")


def test_a_refused_run_prints_json_too(workbench) -> None:
    answer = workbench("backtest", "run", STUDY, "-p", "fast=80", "--json")
    assert answer.code == 2
    assert answer.json["status"] == "invalid"
    assert "fast < slow" in answer.json["errors"][0]["message"]
    assert workbench("runs", "list", "--json").json == {"runs": []}


def test_runs_are_compared_and_reported(workbench, tmp_path) -> None:
    first = workbench("backtest", "run", STUDY, "--json").json["run_id"]
    second = workbench("backtest", "run", STUDY, "-p", "fast=20", "--json").json["run_id"]
    answer = workbench("runs", "compare", first, second)
    assert answer.code == 0
    assert "fast" in answer.out
    document = workbench("runs", "compare", first, second, "--json").json
    assert json.dumps(document)
    page = tmp_path / "page.html"
    assert workbench("runs", "report", second, "-o", str(page), "--json").json["report"] == str(
        page
    )
    assert page.stat().st_size > 100_000


def test_a_sweep_is_run_shown_and_resumed(workbench) -> None:
    arguments = [STUDY, "-p", "sweep.params={fast: [5, 10], slow: [30]}"]
    ran = workbench("sweep", "run", *arguments, "--json")
    assert ran.code == 0
    assert ran.json["counts"]["done"] == 2
    assert workbench("sweep", "status", STUDY, "--json").json["status"] == "done"
    results = workbench("sweep", "results", STUDY)
    assert "slow" in results.out
    assert "All 2 points are done." in results.out
    assert "The best Sharpe ratio is" in results.out
    told = workbench("sweep", "results", STUDY, "--by", "max_drawdown", "--json").json
    assert told["statistic"] == "max_drawdown"
    assert told["words"][1].startswith("The smallest max drawdown is")
    assert told["importance"] == {}  # of two points nothing can be said
    wrong = workbench("sweep", "results", STUDY, "--by", "sharp")
    assert (wrong.code, "Did you mean 'sharpe'?" in wrong.err) == (2, True)
    resumed = workbench("sweep", "resume", STUDY, "--json")
    assert [r["run_id"] for r in resumed.json["runs"]] == [r["run_id"] for r in ran.json["runs"]]


def test_init_makes_a_project_that_runs(workbench, tmp_path) -> None:
    new = tmp_path / "new"
    assert workbench("init", str(new), "--json").json == {"project": str(new)}
    assert sorted(path.name for path in new.iterdir()) == [
        ".gateway", ".gitignore", "data", "notebooks", "strategies", "studies",
    ]  # fmt: skip
    assert (new / ".gateway").stat().st_mode & 0o777 == 0o700
    answer = workbench("backtest", "run", str(new / "studies" / "my-strategy.yaml"), "--json")
    assert answer.code == 0
    assert Path(answer.json["folder"]).is_relative_to(new)


def test_init_does_not_touch_what_is_there(workbench, tmp_path) -> None:
    (tmp_path / "studies").mkdir()
    answer = workbench("init", str(tmp_path))
    assert answer.code == 2
    assert "studies" in answer.err
    assert [path.name for path in tmp_path.iterdir() if path.name != "project"] == ["studies"]


def test_a_command_outside_a_project_says_how_to_make_one(workbench, tmp_path) -> None:
    answer = workbench("runs", "list", env={"WORKBENCH_PROJECT": str(tmp_path)})
    assert answer.code == 2
    assert "workbench init" in answer.err


def test_an_internal_error_is_one_line_without_a_traceback(workbench, project) -> None:
    (project.gateway / "runs").write_text("a file where a folder belongs")
    answer = workbench("runs", "list")
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert len(answer.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("runs list --json >&-", 0),
        ("config show nope --json >&-", 2),
        ("config show nope --json >/dev/full", 2),
        ("runs list --json >/dev/full", 1),
        ("config show nope --json | true; exit ${PIPESTATUS[0]}", 2),
        ("runs list --json <&-", 0),
    ],
)
def test_closed_and_full_streams_show_no_traceback(project, command, code) -> None:
    process = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m workbench {command}"],
        cwd=project.root,
        capture_output=True,
        text=True,
    )
    assert process.returncode == code, process.stderr
    assert "Traceback" not in process.stderr


def test_a_project_path_with_braces_runs_notebooks(workbench, project) -> None:
    odd = project.root.parent / "pro {y} \u00e9"
    project.root.rename(odd)
    answer = workbench(
        "backtest", "run", str(odd / STUDY), "--notebook", str(odd / "notebooks/backtest.ipynb"),
        "--json", cwd=odd,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert answer.json["status"] == "done"


def test_a_refused_value_of_a_sweep_is_located_in_the_sweep(workbench, project) -> None:
    path = project.root / STUDY
    path.write_text(path.read_text().replace("fast: [10, 20]", "fasst: [10, 20]"))
    answer = workbench("sweep", "run", STUDY, "--json")
    assert answer.code == 2
    (error,) = answer.json["errors"]
    assert (error["path"], error["file"]) == ("sweep.params.fasst", STUDY)
    assert error["line"] is not None


def test_a_pipe_is_no_study(workbench, project) -> None:
    os.mkfifo(project.root / "pipe.yaml")
    answer = workbench("config", "check", "pipe.yaml")
    assert answer.code == 2
    assert "pipe" in answer.out


def test_a_project_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "from workbench.cli.root import run\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "sys.exit(run(['init', sys.argv[1]]))\n"
    )
    target = tmp_path / "new"
    told = subprocess.run(
        [sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 1, told.stderr
    assert "could not be made: " in told.stderr
    assert "Nothing is left" in told.stderr
    assert not target.exists()
