"""Laying files, environment variables and parameters over one another."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import Issue, StudyError
from workbench.study import source
from workbench.study.places import Path, Places, dotted, paths, short
from workbench.study.values import plain, shown

ENVIRONMENT_PREFIX = "WORKBENCH__"

# Groups whose keys are instrument ids, which have dots of their own.
_KEYED_BY_INSTRUMENT = ("max_position", "leverages")


@dataclass(frozen=True, slots=True)
class Override:
    """One value to set in a study.

    Attributes
    ----------
    path
        Where; list positions may be text.
    value
        What, as plain values.
    origin
        Where it came from: ``environment NAME`` or ``-p NAME``.
    fold_case
        Whether an existing key is found in any case, as for environment variables.

    """

    path: Path
    value: Any
    origin: str
    fold_case: bool = False


def merge(base: Any, places: Places, over: Any, over_places: Places) -> tuple[Any, Places]:
    """Lay `over` over `base`: mappings merge key by key, anything else is replaced."""
    merged_places = Places(file=over_places.file)
    merged = _merge(base, over, (), places, over_places, merged_places)
    return merged, merged_places


def _merge(
    base: Any, over: Any, path: Path, places: Places, over_places: Places, merged: Places
) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        _copy_lines(over, path, over_places, merged)
        return over
    if path in over_places.lines:
        merged.lines[path] = over_places.lines[path]
    content = {}
    for key in base | over:
        here = (*path, key)
        if key not in over:
            _copy_lines(base[key], here, places, merged)
            content[key] = base[key]
        else:
            content[key] = _merge(base.get(key), over[key], here, places, over_places, merged)
    return content


def _copy_lines(value: Any, path: Path, places: Places, target: Places) -> None:
    for known in paths(value, path):
        if known in places.lines:
            target.lines[known] = places.lines[known]


def environment_overrides(environ: Mapping[str, str] | None = None) -> list[Override]:
    """Return what ``WORKBENCH__SECTION__KEY`` variables set, in the order of their names.

    A part is written in capitals; it finds an existing key in any case and makes a new one in
    small letters. A part with a small letter in it is taken as it stands.
    """
    environ = os.environ if environ is None else environ
    overrides: list[Override] = []
    for name in sorted(environ):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        parts = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
        path: Path = tuple(part.lower() if part.isupper() else part for part in parts)
        origin = f"environment {short(name)}"
        value = source.parse_value(environ[name], path, origin)
        overrides.append(Override(path, value, origin, fold_case=True))
    return overrides


def parameter_overrides(params: Mapping[str, Any] | Sequence[str]) -> list[Override]:
    """Read parameters: ``{"fast": 20}`` or ``["fast=20"]``."""
    if isinstance(params, Mapping):
        return [override(parameter_path(name), value, name) for name, value in params.items()]
    assignments = [params] if isinstance(params, str) else params
    return [_assignment(assignment) for assignment in assignments]


def override(path: Path, value: Any, name: str | None = None) -> Override:
    """Return the override that sets `value`, any Python object, at `path`."""
    origin = f"-p {short(name or dotted(path))}"
    return Override(path, plain(value, path, origin), origin)


def _assignment(assignment: str) -> Override:
    name, equals, text = assignment.partition("=")
    name = name.strip()
    if not equals or not name:
        raise StudyError(Issue(f"write name=value, found {shown(assignment)}", file="-p"))
    path, origin = parameter_path(name), f"-p {short(name)}"
    return Override(path, source.parse_value(text, path, origin), origin)


def parameter_path(name: str) -> Path:
    """Return the path of a parameter: ``fast`` is ``strategy.params.fast``."""
    if "." not in name:
        return ("strategy", "params", name)
    parts = name.split(".")
    for depth, part in enumerate(parts[:-1]):
        if part in _KEYED_BY_INSTRUMENT and parts[0] in ("risk", "venues"):
            return (*parts[: depth + 1], ".".join(parts[depth + 1 :]))
    return tuple(parts)


def apply(
    content: dict[str, Any], places: Places, overrides: Sequence[Override]
) -> tuple[dict[str, Any], Places]:
    """Return `content` with each override set; neither argument changes.

    Raises
    ------
    StudyError
        If an override leads into a single value or to an item a list does not have.

    """
    result: Any = content
    lines = dict(places.lines)
    for item in overrides:
        made: list[Path] = []
        result, path = _set(result, item, (), made)
        depth = len(path)
        for stale in [known for known in lines if known[:depth] == path]:
            del lines[stale]
        lines |= dict.fromkeys([*made, path], (item.origin, None))
    return result, Places(lines, places.file)


def _set(target: Any, item: Override, done: Path, made: list[Path]) -> tuple[Any, Path]:
    """Return a copy of `target` with the override set, and the path as the document has it.

    The paths of groups that had to be made on the way are added to `made`.
    """
    if len(done) == len(item.path):
        return item.value, done
    part = item.path[len(done)]
    here = dotted((*done, part))
    if isinstance(target, list):
        position = str(part)
        if not (position.isascii() and position.isdecimal() and len(position) < 10
                and int(position) < len(target)):  # fmt: skip
            message = f"no item {shown(position)}: the list has {len(target)}, counted from 0"
            raise StudyError(Issue(message, here, item.origin))
        index = int(position)
        value, path = _set(target[index], item, (*done, index), made)
        return [*target[:index], value, *target[index + 1 :]], path
    if target is not None and not isinstance(target, dict):
        message = f"cannot be set: {dotted(done)} is a single value"
        raise StudyError(Issue(message, here, item.origin))
    if target is None:
        made.append(done)
    group = target or {}
    key = str(part)
    if item.fold_case and key not in group:
        key = next((known for known in group if known.lower() == key.lower()), key)
    value, path = _set(group.get(key), item, (*done, key), made)
    return {**group, key: value}, path
