"""What the JSON Schema of a study says of a group or a value, as a form needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from workbench.study import schema
from workbench.widgets.form import Control


def text_of(value: Any) -> str:
    """Return a value as a field shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(text_of, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text_of(item)}" for key, item in value.items())
    return str(value)


@cache
def _schema() -> dict[str, Any]:
    return schema()


def root() -> dict[str, Any]:
    """Return the schema of each section."""
    found: dict[str, Any] = _schema()["properties"]
    return found


def required() -> list[str]:
    """Return the sections a study must have."""
    return list(_schema()["required"])


def definition(name: str) -> dict[str, Any]:
    """Return the schema of a group of keys by its name."""
    found: dict[str, Any] = _schema()["$defs"][name]
    return found


def providers() -> dict[str, str]:
    """Return where the schema of each provider's dataset is."""
    found: dict[str, str] = root()["data"]["items"]["discriminator"]["mapping"]
    return found


def dataset(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a dataset by its provider."""
    reference = providers().get(text_of(content.get("provider")), "#/$defs/SampleData")
    return definition(reference.rpartition("/")[2])


def groups(node: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parts of a group that are groups of keys themselves."""
    for name, part in node.get("properties", {}).items():
        for one in (part, *part.get("anyOf", ())):
            if "$ref" in one:
                yield name, definition(one["$ref"].rpartition("/")[2])
                break
        else:
            if "$defs" in str(part.get("oneOf", "")) or name == "fees":
                yield name, {}


def is_deep(node: Mapping[str, Any]) -> bool:
    """Whether it is a list of groups, or a mapping of anything, which have groups of their own."""
    return "$ref" in str(node.get("items", "")) or node.get("additionalProperties") is True


def single(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a value may be beside null."""
    parts = [single(part) for part in node.get("anyOf", ()) if part.get("type") != "null"]
    if any(part.get("type") == "number" for part in parts):
        return {**node, "type": "number"}
    return {**parts[0]} if parts else node


def default(node: Mapping[str, Any]) -> str:
    """Say what a value is where it is not set; empty where that is nothing."""
    default = node.get("default")
    return "" if default in (None, "", [], {}) else f"default {text_of(default)}"


def control(part: Mapping[str, Any]) -> tuple[Control, str, list[str]]:
    """Return the control of a value, how its text is read, and what it is chosen from."""
    if "enum" in part:
        options = [text_of(one) for one in part["enum"]]
        if len(options) > 20:  # currencies: better typed than looked for in a long list
            return "text", "text", []
        return "choice", "any" if part.get("type") == "integer" else "text", options
    if "const" in part:
        return "choice", "text", [text_of(part["const"])]
    match part.get("type"):
        case "boolean":
            return "flag", "flag", ["true", "false"]
        case "integer" | "number":
            return "number", "any", []
        case "array" if "enum" in part.get("items", {}):
            return "many", "list", list(part["items"]["enum"])
        case "array":
            return "text", "list", []
        case "object":
            return "text", "mapping", []
    return "text", "text", []
