"""Pictures of data of any size: only what is visible is drawn, and drawn anew when that changes.

A picture is defined once, as HoloViews elements. In a live page (the dashboard, a notebook after
``pn.extension()``) it follows panning and zooming (`workbench.data.live`); anywhere else it is the
view of everything, which its title says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from workbench.core import page, style
from workbench.core.errors import InputError
from workbench.core.files import replacing, write_text
from workbench.data.intervals import Interval

SUFFIXES = (".html", ".png", ".svg")

STILL = "Everything at once: in a notebook or the dashboard it can be zoomed into, row by row."


@dataclass(frozen=True, slots=True)
class View:
    """What a picture shows of a span of time.

    Attributes
    ----------
    span
        The visible time.
    title
        What is seen, and how coarsely.
    layers
        For each layer its columns: arrays of one length, times as datetime64.
    heights
        Bounds of the y axis of each chart; None to leave them as they are.
    paper
        Whether times are days instead, as Matplotlib counts them: the only form in which its
        rectangles take them.

    """

    span: Interval
    title: str
    layers: dict[str, dict[str, Any]]
    heights: Sequence[tuple[float, float] | None]
    paper: bool = False

    @property
    def limits(self) -> tuple[Any, Any]:
        """Bounds of the axis of time."""
        first, last = style.naive(self.span)
        return (_days(first), _days(last)) if self.paper else (first, last)

    def on_paper(self) -> View:
        """Return the view as Matplotlib takes it."""
        layers = {
            name: {
                column: _days(values) if values.dtype.kind == "M" else values
                for column, values in columns.items()
            }
            for name, columns in self.layers.items()
        }
        return replace(self, layers=layers, paper=True)


def _days(times: Any) -> Any:
    import numpy as np

    return times.astype(np.int64) / 86_400e9


class Picture(ABC):
    """Charts, one below the other along one axis of time."""

    name: str
    """Of what."""

    least: int
    """Nanoseconds of time that are always visible."""

    @property
    @abstractmethod
    def span(self) -> Interval:
        """All there is to see."""

    @abstractmethod
    def look(self, span: Interval | None = None) -> View:
        """Return what is seen of `span`, default everything. May read files; any thread may call.

        Raises
        ------
        DataError
            If a file cannot be read; it is named.

        """

    def is_at_once(self, span: Interval) -> bool:  # noqa: ARG002
        """Whether `look` has no file to read for `span`."""
        return True

    @abstractmethod
    def charts(self, view: View) -> list[Any]:
        """Return a framed HoloViews overlay for each chart, its layers made by `layer`."""

    def element(self, span: Interval | None = None) -> Any:
        """Return the view of `span`, default everything, as a HoloViews layout.

        It is for the backend in use, which ``hv.extension`` chooses.
        """
        hv = style.holoviews()
        paper = hv.Store.current_backend == "matplotlib"
        return self._layout(self.look(span), paper=paper)

    def _layout(self, view: View, *, paper: bool) -> Any:
        charts = self.charts(view.on_paper() if paper else view)
        layout = style.holoviews().Layout(charts).cols(1)
        options = {"sublabel_format": "", "vspace": 0.3, "aspect_weight": 1,
                   "fig_inches": (style.WIDTH_INCHES, None)}  # fmt: skip
        shared = {"shared_axes": False}
        return style.drawn(layout, bokeh=shared, matplotlib=shared | options)

    def draw(self, *, dark: bool = False) -> Drawn:
        """Return the view of everything as Bokeh figures."""
        return Drawn(self, self.look(), dark=dark)

    def save(self, path: Path | str) -> Path:
        """Write the view of everything to a file, whole or not at all.

        Parameters
        ----------
        path
            ``.html`` is a page that needs nothing but itself, ``.png`` and ``.svg`` are images.

        Raises
        ------
        InputError
            If the name ends in anything else.

        """
        path = Path(path)
        check_name(path)
        if path.suffix.lower() == ".html":
            write_text(path, self._page())
        else:
            with replacing(path) as temporary:
                temporary.write_bytes(self._image(path.suffix[1:].lower()))
        return path

    def _image(self, kind: str) -> bytes:
        import io

        import matplotlib.pyplot as plt

        layout = self._layout(self.look(), paper=True)
        figure = style.holoviews().render(layout, backend="matplotlib")
        sink = io.BytesIO()
        figure.savefig(sink, format=kind, dpi=style.PIXELS_PER_INCH, bbox_inches="tight",
                       facecolor=style.PAPER)  # fmt: skip
        plt.close(figure)
        return sink.getvalue()

    def _page(self) -> str:
        import json

        script, boxes = page.embedded(self.draw().figures)
        charts = "".join(f'<div class="chart">{box}</div>' for box in boxes)
        return _PAGE.format(
            name=escape(self.name[0].upper() + self.name[1:]),
            note=STILL,
            charts=charts,
            bokeh=page.bokeh_script(),
            script=script,
            dark=json.dumps(style.DARK),
            night=page.night_script(),
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """Show it in a notebook: alive where Panel is loaded, else as an image."""
        if _panel_is_loaded():
            import panel as pn

            from workbench.data.live import LivePicture

            alive: Any = LivePicture(self, dark=pn.config.theme == "dark")
            return alive._repr_mimebundle_(include, exclude)
        return {"image/png": self._image("png"), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.name}>"


def check_name(path: Path) -> None:
    """Refuse the name of a file that `Picture.save` would not write.

    Raises
    ------
    InputError
        If it does not end as one of a page or an image does.

    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a picture is saved as {', '.join(SUFFIXES)}")


