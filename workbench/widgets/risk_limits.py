"""How much of each limit of risk is used, as a table with bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any

from workbench.backtest.glossary import NONE
from workbench.study import Risk
from workbench.study.fields import duration_seconds, split_money
from workbench.widgets.live_html import nothing, number, sheet, span, table
from workbench.widgets.live_hub import View

NEAR = 0.8

EXAMPLES: Mapping[str, str] = {
    "max_orders": "100/1s", "max_notional_per_order": "250_000 USD",
    "max_position": "{AAPL.XNAS: 2_000}", "max_gross_exposure": "1_000_000 USD",
    "max_net_exposure": "500_000 USD", "price_band": "5%", "duplicate_window": "1s",
    "max_drawdown": "10%", "max_daily_loss": "20_000 USD", "stale_feed": "30s",
    "max_reject_rate": "30%", "max_latency": "500ms", "dead_man": "5m",
    "on_breach": "[alert, reduce_only, flatten, halt]",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Use:
    """One limit and how much of it is used.

    Attributes
    ----------
    name
        Of the limit.
    of
        Of what, such as an instrument; empty for all.
    limit, used
        As text.
    share
        Of the limit; None where it is one of each order by itself.

    """

    name: str
    of: str
    limit: str
    used: str
    share: float | None


def written(value: Any) -> str:
    """Return a limit as it stands in a study."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {item}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)


def uses(view: View) -> list[Use]:
    """Return the limits in force, each with its use as far as it is known."""
    risk = view.value("risk") or {}
    limits, used = risk.get("limits") or {}, risk.get("used") or {}
    found: list[Use] = []
    for name in Risk.model_fields:
        limit = limits.get(name)
        if limit and name != "on_breach":
            found += _uses(name, limit, used.get(name), view)
    return found


def _uses(name: str, limit: Any, used: Any, view: View) -> Iterator[Use]:
    match name:
        case "max_orders" if used is not None:
            share = used / int(str(limit).partition("/")[0])
            yield Use(name, "", limit, number(used), share)
        case "max_position":
            for instrument, units in limit.items():
                held = Decimal((used or {}).get(instrument, 0))
                share = float(abs(held) / Decimal(str(units)))
                yield Use(name, instrument, number(units), number(held), share)
        case "max_gross_exposure" | "max_net_exposure" if used:
            most, code = split_money(limit)
            held, _ = split_money(used) if not used.startswith("0 ") else (Decimal(0), code)
            yield Use(name, "", _money(most, code), _money(held, code), float(held / most))
        case "max_drawdown":
            for code, fall in (used or {}).items():
                share = float(fall.rstrip("%")) / float(limit.rstrip("%"))
                yield Use(name, code, limit, fall, share)
        case "max_daily_loss":
            most, code = split_money(limit)
            lost = Decimal((used or {}).get(code, 0))
            shown = _money(lost, code) if lost > 0 else f"none (+{_money(-lost, code)})"
            yield Use(name, "", _money(most, code), shown, max(float(lost / most), 0.0))
        case "stale_feed":
            for feed in (view.value("status") or {}).get("feeds") or []:
                quiet = 0.0 if feed.get("paused") else (feed["age_s"] or 0.0)
                room = duration_seconds(limit) + feed.get("every_s", 0)
                ended = feed.get("ended")
                shown = "ended" if ended else span(quiet)
                yield Use(name, feed["name"], limit, shown, 1.0 if ended else quiet / room)
        case "max_latency":
            ack = ((view.value("telemetry") or {}).get("latency") or {}).get("ack") or {}
            median = ack.get("median")
            part = None if median is None else median / duration_seconds(limit)
            yield Use(name, "", limit, span(median), part)
        case _:
            yield Use(name, "", written(limit), "", None)


def limits(view: View) -> str:
    """Return the table of limits."""
    rows = []
    for each in uses(view):
        about = Risk.model_fields[each.name].description or ""
        named = f"{each.name} {each.of}".strip()
        rows.append(
            f'<tr data-key="{escape(named)}"><th scope="row" class="left" title="{escape(about)}">'
            f'{escape(each.name)}</th><td class="left muted">{escape(each.of)}</td>'
            f"<td>{escape(each.limit)}</td><td>{_bar(each, named)}</td></tr>"
        )
    risk = view.value("risk") or {}
    steps = ", then ".join(risk.get("limits", {}).get("on_breach", []))
    if not rows:
        empty = "This node has no limits: nothing keeps a mistake small. Set some below."
        return sheet("Limits", nothing(empty if risk else "Asking …"))
    heads = ("<Limit", "<Of", "At most", "<Used")
    listed = table(heads, rows, "limits", "Limits and how much of each is used")
    return sheet("Limits", listed, f"when one breaks: {steps}" if steps else "")


def _bar(use: Use, named: str) -> str:
    if use.share is None:
        return f'<span class="muted">{use.used or "held against each order"}</span>'
    share = min(max(use.share, 0.0), 1.0)
    tone = " over" if use.share >= 1 else " near" if use.share >= NEAR else ""
    text = f"{use.used} · {use.share:.0%}" if use.used else NONE
    return (
        f'<div class="use"><span>{escape(text)}</span><div class="bar{tone}" role="meter" '
        f'aria-label="{escape(named)} used" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{100 * share:.0f}"><i style="width: {share:.1%}"></i></div></div>'
    )


def _money(value: Decimal, code: str) -> str:
    return f"{number(round(value, 2))} {code}"
