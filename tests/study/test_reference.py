"""The JSON Schema, and the reference made from it.

``python tests/study/test_reference.py`` writes both anew: docs/study.schema.json and the tables
in docs/study.md.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from workbench.study import Study, load, schema
from workbench.study.source import parse

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "study.md"
SCHEMA = ROOT / "docs" / "study.schema.json"
BEGIN, END = "<!-- keys: made from the schema -->\n", "<!-- end of keys -->\n"


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema())


def written_schema() -> str:
    return json.dumps(schema(), indent=1) + "\n"


def tables() -> str:
    """Return the keys of every part of a study as Markdown tables."""
    document = schema()
    parts = {"Study": document} | document["$defs"]
    order = ["Study"]
    for name in order:  # grows: each part after the one that first names it
        references = re.findall(r'"#/\$defs/(\w+)"', json.dumps(parts[name]["properties"]))
        order += [part for part in dict.fromkeys(references) if part not in order]
    return "\n".join(line for name in order for line in _table(name, parts[name]))


def _table(name: str, part: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n\n{part['description']}\n"
    yield "| Key | Value | Default | Meaning |\n|---|---|---|---|"
    for key, entry in part["properties"].items():
        if key in part.get("required", ()):
            default = "*required*"
        else:
            value = entry["default"]
            empty = value in (None, "", []) or isinstance(value, dict)
            default = "" if empty else f"`{_plain(value)}`"
        yield f"| `{key}` | {_value(entry)} | {default} | {entry['description']} |"
    if part.get("additionalProperties"):
        yield "| any other | anything | | A setting of the adapter |"
    yield ""


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(entry: dict[str, Any]) -> str:
    """Say in words what an entry may be."""
    match entry:
        case {"$ref": target}:
            name = target.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": options} | {"oneOf": options}:
            return " or ".join(dict.fromkeys(_value(o) for o in options if o != {"type": "null"}))
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values} if len(values) > 20:
            return "a currency code"
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"list of {_value(items)}"
        case {"type": "object", "patternProperties": patterns}:
            return f"{_value(next(iter(patterns.values())))} by instrument id"
        case {"type": "object", "additionalProperties": {"type": "array"}}:
            return "lists by name"
        case {"type": "object"}:
            return "anything by name"
        case {"type": "string", "examples": examples}:
            return f"text such as `{examples[0]}`"
        case {"type": "string", "pattern": _}:
            return "text with a number"
        case {"type": kind}:
            words = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`"}
            return words.get(kind, kind)
        case _:
            return "anything"


def test_the_committed_schema_is_the_schema() -> None:
    assert SCHEMA.read_text() == written_schema(), f"run: python {Path(__file__).name}"


def test_the_reference_has_every_key() -> None:
    text = DOCS.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == tables()


def test_the_full_example_of_the_docs_is_valid(tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(schema: 1\n.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(examples) == 1
    (tmp_path / "study.yaml").write_text(examples[0])
    study = load(tmp_path / "study.yaml")
    assert study.sweep and study.live and len(study.data) > 1
    validator().validate(parse(examples[0], "x")[0])


def test_the_schema_is_draft_2020_12() -> None:
    document = schema()
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(document)
    json.dumps(document, allow_nan=False)


def test_every_key_is_described() -> None:
    document = schema()
    for name, part in [("Study", document), *document["$defs"].items()]:
        assert part.get("description"), name
        for key, entry in part["properties"].items():
            assert entry.get("description"), f"{name}.{key}"


def test_the_schema_accepts_what_the_study_accepts(loads: Callable[..., Study], full: str) -> None:
    for text in (full, *[path.read_text() for path in (ROOT / "studies").glob("*.yaml")]):
        validator().validate(parse(text, "x")[0])
        validator().validate(loads(text).to_dict())


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("study: full", "stuudy: full", []),
        ("study: full", "study: A b", ["study"]),
        ("schema: 1", "schema: 2", ["schema"]),
        ("oms: hedging", "oms: hedgin", ["venues", 1, "oms"]),
        ("name: XNAS", "name: xnas", ["venues", 0, "name"]),
        ("balances: [1_000_000 USD]", "balances: []", ["venues", 0, "balances"]),
        ("1_000_000 USD", "1000000", ["venues", 0, "balances", 0]),
        ("1_000_000 USD", "million USD", ["venues", 0, "balances", 0]),
        ("leverage: 20", "leverage: 0", ["venues", 1, "leverage"]),
        ("taker: 0.0001", "tkr: 0.0001", ["venues", 0, "fees"]),
        ("max_drawdown: 10%", "max_drawdown: 0.1", ["risk", "max_drawdown"]),
        ("max_orders: 100/1s", "max_orders: 100", ["risk", "max_orders"]),
        ("{AAPL.XNAS: 2_000}", "{AAPL: 2_000}", ["risk", "max_position"]),
        ("1-DAY-LAST", "1-DYA-LAST", ["data", 0]),
        ("provider: file", "provider: fle", ["data", 1]),
        ("start: 2005-01-01", "start: 2005", ["data", 0]),
        ("currency: USD", "currency: USF", ["data", 1]),
        ("base: 5ms", "base: 5", ["venues", 1, "latency", "base"]),
        ("path: workbench.strategies.ema_cross:EMACross", "path: EMACross", ["strategy", "path"]),
        ("fast: [5, 10]", "fast: 5", ["sweep"]),
        ("environment: sandbox", "environment: prod", ["live"]),
        ("{adapter: sandbox}", "{adaptr: sandbox}", ["live"]),
    ],
)
def test_the_schema_refuses_the_usual_mistakes(
    full: str, old: str, new: str, path: list[str | int]
) -> None:
    text = full.replace(old, new, 1)
    assert text != full
    errors = list(validator().iter_errors(parse(text, "x")[0]))
    assert path in [list(error.absolute_path) for error in errors], errors


def rewrite() -> None:
    SCHEMA.write_text(written_schema())
    text = DOCS.read_text()
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    DOCS.write_text(head + tables() + tail)


if __name__ == "__main__":
    rewrite()
