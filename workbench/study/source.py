"""Reading study files: YAML or JSON into plain values, with the line of each."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from workbench.core.errors import Issue, StudyError
from workbench.study.places import Path, Places, dotted

MAX_BYTES = 1_000_000
# Aliases make a small file stand for a huge document ("billion laughs").
MAX_VALUES = 50_000
MAX_DEPTH = 40

ENVIRONMENT_PREFIX = "WORKBENCH__"

type Override = tuple[Path, Any, str]
"""Path, value and the place it came from (``environment X`` or ``-p``)."""


def read(path: FilePath, shown: str | None = None) -> tuple[dict[str, Any], Places]:
    """Read one file.

    Parameters
    ----------
    path
        A YAML or JSON file (JSON is read as the YAML it is).
    shown
        How errors name the file; default `path`.

    Raises
    ------
    StudyError
        If it cannot be read, is not YAML, or is not a mapping at its top.

    """
    name = shown or str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise StudyError(Issue(f"cannot be read: {error.strerror}", file=name)) from None
    if len(raw) > MAX_BYTES:
        raise StudyError(Issue(f"has {len(raw)} bytes, a study has at most {MAX_BYTES}", file=name))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise StudyError(Issue("is not UTF-8 text", file=name, line=line)) from None
    return parse(text, name)


def parse(text: str, name: str) -> tuple[dict[str, Any], Places]:
    """Parse one document; see `read`."""
    try:
        tree = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "is not YAML"
        first = str(problem).splitlines()[0]
        line = mark.line + 1 if mark else None
        raise StudyError(Issue(f"is not valid YAML: {first}", file=name, line=line)) from None
    # ruamel raises ValueError and the like on some malformed scalars (a date such as 2024-13-45).
    except (YAMLError, ValueError, RecursionError, TypeError, KeyError, AttributeError, AssertionError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise StudyError(Issue(f"is not valid YAML: {first}", file=name)) from None
    if tree is None:
        raise StudyError(Issue("is empty: a study begins with 'schema: 1'", file=name))
    if not isinstance(tree, CommentedMap):
        kind = "a list" if isinstance(tree, CommentedSeq) else "a single value"
        raise StudyError(Issue(f"holds {kind}, a study is a mapping of keys", file=name, line=1))
    places = Places(file=name)
    reader = _Reader(name, places)
    return reader.plain(tree, ()), places


class _Reader:
    """Turns ruamel's tree into plain values, noting lines and refusing bombs."""

    def __init__(self, name: str, places: Places) -> None:
        self.name, self.places, self.values = name, places, 0

    def plain(self, node: Any, path: Path) -> Any:
        self.values += 1
        if self.values > MAX_VALUES or len(path) > MAX_DEPTH:
            message = f"is too large: at most {MAX_VALUES} values, {MAX_DEPTH} levels deep"
            raise StudyError(Issue(message, dotted(path[:3]), self.name))
        if isinstance(node, CommentedMap):
            content: dict[str, Any] = {}
            for key, value in node.items():
                if not isinstance(key, str):
                    line = node.lc.data[key][0] + 1 if key in (node.lc.data or {}) else None
                    message = f"keys are text, found {key!r}; write it in quotes"
                    raise StudyError(Issue(message, dotted(path), self.name, line))
                here = (*path, key)
                # A merged-in key (<<) has no line of its own.
                mark = (node.lc.data or {}).get(key)
                self.places.lines[here] = (self.name, mark[0] + 1 if mark else node.lc.line + 1)
                content[str(key)] = self.plain(value, here)
            return content
        if isinstance(node, CommentedSeq):
            items = []
            for index, value in enumerate(node):
                here = (*path, index)
                mark = (node.lc.data or {}).get(index)
                self.places.lines[here] = (self.name, mark[0] + 1 if mark else node.lc.line + 1)
                items.append(self.plain(value, here))
            return items
        return _scalar(node)


def _scalar(node: Any) -> Any:
    """Turn ruamel's own scalar types into Python's."""
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    if hasattr(node, "isoformat"):
        return node.isoformat()  # dates stay text here; the field that takes one reads it
    return str(node)


def parse_value(text: str) -> Any:
    """Read one value as YAML would (``20``, ``[1, 2]``, ``true``); text stays text."""
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError, TypeError, KeyError, AttributeError, AssertionError):
        return text
    return _scalar(value) if not isinstance(value, list | dict) else value


def merge(
    base: dict[str, Any], places: Places, other: Mapping[str, Any], other_places: Places
) -> dict[str, Any]:
    """Lay `other` over `base`: mappings merge key by key, anything else is replaced."""
    merged = _merge(base, other, (), places, other_places)
    assert isinstance(merged, dict)
    return merged


def _merge(base: Any, other: Any, path: Path, places: Places, other_places: Places) -> Any:
    if isinstance(base, dict) and isinstance(other, Mapping):
        merged = dict(base)
        for key, value in other.items():
            here = (*path, key)
            merged[key] = _merge(base.get(key), value, here, places, other_places)
            if here in other_places.lines:
                places.lines[here] = other_places.lines[here]
        return merged
    stale = [known for known in places.lines if known[: len(path)] == path and known != path]
    for known in stale:
        del places.lines[known]
    for known, place in other_places.lines.items():
        if known[: len(path)] == path:
            places.lines[known] = place
    return other


def environment_overrides(environ: Mapping[str, str] | None = None) -> list[Override]:
    """Return what ``WORKBENCH__SECTION__KEY`` variables set, in the order of their names."""
    environ = os.environ if environ is None else environ
    overrides: list[Override] = []
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX) and len(name) > len(ENVIRONMENT_PREFIX):
            parts = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            path = tuple(int(part) if part.isdecimal() else part for part in parts)
            overrides.append((path, parse_value(environ[name]), f"environment {name}"))
    return overrides


def parameter_override(assignment: str) -> Override:
    """Read ``-p name=value``: a strategy parameter, or a dotted path anywhere in the study."""
    name, equals, text = assignment.partition("=")
    name = name.strip()
    if not equals or not name:
        raise StudyError(Issue(f"write name=value, found '{assignment}'", file="-p"))
    return (parameter_path(name), parse_value(text), f"-p {name}")


def parameter_path(name: str) -> Path:
    """Return the path of a parameter: ``fast`` is ``strategy.params.fast``."""
    if "." not in name:
        return ("strategy", "params", name)
    return tuple(int(part) if part.isdecimal() else part for part in name.split("."))


def apply(content: dict[str, Any], places: Places, overrides: Sequence[Override]) -> list[Issue]:
    """Set each override in `content`; return what does not fit."""
    issues = []
    for path, value, origin in overrides:
        target: Any = content
        for depth, part in enumerate(path):
            last = depth == len(path) - 1
            here = dotted(path[: depth + 1])
            if isinstance(target, list):
                if not isinstance(part, int) or part >= len(target):
                    message = f"no item '{part}': the list has {len(target)}, counted from 0"
                    issues.append(Issue(message, here, origin))
                    break
            elif isinstance(target, dict):
                part = str(part)  # noqa: PLW2901
            else:
                message = "cannot be set here: the part before it is a single value"
                issues.append(Issue(message, here, origin))
                break
            if last:
                target[part] = value
                for known in [p for p in places.lines if p[: len(path)] == path]:
                    del places.lines[known]
                places.lines[path] = (origin, None)
            else:
                if isinstance(target, dict) and target.get(part) is None:
                    target[part] = {}
                target = target[part]
    return issues
