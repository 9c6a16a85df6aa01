"""Charts of runs: one HoloViews definition each, drawn by Bokeh (screen) or Matplotlib (print).

Each function returns a HoloViews element that either backend draws; how they look is in
`workbench.core.style`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.backtest.glossary import TERMS
from workbench.backtest.statistics import daily_equity, drawdown, monthly_returns
from workbench.core.errors import WorkbenchError
from workbench.core.style import (
    BAND,
    BLUE,
    DIVERGING,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    SEQUENTIAL,
    SERIES,
    WIDTH_INCHES,
    drawn,
    framed,
    holoviews,
    naive,
    shaded,
)

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.model import Run

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

MAX_POINTS = 1_500
MAX_CANDLES = 250
MAX_JOINED = 300
MAX_BENCHMARK = 4.0  # of the strategy's own range: a taller benchmark would flatten the strategy


def equity(run: Run, prices: pd.DataFrame | None = None) -> Any:
    """Return the equity curve, against holding the instrument where there is only one.

    With several currencies each curve is its change in percent, since amounts in different
    currencies have no common axis. The benchmark puts the whole starting equity in the instrument;
    it is left out where it would dwarf the strategy's curve.

    Parameters
    ----------
    run
        A run that has tables.
    prices
        Of its one instrument, if they are known: `RunPicture.bars`. Default: they are read.

    """
    curves = by_currency(run)
    if not curves:
        return nothing("no equity was recorded")
    if len(curves) > 1:
        changes = {name: _change(frame) for name, frame in curves.items()}
        return _lines(changes, "Equity by currency", "Change since the start (%)", "0,0.0")
    (currency, frame), *_ = curves.items()
    lines = {"Strategy": (naive(frame["ts"]), frame["equity"].to_numpy())}
    held = buy_and_hold(run, prices)
    if held is not None and benchmark_fits(run, held):
        lines["Buy and hold"] = held
    return _lines(lines, "Equity", f"Equity ({currency})", "0,0", colours=(BLUE, MUTED))


def drawdowns(run: Run) -> Any:
    """Return how far equity was below its running high, in percent, by currency."""
    hv = holoviews()
    areas = []
    for (name, frame), colour in zip(by_currency(run).items(), (ORANGE, BLUE, *SERIES[2:])):  # noqa: B905
        columns = (naive(frame["ts"]), -100 * drawdown(frame["equity"]))
        area = hv.Area(columns, "Time", hv.Dimension("drawdown", label="Drawdown (%)"), label=name)
        areas.append(shaded(area, colour, 0.35, 1))
    if not areas:
        return nothing("no equity was recorded")
    title = "Drawdown"
    return framed(hv.Overlay(areas), title, number="0.0", height=190, legend=len(areas) > 1)


def monthly(run: Run) -> Any:
    """Return the return of each month in percent, years down, months across (first currency)."""
    currency, found = monthly_table(run)
    if not found:
        return nothing("no month has a return")
    years = range(min(year for year, _ in found), max(year for year, _ in found) + 1)
    cells = [
        (name, str(year), 100 * found.get((year, month), np.nan))
        for year in reversed(years)
        for month, name in enumerate(MONTHS, 1)
    ]
    bound = max(1.0, *(100 * abs(value) for value in found.values()))
    title = f"Monthly returns, {currency} (%)"
    axes = ("Month", "Year", "Return (%)")
    return _heat(cells, axes, title, DIVERGING, (-bound, bound), "%.1f")


def price(run: Run, instrument: str | None = None) -> Any:
    """Return the price of one instrument with its fills: triangles up for buys, down for sells.

    Up to 250 bars are drawn as candles, more as the close within its high-low range. Beyond 1,500
    points bars are joined, keeping highs and lows; beyond 1,500 fills those of one side are joined
    within each three hundredth of the time.

    Parameters
    ----------
    run
        Any run whose data can still be read.
    instrument
        Which; default the first.

    """
    hv = holoviews()
    prices = prices_of(run)
    name = instrument or next(iter(prices), None)
    if name is None or name not in prices or not len(prices[name]):
        return nothing("no prices")
    bars = thinned(prices[name])
    fills = run.fills()
    layers = [*_bars(bars), *fill_markers(fills[fills["instrument"] == name])]
    number = "0,0.00" if float(bars["close"].iloc[-1]) >= 10 else "0,0.0000"
    title = f"{name}: price and fills"
    return framed(hv.Overlay(layers), title, number=number, height=360, legend=len(layers) > 2)


def compare_equity(runs: Sequence[Run], labels: Sequence[str] | None = None) -> Any:
    """Return the equity of several runs, each as its change in percent since its start."""
    lines = {}
    for run, label in zip(runs, labels or [run.id for run in runs], strict=True):
        curves = by_currency(run)
        for currency, frame in curves.items():
            name = label if len(curves) == 1 else f"{label} {currency}"
            lines[name] = _change(frame)
    if not lines:
        return nothing("no equity was recorded")
    return _lines(lines, "Equity compared", "Change since the start (%)", "0,0.0")


def parameter_map(runs: Sequence[Run], x: str, y: str, statistic: str = "sharpe") -> Any:
    """Return a heat map of `statistic` over two parameters, one cell for each pair of values.

    Where several runs share a cell (over instruments, say) it shows their mean.
    """
    term = TERMS[statistic]
    scale, unit = (100.0, " (%)") if term.kind == "percent" else (1.0, "")
    cells: dict[tuple[Any, Any], list[float]] = {}
    for run in runs:
        value = run.statistics.get(statistic)
        if value is not None and x in run.params and y in run.params:
            cells.setdefault((run.params[x], run.params[y]), []).append(float(value) * scale)
    if not cells:
        return nothing(f"no run has {x}, {y} and {statistic}")
    rows = [(str(a), str(b), float(np.mean(cells[a, b]))) for a, b in _sorted(cells)]
    values = [row[2] for row in rows]
    label = f"{term.label}{unit}"
    signed = min(values) < 0 < max(values)
    bound = max(abs(value) for value in values)
    limits = (-bound, bound) if signed else (min(values), max(max(values), min(values) + 1e-9))
    title = f"{label} by {x.rpartition('.')[2]} and {y.rpartition('.')[2]}"
    colours = DIVERGING if signed else SEQUENTIAL
    largest = max(abs(value) for value in values)
    number = "%.0f" if largest >= 1_000 or term.kind == "count" else "%.2f"
    return _heat(rows, (x, y, label), title, colours, limits, number)


def overview(run: Run) -> Any:
    """Return equity, drawdown, price with fills and monthly returns, one below the other."""
    hv = holoviews()
    layout = hv.Layout([equity(run), drawdowns(run), price(run), monthly(run)]).cols(1)
    paper = {"sublabel_format": "", "fig_inches": (WIDTH_INCHES, 12), "vspace": 0.5}
    return drawn(layout, bokeh={"shared_axes": False}, matplotlib={"shared_axes": False} | paper)


def by_currency(run: Run) -> dict[str, pd.DataFrame]:
    """Return the equity samples of each currency, the traded one first."""
    frame = run.equity()
    found = {str(name): rows for name, rows in frame.groupby("currency", sort=False)}
    first = run.statistics.get("currency")
    return {name: found[name] for name in sorted(found, key=lambda name: name != first)}


def monthly_table(run: Run) -> tuple[str, dict[tuple[int, int], float]]:
    """Return the traded currency and the return of each (year, month) in it."""
    for currency, frame in by_currency(run).items():
        return currency, monthly_returns(daily_equity(frame["ts"], frame["equity"]))
    return "", {}


def prices_of(run: Run) -> dict[str, pd.DataFrame]:
    """Return the run's prices by instrument; none where its data is gone."""
    try:
        return run.prices()
    except WorkbenchError:
        return {}


