"""Looking at a million one-minute bars in a browser: the first paint, and each zoom.

One Panel server has two pages over the same dataset of a catalog: `workbench.data.preview`, and the
million closes as a plain Bokeh line. Both are opened in headless Chromium by turns, the server and
its libraries warm, the page itself new each time; what counts is the time from opening the page to
the first ink of the chart, reading the catalog included. A zoom is one turn of the wheel, from the
event in the browser to the second frame after the chart has its new rows (the line has them all).
The claims: painted in under 1.5 s, a zoom in under 100 ms (median), whether it shows what memory
holds or rows that are read from the files. The line's times stand beside them, and how much each
page was sent: here the way is free, to another machine 16 MB are not.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS = 1_000_000
BAR_TYPE = "GBP/USD.SIM-1-MINUTE-LAST-EXTERNAL"
TURNS = 14

_SERVER = """
import sys
from pathlib import Path
import panel as pn
from workbench import data
from workbench.core.project import Project
from workbench.core.style import holoviews
from workbench.data.catalog import Dataset, read_rows
from workbench.data.live import LivePicture
from workbench.data.rows import times, to_float

project, name = Project(Path(sys.argv[1])), sys.argv[2]
holoviews()

def preview():
    return LivePicture(data.preview(name, project))

def line():
    from bokeh.plotting import figure
    rows = read_rows(Dataset(project, "bars", name).good(), columns=["close", "ts_init"])
    plot = figure(x_axis_type="datetime", height=510, sizing_mode="stretch_width",
                  tools="xpan,xwheel_zoom", active_scroll="xwheel_zoom")
    plot.line(times(rows["ts_init"]) / 1e6, to_float(rows["close"], 5))
    return pn.pane.Bokeh(plot, sizing_mode="stretch_width")

server = pn.io.server.get_server({"preview": preview, "line": line}, address="127.0.0.1", port=0)
server.start()
print(server.port, flush=True)
server.io_loop.start()
"""

# Ink is looked for in every frame: the chart's canvas is transparent where nothing is drawn.
_WATCH = """
window.inked = new Promise((done) => {
  const find = (root, wanted) => [...root.querySelectorAll("*")].flatMap((one) => [
    ...(one.matches(wanted) ? [one] : []), ...(one.shadowRoot ? find(one.shadowRoot, wanted) : []),
  ]);
  const look = () => {
    const figure = find(document, ".bk-Figure")[%(at)s];
    const canvas = figure && find(figure.shadowRoot, "canvas").find((one) => one.width > 300);
    if (canvas) {
      const width = canvas.width >> 1, height = canvas.height >> 1;
      const pixels = canvas.getContext("2d").getImageData(width >> 1, 0, width, height * 2).data;
      let ink = 0;
      for (let at = 3; at < pixels.length; at += 4) ink += pixels[at] > 200;
      if (ink > 1500) return done(performance.now());
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
});
"""
_ZOOMS = """
window.zooms = [];
const walk = (view) => view.model.type === "Figure" ? [view]
  : (view.child_views || []).flatMap(walk);
const view = Bokeh.index.roots.flatMap(walk)[%(at)s];
const source = view.model.renderers[0].data_source;
let begun = 0;
const painted = (since) => requestAnimationFrame(() => requestAnimationFrame(
  () => window.zooms.push(performance.now() - since)));
document.addEventListener("wheel", () => {
  begun = performance.now();
  if (!%(live)s) painted(begun);
}, {capture: true, passive: true});
if (%(live)s) source.properties.data.change.connect(() => painted(begun));
"""


def main(rows: int = ROWS, rounds: int = 3) -> dict[str, object]:
    """Measure both; return seconds of the first paint, milliseconds of a zoom, and ratios."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return {"error": "needs Chromium: apt-get install chromium", "holds": False}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".gateway").mkdir()
        write_bars(root, rows)
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, folder, BAR_TYPE], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            address = f"http://127.0.0.1:{int(process.stdout.readline())}"
            paints: dict[str, list[float]] = {"preview": [], "line": []}
            zooms: dict[str, list[float]] = {"preview": [], "line": []}
            sizes: dict[str, int] = {}
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox"]
                )
                for number in range(rounds + 1):  # the first warms the server
                    for name in paints:
                        found = visit(browser, f"{address}/{name}", live=name == "preview")
                        sizes[name] = found.received
                        if number:
                            paints[name].append(found.paint)
                            zooms[name] += found.zooms
                browser.close()
        finally:
            process.terminate()
            process.wait()
    paint, line_paint = (statistics.median(paints[name]) for name in ("preview", "line"))
    zoom, line_zoom = (statistics.median(zooms[name]) for name in ("preview", "line"))
    return {
        "rows": rows,
        "first_paint_s": round(paint, 2),
        "line_first_paint_s": round(line_paint, 2),
        "paint_ratio": round(line_paint / paint, 1),
        "received_mb": round(sizes["preview"] / 1e6, 2),
        "line_received_mb": round(sizes["line"] / 1e6, 2),
        "zoom_ms": round(zoom),
        "zoom_worst_ms": round(max(zooms["preview"])),
        "line_zoom_ms": round(line_zoom),
        "zoom_ratio": round(line_zoom / zoom, 1),
        "holds": paint < 1.5 and zoom < 100,
    }


@dataclass(frozen=True)
class Visit:
    """Seconds to the first ink, bytes the page was sent until then, milliseconds of each zoom."""

    paint: float
    received: int
    zooms: list[float]


def visit(browser: Any, address: str, *, live: bool, at: int = 0) -> Visit:
    """Open a page and zoom into the figure that is number `at` of it."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(120_000)
    frames: list[int] = []
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda payload: frames.append(len(payload))),
    )
    page.add_init_script(_WATCH % {"at": at})
    page.goto(address)
    paint = page.evaluate("inked") / 1000
    received = sum(frames)
    figure = page.locator(".bk-Figure").nth(at)
    page.wait_for_timeout(1_000)  # what stands below is drawn too, and takes its place
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    page.evaluate(_ZOOMS % {"live": json.dumps(live), "at": at})
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    if live:
        page.keyboard.down("Control")
    page.mouse.wheel(0, -250)  # the first may ask for no rows: those around are there
    page.wait_for_timeout(1_000)
    page.evaluate("zooms.length = 0")
    for number in range(TURNS):
        page.mouse.wheel(0, -250)
        page.wait_for_function("count => zooms.length >= count", arg=number + 1)
    found = page.evaluate("zooms")[:TURNS]
    page.close()
    return Visit(paint, received, found)


def write_bars(root: Path, rows: int) -> None:
    """Write bars that are made up into the catalog of a project."""
    import numpy as np

    from workbench.core.project import Project
    from workbench.data.catalog import Dataset
    from workbench.data.rows import table

    random = np.random.default_rng(1)
    close = 150_000 + np.cumsum(random.integers(-3, 4, rows))
    opens = np.append(150_000, close[:-1])
    ts = 1_325_376_000 * 10**9 + 60 * 10**9 * np.arange(1, rows + 1)
    values = {
        "open": opens, "high": np.maximum(opens, close) + 2, "low": np.minimum(opens, close) - 2,
        "close": close, "volume": random.integers(1, 1000, rows), "ts": ts,
    }  # fmt: skip
    bars = table("bars", BAR_TYPE, "GBP/USD.SIM", values, price_precision=5, size_precision=0)
    Dataset(Project(root), "bars", BAR_TYPE).write(
        bars, (int(ts[0]), int(ts[-1])), provider="benchmark", source="{}"
    )


if __name__ == "__main__":
    print(json.dumps(main()))
