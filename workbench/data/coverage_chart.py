"""The picture of the cache: a row for each dataset, its spans, gaps, faults and what is missing.

Colour never tells alone: what is covered is solid, a gap hatched, what a study misses an empty
frame, a broken file crossed out. What is too narrow to be seen at the present zoom is joined with
its neighbours; gaps of that kind hang below their row as ticks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    RULE,
    drawn,
    framed,
    holoviews,
    naive,
)
from workbench.data.candles import duration
from workbench.data.coverage import Coverage, Covered
from workbench.data.gaps import bar_step
from workbench.data.intervals import BEGINNING, END, Interval
from workbench.data.picture import Picture, View, fitted, layer

_BAR = (-0.3, 0.3)  # of a row's height, from its middle
_TICK = (-0.47, -0.36)
_CELLS = 24_000  # in the whole picture: what is narrower than a cell is joined
_MOST_CELLS = 700  # in one row
_BROKEN_CELLS = 6  # a broken file is at least so wide: it must not be overlooked
_DENSE = 0.5  # of a cell: more than that missing is drawn as a gap, less as a tick
_LETTERS = 48  # of a row's label
_TWO_AXES = 25  # with more rows time is written above them as well
_YEAR = 365 * 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class _Look:
    label: str
    fill: str
    line: str
    y: tuple[float, float] = _BAR
    dash: str = "solid"
    hatch: str | None = None
    paper: str | None = None


_LOOKS = {
    "covered": _Look("Covered", BLUE, BLUE),
    "missing": _Look("Missing", PAPER, INK, dash="dashed"),
    "gaps": _Look("Gap", PAPER, ORANGE, hatch="right_diagonal_line", paper="////////"),
    "ticks": _Look("Short gaps", ORANGE, ORANGE, y=_TICK),
    "broken": _Look("Broken file", PAPER, INK, hatch="diagonal_cross", paper="xxxxxx"),
}
_COLUMNS = ("left", "bottom", "right", "top", "dataset", "provider", "what", "first", "last")


@dataclass(frozen=True, slots=True)
class _Spans:
    """Spans of one row and layer: int64 starts and ends, how much each counts, and what it is."""

    starts: Any
    ends: Any
    weights: Any
    words: Sequence[str]


class CoverageMap(Picture):
    """What a project's catalog covers, in time.

    Parameters
    ----------
    coverage
        The datasets, their gaps and faults.

    Attributes
    ----------
    extent
        The first and last moment there is anything to show of.

    """

    name = "the catalog"
    least = 10**9

    def __init__(self, coverage: Coverage) -> None:
        self.coverage = coverage
        self.extent = _extent(coverage.datasets)
        self._rows = [_spans(each, self.extent) for each in coverage.datasets]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers behind it, as ``workbench data coverage --json`` prints them."""
        return self.coverage.to_dict()

    def at(self, height: float) -> Covered | None:
        """Return the dataset whose row is at this place of the y axis."""
        number = len(self.coverage.datasets) - 1 - round(height)
        inside = 0 <= number < len(self.coverage.datasets)
        return self.coverage.datasets[number] if inside else None

    @property
    def span(self) -> Interval:
        """From the first covered or missing moment to the last, with a little room."""
        first, last = self.extent
        room = max((last - first) // 60, self.least)
        return first - room, last + room

    def look(self, span: Interval | None = None) -> View:
        """Return what is seen of `span`, default everything."""
        span = span or self.span
        count = len(self._rows)
        cells = min(_MOST_CELLS, _CELLS // max(count, 1))
        parts: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _LOOKS}
        for number, (dataset, row) in enumerate(
            zip(self.coverage.datasets, self._rows, strict=True)
        ):
            for kind, spans in row.items():
                for name, found in _joined(kind, spans, span, cells).items():
                    y = count - 1 - number
                    parts[name].append((y, dataset.name, dataset.provider or "unknown", *found))
        layers = {name: _columns(_LOOKS[name], rows) for name, rows in parts.items()}
        return View(span, self._title(), layers, [(-0.6, max(count, 1) - 0.4)])

    def _title(self) -> str:
        found = self.coverage.datasets
        rows = sum(each.rows for each in found)
        return f"{len(found):,} dataset{'s' * (len(found) != 1)}, {rows:,} rows"

    def charts(self, view: View) -> list[Any]:
        """Return the one chart."""
        count = len(self._rows)
        if not count:
            return [_nothing()]
        hv = holoviews()
        layers = []
        for name, look in _LOOKS.items():
            if not any(_kind(name) in row for row in self._rows):
                continue
            columns = view.layers[name]
            box = hv.Rectangles(
                tuple(columns.values()), list(_COLUMNS[:4]), list(_COLUMNS[4:]), label=look.label
            )
            layers.append(layer(
                name, box, hatch=look.hatch,
                bokeh={"fill_color": look.fill, "line_color": look.line, "line_dash": look.dash,
                       "line_width": 1},
                matplotlib={"facecolor": look.fill, "edgecolor": look.line, "hatch": look.paper,
                            "linestyle": look.dash, "linewidth": 0.8},
            ))  # fmt: skip
        ticks = [(count - 1 - n, _label(each)) for n, each in enumerate(self.coverage.datasets)]
        chart = fitted(hv.Overlay(layers), view, 0, ylabel="", yticks=ticks)
        height = 110 + count * next(px for most, px in _ROW_PIXELS if count <= most)
        chart = framed(
            chart, view.title, number=None, height=height, legend=True, dated=True,
            finish={"bokeh": _rows_on_screen, "matplotlib": _rows_on_paper},
        )  # fmt: skip
        return [drawn(chart, bokeh={"legend_position": "top"}, matplotlib={})]


_ROW_PIXELS = ((6, 36), (20, 26), (60, 20), (10**9, 15))
_TIPS = [("dataset", "@dataset"), ("", "@what"), ("from", "@first{%F %T}"),
         ("to", "@last{%F %T}"), ("provider", "@provider")]  # fmt: skip


def _rows_on_screen(figure: Any) -> None:
    from bokeh.models import HoverTool

    figure.ygrid.update(visible=True, grid_line_color=RULE, ticker=figure.yaxis[0].ticker)
    figure.xgrid.visible = False
    # A gap or a broken file lies on what is covered: each has its own say.
    for above in (True, False):
        figure.add_tools(HoverTool(
            renderers=[each for each in figure.renderers if (each.name == "covered") is above],
            tooltips=_TIPS, formatters={"@first": "datetime", "@last": "datetime"},
            attachment="above" if above else "below", visible=False,
        ))  # fmt: skip
    if len(figure.yaxis[0].ticker.ticks) > _TWO_AXES:
        axis = figure.xaxis[0]
        figure.add_layout(axis.clone(), "above")


def _rows_on_paper(axes: Any) -> None:
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.8)
    box = axes.get_legend()
    labels = [text.get_text() for text in box.get_texts()]
    axes.legend(
        box.legend_handles, labels, loc="lower right", bbox_to_anchor=(1, 1), ncol=len(labels),
        frameon=False, fontsize=9, labelcolor=INK, handlelength=1.6, columnspacing=1.5,
    )  # fmt: skip