def buy_and_hold(run: Run, prices: pd.DataFrame | None = None) -> tuple[Any, Any] | None:
    """Return times and equity of the starting equity put into the run's one instrument."""
    known = prices_of(run) if prices is None else {"": prices}
    start = run.statistics.get("start_equity")
    if len(known) != 1 or start is None or not len(*known.values()):
        return None
    (bars,) = (thinned(frame) for frame in known.values())
    return naive(bars.index), start * (bars["close"] / bars["open"].iloc[0]).to_numpy()


def benchmark_fits(run: Run, held: tuple[Any, Any] | None = None) -> bool:
    """Whether holding the instrument moved few enough times as much to share the chart.

    Parameters
    ----------
    run
        Any.
    held
        What `buy_and_hold` returned of it, if that is known.

    """
    held = held or buy_and_hold(run)
    moved = float(np.ptp(run.equity()["equity"]))
    return held is None or moved == 0 or float(np.ptp(held[1])) <= MAX_BENCHMARK * moved


def thinned(prices: pd.DataFrame, points: int = MAX_POINTS) -> pd.DataFrame:
    """Join bars (or prices of ticks) into at most `points` bars, keeping highs and lows."""
    import pandas as pd

    found = prices.dropna()
    if "bid_price" in found:
        found = found.assign(price=(found["bid_price"] + found["ask_price"]) / 2)
    if "price" in found:
        found = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), found["price"]))
    n = len(found)
    starts = np.unique(np.linspace(0, n, min(n, points), endpoint=False).astype(np.int64))
    ends = np.append(starts[1:], n) - 1
    columns = {
        "open": found["open"].to_numpy()[starts],
        "high": np.maximum.reduceat(found["high"].to_numpy(), starts),
        "low": np.minimum.reduceat(found["low"].to_numpy(), starts),
        "close": found["close"].to_numpy()[ends],
    }
    return pd.DataFrame(columns, index=found.index[ends])


