"""Orders that belong together, drawn: which is sent when, and what one does to the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from workbench.widgets.live_html import number

_WIDTH, _BOX, _HEIGHT, _STEP = 620, 236, 54, 74
_LINKS = {
    "OCO": "one filled cancels the other",
    "OUO": "what one fills makes the other smaller",
}


def diagram(request: Mapping[str, Any]) -> str:
    """Return a ticket as SVG, with the same said in words for those who cannot see it.

    Parameters
    ----------
    request
        As `workbench.live.orders.submit` takes it; what is still missing is left blank.

    """
    first, others, link = _parts(request)
    rows = max(len(first), len(others))
    height = rows * _STEP + 8
    right = _WIDTH - _BOX - 2
    drawn, ends = [], []
    for place, (role, order) in enumerate(others):
        y = 4 + place * _STEP
        drawn.append(_box(right, y, role, order))
        ends.append(y + _HEIGHT / 2)
    for place, (role, order) in enumerate(first):
        top = 4 + place * _STEP + (rows - len(first)) * _STEP / 2
        drawn.append(_box(2, top, role, order))
        start = top + _HEIGHT / 2
        for end in ends:
            middle = (_BOX + right) / 2
            drawn.append(
                f'<path class="wire" d="M{_BOX + 2} {start}C{middle} {start} {middle} {end} '
                f'{right - 8} {end}"/><path class="tip" d="M{right - 9} {end - 4}l8 4l-8 4z"/>'
            )
    if others:
        # Between the lines that part, above one that does not.
        middle, parts = (ends[0] + ends[-1]) / 2, len(ends) > 1
        across, down = (right - 78, middle + 4) if parts else (_BOX + 40, middle - 8)
        drawn.append(_said(across, down, "when filled"))
    drawn.append(_linked(link, others or first, right if others else 2))
    return (
        f'<svg class="diagram" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(_words(first, others, link))}">{"".join(drawn)}</svg>'
    )


type _Part = tuple[str, Mapping[str, Any]]


def _parts(request: Mapping[str, Any]) -> tuple[list[_Part], list[_Part], str | None]:
    """Return the orders sent at once, those that wait for the first, and what links either."""
    if "bracket" in request:
        content = request["bracket"]
        entry = content["entry"]
        turned = {
            "side": "SELL" if entry.get("side") == "BUY" else "BUY",
            "quantity": entry.get("quantity"),
        }
        named = {"take_profit": "Take profit", "stop_loss": "Stop loss"}
        exits = [(name, turned | content[key]) for key, name in named.items() if key in content]
        return [("Entry", entry)], exits, "OCO" if len(exits) == 2 else None
    if "orders" in request:
        orders = [(f"Order {at + 1}", each) for at, each in enumerate(request["orders"])]
        if request["contingency"] == "OTO":
            return orders[:1], orders[1:], None
        return orders, [], request["contingency"]
    return [("Order", request)], [], None


def _box(x: float, y: float, role: str, order: Mapping[str, Any]) -> str:
    buys = order.get("side") == "BUY"
    kind = str(order.get("type") or "").replace("_", " ").lower()
    size = number(order["quantity"]) if order.get("quantity") else "…"
    title = f"{'▲' if buys else '▼'} {order.get('side')} {size} {kind}"
    return (
        f'<g class="{"buy" if buys else "sell"}"><rect x="{x}" y="{y}" width="{_BOX}" '
        f'height="{_HEIGHT}" rx="8"/><rect class="edge" x="{x}" y="{y + 8}" width="4" '
        f'height="{_HEIGHT - 16}" rx="2"/><text class="bold" x="{x + 14}" y="{y + 22}">'
        f'{escape(title)}</text><text class="soft" x="{x + 14}" y="{y + 41}">'
        f"{escape(f'{role} · {_terms(order)}')}</text></g>"
    )


def _terms(order: Mapping[str, Any]) -> str:
    words = []
    if order.get("trigger_price"):
        words.append(f"trigger {number(order['trigger_price'])}")
    if order.get("trailing_offset"):
        unit = {"BASIS_POINTS": " bp", "TICKS": " ticks"}.get(
            str(order.get("trailing_offset_type")), ""
        )
        words.append(f"trails by {number(order['trailing_offset'])}{unit}")
    if order.get("price"):
        words.append(f"at {number(order['price'])}")
    words.append(str(order.get("time_in_force") or "GTC"))
    return " · ".join(words)


def _said(x: float, y: float, text: str) -> str:
    return f'<text class="soft" x="{x}" y="{y}">{escape(text)}</text>'


def _linked(link: str | None, parts: Sequence[_Part], x: float) -> str:
    """Return the lines between boxes that change each other."""
    if link is None or len(parts) < 2:
        return ""
    line = x + 24
    gaps = [
        f'<path class="wire dashed" d="M{line} {4 + at * _STEP + _HEIGHT}v{_STEP - _HEIGHT}"/>'
        f"{_said(line + 10, at * _STEP + _HEIGHT + 18, _LINKS[link])}"
        for at in range(len(parts) - 1)
    ]
    return "".join(gaps)


def _words(first: Sequence[_Part], others: Sequence[_Part], link: str | None) -> str:
    def told(part: _Part) -> str:
        role, order = part
        kind = str(order.get("type") or "").replace("_", " ")
        return f"{role}: {order.get('side')} {order.get('quantity') or '…'} {kind} {_terms(order)}"

    text = "; ".join(map(told, first))
    if others:
        text += ". When it is filled: " + "; ".join(map(told, others))
    return f"{text}. {_LINKS[link].capitalize()}." if link else f"{text}."