def _kind(layer_name: str) -> str:
    """Return which spans a layer shows: narrow gaps have one of their own."""
    return "gaps" if layer_name == "ticks" else layer_name


def _label(each: Covered) -> str:
    text = f"{each.name} \N{MIDDLE DOT} {each.provider or 'unknown'}"
    half = _LETTERS // 2
    return text if len(text) <= _LETTERS else f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"


def _extent(datasets: Sequence[Covered]) -> Interval:
    """Return the first and last moment there is anything to show of."""
    spans = [span for each in datasets for span in (*each.spans, *each.missing)]
    spans += [file.interval for each in datasets for file in each.broken if file.interval[1]]
    open_end = any(end == END for _, end in spans)
    starts = [start for start, _ in spans if start != BEGINNING]
    ends = [end for _, end in spans if end != END] + ([time.time_ns()] if open_end else [])
    first, last = min(starts, default=None), max(ends, default=None)
    last = last or (first or time.time_ns()) + _YEAR
    first = last - _YEAR if first is None else first
    return first, max(last, first + 60 * 10**9)


def _spans(each: Covered, whole: Interval) -> dict[str, _Spans]:
    """Return what a row shows, by kind."""
    found: dict[str, tuple[list[Interval], Sequence[float], Sequence[str]]] = {}
    if each.files:
        rows = [file.rows for file in each.files]
        names = [file.path.name for file in each.files]
        found["covered"] = [file.interval for file in each.files], rows, names
    if len(each.gaps):
        # The time of a bar is its close: it is there from a step before.
        step = bar_step(each.kind, each.identity) or 0
        gaps = [(start, max(end - step, start)) for start, end in each.gaps.tolist()]
        found["gaps"] = gaps, [end - start for start, end in gaps], [""] * len(gaps)
    if each.missing:
        missing = [(max(start, whole[0]), min(end, whole[1])) for start, end in each.missing]
        found["missing"] = missing, [1] * len(missing), ["wanted by the study"] * len(missing)
    if each.broken:
        spans = [
            file.interval if file.interval[1] else (each.start or whole[0],) * 2
            for file in each.broken
        ]
        words = [f"{file.path.name} {file.broken}" for file in each.broken]
        found["broken"] = spans, [1] * len(spans), words
    return {
        kind: _Spans(
            np.array([start for start, _ in spans], np.int64),
            np.array([end for _, end in spans], np.int64),
            np.array(weights, float),
            words,
        )
        for kind, (spans, weights, words) in found.items()
    }


