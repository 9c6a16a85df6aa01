"""``workbench node``."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from workbench.cli.options import load_study, project_of, study_options
from workbench.cli.output import emit, json_option, note, progress_bar, say, table


@click.group()
def node() -> None:
    """Launch, watch, stop and kill live nodes."""


_name = click.argument("name", metavar="NODE")


@node.command()
@study_options
@click.option("--name", help="Of the node; default: the study's name.")
@json_option
def launch(study: str, over: list[str], params: list[str], name: str | None, as_json: bool) -> int:
    """Launch a node for STUDY; returns once it runs, and the node stays."""
    from workbench import live

    found = live.launch(load_study(study, over, params), project_of(study), name=name)
    known = found.state()
    document = {
        "node_id": found.id, "state": known["state"], "pid": known["pid"], "error": None,
    }  # fmt: skip
    emit(document, as_json, lambda: say(f"{found.id} is {known['state']} (pid {known['pid']})"))
    _say_if_not_trading(found)
    return 0


def _say_if_not_trading(node: Any) -> None:
    """Warn of a halt from before: it outlasts every restart."""
    trading = node.status().get("trading") or {"state": "active"}
    if trading["state"] != "active":
        note(f"warning: trading is {trading['state']}: {trading['reason']}")
        note(f"from before; to trade again: workbench risk resume {node.id}")


@node.command()
@click.argument("run_id", metavar="RUN")
@click.option("--over", type=click.Path(exists=True), help="A file whose 'live' section counts.")
@click.option("--practice", is_flag=True, help="To the practice venue of this project.")
@click.option("--confirm", help="The phrase asked for; needed for testnet and live.")
@click.option("--check", "only_check", is_flag=True, help="Look at the gates, launch nothing.")
@click.option("--name", help="Of the node; default: the study's name.")
@json_option
def flip(
    run_id: str,
    over: str | None,
    practice: bool,
    confirm: str | None,
    only_check: bool,
    name: str | None,
    as_json: bool,
) -> int:
    """Take the study of a finished RUN live: gates, what differs, then the node."""
    from workbench import live
    from workbench.study.source import read

    if over and practice:
        raise click.UsageError("--over and --practice exclude each other")
    section: Any = "practice" if practice else None
    if over:
        section = read(Path(over))[0].get("live")
        if section is None:
            raise click.UsageError(f"{over} has no 'live' section")

    def show(gate: Any) -> None:
        if not as_json:
            remedy = "" if gate.passed else f". To do: {gate.remedy}"
            say(f"{'ok    ' if gate.passed else 'CLOSED'}  {gate.name}: {gate.found}{remedy}")

    found = live.flip(run_id, section, on_gate=show)
    document = found.to_dict() | {"node_id": None, "state": None, "pid": None, "error": None}
    if not as_json:
        for change in found.changes:
            say(f"differs {change}")
    if only_check:
        emit(document, as_json, lambda: None)
        return 0 if found.open else 1
    if found.open and found.phrase and confirm is None and sys.stdin.isatty():
        confirm = click.prompt(f"To confirm, type: {found.phrase}", err=True)
    launched = found.go(confirm=confirm, name=name)
    known = launched.state()
    document |= {"node_id": launched.id, "state": known["state"], "pid": known["pid"]}
    emit(document, as_json, lambda: say(f"{launched.id} is {known['state']}"))
    _say_if_not_trading(launched)
    return 0


@node.command()
@click.argument("run_id", metavar="RUN")
@click.option("--seconds", default=20.0, show_default=True, help="How long it trades.")
@json_option
def rehearse(run_id: str, seconds: float, as_json: bool) -> int:
    """Let a finished RUN trade on a practice venue of its own, then flatten and stop it.

    Ctrl-C ends node and venue.
    """
    from workbench import live

    with progress_bar() as on_progress:
        found = live.rehearse(
            run_id, seconds=seconds, on_flip=show_gates, on_event=show_fill,
            on_progress=on_progress,
        )  # fmt: skip
    emit(found.to_dict(), as_json, lambda: say_rehearsed(found))
    return 0 if found.flat else 1


def say_rehearsed(found: Any) -> None:
    """Say what came of a rehearsal."""
    say(
        f"{found.node_id}: {found.bars_from} to {found.bars_to} in {found.seconds:.0f} s, "
        f"{found.orders} orders, {found.fills} fills, "
        f"wallet {found.equity_start:,.2f} -> {found.equity_end:,.2f} USDT, "
        f"{'flat' if found.flat else 'NOT FLAT'}"
    )


def show_gates(promotion: Any) -> None:
    """Say on standard error which gates are open and what differs."""
    passed = ", ".join(gate.name for gate in promotion.gates if gate.passed)
    note(f"gates open: {passed}")
    for change in promotion.changes:
        if not change.path.startswith("live"):
            note(f"differs {change}")


def show_fill(event: dict[str, Any]) -> None:
    """Say a fill on standard error."""
    if event["type"] == "order.filled":
        note(_event_line(event))


@node.command(name="list")
@json_option
def list_(as_json: bool) -> int:
    """List the project's nodes, running or not."""
    from workbench import live

    found = [{"node_id": each.id, **each.state()} for each in live.nodes()]
    keys = ("node_id", "state", "environment", "trader", "pid", "restarts", "reason")
    document = {"nodes": [{key: each.get(key) for key in keys} for each in found]}

    def text() -> None:
        if not found:
            say("there is no node: workbench node launch STUDY")
            return
        table(list(keys), [[_first_line(each.get(key)) for key in keys] for each in found])

    emit(document, as_json, text)
    return 0


