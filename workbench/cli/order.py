"""``workbench order``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from workbench.cli.output import emit, json_option, note, say, table
from workbench.core.errors import InputError, Issue

_LEFT = ("accepted", "filled", "partially_filled", "submitted", "triggered", "emulated", "held")
_WHAT = {
    "side": "BUY or SELL.",
    "quantity": "In units.",
    "instrument": "SYMBOL.VENUE.",
}
_KEYS = {
    "type": "MARKET (default), LIMIT, STOP_MARKET, STOP_LIMIT, MARKET_TO_LIMIT, ...",
    "price": "Limit price.",
    "trigger_price": "Of stops and orders if touched.",
    "trigger_type": "BID_ASK, LAST_PRICE, ...",
    "trailing_offset": "Distance of a trailing stop's trigger.",
    "trailing_offset_type": "PRICE (default), BASIS_POINTS, TICKS.",
    "limit_offset": "Distance of a trailing stop's limit.",
    "activation_price": "From which on a stop trails.",
    "time_in_force": "GTC (default), IOC, FOK, GTD, DAY.",
    "expire_time": "Of GTD, such as 2026-01-31T16:00Z.",
    "display_quantity": "Shown in the book.",
    "emulation_trigger": "BID_ASK or LAST_PRICE: the node keeps the order until then.",
    "position_id": "Where a venue has several positions an instrument.",
}
_EXITS = {"take_profit": "price", "stop_loss": "trigger_price"}
_FLAGS = {
    "post_only": "Refused rather than take from the book.",
    "reduce_only": "May only make a position smaller.",
    "quote_quantity": "The quantity is in the quote currency.",
}


@click.group()
def order() -> None:
    """Place, change, cancel and list orders by hand on a running node."""


_node = click.argument("name", metavar="NODE")
_id = click.argument("client_order_id", metavar="ID")
_wait = click.option(
    "--wait", default=1.0, show_default=True, help="Seconds to wait for the venue's answer."
)
_no_wait = click.option("--no-wait", is_flag=True, help="Answer as soon as it is sent.")


def _order_options(command: Any) -> Any:
    for key, text in reversed((_WHAT | _KEYS | _FLAGS).items()):
        name = f"--{key.replace('_', '-')}"
        command = click.option(name, key, is_flag=key in _FLAGS, default=None, help=text)(command)
    return command


@order.command()
@_node
@click.argument("what", nargs=-1, metavar="[SIDE QUANTITY INSTRUMENT | JSON | FILE | -]")
@_order_options
@click.option("--tag", "tags", multiple=True, help="Kept with the order.")
@click.option("--id", "client_order_id", help="Of the order: asked for again it is placed once.")
@click.option("--take-profit", help="Price at which the position is closed with a profit.")
@click.option("--stop-loss", help="Price at which it is closed with a loss.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent and what it would cost.")
@_wait
@_no_wait
@json_option
def submit(name: str, what: tuple[str, ...], **options: Any) -> int:
    r"""Place an order on NODE.

    \b
    workbench order submit ema-cross buy 100 AAPL.XNAS
    workbench order submit ema-cross sell 100 AAPL.XNAS --type LIMIT --price 95.5
    workbench order submit ema-cross buy 100 AAPL.XNAS --take-profit 110 --stop-loss 90
    workbench order submit ema-cross bracket.json
    """
    from workbench import live

    as_json, wait = options.pop("as_json"), 0.0 if options["no_wait"] else options["wait"]
    dry_run = options.pop("dry_run")
    request = _request(what, options)
    node = live.node(name)
    try:
        if dry_run:
            found = live.orders.preview(node, request)
        else:
            found = live.orders.submit(node, request, wait=wait)
    except InputError as error:
        return _refused(request, error, as_json)
    emit(found, as_json, lambda: _show_preview(found) if dry_run else _show(found))
    return 0 if dry_run or found["status"] in _LEFT else 1


@order.command()
@_node
@_id
@click.option("--quantity", help="New quantity.")
@click.option("--price", help="New limit price.")
@click.option("--trigger-price", help="New trigger price.")
@_wait
@_no_wait
@json_option
def modify(name: str, client_order_id: str, **options: Any) -> int:
    """Change the open order ID, also one of a strategy."""
    from workbench import live

    wait = 0.0 if options["no_wait"] else options["wait"]
    wanted = {key: options[key] for key in ("quantity", "price", "trigger_price")}
    found = live.orders.modify(live.node(name), client_order_id, wait=wait, **wanted)

    def text() -> None:
        done = "changed" if found["changed"] else "not changed"
        say(f"{client_order_id} is {found['status']}, {done}{_because(found)}")

    emit(found, options["as_json"], text)
    return 0 if found["changed"] or options["no_wait"] else 1


@order.command()
@_node
@_id
@_wait
@_no_wait
@json_option
def cancel(name: str, client_order_id: str, wait: float, no_wait: bool, as_json: bool) -> int:
    """Cancel the order ID, also one of a strategy; a group's ID cancels all of it."""
    from workbench import live

    found = live.orders.cancel(live.node(name), client_order_id, wait=0.0 if no_wait else wait)
    emit(found, as_json, lambda: _show(found))
    return 0 if no_wait or found["status"] in ("canceled", "dropped") else 1