def _joined(
    kind: str, spans: _Spans, visible: Interval, cells: int
) -> dict[str, tuple[Any, Any, Any, list[str]]]:
    """Return by layer starts, ends, widened ends and words of what is visible."""
    inside = np.flatnonzero((spans.ends >= visible[0]) & (spans.starts <= visible[1]))
    if not len(inside):
        return {}
    starts, ends = spans.starts[inside], spans.ends[inside]
    cell = max((visible[1] - visible[0]) // cells, 1)
    narrow = ends - starts < 2 * cell
    # Narrow spans of one cell have the same number, wide ones a number each.
    numbers = np.where(narrow, (starts - visible[0]) // cell, -1 - np.arange(len(starts)))
    if kind == "broken":
        numbers = np.arange(len(starts))
    first = np.append(0, np.flatnonzero(np.diff(numbers)) + 1)
    counts = np.diff(np.append(first, len(starts)))
    weights = np.add.reduceat(spans.weights[inside], first)
    starts, ends = starts[first], np.maximum.reduceat(ends, first)
    words = [
        _words(kind, int(count), float(weight), spans.words[inside[at]])
        for count, weight, at in zip(counts, weights, first, strict=True)
    ]
    least = (_BROKEN_CELLS if kind == "broken" else 1) * cell
    dense = ~narrow[first] | (weights > _DENSE * cell)
    layers = {"gaps": dense, "ticks": ~dense} if kind == "gaps" else {kind: dense | True}
    return {
        name: (
            starts[own],
            ends[own],
            np.maximum(ends[own], starts[own] + least),
            [text for text, mine in zip(words, own, strict=True) if mine],
        )
        for name, own in layers.items()
    }


def _words(kind: str, count: int, weight: float, text: str) -> str:
    """Say what one box stands for."""
    if kind == "covered":
        rows = f"{weight:,.0f} row{'s' * (weight != 1)}"
        return f"{rows} in {text if count == 1 else f'{count:,} files'}"
    if kind == "gaps":
        length = duration(int(weight))
        return f"a gap of {length}" if count == 1 else f"{count:,} gaps, {length} in all"
    return text if count == 1 else f"{count:,} times {text}"


def _columns(look: _Look, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Return one layer's columns of all rows together.

    Each row: its place, dataset and provider, then what `_joined` gives.
    """
    counts = [len(row[3]) for row in rows]

    def each(at: int, kind: Any) -> Any:
        values = np.empty(len(rows), kind)
        values[:] = [row[at] for row in rows]
        return np.repeat(values, counts)

    def moments(at: int) -> Any:
        return naive(np.concatenate([np.empty(0, np.int64), *(row[at] for row in rows)]))

    middle = each(0, float)
    what = np.array([text for row in rows for text in row[6]], object)
    left, right = moments(3), moments(5)
    values = (left, middle + look.y[0], right, middle + look.y[1], each(1, object),
              each(2, object), what, left, moments(4))  # fmt: skip
    return dict(zip(_COLUMNS, values, strict=True))


def _nothing() -> Any:
    """Return an empty chart that says what to do."""
    text = holoviews().Text(0.5, 0.5, "The catalog is empty: workbench data fetch STUDY")
    plain = {"xaxis": None, "yaxis": None}
    return drawn(text, bokeh={"color": MUTED, "height": 120, "responsive": True} | plain,
                 matplotlib={"color": MUTED, "fig_inches": 9, "aspect": 8} | plain)  # fmt: skip
