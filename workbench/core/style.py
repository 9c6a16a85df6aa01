"""How charts look: one palette and one set of axes for Bokeh and for Matplotlib.

The palette is Okabe and Ito's, which people with any colour vision tell apart; direction is also
shown by shape or sign. `DARK` holds what the report's page puts in each colour's place at night.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

BLUE, ORANGE, GREEN, PINK, SKY, YELLOW = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00",
)  # fmt: skip
INK, MUTED, BAND, RULE, PAPER = "#1b2733", "#64707d", "#aab6c2", "#e4e8ec", "#ffffff"
SERIES = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, MUTED, INK)
DIVERGING = (ORANGE, "#f2b489", "#f6f6f4", "#8fc1df", BLUE)
NIGHT_DIVERGING = ("#ff9245", "#8a5230", "#1c252e", "#28597b", "#4fb0ea")
SEQUENTIAL = ("#eff5f9", "#bcd9ea", "#6badd3", "#1f7fb8", "#08466f")
NIGHT_SEQUENTIAL = ("#18212a", "#1d3d56", "#256590", "#3a92cb", "#86cbf6")
DARK = {
    BLUE: "#4fb0ea", ORANGE: "#ff9245", GREEN: "#3fcf9f", INK: "#e6ebf0", MUTED: "#9aa7b4",
    BAND: "#4c5864", RULE: "#27313b", PAPER: "#141b22",
}  # fmt: skip

FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
WIDTH_INCHES, PIXELS_PER_INCH = 9.0, 110
AXIS_PIXELS = 96


def holoviews() -> Any:
    """Import HoloViews with both of its backends."""
    import holoviews as hv
    import holoviews.plotting.bokeh
    import holoviews.plotting.mpl

    return hv


def drawn(element: Any, *, bokeh: dict[str, Any], matplotlib: dict[str, Any]) -> Any:
    """Return `element` with the options of each backend."""
    return element.opts(backend="bokeh", **bokeh).opts(backend="matplotlib", **matplotlib)


def framed(
    element: Any,
    title: str,
    *,
    height: int = 300,
    number: str | None = "0,0",
    legend: bool = False,
    zoom: bool = True,
    dated: bool | None = None,
    finish: Mapping[str, Callable[[Any], None]] | None = None,
) -> Any:
    """Return `element` with title, axes and grid.

    Parameters
    ----------
    element
        An overlay or a heat map.
    title
        Above the chart.
    height
        In pixels; the width is that of the page, or nine inches on paper.
    number
        Format of the y axis, as Bokeh's ``NumeralTickFormatter`` has it: ``0,0.00``, or ``0.[0]a``
        for thousands and millions; None for categories.
    legend
        Whether there is one.
    zoom
        Whether dragging pans and the wheel (with the toolbar's tool) zooms along time.
    dated
        Whether the x axis is one of time; default: unless the y axis has categories.
    finish
        What is done last: by ``bokeh`` with the figure, by ``matplotlib`` with the axes.

    """
    finish = finish or {}
    dated = bool(number) if dated is None else dated

    def on_screen(plot: Any, _: Any) -> None:
        _bokeh_axes(plot.state, number, zoom=zoom)
        if "bokeh" in finish:
            finish["bokeh"](plot.state)

    def on_paper(plot: Any, _: Any) -> None:
        _matplotlib_axes(plot.handles["axis"], title, number, legend=legend, dated=dated)
        if "matplotlib" in finish:
            finish["matplotlib"](plot.handles["axis"])

    legends = {"show_legend": legend, "legend_position": "top_left"}
    inches = height / PIXELS_PER_INCH
    screen = {
        "responsive": True, "height": height, "title": title, "hooks": [on_screen],
        "toolbar": "above" if zoom else None, "default_tools": [],
    }  # fmt: skip
    paper = {
        "fig_inches": (WIDTH_INCHES, inches), "aspect": WIDTH_INCHES / inches, "title": "",
        "hooks": [on_paper],
    }  # fmt: skip
    return drawn(element, bokeh=screen | legends, matplotlib=paper | legends)


def shaded(area: Any, colour: str, alpha: float, edge: float) -> Any:
    """Return `area` filled with `colour`, its edge so many points wide."""
    # Under its three names: loaded after Bokeh, the Matplotlib backend takes on a default for
    # whichever is missing.
    names = {"color": colour, "facecolor": colour, "edgecolor": colour}
    screen = {"color": colour, "line_color": colour, "line_width": edge, "alpha": alpha}
    return drawn(area, bokeh=screen, matplotlib=names | {"alpha": alpha, "linewidth": edge})


def naive(times: Any) -> npt.NDArray[np.datetime64]:
    """Return times in UTC as both backends take them: without a zone."""
    import numpy as np

    return np.asarray(times, "datetime64[ns]")


def at_night(drawn: Any) -> None:
    """Put the counterpart of each of a Bokeh model's colours in its place, as pages do."""
    from bokeh.models import ColorMapper

    for model in drawn.references():
        if isinstance(model, ColorMapper) and hasattr(model, "low"):
            rising = str(model.palette[0]).lower() == SEQUENTIAL[0]
            night = NIGHT_SEQUENTIAL if rising else NIGHT_DIVERGING
            model.palette = _blend(night, len(model.palette))
            model.nan_color = DARK[PAPER]
            continue
        for name in model.properties():
            if not name.endswith("_color"):
                continue
            spec = getattr(model, name)
            inside = isinstance(spec, dict)
            colour = spec.get("value") if inside else getattr(spec, "value", spec)
            if isinstance(colour, str) and colour.lower() in DARK:
                setattr(model, name, DARK[colour.lower()])


def _blend(colours: tuple[str, ...], count: int) -> list[str]:
    """Return `count` colours evenly along a line through `colours`."""
    import numpy as np

    stops = np.array([[int(one[i : i + 2], 16) for i in (1, 3, 5)] for one in colours])
    at = np.linspace(0, len(colours) - 1, count)
    mixed = [np.interp(at, range(len(colours)), stops[:, channel]) for channel in range(3)]
    return [f"#{int(r):02x}{int(g):02x}{int(b):02x}" for r, g, b in zip(*mixed, strict=True)]


def _bokeh_axes(figure: Any, number: str | None, *, zoom: bool) -> None:
    from bokeh.models import (
        BasicTicker,
        NoOverlap,
        NumeralTickFormatter,
        PanTool,
        ResetTool,
        WheelZoomTool,
    )

    figure.background_fill_alpha = figure.border_fill_alpha = 0
    figure.outline_line_color = None
    figure.title.update(
        text_font=FONT, text_font_size="14px", text_font_style="bold", text_color=INK
    )
    for axis in (*figure.xaxis, *figure.yaxis):
        axis.update(
            axis_line_color=None, major_tick_line_color=None, minor_tick_line_color=None,
            major_label_text_font=FONT, major_label_text_font_size="12px",
            major_label_text_color=MUTED, axis_label_text_font=FONT,
            axis_label_text_font_size="12px", axis_label_text_font_style="normal",
            axis_label_text_color=MUTED,
        )  # fmt: skip
    for legend in figure.legend:
        legend.update(
            border_line_color=None, background_fill_color=PAPER, background_fill_alpha=0.75,
            label_text_font=FONT, label_text_font_size="12px", label_text_color=INK,
        )  # fmt: skip
    if number:
        figure.yaxis.formatter = NumeralTickFormatter(format=number)
        figure.xgrid.grid_line_color = None
        figure.ygrid.grid_line_color = RULE
        figure.xaxis.axis_label = None
        figure.xaxis.major_label_policy = NoOverlap(min_distance=12)
        figure.yaxis.ticker = BasicTicker(
            desired_num_ticks=max(3, figure.height // 60),
            min_interval=0 if "." in number else 1,
        )
        figure.min_border_left = AXIS_PIXELS  # charts below each other share their left edge
    if zoom:
        # The wheel is left to the page until its tool is chosen.
        wheel = WheelZoomTool(dimensions="width")
        figure.add_tools(PanTool(dimensions="width"), wheel, ResetTool())
        figure.toolbar_inner = True
        figure.toolbar.logo = None
        figure.toolbar.autohide = True


def _matplotlib_axes(
    axes: Any, title: str, number: str | None, *, legend: bool, dated: bool
) -> None:
    from matplotlib import dates as mdates
    from matplotlib.ticker import EngFormatter

    locator: Any = mdates.AutoDateLocator
    formatter: Any = mdates.ConciseDateFormatter

    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=8)
    axes.tick_params(length=0, labelsize=9, labelcolor=MUTED)
    axes.yaxis.label.set(fontsize=9, color=MUTED)
    axes.xaxis.label.set(fontsize=9, color=MUTED)
    axes.set_aspect("auto")
    place = axes.get_position()
    axes.set_position([0.1, place.y0, 0.88, place.height])  # one left edge in a layout
    for artist in (*axes.lines, *axes.collections, *axes.texts):
        artist.set_zorder(artist.get_zorder() + 2)  # above the grid
    for line in axes.lines:
        line.set_solid_capstyle("butt")
    for spine in axes.spines.values():
        spine.set_visible(False)
    if number:
        decimals = len(number.partition(".")[2])
        axes.yaxis.set_major_formatter(
            EngFormatter(sep="")
            if number.endswith("a")
            else lambda value, _: f"{value:,.{decimals}f}"
        )
        axes.set_axisbelow(True)
        axes.grid(visible=True, axis="y", color=RULE, linewidth=0.8)
        axes.grid(visible=False, axis="x")
    if dated:
        axes.set_xlabel("")
        dates: Any = locator(minticks=4, maxticks=9)
        axes.xaxis.set_major_locator(dates)
        axes.xaxis.set_major_formatter(formatter(dates))
        axes.xaxis.get_offset_text().set(fontsize=9, color=MUTED)
    if legend and (box := axes.get_legend()):
        box.set_frame_on(False)
        for text in box.get_texts():
            text.set(fontsize=9, color=INK)
