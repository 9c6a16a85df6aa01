"""Studies, data, backtests, sweeps, runs and jobs over the gateway."""

import subprocess
import sys
import threading
import time

import pytest

from workbench import live
from workbench.backtest import RunStore, sweep_results
from workbench.backtest.insight import importance, in_words
from workbench.client import GatewayError
from workbench.core.errors import Cancelled, InputError
from workbench.gateway.jobs import Jobs
from workbench.gateway.problems import Problem

STUDY = "studies/ema-cross.yaml"
SHORT = {"data.0.start": "2011-01-01"}


def test_a_study_is_checked_with_path_and_line(served) -> None:
    with served.client("research") as client:
        assert client.studies.validate(STUDY) == {"valid": True, "errors": []}
        text = (served.project.root / STUDY).read_text().replace("fast: 10", "fast: ten")
        found = client.studies.validate(text)
        line = next(n for n, t in enumerate(text.splitlines(), 1) if "fast: ten" in t)
        assert not found["valid"]
        (fault,) = found["errors"]
        assert (fault["path"], fault["line"]) == ("strategy.params.fast", line)
    for study, said in (({}, "say one of file, name"), ({"fil": "x"}, "extra inputs")):
        answer = served.call("POST", "/studies", "research", json={"study": study})
        assert answer.status_code == 422
        assert said in answer.json()["detail"]


def test_studies_are_stored_compared_and_restored(served) -> None:
    with served.client("research") as client:
        assert client.studies.store(STUDY) == {"name": "ema-cross", "version": 1}
        assert client.studies.store(STUDY)["version"] == 1, "nothing has changed"
        stored = client.studies.store("ema-cross", params={"fast": 12})
        assert stored["version"] == 2
        (change,) = client.studies.diff("ema-cross", 1)
        assert (change["path"], change["old"], change["new"]) == ("strategy.params.fast", 10, 12)
        assert client.studies.restore("ema-cross", 1)["version"] == 3
        assert [each["version"] for each in client.studies.history("ema-cross")] == [3, 2, 1]
        whole = client.studies.get("ema-cross", 2)["study"]
        assert client.studies.store(whole)["version"] == 4, "as JSON it is the same study"
        assert "ema-cross" in list(client.studies.list())
        assert client.studies.schema()["properties"]["strategy"]
        for call in (
            lambda: client.studies.get("ema-crss"),
            lambda: client.studies.get("ema-cross", 99),
            lambda: list(client.studies.history("nothing")),
        ):
            with pytest.raises(GatewayError) as caught:
                call()
            assert caught.value.status == 404


def test_data_are_planned_and_fetched_as_a_job(served) -> None:
    with served.client("research") as client:
        plan = client.data.plan(STUDY)
        assert plan["missing"]
        assert not plan["over_budget"]
        job = client.data.fetch(STUDY)
        assert (job["kind"], job["who"]) == ("fetch", "research")
        done = client.jobs.wait(job["job_id"], timeout=60)
        assert done["result"]["rows"] == plan["rows"]
        assert done["progress"]["fraction"] == 1.0
        assert client.data.plan(STUDY)["missing"] == []
        assert [each["identity"] for each in client.data.list()] == [
            "AAPL.XNAS-1-DAY-LAST-EXTERNAL"
        ]


def test_a_backtest_is_run_and_looked_at(served) -> None:
    with served.client("research") as client:
        job = client.backtests.run(STUDY, params={"fast": 20} | SHORT)
        done = client.jobs.wait(job["job_id"], timeout=60)
        name = done["result"]["run_id"]
        assert done["known"]["run_id"] == name
        direct = RunStore(served.project).get(name)
        assert direct.status == "done"
        assert direct.params["fast"] == 20
        shown = client.runs.show(name)
        assert shown["digest"] == direct.digest
        assert next(client.runs.list())["run_id"] == name
        fills = list(client.runs.table(name, "fills"))
        assert len(fills) == direct.n_fills
        assert len(list(client.runs.table(name, "equity"))) == len(direct.equity())
        page = client.runs.report(name, served.project.root / "report.html")
        assert "<html" in page.read_text()
        answer = served.call("GET", f"/runs/{name}/report", "read")
        assert "sandbox" in answer.headers["content-security-policy"]
        other = client.jobs.wait(client.backtests.run(STUDY, params=SHORT)["job_id"], timeout=60)
        compared = client.runs.compare(name, other["result"]["run_id"])
        assert compared
        with pytest.raises(GatewayError, match="no run"):
            client.runs.show("nothing")


