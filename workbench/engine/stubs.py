"""The types of NautilusTrader's config classes, read from the stubs that ship with it.

A compiled class tells the names of its parameters and which are required, but not their types; the
``.pyi`` file beside it does.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

type What = Literal[
    "text", "flag", "whole", "number", "decimal", "path", "any",
    "choice", "value", "group", "document", "list", "set", "pair", "mapping",
]  # fmt: skip
type Role = Literal["setting", "credential", "address", "environment"]

_SIMPLE: dict[str, What] = {
    "str": "text",
    "bool": "flag",
    "int": "whole",
    "float": "number",
    "decimal.Decimal": "decimal",
    "typing.Any": "any",
    "list": "list",
    "dict": "mapping",
}
_CONTAINERS: dict[str, What] = {
    "typing.Sequence": "list",
    "list": "list",
    "set": "set",
    "tuple": "pair",
    "typing.Mapping": "mapping",
    "dict": "mapping",
}
_WORDS: dict[What, str] = {
    "text": "text",
    "flag": "true or false",
    "whole": "a whole number",
    "number": "a number",
    "decimal": "a number",
    "path": "a path",
    "any": "anything",
}
# What a type that is written as text looks like; the one thing about them that no stub tells.
EXAMPLES = {
    "AccountId": "VENUE-001",
    "Currency": "USDT",
    "InstrumentId": "SYMBOL.VENUE",
    "Money": "100_000 USDT",
    "Venue": "VENUE",
}
# Text that a constructor turns into an identifier and aborts the process on if it is none.
_IDENTIFIERS = {("PolymarketExecutionClientConfig", "account_id"): "AccountId"}


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a field.

    Attributes
    ----------
    what
        ``text``, ``flag``, ``whole``, ``number``, ``decimal``, ``path`` and ``any`` (a Python
        object, at the top of a field) are plain. ``choice`` is an enum. ``value`` is a class of the
        engine written as text (``AccountId``), ``group`` one written as keys, ``document`` one
        read from JSON. ``list``, ``set``, ``pair`` and ``mapping`` hold `items`.
    name
        Class name of a choice, value, group or document, and of text that is an identifier.
    items
        Kinds of what is in it: one, of a pair each.
    members
        Of a choice: the names in the enum.
    fields
        Of a group.
    python
        The class itself.

    """

    what: What
    name: str = ""
    items: tuple[Kind, ...] = ()
    members: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    python: Any = field(default=None, repr=False, compare=False)

    @property
    def choices(self) -> tuple[str, ...]:
        """What a study may write for a choice: the enum's names in small letters."""
        return tuple(map(written, self.members))

    def words(self) -> str:
        """Say what is expected, as in "product_types is ..."."""
        match self.what:
            case "choice":
                return f"one of {', '.join(self.choices)}"
            case "value" | "text" if self.name:
                return f"text such as '{EXAMPLES.get(self.name, self.name)}'"
            case "group" | "document":
                keys = ", ".join(item.name for item in self.fields)
                return f"a group of keys ({keys})" if keys else f"a group of keys ({self.name})"
            case "list" | "set":
                item = self.items[0]
                return f"a list of {item.plural()}"
            case "pair":
                return f"a list of {len(self.items)}: {', '.join(i.words() for i in self.items)}"
            case "mapping":
                return f"a mapping of text to {self.items[0].words()}"
            case plain:
                return _WORDS[plain]

    def plural(self) -> str:
        """Say what a list of it holds."""
        match self.what:
            case "choice":
                return ", ".join(self.choices)
            case "whole" | "number" | "decimal":
                return f"{self.words().removeprefix('a ')}s"
            case _:
                return self.words()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a config.

    Attributes
    ----------
    name, kind
        As in the config's constructor.
    required
        Whether the constructor asks for it.
    nullable
        Whether it takes null.
    default
        What it is when it is not given, as a study would write it. None for null, for a required
        field and where it is not known.
    default_known
        Whether `default` could be read: credentials and some addresses have no getter.
    role
        ``credential``, ``address`` (where a service is reached), ``environment`` (live or
        testnet), or else ``setting``.
    doc
        A line of documentation, empty where the package has none.

    """

    name: str
    kind: Kind
    required: bool
    nullable: bool
    default: Any = None
    default_known: bool = False
    role: Role = "setting"
    doc: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the field as plain values."""
        inner = self.kind.items[0] if self.kind.items else self.kind
        found: dict[str, Any] = {
            "name": self.name,
            "type": self.kind.words(),
            "required": self.required,
            "nullable": self.nullable,
            "default": self.default,
            "default_known": self.default_known,
            "role": self.role,
            "allowed": list(inner.choices),
            "doc": self.doc,
        }
        if inner.fields:
            found["fields"] = [item.to_dict() for item in inner.fields]
        return found


