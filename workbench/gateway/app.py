"""The gateway as an ASGI application: the endpoints, the dashboard, and the guard before both."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from workbench.core.project import Project
from workbench.engine.loading import load
from workbench.gateway import problems
from workbench.gateway.audit import Audit
from workbench.gateway.gate import Gate, Needs
from workbench.gateway.guard import DASHBOARD, Guard
from workbench.gateway.jobs import Jobs
from workbench.gateway.listeners import Hub
from workbench.gateway.meters import Meters
from workbench.gateway.once import Once
from workbench.gateway.problems import Json, ProblemDocument
from workbench.gateway.rooms import Rooms
from workbench.gateway.routes import events, nodes, orders, research, studies, system
from workbench.gateway.settings import Settings
from workbench.gateway.tokens import Tokens

_ABOUT = """Every verb of NT Workbench over HTTP: studies, data, backtests, sweeps, live nodes,
orders, risk, events. Errors are problem documents (RFC 9457) with the file, line and path of each
fault. `Idempotency-Key` makes orders, launches and jobs happen once. Events also come over a
WebSocket at `/events`."""


def build(
    project: Project | None = None,
    settings: Settings | None = None,
    *,
    tokens: Tokens | None = None,
) -> FastAPI:
    """Return the gateway of a project as an ASGI application.

    Parameters
    ----------
    project
        Default: the project of the working folder.
    settings
        Default: this machine only, with the dashboard.
    tokens
        Default: those of the project's store.

    Returns
    -------
    FastAPI
        For any ASGI server; `workbench.gateway.serve` runs it in uvicorn.

    """
    project = project or Project.find()
    settings = settings or Settings()
    gate = _gate(project, settings, tokens or Tokens(project))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(load)  # before threads that end use it
        following = asyncio.create_task(gate.hub.run())
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            await asyncio.to_thread(gate.jobs.cancel_all)
            gate.once.close()
            gate.audit.close()

    app = FastAPI(
        title="NT Workbench",
        version=version("nt-workbench"),
        description=_ABOUT,
        lifespan=lifespan,
        default_response_class=Json,
        docs_url=None,  # these pages ask outside hosts for their scripts
        redoc_url=None,
        responses=problems.RESPONSES,
    )
    problems.install(app, project)
    routers = [module.routes(gate) for module in (studies, research, nodes, orders, events, system)]
    for router in routers:
        app.include_router(router)
    calls = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    _describe(app, calls)
    if settings.dashboard and importlib.util.find_spec("panel") is not None:
        _mount_dashboard(app, project)
    # Added last, it stands first: nothing is reached past it.
    app.add_middleware(
        Guard, settings=settings, tokens=gate.tokens, audit=gate.audit, meters=gate.meters
    )
    app.state.gate, app.state.calls = gate, calls
    return app


def _gate(project: Project, settings: Settings, tokens: Tokens) -> Gate:
    rooms, meters = Rooms(project), Meters(project)
    return Gate(
        project=project,
        settings=settings,
        tokens=tokens,
        audit=Audit(project),
        meters=meters,
        rooms=rooms,
        once=Once(project, rooms),
        jobs=Jobs(project),
        hub=Hub(project, rooms, meters),
    )


def _mount_dashboard(app: FastAPI, project: Project) -> None:
    from panel.io.fastapi import add_application

    @add_application(  # type: ignore[untyped-decorator]
        DASHBOARD,
        app=app,
        title="NT Workbench",
        # The guard has looked at Origin and Host; the page keeps of the cookies what it needs.
        websocket_origin=["*"],
        include_cookies=["workbench-theme"],
    )
    def dashboard() -> Any:
        from workbench.app.dashboard import page

        return page(project)


def _describe(app: FastAPI, calls: list[APIRoute]) -> None:
    """Say in the OpenAPI document which scope each call needs, and what every error looks like."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = made()
        parts = document.setdefault("components", {})
        parts.setdefault("schemas", {}).update(_problem_schemas())
        parts["securitySchemes"] = {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "workbench gateway token create; scopes: read, research, trade, "
                "admin. A WebSocket may bring it as the subprotocol workbench.token.TOKEN",
            }
        }
        for route in calls:
            if route.include_in_schema and (scopes := scopes_of(route)):
                for method in route.methods or ():
                    call = document["paths"][route.path_format][method.lower()]
                    call["security"] = [{"token": [scope]} for scope in scopes]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def scopes_of(route: APIRoute) -> tuple[str, ...]:
    """Return the scopes of which a route needs one; none for one that is open to all."""
    for each in route.dependencies:
        if isinstance(each.dependency, Needs):
            return each.dependency.scopes
    return ()


def _problem_schemas() -> dict[str, Any]:
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "ProblemDocument": schema}