@node.command()
@_name
@json_option
def status(name: str, as_json: bool) -> int:
    """Show a node's state, equity, positions, orders and feeds."""
    from workbench import live

    found = live.node(name).status()

    def text() -> None:
        reason = f": {found['reason']}" if found["reason"] else ""
        say(f"{name} is {found['state']}{reason}")
        trading = found.get("trading") or {"state": "active"}
        if trading["state"] != "active":
            say(f"trading   {trading['state']}: {trading['reason']}")
        for currency, amount in found["equity"].items():
            say(f"equity    {amount} {currency}")
        for each in found["feeds"]:
            age = "silent" if each["age_s"] is None else f"last heard {each['age_s']:.1f} s ago"
            say(f"feed      {each['name']}: {age}")
        for each in found["positions"]:
            say(f"position  {each['instrument']} {each['side']} {each['quantity']}")
        for each in found["orders"]:
            price = f" at {each['price']}" if each["price"] else ""
            say(
                f"order     {each['client_order_id']} {each['side']} {each['quantity']} "
                f"{each['instrument']}{price}: {each['status']}"
            )

    emit(found, as_json, text)
    return 0


@node.command()
@_name
@json_option
def stop(name: str, as_json: bool) -> int:
    """Stop a node in order; its open orders and positions stay."""
    from workbench import live

    return _ended(name, live.node(name).stop(), as_json)


@node.command()
@_name
@json_option
def kill(name: str, as_json: bool) -> int:
    """End a node's process at once, also one that hangs; its orders and positions stay."""
    from workbench import live

    return _ended(name, live.node(name).kill(), as_json)


def _ended(name: str, known: dict[str, Any], as_json: bool) -> int:
    document = {"node_id": name, "state": known["state"], "reason": known["reason"]}
    emit(document, as_json, lambda: say(f"{name} is {known['state']}: {known['reason']}"))
    return 0


@node.command()
@_name
@click.option(
    "--lines", type=click.IntRange(min=1), default=50, show_default=True,
    help="How many, from the end.",
)  # fmt: skip
def logs(name: str, lines: int) -> int:
    """Show the end of the engine's log and of what its process printed."""
    from workbench import live

    for file, found in live.node(name).logs(lines).items():
        for line in found:
            say(_log_line(line) if file == "engine.jsonl" else line)
    return 0


def _log_line(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    return " ".join(str(entry.get(key, "")) for key in ("timestamp", "level", "message"))


@node.command()
@click.argument("name", metavar="[NODE]", required=False)
@click.option("--since", default=0, show_default=True, help="Number of the last event known.")
@click.option("--type", "types", multiple=True, help="order, order.filled, risk, ...")
@click.option("--follow", is_flag=True, help="Go on with what comes.")
@json_option
def events(
    name: str | None, since: int, types: tuple[str, ...], follow: bool, as_json: bool
) -> int:
    """Show the events of one node or of all; with --follow, one JSON object a line under --json."""
    from workbench import live

    only = None if name is None else [live.node(name).id]
    stream = live.EngineEventBus().subscribe(since, only=only, types=types or None)
    first = stream.poll()
    if not follow:
        emit({"events": first}, as_json, lambda: say("\n".join(map(_event_line, first))))
        return 0
    try:
        while True:
            for each in first:
                say(json.dumps(each) if as_json else _event_line(each))
            first = stream.next(1.0)
    except KeyboardInterrupt:
        note("no longer followed; the node runs on")
        return 0


@node.command()
@click.option("--key", default="workbench:events", show_default=True, help="Of the stream.")
@click.option("--type", "types", multiple=True, help="order, order.filled, risk, ...")
def stream(key: str, types: tuple[str, ...]) -> int:
    """Copy the events of all nodes into a Redis stream, until Ctrl-C; goes on where it was."""
    from workbench import live

    note(f"copying into the stream {key}; Ctrl-C ends it")
    try:
        live.stream(key=key, types=types or None)
    except KeyboardInterrupt:
        note("no longer copied; the nodes run on")
    return 0


@node.command()
@_name
@click.argument("run_id", metavar="RUN")
@json_option
def parity(name: str, run_id: str, as_json: bool) -> int:
    """Compare the decisions of a node on a replay with those of a backtest; 1 if they differ."""
    from workbench import live

    found = live.parity(name, run_id)
    emit(found.to_dict(), as_json, lambda: say(str(found)))
    return 0 if found.equal else 1


@node.command()
@click.option("--port", type=int, help="Serve on this port of 127.0.0.1 instead of printing.")
def metrics(port: int | None) -> int:
    """Print the measurements of all nodes for Prometheus, or serve them."""
    import threading

    from prometheus_client import generate_latest

    from workbench.live.metrics import registry, serve

    if port is None:
        say(generate_latest(registry()).decode().rstrip())
        return 0
    server = serve(port=port)
    note(f"http://127.0.0.1:{server.server_port}/metrics (Ctrl-C ends it)")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()
    return 0


def _first_line(value: Any) -> Any:
    return value.partition("\n")[0] if isinstance(value, str) else value


def _event_line(event: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(event["ts"] / 1e9, UTC)
    inner = event.get("data") or {}
    words = [
        str(inner[key])
        for key in ("client_order_id", "order_side", "last_qty", "last_px", "reason")
        if inner.get(key)
    ]
    if event.get("reason"):
        words.append(str(event["reason"]).splitlines()[0])
    head = f"{when:%Y-%m-%d %H:%M:%S.%f} {event['node']} {event['seq']} {event['type']}"
    return " ".join([head, *words])
