"""``/studies`` and ``/adapters``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from workbench import adapters, checks
from workbench.core.errors import StudyError
from workbench.gateway.gate import (
    Cursor,
    Document,
    Form,
    Gate,
    Limit,
    answers,
    needs,
    note,
    page,
)
from workbench.gateway.problems import Fault, Json, of
from workbench.gateway.rooms import found
from workbench.gateway.studies import StudyReference, resolve
from workbench.study import StudyStore, schema

Name = Annotated[str, Path(max_length=200, description="Of a stored study")]
Version = Annotated[int, Query(ge=1, le=10**9)]


class StudyForm(Form):
    """A request about a study."""

    study: StudyReference


class Validation(BaseModel):
    """Whether a study can run, as ``workbench config check`` says."""

    valid: bool
    errors: list[Fault]


class Stored(BaseModel):
    """Where a study was stored."""

    name: str
    version: int


class Studies(BaseModel):
    """The project's studies."""

    studies: list[str] = Field(description="Names of the stored ones")
    files: list[str] = Field(description="Files in studies/")
    next: str | None


class CheckForm(Form):
    """How to check an adapter."""

    environment: str = Field("live", max_length=20, description="live, testnet or demo")
    settings: dict[str, Any] = Field({}, description="As in a study's feeds")
    timeout: float = Field(20.0, gt=0, le=60, description="Seconds for all steps")


def routes(gate: Gate) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter()
    run, store = gate.rooms.run, StudyStore(gate.project)

    @router.get(
        "/studies", tags=["studies"], dependencies=needs("read"), responses=answers(Studies)
    )
    async def list_studies(limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List stored studies and study files."""

        def work() -> Document:
            folder = gate.project.root / "studies"
            files = sorted(
                gate.project.relative(file)
                for file in folder.glob("*")
                if file.suffix in (".yaml", ".yml", ".json") and not file.name.startswith(".")
            )
            some, following = page(store.names(), lambda name: name, limit, cursor)
            return {"studies": some, "files": files, "next": following}

        return Json(await run(work))

    @router.get(
        "/studies/schema", tags=["studies"], dependencies=needs("read"), responses=answers(Document)
    )
    async def study_schema() -> Response:
        """Return the JSON Schema of a study, for editors and forms."""
        return Json(await run(schema))

    @router.post(
        "/studies/validate",
        tags=["studies"],
        dependencies=needs("research"),
        responses=answers(Validation),
    )
    async def validate_study(form: StudyForm, request: Request) -> Response:
        """Check a study, its data, its strategy and its adapters; every error with its line."""
        body = await request.body()

        def work() -> Document:
            try:
                study = resolve(form.study, gate.project, body, ("study",))
                issues = checks.check(study, gate.project)
            except StudyError as error:
                issues = list(error.issues)
            faults = of(StudyError(issues), gate.project).errors if issues else []
            return {"valid": not faults, "errors": faults}

        return Json(await run(work))

    @router.post(
        "/studies",
        status_code=201,
        tags=["studies"],
        dependencies=needs("research"),
        responses=answers(Stored, 201),
    )
    async def store_study(form: StudyForm, request: Request) -> Response:
        """Store a study under its name; a new version where it changed."""
        body = await request.body()

        def work() -> Document:
            study = resolve(form.study, gate.project, body, ("study",))
            return {"name": study.name, "version": store.save(study)}

        stored = await run(work)
        note(request, study=stored["name"], version=stored["version"])
        return Json(stored, 201)

    @router.get(
        "/studies/{name}", tags=["studies"], dependencies=needs("read"), responses=answers(Document)
    )
    async def get_study(name: Name, version: Version | None = None) -> Response:
        """Return a stored study, whole, by default its newest version."""
        study = await run(found, store.load, name, version)
        return Json({"name": name, "digest": study.digest, "study": study.to_dict()})

    @router.get(
        "/studies/{name}/history",
        tags=["studies"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def study_history(name: Name, limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List the versions of a stored study, newest first."""
        versions = [each.to_dict() for each in await run(found, store.history, name)]
        some, following = page(versions[::-1], lambda each: str(each["version"]), limit, cursor)
        return Json({"name": name, "versions": some, "next": following})

    @router.get(
        "/studies/{name}/diff",
        tags=["studies"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def study_diff(name: Name, old: Version, new: Version | None = None) -> Response:
        """Say what changed from one version to another, by default the newest."""
        changes = await run(found, store.diff, name, old, new)
        return Json({"name": name, "changes": [change.to_dict() for change in changes]})

    @router.post(
        "/studies/{name}/restore",
        tags=["studies"],
        dependencies=needs("research"),
        responses=answers(Stored),
    )
    async def restore_study(name: Name, version: Version) -> Response:
        """Store an old version as the newest."""
        return Json({"name": name, "version": await run(found, store.restore, name, version)})

    @router.get(
        "/adapters", tags=["adapters"], dependencies=needs("read"), responses=answers(Document)
    )
    async def list_adapters(limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List the adapters: sides, environments, credentials they take."""

        def work() -> Document:
            known = [adapter.to_dict() for adapter in adapters.list_()]
            some, following = page(known, lambda each: str(each["name"]), limit, cursor)
            return {"adapters": some, "next": following}

        return Json(await run(work))

    @router.get(
        "/adapters/{name}",
        tags=["adapters"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def get_adapter(name: Annotated[str, Path(max_length=100)]) -> Response:
        """Show every field of an adapter: type, default, meaning."""
        adapter = await run(found, adapters.show, name)
        return Json(await run(adapter.to_dict))

    @router.post(
        "/adapters/{name}/check",
        tags=["adapters"],
        dependencies=needs("research"),
        responses=answers(Document),
    )
    async def check_adapter(
        name: Annotated[str, Path(max_length=100)], form: CheckForm
    ) -> Response:
        """Connect to an adapter's venue and say what works, step by step."""

        def work() -> Document:
            found(adapters.show, name)
            result = adapters.check(
                name,
                environment=form.environment,
                settings=form.settings,
                timeout=form.timeout,
            )
            return result.to_dict()

        return Json(await run(work))

    return router