def _panel_is_loaded() -> bool:
    """Whether ``pn.extension()`` or ``hv.extension("bokeh")`` has been called in a notebook."""
    import sys

    panel, holoviews = sys.modules.get("panel"), sys.modules.get("holoviews")
    if panel is None or not panel.extension._loaded:
        return False
    return holoviews is None or holoviews.Store.current_backend in ("bokeh", None)


class Drawn:
    """A picture as Bokeh figures that can be given another view.

    Attributes
    ----------
    figures
        One below the other; they share their axis of time.

    """

    def __init__(self, picture: Picture, view: View, *, dark: bool) -> None:
        render = style.holoviews().render
        self.figures = [render(chart, backend="bokeh") for chart in picture.charts(view)]
        for figure in self.figures:
            figure.x_range = self.figures[0].x_range
            _with_tools(figure)
            _with_legend_above(figure)
            # Say at once where the wheel has gone, and leave nothing out meanwhile.
            # Thousands of shapes are drawn faster without WebGL, whose image has to be copied.
            figure.update(lod_timeout=0, lod_threshold=None, output_backend="canvas")
            if figure is not self.figures[0]:
                figure.toolbar_location = None
            if dark:
                style.at_night(figure)
        self.figures[0].x_range.min_interval = picture.least / 1e6
        self._sources = {
            renderer.name: renderer.data_source
            for figure in self.figures
            for renderer in figure.renderers
        }
        self.show(view)  # HoloViews leaves out the columns that only tooltips need

    def show(self, view: View) -> None:
        """Put another view in the figures; the visible time stays as it is."""
        for figure in self.figures:
            figure.hold_render = True  # one painting, not one for each layer
        for name, columns in view.layers.items():
            if name in self._sources:
                self._sources[name].data = columns
        for legend in (legend for figure in self.figures for legend in figure.legend):
            for item in legend.items:
                columns = item.renderers[0].data_source.data
                item.visible = len(next(iter(columns.values()))) > 0
        for figure, height in zip(self.figures, view.heights, strict=True):
            if height:
                figure.y_range.update(start=height[0], end=height[1])
        self.say(view.title)
        for figure in self.figures:
            figure.hold_render = False

    def say(self, title: str) -> None:
        """Write above the charts."""
        self.figures[0].title.text = title


def _with_tools(figure: Any) -> None:
    """Let Ctrl and the wheel zoom (the wheel alone scrolls the page), and a box drawn in time."""
    from bokeh.models import BoxZoomTool, WheelZoomTool

    for tool in figure.toolbar.tools:
        if isinstance(tool, WheelZoomTool):
            tool.modifiers = {"ctrl": True}
            figure.toolbar.active_scroll = tool
    figure.add_tools(BoxZoomTool(dimensions="width"))
    figure.toolbar_inner = False  # it would lie on what is drawn


def _with_legend_above(figure: Any) -> None:
    for legend in figure.legend:
        legend.update(
            margin=4, padding=0, spacing=20, label_standoff=7, glyph_height=14, label_height=14,
            glyph_width=22, background_fill_alpha=0,
        )  # fmt: skip


def layer(
    name: str,
    element: Any,
    *,
    bokeh: dict[str, Any],
    matplotlib: dict[str, Any],
    hatch: str | None = None,
) -> Any:
    """Return one layer of a chart, drawn from the columns of that name.

    Parameters
    ----------
    name
        As in `View.layers`; the element's dimensions are called as its columns.
    element
        Rectangles, segments, a curve or points.
    bokeh, matplotlib
        Options of each backend.
    hatch
        Bokeh's name of a pattern, drawn in the layer's line colour.

    """

    def known(plot: Any, _: Any) -> None:
        plot.handles["glyph_renderer"].name = name
        if hatch:
            glyph = plot.handles["glyph"]
            glyph.update(hatch_pattern=hatch, hatch_color=bokeh["line_color"], hatch_scale=7)

    screen = bokeh | {"hooks": [known], "default_tools": []}
    return style.drawn(element, bokeh=screen, matplotlib=matplotlib)


def fitted(chart: Any, view: View, at: int, **options: Any) -> Any:
    """Return an overlay whose axes are those of chart number `at` of a view."""
    limits: dict[str, Any] = {"xlim": view.limits, "xlabel": ""}
    if at < len(view.heights) - 1:
        limits["xaxis"] = None  # the lowest chart has it
    if view.heights[at]:
        limits["ylim"] = view.heights[at]
    return style.drawn(chart, bokeh=limits | options, matplotlib=limits | options)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{name}</title>
<style>
:root {{ --page: #f4f6f8; --paper: #ffffff; --ink: #1b2733; --muted: #586572; --rule: #e4e8ec; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #0d1217; --paper: #141b22; --ink: #e6ebf0; --muted: #9aa7b4; --rule: #27313b; }}
}}
body {{ margin: 0; padding: 24px; background: var(--page); color: var(--ink);
  font: 15px/1.5 Inter, system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }}
main {{ max-width: 1600px; margin: 0 auto; padding: 16px 20px; background: var(--paper);
  border: 1px solid var(--rule); border-radius: 10px; }}
.bk-Tooltip {{ --background-color: var(--paper); --color: var(--ink); --divider-color: var(--rule);
  --tooltip-arrow-color: var(--rule); border-radius: 6px; }}
p {{ margin: 12px 0 0; color: var(--muted); font-size: 14px; }}
</style>
</head>
<body>
<main>{charts}<p>{note} Times are in UTC.</p></main>
<script>{bokeh}</script>
<script>{script}</script>
<script type="application/json" id="dark-colours">{dark}</script>
<script>{night}</script>
</body>
</html>
"""
