"""From what a study writes to what an adapter's config takes, and back.

Nothing reaches the engine that is not of the right type: what it does with a wrong one depends on
the class (an error without a name, a silent conversion, an abort of the process).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from workbench.core.errors import choices
from workbench.engine.stubs import EXAMPLES, Field, Kind
from workbench.study.places import Path
from workbench.study.values import shown

# An identifier ends up in file names, logs and topics: one word of printable ASCII. The engine
# aborts on some others, such as a venue that begins with a dash.
_WORD = re.compile(r"[A-Za-z0-9][!-~]{0,99}")
_PATTERNS = {
    "AccountId": re.compile(r"[A-Za-z0-9][!-~]{0,49}-[!-~]{1,49}"),
    "Money": re.compile(r"-?[0-9][0-9_]{0,30}(\.[0-9]{1,16})? [A-Z0-9]{2,20}"),
}
# The engine's decimals have 96 bits: every number of 28 digits fits.
_DIGITS = 28


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a setting, and where below the adapter's entry."""

    path: Path
    message: str


class Refused(Exception):  # noqa: N818 - carries what was found, it is no fault of ours
    """The problems of a config that cannot be built."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def arguments(fields: Sequence[Field], settings: Mapping[str, Any], path: Path = ()) -> Any:
    """Return the constructor's arguments for a group of keys.

    Raises
    ------
    Refused
        With every unknown key, wrong value and missing key.

    """
    known = {item.name: item for item in fields}
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in known:
            message = f"unknown setting {shown(name)}. {choices(name, known)}"
            problems.append(Problem((*path, name), message))
            continue
        try:
            found[name] = _argument(known[name], value, (*path, name))
        except Refused as error:
            problems += error.problems
    for item in fields:
        if item.required and item.name not in settings:
            problems.append(Problem((*path, item.name), f"is missing: {item.kind.words()}"))
    if problems:
        raise Refused(problems)
    return found


def _argument(item: Field, value: Any, path: Path) -> Any:
    if value is None and item.nullable:
        return None
    if item.kind.what == "any":
        raise Refused([Problem(path, "is a Python object, which a study cannot hold")])
    return convert(item.kind, value, path)


def convert(kind: Kind, value: Any, path: Path = ()) -> Any:
    """Turn a plain value into one of `kind`.

    Raises
    ------
    Refused
        Saying what is expected and what was found, at the path of the wrong part.

    """
    return _CONVERTERS[kind.what](kind, value, path)


def _wrong(kind: Kind, value: Any, path: Path) -> Refused:
    return Refused([Problem(path, f"is {kind.words()}, found {shown(value)}")])


def _plain(*types: type) -> Callable[[Kind, Any, Path], Any]:
    def check(kind: Kind, value: Any, path: Path) -> Any:
        if not isinstance(value, types) or (
            isinstance(value, bool) and not {bool, object} & {*types}
        ):
            raise _wrong(kind, value, path)
        return value

    return check


def _text(kind: Kind, value: Any, path: Path) -> str:
    """Return text; text with a class name is turned into that class by the constructor."""
    if not isinstance(value, str) or (kind.name and not _PATTERNS[kind.name].fullmatch(value)):
        raise _wrong(kind, value, path)
    return value


def _decimal(kind: Kind, value: Any, path: Path) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _wrong(kind, value, path)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _wrong(kind, value, path) from None
    if not number.is_finite():
        raise _wrong(kind, value, path)
    if abs(number.adjusted()) > _DIGITS or sum(map(str.isdigit, f"{number:f}")) > _DIGITS:
        raise Refused([Problem(path, f"has at most {_DIGITS} digits, found {shown(value)}")])
    return number


def _choice(kind: Kind, value: Any, path: Path) -> Any:
    members = {_letters(member): member for member in kind.members}
    if not isinstance(value, str) or _letters(value) not in members:
        near = value if isinstance(value, str) else ""
        message = f"found {shown(value)}. {choices(near, kind.choices)}"
        raise Refused([Problem(path, message)])
    return getattr(kind.python, members[_letters(value)])


def _letters(text: str) -> str:
    """So that USD_M, usd-m and usdM name the same."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _value(kind: Kind, value: Any, path: Path) -> Any:
    if not isinstance(value, str) or not _PATTERNS.get(kind.name, _WORD).fullmatch(value):
        raise _wrong(kind, value, path)
    # An unknown currency would become a new one without a word.
    strict = {"strict": True} if kind.name == "Currency" else {}
    try:
        return kind.python.from_str(value, **strict)
    except Exception as error:  # PyO3 raises ValueError, TypeError or KeyError here
        problem = Problem(path, f"is {kind.words()}, found {shown(value)}: {error}")
        raise Refused([problem]) from None


def _group(kind: Kind, value: Any, path: Path) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(kind, value, path)
    return make(kind.python, kind.fields, value, path)


def _document(kind: Kind, value: Any, path: Path) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(kind, value, path)
    try:
        return kind.python.from_json(json.dumps(dict(value)).encode())
    except ValueError as error:
        raise Refused([Problem(path, f"is no {kind.name}: {error}")]) from None


