"""``/health``, ``/login``, ``/metrics``, ``/whoami``, ``/tokens`` and ``/audit``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from workbench.app.server import refused_page
from workbench.gateway.gate import Cursor, Document, Form, Gate, Limit, answers, needs, note, page
from workbench.gateway.guard import COMMAND, COOKIE, DASHBOARD
from workbench.gateway.problems import Json
from workbench.gateway.rooms import found
from workbench.gateway.tokens import DEFAULT_DAYS, MOST_DAYS, Refused, Token


class Health(BaseModel):
    """A sign of life, for whoever starts the gateway: it needs no token and tells nothing."""

    status: str


class Who(BaseModel):
    """A token, without its secret."""

    id: str
    name: str
    scopes: list[str]
    created: str
    expires: str | None
    revoked: str | None
    state: str


class TokenForm(Form):
    """A token that is asked for."""

    name: str = Field(max_length=64, description="Whose or what for: the journals name it")
    scopes: list[str] = Field(max_length=10, description="read, research, trade, admin")
    days: float = Field(DEFAULT_DAYS, gt=0, le=MOST_DAYS)


class NewToken(Who):
    """A token and its text, which is shown this once."""

    token: str


def routes(gate: Gate) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter()
    run = gate.rooms.run

    @router.get("/health", tags=["gateway"], responses=answers(Health))
    async def health() -> Response:
        """Say that the gateway answers."""
        return Json({"status": "ok"})

    @router.get("/login", include_in_schema=False)
    async def login(
        request: Request, token: Annotated[str, Query(max_length=200)] = ""
    ) -> Response:
        """Put the token of the address into a cookie no script can read, and show the dashboard."""
        try:
            known = gate.tokens.verify(token)
        except Refused as error:
            return HTMLResponse(refused_page(COMMAND, str(error)), 403)
        request.state.token = known
        note(request, login=True)
        root = request.scope.get("root_path") or ""
        response = RedirectResponse(f"{root}{DASHBOARD}", 303)
        response.set_cookie(
            COOKIE,
            token,
            httponly=True,
            samesite="strict",
            secure=gate.settings.secure or request.url.scheme == "https",
            path=f"{root}/",
        )
        return response

    @router.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        """Show the dashboard."""
        return RedirectResponse(f"{request.scope.get('root_path') or ''}{DASHBOARD}", 307)

    @router.get(
        "/metrics",
        tags=["gateway"],
        dependencies=needs("read"),
        response_class=PlainTextResponse,
        responses={200: {"content": {"text/plain": {}}, "description": "For Prometheus"}},
    )
    async def metrics() -> Response:
        """Return the measurements of the gateway and of all nodes, for Prometheus."""
        text = await run(gate.meters.page)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/whoami", tags=["gateway"], dependencies=needs("read"), responses=answers(Who))
    async def whoami(request: Request) -> Response:
        """Say whose token this is, what it may do, and until when."""
        token: Token = request.state.token
        return Json(token.to_dict())

    @router.get(
        "/tokens", tags=["gateway"], dependencies=needs("admin"), responses=answers(Document)
    )
    async def list_tokens(limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List the tokens, never their texts."""
        known = [token.to_dict() for token in await run(gate.tokens.list_)]
        some, following = page(known, lambda each: str(each["id"]), limit, cursor)
        return Json({"tokens": some, "next": following})

    @router.post(
        "/tokens",
        status_code=201,
        tags=["gateway"],
        dependencies=needs("admin"),
        responses=answers(NewToken, 201),
    )
    async def create_token(form: TokenForm, request: Request) -> Response:
        """Make a token; its text is shown this once."""
        token, text = await run(gate.tokens.create, form.name, form.scopes, days=form.days)
        note(request, created=token.id, scopes=list(token.scopes))
        return Json(token.to_dict() | {"token": text}, 201)

    @router.delete(
        "/tokens/{name}",
        tags=["gateway"],
        dependencies=needs("admin"),
        responses=answers(Document),
    )
    async def revoke_token(
        name: Annotated[str, Path(max_length=100, description="Id, or name of several")],
        request: Request,
    ) -> Response:
        """Revoke a token: it is refused from the next request on."""
        ended = await run(found, gate.tokens.revoke, name)
        note(request, revoked=[token.id for token in ended])
        return Json({"revoked": [token.to_dict() for token in ended]})

    @router.get(
        "/audit", tags=["gateway"], dependencies=needs("admin"), responses=answers(Document)
    )
    async def audit(
        limit: Limit = 100,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
        who: Annotated[str | None, Query(max_length=64, description="Name of a token")] = None,
    ) -> Response:
        """Return who did what, newest first."""

        def work() -> Document:
            from itertools import islice

            wanted = (
                entry for entry in gate.audit.newest() if who is None or entry.get("who") == who
            )
            some: list[dict[str, Any]] = list(islice(wanted, offset, offset + limit + 1))
            more = len(some) > limit
            return {"entries": some[:limit], "next": offset + limit if more else None}

        return Json(await run(work))

    return router
