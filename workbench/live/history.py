"""What a node did, as tables and pictures, read from its journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workbench.core.journal import Reader
from workbench.core.style import BAND, BLUE, WIDTH_INCHES, drawn, framed, holoviews, naive
from workbench.live.handle import JOURNAL, Node

if TYPE_CHECKING:
    import pandas as pd


def alerts(node: Node, seconds: float = 86_400) -> list[dict[str, Any]]:
    """Return the alerts of the last day, or of so many seconds, also of a node that has ended.

    Of a journal that long only the newest 50,000 entries are looked at.

    Returns
    -------
    list of dict
        As `risk.show` has them, the oldest first: ``number`` (they begin anew with each engine),
        ``limit``, ``message``, ``at``, ``steps``, and ``acknowledged``, who has seen it.

    """
    found, named = [], {}
    for entry in Reader.newest(node.folder / JOURNAL, _NEWEST).new():
        if entry["type"] == "alert.raised":
            alert = {key: entry[key] for key in _ALERT}
            found.append(alert)
            named[alert["number"]] = alert
        elif entry["type"] == "alert.acknowledged" and entry["number"] in named:
            named[entry["number"]]["acknowledged"] = entry["who"]
    return [alert for alert in found if alert["at"] > time.time() - seconds]


_NEWEST = 50_000
_ALERT = ("number", "limit", "message", "at", "steps", "acknowledged")


def fills(node: Node) -> pd.DataFrame:
    """Return one row a fill, in order of time; also of a node that has ended.

    Returns
    -------
    pandas.DataFrame
        ``ts`` (UTC), ``instrument``, ``strategy``, ``side``, ``quantity``, ``price``,
        ``commission`` with its ``commission_currency``, ``client_order_id``, ``trade_id``. A fill
        that reconciliation told again is there once.

    """
    import pandas as pd

    rows = {}
    for entry in node.events():
        if entry["type"] == "order.filled":
            data = entry["data"]
            amount, _, currency = str(data["commission"] or "0 ").partition(" ")
            rows[data["instrument_id"], data["trade_id"]] = {
                "ts": pd.Timestamp(data["ts_event"], unit="ns", tz="UTC"),
                "instrument": data["instrument_id"],
                "strategy": data["strategy_id"],
                "side": data["order_side"],
                "quantity": float(data["last_qty"]),
                "price": float(data["last_px"]),
                "commission": float(amount),
                "commission_currency": currency,
                "client_order_id": data["client_order_id"],
                "trade_id": data["trade_id"],
            }
    found = pd.DataFrame(list(rows.values()), columns=_COLUMNS)
    return found.sort_values("ts", kind="stable", ignore_index=True)


_COLUMNS = [
    "ts", "instrument", "strategy", "side", "quantity", "price", "commission",
    "commission_currency", "client_order_id", "trade_id",
]  # fmt: skip


def picture(node: Node, instrument: str | None = None) -> Any:
    """Return a chart of a node's fills: price above, the position they add up to below.

    Parameters
    ----------
    node
        Running or not.
    instrument
        Which; default: the one it traded first.

    """
    import numpy as np

    from workbench.backtest.charts import fill_markers, nothing

    hv = holoviews()
    found = fills(node)
    name = instrument or (found["instrument"].iloc[0] if len(found) else "")
    found = found[found["instrument"] == name]
    if not len(found):
        return nothing("no fills yet")
    times, quantity = naive(found["ts"]), found["quantity"]
    held = np.where(found["side"] == "BUY", quantity, -quantity).cumsum()
    price = hv.Curve((times, found["price"]), "Time", hv.Dimension("price", label="Price"))
    layers = [_line(price, BAND, 1.0), *fill_markers(found)]
    number = "0,0.00" if float(found["price"].iloc[-1]) >= 10 else "0,0.0000"
    position = hv.Curve((times, held), "Time", hv.Dimension("held", label="Units"))
    steps = position.opts(backend="bokeh", interpolation="steps-post")
    steps = steps.opts(backend="matplotlib", interpolation="steps-post")
    parts = [
        framed(hv.Overlay(layers), f"{name}: fills", number=number, legend=True),
        framed(
            hv.Overlay([_line(steps, BLUE, 1.5)]),
            "Position they add up to",
            number="0,0" if (quantity % 1 == 0).all() else "0,0.0000",
            height=170,
        ),
    ]
    paper = {"sublabel_format": "", "fig_inches": (WIDTH_INCHES, 5.5), "vspace": 0.5}
    return drawn(
        hv.Layout(parts).cols(1),
        bokeh={"shared_axes": False},
        matplotlib={"shared_axes": False} | paper,
    )


def _line(curve: Any, colour: str, width: float) -> Any:
    return drawn(
        curve,
        bokeh={"color": colour, "line_width": width},
        matplotlib={"color": colour, "linewidth": width},
    )
