"""Pieces of HTML that show a live node; every text from outside is escaped."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from html import escape
from typing import Any

from workbench.backtest.glossary import NONE
from workbench.widgets.live_hub import View

FRESH_SECONDS = 2.5
_POINTS = 120
_REAL = ("testnet", "live")


def number(value: Any, places: int | None = None, *, sign: bool = False) -> str:
    """Return a number with separators; with so many decimals, else those it has."""
    if value is None or value == "":
        return NONE
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return escape(str(value))
    if places is None:
        places = min(max(-int(exact.as_tuple().exponent), 0), 8)
    text = f"{exact:{'+' if sign else ''},.{places}f}"
    return text.replace("-", "\u2212")


def signed(value: Any, code: str = "") -> str:
    """Return an amount that is a gain or a loss."""
    if value is None:
        return NONE
    exact = Decimal(str(value))
    tone = "gain" if exact > 0 else "loss" if exact < 0 else ""
    return (
        f'<span class="{tone}">{number(exact, 2, sign=bool(exact))}</span> {escape(code)}'.strip()
    )


def span(seconds: float | None) -> str:
    """Return a length of time in the unit that suits it."""
    if seconds is None:
        return NONE
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def clock(ns: float) -> str:
    """Return a moment of today, UTC."""
    return f"{dt.datetime.fromtimestamp(ns / 1e9, dt.UTC):%H:%M:%S.%f}"[:-3]


def badge(kind: str, text: str | None = None) -> str:
    """Return a state: a mark and a word."""
    return f'<span class="status {escape(kind)}">{escape(text or kind)}</span>'


def table(heads: Sequence[str], rows: Iterable[str], kind: str = "", label: str = "") -> str:
    """Return a table; `heads` may begin with ``<`` for left; rows are HTML."""
    cells = "".join(
        f'<th scope="col" class="left">{escape(head[1:])}</th>'
        if head.startswith("<")
        else f'<th scope="col">{escape(head)}</th>'
        for head in heads
    )
    named = f' aria-label="{escape(label)}"' if label else ""
    body = "".join(rows)
    return (
        f'<div class="scroll" tabindex="0">'
        f'<table class="{kind}"{named}><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def sheet(title: str, content: str, note: str = "") -> str:
    """Return a box with a heading; `note` is escaped."""
    said = f"<small>{escape(note)}</small>" if note else ""
    return f'<section class="sheet"><h3>{escape(title)}{said}</h3>{content}</section>'


def nothing(text: str) -> str:
    """Return what stands where there is nothing to show."""
    return f'<p class="nothing">{escape(text)}</p>'


def trading(view: View) -> Mapping[str, Any]:
    """Return whether orders may leave, as risk or status last said; nothing once it has ended."""
    if not view.running:
        return {}
    status: Mapping[str, Any] = view.value("status") or {}
    found: Mapping[str, Any] = view.value("risk") or status.get("trading") or {}
    return found


def age(view: View, topic: str = "status") -> str:
    """Say how old the figures are."""
    old = view.age(topic)
    if not view.running:
        reason = str(view.state.get("reason") or "").partition("\n")[0]
        return f'<span class="age">it has ended: {escape(reason)}</span>' if reason else ""
    if view.state.get("state") != "RUNNING":
        return f'<span class="age">{escape(str(view.state.get("reason") or "one moment"))} …</span>'
    if old is None:
        text = view.trouble or "asking …"
        return f'<span class="age{" old" if view.trouble else ""}">{escape(text)}</span>'
    if old < FRESH_SECONDS:
        return '<span class="age">up to date</span>'
    text = f"these figures are {span(old)} old"
    return f'<span class="age old" role="alert">{escape(text)}: {escape(view.trouble)}</span>'


def overview(views: Sequence[View], chosen: str) -> str:
    """Return the table of all nodes; each name is a button."""
    rows = []
    for view in views:
        status = view.value("status") or {}
        silent = _alive(view) and (view.age("status") or 0) > FRESH_SECONDS
        state = badge("silent", "no answer") if silent else badge(str(view.state.get("state")))
        mode = str(trading(view).get("state") or "")
        name = escape(view.id)
        pressed = "true" if view.id == chosen else "false"
        rows.append(
            f'<tr data-key="{name}" class="{"chosen" if view.id == chosen else ""}">'
            f'<th scope="row"><button data-pick="node:{name}" aria-pressed="{pressed}">{name}'
            f'</button></th><td class="left">{state}</td>'
            f'<td class="left">{_environment(view)}</td>'
            f'<td class="left">{badge(mode, mode.replace("_", " ")) if mode else NONE}</td>'
            f"<td>{_equity(status)}</td><td>{_count(status, 'positions')}</td>"
            f"<td>{_count(status, 'orders')}</td><td>{_feed_age(view)}</td>"
            f"<td>{number(view.state.get('restarts') or 0)}</td></tr>"
        )
    heads = (
        "<Node", "<State", "<Environment", "<Trading", "Equity", "Positions", "Orders", "Feed age",
        "Restarts",
    )  # fmt: skip
    return f'<section class="sheet">{table(heads, rows, "nodes", "All nodes")}</section>'


def head(view: View) -> str:
    """Return name, state and environment of a node."""
    pid = view.state.get("pid")
    told = f"trader {view.state.get('trader') or NONE}" + (f", process {pid}" if pid else "")
    mode = str(trading(view).get("state") or "")
    halted = badge(mode, f"trading {mode.replace('_', ' ')}") if mode else ""
    reason = trading(view).get("reason") or ""
    return (
        f'<div class="head"><h2>{escape(view.id)}</h2>{badge(str(view.state.get("state")))}{halted}'
        f"{_environment(view)}{age(view)}"
        f'<span class="id">{escape(told)}{escape(f" · {reason}") if reason else ""}</span></div>'
    )


def figures(view: View) -> str:
    """Return the figures of a node in a row: equity with its line, profit, exposure, latency.

    Equity and profit are of one answer, so that they add up. Of a node that has ended the last ones
    stay; what its process and its feeds do is no more.
    """
    status = view.value("status") or {}
    sample = view.value("telemetry") or {}
    equity = status.get("equity") or {}
    code = next(iter(equity), "")
    latency = (sample.get("latency") or {}).get("ack") or {}
    process = sample.get("process") or {}
    memory = process.get("memory_bytes")
    load = (
        ""
        if not memory or not _alive(view)
        else f"{process['cpu_percent']:.0f}% cpu, {memory / 1e6:,.0f} MB"
    )
    return (
        '<div class="figures">'
        f'<div class="tile equity"><div><span>Equity</span><b>{_equity(status)}</b></div>'
        f"{spark(view, code)}</div>"
        + _tile("Unrealised", *_profit(status, "unrealized", code))
        + _tile("Realised", *_profit(status, "realized", code))
        + _tile("Exposure", *_exposure(sample))
        + _tile("Feed age", _feed_age(view), _rows(status))
        + _tile("Order to answer", span(latency.get("p95")), f"p95 · {load or NONE}")
        + "</div>"
    )


def spark(view: View, code: str) -> str:
    """Return the line of the equity in a currency, as far back as it is known."""
    points = [(at, equity[code]) for at, equity in view.samples if code in equity]
    points = points[:: max(1, len(points) // _POINTS)]
    if len(points) < 2:
        return '<svg class="spark" viewBox="0 0 300 46" aria-hidden="true"></svg>'
    start, end = points[0][0], points[-1][0]
    low, high = min(value for _, value in points), max(value for _, value in points)
    room = (high - low) or 1.0
    placed = [
        (300 * (at - start) / ((end - start) or 1), 43 - 40 * (value - low) / room)
        for at, value in points
    ]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
    said = f"Equity in {code} over {span(end - start)}: from {low:,.2f} to {high:,.2f}"
    return (
        f'<svg class="spark" viewBox="0 0 300 46" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(said)}"><path class="under" d="M0 46L{line}L300 46Z"/>'
        f'<path d="M{line}"/></svg>'
    )


def positions(view: View) -> str:
    """Return the open positions."""
    status = view.value("status") or {}
    open_now = {(each["strategy"], each["instrument"]): each for each in status.get("pnl") or []}
    rows = []
    for each in status.get("positions") or []:
        gain = open_now.get((each["strategy"], each["instrument"])) or {}
        rows.append(
            f'<tr data-key="{escape(each["id"])}"><th scope="row" class="left">'
            f'{escape(each["instrument"])}</th><td class="left">{_side(each["side"])}</td>'
            f"<td>{number(each['quantity'])}</td><td>{number(each['entry_price'], 4)}</td>"
            f"<td>{signed(gain.get('unrealized'), gain.get('currency') or '')}</td>"
            f'<td class="left muted">{escape(each["strategy"])}</td></tr>'
        )
    heads = ("<Instrument", "<Side", "Quantity", "Entry", "Unrealised", "<Strategy")
    listed = table(heads, rows, label="Positions") if rows else nothing("No open positions.")
    return sheet("Positions", listed, str(len(rows)) if rows else "")


def orders(listed: Sequence[Mapping[str, Any]], *, acts: bool = False) -> str:
    """Return orders; with `acts` each has buttons to change and to cancel it."""
    rows = []
    for each in listed:
        name = escape(each["client_order_id"])
        price = each.get("price") or each.get("trigger_price")
        at = number(price) if price else NONE
        if each.get("price") and each.get("trigger_price"):
            at = f"{number(each['trigger_price'])} → {number(each['price'])}"
        buttons = (
            f'<td><button class="small" data-pick="modify:{name}" aria-label="Change {name}">'
            f'Change</button> <button class="small danger" data-pick="cancel:{name}" '
            f'aria-label="Cancel {name}">Cancel</button></td>'
            if acts
            else ""
        )
        rows.append(
            f'<tr data-key="{name}"><th scope="row" class="left mono">{name}</th>'
            f'<td class="left">{_side(each["side"])}</td>'
            f"<td>{number(each['filled'])} / {number(each['quantity'])}</td>"
            f'<td class="left">{escape(each["instrument"])}</td>'
            f'<td class="left">{escape(each["type"])}</td><td>{at}</td>'
            f'<td class="left">{escape(str(each["status"]).lower().replace("_", " "))}</td>'
            f"{buttons}</tr>"
        )
    heads = ["<Order", "<Side", "Filled", "<Instrument", "<Type", "Price", "<Status"]
    heads += [""] if acts else []
    shown = table(heads, rows, label="Open orders") if rows else nothing("No open orders.")
    return sheet("Orders", shown, str(len(rows)) if rows else "")


def feeds(view: View) -> str:
    """Return the feeds with their age."""
    rows = []
    for each in (view.value("status") or {}).get("feeds") or []:
        state = "ended" if each.get("ended") else "paused" if each.get("paused") else ""
        of = f" / {number(each['of'])}" if each.get("of") else ""
        rows.append(
            f'<tr data-key="{escape(each["name"])}"><th scope="row" class="left">'
            f"{escape(each['name'])}</th><td>{span(each['age_s'] if _alive(view) else None)}</td>"
            f'<td>{number(each["rows"])}{of}</td><td class="left">{state}</td></tr>'
        )
    listed = table(("<Feed", "Age", "Rows", "<"), rows, label="Feeds") if rows else ""
    return sheet("Feeds", listed or nothing("No feed has begun."))


def latency(view: View) -> str:
    """Return how long orders and the engine's loop take."""
    sample = view.value("telemetry")
    if not sample:
        return sheet("Latency", nothing("Not measured yet."))
    named = {
        "Order to answer": sample["latency"]["ack"],
        "Order to fill": sample["latency"]["fill"],
        "Engine's loop behind": sample["loop_lag"],
    }
    rows = [
        f'<tr><th scope="row" class="left">{name}</th><td>{span(each["median"])}</td>'
        f"<td>{span(each['p95'])}</td><td>{span(each['max'])}</td>"
        f"<td>{number(each['count'])}</td></tr>"
        for name, each in named.items()
    ]
    heads = ("<From", "Median", "p95", "Longest", "Count")
    return sheet("Latency", table(heads, rows, label="Latency"))


