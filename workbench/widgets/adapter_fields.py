"""The form of an adapter: groups and fields made of the configs NautilusTrader has for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.core.errors import StudyError
from workbench.study import source
from workbench.study.places import dotted
from workbench.widgets.form import Action, Control, Field, Group
from workbench.widgets.study_schema import text_of

if TYPE_CHECKING:
    from workbench.engine.adapters import Adapter, Config
    from workbench.engine.stubs import Field as Setting
    from workbench.engine.stubs import Kind

SIDES = {"data": "Market data", "execution": "Orders"}
SECTIONS = {"data": "feeds", "execution": "execution"}
_UNITS = {
    "_secs": "seconds", "_seconds": "seconds", "_ms": "milliseconds", "_mins": "minutes",
    "_hours": "hours", "_bps": "basis points", "_pct": "percent",
}  # fmt: skip
_CONTROLS: dict[str, Control] = {
    "flag": "flag", "choice": "choice", "whole": "number", "number": "number",
    "decimal": "number",
}  # fmt: skip

type Values = Mapping[tuple[str, ...], Any]
"""What was set: by side and names, ``("data", "product_types")``."""


def credentials(
    adapter: Adapter, environment: str, stored: Mapping[str, str], *, waits: str, practice: str
) -> Group:
    """Return the group of an adapter's credentials.

    Parameters
    ----------
    adapter, environment
        Whose, and of which environment.
    stored
        Where each is kept, by field; those that are not are left out.
    waits
        Which store waits for its passphrase; empty for none.
    practice
        What is to be said of the practice venue, in its environment; else empty.

    """
    found: Group = {
        "id": "credentials", "title": "Credentials", "help": "", "fields": [], "actions": []
    }  # fmt: skip
    if practice:
        found["help"] = practice
        return found
    if not adapter.credentials:
        found["help"] = "It takes none"
        return found
    if waits:
        found["help"] = f"The {waits} waits for its passphrase, at least 8 characters"
        found["fields"] = [_secret("passphrase", "passphrase", "It is kept nowhere", stored=False)]
        unlock: Action = {"id": "unlock", "label": "Unlock", "tone": "primary", "collect": True}
        found["actions"] = [unlock]
        return found
    needed = {name for side in adapter.sides for name in side.needed}
    found["help"] = f"Of {environment}; kept by the keyring or encrypted, never shown again"
    found["fields"] = [
        _secret(
            f"secret.{name}", name,
            f"Stored: {stored[name]}" if name in stored else (
                "Not stored; orders need it" if name in needed else "Not stored"
            ),
            stored=name in stored,
        )
        for name in adapter.credentials
    ]  # fmt: skip
    actions: list[Action] = [{"id": "store", "label": "Store", "tone": "primary", "collect": True}]
    if any(not where.startswith("variable") for where in stored.values()):
        actions.append({"id": "forget", "label": "Remove what is stored", "tone": "danger"})
    found["actions"] = actions
    return found


def _secret(key: str, label: str, words: str, *, stored: bool) -> Field:
    return {
        "key": key, "label": label, "kind": "secret", "value": "", "required": False,
        "placeholder": "••••••••" if stored else "", "help": words, "error": "",
        "changed": stored, "options": [], "suggestions": [],
    }  # fmt: skip


def settings(
    adapter: Adapter, values: Values, errors: Mapping[tuple[str, ...], str]
) -> Iterator[Group]:
    """Yield the groups of an adapter's settings, side by side.

    Credentials have a group of their own, the environment is chosen once for both sides, and
    addresses of venues that take a key are not a form's to set.
    """
    for side in adapter.sides:
        own = [item for item in side.fields if is_setting(item, side)]
        reset: Action = {"id": f"reset:{side.side}", "label": "Back to the defaults"}
        fields = [_field(item, (side.side,), values, errors) for item in own if not _inner(item)]
        changed = any(path[0] == side.side for path in values)
        yield {
            "id": side.side, "title": SIDES[side.side], "help": f"{side.name}{_addresses(side)}",
            "fields": fields, "actions": [reset] if changed else [],
            "open": side.side == "data" or changed,
        }  # fmt: skip
        for item in own:
            if _inner(item):
                path = (side.side, item.name)
                yield {
                    "id": ".".join(path), "title": item.name, "help": item.doc, "level": 1,
                    "open": any(one[:2] == path for one in values), "actions": [],
                    "fields": [_field(each, path, values, errors) for each in item.kind.fields],
                }  # fmt: skip


def is_setting(item: Setting, side: Config) -> bool:
    """Whether a field is the form's to set."""
    if item.role in ("credential", "environment") or item.kind.what == "any":
        return False
    return item.role != "address" or not side.credentials


