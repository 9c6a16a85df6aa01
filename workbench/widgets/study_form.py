"""The form of a study: groups and fields made of the document's schema and of what it says now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.core.errors import Issue, StudyError
from workbench.study import source
from workbench.study.places import Path, dotted
from workbench.widgets import study_schema as shape
from workbench.widgets.form import Action, Control, Field, Group

FEES = {
    "maker and taker": {"maker": 0, "taker": 0},
    "per order": {"per_order": "1 USD"},
    "per contract": {"per_contract": "0.01 USD"},
}
_NEW: dict[str, Any] = {
    "data": {"provider": "sample", "instrument": "AAPL.XNAS", "bars": "1-DAY-LAST"},
    "venues": {
        "name": "XNAS", "account": "margin", "balances": ["100_000 USD"],
        "fees": {"maker": 0, "taker": 0},
    },
    "feeds": {"adapter": "replay"},
    "execution": {"adapter": "sandbox"},
    "live": {
        "environment": "sandbox", "feeds": [{"adapter": "replay"}],
        "execution": [{"adapter": "sandbox"}],
    },
}  # fmt: skip
_SIDES = {"feeds": "Where market data comes from", "execution": "Where orders go"}
_MOST_OFFERED = 40


@dataclass(frozen=True, slots=True)
class Spec:
    """What a field of the form is in the document.

    ``kind`` is how its text is read: ``text``, ``number``, ``flag``, ``list``, ``mapping`` or
    ``any`` (as YAML would).
    """

    path: Path
    kind: str
    required: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the form offers beside the schema.

    Attributes
    ----------
    parameters
        Those the strategy takes, as `workbench.engine.inspection.check_strategy` lists them.
    instruments, strategies
        Names worth offering.
    adapters
        By name: the names of their settings, by section.

    """

    parameters: Sequence[Mapping[str, Any]] = ()
    instruments: Sequence[str] = ()
    strategies: Sequence[str] = ()
    adapters: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)


def read(spec: Spec, typed: Any) -> tuple[Any, str | None]:
    """Return the value a person means, and how they wrote it."""
    if isinstance(typed, list):
        return typed, None
    text = typed.strip()
    if spec.kind == "flag":
        return text == "true", None
    if spec.kind == "text":
        return text, text
    wrapped = {"list": f"[{text}]", "mapping": f"{{{text}}}"}.get(spec.kind, text)
    try:
        value = source.parse_value(wrapped, spec.path, "form")
    except StudyError:
        return text, None
    return (text, None) if value == wrapped else (value, wrapped)


def fees_of(value: Any) -> str:
    """Return which kind of fees a venue has."""
    keys = value if isinstance(value, dict) else {}
    names = {"per_order": "per order", "per_contract": "per contract"}
    return next((names[key] for key in names if key in keys), "maker and taker")


def new(section: str, content: Mapping[str, Any]) -> Any:
    """Return what a section, or an item of one, is when it is added."""
    if section == "sweep":
        params = (content.get("strategy") or {}).get("params") or {}
        name, value = next(iter(params.items()), ("fast", 10))
        return {"params": {name: [value]}}
    return _NEW.get(section, {})


