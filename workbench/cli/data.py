"""``workbench data``."""

from typing import Any

import click

from workbench.cli.options import load_study, project_of, study_options
from workbench.cli.output import emit, json_option, note, progress_bar, say, table


@click.group()
def data() -> None:
    """Plan, fetch, list and import market data."""


@data.command()
@study_options
@json_option
def plan(study: str, over: list[str], params: list[str], as_json: bool) -> int:
    """Show what STUDY needs: cached, missing, requests, rows, bytes, cost. Fetches nothing."""
    from workbench import data as room

    found = room.plan(load_study(study, over, params), project_of(study)).to_dict()

    def text() -> None:
        for what in ("cached", "missing"):
            for item in found[what]:
                say(f"{what:<8} {item['identity']}  {item['start']} to {item['end']}")
        for line in found["notes"]:
            say(f"note     {line}")
        cost = found["cost"]
        rows, size = ("unknown" if n is None else f"{n:,}" for n in (found["rows"], found["bytes"]))
        money = f"{cost['amount']} {cost['currency']}"
        say(f"{found['requests']} requests, {rows} rows, {size} bytes, {money}")

    emit(found, as_json, text)
    return 0


def _fetch(document: Any, study: str, replace: bool, as_json: bool, only: str | None = None) -> int:
    from workbench import data as room

    with progress_bar() as on_progress:
        result = room.fetch(
            document, project_of(study), replace=replace, only=only, on_progress=on_progress
        ).to_dict()
    emit(
        result,
        as_json,
        lambda: say(
            f"{result['status']}: {result['rows']:,} rows in {result['requests']} requests"
        ),
    )
    for warning in result.get("warnings", []):
        note(f"warning: {warning}")
    if result["error"]:
        note(f"error: {result['error']}")
    return 1 if result["error"] else 0


_replace = click.option("--replace", is_flag=True, help="Fetch again what is cached already.")


@data.command()
@study_options
@_replace
@json_option
def fetch(study: str, over: list[str], params: list[str], replace: bool, as_json: bool) -> int:
    """Fetch what STUDY needs and the catalog lacks."""
    return _fetch(load_study(study, over, params), study, replace, as_json)


@data.command(name="import")
@study_options
@_replace
@json_option
def import_(study: str, over: list[str], params: list[str], replace: bool, as_json: bool) -> int:
    """Import the files STUDY names into the catalog (its 'provider: file' data only)."""
    document = load_study(study, over, params)
    if all(spec.provider != "file" for spec in document.data):
        raise document.error("has no data with 'provider: file' to import", "data")
    return _fetch(document, study, replace, as_json, only="file")


@data.command(name="list")
@json_option
def list_(as_json: bool) -> int:
    """List what the catalog holds: instruments, types, spans, rows, gaps, broken files."""
    from workbench import data as room
    from workbench.core.project import Project

    found = room.list_(Project.find())

    def text() -> None:
        if not found["datasets"] and not found["broken"]:
            say("the catalog is empty: workbench data fetch studies/ema-cross.yaml")
            return
        rows = [
            [
                item["identity"],
                item["kind"],
                _minute(item["start"]),
                _minute(item["end"]),
                f"{item['rows']:,}",
                item["gaps"],
                item["provider"],
            ]
            for item in found["datasets"]
        ]
        table(["dataset", "type", "first (UTC)", "last (UTC)", "rows", "gaps", "provider"], rows)

    emit(found, as_json, text)
    for item in found["broken"]:
        note(f"broken: {item['path']}: {item['reason']}")
    return 0


def _minute(time: str | None) -> str:
    """Cut an ISO 8601 time to the minute."""
    return (time or "-")[:16].replace("T", " ")