def _bars(bars: pd.DataFrame) -> list[Any]:
    hv = holoviews()
    times = naive(bars.index)
    close = hv.Dimension("price", label="Price")
    if len(bars) > MAX_CANDLES:
        band = hv.Area((times, bars["low"], bars["high"]), "Time", [close, "high"])
        line = hv.Curve((times, bars["close"]), "Time", close)
        style = ({"color": INK, "line_width": 1}, {"color": INK, "linewidth": 0.8})
        return [shaded(band, BAND, 0.6, 0), drawn(line, bokeh=style[0], matplotlib=style[1])]
    rising = bars["close"] >= bars["open"]
    width = float(np.clip(600 / len(bars), 2, 16))
    return [
        _strokes(times, bars["low"], bars["high"], MUTED, 1),
        _strokes(times[rising], bars["open"][rising], bars["close"][rising], BAND, width),
        _strokes(times[~rising], bars["open"][~rising], bars["close"][~rising], INK, width),
    ]


def _strokes(times: Any, low: Any, high: Any, colour: str, width: float) -> Any:
    """Return upright strokes as one line with gaps: both backends draw that, and fast."""
    hv = holoviews()
    ends = np.column_stack([low, high, np.full(len(times), np.nan)]).ravel()
    curve = hv.Curve((np.repeat(times, 3), ends), "Time", hv.Dimension("price", label="Price"))
    return drawn(
        curve,
        bokeh={"color": colour, "line_width": width},
        matplotlib={"color": colour, "linewidth": width * 0.75},
    )


def fill_markers(fills: pd.DataFrame) -> list[Any]:
    """Return fills as triangles at their price: up for buys, down for sells."""
    hv = holoviews()
    layers = []
    for side, colour, shapes in (
        ("BUY", BLUE, ("triangle", "^")),
        ("SELL", ORANGE, ("inverted_triangle", "v")),
    ):
        own = fills[fills["side"] == side]
        if not len(own):
            continue
        columns = _joined(own) if len(fills) > MAX_POINTS else own
        points = hv.Scatter(
            (naive(columns["ts"]), columns["price"], columns["quantity"]),
            "Time", [hv.Dimension("price", label="Price"), "quantity"], label=side.capitalize(),
        )  # fmt: skip
        tips = [("", side), ("time", "@Time{%F %T}"), ("price", "@price{0,0.00[0000]}"),
                ("quantity", "@quantity{0,0.[000000]}")]  # fmt: skip
        size = 10 if len(columns) < 200 else 7
        layers.append(drawn(
            points,
            bokeh={"marker": shapes[0], "size": size, "color": colour, "line_color": PAPER,
                   "tools": [_hover(tips, "@Time")]},
            matplotlib={"marker": shapes[1], "s": size * 4, "color": colour, "edgecolor": PAPER,
                        "linewidth": 0.5},
        ))  # fmt: skip
    return layers


