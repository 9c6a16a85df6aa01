"""``/data``, ``/backtests``, ``/sweeps``, ``/runs`` and ``/jobs``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, Response

from workbench import backtest, data
from workbench.backtest.insight import Statistic, to_dict
from workbench.core.errors import Cancelled, Issue, RunError, StudyError
from workbench.core.progress import OnProgress, ShouldStop
from workbench.core.project import Project
from workbench.gateway.gate import (
    Cursor,
    Document,
    Form,
    Gate,
    Limit,
    answers,
    begin,
    needs,
    page,
)
from workbench.gateway.jobs import JobDocument, Known
from workbench.gateway.problems import Json, Problem
from workbench.gateway.rooms import found
from workbench.gateway.studies import StudyReference, inside, resolve

RunId = Annotated[str, Path(max_length=200, description="An id, the end of one, or latest")]
Table = Literal["orders", "fills", "positions", "equity"]

# A report is a page of its own: it may run its scripts, but not act as who looks at it.
_REPORT_HEADERS = {"Content-Security-Policy": "sandbox allow-scripts", "Cache-Control": "no-store"}


class PlanForm(Form):
    """What data are asked for."""

    study: StudyReference
    replace: bool = Field(False, description="Plan to fetch again what is cached")
    max_cost: Decimal | None = Field(
        None, ge=0, le=10**9, description="US dollars; default: the study's budget"
    )


class BacktestForm(Form):
    """A backtest that is asked for."""

    study: StudyReference
    notebook: str | None = Field(None, max_length=500, description="Of the project: run it as this")


class SweepForm(Form):
    """A sweep that is asked for: a new one of a study, or the rest of one."""

    study: StudyReference | None = None
    resume: str | None = Field(None, max_length=200, description="Id of a sweep to go on with")
    notebook: str | None = Field(None, max_length=500, description="Of the project")
    processes: int | None = Field(None, ge=1, le=64, description="Runs at a time")


class Runs(BaseModel):
    """Runs, newest first."""

    runs: list[dict[str, Any]]
    next: str | None


def routes(gate: Gate) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter()
    run, project, runs = gate.rooms.run, gate.project, backtest.RunStore(gate.project)

    @router.post(
        "/data/plan", tags=["data"], dependencies=needs("research"), responses=answers(Document)
    )
    async def plan_data(form: PlanForm, request: Request) -> Response:
        """Say what a study's data would take: cached, missing, requests, rows, bytes, cost."""
        body = await request.body()

        def work() -> Document:
            study = resolve(form.study, project, body, ("study",))
            planned = data.plan(study, project, replace=form.replace)
            too_much = data.over_budget(study, planned, form.max_cost)
            return planned.to_dict() | {"over_budget": too_much is not None}

        return Json(await run(work))

    @router.post(
        "/data/fetch",
        status_code=202,
        tags=["data"],
        dependencies=needs("research"),
        responses=answers(JobDocument, 202),
    )
    async def fetch_data(form: PlanForm, request: Request) -> Response:
        """Fetch what a study's data lack, as a job."""
        body = await request.body()
        study = await run(resolve, form.study, project, body, ("study",))

        def work(_: Known, on_progress: OnProgress, should_stop: ShouldStop) -> Document:
            fetched = data.fetch(
                study,
                project,
                replace=form.replace,
                max_cost=form.max_cost,
                on_progress=on_progress,
                should_stop=should_stop,
            )
            return fetched.to_dict()

        return await begin(gate, request, "fetch", f"Fetching {study.name}", work)

    @router.get("/data", tags=["data"], dependencies=needs("read"), responses=answers(Document))
    async def list_data(limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List what the catalog holds: spans, rows, gaps, broken files."""

        def work() -> Document:
            known = data.list_(project)
            some, following = page(known["datasets"], _dataset_key, limit, cursor)
            return known | {"datasets": some, "next": following}

        return Json(await run(work))

    @router.post(
        "/backtests",
        status_code=202,
        tags=["backtests"],
        dependencies=needs("research"),
        responses=answers(JobDocument, 202),
    )
    async def start_backtest(form: BacktestForm, request: Request) -> Response:
        """Run a backtest, as a job; ``known`` says its run's id."""
        body = await request.body()
        study = await run(resolve, form.study, project, body, ("study",))
        notebook = _notebook(form.notebook, project)

        def work(known: Known, on_progress: OnProgress, should_stop: ShouldStop) -> Document:
            running = backtest.start(
                study,
                project=project,
                notebook=notebook,
                recorded_params=form.study.params,
                on_progress=on_progress,
            )
            known["run_id"] = running.id
            done = running.wait(should_stop)
            if done.status == "cancelled":
                raise Cancelled(f"run {done.id} was cancelled", done.id)
            if done.status == "failed":
                raise RunError(f"run {done.id} failed: {done.error}", done.id)
            return done.summary()

        return await begin(gate, request, "backtest", f"Running {study.name}", work)

    @router.post(
        "/sweeps",
        status_code=202,
        tags=["sweeps"],
        dependencies=needs("research"),
        responses=answers(JobDocument, 202),
    )
    async def start_sweep(form: SweepForm, request: Request) -> Response:
        """Run every point of a study's sweep, or what is missing of one, as a job."""
        body = await request.body()
        if (form.study is None) == (form.resume is None):
            raise StudyError(Issue("say either study or resume", "study"))
        notebook = _notebook(form.notebook, project)
        if form.study is None:
            assert form.resume is not None
            row = await run(found, runs.sweep, form.resume)
            name, doing = row["id"], f"Going on with {row['name']}"

            def work(known: Known, on_progress: OnProgress, should_stop: ShouldStop) -> Document:
                known["sweep_id"] = name
                return to_dict(
                    backtest.resume_sweep(
                        name,
                        project=project,
                        processes=form.processes,
                        on_progress=on_progress,
                        should_stop=should_stop,
                    )
                )
        else:
            study = await run(resolve, form.study, project, body, ("study",))
            backtest.grid(study)  # it has a sweep
            doing = f"Sweeping {study.name}"

            def work(known: Known, on_progress: OnProgress, should_stop: ShouldStop) -> Document:
                return to_dict(
                    backtest.run_sweep(
                        study,
                        project=project,
                        notebook=notebook,
                        processes=form.processes,
                        on_progress=on_progress,
                        on_start=lambda sweep_id: known.update(sweep_id=sweep_id),
                        should_stop=should_stop,
                    )
                )

        return await begin(gate, request, "sweep", doing, work)

    @router.get(
        "/sweeps/{sweep_id}", tags=["sweeps"], dependencies=needs("read"),
        responses=answers(Document),
    )  # fmt: skip
    async def get_sweep(
        sweep_id: Annotated[str, Path(max_length=200, description="An id, or latest")],
        statistic: Annotated[
            Statistic, Query(description="What points are compared by")
        ] = "sharpe",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        """Return a sweep: how far it is, what it tells in words, what matters, and its runs."""

        def work() -> Document:
            result = to_dict(found(backtest.sweep_results, sweep_id, project=project), statistic)
            some, following = page(result["runs"], lambda each: str(each["run_id"]), limit, cursor)
            return result | {"runs": some, "next": following}

        return Json(await run(work))

    @router.post(
        "/sweeps/{sweep_id}/cancel",
        tags=["sweeps"],
        dependencies=needs("research"),
        responses=answers(Document),
    )
    async def cancel_sweep(
        sweep_id: Annotated[str, Path(max_length=200, description="An id, or latest")],
    ) -> Response:
        """Cancel a sweep, whichever process runs it; what is done stays done."""

        def work() -> Document:
            name = found(runs.sweep, sweep_id)["id"]
            known = backtest.cancel_sweep(name, project=project).to_dict()
            return {key: value for key, value in known.items() if key != "runs"}

        return Json(await run(work))

    @router.get("/runs", tags=["runs"], dependencies=needs("read"), responses=answers(Runs))
    async def list_runs(
        status: Literal["queued", "running", "done", "failed", "cancelled"] | None = None,
        study: Annotated[str | None, Query(max_length=200, description="Name of the study")] = None,
        sweep: Annotated[str | None, Query(max_length=200, description="Id of a sweep")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        """List runs, newest first."""

        def work() -> Document:
            if cursor is not None:
                found(runs.get, cursor)
            some = runs.list(
                status=status, name=study, sweep_id=sweep, before=cursor, limit=limit + 1
            )
            following = some[limit - 1].id if len(some) > limit else None
            listed = [each.summary() | {"created": each.created} for each in some[:limit]]
            return {"runs": listed, "next": following}

        return Json(await run(work))

    @router.get(
        "/runs/compare", tags=["runs"], dependencies=needs("read"), responses=answers(Document)
    )
    async def compare_runs(
        run_id: Annotated[list[str], Query(min_length=2, max_length=20, description="Of each")],
    ) -> Response:
        """Compare runs: what differs in parameters, statistics, digests."""

        def work() -> Document:
            return backtest.compare([found(runs.get, each) for each in run_id])

        return Json(await run(work))

    @router.get("/runs/{run_id}", tags=["runs"], dependencies=needs("read"),
                responses=answers(Document))  # fmt: skip
    async def get_run(run_id: RunId) -> Response:
        """Return everything about a run but its tables."""

        def work() -> Document:
            known: Document = found(runs.get, run_id).to_dict()
            return known

        return Json(await run(work))

    @router.get(
        "/runs/{run_id}/tables/{table}",
        tags=["runs"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def run_table(
        run_id: RunId,
        table: Table,
        limit: Limit = 200,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    ) -> Response:
        """Return rows of a run's orders, fills, positions or equity; times in ISO 8601."""

        def work() -> Document:
            import json

            frame = getattr(found(runs.get, run_id), table)()
            part = frame.iloc[offset : offset + limit]
            rows = json.loads(part.to_json(orient="records", date_format="iso", date_unit="ns"))
            more = offset + limit < len(frame)
            return {"rows": rows, "total": len(frame), "next": offset + limit if more else None}

        return Json(await run(work))

    @router.get(
        "/runs/{run_id}/report",
        tags=["runs"],
        dependencies=needs("read"),
        responses={200: {"content": {"text/html": {}}, "description": "One page"}},
        response_class=HTMLResponse,
    )
    async def run_report(run_id: RunId) -> Response:
        """Return a run's report, one page that asks nothing of anybody else."""

        def work() -> str:
            return str(found(runs.get, run_id).report().read_text())

        return HTMLResponse(await run(work), headers=_REPORT_HEADERS)

    @router.post(
        "/runs/{run_id}/cancel",
        tags=["runs"],
        dependencies=needs("research"),
        responses=answers(Document),
    )
    async def cancel_run(run_id: RunId) -> Response:
        """Cancel a run, whichever process started it."""

        def work() -> Document:
            ended: Document = backtest.cancel(found(runs.get, run_id).id, project=project).summary()
            return ended

        return Json(await run(work))

    @router.get("/jobs", tags=["jobs"], dependencies=needs("read"), responses=answers(Document))
    async def list_jobs(limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List the jobs of this gateway, newest first."""
        some, following = page(gate.jobs.list_(), lambda each: str(each["job_id"]), limit, cursor)
        return Json({"jobs": some, "next": following})

    @router.get(
        "/jobs/{job_id}", tags=["jobs"], dependencies=needs("read"), responses=answers(JobDocument)
    )
    async def get_job(job_id: Annotated[str, Path(max_length=100)]) -> Response:
        """Return a job: how far it is, its result, or why it failed."""
        return Json(gate.jobs.get(job_id))

    @router.post(
        "/jobs/{job_id}/cancel",
        tags=["jobs"],
        dependencies=needs("research", "trade"),
        responses=answers(JobDocument),
    )
    async def cancel_job(
        job_id: Annotated[str, Path(max_length=100)], request: Request
    ) -> Response:
        """Ask a job to stop; needs the scope it was started with."""
        return Json(gate.jobs.cancel(job_id, request.state.token.allowed))

    return router


def _dataset_key(dataset: Document) -> str:
    return f"{dataset['kind']}/{dataset['identity']}"


def _notebook(name: str | None, project: Project) -> str | None:
    """Return the path of a notebook of the project."""
    if name is None:
        return None
    path = inside(project, name)
    if path is None or path.suffix != ".ipynb":
        message = f"a notebook lies in the project and ends in .ipynb; found '{name}'"
        raise StudyError(Issue(message, "notebook"))
    if not path.is_file():
        raise Problem(404, f"no notebook '{name}' in the project", "not-found")
    return str(path)