def test_a_strategy_that_fails_is_a_failed_job_with_its_traceback(served) -> None:
    (served.project.root / "strategies" / "raising.py").write_text(
        "from nautilus_trader.trading import Strategy\n\n\nclass Raising(Strategy):\n"
        "    def on_start(self):\n        raise ValueError('of all things')\n"
    )
    text = (served.project.root / STUDY).read_text()
    head, _, tail = text.partition("strategy:")
    risk = tail.partition("risk:")[2].partition("sweep:")[0]
    text = f"{head}strategy: {{path: strategies/raising.py:Raising}}\nrisk:{risk}"
    with served.client("research") as client:
        job = client.backtests.run(text)
        with pytest.raises(GatewayError, match="of all things"):
            client.jobs.wait(job["job_id"], timeout=60)
        assert client.jobs.get(job["job_id"])["problem"]["type"] == "workbench:run-failed"


def test_jobs_are_cancelled(served) -> None:
    """A backtest and a sweep: asked to stop, they do, and the store says so."""
    with served.client("research") as client:
        swept = client.sweeps.run(STUDY, processes=1)
        while "sweep_id" not in client.jobs.get(swept["job_id"])["known"]:
            time.sleep(0.05)
        client.jobs.cancel(swept["job_id"])
        with pytest.raises(Cancelled):
            client.jobs.wait(swept["job_id"], timeout=60)
        job = client.jobs.get(swept["job_id"])
        sweep = client.sweeps.results(job["known"]["sweep_id"])
        assert sweep["counts"]["running"] == 0
        assert sweep["counts"]["done"] < sweep["points"]
        # What is missing is run afterwards.
        again = client.jobs.wait(client.sweeps.resume(sweep["sweep_id"])["job_id"], timeout=120)
        assert again["result"]["counts"]["done"] == sweep["points"]
        assert (
            len(list(client.runs.list(sweep=sweep["sweep_id"], status="done"))) == sweep["points"]
        )
        # What it tells, as the board and the command say it.
        direct = sweep_results(sweep["sweep_id"], project=served.project)
        for statistic in ("sharpe", "max_drawdown"):
            told = client.sweeps.results(sweep["sweep_id"], statistic=statistic)
            assert told["words"] == in_words(direct, statistic)
            assert told["importance"] == importance(direct, statistic)
            assert set(told["importance"]) == {"data.0.instrument", "fast", "slow"}
        assert again["result"]["words"] == in_words(direct)
        with pytest.raises(InputError, match="statistic"):
            client.sweeps.results(sweep["sweep_id"], statistic="sharp")


def test_one_token_does_not_take_all_places_for_jobs(project) -> None:
    jobs = Jobs(project)
    go = threading.Event()

    def work(known, on_progress, should_stop):
        assert go.wait(60)
        return {}

    def start(who):
        return jobs.start("rehearsal", "rehearsing", who, work)["job_id"]

    try:
        first = [start("greedy") for _ in range(8)]
        with pytest.raises(Problem, match="8 of one token") as caught:
            start("greedy")
        assert caught.value.status == 429
        others = [start("modest") for _ in range(5)] + [start(f"other {n}") for n in range(3)]
        with pytest.raises(Problem, match="at most 16"):
            start("late")
    finally:
        go.set()
    for name in first + others:
        while jobs.get(name)["status"] == "running":
            time.sleep(0.01)
    start("greedy")


def test_a_sweep_of_another_process_is_cancelled(served) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "sweep", "run", STUDY, "--processes", "1"],
        cwd=served.project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    before = {each["id"] for each in RunStore(served.project).sweeps()}
    while not (new := {each["id"] for each in RunStore(served.project).sweeps()} - before):
        assert process.poll() is None
        time.sleep(0.05)
    (name,) = new
    with served.client("research") as client:
        assert client.sweeps.results(name)["status"] == "running"
        answer = served.call("POST", f"/sweeps/{name}/cancel", "read", json={})
        assert answer.status_code == 403
        ended = client.sweeps.cancel(name)
        assert (ended["sweep_id"], ended["status"]) == (name, "incomplete")
        assert process.wait(20) == 130
        assert client.sweeps.cancel(name)["counts"] == ended["counts"], "there is nothing to cancel"
        with pytest.raises(GatewayError) as caught:
            client.sweeps.cancel("nothing")
        assert caught.value.status == 404