def _joined(fills: pd.DataFrame) -> pd.DataFrame:
    """Join fills of one side: in each of 300 stretches of time, their quantity and mean price."""
    import pandas as pd

    worth = fills.assign(worth=fills["price"] * fills["quantity"])
    stretch = pd.cut(fills["ts"], MAX_JOINED, labels=False)
    found = worth.groupby(stretch).agg({"ts": "first", "worth": "sum", "quantity": "sum"})
    return found.assign(price=found["worth"] / found["quantity"])


def _lines(
    lines: dict[str, tuple[Any, Any]],
    title: str,
    label: str,
    number: str,
    colours: Sequence[str] = SERIES,
) -> Any:
    hv = holoviews()
    curves = []
    for n, (name, columns) in enumerate(lines.items()):
        curve = hv.Curve(columns, "Time", hv.Dimension("value", label=label), label=name)
        tips = [("", name), ("time", "@Time{%F %T}"), (label, f"@value{{{number}.00}}")]
        colour, width = colours[n % len(colours)], 1.8 if n == 0 else 1.3
        curves.append(drawn(
            curve,
            bokeh={"color": colour, "line_width": width, "tools": [_hover(tips, "@Time")]},
            matplotlib={"color": colour, "linewidth": width * 0.8},
        ))  # fmt: skip
    return framed(hv.Overlay(curves), title, number=number, legend=len(curves) > 1)


def _heat(
    cells: list[tuple[str, str, float]],
    axes: tuple[str, str, str],
    title: str,
    colours: Sequence[str],
    limits: tuple[float, float],
    number: str,
) -> Any:
    """Return a heat map with its values written in; `axes` names across, down and value."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    hv = holoviews()
    across, down = (list(dict.fromkeys(cell[n] for cell in cells)) for n in (0, 1))
    # By position, with the names as ticks: the backends do not agree on axes of names.
    placed = [(across.index(a), down.index(b), value) for a, b, value in cells]
    ramp = LinearSegmentedColormap.from_list("workbench", list(colours))
    steps = [to_hex(ramp(i / 255)) for i in range(256)]
    ticks = {"xticks": list(enumerate(across)), "yticks": list(enumerate(down))}
    shades = {"cmap": steps, "clim": limits} | ticks
    heat = hv.HeatMap(placed, list(axes[:2]), hv.Dimension("value", label=axes[2]))
    layers = [drawn(heat, bokeh=shades, matplotlib=shades | {"show_values": False})]
    written: dict[str, list[tuple[int, int, str]]] = {INK: [], PAPER: []}
    for x, y, value in placed:
        if not np.isnan(value):
            share = (value - limits[0]) / (limits[1] - limits[0])
            deep = share > 0.8 or share < 0.2 if colours is DIVERGING else share > 0.55
            text = number % value
            text = text if float(text) else text.removeprefix("-")
            written[PAPER if deep else INK].append((x, y, text))
    for colour, texts in written.items():
        if texts:
            labels = hv.Labels(texts, list(axes[:2]), "text")
            screen = {"text_color": colour, "text_font_size": "11px"}
            layers.append(drawn(labels, bokeh=screen, matplotlib={"color": colour, "size": 8}))
    overlay = hv.Overlay(layers)
    return framed(overlay, title, height=max(150, 70 + 26 * len(down)), number=None, zoom=False)


def _hover(tips: list[tuple[str, str]], time: str) -> Any:
    from bokeh.models import HoverTool

    return HoverTool(tooltips=tips, formatters={time: "datetime"}, visible=False)


def _change(frame: pd.DataFrame) -> tuple[Any, Any]:
    values = frame["equity"].to_numpy()
    return naive(frame["ts"]), 100 * (values / values[0] - 1)


def _sorted(cells: dict[tuple[Any, Any], Any]) -> list[tuple[Any, Any]]:
    try:
        return sorted(cells)
    except TypeError:  # values of several types
        return sorted(cells, key=str)


def nothing(why: str) -> Any:
    """Return an empty chart that says why."""
    hv = holoviews()
    text = hv.Text(0.5, 0.5, why.capitalize())
    plain = {"xaxis": None, "yaxis": None}
    return drawn(text, bokeh={"color": MUTED, "height": 120, "responsive": True} | plain,
                 matplotlib={"color": MUTED, "fig_inches": 9, "aspect": 8} | plain)  # fmt: skip
