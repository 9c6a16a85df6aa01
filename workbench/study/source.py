"""Reading study files: YAML or JSON into plain values, with the line of each."""

import json
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from workbench.core.errors import Issue, StudyError
from workbench.study.places import Path, Places, dotted
from workbench.study.values import MAX_DEPTH, MAX_VALUES, fault, shown

MAX_BYTES = 256_000

_TAG = "tag:yaml.org,2002:"
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}


def read(path: FilePath, shown: str | None = None) -> tuple[dict[str, Any], Places]:
    """Read one file.

    Parameters
    ----------
    path
        A YAML file, or a JSON file if its name ends in ``.json``.
    shown
        How errors name the file; default `path`.

    Returns
    -------
    tuple
        The content and where each value of it stands.

    Raises
    ------
    StudyError
        If it cannot be read, is not YAML or JSON, or is not a mapping at its top.

    """
    name = shown or str(path)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise StudyError(Issue("cannot be read: not a file but a pipe or device", file=name))
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise StudyError(Issue(f"cannot be read: {reason}", file=name)) from None
    if len(raw) > MAX_BYTES:
        raise StudyError(Issue(f"is too large: a study has at most {MAX_BYTES} bytes", file=name))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise StudyError(Issue("is not UTF-8 text", file=name, line=line)) from None
    return _document(text, name, json=path.suffix.lower() == ".json")


