"""Checking the adapters of a study's live section against their real configs.

A study may choose everything but two things: credentials, and the address they are sent to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.adapters.registry import BUILT_IN, Section, config
from workbench.core.errors import InputError, Issue, StudyError, choices
from workbench.study.document import Adapter, Study
from workbench.study.values import shown

if TYPE_CHECKING:
    from workbench.engine.adapters import Config
    from workbench.engine.settings import Problem
    from workbench.engine.stubs import Field

# Of every adapter that has the environment, whatever its own field is called.
_SYNONYMS = ("testnet", "demo")


@dataclass(frozen=True, slots=True)
class Client:
    """One feed or execution of a study, resolved.

    Attributes
    ----------
    section, index
        Where it stands in the study: ``live.feeds.0``.
    adapter, config
        The adapter's name and the config of its side.
    environment
        Of the venue: ``live``, ``testnet`` or ``demo``; whose credentials it takes.
    settings
        For the config, the environment's own among them; without credentials.

    """

    section: Section
    index: int
    adapter: str
    config: Config
    environment: str
    settings: dict[str, Any]


def check_study(study: Study) -> list[Issue]:
    """Return everything wrong with the adapters of a study's live section.

    Unknown adapters, adapters without the side they are used for, unknown settings, values of the
    wrong type, missing ones, credentials and addresses that stand in the study, and environments
    that contradict ``live.environment``. What the workbench has itself (``replay``, ``sandbox``)
    is taken as it is. Whether the credentials are there is for `missing_credentials`.
    """
    issues = []
    for entry in _entries(study):
        entry.resolve()
        for problem in entry.problems:
            path = ("live", entry.section, entry.index, *problem.path)
            issues.append(study.issue(problem.message, *path))
    return issues


def clients(study: Study) -> list[Client]:
    """Return the feeds and executions of a study that are adapters, resolved.

    Raises
    ------
    StudyError
        With every issue `check_study` finds.

    """
    if issues := check_study(study):
        raise StudyError(issues)
    return [client for entry in _entries(study) if (client := entry.resolve())]


def missing_credentials(study: Study) -> list[Issue]:
    """Return an issue for each adapter whose credentials are not stored, with the remedy.

    Execution needs every credential its config has, market data only those the config requires.
    On the practice venue none is needed.

    Raises
    ------
    StudyError
        With every issue `check_study` finds.

    """
    from workbench.adapters import secrets

    issues: list[Issue] = []
    if study.live and study.live.environment == "practice":
        return issues
    for client in clients(study):
        if client.config.needed:
            try:
                secrets.require(client.adapter, client.environment, client.config.needed)
            except InputError as error:
                path = ("live", client.section, client.index, "adapter")
                issues.append(study.issue(str(error), *path))
    return issues


def _entries(study: Study) -> Iterator[_Entry]:
    if study.live is None:
        return
    aim = study.live.environment
    sections: dict[Section, Sequence[Adapter]] = {
        "feeds": study.live.feeds,
        "execution": study.live.execution,
    }
    for section, entries in sections.items():
        for index, entry in enumerate(entries):
            yield _Entry(section, index, entry.adapter, aim, dict(entry.model_extra or {}))


@dataclass(slots=True)
class _Entry:
    """One entry of a live section and what is wrong with it.

    `aim` is the study's ``live.environment``.
    """

    section: Section
    index: int
    name: str
    aim: str
    given: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)

    def resolve(self) -> Client | None:
        """Return the client; None for what the workbench has itself and what is no adapter."""
        from workbench.engine.adapters import problems

        if self.name == BUILT_IN[self.section]:
            self._built_in()
            return None
        try:
            found = config(self.name, self.section)
        except InputError as error:
            self._problem(str(error), "adapter")
            return None
        settings = self._own(found)
        environment = self._environment(found, settings)
        # Set outright: an adapter's default may be another.
        settings = {**found.environments.get(environment, {}), **settings}
        self.problems += problems(found, settings)
        return Client(self.section, self.index, self.name, found, environment, settings)

    def _problem(self, message: str, *path: str | int) -> None:
        from workbench.engine.settings import Problem

        self.problems.append(Problem(path, message))

    def _built_in(self) -> None:
        from workbench.engine.settings import Refused, arguments

        if self.section == "feeds":
            if self.aim in ("testnet", "live"):
                message = f"replays the past: in a {self.aim} study real orders would follow it"
                self._problem(message, "adapter")
            return
        # What the config requires comes from the study's venues.
        fields = [replace(item, required=False) for item in config(self.name, "execution").fields]
        try:
            arguments(fields, self.given)
        except Refused as error:
            self.problems += error.problems

    def _own(self, found: Config) -> dict[str, Any]:
        """Return the settings that are the study's to choose."""
        fields = {item.name: item for item in found.fields}
        # Where no key is sent an address does no harm: a gateway of one's own, a public node.
        kept = {"credential", "address"} if found.credentials else set()
        allowed = [name for name, item in fields.items() if item.role not in kept]
        allowed += [name for name in _SYNONYMS if name in found.environments]
        settings = {}
        for name, value in self.given.items():
            role = fields[name].role if name in fields else None
            if role not in kept and (role or name in _SYNONYMS):
                settings[name] = value
            elif role == "credential":
                self._problem(
                    "credentials never stand in a study: remove it from here and store it with: "
                    f"workbench secrets set {self.name} {name} "
                    f"--environment {self._fitting(found)[0]}",
                    name,
                )
            elif role == "address":
                self._problem(
                    "addresses never stand in a study, which could send the keys elsewhere: set "
                    f"WORKBENCH_URL_{self.name.upper()} in the environment",
                    name,
                )
            else:
                self._problem(f"unknown setting {shown(name)}. {choices(name, allowed)}", name)
        return settings

    def _environment(self, found: Config, settings: dict[str, Any]) -> str:
        """Return the venue's environment; takes the synonyms out of `settings`."""
        refused, said = self._synonyms(found, settings)
        for switch in found.fields:
            if switch.role == "environment" and settings.get(switch.name) is None:
                settings.pop(switch.name, None)
            elif switch.role == "environment":
                chosen = _choice(switch, settings[switch.name])
                for other, key in said.items():
                    if chosen not in (None, other):
                        self._problem(f"is {chosen}, but '{key}' says {other}", switch.name)
                if chosen:
                    said.setdefault(chosen, switch.name)
        self._contradictions(found)
        fitting = self._fitting(found)
        for environment, key in said.items():
            if self.aim in ("testnet", "live") and environment not in fitting:
                message = f"is {environment}, but live.environment is {self.aim}"
                self._problem(message, key)
        environment = next(iter(said), fitting[0])
        if environment in refused:
            message = f"is false, but live.environment is {self.aim}"
            self._problem(message, environment)
        return environment

    def _synonyms(self, found: Config, settings: dict[str, Any]) -> tuple[set[str], dict[str, str]]:
        """Return which environments ``testnet: true`` and the like refuse and ask for."""
        refused: set[str] = set()
        said: dict[str, str] = {}
        for name in _SYNONYMS:
            if name not in settings or name in (item.name for item in found.fields):
                continue
            value = settings.pop(name)
            if not isinstance(value, bool):
                self._problem(f"is true or false, found {shown(value)}", name)
            elif name not in found.environments:
                message = f"{self.name} has no {name}. {choices(name, found.environments)}"
                self._problem(message, name)
            elif value:
                for other in said:
                    self._problem(f"is true, and so is '{other}'", name)
                said[name] = name
            else:
                refused.add(name)
        return refused, said

    def _contradictions(self, found: Config) -> None:
        """Refuse an execution that the study's environment rules out."""
        if self.section == "execution" and self.aim == "sandbox":
            self._problem(
                "sends orders to the venue, but live.environment is sandbox: simulate them with "
                "{adapter: sandbox}, or set live.environment to testnet or live",
                "adapter",
            )
        if self.section == "execution" and self.aim == "testnet" and "live" in self._fitting(found):
            message = f"{self.name} has no testnet and no demo, but live.environment is testnet"
            self._problem(message, "adapter")

    def _fitting(self, found: Config) -> list[str]:
        """Return the environments that fit the study's, the usual one first."""
        practice = [name for name in _SYNONYMS if name in found.environments]
        return practice or ["live"] if self.aim == "testnet" else ["live"]


def _choice(switch: Field, value: Any) -> str | None:
    """Return the environment a switch is set to; None for a value it does not take."""
    from workbench.engine.settings import Refused, convert
    from workbench.engine.stubs import environments

    try:
        chosen = convert(switch.kind, value)
    except Refused:
        return None
    found = environments(switch).items()
    return next((name for name, item in found if convert(switch.kind, item) == chosen), None)