def _inner(item: Setting) -> bool:
    return item.kind.what in ("group", "document") and bool(item.kind.fields)


def _addresses(side: Config) -> str:
    hidden = side.credentials and any(item.role == "address" for item in side.fields)
    return " · another address is set in WORKBENCH_URL_…, never here" if hidden else ""


def _field(
    item: Setting, path: tuple[str, ...], values: Values, errors: Mapping[tuple[str, ...], str]
) -> Field:
    here = (*path, item.name)
    control = control_of(item.kind)
    value = values.get(here)
    if control == "many":
        shown: Any = list(value if value is not None else item.default or ())
    else:
        shown = text_of(value)
    options = item.kind.items[0].choices if control == "many" else item.kind.choices
    return {
        "key": ".".join(here), "label": item.name, "kind": control, "value": shown,
        "placeholder": _default(item), "help": _help(item), "required": item.required,
        "options": ["true", "false"] if control == "flag" else list(options),
        "suggestions": [], "changed": here in values, "error": errors.get(here, ""),
    }  # fmt: skip


def control_of(kind: Kind) -> Control:
    """Return the control of a kind of value."""
    if kind.what in ("list", "set") and kind.items[0].what == "choice":
        return "many"
    return _CONTROLS.get(kind.what, "text")


def _default(item: Setting) -> str:
    if item.required:
        return "required"
    if not item.default_known or item.default is None:
        return "not set" if item.nullable else "its own default"
    return f"default {text_of(item.default)}"


def _help(item: Setting) -> str:
    """Say what a field takes, and what its package says of it."""
    unit = next((words for ending, words in _UNITS.items() if item.name.endswith(ending)), "")
    kind = item.kind.words()
    if control_of(item.kind) in ("choice", "many", "flag"):
        kind = {"choice": "one of these", "many": "any of these", "flag": "true or false"}[
            control_of(item.kind)
        ]
    elif item.kind.what in ("list", "set", "pair"):
        kind = f"{kind}, with commas between them"
    elif item.kind.what == "mapping":
        kind = "NAME: VALUE, with commas between them"
    words = f"{kind[:1].upper()}{kind[1:]}{', in ' + unit if unit else ''}"
    return f"{item.doc} ({words[:1].lower()}{words[1:]})" if item.doc else words


def read(kind: Kind, typed: Any) -> Any:
    """Return the plain value a person means; text that is none stays text, which is refused."""
    if isinstance(typed, list):
        return typed
    text = typed.strip()
    if kind.what == "flag":
        return text == "true"
    if kind.what in ("text", "path", "choice", "value"):
        return text
    wrapped = text
    if kind.what in ("list", "set", "pair"):
        wrapped = f"[{text}]"
    elif kind.what in ("mapping", "group", "document"):
        wrapped = f"{{{text}}}"
    try:
        return source.parse_value(wrapped, (), "form")
    except StudyError:
        return text


def nested(values: Values, side: str) -> dict[str, Any]:
    """Return the settings of one side as a study writes them."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        if path[0] != side:
            continue
        group = found
        for name in path[1:-1]:
            group = group.setdefault(name, {})
        group[path[-1]] = value
    return found


def wrong(adapter: Adapter, values: Values, environment: str) -> dict[tuple[str, ...], str]:
    """Return what is wrong with the settings, by side and names."""
    from workbench.engine.adapters import problems

    found: dict[tuple[str, ...], str] = {}
    for side in adapter.sides:
        given = {**side.environments.get(environment, {}), **nested(values, side.side)}
        for problem in problems(side, given):
            if problem.path and problem.path[0] not in given:
                continue  # what is missing is marked as required
            path = (side.side, *(str(part) for part in problem.path))
            known = next((path[:n] for n in range(len(path), 1, -1) if path[:n] in values), path)
            found.setdefault(known, problem.message)
    return found


def find(adapter: Adapter, path: Sequence[str]) -> Setting | None:
    """Return the field a form's key names."""
    fields = next((side.fields for side in adapter.sides if side.side == path[0]), ())
    item: Setting | None = None
    for name in path[1:]:
        item = next((one for one in fields if one.name == name), None)
        if item is None:
            return None
        fields = item.kind.fields
    return item


def label(path: Sequence[str]) -> str:
    """Name a setting in a message."""
    return dotted(tuple(path[1:]))
