"""From files to a checked study."""

import copy
import difflib  # noqa: F401
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from workbench.core.errors import Issue, StudyError, choices
from workbench.study import source
from workbench.study.consistency import check
from workbench.study.document import Study
from workbench.study.places import Path, Places


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
    content: dict[str, Any] = {}
    places = Places()
    for path in paths:
        other, other_places = source.read(FilePath(path), str(path))
        content = source.merge(content, places, other, other_places)
        places.file = other_places.file
    overrides = source.environment_overrides(environ)
    if isinstance(params, Mapping):
        overrides += [
            (source.parameter_path(name), value, f"-p {name}") for name, value in params.items()
        ]
    else:
        overrides += [source.parameter_override(assignment) for assignment in params]
    return build(content, places, overrides)


def build(content: Any, places: Places, overrides: Sequence[source.Override] = ()) -> Study:
    """Build a study of plain values, or raise `StudyError` with every issue."""
    if overrides:
        content = copy.deepcopy(content)
        places = Places(dict(places.lines), places.file)
        issues = source.apply(content, places, overrides)
        if issues:
            raise StudyError(issues)
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise StudyError(_translate(error, content, places)) from None
    except RecursionError:
        raise StudyError(Issue("is nested too deeply", file=places.file)) from None
    study = study.located(places)
    issues = check(study)
    if issues:
        raise StudyError(issues)
    return study


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a study (draft 2020-12), for editors and forms."""
    return Study.model_json_schema(by_alias=True) | {
        "$schema": "https://json-schema.org/draft/2020-12/schema"
    }


_SHOWN = 80


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _translate(error: ValidationError, content: Any, places: Places) -> list[Issue]:
    """Turn pydantic's errors into issues: our words, real paths, file and line."""
    issues: list[Issue] = []
    for item in error.errors(include_url=False):
        path, union = _real_path(item["loc"], content, missing=item["type"] == "missing")
        kind, found, context = item["type"], item["input"], item.get("ctx", {})
        if kind == "extra_forbidden":
            allowed = _keys_at(path[:-1], content)
            message = f"unknown key '{path[-1]}'. {choices(str(path[-1]), allowed)}"
        elif kind == "missing":
            message = "is missing"
        elif kind == "union_tag_not_found":
            path = (*path, "provider")
            message = "is missing. Allowed: sample, file"
        elif kind == "union_tag_invalid":
            path = (*path, "provider")
            tag = str(context["tag"])
            message = f"unknown provider '{tag}'. {choices(tag, ['sample', 'file'])}"
        elif kind == "literal_error":
            allowed = [part.strip(" '") for part in context["expected"].replace(" or ", ", ").split(",")]
            message = f"found {_shown(found)}. {choices(str(found), allowed)}"
        elif kind == "workbench":
            message = context["text"]
        elif kind in ("model_type", "model_attributes_type", "dict_type"):
            message = f"is a group of keys, found {_shown(found)}"
        elif kind == "tuple_type":
            message = f"is a list, found {_shown(found)}"
        elif kind == "string_pattern_mismatch" and path[-1:] == ("path",):
            message = (
                "is 'package.module:Class' or 'strategies/file.py:Class', " f"found {_shown(found)}"
            )
        else:
            words = item["msg"][:1].lower() + item["msg"][1:]
            message = f"{words}, found {_shown(found)}"
        if union == "fees":
            message = (
                "is one of {maker: 0.0001, taker: 0.0002}, {per_order: '1 USD'}, "
                f"{{per_contract: '0.01 USD'}}, found {_shown(_value_at(path, content))}"
            )
        issue = places.issue(message, path)
        if issue not in issues:
            issues.append(issue)
    return issues


def _real_path(loc: Sequence[str | int], content: Any, *, missing: bool) -> tuple[Path, str | None]:
    """Drop the parts pydantic adds for unions; name the union where the error is inside one."""
    path: list[str | int] = []
    value = content
    for depth, part in enumerate(loc):
        last = depth == len(loc) - 1
        if path and path[-1] == "fees" and part in ("MakerTaker", "FixedFee", "PerContractFee"):
            return tuple(path), "fees"
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (last and missing):
            continue  # a union's tag, or the marker of a dictionary's key
        path.append(part)
    return tuple(path), None


def _value_at(path: Path, content: Any) -> Any:
    for part in path:
        content = content[part]
    return content


def _keys_at(path: Path, content: Any) -> list[str]:
    """Return the keys the schema allows at `path`."""
    model: Any = Study
    value = content
    for part in path:
        value = value[part]
        if isinstance(model, type) and issubclass(model, BaseModel):
            names = {info.alias or name: info for name, info in model.model_fields.items()}
            model = names[str(part)].annotation if part in names else None
        else:
            model = get_args(model)[-1] if get_origin(model) is dict else get_args(model)[0]
        model = _model_for(model, value)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [info.alias or name for name, info in model.model_fields.items()]


def _model_for(annotation: Any, value: Any) -> Any:
    """Pick the model out of an optional, annotated or discriminated type."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation
    if get_origin(annotation) in (tuple, dict):
        return annotation
    members = [_model_for(member, value) for member in get_args(annotation)]
    models = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
    for candidate in models:
        tag = candidate.model_fields.get("provider")
        if tag and isinstance(value, dict) and value.get("provider") in get_args(tag.annotation):
            return candidate
    return models[0] if models else next((m for m in members if get_origin(m)), None)
