"""NautilusTrader's adapters, found by looking into the installed package.

Which there are, which sides each has (market data, execution), and their configs field by field:
nothing here is a list of ours.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from nautilus_trader import adapters as package

from workbench.core.errors import InputError, Issue
from workbench.engine.settings import Problem, Refused, make, plain, sample, samples
from workbench.engine.stubs import Field, environments, stub
from workbench.study.places import dotted

type Side = Literal["data", "execution"]

ENVIRONMENTS = ("live", "testnet", "demo")
_SIDES: dict[Side, str] = {"data": "DataClient", "execution": "ExecutionClient"}


@dataclass(frozen=True, slots=True)
class Config:
    """The config of one side of an adapter.

    Attributes
    ----------
    side
        ``data`` or ``execution``.
    name, factory
        The config's class and the one that makes clients of it.
    client
        The name clients have by default (``BYBIT``).
    doc
        First line of the class's documentation.
    fields
        In the order of the constructor.
    python
        The config class itself.

    """

    side: Side
    name: str
    factory: str
    client: str
    doc: str
    fields: tuple[Field, ...]
    python: Any = field(repr=False, compare=False)

    @property
    def credentials(self) -> tuple[Field, ...]:
        """The fields that are credentials."""
        return tuple(item for item in self.fields if item.role == "credential")

    @property
    def needed(self) -> tuple[str, ...]:
        """The credentials without which it is of no use.

        Market data is mostly public: only what the constructor asks for. Orders are not: all.
        """
        everything = self.side == "execution"
        return tuple(item.name for item in self.credentials if everything or item.required)

    @property
    def environments(self) -> dict[str, dict[str, str | bool]]:
        """The environments it can reach, each with the setting that chooses it.

        None where there is nothing to reach: no address, no credential, no such choice.
        """
        found: dict[str, dict[str, str | bool]] = {}
        if any(item.role != "setting" for item in self.fields):
            found["live"] = {}
        for switch in self.fields:
            if switch.role == "environment":
                for name, value in environments(switch).items():
                    found[name] = {switch.name: value}
        return {name: found[name] for name in ENVIRONMENTS if name in found}

    def to_dict(self) -> dict[str, Any]:
        """Return the config as plain values."""
        return {
            "config": self.name,
            "factory": self.factory,
            "client": self.client,
            "doc": self.doc,
            "environments": self.environments,
            "credentials": [item.name for item in self.credentials],
            "needed": list(self.needed),
            "fields": [item.to_dict() for item in self.fields],
        }


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter: one package of ``nautilus_trader.adapters``.

    Attributes
    ----------
    name
        Name of the package, which a study uses too.
    doc
        First line of its documentation.
    data, execution
        The configs of its sides, None where it has no such side.

    """

    name: str
    doc: str
    data: Config | None
    execution: Config | None

    def config(self, side: Side) -> Config | None:
        """Return the config of a side."""
        return self.data if side == "data" else self.execution

    @property
    def docs(self) -> str:
        """Address of its page in NautilusTrader's documentation, by the package's name."""
        page = self.name if self.environments else ""
        return f"https://nautilustrader.io/docs/latest/integrations/{page}"

    @property
    def sides(self) -> tuple[Config, ...]:
        """The configs it has."""
        return tuple(config for config in (self.data, self.execution) if config)

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments any of its sides can reach: live, testnet, demo."""
        known = {name for config in self.sides for name in config.environments}
        return tuple(name for name in ENVIRONMENTS if name in known)

    @property
    def credentials(self) -> tuple[str, ...]:
        """The names of the credentials it takes."""
        names = (item.name for config in self.sides for item in config.credentials)
        return tuple(dict.fromkeys(names))

    def to_dict(self) -> dict[str, Any]:
        """Return the adapter as plain values."""
        return {
            "name": self.name,
            "doc": self.doc,
            "docs": self.docs,
            "environments": list(self.environments),
            "credentials": list(self.credentials),
            "data": self.data.to_dict() if self.data else None,
            "execution": self.execution.to_dict() if self.execution else None,
        }


@cache
def names() -> tuple[str, ...]:
    """Return the names of all adapters of the installed package."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