def written(member: str) -> str:
    """Return an enum's name as a study writes it: ``USD_M`` is usd_m, ``PolyProxy`` poly_proxy."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", member).lower()


_CREDENTIAL = re.compile(
    r"(.*_)?(api_key|app_key|api_secret|secret|passphrase|password|private_key|secret_key"
    r"|session_key|access_key|(access|auth|api|bearer)_token|mnemonic|seed_phrase|username|user)"
)
_ADDRESS = re.compile(r"(?!proxy_).*(?<![a-z])(url|addr|endpoint)(?![a-z]).*|(stream_)?(host|port)")
_SWITCH = re.compile(r"(is_|use_)?(testnet|demo|sandbox|paper)")
# What adapters call the three environments.
_ENVIRONMENTS = {
    "live": "live",
    "mainnet": "live",
    "production": "live",
    "testnet": "testnet",
    "sandbox": "testnet",
    "demo": "demo",
    "paper": "demo",
}


def role(name: str, kind: Kind) -> Role:
    """Classify a field by its name and type."""
    if kind.what == "choice" and all(choice in _ENVIRONMENTS for choice in kind.choices):
        return "environment"
    if kind.what == "flag" and _SWITCH.fullmatch(name):
        return "environment"
    if kind.what == "text" and _CREDENTIAL.fullmatch(name):
        return "credential"
    if kind.what in ("text", "whole") and _ADDRESS.fullmatch(name):
        return "address"
    return "setting"


def environments(switch: Field) -> dict[str, str | bool]:
    """Return the environments a switch chooses between and the value that sets each."""
    if switch.kind.what == "choice":
        return {_ENVIRONMENTS[choice]: choice for choice in switch.kind.choices}
    match = _SWITCH.fullmatch(switch.name)
    return {"live": False, _ENVIRONMENTS[match[2]]: True} if match else {}


class Stub:
    """The stub of one module: its classes, their types resolved into kinds."""

    def __init__(self, module: str) -> None:
        self.module = importlib.import_module(module)
        tree = ast.parse(Path(str(self.module.__file__)).with_suffix(".pyi").read_text())
        self.classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        self._imports = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def fields(self, name: str) -> tuple[Field, ...]:
        """Return the parameters of a class's constructor, with the defaults of its signature."""
        python = getattr(self.module, name)
        known = inspect.signature(python).parameters
        return tuple(
            Field(
                argument.arg,
                kind := self._identifier(name, argument.arg) or self.kind(argument.annotation),
                required=(default := known[argument.arg].default) is inspect.Parameter.empty,
                nullable=any(_is_none(part) for part in _union(argument.annotation)),
                default=default if isinstance(default, bool | int | str) else None,
                default_known=isinstance(default, bool | int | str),
                role=role(argument.arg, kind),
                doc=_doc(python, argument.arg),
            )
            for argument in _arguments(self.classes[name])
            if argument.annotation
        )

    def _identifier(self, name: str, argument: str) -> Kind | None:
        identifier = _IDENTIFIERS.get((name, argument))
        return Kind("text", identifier) if identifier else None

    def kind(self, node: ast.expr) -> Kind:
        """Return the kind an annotation stands for."""
        parts = [part for part in _union(node) if not _is_none(part)]
        names = [ast.unparse(part) for part in parts]
        if "pathlib.Path" in names:
            return Kind("path")
        if len(parts) > 1:
            raise TypeError(f"no kind for {ast.unparse(node)}")
        part, name = parts[0], names[0]
        if isinstance(part, ast.Subscript):
            inner = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
            what = _CONTAINERS[ast.unparse(part.value)]
            kinds = tuple(map(self.kind, inner))
            return Kind(what, items=kinds[1:] if what == "mapping" else kinds)
        if name in _SIMPLE:
            bare = _SIMPLE[name]
            return Kind(bare, items=(Kind("any"),) if bare in ("list", "mapping") else ())
        module, _, name = name.rpartition(".")
        return (stub(self._imports[module]) if module else self)._class(name)

    def _class(self, name: str) -> Kind:
        node, python = self.classes[name], getattr(self.module, name)
        methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        if any(ast.unparse(base).endswith("Enum") for base in node.bases):
            assigned = [item.targets[0] for item in node.body if isinstance(item, ast.Assign)]
            return Kind("choice", name, members=tuple(map(ast.unparse, assigned)), python=python)
        if "from_str" in methods:
            return Kind("value", name, python=python)
        if "__init__" in methods:
            return Kind("group", name, fields=self.fields(name), python=python)
        return Kind("document" if "from_json" in methods else "any", name, python=python)


@cache
def stub(module: str) -> Stub:
    """Return the stub of a module, read once."""
    return Stub(module)


def _arguments(node: ast.ClassDef) -> Iterator[ast.arg]:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            yield from item.args.args[1:]
            yield from item.args.kwonlyargs


def _union(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(node.left) + _union(node.right)
    return [node]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _doc(python: type[Any], name: str) -> str:
    """Return the getter's documentation: "Returns the host." is "Host", without the dot."""
    text = str(getattr(vars(python).get(name), "__doc__", None) or "").partition("\n")[0]
    text = re.sub(r"^Returns (the )?", "", text).rstrip(".")
    return text[:1].upper() + text[1:]
