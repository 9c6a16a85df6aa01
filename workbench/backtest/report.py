"""The report of a run: one HTML page that needs nothing but itself, and the picture of it."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench.backtest import charts, glossary
from workbench.backtest.glossary import GROUPS, NONE, written
from workbench.core import page, style
from workbench.core.errors import WorkbenchError
from workbench.core.files import replacing, write_text

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.model import Run

TEMPLATES = Path(__file__).parent / "templates"
MAX_PRICE_CHARTS = 8
OFF_SCALE = "Buy and hold is off this scale: it moved several times as much."
TABLES = ("orders", "fills", "positions", "equity")


def report(run: Run, path: Path | None = None) -> Path:
    """Write the report of `run`, whatever became of it.

    Parameters
    ----------
    run
        A run of any status; what it lacks, the report leaves out and says so.
    path
        Default: ``report.html`` in the run's folder.

    Returns
    -------
    Path
        The page: no request leaves it, so it can be mailed or put on any server.

    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    path = path or run.folder / "report.html"
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["written"] = written
    template = environment.get_template("report.html.jinja")
    write_text(path, template.render(_content(_Once(run))))
    return path


def write_picture(run: Run, path: Path) -> Path:
    """Write the run's charts, one below the other, as a picture (PNG or SVG by the name)."""
    import matplotlib.pyplot as plt

    hv = style.holoviews()
    figure = hv.render(charts.overview(cast("Run", _Once(run))), backend="matplotlib")
    with replacing(path) as temporary:
        figure.savefig(
            temporary, format=path.suffix[1:] or "png", dpi=style.PIXELS_PER_INCH,
            bbox_inches="tight", facecolor=style.PAPER,
        )  # fmt: skip
    plt.close(figure)
    return path


class _Once:
    """A run whose tables are read once, and empty where there are none."""

    def __init__(self, run: Run) -> None:
        import pandas as pd

        self._run = run
        self.notes: list[str] = []
        self._tables: dict[str, pd.DataFrame] = {}
        for name in TABLES:
            try:
                self._tables[name] = getattr(run, name)()
            except WorkbenchError:
                columns = _EMPTY[name]
                self._tables[name] = pd.DataFrame({column: [] for column in columns})
        self._prices: dict[str, pd.DataFrame] = {}
        if run.status == "done" or len(self._tables["equity"]):
            try:
                self._prices = run.prices()
            except WorkbenchError as error:
                self.notes.append(f"the prices can no longer be read: {error}")

    def __getattr__(self, name: str) -> Any:
        if name in TABLES:
            return lambda: self._tables[name]
        return getattr(self._run, name)

    def prices(self) -> dict[str, pd.DataFrame]:
        return self._prices


_EMPTY = {
    "orders": ("status",),
    "fills": ("ts", "instrument", "side", "price", "quantity"),
    "positions": (
        "instrument", "side", "quantity", "avg_open", "avg_close", "realized_pnl", "currency",
        "realized_return", "commission", "ts_opened", "ts_closed", "duration_s",
    ),
    "equity": ("ts", "currency", "equity"),
}  # fmt: skip


def _content(run: Any) -> dict[str, Any]:
    """Return what the template shows."""
    from importlib.metadata import version

    positions, statistics = run.positions(), run.statistics
    scripts, boxes = _figures(run)
    return {
        "run": run,
        "version": version("nt-workbench"),
        "style_sheet": (TEMPLATES / "report.css").read_text(),
        "script": page.night_script() + (TEMPLATES / "report.js").read_text(),
        "bokeh": page.bokeh_script() if boxes else "",
        "figures": scripts,
        "boxes": boxes,
        "dark": style.DARK,
        "facts": _facts(run),
        "warnings": [*run.warnings, *run.notes],
        "headlines": _headlines(run) if statistics.get("start_equity") is not None else [],
        "months": _months(run),
        "groups": GROUPS,
        "columns": [statistics, *statistics.get("others", {}).values()] if statistics else [],
        "by_instrument": _by_instrument(positions),
        "balances": _balances(run),
        "trades": _trades(positions),
        "provenance": _provenance(run),
        "command": _command(run),
        "yaml": _yaml(run.study),
        "duration": glossary.duration,
    }