class StudyForm:
    """The groups of one study, and what each field is in it.

    Parameters
    ----------
    content
        The document as plain values; it need not be valid.
    issues
        What is wrong with it.
    known
        See `Known`.

    Attributes
    ----------
    groups
        For `workbench.widgets.form.Form`.
    specs
        By the field's key.

    """

    def __init__(self, content: Mapping[str, Any], issues: Sequence[Issue], known: Known) -> None:
        self._content, self._known = content, known
        self._errors: dict[str, str] = {}
        for issue in issues:
            self._errors.setdefault(issue.path, issue.message)
        self.specs: dict[str, Spec] = {}
        self.groups: list[Group] = list(self._made())
        self._place_errors()

    def _made(self) -> Iterator[Group]:
        top = shape.root()
        names = [name for name in ("study", "description", "trader", "budget") if name in top]
        first = [self._field((name,), top[name], name in shape.required()) for name in names]
        known = {"schema", *names, "data", "venues", "strategy", "risk", "sweep", "live"}
        yield _group("study", "Study", "What it is called", [*first, *self._unknown((), known)])
        yield from self._items(("data",), "Data", "a dataset")
        yield from self._items(("venues",), "Venue", "a venue")
        yield self._strategy()
        risk = self._fields(("risk",), shape.definition("Risk"))
        yield _group("risk", "Risk", "Limits", risk, is_open=bool(self._value(("risk",))))
        yield self._sweep()
        yield from self._live()

    def _items(self, path: Path, title: str, what: str) -> Iterator[Group]:
        items = self._value(path)
        items = items if isinstance(items, list) else []
        for index, item in enumerate(items):
            here = (*path, index)
            content = item if isinstance(item, dict) else {}
            node = shape.dataset(content) if path == ("data",) else shape.definition("Venue")
            groups = dict(shape.groups(node))
            fields = self._fields(here, node)
            if path == ("venues",):
                fields = [*fields, *self._fees((*here, "fees"), content.get("fees"))]
                groups.pop("fees", None)
            absent = [name for name in groups if content.get(name) is None]
            name = shape.text_of(content.get("instrument") or content.get("name") or index)
            actions: list[Action] = []
            if absent:
                label = "Add details …"
                actions.append({"id": f"detail:{dotted(here)}", "label": label, "options": absent})
            if len(items) > 1:
                actions.append({"id": f"remove:{dotted(here)}", "label": "Remove"})
            if index + 1 == len(items):
                actions.append({"id": f"add:{dotted(path)}", "label": f"Add {what}"})
            help_ = node.get("description", "").rstrip(".")
            yield _group(dotted(here), f"{title} · {name}", help_, fields, actions=actions)
            for inner, definition in groups.items():
                if inner not in absent:
                    at = (*here, inner)
                    yield _group(
                        dotted(at), inner.capitalize(), definition.get("description", ""),
                        self._fields(at, definition), level=1,
                        actions=[{"id": f"remove:{dotted(at)}", "label": "Remove"}],
                    )  # fmt: skip
        if not items:
            action: Action = {"id": f"add:{dotted(path)}", "label": f"Add {what}"}
            yield _group(dotted(path), title, "There is none yet", [], actions=[action])

    def _fees(self, path: Path, value: Any) -> list[Field]:
        kind = fees_of(value)
        chosen = self._made_field(
            path, "fees", "choice", kind, spec="fees", required=True, options=list(FEES),
            help="How commissions are counted",
        )  # fmt: skip
        models = {"per order": "FixedFee", "per contract": "PerContractFee"}
        inner = self._fields(path, shape.definition(models.get(kind, "MakerTaker")))
        for each in inner:
            each["label"] = f"fees: {each['label']}"
        return [chosen, *inner]

    def _strategy(self) -> Group:
        fields = self._fields(("strategy",), shape.definition("Strategy"))
        for each in fields:
            if each["key"] == "strategy.path":
                each["suggestions"] = self._known.strategies
        given = self._value(("strategy", "params"))
        given = given if isinstance(given, dict) else {}
        named = {one["name"]: one for one in self._known.parameters}
        for name in [*named, *(name for name in given if name not in named)]:
            path = ("strategy", "params", name)
            one = named.get(name, {})
            kind: Control = {"bool": "flag", "int": "number", "float": "number"}.get(  # type: ignore[assignment]
                one.get("type", ""), "text"
            )
            default = one.get("default")
            fields.append(
                self._made_field(
                    path, name, kind, given.get(name), spec="flag" if kind == "flag" else "any",
                    required=bool(one.get("required")), options=["true", "false"],
                    placeholder=f"default {default}" if one and default is not None else "",
                    help=f"Parameter ({one['type']})" if one else "Parameter",
                )
            )  # fmt: skip
        return _group("strategy", "Strategy", "What trades", fields)

    def _sweep(self) -> Group:
        content = self._value(("sweep",))
        if not isinstance(content, dict):
            action: Action = {"id": "add:sweep", "label": "Add a sweep"}
            return _group(
                "sweep", "Sweep", "Runs over many parameters", [], is_open=False, actions=[action]
            )
        params = content.get("params")
        params = params if isinstance(params, dict) else {}
        fields = [
            self._made_field(
                ("sweep", "params", name), name, "text", values, spec="list", required=False,
                help="Values to try, with commas between them",
            )
            for name, values in params.items()
        ]  # fmt: skip
        fields += self._unknown(("sweep",), {"method", "params"})
        left = [one["name"] for one in self._known.parameters if one["name"] not in params]
        actions: list[Action] = [{"id": "remove:sweep", "label": "Remove"}]
        if left:
            actions.insert(0, {"id": "sweep", "label": "Add a parameter …", "options": left})
        return _group("sweep", "Sweep", "Runs over many parameters", fields, actions=actions)

    def _live(self) -> Iterator[Group]:
        content = self._value(("live",))
        if not isinstance(content, dict):
            action: Action = {"id": "add:live", "label": "Add a live section"}
            yield _group("live", "Live", "How it goes live", [], is_open=False, actions=[action])
            return
        fields = self._fields(("live",), shape.definition("Live"))
        remove: Action = {"id": "remove:live", "label": "Remove"}
        yield _group("live", "Live", "How it goes live", fields, actions=[remove])
        for section, title in (("feeds", "Feed"), ("execution", "Execution")):
            items = content.get(section)
            for index, item in enumerate(items if isinstance(items, list) else []):
                yield self._adapter(section, title, index, item, len(items or ()))

    def _adapter(self, section: str, title: str, index: int, item: Any, count: int) -> Group:
        path = ("live", section, index)
        item = item if isinstance(item, dict) else {}
        name = shape.text_of(item.get("adapter"))
        offered = [one for one, sides in self._known.adapters.items() if section in sides]
        fields = [
            self._made_field(
                (*path, "adapter"), "adapter", "choice", name, spec="text", required=True,
                options=offered, help=_SIDES[section],
            )
        ]  # fmt: skip
        for key, value in item.items():
            if key != "adapter":
                fields.append(
                    self._made_field(
                        (*path, key), key, "text", value,
                        spec="list" if isinstance(value, list) else "any", required=False,
                        help="Setting of the adapter",
                    )
                )  # fmt: skip
        known = self._known.adapters.get(name, {}).get(section, ())
        left = [one for one in known if one not in item]
        here = dotted(path)
        actions: list[Action] = []
        if left:
            label = "Add a setting …"
            actions.append({"id": f"setting:{here}", "label": label, "options": left})
        if count > 1:
            actions.append({"id": f"remove:{here}", "label": "Remove"})
        if index + 1 == count:
            actions.append({"id": f"add:live.{section}", "label": f"Add {title.lower()}"})
        return _group(here, f"{title} · {name}", "", fields, level=1, actions=actions)

    def _fields(self, path: Path, node: Mapping[str, Any]) -> list[Field]:
        """Return the fields of a group's single values, and of what it has but should not."""
        properties = node.get("properties", {})
        required = node.get("required", ())
        inner = dict(shape.groups(node))
        fields = [
            self._field((*path, name), part, name in required)
            for name, part in properties.items()
            if name not in inner and not shape.is_deep(part)
        ]
        return fields + self._unknown(path, set(properties))

    def _unknown(self, path: Path, known: set[str]) -> list[Field]:
        content = self._value(path)
        names = [name for name in content if name not in known] if isinstance(content, dict) else []
        return [
            self._made_field(
                (*path, name), name, "text", self._value((*path, name)), spec="any",
                required=False, help="No key of a study",
            )
            for name in names
        ]  # fmt: skip

    def _field(self, path: Path, node: Mapping[str, Any], required: bool) -> Field:
        part = shape.single(node)
        name, value = str(path[-1]), self._value(path)
        help_ = str(node.get("description") or part.get("description", ""))
        placeholder, suggestions = shape.default(node), list(part.get("examples", ()))
        if suggestions and not placeholder:
            placeholder = f"such as {suggestions[0]}" if required else ""
        kind, spec, options = shape.control(part)
        if path[0] == "data" and name == "provider":
            kind, options, required = "choice", list(shape.providers()), True
            help_ = "Where the rows come from"
        if name == "instrument":
            suggestions = list(self._known.instruments)[:_MOST_OFFERED]
        if not required:
            placeholder = placeholder or "not set"
        return self._made_field(
            path, name, kind, value, spec=spec, required=required, options=options,
            placeholder=placeholder, help=help_, suggestions=suggestions,
        )  # fmt: skip

    def _made_field(
        self,
        path: Path,
        label: str,
        kind: Control,
        value: Any,
        *,
        spec: str,
        required: bool,
        **more: Any,
    ) -> Field:
        key = dotted(path)
        self.specs[key] = Spec(path, spec, required)
        shown = value if kind == "many" and isinstance(value, list) else shape.text_of(value)
        found: Field = {
            "key": key, "label": label, "kind": kind, "value": shown, "required": required,
            "changed": value is not None, "error": self._errors.get(key, ""), "help": "",
            "placeholder": "", "options": [], "suggestions": [], **more,  # type: ignore[typeddict-item]
        }  # fmt: skip
        return found

    def _value(self, path: Path) -> Any:
        value: Any = self._content
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _place_errors(self) -> None:
        """Put what is wrong deeper down, or higher up, at the nearest field or group."""
        fields = {one["key"]: one for group in self.groups for one in group["fields"]}
        for path, message in self._errors.items():
            parts = path.split(".")
            near = [".".join(parts[:size]) for size in range(len(parts), 0, -1)]
            at = next((fields[name] for name in near if name in fields), None)
            if at is not None:
                at["error"] = at["error"] or message
                continue
            by_id = {group["id"]: group for group in self.groups}
            group = next((by_id[name] for name in near if name in by_id), self.groups[0])
            group["error"] = f"{path}: {message}" if path != group["id"] else message


def _group(
    id_: str, title: str, help_: str, fields: Sequence[Field], *, level: int = 0,
    is_open: bool = True, actions: Sequence[Action] = (),
) -> Group:  # fmt: skip
    return {
        "id": id_, "title": title, "help": help_, "level": level, "open": is_open,
        "fields": list(fields), "actions": list(actions),
    }  # fmt: skip
