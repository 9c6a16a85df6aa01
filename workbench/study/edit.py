"""Changing single values in the text of a study; comments and layout stay as they are.

The text is changed at the place of the value and nowhere else. What comes out is read back: where
it does not say what was asked for (an anchor, an exotic layout), the file is written anew by
ruamel.yaml, which keeps comments too but not every space.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from workbench.core.errors import StudyError
from workbench.study import source
from workbench.study.differences import Change
from workbench.study.places import Path

_STEP = 2  # spaces a level is indented by


def put(text: str, path: Path, value: Any, written: str | None = None) -> str:
    """Return the text of a study with another value at `path`.

    Parameters
    ----------
    text
        YAML or JSON that can be read.
    path
        Groups on the way that are missing are made; a list's length as its number adds an item.
    value
        Plain values.
    written
        How a person wrote it (``1_000``); kept where it means `value`.

    Raises
    ------
    StudyError
        If the text cannot be read, or the path leads into a single value.

    """
    content = source.parse(text, "study")[0]
    wanted = _with(content, path, value)
    if _is_json(text):
        return _as_json(wanted)
    try:
        changed = _Text(text).put(path, value, written)
        if _same(source.parse(changed, "study")[0], wanted):
            return changed
    except (StudyError, YAMLError, _Exotic):
        pass
    return _anew(text, path, value)


def drop(text: str, path: Path) -> str:
    """Return the text of a study without the key or item at `path`; a group left empty goes too.

    Raises
    ------
    StudyError
        If the text cannot be read.

    """
    content = source.parse(text, "study")[0]
    while len(path) > 1 and isinstance(path[-2], str) and len(_at(content, path[:-1])) == 1:
        path = path[:-1]
    wanted = _without(content, path)
    if _is_json(text):
        return _as_json(wanted)
    try:
        changed = _Text(text).drop(path)
        if _same(source.parse(changed, "study")[0], wanted):
            return changed
    except (StudyError, YAMLError, _Exotic):
        pass
    return _anew(text, path, None, gone=True)


def rename(text: str, path: Path, name: str) -> str:
    """Return the text of a study with the key at `path` called `name`, in its old place.

    Raises
    ------
    StudyError
        If the text cannot be read or has no such key.

    """
    source.parse(text, "study")
    node: Any = source.compose(text)
    key: Node | None = None
    for part in path:
        found = _child(node, part)
        if found is None:
            raise StudyError(f"there is no {part} to be renamed")
        key, node = found
    if key is None:
        raise StudyError(f"item {path[-1]} has no name")
    quoted = json.dumps(name) if text[_start(key)] == '"' else _flow(name)
    return text[: _start(key)] + quoted + text[_end(key) :]


def revert(text: str, changes: Sequence[Change]) -> str:
    """Return the text with changes undone: each value as it was in the old study.

    Parameters
    ----------
    text
        Of the new study.
    changes
        What `workbench.study.diff` found between the old study and it.

    """
    added = [each for each in changes if each.kind == "added"]
    # Items go from the end of their list, so that numbers stay right.
    for change in [each for each in changes if each.kind != "added"] + added[::-1]:
        content = source.parse(text, "study")[0]
        path = _path(content, change.path)
        if change.kind != "added" and change.old is not None:
            text = put(text, path, change.old)
        elif _has(content, path):
            text = drop(text, path)
    return text


class _Exotic(Exception):  # noqa: N818 - not wrong, only beyond a change in place
    """The text is of a kind that is not changed in place."""


class _Text:
    """A text with its nodes."""

    def __init__(self, text: str) -> None:
        self.text = text
        root = source.compose(text)
        assert isinstance(root, MappingNode)
        self.root = root

    def put(self, path: Path, value: Any, written: str | None) -> str:
        key: Node | None = None
        node: Any = self.root
        depth = 0
        inside = False  # of flow style: braces, brackets
        for part in path:
            inside = inside or (
                bool(node.flow_style) and isinstance(node, MappingNode | SequenceNode)
            )
            found = _child(node, part)
            if found is None:
                break
            key, node = found
            depth += 1
        rest = path[depth:]
        if not rest:
            return self._replace(key, node, value, written, inside)
        for part in reversed(rest[1:]):
            value = {part: value} if isinstance(part, str) else [value]
        written = written if len(rest) == 1 else None
        if isinstance(node, ScalarNode):
            group = {rest[0]: value} if isinstance(rest[0], str) else [value]
            return self._replace(key, node, group, None, inside)
        return self._insert(node, rest[0], value, written)

    def _replace(
        self, key: Node | None, node: Any, value: Any, written: str | None, inside: bool
    ) -> str:
        start, end = _start(node), _content_end(node)
        if isinstance(node, ScalarNode) and node.style in ("|", ">"):
            raise _Exotic
        flow = inside or not isinstance(value, dict | list) or not value
        if isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
            if not flow:
                block = _block(value, node.start_mark.column)
                return self.text[:start] + block.lstrip() + self.text[end:]
            if key is None or _start(key) > start:
                raise _Exotic
            start = self.text.index(":", _end(key)) + 1
            return f"{self.text[:start]} {_flow(value, written)}{self.text[end:]}"
        if flow or (isinstance(node, MappingNode | SequenceNode) and node.flow_style):
            space = " " if start == end and self.text[start - 1 : start] in (":", "-") else ""
            return f"{self.text[:start]}{space}{_flow(value, written)}{self.text[end:]}"
        if key is None:
            raise _Exotic
        start = self.text.index(":", _end(key)) + 1
        block = _block(value, key.start_mark.column + _STEP)
        return f"{self.text[:start]}\n{block}{self.text[end:]}"

    def _insert(self, node: Any, part: str | int, value: Any, written: str | None) -> str:
        last = node.value[-1] if node.value else None
        if last is not None and isinstance(node, MappingNode):
            last = last[1]
        if node.flow_style or last is None:
            quoted = self.text[_start(node) :].startswith('{"') or self.text.startswith("{\n")
            name = f"{_flow(part) if not quoted else json.dumps(part)}: "
            item = (name if isinstance(part, str) else "") + _flow(value, written)
            at = _content_end(last) if last is not None else _end(node) - 1
            return f"{self.text[:at]}{', ' if last is not None else ''}{item}{self.text[at:]}"
        column = node.start_mark.column
        pad = " " * column
        if isinstance(part, int):
            block = f"{pad}- {_block(value, column + _STEP).lstrip()}"
        elif _nested(value):
            block = f"{pad}{_flow(part)}:\n{_block(value, column + _STEP)}"
        else:
            block = f"{pad}{_flow(part)}: {_flow(value, written)}"
        end = self.text.find("\n", _content_end(last))
        if end < 0:
            return f"{self.text}\n{block}\n"
        return f"{self.text[: end + 1]}{block}\n{self.text[end + 1 :]}"

    def drop(self, path: Path) -> str:
        parent: Any = self.root
        for part in path[:-1]:
            found = _child(parent, part)
            if found is None:
                raise _Exotic
            parent = found[1]
        pairs = [pair if isinstance(parent, MappingNode) else (pair, pair) for pair in parent.value]
        number = next(
            (n for n, (key, _) in enumerate(pairs) if path[-1] in (n, getattr(key, "value", None))),
            None,
        )
        if number is None:
            raise _Exotic
        key, value = pairs[number]
        if parent.flow_style:
            if number + 1 < len(pairs):
                start, end = _start(key), _start(pairs[number + 1][0])
            elif number:
                start, end = _content_end(pairs[number - 1][1]), _content_end(value)
            else:
                start, end = _start(key), _content_end(value)
            return self.text[:start] + self.text[end:]
        line = self.text.rfind("\n", 0, _start(key)) + 1
        before = self.text[line : _start(key)]
        end = self.text.find("\n", _content_end(value)) + 1 or len(self.text)
        if before.strip() and isinstance(parent, MappingNode):  # the first key of a list's item
            if number + 1 == len(pairs):
                return f"{self.text[: _start(key)]}{{}}\n{self.text[end:]}"
            return self.text[: _start(key)] + self.text[_start(pairs[number + 1][0]) :]
        if before.strip(" -"):
            raise _Exotic
        return self.text[:line] + self.text[end:]


def _child(node: Node, part: str | int) -> tuple[Node | None, Node] | None:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == part:
                return key, value
    elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None


def _start(node: Node) -> int:
    return int(node.start_mark.index)


def _end(node: Node) -> int:
    return int(node.end_mark.index)


def _content_end(node: Node) -> int:
    """Return where a node's content ends: the mark of a block lies behind what follows it."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _content_end(last[1] if isinstance(node, MappingNode) else last)
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        raise _Exotic
    return _end(node)