def _facts(run: Any) -> dict[str, str]:
    equity = run.equity()
    facts = {"Strategy": str(run.study.get("strategy", {}).get("path", NONE))}
    instruments = [str(data.get("instrument")) for data in run.study.get("data", [])]
    if instruments:
        label = "Instrument" if len(set(instruments)) == 1 else "Instruments"
        facts[label] = ", ".join(dict.fromkeys(instruments))
    if len(equity):
        facts["Period"] = f"{equity['ts'].min():%d %b %Y} \N{EN DASH} {equity['ts'].max():%d %b %Y}"
    params = run.study.get("strategy", {}).get("params", {}) | run.params
    if params:
        facts["Parameters"] = ", ".join(f"{name} = {value}" for name, value in params.items())
    return facts


def _headlines(run: Any) -> list[dict[str, Any]]:
    """Return the figures of the first row: label, value, what stands below, and direction."""
    found, currency = run.statistics, run.statistics["currency"]

    def tile(name: str, below: str, *, signed: bool = False, unit: str = "") -> dict[str, Any]:
        term, value = glossary.TERMS[name], found.get(name)
        text = written(value, term.kind, sign=signed)
        tone = "" if not signed or not value else "gain" if value > 0 else "loss"
        return {"label": term.label, "meaning": term.meaning, "value": text, "unit": unit,
                "below": below, "tone": tone}  # fmt: skip

    traded = found["trades"] > 0
    held = charts.buy_and_hold(run)
    growth = None if held is None else float(held[1][-1] / found["start_equity"] - 1)
    benchmark = f"buy and hold {written(growth, 'percent', sign=True)}" if held else "over the run"
    return [
        tile("net_profit", f"on {written(found['start_equity'], 'money')}", signed=True,
             unit=currency),
        tile("total_return", benchmark, signed=True),
        tile("cagr", "a year, compound", signed=True),
        tile("sharpe", f"Sortino {written(found['sortino'], 'ratio')}"),
        tile("max_drawdown", f"longest {written(found['max_drawdown_days'], 'days')}"),
        tile("volatility", f"annualised over {found['periods_per_year']:g} days"),
        tile("trades", f"{written(found['win_rate'], 'percent')} won" if traded else "none closed"),
        tile("profit_factor", f"{written(found['expectancy'], 'money', sign=True)} a trade"
             if traded else "no trade to judge"),
    ]  # fmt: skip


def _months(run: Any) -> dict[str, Any] | None:
    currency, found = charts.monthly_table(run)
    if not found:
        return None
    bound = max(0.01, *map(abs, found.values()))
    rows = []
    for year in range(max(year for year, _ in found), min(year for year, _ in found) - 1, -1):
        cells, whole = [], 1.0
        for month in range(1, 13):
            value = found.get((year, month))
            whole *= 1 + (value or 0)
            share = 0 if value is None else round(abs(value) / bound, 3)
            cells.append({"value": value, "share": share})
        rows.append({"year": year, "cells": cells, "whole": whole - 1})
    return {"currency": currency, "names": charts.MONTHS, "rows": rows}


def _balances(run: Any) -> list[tuple[str, str, str]]:
    """Return currency, profit and final balance, where there are several currencies."""
    names = sorted(run.balances) if len(run.balances) > 1 else []
    return [
        (name, f"{Decimal(run.pnl.get(name, '0')):,}", f"{Decimal(run.balances[name]):,}")
        for name in names
    ]


def _by_instrument(positions: pd.DataFrame) -> list[dict[str, Any]]:
    """Return trades, result and share won for each instrument, where there are several."""
    if positions["instrument"].nunique() < 2:
        return []
    rows = []
    for (name, currency), own in positions.groupby(["instrument", "currency"]):
        done = own[own["ts_closed"].notna()]
        won = float((done["realized_pnl"] > 0).mean()) if len(done) else None
        rows.append({
            "instrument": name, "currency": currency, "trades": len(done),
            "open": len(own) - len(done), "pnl": float(own["realized_pnl"].sum()), "win_rate": won,
            "commission": float(own["commission"].sum()),
        })  # fmt: skip
    return rows