def test_lists_come_in_pages(served) -> None:
    every = served.call("GET", "/runs?limit=500", "read").json()["runs"]
    assert len(every) >= 5
    found, cursor = [], ""
    while cursor is not None:
        query = f"&cursor={cursor}" if cursor else ""
        some = served.call("GET", f"/runs?limit=2{query}", "read").json()
        found += some["runs"]
        cursor = some["next"]
    assert [run["run_id"] for run in found] == [run["run_id"] for run in every]
    assert served.call("GET", "/runs?cursor=nothing", "read").status_code == 404
    assert served.call("GET", "/jobs?cursor=nothing", "read").status_code == 400
    for wrong in ("limit=0", "limit=501", "limit=x", "status=odd"):
        answer = served.call("GET", f"/runs?{wrong}", "read")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["path"].startswith("query: ")


def test_a_job_is_started_once_for_a_key(served) -> None:
    body = {"study": {"file": STUDY, "params": SHORT}}
    answers = [
        served.call(
            "POST", "/backtests", "research", json=body, headers={"Idempotency-Key": "bt-1"}
        )
        for _ in range(3)
    ]
    assert answers[0].headers["location"] == f"/jobs/{answers[0].json()['job_id']}"
    assert {answer.json()["job_id"] for answer in answers} == {answers[0].json()["job_id"]}
    with served.client("research") as client:
        client.jobs.wait(answers[0].json()["job_id"], timeout=60)


def test_a_run_goes_live_through_its_gates(served) -> None:
    with served.client("research") as client:
        job = client.backtests.run(STUDY, params=SHORT)
        run = client.jobs.wait(job["job_id"], timeout=60)["result"]["run_id"]
    with served.client("trade") as client:
        found = client.nodes.flip(run, check=True)
        assert found["node_id"] is None
        assert {gate["name"] for gate in found["gates"]} >= {"study", "run", "strategy", "risk"}
        assert found["environment"] == "sandbox"
        with pytest.raises((InputError, GatewayError)):
            client.nodes.flip(run, {"environment": "sandbx"}, check=True)


def test_a_run_is_rehearsed_and_the_rehearsal_cancelled(served) -> None:
    """A job of whoever may trade; cancelled, nothing of it runs any longer."""
    with served.client("research") as client:
        run = client.jobs.wait(client.backtests.run(STUDY, params=SHORT)["job_id"], timeout=60)
        run_id = run["result"]["run_id"]
        with pytest.raises(GatewayError, match="needs the scope trade"):
            client.nodes.rehearse(run_id)
    with served.client("trade") as client, served.client("research") as other:
        for wrong in (0, -1, 1e9):
            with pytest.raises(InputError, match="seconds"):
                client.nodes.rehearse(run_id, seconds=wrong)
        with pytest.raises(GatewayError) as caught:
            client.nodes.rehearse("nothing")
        assert caught.value.status == 404
        job = client.nodes.rehearse(run_id, seconds=1)
        assert (job["kind"], job["who"]) == ("rehearsal", "trade")
        done = client.jobs.wait(job["job_id"], timeout=90)
        assert done["result"]["flat"]
        assert {gate["passed"] for gate in done["known"]["gates"]} == {True}

        job = client.nodes.rehearse(run_id, seconds=300)["job_id"]
        while client.jobs.get(job)["progress"]["task"] != "Trading":
            time.sleep(0.1)
        # Who may only research neither starts one nor ends it; and the other way round.
        answer = served.call("POST", f"/jobs/{job}/cancel", "research", json={})
        assert (answer.status_code, "scope trade" in answer.json()["detail"]) == (403, True)
        swept = other.sweeps.run(STUDY)["job_id"]
        with pytest.raises(GatewayError, match="needs the scope research"):
            client.jobs.cancel(swept)
        other.jobs.cancel(swept)
        client.jobs.cancel(job)
        with pytest.raises(Cancelled):
            client.jobs.wait(job, timeout=60)
        assert not live.Node(served.project, done["result"]["node_id"]).running


def test_adapters_are_listed_and_shown(served) -> None:
    with served.client("read") as client:
        names = [each["name"] for each in client.adapters.list()]
        assert "bybit" in names
        assert client.adapters.show("bybit")["credentials"] == ["api_key", "api_secret"]
        with pytest.raises(GatewayError, match="Did you mean 'bybit'") as caught:
            client.adapters.show("bybitt")
        assert caught.value.status == 404