@order.command(name="cancel-all")
@_node
@click.option("--instrument", help="Only orders of this one.")
@click.option("--side", help="Only BUY or SELL.")
@click.option("--strategy", help="Only orders of this one, such as DESK-DESK.")
@_wait
@json_option
def cancel_all(name: str, wait: float, as_json: bool, **only: str | None) -> int:
    """Cancel every open order of NODE, or some of them."""
    from workbench import live

    found = live.orders.cancel_all(live.node(name), wait=wait, **only)

    def text() -> None:
        for each in found["orders"]:
            say(f"{each['client_order_id']} is {each['status']}{_because(each)}")
        say(f"{found['cancelled']} of {len(found['orders'])} cancelled")

    emit(found, as_json, text)
    return 0 if found["cancelled"] == len(found["orders"]) else 1


@order.command(name="list")
@_node
@click.option("--all", "closed", is_flag=True, help="Closed orders too.")
@click.option("--instrument", help="Only orders of this one.")
@click.option("--side", help="Only BUY or SELL.")
@click.option("--strategy", help="Only orders of this one.")
@json_option
def list_(name: str, closed: bool, as_json: bool, **only: str | None) -> int:
    """List the orders of NODE that are open or wait for another."""
    from workbench import live

    found = live.orders.list_(live.node(name), closed=closed, **only)

    def text() -> None:
        if not found:
            say("no order is open")
            return
        keys = (
            "client_order_id", "strategy", "instrument", "side", "type", "quantity", "filled",
            "price", "trigger_price", "time_in_force", "status",
        )  # fmt: skip
        table(list(keys), [[each[key] for key in keys] for each in found])

    emit({"orders": found}, as_json, text)
    return 0


def _request(what: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return the request of a file, of standard input or of the arguments."""
    given = [key for key in (*_WHAT, *_KEYS, *_FLAGS, *_EXITS) if options.get(key)]
    name = {"client_order_id": options["client_order_id"]} if options["client_order_id"] else {}
    if len(what) == 1:
        if given:
            message = f"a JSON request says everything itself, found --{given[0]}"
            raise InputError(Issue(message.replace("_", "-")))
        return _read(what[0]) | name
    if len(what) == len(_WHAT):
        options |= dict(zip(_WHAT, what, strict=True))
    elif what or not all(options[key] for key in _WHAT):
        message = "say SIDE QUANTITY INSTRUMENT, such as buy 100 AAPL.XNAS, or name a JSON file"
        raise InputError(Issue(message))
    request = {key: options[key] for key in (*_WHAT, *_KEYS, *_FLAGS) if options.get(key)}
    if options["tags"]:
        request["tags"] = list(options["tags"])
    exits = {role: {key: options[role]} for role, key in _EXITS.items() if options[role]}
    return ({"bracket": {"entry": request} | exits} if exits else request) | name


def _read(name: str) -> dict[str, Any]:
    if name.lstrip().startswith("{"):
        return _parsed(name, None)
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        message = f"no file '{name}'. An order is SIDE QUANTITY INSTRUMENT, or a JSON file"
        raise InputError(Issue(message)) from None
    except UnicodeDecodeError:
        raise InputError(Issue("is not UTF-8 text", file=name)) from None
    return _parsed(text, name)


def _parsed(text: str, file: str | None) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise InputError(Issue(f"is not JSON: {error}", file=file, line=line)) from None
    if not isinstance(content, dict):
        raise InputError(Issue("an order is a JSON object", file=file))
    return content


def _refused(request: Mapping[str, Any], error: InputError, as_json: bool) -> int:
    """Answer an order that was refused before it left, in the form of every answer."""
    document = {
        "client_order_id": request.get("client_order_id"),
        "status": "refused",
        "reason": str(error),
        "errors": [issue.to_dict() for issue in error.issues],
    }
    emit(document, as_json, lambda: None)
    for issue in error.issues:
        note(f"error: {issue}")
    return error.exit_code


def _show(found: dict[str, Any]) -> None:
    for each in found.get("orders") or [found]:
        fills = ""
        if each["average_price"] is not None:
            fills = f", {each['filled']} of {each['quantity']} at {each['average_price']}"
        say(f"{each['client_order_id']} is {each['status']}{fills}{_because(each)}")
    for warning in found.get("warnings", ()):
        note(f"note: {warning}")


def _show_preview(found: dict[str, Any]) -> None:
    for each in found["orders"]:
        words = [each["type"], each["side"], each["quantity"], each["instrument"]]
        words += [f"{key} {each[key]}" for key in ("price", "trigger_price") if each.get(key)]
        later = "later: " if each["waits"] else ""
        say(f"{later}{' '.join(words)} {each['time_in_force']}")
        costs = {key: value for key, value in each["estimate"].items() if value is not None}
        say("  " + (", ".join(f"{key} {value}" for key, value in costs.items()) or "no estimate"))
    for warning in found["warnings"]:
        note(f"note: {warning}")
    say("nothing was sent")


def _because(found: Mapping[str, Any]) -> str:
    return f": {found['reason']}" if found.get("reason") else ""
