"""``/nodes``: launch, flip, rehearse, list, status, stop, kill, logs, events."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from workbench import backtest, live
from workbench.core.errors import StudyError, WorkbenchError
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
    note,
    page,
    who,
)
from workbench.gateway.jobs import JobDocument, Known
from workbench.gateway.once import Answered
from workbench.gateway.problems import Json
from workbench.gateway.rooms import found
from workbench.gateway.studies import StudyReference, escapes, resolve
from workbench.live.connections import as_listed
from workbench.live.handle import ENDED
from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places

NodeId = Annotated[str, Path(max_length=200, description="Name of a node")]
Name = Annotated[
    str | None,
    Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Of the node; default: the study's name",
    ),
]
_START_SECONDS = 60.0
_KEYS = ("state", "environment", "trader", "pid", "restarts", "reason", "since")


class LaunchForm(Form):
    """A node that is asked for."""

    study: StudyReference
    name: Name = None


class FlipForm(Form):
    """A finished run that is to go live."""

    run_id: str = Field(max_length=200)
    live: dict[str, Any] | Literal["practice"] | None = Field(
        None, description="The study's live section; default: its own, else a rehearsal"
    )
    check: bool = Field(False, description="Look at the gates, launch nothing")
    confirm: str | None = Field(None, max_length=300, description="The phrase; testnet and live")
    name: Name = None


class RehearseForm(Form):
    """A finished run that is to be rehearsed."""

    run_id: str = Field(max_length=200)
    seconds: float = Field(20.0, gt=0, le=3_600, description="How long it trades")


class Launched(BaseModel):
    """A node that runs."""

    node_id: str
    state: str
    pid: int | None
    error: str | None


class Nodes(BaseModel):
    """The project's nodes, running or not."""

    nodes: list[dict[str, Any]]
    next: str | None


class StopForm(Form):
    """How a node is stopped."""

    reason: str = Field("stopped on request", max_length=500)