def _trades(positions: pd.DataFrame) -> dict[str, Any]:
    """Return the round trips by column, as the page's script reads them."""
    import pandas as pd

    def column(name: str) -> list[Any]:
        values = positions[name]
        if name.startswith("ts_"):
            times = pd.to_datetime(values, utc=True)
            return [None if pd.isna(t) else f"{t:%Y-%m-%d %H:%M:%S}" for t in times]
        return [None if pd.isna(value) else value for value in values.tolist()]

    names = ("ts_opened", "ts_closed", "instrument", "side", "quantity", "avg_open", "avg_close",
             "realized_pnl", "currency", "realized_return", "duration_s", "commission")  # fmt: skip
    return {"count": len(positions), "columns": {name: column(name) for name in names}}


def _figures(run: Any) -> tuple[str, list[dict[str, str]]]:
    """Return the script that draws the charts, and a box for each: title and markup."""
    if not len(run.equity()):
        return "", []
    drawings = {"Equity": charts.equity(run), "Drawdown": charts.drawdowns(run)}
    fills = run.fills()["instrument"].value_counts()
    ranked = sorted(run.prices(), key=lambda name: -int(fills.get(name, 0)))
    for name in ranked[:MAX_PRICE_CHARTS]:
        drawings[f"{name}: price and fills"] = charts.price(run, name)
    if len(ranked) > MAX_PRICE_CHARTS:
        left = ", ".join(ranked[MAX_PRICE_CHARTS:])
        run.notes.append(f"prices are drawn for the {MAX_PRICE_CHARTS} most traded; not for {left}")
    hv = style.holoviews()
    figures = [hv.render(chart, backend="bokeh") for chart in drawings.values()]
    for figure in figures:
        figure.title = None
        figure.x_range = figures[0].x_range  # they zoom together
        figure.sizing_mode = "stretch_width"
    script, boxes = page.embedded(figures)
    notes = {"Equity": "" if charts.benchmark_fits(run) else OFF_SCALE}
    return script, [
        {"title": title, "markup": box, "note": notes.get(title, "")}
        for title, box in zip(drawings, boxes, strict=True)
    ]


def _provenance(run: Any) -> dict[str, str]:
    rows = {"Run": run.id, "Status": run.status}
    times = {"Created": run.created, "Started": run.started, "Finished": run.finished}
    rows |= {
        name: str(time).replace("T", " ")[:19] + " UTC" for name, time in times.items() if time
    }
    if run.seconds is not None:
        rows["Duration"] = glossary.duration(run.seconds)
    if run.peak_memory_mb is not None:
        rows["Peak memory"] = f"{run.peak_memory_mb:,.0f} MiB"
    rows["Orders and fills"] = f"{run.n_orders or 0:,} and {run.n_fills or 0:,}"
    for name, value in run.digests.items():
        if name == "engine":
            rows["Engine"] = f"NautilusTrader {str(value).removeprefix('nautilus_trader ')}"
        elif isinstance(value, dict):
            rows |= {f"Digest of {name} {key}": _plain(one) for key, one in value.items()}
        else:
            rows[f"Digest of {name}"] = str(value)
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    return str(value)


def _command(run: Any) -> str:
    """Return the command that repeats the run."""
    import shlex

    stored = run.folder / "study.json"
    project = getattr(run, "project", None)
    if not stored.is_file():
        return shlex.join(["workbench", "backtest", "run", f"{run.name}.yaml"])
    name = project.relative(stored) if project else str(stored)
    return shlex.join(["workbench", "backtest", "run", name])


def _yaml(study: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    def given(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: given(one) for key, one in value.items() if one is not None}
        return [given(one) for one in value] if isinstance(value, list | tuple) else value

    yaml, text = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(given(study), text)
    return text.getvalue()
