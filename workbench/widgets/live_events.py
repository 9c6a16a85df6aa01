"""What is shown of a node's journal and of its logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from workbench.live.bus import Event
from workbench.widgets.live_html import clock, nothing, number

SHOWN = 120

KINDS: Mapping[str, tuple[str, ...]] = {
    "All events": ("",),
    "Orders": ("order.",),
    "Positions and account": ("position.", "account."),
    "Risk and alerts": ("risk.", "alert."),
    "Node and feeds": ("lifecycle.", "feed.", "memory.", "node.", "journal."),
}

_BAD = (
    "lifecycle.crashed", "lifecycle.failed", "lifecycle.killed", "order.denied", "order.rejected",
    "order.unprotected", "order.untraced", "risk.denied", "risk.halted", "alert.raised",
    "node.error", "journal.damaged",
)  # fmt: skip
_QUIET = ("telemetry", "risk.marks")


def rows(events: Sequence[Event], kind: str) -> str:
    """Return the newest events of a kind, newest first."""
    begins = KINDS[kind]
    shown = [each for each in events if each["type"].startswith(begins)]
    if kind == "All events":
        shown = [each for each in shown if not each["type"].startswith(_QUIET)]
    if not shown:
        return f'<section class="sheet">{nothing("Nothing of this has happened yet.")}</section>'
    body = "".join(_row(each) for each in reversed(shown[-SHOWN:]))
    return (
        '<section class="sheet events" role="log" tabindex="0" aria-label="Events" '
        'aria-live="off"><table><colgroup><col style="width: 116px"><col style="width: 76px">'
        '<col style="width: 200px"><col></colgroup><thead><tr><th scope="col">Time (UTC)</th>'
        '<th scope="col">No.</th><th scope="col">Event</th><th scope="col">What</th></tr></thead>'
        f"<tbody>{body}</tbody></table></section>"
    )


def _row(event: Event) -> str:
    kind = event["type"]
    bad = ' class="bad"' if kind in _BAD else ""
    words = escape(said(event))
    return (
        f'<tr data-key="{event["seq"]}" data-ts="{event["ts"]}"><td>{clock(event["ts"])}</td>'
        f'<td>{event["seq"]}</td><td{bad}>{escape(kind)}</td><td title="{words}">{words}</td></tr>'
    )


def said(event: Event) -> str:
    """Return what an event says, in a line."""
    data = event.get("data")
    inner: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    kind = event["type"].partition(".")[0]
    if kind == "order":
        words = _order(event, inner)
    elif kind == "position":
        words = [inner.get("instrument_id"), inner.get("side"), inner.get("quantity")]
        gain = inner.get("realized_pnl")
        words += [f"realised {gain}"] if gain else []
    elif kind == "account":
        words = [inner.get("account_id")]
    elif kind == "alert":
        words = [event.get("number"), event.get("limit"), event.get("message")]
        words += [f"seen by {event['who']}"] if event.get("who") else []
    else:
        words = [event.get(key) for key in ("limit", "feed", "rows", "who", "reason")]
    text = " ".join(str(word) for word in words if word not in (None, ""))
    return text.partition("\n")[0]


def _order(event: Event, inner: Mapping[str, Any]) -> list[Any]:
    words = [inner.get("client_order_id") or event.get("client_order_id") or event.get("ticket_id")]
    words.append(inner.get("order_side"))
    size, price = inner.get("last_qty") or inner.get("quantity"), inner.get("last_px")
    words.append(number(size) if size else None)
    words.append(inner.get("instrument_id") if size else None)
    at = price or inner.get("price") or inner.get("trigger_price")
    words.append(f"at {number(at)}" if at else None)
    words.append(inner.get("reason") or event.get("reason"))
    words.append(f"by {event['who']}" if event.get("who") else None)
    return words


def log(lines: Iterable[str], *, engine: bool) -> str:
    """Return the end of a log, newest last."""
    shown = [_log_line(line) if engine else f"<p>{escape(line)}</p>" for line in lines]
    if not shown:
        return f'<section class="sheet">{nothing("It is empty.")}</section>'
    return (
        '<section class="sheet log" role="log" tabindex="0" aria-label="Log" aria-live="off">'
        f"{''.join(shown)}</section>"
    )


def _log_line(line: str) -> str:
    try:
        entry = json.loads(line)
        words = [str(entry.get(key, "")) for key in ("timestamp", "level", "message")]
    except (ValueError, AttributeError):
        return f"<p>{escape(line)}</p>"
    bad = ' class="bad"' if words[1].startswith(("ERR", "WARN", "CRIT")) else ""
    return f"<p{bad}>{escape(' '.join(words))}</p>"