def routes(gate: Gate) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter()
    run, ask, look, project = gate.rooms.run, gate.rooms.ask, gate.rooms.look, gate.project

    @router.post(
        "/nodes/launch",
        status_code=201,
        tags=["nodes"],
        dependencies=needs("trade"),
        responses=answers(Launched, 201),
    )
    async def launch_node(form: LaunchForm, request: Request) -> Response:
        """Launch a node; answers once it runs. Every error of the study has its path and line."""
        body = await request.body()

        def work(again: bool) -> Document:
            study = resolve(form.study, project, body, ("study",))
            name = form.name or study.name
            if again and (same := _launched(study, name, project)):
                return same
            return _shown(live.launch(study, project, name=form.name))

        async def launch(_: str | None, again: bool) -> Answered:
            done = await run(work, again)
            note(request, node=done["node_id"])
            return 201, done

        return await gate.once.answer(request, launch)

    @router.post(
        "/nodes/flip", tags=["nodes"], dependencies=needs("trade"), responses=answers(Document)
    )
    async def flip_run(form: FlipForm, request: Request) -> Response:
        """Take a finished run's study live: gates, what differs, then the node."""
        name = who(request)

        def work() -> Document:
            finished = found(backtest.RunStore(project).get, form.run_id)
            _check_reach(finished)
            promotion = live.flip(finished, form.live, project)
            known = promotion.to_dict() | {"node_id": None, "state": None, "pid": None}
            if not form.check:
                node = promotion.go(confirm=form.confirm, who=name, name=form.name)
                known |= _shown(node)
            return known

        async def flip(_: str | None, again: bool) -> Answered:  # noqa: ARG001
            done = await run(work)
            note(request, run=done["run_id"], node=done["node_id"])
            return 200, done

        return await gate.once.answer(request, flip)

    @router.post(
        "/nodes/rehearse",
        status_code=202,
        tags=["nodes"],
        dependencies=needs("trade"),
        responses=answers(JobDocument, 202),
    )
    async def rehearse_run(form: RehearseForm, request: Request) -> Response:
        """Let a finished run trade on a practice venue of its own, then flatten and stop it.

        A job; ``known`` has the gates.
        """

        def look() -> backtest.Run:
            finished = found(backtest.RunStore(project).get, form.run_id)
            _check_reach(finished)
            return finished

        finished = await run(look)

        def work(known: Known, on_progress: OnProgress, should_stop: ShouldStop) -> Document:
            def flipped(promotion: live.Promotion) -> None:
                known["gates"] = [gate.to_dict() for gate in promotion.gates]

            return live.rehearse(
                finished,
                project,
                seconds=form.seconds,
                on_flip=flipped,
                on_progress=on_progress,
                should_stop=should_stop,
            ).to_dict()

        doing = f"Rehearsing {finished.name}"
        return await begin(gate, request, "rehearsal", doing, work, scope="trade")

    @router.get("/nodes", tags=["nodes"], dependencies=needs("read"), responses=answers(Nodes))
    async def list_nodes(limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List the project's nodes, running or not."""

        def work() -> Document:
            some, following = page(live.nodes(project), lambda node: node.id, limit, cursor)
            known = []
            for node in some:
                state = node.state()
                known.append({"node_id": node.id, **{key: state.get(key) for key in _KEYS}})
            return {"nodes": known, "next": following}

        return Json(await run(work))

    @router.get(
        "/nodes/{node}/status",
        tags=["nodes"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def node_status(node: NodeId) -> Response:
        """Return a node's state and, if it runs, equity, positions, orders, feeds."""
        return Json(await ask(node, live.Node.status))

    @router.get(
        "/nodes/{node}/telemetry",
        tags=["nodes"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def node_telemetry(node: NodeId) -> Response:
        """Return a running node's measurements: profit, exposure, latency, memory."""
        return Json(await ask(node, live.Node.ask, "telemetry"))

    @router.get(
        "/nodes/{node}/logs",
        tags=["nodes"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def node_logs(
        node: NodeId, lines: Annotated[int, Query(ge=1, le=1_000)] = 50
    ) -> Response:
        """Return the end of the engine's log and of what its process printed, by file."""
        return Json({"node_id": node, "logs": await look(node, live.Node.logs, lines)})

    @router.get(
        "/nodes/{node}/events",
        tags=["nodes"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def node_events(
        node: NodeId,
        since: Annotated[int, Query(ge=0, description="Number of the last event known")] = 0,
        types: Annotated[
            list[str] | None, Query(alias="type", max_length=50, description="order, order.filled")
        ] = None,
        limit: Limit = 200,
    ) -> Response:
        """Return a node's events after a number; ``next`` is the `since` of the page after."""

        def work(found_node: live.Node) -> Document:
            wanted = (
                entry
                for entry in found_node.events(since)
                if types is None
                or any(entry["type"] == t or entry["type"].startswith(f"{t}.") for t in types)
            )
            some = [{"node": node, **entry} for entry in islice(wanted, limit)]
            return {"events": some, "next": some[-1]["seq"] if len(some) == limit else None}

        return Json(await look(node, work))

    @router.get(
        "/nodes/{node}/parity",
        tags=["nodes"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def node_parity(
        node: NodeId, run_id: Annotated[str, Query(max_length=200, description="A backtest")]
    ) -> Response:
        """Compare the decisions of a node on a replay with those of a backtest."""

        def work(found_node: live.Node) -> Document:
            found(backtest.RunStore(project).get, run_id)
            return live.parity(found_node, run_id, project).to_dict()

        return Json(await look(node, work))

    @router.post(
        "/nodes/{node}/stop",
        tags=["nodes"],
        dependencies=needs("trade"),
        responses=answers(Document),
    )
    async def stop_node(node: NodeId, form: StopForm) -> Response:
        """Stop a node in order; its open orders and positions stay."""
        return Json(_ended(node, await ask(node, live.Node.stop, form.reason)))

    @router.post(
        "/nodes/{node}/kill",
        tags=["nodes"],
        dependencies=needs("trade"),
        responses=answers(Document),
    )
    async def kill_node(node: NodeId) -> Response:
        """End a node's process at once, also one that hangs; its orders and positions stay."""
        # Not among those who wait for the node: they may be waiting because it hangs.
        return Json(_ended(node, await look(node, live.Node.kill)))

    return router


def _check_reach(run: backtest.Run) -> None:
    """Refuse the study of a run that reaches out of its project."""
    study = build(run.study, Places(file=f"run {run.id}"))
    if issues := list(escapes(study, run.project)):
        raise StudyError(issues)


def _shown(node: live.Node) -> Document:
    known = node.state()
    return {"node_id": node.id, "state": known["state"], "pid": known["pid"], "error": None}


def _ended(name: str, known: Document) -> Document:
    return {"node_id": name, "state": known["state"], "reason": known["reason"]}


def _launched(study: Study, name: str, project: Project) -> Document | None:
    """Return the node that a call whose answer was lost has launched; None if none runs."""
    node = live.Node(project, name)
    try:
        wanted = as_listed(study, project) if study.live else study
        same = json.loads((node.folder / "study.json").read_text()) == wanted.to_dict()
        if not same or not node.running:
            return None
        node.wait(("RUNNING", *ENDED), _START_SECONDS)
        return _shown(node) if node.running else None
    except (OSError, ValueError, WorkbenchError):
        return None
