"""From files to a checked study."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from workbench.core.errors import Issue, StudyError, choices
from workbench.core.project import locate
from workbench.study import source
from workbench.study.consistency import check
from workbench.study.document import RUN_SECTIONS, Study
from workbench.study.explain import explain
from workbench.study.overlay import (
    Override,
    apply,
    environment_overrides,
    merge,
    override,
    parameter_overrides,
    parameter_path,
)
from workbench.study.places import Path, Places
from workbench.study.values import shown

# Of a sweep's parameter with thousands of wrong values.
_MOST_TOLD = 10


def load(
    *paths: FilePath | str,
    params: Mapping[str, Any] | Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Study:
    """Load a study.

    Parameters
    ----------
    paths
        YAML or JSON files. Later ones are laid over earlier ones: mappings merge, lists and single
        values are replaced.
    params
        Overrides, as ``{"fast": 20, "data.0.start": "2010-01-01"}`` or as ``["fast=20"]``. A plain
        name is a strategy parameter, a dotted one a path in the study.
    environ
        Where ``WORKBENCH__SECTION__KEY`` overrides are looked up; default ``os.environ``. They
        come before `params`, so that what is asked for outright wins.

    Raises
    ------
    StudyError
        With every issue found: file, line, path, what was found and what is allowed.

    """
    if not paths:
        raise StudyError("name a study file, such as studies/ema-cross.yaml")
    content: Any = None
    places = Places()
    for path in paths:
        content, places = merge(content, places, *source.read(locate(path), str(path)))
    overrides = environment_overrides(environ) + parameter_overrides(params)
    return assemble(content, places, overrides)


def loads(
    text: str, name: str = "study.yaml", *, params: Mapping[str, Any] | Sequence[str] = ()
) -> Study:
    """Load a study from text, as a form or a request brings it; nothing of the environment counts.

    Parameters
    ----------
    text
        YAML, or JSON if `name` ends in ``.json``.
    name
        How errors name it.
    params
        Overrides, as for `load`.

    Raises
    ------
    StudyError
        With every issue found, see `load`.

    """
    return assemble(*source.read_text(text, name), parameter_overrides(params))


def assemble(content: dict[str, Any], places: Places, overrides: Sequence[Override] = ()) -> Study:
    """Build a study of plain values, its sweep tried too, or raise `StudyError`; see `build`."""
    study = build(content, places, overrides)
    if issues := _check_sweep(study):
        raise StudyError(issues)
    return study


def build(content: dict[str, Any], places: Places, overrides: Sequence[Override] = ()) -> Study:
    """Build a study of plain values, or raise `StudyError` with every issue.

    The values of a sweep are not tried: a point of a sweep is a study too, and need not fit the
    other points.
    """
    content, places = apply(content, places, overrides)
    study = _study(content, places)
    if issues := check(study):
        raise StudyError(issues)
    return study


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a study (draft 2020-12), for editors and forms."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Study.model_json_schema(by_alias=True),
    }


def _study(content: dict[str, Any], places: Places) -> Study:
    try:
        return Study.model_validate(content).located(places)
    except ValidationError as error:
        raise StudyError(explain(error, content, places)) from None


def _check_sweep(study: Study) -> list[Issue]:
    """Check where a sweep's parameters point and that each value, by itself, makes a valid study.

    The names of strategy parameters are for the strategy to check.
    """
    if study.sweep is None:
        return []
    issues: list[Issue] = []
    seen: dict[Path, str] = {}
    base = study.written()
    del base["sweep"]
    for name, values in study.sweep.params.items():
        path = parameter_path(name)
        clash = [known for known in seen if known[: len(path)] == path[: len(known)]]
        if str(path[0]) not in RUN_SECTIONS or "" in path:
            message = f"a sweep varies a part of the study. {choices(str(path[0]), RUN_SECTIONS)}"
            issues.append(study.issue(message, "sweep", "params", name))
        elif clash:
            message = f"sets the same value as '{seen[clash[0]]}'"
            issues.append(study.issue(message, "sweep", "params", name))
        elif path[:2] != ("strategy", "params"):
            issues += islice(_wrong_values(study, base, name, values), _MOST_TOLD)
        seen[path] = name
    return issues


def _wrong_values(
    study: Study, base: dict[str, Any], name: str, values: Sequence[Any]
) -> Iterator[Issue]:
    for index, value in enumerate(values):
        try:
            content, places = apply(base, Places(), [override(parameter_path(name), value)])
            variant = _study(content, places).model_copy(update={"sweep": study.sweep})
            problems: Sequence[Issue] = check(variant)
        except StudyError as error:
            problems = error.issues
        for problem in problems:
            message = f"{shown(value)} makes no valid study: {problem.path}: {problem.message}"
            yield study.issue(message, "sweep", "params", name, index)
