"""``workbench risk``."""

from __future__ import annotations

import json
from typing import Any

import click

from workbench.cli.output import emit, json_option, note, say, table


@click.group()
def risk() -> None:
    """Show and change limits; halt, resume, flatten; the kill switch."""


_name = click.argument("name", metavar="NODE")
_reason = click.option("--reason", default="on request", show_default=True)


@risk.command()
@_name
@json_option
def show(name: str, as_json: bool) -> int:
    """Show who may trade, each limit and how much of it is used, and the alerts."""
    from workbench import live

    return _emit(live.risk.show(live.node(name)), as_json)


@risk.command(name="set")
@_name
@click.argument("limit")
@click.argument("value")
@json_option
def set_(name: str, limit: str, value: str, as_json: bool) -> int:
    """Change a LIMIT of a running node: a VALUE as in a study, or 'none'."""
    from workbench import live

    return _emit(live.risk.set_limit(live.node(name), limit, _parsed(value)), as_json)


@risk.command()
@_name
@_reason
@json_option
def halt(name: str, reason: str, as_json: bool) -> int:
    """Let no order leave from now on."""
    from workbench import live

    return _emit(live.risk.halt(live.node(name), reason), as_json)


@risk.command()
@_name
@json_option
def resume(name: str, as_json: bool) -> int:
    """Let orders leave again."""
    from workbench import live

    return _emit(live.risk.resume(live.node(name)), as_json)


@risk.command()
@_name
@_reason
@click.option("--halt", "stay_halted", is_flag=True, help="And let no order leave after that.")
@json_option
def flatten(name: str, reason: str, stay_halted: bool, as_json: bool) -> int:
    """Cancel every order and close every position."""
    from workbench import live

    node = live.node(name)
    live.risk.flatten(node, reason, stay_halted=stay_halted)
    left = live.risk.wait_flat(node)
    open_ = [
        f"{each['instrument']} {each['side']} {each['quantity']}" for each in left["positions"]
    ]
    open_ += [f"order {each['client_order_id']}" for each in left["orders"]]
    found = live.risk.show(node) | {"flat": not open_, "open": open_}
    _emit(found, as_json)
    if open_:
        note(f"not flat yet, still open: {', '.join(open_)}")
        return 1
    note("flat")
    return 0


@risk.command()
@_name
def alive(name: str) -> int:
    """Tell the dead man's timer that somebody watches."""
    from workbench import live

    live.risk.alive(live.node(name))
    return 0


@risk.command()
@_name
@click.argument("number", type=int)
@json_option
def acknowledge(name: str, number: int, as_json: bool) -> int:
    """Note that alert NUMBER has been seen."""
    from workbench import live

    found = live.risk.acknowledge(live.node(name), number)
    emit(found, as_json, lambda: say(f"alert {number} acknowledged by {found['acknowledged']}"))
    return 0


@risk.command(name="kill-switch")
@_reason
@json_option
def kill_switch(reason: str, as_json: bool) -> int:
    """Flatten and halt every node of the project; kill those that do not answer."""
    from workbench import live

    found = live.risk.kill_switch(reason=reason)

    def text() -> None:
        if not found:
            say("no node runs")
            return
        rows = [
            [name, each["result"], f"{each['seconds']:.2f}", each["detail"]]
            for name, each in found.items()
        ]
        table(["node", "result", "seconds", "detail"], rows)

    emit({"nodes": found}, as_json, text)
    return 0 if all(each["result"] == "flat" for each in found.values()) else 1


_OPEN = ("instrument", "side", "quantity")


def _parsed(value: str) -> Any:
    """Take JSON for what it is (numbers, groups), anything else as text."""
    if value.lower() == "none":
        return None
    try:
        return json.loads(value)
    except ValueError:
        return value


def _emit(found: dict[str, Any], as_json: bool) -> int:
    def text() -> None:
        say(f"trading is {found['state']}" + (f": {found['reason']}" if found["reason"] else ""))
        rows = [
            [name, limit, _short(found["used"].get(name))]
            for name, limit in found["limits"].items()
            if limit not in (None, {}) and name != "on_breach"
        ]
        if rows:
            table(["limit", "at most", "used"], [[row[0], _short(row[1]), row[2]] for row in rows])
        for alert in found["alerts"]:
            seen = f" (seen by {alert['acknowledged']})" if alert["acknowledged"] else ""
            say(f"alert {alert['number']}: {alert['limit']}: {alert['message']}{seen}")

    emit(found, as_json, text)
    return 0


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "" if value is None else str(value)
