"""Looking at a run over a million one-minute bars in a browser, its fills on the candles.

A real backtest of the shipped strategy makes the run. `RunExplorer` with that run selected is
opened in headless Chromium, the server and its libraries warm, the page itself new each time. What
counts is the time from opening the page to the first ink of the candle chart, which stands below
the equity curve: the table of runs, the figures and the charts above it included. A zoom is one
turn of the wheel, from the event to the second frame after the chart has its new rows. The claims:
painted in under 1.5 s, a zoom in under 100 ms (median). Beside them stands `chart_1m`'s plain Bokeh
line of the same closes.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.chart_1m import BAR_TYPE, ROWS, visit, write_bars

_PRICES = 2  # equity and drawdown stand above them
_STUDY = """\
schema: 1
study: minutes
data:
  - {provider: catalog, instrument: GBP/USD.SIM, bars: 1-MINUTE-LAST}
venues:
  - name: SIM
    account: margin
    balances: [1_000_000 USD]
    leverage: 20
    fees: {maker: 0, taker: 0.00002}
strategy:
  path: workbench.strategies.ema_cross:EMACross
  params: {fast: 50, slow: 500, trade_size: 10_000}
"""
_SERVER = """
import sys
from pathlib import Path
import panel as pn
from workbench.core.project import Project
from workbench.core.style import holoviews
from workbench.data.catalog import Dataset, read_rows
from workbench.data.rows import times, to_float
from workbench.widgets import RunExplorer

project, run, name = Project(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
holoviews()

def explorer():
    widget = RunExplorer(project)
    widget.chosen = [run]
    return widget

def line():
    from bokeh.plotting import figure
    rows = read_rows(Dataset(project, "bars", name).good(), columns=["close", "ts_init"])
    plot = figure(x_axis_type="datetime", height=510, sizing_mode="stretch_width",
                  tools="xpan,xwheel_zoom", active_scroll="xwheel_zoom")
    plot.line(times(rows["ts_init"]) / 1e6, to_float(rows["close"], 5))
    return pn.pane.Bokeh(plot, sizing_mode="stretch_width")

server = pn.io.server.get_server(
    {"explorer": explorer, "line": line}, address="127.0.0.1", port=0
)
server.start()
print(server.port, flush=True)
server.io_loop.start()
"""


def main(rows: int = ROWS, rounds: int = 3) -> dict[str, object]:
    """Measure both; return seconds of the first paint, milliseconds of a zoom, and ratios."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return {"error": "needs Chromium: apt-get install chromium", "holds": False}
    with tempfile.TemporaryDirectory() as folder:
        run, fills = _made(Path(folder), rows)
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, folder, run, BAR_TYPE],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            address = f"http://127.0.0.1:{int(process.stdout.readline())}"
            pages = {"explorer": _PRICES, "line": 0}
            paints: dict[str, list[float]] = {name: [] for name in pages}
            zooms: dict[str, list[float]] = {name: [] for name in pages}
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox"]
                )
                for number in range(rounds + 1):  # the first warms the server
                    for name, at in pages.items():
                        found = visit(browser, f"{address}/{name}", live=name != "line", at=at)
                        if number:
                            paints[name].append(found.paint)
                            zooms[name] += found.zooms
                browser.close()
        finally:
            process.terminate()
            process.wait()
    paint, line_paint = (statistics.median(paints[name]) for name in pages)
    zoom, line_zoom = (statistics.median(zooms[name]) for name in pages)
    return {
        "rows": rows,
        "fills": fills,
        "first_paint_s": round(paint, 2),
        "line_first_paint_s": round(line_paint, 2),
        "paint_ratio": round(line_paint / paint, 1),
        "zoom_ms": round(zoom),
        "zoom_worst_ms": round(max(zooms["explorer"])),
        "line_zoom_ms": round(line_zoom),
        "zoom_ratio": round(line_zoom / zoom, 1),
        "holds": paint < 1.5 and zoom < 100,
    }


def _made(root: Path, rows: int) -> tuple[str, int]:
    """Run the study over bars that are made up; return the run's id and its number of fills."""
    from workbench import backtest
    from workbench.core.project import Project
    from workbench.engine.catalog import write_instruments
    from workbench.study.datasets import Instrument

    (root / ".gateway").mkdir()
    (root / "studies").mkdir()
    study = root / "studies" / "minutes.yaml"
    study.write_text(_STUDY)
    write_bars(root, rows)
    project = Project(root)
    pair = Instrument(type="currency_pair", currency="USD", base="GBP", price_precision=5)
    write_instruments(project.catalog, [("GBP/USD.SIM", pair)])
    run = backtest.run(study, project=project)
    assert run.n_fills, run.error or run.warnings
    return run.id, run.n_fills


if __name__ == "__main__":
    print(json.dumps(main()))
