"""``workbench adapters``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.options import overrides
from workbench.cli.output import emit, json_option, note, say, table

if TYPE_CHECKING:
    from workbench.adapters.connection import Step


@click.group()
def adapters() -> None:
    """List, show and check the adapters of NautilusTrader."""


@adapters.command(name="list")
@json_option
def list_(as_json: bool) -> int:
    """List the adapters: sides, environments, credentials."""
    from workbench import adapters as room

    found = [adapter.to_dict() for adapter in room.list_()]

    def text() -> None:
        rows = [
            [
                item["name"],
                "yes" if item["data"] else "-",
                "yes" if item["execution"] else "-",
                ", ".join(item["environments"]),
                ", ".join(item["credentials"]) or "none",
            ]
            for item in found
        ]
        table(["adapter", "data", "execution", "environments", "credentials"], rows)

    emit({"adapters": found}, as_json, text)
    return 0


@adapters.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> int:
    """Show every field of the adapter NAME: type, default, credentials, environments."""
    from workbench import adapters as room

    found = room.show(name).to_dict()

    def text() -> None:
        say(found["doc"])
        say(found["docs"])
        say(f"environments: {', '.join(found['environments'])}")
        say(f"credentials:  {', '.join(found['credentials']) or 'none'}")
        for side, section in (("data", "feeds"), ("execution", "execution")):
            if found[side]:
                _side(side, section, found[side])

    emit(found, as_json, text)
    return 0


def _side(side: str, section: str, config: dict[str, Any]) -> None:
    say()
    say(f"{side} ({config['config']}), in a study under live.{section}")
    for name, setting in config["environments"].items():
        if setting:
            chosen = ", ".join(f"{key}: {_value(value)}" for key, value in setting.items())
            say(f"  {name}: {{{chosen}}}")
    say(f"  credentials needed: {', '.join(config['needed']) or 'none'}")
    rows = list(_rows(config["fields"]))
    columns = ["field", "default", "role", "value", "meaning"]
    width = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
    table(columns[:width], [row[:width] for row in rows])


def _rows(fields: list[dict[str, Any]], within: str = "") -> Iterator[list[str]]:
    for item in fields:
        name = f"{within}{item['name']}"
        yield [name, _default(item), item["role"], item["type"], item["doc"]]
        yield from _rows(item.get("fields", []), f"{name}.")


def _default(item: dict[str, Any]) -> str:
    if item["required"]:
        return "required"
    if item["role"] == "credential":
        return ""
    return _value(item["default"]) if item["default_known"] else "unknown"


def _value(value: Any) -> str:
    """Write a value as it stands in a study."""
    if isinstance(value, dict):
        return "{...}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


@adapters.command()
@click.argument("name")
@click.option(
    "--environment",
    "-e",
    default="live",
    show_default=True,
    help="live, testnet or demo; practice for the practice venue that runs here.",
)
@click.option("--timeout", default=20.0, show_default=True, help="Seconds for all steps.")
@click.option(
    "-p", "params", multiple=True, metavar="NAME=VALUE", help="A setting, as in a study's feeds."
)
@json_option
def check(
    name: str, environment: str, timeout: float, params: tuple[str, ...], as_json: bool
) -> int:
    """Connect to the adapter NAME and say what works: reach, clock, key, instruments."""
    from workbench import adapters as room
    from workbench.core.project import Project

    practice = {}
    run: Any = room.check
    if environment == "practice":
        from workbench.live import connections

        run, practice = connections.check, {"project": Project.find()}
    found = run(
        name,
        **practice,
        environment=environment,
        settings=overrides(list(params)),
        timeout=timeout,
        on_step=lambda step: (note if as_json else say)(_step(step)),
    )

    def text() -> None:
        tried = any(step.ok is not None for step in found.steps)
        result = "works" if found.ok else "does not work"
        say(f"{name} ({environment}): {result if tried else 'nothing to check'}")

    emit(found.to_dict(), as_json, text)
    return 0 if found.ok else 1


def _step(step: Step) -> str:
    mark = {True: "ok", False: "failed", None: "skipped"}[step.ok]
    seconds = "" if step.seconds is None else f" ({step.seconds:.2f} s)"
    return f"{mark:<8} {step.name}{seconds}: {step.detail}"