def _flow(value: Any, written: str | None = None) -> str:
    """Write a value within a line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if written is not None and _plain_is(written, value):
        return written
    if isinstance(value, str):
        return value if _plain_is(value, value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _plain_is(text: str, value: Any) -> bool:
    """Whether a text, without quotes, means `value` wherever it stands."""
    if not text or text != text.strip() or not text.isprintable():
        return False
    try:
        read = source.parse(f"a: {text}\nb: {{c: {text}, d: [{text}, 1]}}\n", "study")[0]
    except StudyError:
        return False
    return _same(read, {"a": value, "b": {"c": value, "d": [value, 1]}})


def _nested(value: Any) -> bool:
    """Whether a value is written over several lines."""
    if isinstance(value, list):
        return any(isinstance(item, dict) for item in value)
    return isinstance(value, dict) and (any(map(_nested, value.values())) or len(_flow(value)) > 60)


def _block(value: Any, column: int) -> str:
    """Write a group or list over several lines, flat groups within it in one line each."""
    pad = " " * column
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            rest = f"\n{_block(item, column + _STEP)}" if _nested(item) else f" {_flow(item)}"
            lines.append(f"{pad}{_flow(key)}:{rest}")
        return "\n".join(lines)
    if isinstance(value, list) and value:
        return "\n".join(f"{pad}- {_block(item, column + _STEP).lstrip()}" for item in value)
    return pad + _flow(value)


def _anew(text: str, path: Path, value: Any, *, gone: bool = False) -> str:
    """Write the whole text anew with ruamel.yaml."""
    yaml = YAML()
    yaml.indent(mapping=_STEP, sequence=_STEP + 2, offset=_STEP)
    yaml.width = 100
    yaml.preserve_quotes = True
    content = yaml.load(text)
    here = content
    for part, following in pairwise(path):
        if isinstance(here, dict) and here.get(part) is None:
            here[part] = {} if isinstance(following, str) else []
        elif isinstance(here, list) and part == len(here):
            here.append({} if isinstance(following, str) else [])
        here = here[part]
    if gone:
        del here[path[-1]]
    elif isinstance(here, list) and path[-1] == len(here):
        here.append(value)
    else:
        here[path[-1]] = value
    out = io.StringIO()
    yaml.dump(content, out)
    return out.getvalue()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _as_json(content: Any) -> str:
    # JSON has no comments that could get lost.
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _at(content: Any, path: Path) -> Any:
    for part in path:
        content = content[part]
    return content


def _has(content: Any, path: Path) -> bool:
    try:
        _at(content, path)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _with(content: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    part = path[0]
    if content is None:
        content = {} if isinstance(part, str) else []
    if isinstance(content, dict) and isinstance(part, str):
        return {**content, part: _with(content.get(part), path[1:], value)}
    if isinstance(content, list) and isinstance(part, int) and part <= len(content):
        inner = content[part] if part < len(content) else None
        return [*content[:part], _with(inner, path[1:], value), *content[part + 1 :]]
    raise StudyError(f"{path[0]} cannot be set: what it would stand in is a single value")


def _without(content: Any, path: Path) -> Any:
    part, rest = path[0], path[1:]
    if isinstance(content, dict):
        if not rest:
            return {key: item for key, item in content.items() if key != part}
        return {**content, part: _without(content[part], rest)}
    assert isinstance(part, int)
    inner = [_without(content[part], rest)] if rest else []
    return [*content[:part], *inner, *content[part + 1 :]]


def _same(one: Any, other: Any) -> bool:
    # As text: True equals 1 and 1.0 in Python.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _path(content: Any, dotted: str) -> Path:
    """Return the path a change names: keys may hold dots, as instruments do."""
    parts = dotted.split(".")
    path: list[str | int] = []
    while parts:
        if isinstance(content, list):
            path.append(int(parts.pop(0)))
        else:
            known = content if isinstance(content, dict) else {}
            size = next((n for n in range(1, len(parts) + 1) if ".".join(parts[:n]) in known), None)
            if size is None:
                keyed = path[-1:] in (["max_position"], ["leverages"])
                size = len(parts) if keyed else 1
            path.append(".".join(parts[:size]))
            del parts[:size]
            if isinstance(content, dict) and path[-1] not in content and parts[:1]:
                content = [] if parts[0].isdecimal() else {}
                continue
        content = _at(content, (path[-1],)) if _has(content, (path[-1],)) else {}
    return tuple(path)