def alerts(found: Sequence[Mapping[str, Any]], *, acts: bool = False, most: int = 20) -> str:
    """Return the alerts, newest first; with `acts` each can be acknowledged."""
    rows = []
    for each in list(reversed(found))[:most]:
        seen = each["acknowledged"]
        act = (
            f'<button class="small" data-pick="acknowledge:{each["number"]}" '
            f'aria-label="Acknowledge alert {each["number"]}">Acknowledge</button>'
        )
        last = f"seen by {escape(str(seen))}" if seen else act if acts else "<b>not seen</b>"
        steps = f'<td class="left">{escape(", ".join(each["steps"]))}</td>' if acts else ""
        rows.append(
            f'<tr data-key="{each["number"]}"><th scope="row" class="left">{each["number"]}</th>'
            f'<td class="left">{clock(each["at"] * 1e9)[:8]}</td>'
            f'<td class="left">{escape(each["limit"])}</td>'
            f'<td class="words">{escape(each["message"])}</td>'
            f"{steps}<td>{last}</td></tr>"
        )
    heads = ["<No.", "<Time (UTC)", "<Limit", "<What was found"]
    heads += ["<What was done", ""] if acts else [""]
    open_ = sum(each["acknowledged"] is None for each in found)
    shown = table(heads, rows, label="Alerts") if rows else nothing("No limit has been broken.")
    return sheet("Alerts", shown, f"{open_} not seen" if open_ else "")


