"""Charts of a sweep: a statistic over one of its parameters, or over two."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from workbench.backtest.charts import parameter_map
from workbench.backtest.glossary import TERMS
from workbench.backtest.insight import short, valued, varied
from workbench.backtest.sweep import SweepResult
from workbench.core.style import BLUE, PAPER, drawn, framed, holoviews

_SCALE = {"percent": 100.0}


def over(result: SweepResult, statistic: str, x: str, y: str | None = None) -> Any:
    """Return a statistic over a sweep's parameters: a heat map, or a line where there is one.

    Where several points share a place, for they differ in other parameters, it shows their mean.

    Parameters
    ----------
    result
        A sweep, finished or not.
    statistic
        A name of ``run.statistics``.
    x, y
        Parameters across and down; without `y` a line.

    """
    runs = [run for run in result.runs if run.status == "done"]
    return parameter_map(runs, x, y, statistic) if y else _line(result, statistic, x)


def _line(result: SweepResult, statistic: str, x: str) -> Any:
    hv, term, found = holoviews(), TERMS[statistic], valued(result, statistic)
    groups: dict[str, list[float]] = {str(value): [] for value in varied(result).get(x, [])}
    for run in result.runs:
        if run.id in found and str(run.params.get(x)) in groups:
            groups[str(run.params[x])].append(found[run.id] * _SCALE.get(term.kind, 1.0))
    names = [name for name, values in groups.items() if values]
    heights = [fmean(groups[name]) for name in names]
    unit = " (%)" if term.kind == "percent" else ""
    label = hv.Dimension("value", label=f"{term.label}{unit}")
    axis = hv.Dimension("place", label=short(x))
    ticks = {"xticks": list(enumerate(names))}
    places = list(range(len(names)))
    line = hv.Curve((places, heights), axis, label)
    dots = hv.Scatter((places, heights), axis, label)
    layers = [
        drawn(line, bokeh={"color": BLUE, "line_width": 1.8} | ticks,
              matplotlib={"color": BLUE, "linewidth": 1.4} | ticks),
        drawn(dots, bokeh={"color": BLUE, "size": 9, "line_color": PAPER},
              matplotlib={"color": BLUE, "s": 40, "edgecolor": PAPER}),
    ]  # fmt: skip
    title = f"{term.label}{unit} by {short(x)}"
    return framed(hv.Overlay(layers), title, number="0,0.00", height=280, zoom=False, dated=False)
