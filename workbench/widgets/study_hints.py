"""What may stand where the cursor is in the text of a study, and what it means.

The text need not be valid while it is typed: where the cursor is follows from indentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import StudyError
from workbench.study import source
from workbench.study.places import Path, dotted
from workbench.widgets import study_schema as shape
from workbench.widgets.study_form import Known

_KEY = re.compile(r"""["']?([^\s"'{}\[\],#][^"'{}\[\],#]*?)["']?\s*:(?:\s+|$)""")
_MOST = 60


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the cursor is.

    Attributes
    ----------
    path
        The group in which a key is typed, or the key whose value is.
    value
        Whether it is a value.
    typed
        What of it stands before the cursor.

    """

    path: Path
    value: bool
    typed: str


def cursor(text: str, line: int, column: int) -> Cursor:
    """Return where a place of the text is: `line` from 1, `column` from 0."""
    lines = text.split("\n")[:line]
    lines[-1] = lines[-1][:column]
    frames: list[tuple[int, str | int]] = []
    for number, content in enumerate(lines, 1):
        last = number == len(lines)
        rest = content.lstrip(" ")
        if not last and (not rest or rest.startswith("#")):
            continue
        indent = len(content) - len(rest)
        while rest.startswith("- ") or (rest == "-" and not last):
            frames = _items(frames, indent)
            indent, rest = indent + 2, rest[2:]
            spaces = len(rest) - len(rest.lstrip(" "))
            indent, rest = indent + spaces, rest.lstrip(" ")
        frames = [frame for frame in frames if frame[0] < indent or _is_item(frame, indent)]
        match = _KEY.match(rest)
        if last:
            return _last(tuple(part for _, part in frames), rest, match)
        if match:
            frames.append((indent, match[1]))
    return Cursor((), False, "")


def _is_item(frame: tuple[int, str | int], indent: int) -> bool:
    return isinstance(frame[1], int) and frame[0] < indent


def _items(frames: list[tuple[int, str | int]], indent: int) -> list[tuple[int, str | int]]:
    """Return the frames with one more item of the list at `indent`."""
    kept = [frame for frame in frames if frame[0] <= indent]
    if kept and kept[-1][0] == indent and isinstance(kept[-1][1], int):
        return [*kept[:-1], (indent, kept[-1][1] + 1)]
    return [*kept, (indent, 0)]


def _last(path: Path, rest: str, match: re.Match[str] | None) -> Cursor:
    if match and not rest[match.end() :].startswith("{"):
        return Cursor((*path, match[1]), True, rest[match.end() :].lstrip("[").rpartition(", ")[2])
    if match:
        path, rest = (*path, match[1]), rest[match.end() :]
    if rest.startswith("{"):
        rest = re.split(r"[{,]\s*", rest)[-1]
        inner = _KEY.match(rest)
        if inner:
            return Cursor((*path, inner[1]), True, rest[inner.end() :])
    return Cursor(path, False, rest)


def hint(text: str, line: int, column: int) -> dict[str, str]:
    """Return the path at the cursor and what it means, as `YamlEditor.hint` has it."""
    end = text.split("\n")[line - 1] if line <= text.count("\n") + 1 else ""
    match = _KEY.search(end)
    here = cursor(text, line, max(column, match.end() if match and column >= match.start() else 0))
    if not here.path:
        return {"path": "", "words": "Ctrl+Space says what may stand here"}
    node = _node(here.path, _content(text, line))
    words = str(node.get("description") or shape.single(node).get("description", ""))
    examples = shape.single(node).get("examples", ())
    default = shape.default(node)
    told = [words, default, f"such as {examples[0]}" if examples else ""]
    return {"path": dotted(here.path), "words": " · ".join(filter(None, told))}


def offers(text: str, line: int, column: int, known: Known) -> dict[str, Any]:
    """Return what may be typed at the cursor, as `YamlEditor.offers` has it."""
    here = cursor(text, line, column)
    content = _content(text, line)
    found = _values(here.path, content, known) if here.value else _keys(here.path, content, known)
    start = here.typed.lower()
    fitting = [one for one in found if start in one["text"].lower()]
    fitting.sort(key=lambda one: not one["text"].lower().startswith(start))
    return {"items": fitting[:_MOST], "typed": here.typed, "at": [line, column]}


def _content(text: str, line: int) -> Any:
    """Return what the text says, without its line `line` where that cannot be read yet."""
    lines = text.split("\n")
    for attempt in (text, "\n".join([*lines[: line - 1], *lines[line:]])):
        try:
            return source.parse(attempt, "study")[0]
        except StudyError:
            continue
    return {}


def _node(path: Path, content: Any) -> Mapping[str, Any]:
    """Return the schema of what is at `path`; nothing where it has none."""
    node: Mapping[str, Any] = {"properties": shape.root()}
    value = content
    for depth, part in enumerate(path):
        value = _inside(value, part)
        if isinstance(part, int) and path[:depth] == ("data",):
            node = shape.dataset(value if isinstance(value, dict) else {})
        elif isinstance(part, int):
            node = _resolved(_resolved(node).get("items", {}))
        elif part == "fees" and path[0] == "venues":
            node = {**_resolved(node)["properties"]["fees"], "properties": _fees()}
        else:
            node = _resolved(node).get("properties", {}).get(part, {})
    return node


def _fees() -> dict[str, Any]:
    models = map(shape.definition, ("MakerTaker", "FixedFee", "PerContractFee"))
    return {name: part for model in models for name, part in model["properties"].items()}


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    for part in (node, *node.get("anyOf", ())):
        if "$ref" in part:
            return shape.definition(part["$ref"].rpartition("/")[2])
    return node


def _inside(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None


def _keys(path: Path, content: Any, known: Known) -> list[dict[str, str]]:
    value = content
    for part in path:
        value = _inside(value, part)
    there = set(value) if isinstance(value, dict) else set()
    properties = _resolved(_node(path, content)).get("properties", {})
    found = {
        name: str(part.get("description") or shape.single(part).get("description", ""))
        for name, part in properties.items()
    }
    if path == ("strategy", "params"):
        found = {one["name"]: str(one["type"]) for one in known.parameters}
    elif path[:1] == ("live",) and len(path) == 3:
        name, section = _inside(value, "adapter"), str(path[1])
        sides: Mapping[str, Sequence[str]] = known.adapters.get(str(name), {})
        found |= dict.fromkeys(sides.get(section, ()), "Setting of the adapter")
    return [
        {"text": f"{name}: ", "help": words} for name, words in found.items() if name not in there
    ]


def _values(path: Path, content: Any, known: Known) -> list[dict[str, str]]:
    return [{"text": text, "help": ""} for text in dict.fromkeys(_possible(path, content, known))]


def _possible(path: Path, content: Any, known: Known) -> Iterator[str]:
    name = path[-1] if path else ""
    if path[:1] == ("data",) and name == "provider":
        yield from shape.providers()
    elif name == "instrument":
        yield from known.instruments
    elif path[:1] == ("live",) and name == "adapter":
        yield from (one for one, sides in known.adapters.items() if path[1] in sides)
    elif path == ("strategy", "path"):
        yield from known.strategies
    part = shape.single(_node(path, content))
    inner = part.get("items", {})
    yield from map(shape.text_of, [*part.get("enum", ()), *inner.get("enum", ())])
    if part.get("type") == "boolean":
        yield from ("true", "false")
    yield from map(str, [*part.get("examples", ()), *inner.get("examples", ())])