def _tile(name: str, value: str, note: str = "") -> str:
    below = f"<small>{note or '&nbsp;'}</small>"
    return f'<div class="tile"><span>{name}</span><b>{value}</b>{below}</div>'


def _environment(view: View) -> str:
    name = str(view.state.get("environment") or "")
    return (
        f'<span class="chip{" money" if name in _REAL else ""}">{escape(name)}</span>'
        if name
        else ""
    )


def _equity(status: Mapping[str, Any]) -> str:
    held = (status.get("equity") or {}).items()
    return "<br>".join(f"{number(value, 2)} {escape(code)}" for code, value in held) or NONE


def _count(status: Mapping[str, Any], key: str) -> str:
    return number(len(status[key])) if key in status else NONE


def _alive(view: View) -> bool:
    return view.state.get("state") == "RUNNING"


def _feed_age(view: View) -> str:
    found = (view.value("status") or {}).get("feeds") or [] if _alive(view) else []
    ages = [each["age_s"] for each in found if each["age_s"] is not None]
    if found and all(each.get("ended") for each in found):
        return "ended"
    return span(max(ages)) if ages else NONE


def _rows(status: Mapping[str, Any]) -> str:
    found = status.get("feeds") or []
    return f"{sum(each['rows'] for each in found):,} rows" if found else ""


def _profit(status: Mapping[str, Any], key: str, code: str) -> tuple[str, str]:
    if "pnl" not in status:
        return NONE, ""
    own = [Decimal(each[key]) for each in status["pnl"] if each["currency"] == code]
    others = {each["currency"] for each in status["pnl"]} - {code}
    return signed(sum(own, Decimal(0))), escape(
        f"{code} and {', '.join(others)}" if others else code
    )


def _exposure(sample: Mapping[str, Any]) -> tuple[str, str]:
    parts = (sample.get("exposure") or {}).values()
    sums: dict[str, Decimal] = {}
    for each in parts:
        code = each["currency"] or ""
        sums[code] = sums.get(code, Decimal(0)) + abs(Decimal(each["notional"]))
    if not sums:
        return ("0", "") if sample else (NONE, "")
    code, value = max(sums.items(), key=lambda item: item[1])
    return number(value, 0), escape(code)


def _side(side: str) -> str:
    up = side in ("BUY", "LONG")
    return f'<span class="{"gain" if up else "loss"}">{"▲" if up else "▼"} {escape(side)}</span>'