def read_text(text: str, name: str) -> tuple[dict[str, Any], Places]:
    """Read the text of a study; see `read`."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise StudyError(Issue(f"is too large: a study has at most {MAX_BYTES} bytes", file=name))
    return _document(text, name, json=name.lower().endswith(".json"))


def _document(text: str, name: str, *, json: bool) -> tuple[dict[str, Any], Places]:
    if json:
        _check_json(text, name)
    return parse(text, name)


def parse(text: str, name: str) -> tuple[dict[str, Any], Places]:
    """Parse one YAML document; see `read`."""
    try:
        root = compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise StudyError(Issue(_yaml_problem(error), file=name, line=line)) from None
    except YAMLError as error:  # a character YAML does not allow
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        first = str(error).splitlines()[0]
        raise StudyError(Issue(f"is not valid YAML: {first}", file=name, line=line)) from None
    if root is None:
        raise StudyError(Issue("is empty: a study begins with 'schema: 1'", file=name, line=1))
    if not isinstance(root, MappingNode):
        kind = "a list" if isinstance(root, SequenceNode) else "a single value"
        message = f"holds {kind}, a study is a group of keys that begins with 'schema: 1'"
        raise StudyError(Issue(message, file=name, line=root.start_mark.line + 1))
    reader = _Reader(name)
    content = reader.value(root, ())
    if reader.issues:
        raise StudyError(reader.issues)
    return content, reader.places


def parse_value(text: str, path: Path, origin: str) -> Any:
    """Read one value as YAML would (``20``, ``[1, 2]``, ``true``); other text stays text.

    `path` and `origin` are where it goes and where it came from, for the error.
    """
    try:
        root = compose(text)
    except YAMLError:
        root = None
    reader = _Reader(origin, with_lines=False)
    # What is no YAML is a text.
    value = reader.value(root or ScalarNode(f"{_TAG}str", text), path)
    if reader.issues:
        raise StudyError(reader.issues)
    return value


class _ShallowComposer(Composer):
    """A composer that refuses deep nesting while it reads, before Python's stack is used up."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = self.parser.peek_event().start_mark
            raise ComposerError(None, None, f"nested more than {MAX_DEPTH} levels deep", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def compose(text: str) -> Node | None:
    """Return the nodes of one YAML document with their places in the text, None if it is empty."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _ShallowComposer
    root: Node | None = yaml.compose(text)
    return root


def _yaml_problem(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context).splitlines()[0]
    if problem.startswith("but "):
        problem = f"{error.context}, {problem}"
    if "\\t" in problem:
        problem = "indent with spaces, found a tab"
    return f"is not valid YAML: {problem}"


def _check_json(text: str, name: str) -> None:
    """Refuse what YAML would let pass in a JSON file, such as a trailing comma."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        message = f"is not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise StudyError(Issue(message, file=name, line=error.lineno)) from None
    except (ValueError, RecursionError):
        return  # too many digits or levels; the reader names the line


class _Reader:
    """Turns YAML nodes into plain values, noting lines and refusing bombs."""

    def __init__(self, name: str, *, with_lines: bool = True) -> None:
        self.name, self.with_lines = name, with_lines
        self.places = Places(file=name)
        self.issues: list[Issue] = []
        self.count = 0

    def issue(self, message: str, path: Path, node: Node) -> None:
        self.issues.append(Issue(message, dotted(path), self.name, self.line(node)))

    def line(self, node: Node) -> int | None:
        return node.start_mark.line + 1 if self.with_lines else None

    def value(self, node: Node, path: Path) -> Any:
        self.tick(node, path)
        tag = str(node.tag).removeprefix(_TAG)
        if isinstance(node, ScalarNode):
            return self.scalar(node, tag, path)
        if tag not in ("map", "seq"):
            self.issue(f"the tag '{node.tag}' means nothing in a study", path, node)
            return None
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        items = []
        for index, item in enumerate(node.value):
            here = (*path, index)
            self.places.lines[here] = (self.name, self.line(item))
            items.append(self.value(item, here))
        return items

    def tick(self, node: Node, path: Path) -> None:
        """Count a visit: aliases are visited each time they are used."""
        self.count += 1
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            message = f"is too large: at most {MAX_VALUES} values, {MAX_DEPTH} levels deep"
            raise StudyError(Issue(message, dotted(path[:4]), self.name, self.line(node)))

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key, item, merged in self.pairs(node, path):
            if not isinstance(key, ScalarNode) or str(key.tag) != f"{_TAG}str" or fault(key.value):
                found = shown(key.value) if isinstance(key, ScalarNode) else "a list or group"
                self.issue(f"keys are text, found {found}; write it in quotes", path, key)
                continue
            here = (*path, str(key.value))
            if key.value in content:
                if not merged:
                    _, first = self.places.lines[here]
                    line = f" on line {first}" if first else ""
                    self.issue(f"the key {shown(key.value)} stands twice, first{line}", here, key)
                continue
            self.places.lines[here] = (self.name, self.line(key))
            content[str(key.value)] = self.value(item, here)
        return content

    def pairs(self, node: MappingNode, path: Path) -> Iterator[tuple[Node, Node, bool]]:
        """Yield a mapping's own pairs, then those merged in with ``<<``."""
        sources: list[Node] = []
        for key, item in node.value:
            if str(key.tag) == f"{_TAG}merge":
                sources += item.value if isinstance(item, SequenceNode) else [item]
            else:
                yield key, item, False
        for source in sources:
            self.tick(source, path)
            if isinstance(source, MappingNode):
                for key, item, _ in self.pairs(source, (*path, "<<")):
                    yield key, item, True
            else:
                self.issue("'<<' merges groups of keys, found something else", path, source)

    def scalar(self, node: ScalarNode, tag: str, path: Path) -> Any:
        try:
            value = _scalar(node.value, tag)
        except (ValueError, KeyError):
            self.issue(f"'{node.value[:40]}' is not valid as {tag}", path, node)
            return None
        if problem := fault(value):
            self.issue(problem, path, node)
        return value


def _scalar(text: str, tag: str) -> Any:
    """Read a scalar by its tag; dates stay text, the field that takes one reads it."""
    match tag:
        case "null":
            return None
        case "bool":
            return _BOOLEANS[text.lower()]
        case "int":
            digits = text.replace("_", "").lower()
            # Zeros in front are decimal in YAML 1.2, and no more than that anywhere else.
            return int(digits, 0 if digits.lstrip("+-")[:2] in ("0x", "0o", "0b") else 10)
        case "float":
            special = text.lower().lstrip("+-")
            return float(text.replace("_", "") if special[:1] != "." or special[1:2].isdigit()
                         else text.replace(".", "", 1))  # fmt: skip
        case "str" | "timestamp" | "value" | "merge":
            # JSON writes a character beyond the first plane as two escapes.
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        case _:
            raise KeyError(tag)
