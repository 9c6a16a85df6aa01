"""``workbench data``."""

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from workbench.cli.doctor import doctor
from workbench.cli.options import load_study, project_of, study_options
from workbench.cli.output import emit, json_option, note, progress_bar, say, table
from workbench.cli.pictures import coverage, preview


class _Money(click.ParamType[Decimal]):
    """An amount of money of at least 0."""

    name = "amount"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Return `value` as a decimal number."""
        try:
            amount = Decimal(str(value).removesuffix(" USD"))
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or amount < 0:
            self.fail(f"'{value}' is no amount of US dollars, such as 25 or 0.50", param, ctx)
        return amount


@click.group()
def data() -> None:
    """Plan, fetch, list, import and examine market data."""


data.add_command(coverage)
data.add_command(doctor)
data.add_command(preview)


_max_cost = click.option(
    "--max-cost",
    type=_Money(),
    metavar="USD",
    help="Most the data may cost; default: the study's budget.",
)


@data.command()
@study_options
@_max_cost
@json_option
def plan(
    study: str, over: list[str], params: list[str], max_cost: Decimal | None, as_json: bool
) -> int:
    """Show what STUDY needs: cached, missing, requests, rows, bytes, cost. Fetches nothing."""
    from workbench import data as room

    document = load_study(study, over, params)
    planned = room.plan(document, project_of(study))
    too_much = room.over_budget(document, planned, max_cost)
    found = planned.to_dict() | {"over_budget": too_much is not None}

    def text() -> None:
        for what in ("cached", "missing"):
            for item in found[what]:
                say(f"{what:<8} {item['identity']}  {item['start']} to {item['end']}")
        for line in found["notes"]:
            say(f"note     {line}")
        if sum(each["requests"] > 0 for each in found["datasets"]) > 1:
            table(
                ["dataset", "provider", "requests", "rows", "bytes", "USD"],
                [
                    [
                        *(each[key] for key in ("identity", "provider", "requests")),
                        *(_count(each[key]) for key in ("rows", "bytes")),
                        each["cost"],
                    ]
                    for each in found["datasets"]
                ],
            )
        cost = found["cost"]
        rows, size = _count(found["rows"]), _count(found["bytes"])
        money = f"{cost['amount']} {cost['currency']}"
        say(f"{found['requests']} requests, {rows} rows, {size} bytes, {money}")

    emit(found, as_json, text)
    if too_much:
        note(f"warning: {too_much.message}")
    return 0


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def _fetch(
    document: Any,
    study: str,
    replace: bool,
    as_json: bool,
    only: str | None = None,
    max_cost: Decimal | None = None,
) -> int:
    from workbench import data as room

    with progress_bar() as on_progress:
        result = room.fetch(
            document,
            project_of(study),
            replace=replace,
            only=only,
            max_cost=max_cost,
            on_progress=on_progress,
        ).to_dict()

    def text() -> None:
        paid = "" if result["cost"]["amount"] == "0" else ", {amount} {currency}"
        say(
            f"{result['status']}: {result['rows']:,} rows in {result['requests']} requests"
            + paid.format(**result["cost"])
        )

    emit(result, as_json, text)
    for warning in result["warnings"]:
        note(f"warning: {warning}")
    return 0


_replace = click.option("--replace", is_flag=True, help="Fetch again what is cached already.")


@data.command()
@study_options
@_replace
@_max_cost
@json_option
def fetch(
    study: str,
    over: list[str],
    params: list[str],
    replace: bool,
    max_cost: Decimal | None,
    as_json: bool,
) -> int:
    """Fetch what STUDY needs and the catalog lacks; stopped or killed, run it again to go on."""
    document = load_study(study, over, params)
    return _fetch(document, study, replace, as_json, max_cost=max_cost)


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
