"""The study a request names or brings, which may touch nothing outside the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.core.errors import InputError, Issue, StudyError
from workbench.core.project import Project
from workbench.gateway.problems import Problem
from workbench.study import Study, StudyStore, source
from workbench.study.load import assemble
from workbench.study.overlay import merge, parameter_overrides
from workbench.study.places import Places

_SUFFIXES = (".yaml", ".yml", ".json")
_OWN = "workbench.strategies."


class StudyReference(BaseModel):
    """Which study: a file of the project, a stored one, or one that comes along."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    file: str | None = Field(
        None, max_length=500, description="Of the project, such as studies/ema-cross.yaml"
    )
    name: str | None = Field(None, max_length=200, description="Of a stored study")
    version: int | None = Field(None, ge=1, le=10**9, description="Of it; default: the newest")
    text: str | None = Field(None, description="The study itself, as YAML")
    content: dict[str, Any] | None = Field(None, description="The study itself, as JSON")
    over: dict[str, Any] = Field(
        {}, description="Sections laid over it, such as {live: {...}}; groups of keys merge"
    )
    params: dict[str, Any] = Field(
        {}, description="Over the study's own values: a strategy parameter or a dotted path"
    )

    @model_validator(mode="after")
    def _one(self) -> StudyReference:
        given = [
            key for key in ("file", "name", "text", "content") if getattr(self, key) is not None
        ]
        if len(given) != 1:
            found = ", ".join(given) or "none"
            raise ValueError(f"say one of file, name, text, content; found {found}")
        if self.version is not None and self.name is None:
            raise ValueError("only a stored study has a version: say its name too")
        return self


def resolve(wanted: StudyReference, project: Project, body: bytes, where: tuple[str, ...]) -> Study:
    """Return the study a request means.

    Parameters
    ----------
    wanted
        What the request says.
    project
        Whose.
    body
        The request, which has the lines of a study that came as JSON.
    where
        Where in it the reference stands.

    Raises
    ------
    Problem
        404 if there is no such file or stored study.
    StudyError
        If it is not valid or reaches outside the project.

    """
    content, places = _read(wanted, project, body, where)
    if wanted.over:
        content, places = merge(content, places, *_brought(body, (*where, "over")))
    study = assemble(content, places, parameter_overrides(wanted.params))
    if issues := list(escapes(study, project)):
        raise StudyError(issues)
    return study


def _read(
    wanted: StudyReference, project: Project, body: bytes, where: tuple[str, ...]
) -> tuple[dict[str, Any], Places]:
    """Return the values a request means, and where each stands."""
    if wanted.file is not None:
        path = inside(project, wanted.file)
        if path is None or path.suffix.lower() not in _SUFFIXES:
            message = "a study lies in the project and its name ends in .yaml, .yml or .json"
            raise StudyError(Issue(f"{message}; found '{wanted.file}'", ".".join((*where, "file"))))
        if not path.is_file():
            raise Problem(404, f"no file '{wanted.file}' in the project", "not-found")
        return source.read(path, wanted.file)
    if wanted.name is not None:
        try:
            study = StudyStore(project).load(wanted.name, wanted.version)
        except InputError as error:
            raise Problem(404, str(error), "not-found") from None
        return study.written(), Places(file=f"{wanted.name} (stored)")
    if wanted.text is not None:
        return source.read_text(wanted.text, "study.yaml")
    return _brought(body, (*where, "content"))


def inside(project: Project, name: str) -> Path | None:
    """Return the path of a project's file, None if it lies outside or is hidden."""
    if "\0" in name or any(part.startswith(".") for part in Path(name).parts):
        return None
    path = (project.root / name).resolve()
    if not path.is_relative_to(project.root):
        return None
    hidden = any(part.startswith(".") for part in path.relative_to(project.root).parts)
    return None if hidden else path


def escapes(study: Study, project: Project) -> Iterator[Issue]:
    """Yield an issue for everything in a study that lies outside the project.

    Who works on this machine may name any file of theirs in a study; who comes over the network may
    not have the gateway read or run what was never put into the project.
    """
    own = list(_escapes(study, project))
    yield from own
    if study.sweep is None or own:
        return
    for name, values in study.sweep.params.items():
        if name.partition(".")[0] not in ("data", "strategy") or name.startswith("strategy.params"):
            continue
        for index, value in enumerate(values):
            for issue in _escapes(study.with_values({name: value}), project):
                yield study.issue(issue.message, "sweep", "params", name, index)


def _escapes(study: Study, project: Project) -> Iterator[Issue]:
    target = study.strategy.path.rpartition(":")[0]
    if not _own_strategy(target, project):
        message = (
            f"{target} is neither a file of the project nor one of workbench.strategies: over the "
            "gateway no other code is run. Put it in strategies/"
        )
        yield study.issue(message, "strategy", "path")
    for index, spec in enumerate(study.data):
        path = getattr(spec, "path", None)
        if path is not None and inside(project, path) is None:
            message = f"{path} lies outside the project: over the gateway no such file is read"
            yield study.issue(message, "data", index, "path")


def _own_strategy(target: str, project: Project) -> bool:
    if target.endswith(".py") or "/" in target or "\\" in target:
        path = inside(project, target)
        return path is not None and path.suffix == ".py"
    if target.startswith(_OWN):
        return True
    parts = Path(*target.split("."))
    for folder in ("", "strategies"):
        for name in (f"{parts}.py", str(parts / "__init__.py")):
            path = inside(project, str(Path(folder) / name))
            if path is not None and path.is_file():
                return True
    return False


def _brought(body: bytes, where: tuple[str, ...]) -> tuple[dict[str, Any], Places]:
    """Return a study that stands in a request, with the lines it stands on there."""
    if len(body) > source.MAX_BYTES:
        raise StudyError(Issue(f"is too large: a study has at most {source.MAX_BYTES} bytes"))
    content, places = source.parse(body.decode("utf-8-sig", errors="replace"), "request")
    found: Any = content
    for key in where:
        found = found[key]
    size = len(where)
    lines = {path[size:]: line for path, line in places.lines.items() if path[:size] == where}
    return found, Places(lines, "request")
