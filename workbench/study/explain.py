"""Turning pydantic's errors into issues: our words, the document's paths, file and line."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from workbench.core.errors import Issue, choices
from workbench.study.datasets import DataSpec
from workbench.study.document import FixedFee, MakerTaker, PerContractFee, Study
from workbench.study.places import Path, Places
from workbench.study.values import shown

_GROUP, _LIST, _WHOLE = "is a group of keys", "is a list", "is a whole number"
# By pydantic's error type; braces are filled from the error's context.
_WORDS = {
    "bool_type": "is true or false",
    "dict_type": _GROUP,
    "float_type": "is a number",
    "int_from_float": _WHOLE,
    "int_type": _WHOLE,
    "greater_than_equal": "is at least {ge:g}",
    "less_than": "is below {lt:g}",
    "less_than_equal": "is at most {le:g}",
    "model_attributes_type": _GROUP,
    "model_type": _GROUP,
    "string_too_long": "has at most {max_length} characters",
    "string_too_short": "has at least {min_length} characters",
    "string_type": "is text (in quotes, if it looks like something else)",
    "tuple_type": _LIST,
    "fees": (
        "is one of {{maker: 0.0001, taker: 0.0002}}, {{per_order: 1 USD}}, "
        "{{per_contract: 0.01 USD}}"
    ),
}


def explain(error: ValidationError, content: Any, places: Places) -> list[Issue]:
    """Return the issues of `content` that pydantic found."""
    issues: list[Issue] = []
    for item in error.errors(include_url=False):
        location, kind, context = item["loc"], item["type"], item.get("ctx", {})
        path = _path(location)
        if kind == "too_short" and _value_at(path, content):
            continue  # its items were refused one by one: it is not really empty
        if kind == "union_tag_not_found":
            path, kind = (*path, "provider"), "missing"
        elif kind == "union_tag_invalid":
            path = (*path, "provider")
        issues.append(places.issue(_message(kind, location, item["input"], context), path))
    return issues


def _message(kind: str, location: Sequence[str | int], found: Any, context: dict[str, Any]) -> str:
    match kind:
        case "workbench":
            return str(context["text"])
        case "missing":
            return "is missing"
        case "too_short":
            return "needs at least one entry"
        case "extra_forbidden":
            name = str(location[-1])
            return f"unknown key {shown(name)}. {choices(name, _keys(location[:-1]))}"
        case "union_tag_invalid":
            tags = [tag.strip("'") for tag in context["expected_tags"].split(", ")]
            return f"unknown provider {shown(context['tag'])}. {choices(context['tag'], tags)}"
        case "literal_error":
            allowed = context["expected"].replace(" or ", ", ").split(", ")
            return f"found {shown(found)}. {choices(str(found), [x.strip("'") for x in allowed])}"
        case _ if kind in _WORDS:
            return f"{_WORDS[kind].format(**context)}, found {shown(found)}"
        case _:
            return f"is not valid ({kind}), found {shown(found)}"


def _path(location: Sequence[str | int]) -> Path:
    """Drop what pydantic adds: the chosen member of a union, the mark of a dictionary's key."""
    parts = list(location)
    if parts[:1] == ["data"]:
        del parts[2:3]
    elif parts[:1] == ["venues"] and parts[2:3] == ["fees"]:
        del parts[3:4]
    if parts[-1:] == ["[key]"] and parts[-3:-2] in (["max_position"], ["leverages"]):
        del parts[-1]
    return tuple(parts)


def _value_at(path: Path, content: Any) -> Any:
    for part in path:
        content = content[part]
    return content


def _keys(location: Sequence[str | int]) -> list[str]:
    """Return the keys allowed in the group at pydantic's `location`."""
    return _groups()[tuple("*" if isinstance(part, int) else part for part in location)]


@cache
def _groups() -> dict[tuple[str, ...], list[str]]:
    return {
        path: [info.alias or name for name, info in model.model_fields.items()]
        for path, model in _models(Study, ())
    }


def _tags(model: type[BaseModel]) -> list[tuple[str, ...]]:
    """Return what pydantic adds to a location to say that it chose this member of a union."""
    if model in (FixedFee, MakerTaker, PerContractFee):
        return [(model.__name__,)]
    if issubclass(model, DataSpec):
        return [(name,) for name in get_args(model.model_fields["provider"].annotation)]
    return [()]


def _models(annotation: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each group of keys a study can have, by location; ``*`` is any item of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for tag in _tags(annotation):
            yield (*path, *tag), annotation
            for name, info in annotation.model_fields.items():
                yield from _models(info.annotation, (*path, *tag, info.alias or name))
    else:
        item = ("*",) if get_origin(annotation) is tuple else ()
        for argument in get_args(annotation):
            yield from _models(argument, (*path, *item))
