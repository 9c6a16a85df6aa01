"""Errors as documents (RFC 9457): what is wrong, where, and what would be right."""

from __future__ import annotations

import http
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from workbench.core.errors import (
    Cancelled,
    DataError,
    DependencyError,
    InputError,
    Issue,
    RunError,
    WorkbenchError,
)
from workbench.core.project import Project
from workbench.live.handle import NoAnswer

_log = logging.getLogger("workbench.gateway")

MEDIA_TYPE = "application/problem+json"


class Fault(BaseModel):
    """One thing that is wrong, and where."""

    message: str = Field(description="What was found and what is allowed")
    path: str = Field("", description="Dotted path in the document, such as strategy.params.fast")
    file: str | None = Field(None, description="The file it stands in")
    line: int | None = Field(None, description="Line in the file or text, from 1")


class ProblemDocument(BaseModel):
    """What every error looks like."""

    type: str = Field("about:blank", description="about:blank, or workbench:<kind>")
    title: str
    status: int
    detail: str
    instance: str | None = Field(None, description="The path that was asked for")
    errors: list[Fault] = Field([], description="Everything that is wrong, with its place")


class Problem(Exception):  # noqa: N818 - it is what the answer says
    """An answer that is an error.

    Parameters
    ----------
    status
        Of HTTP.
    detail
        What is wrong, in words.
    kind
        A short name programs can tell it by.
    errors
        The issues, where there are several or they have a place.
    headers
        More headers of the answer.

    """

    def __init__(
        self,
        status: int,
        detail: str,
        kind: str | None = None,
        *,
        errors: list[dict[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.kind = status, detail, kind
        self.errors, self.headers = errors or [], dict(headers or {})

    def document(self, instance: str | None) -> dict[str, Any]:
        """Return the body of the answer."""
        return {
            "type": f"workbench:{self.kind}" if self.kind else "about:blank",
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "errors": self.errors,
        }

    def response(self, instance: str | None) -> Response:
        """Return the answer."""
        return Json(
            self.document(instance),
            status_code=self.status,
            headers={"Cache-Control": "no-store", **self.headers},
            media_type=MEDIA_TYPE,
        )


class Json(JSONResponse):
    """JSON that any parser takes: no NaN, and text that is no Unicode escaped."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        try:
            return _dumped(content)
        except ValueError:
            return _dumped(_finite(content))


def _dumped(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False, default=str).encode()


def _finite(value: Any) -> Any:
    """Return a value with what JSON has no number for as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def of(error: Exception, project: Project) -> Problem:
    """Return what to answer where a room raised `error`."""
    match error:
        case Problem():
            return error
        case InputError():
            faults = [_fault(issue, project) for issue in error.issues]
            return Problem(422, str(error), "invalid", errors=faults)
        case NoAnswer():
            return Problem(504, str(error), "no-answer")
        case DependencyError():
            return Problem(501, str(error), "dependency")
        case DataError():
            return Problem(502, str(error), "data")
        case Cancelled():
            return Problem(409, str(error), "cancelled")
        case RunError():
            return Problem(409, str(error), "run-failed")
        case WorkbenchError():
            return Problem(409, str(error), "failed")
        case UnicodeError():
            return Problem(422, "the text is not Unicode", "invalid")
        case OSError():
            where = f": {Path(error.filename).name}" if error.filename else ""
            return Problem(507, f"{error.strerror or 'the system refused'}{where}", "system")
        case _:
            return Problem(500, "internal error; the gateway's log says more", "internal")


def _fault(issue: Issue, project: Project) -> dict[str, Any]:
    found = issue.to_dict()
    if issue.file:
        found["file"] = project.relative(Path(issue.file))
    return found


def install(app: FastAPI, project: Project) -> None:
    """Have every error of the app answered as a problem."""

    async def expected(request: Request, error: Exception) -> Response:
        return of(error, project).response(request.url.path)

    async def unexpected(request: Request, error: Exception) -> Response:
        _log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        return of(error, project).response(request.url.path)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = str(error.detail)
        if error.status_code == 404:
            detail = f"there is nothing at {request.url.path}"
        found = Problem(error.status_code, detail, headers=error.headers)
        return found.response(request.url.path)

    async def wrong_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [_request_fault(each) for each in error.errors()]
        detail = "\n".join(f"{each['path']}: {each['message']}".strip(": ") for each in faults)
        return Problem(422, detail, "invalid", errors=faults).response(request.url.path)

    for kind in (Problem, WorkbenchError, UnicodeError, OSError):
        app.add_exception_handler(kind, expected)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, wrong_request)
    app.add_exception_handler(Exception, unexpected)


def _request_fault(error: Mapping[str, Any]) -> dict[str, Any]:
    """Turn an error of the request's own form into a fault with its path."""
    where, *path = error["loc"]
    if where == "body" and error["type"] == "json_invalid":
        found = (error.get("ctx") or {}).get("error", "")
        return {"message": f"is not valid JSON: {found}", "path": "", "file": None, "line": None}
    dotted = ".".join(str(part) for part in path)
    message = str(error["msg"])
    return {
        "message": message[:1].lower() + message[1:500],
        "path": dotted if where == "body" else f"{where}: {dotted}",
        "file": None,
        "line": None,
    }


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }
    for status, text in {
        400: "The request itself is not right",
        401: "No token, or one that is no longer good",
        403: "The token lacks the scope, or the origin is foreign",
        404: "There is no such thing",
        409: "It cannot be done in the present state",
        413: "The body is too large",
        421: "Asked for by a name that is not this gateway's",
        422: "What was handed in is wrong: every error with its place",
        429: "Too many calls: Retry-After says when",
        502: "A provider did not deliver, or a file is damaged",
        503: "Too many calls wait for that node",
        504: "The node does not answer: whether it did what was asked is not known",
    }.items()
}
"""What every endpoint may answer besides what it promises."""