def _sequence(kind: Kind, value: Any, path: Path) -> Any:
    if not isinstance(value, list | tuple):
        raise _wrong(kind, value, path)
    kinds = kind.items if kind.what == "pair" else kind.items * len(value)
    if len(kinds) != len(value):
        raise _wrong(kind, value, path)
    parts = zip(kinds, enumerate(value), strict=True)
    found = _each((inner, item, (*path, index)) for inner, (index, item) in parts)
    return {"set": set, "pair": tuple}.get(kind.what, list)(found)


def _mapping(kind: Kind, value: Any, path: Path) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(kind, value, path)
    inner = kind.items[0]
    found = _each((inner, item, (*path, key)) for key, item in value.items())
    return dict(zip(value, found, strict=True))


def _each(parts: Iterator[tuple[Kind, Any, Path]]) -> list[Any]:
    """Convert all, to tell every problem at once."""
    found: list[Any] = []
    problems: list[Problem] = []
    for kind, value, path in parts:
        try:
            found.append(convert(kind, value, path))
        except Refused as error:
            problems += error.problems
    if problems:
        raise Refused(problems)
    return found


_CONVERTERS: dict[str, Callable[[Kind, Any, Path], Any]] = {
    "text": _text,
    "path": _plain(str),
    "flag": _plain(bool),
    "whole": _plain(int),
    "number": _plain(int, float),
    "any": _plain(object),
    "decimal": _decimal,
    "choice": _choice,
    "value": _value,
    "group": _group,
    "document": _document,
    "list": _sequence,
    "set": _sequence,
    "pair": _sequence,
    "mapping": _mapping,
}


def make(
    python: type[Any], fields: Sequence[Field], settings: Mapping[str, Any], path: Path = ()
) -> Any:
    """Build a config of plain values.

    Raises
    ------
    Refused
        With every problem, those the constructor itself finds included.

    """
    given = arguments(fields, settings, path)
    try:
        return python(**given)
    except Exception as error:  # whatever the constructor raises is its verdict
        found = [
            Problem((*path, name), _said(reason, settings[name]))
            for name, reason in _culprits(python, fields, given, error).items()
        ]
        whole = Problem(path, f"{python.__name__} refuses the settings: {error}")
        raise Refused(found or [whole]) from None


def _culprits(
    python: type[Any], fields: Sequence[Field], given: Mapping[str, Any], error: Exception
) -> dict[str, Exception]:
    """Find which arguments a constructor refuses: its own words seldom name them.

    A number out of range is refused in any company, so each argument is tried alone. Other
    verdicts may be about several arguments: those whose absence makes the rest acceptable.
    """
    needed = samples(fields)
    if isinstance(error, OverflowError):
        tried = {name: _verdict(python, needed | {name: given[name]}) for name in given}
        return {name: said for name, said in tried.items() if isinstance(said, OverflowError)}
    others = {
        name: needed | {key: value for key, value in given.items() if key != name} for name in given
    }
    return {name: error for name, rest in others.items() if _verdict(python, rest) is None}


def _verdict(python: type[Any], given: Mapping[str, Any]) -> Exception | None:
    try:
        python(**given)
    except Exception as error:
        return error
    return None


def _said(reason: Exception, value: Any) -> str:
    if isinstance(reason, OverflowError):
        return f"is out of range, found {shown(value)}"
    found = "" if str(value) in str(reason) else f"; found {shown(value)}"
    return f"is refused: {reason}{found}"


def samples(fields: Sequence[Field]) -> Any:
    """Return valid arguments for the required fields."""
    return arguments(fields, {item.name: sample(item.kind) for item in fields if item.required})


def sample(kind: Kind) -> Any:
    """Return a plain value that is valid for `kind`."""
    match kind.what:
        case "value" | "text" if kind.name:
            return EXAMPLES[kind.name]
        case "text" | "path":
            return "sample"
        case "flag":
            return True
        case "whole" | "number" | "decimal":
            return 1
        case "choice":
            return kind.choices[0]
        case "group":
            return {item.name: sample(item.kind) for item in kind.fields if item.required}
        case "mapping":
            return {"sample": sample(kind.items[0])}
        case "list" | "set" | "pair":
            return [sample(item) for item in kind.items]
        case _:
            return {}


def plain(kind: Kind, value: Any) -> Any:
    """Return an engine value as a study writes it.

    Raises
    ------
    TypeError
        If a study cannot hold it.

    """
    if value is None:
        return None
    match kind.what:
        case "flag" | "whole":
            return value
        case "number":
            return float(value)  # Binance hands its fee back as a Decimal
        case "any" if isinstance(value, dict | str | bool | int | float):
            return value
        case "text" | "decimal" | "path" | "value":
            return str(value)
        case "choice":
            members = zip(kind.choices, kind.members, strict=True)
            return next(c for c, member in members if getattr(kind.python, member) == value)
        case "list" | "set" | "pair":
            kinds = kind.items if kind.what == "pair" else kind.items * len(value)
            found = [plain(inner, item) for inner, item in zip(kinds, value, strict=True)]
            return sorted(found) if kind.what == "set" else found
        case "mapping":
            return {str(key): plain(kind.items[0], item) for key, item in value.items()}
        case "group" if all(hasattr(value, item.name) for item in kind.fields if item.required):
            return {
                item.name: plain(item.kind, getattr(value, item.name))
                for item in kind.fields
                if hasattr(value, item.name) and item.role != "credential"
            }
        case _:
            raise TypeError(f"a study cannot hold a {type(value).__name__}")
