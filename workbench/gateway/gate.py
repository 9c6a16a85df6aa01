"""What the endpoints share: the project, the stores, and who may call what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.params import Depends as Dependency
from pydantic import BaseModel
from starlette.responses import Response

from workbench.core.project import Project
from workbench.gateway.audit import Audit
from workbench.gateway.jobs import Jobs, Work
from workbench.gateway.listeners import Hub
from workbench.gateway.meters import Meters
from workbench.gateway.once import Answered, Once
from workbench.gateway.problems import Problem
from workbench.gateway.rooms import Rooms
from workbench.gateway.settings import Settings
from workbench.gateway.tokens import Token, Tokens


@dataclass(frozen=True, slots=True)
class Gate:
    """One gateway's parts."""

    project: Project
    settings: Settings
    tokens: Tokens
    audit: Audit
    meters: Meters
    rooms: Rooms
    once: Once
    jobs: Jobs
    hub: Hub


class Needs:
    """Lets a call through whose token has a scope, or one of several."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request) -> None:
        """Answer 403 where the scope is missing."""
        token: Token = request.state.token
        if not token.allowed.intersection(self.scopes):
            has, wanted = ", ".join(token.scopes), " or ".join(self.scopes)
            message = f"the token '{token.name}' has {has}: this needs the scope {wanted}"
            raise Problem(403, message, "scope")


def needs(*scopes: str) -> list[Dependency]:
    """Return what a route's ``dependencies`` are, for a scope, or for one of several."""
    return [Depends(Needs(*scopes))]


def who(request: Request) -> str:
    """Return the name of the token a request came with, as journals note it."""
    token: Token = request.state.token
    return token.name


async def begin(
    gate: Gate, request: Request, kind: str, doing: str, work: Work, scope: str = "research"
) -> Response:
    """Start a job, once, and answer with it.

    Parameters
    ----------
    gate, request
        Where, and for whom.
    kind, doing, work
        As for `Jobs.start`.
    scope
        Who may cancel it.

    """
    headers = {}

    async def start(key: str | None, again: bool) -> Answered:  # noqa: ARG001
        started = gate.jobs.start(kind, doing, who(request), work, scope)
        note(request, job=started["job_id"])
        headers["Location"] = f"{request.scope.get('root_path', '')}/jobs/{started['job_id']}"
        return 202, started

    response = await gate.once.answer(request, start)
    response.headers.update(headers)
    return response


def note(request: Request, **content: Any) -> None:
    """Add to what the audit log says of a request."""
    request.state.note.update(content)


def answers(model: Any, status: int = 200, text: str = "As asked") -> dict[int | str, Any]:
    """Return a route's ``responses``: what it answers where all goes well."""
    return {status: {"model": model, "description": text}}


type Document = dict[str, Any]

Limit = Annotated[int, Query(ge=1, le=500, description="At most this many")]
Cursor = Annotated[
    str | None, Query(max_length=200, description="`next` of the page before: where to go on")
]


def page[Item](
    items: Sequence[Item], key: Callable[[Item], str], limit: int, cursor: str | None
) -> tuple[list[Item], str | None]:
    """Return a page of a list, and the cursor of the next one; None after the last.

    Raises
    ------
    Problem
        400 if there is no such cursor (any more).

    """
    start = 0
    if cursor is not None:
        start = next((at + 1 for at, item in enumerate(items) if key(item) == cursor), -1)
        if start < 0:
            raise Problem(400, f"the cursor '{cursor}' is not known: begin anew", "cursor")
    part = list(items[start : start + limit])
    more = start + limit < len(items)
    return part, key(part[-1]) if more and part else None


class Form(BaseModel, extra="forbid"):
    """What a request's body says; keys that mean nothing are refused."""