@cache
def adapter(name: str) -> Adapter:
    """Return the adapter called `name`, one of `names`."""
    module = f"{package.__name__}.{name}"
    doc = str(importlib.import_module(module).__doc__).strip().partition("\n")[0]
    return Adapter(name, doc, _config(module, "data"), _config(module, "execution"))


def _config(module: str, side: Side) -> Config | None:
    """Find a side's config: the class that has a factory of the same name."""
    found, suffix = stub(module), _SIDES[side]
    for name in found.classes:
        factory = name.removesuffix("Config") + "Factory"
        if name.endswith(f"{suffix}Config") and factory in found.classes:
            python = getattr(found.module, name)
            doc = (python.__doc__ or "").strip().partition("\n")[0]
            client = getattr(found.module, factory)().name()
            fields = _with_defaults(python, found.fields(name))
            return Config(side, name, factory, client, doc, fields, python)
    return None


def _with_defaults(python: type[Any], fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Read the real defaults from an instance."""
    try:
        instance = python(**samples(fields))
    except Exception:  # a group that takes no sample keeps the defaults of its signature
        return fields
    return tuple(_with_default(item, instance) for item in fields)


def _with_default(item: Field, instance: Any) -> Field:
    if item.kind.what == "group":
        kind = replace(item.kind, fields=_with_defaults(item.kind.python, item.kind.fields))
        item = replace(item, kind=kind)
    if item.required or item.role == "credential" or not hasattr(instance, item.name):
        return item
    try:
        default = plain(item.kind, getattr(instance, item.name))
    except TypeError:
        return item
    return replace(item, default=default, default_known=True)


def factory(name: str, side: Side) -> Any:
    """Return the factory that makes a client of what `build` returns, for a node's builder.

    Raises
    ------
    InputError
        If the adapter has no such side.

    """
    config = _side(name, side)
    return getattr(importlib.import_module(f"{package.__name__}.{name}"), config.factory)()


def _side(name: str, side: Side) -> Config:
    config = adapter(name).config(side)
    if config is None:
        raise InputError(f"{name} has no {side} side")
    return config


def problems(config: Config, settings: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Return everything wrong with the settings of a config, by really building it.

    Credentials are no settings: those among them are refused, and samples stand in for those the
    constructor asks for.
    """
    credentials = {item.name: item for item in config.credentials}
    misplaced = [
        Problem((name,), "is a credential: it comes from the secret store, never from a study")
        for name in settings
        if name in credentials
    ]
    rest = {name: value for name, value in settings.items() if name not in credentials}
    required = {item.name: sample(item.kind) for item in config.credentials if item.required}
    try:
        make(config.python, config.fields, required | rest)
    except Refused as error:
        return (*misplaced, *error.problems)
    return tuple(misplaced)


def build(
    name: str, side: Side, settings: Mapping[str, Any], credentials: Mapping[str, str]
) -> Any:
    """Build the config of an adapter's side.

    Parameters
    ----------
    name, side
        An adapter that has this side.
    settings
        Plain values, as a study writes them.
    credentials
        By field. Those the config has no field for are left out: the two sides of an adapter need
        not take the same.

    Returns
    -------
    Any
        NautilusTrader's config object, for its client factory.

    Raises
    ------
    InputError
        With every setting that is unknown, wrong or missing. No message holds a credential: what
        the constructor says of one is dropped.

    """
    config = _side(name, side)
    if found := problems(config, settings):
        raise InputError([Issue(problem.message, dotted(problem.path)) for problem in found])
    taken = {
        item.name: credentials[item.name] for item in config.credentials if item.name in credentials
    }
    lacking = [item.name for item in config.credentials if item.required and item.name not in taken]
    if lacking:
        raise InputError([Issue("is missing: a credential", name) for name in lacking])
    try:
        return make(config.python, config.fields, {**settings, **taken})
    except Refused:
        message = f"{config.name} refuses these credentials: {', '.join(taken)}"
        raise InputError(message) from None
