"""``workbench secrets``."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from workbench.cli.output import emit, json_option, note, say, table
from workbench.core.errors import InputError

_environment = click.option(
    "--environment", "-e", default="live", show_default=True, help="live, testnet or demo."
)


@click.group()
def secrets() -> None:
    """Store, list and remove the credentials of adapters."""


@secrets.command(name="set")
@click.argument("adapter")
@click.argument("field", required=False)
@click.argument("extra", nargs=-1, metavar="")
@_environment
@json_option
def set_(
    adapter: str, field: str | None, extra: tuple[str, ...], environment: str, as_json: bool
) -> int:
    """Store a credential of ADAPTER: asked for without echo, or read from standard input.

    Without FIELD each credential of the adapter is asked for.
    """
    from workbench.adapters import secrets as room

    if extra:
        raise InputError(
            "a secret is not taken from the command line, where it would stay in the shell's "
            "history and show in the list of processes. Leave it out: it is asked for, or read "
            f"from standard input: workbench secrets set {adapter} FIELD < FILE"
        )
    room.check_names(adapter, environment, field)
    entries = room.set_fields(adapter, environment, _values(adapter, environment, field))

    def text() -> None:
        for entry in entries:
            say(f"stored {entry.field} of {adapter} ({environment}): {entry.where}")

    emit({"stored": [asdict(entry) for entry in entries]}, as_json, text)
    return 0


def _values(adapter: str, environment: str, field: str | None) -> dict[str, str]:
    """Return what the person types, or standard input."""
    from workbench.adapters.secrets import credential_fields

    fields = [field] if field else credential_fields(adapter)
    if not _terminal():
        if len(fields) != 1:
            names = ", ".join(fields)
            message = f"say which field standard input holds. {adapter} takes: {names}"
            raise InputError(message)
        try:
            return {fields[0]: sys.stdin.read().rstrip("\r\n") if sys.stdin else ""}
        except UnicodeDecodeError:
            raise InputError("standard input is no text in UTF-8") from None
    values = {}
    for name in fields:
        skip = "" if field else ", Enter to skip"
        value = click.prompt(
            f"{name} of {adapter} ({environment}{skip})",
            hide_input=True,
            default="",
            show_default=False,
            err=True,
        )
        if value or field:
            values[name] = value
    if not values:
        raise InputError("nothing was entered: nothing was stored")
    return values


def _terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


@secrets.command(name="list")
@json_option
def list_(as_json: bool) -> int:
    """List what is stored and where, never a value."""
    from workbench.adapters.secrets import list_ as entries

    found = entries()

    def text() -> None:
        if not found:
            say("nothing is stored: workbench secrets set ADAPTER")
            return
        rows = [[entry.adapter, entry.environment, entry.field, entry.where] for entry in found]
        table(["adapter", "environment", "field", "where"], rows)

    emit({"secrets": [asdict(entry) for entry in found]}, as_json, text)
    return 0


@secrets.command()
@click.argument("adapter")
@click.argument("field", required=False)
@_environment
@click.option("--yes", is_flag=True, help="Remove without asking.")
@json_option
def remove(adapter: str, field: str | None, environment: str, yes: bool, as_json: bool) -> int:
    """Remove a credential of ADAPTER, or without FIELD all it has in the environment."""
    from workbench.adapters.secrets import remove as take_out

    if not yes:
        what = f"{field or 'every credential'} of {adapter} ({environment})"
        if not _terminal():
            raise InputError(f"to remove {what} without being asked, add --yes")
        if not click.confirm(f"Remove {what}?", err=True):
            note("nothing was removed")
            return 1
    entries = take_out(adapter, environment, field)

    def text() -> None:
        for entry in entries:
            say(f"removed {entry.field} of {adapter} ({environment})")

    emit({"removed": [asdict(entry) for entry in entries]}, as_json, text)
    return 0
