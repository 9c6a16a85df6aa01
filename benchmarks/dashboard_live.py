"""From an event in a node's journal to the screen: the node monitor in headless Chromium.

A node on a replay whose strategy places and cancels orders: about a hundred events a second. The
page notes when the row of each event appears; both clocks are this machine's. The server's
processor time is measured over the same span. Then nineteen more viewers come, each with a session
of its own that takes in what it is sent (their browsers would take this machine's two cores), and
the same is measured again. The claims: p95 under 300 ms at under 20% of one core with one viewer;
p95 under 1 s with twenty.
"""

import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 20.0
VIEWERS = 20
CLAIM_MS, CLAIM_SHARE, CLAIM_MANY_MS = 300.0, 0.20, 1000.0

_STRATEGY = """\
from datetime import timedelta
from nautilus_trader.model import BarType, InstrumentId, OrderSide
from nautilus_trader.trading import Strategy

NAME = InstrumentId.from_str("AAPL.XNAS")

class Chatter(Strategy):
    order = None
    def on_start(self):
        self.subscribe_bars(BarType.from_str("AAPL.XNAS-1-DAY-LAST-EXTERNAL"))
        self.clock.set_timer("chatter", timedelta(milliseconds=25), callback=self.chatter)
    def chatter(self, event):
        instrument = self.cache.instrument(NAME)
        if self.order is not None:
            self.cancel_order(self.order.client_order_id)
            self.order = None
        else:
            self.order = self.order_factory.limit(
                NAME, OrderSide.BUY, instrument.make_qty(1), instrument.make_price(0.5)
            )
            self.submit_order(self.order)
"""

_SERVER = """
import sys
from pathlib import Path
import panel as pn
from tornado.ioloop import IOLoop
from workbench.core.project import Project
from workbench.widgets import NodeMonitor

project = Project(Path(sys.argv[1]))

def page():
    pn.extension("tabulator", design="native")
    return NodeMonitor(project)

server = pn.io.server.get_server({"/": page}, address="127.0.0.1", port=0)
server.start()
print(server.port, flush=True)
IOLoop.current().start()
"""

_WATCH = """() => new Promise((found) => {
  window.delays = [];
  const deep = (root) => {
    for (const each of root.querySelectorAll("*")) {
      if (each.matches(".sheet.events")) return each.getRootNode();
      const inside = each.shadowRoot && deep(each.shadowRoot);
      if (inside) return inside;
    }
  };
  const look = () => {
    const root = deep(document);
    if (!root) return setTimeout(look, 50);
    new MutationObserver((changes) => {
      const now = performance.timeOrigin + performance.now();
      for (const change of changes) for (const row of change.addedNodes) {
        if (row.dataset && row.dataset.ts) window.delays.push(now - Number(row.dataset.ts) / 1e6);
      }
    }).observe(root, { childList: true, subtree: true });
    found(true);
  };
  look();
})"""


def main() -> dict[str, object]:
    """Measure; return the figures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with (
        tempfile.TemporaryDirectory() as folder,
        _node(Path(folder)) as node,
        _served(Path(folder)) as (server, url),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(url)
        page.evaluate(_WATCH)
        page.wait_for_timeout(3_000)
        alone = _measured(page, server, node)
        stop = threading.Event()
        others = threading.Thread(target=lambda: asyncio.run(_viewers(url, VIEWERS - 1, stop)))
        others.start()
        page.wait_for_timeout(8_000)
        many = _measured(page, server, node)
        stop.set()
        others.join()
        browser.close()
    return {
        **{f"one_{key}": value for key, value in alone.items()},
        **{f"twenty_{key}": value for key, value in many.items()},
        "holds": alone["p95_ms"] < CLAIM_MS
        and alone["server_core"] < CLAIM_SHARE
        and many["p95_ms"] < CLAIM_MANY_MS,
    }


def _measured(page: Any, server: int, node: Any) -> dict[str, float]:
    import psutil

    process = psutil.Process(server)
    page.evaluate("window.delays = []")
    first, before, began = _last(node), sum(process.cpu_times()[:2]), time.monotonic()
    page.wait_for_timeout(SECONDS * 1e3)
    spent, took = sum(process.cpu_times()[:2]) - before, time.monotonic() - began
    events = _last(node) - first
    delays = sorted(page.evaluate("window.delays"))
    return {
        "events_per_second": round(events / took, 1),
        "shown": round(len(delays) / events, 3),
        "median_ms": round(statistics.median(delays), 1),
        "p95_ms": round(delays[int(len(delays) * 0.95)], 1),
        "server_core": round(spent / took, 3),
    }


def _last(node: Any) -> int:
    from workbench.core.journal import last

    return last(node.folder / "journal.jsonl")


@contextmanager
def _node(root: Path) -> Iterator[Any]:
    from workbench import live, study
    from workbench.core.project import Project
    from workbench.study.load import build
    from workbench.study.places import Places

    here = Path(__file__).parents[1]
    (root / ".gateway").mkdir()
    (root / "strategies").mkdir()
    (root / "strategies" / "chatter.py").write_text(_STRATEGY)
    document = study.load(here / "studies" / "ema-cross.yaml").written()
    document["study"] = "chatter"
    document["strategy"] = {"path": "strategies/chatter.py:Chatter"}
    document["risk"] = {"max_orders": "100000/1s"}
    document.pop("sweep", None)
    document["live"] = {
        "environment": "sandbox",
        "feeds": [{"adapter": "replay", "speed": 86_400}],
        "execution": [{"adapter": "sandbox"}],
    }
    before = Path.cwd()
    os.chdir(root)
    try:
        node = live.launch(build(document, Places(file="study.yaml")), Project(root))
        try:
            while not node.status()["feeds"][0]["rows"]:
                time.sleep(0.05)
            yield node
        finally:
            node.kill()
    finally:
        os.chdir(before)


@contextmanager
def _served(root: Path) -> Iterator[tuple[int, str]]:
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # it complains of every viewer that leaves
        text=True,
    )
    assert server.stdout is not None
    try:
        yield server.pid, f"http://127.0.0.1:{int(server.stdout.readline())}/"
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


async def _viewers(url: str, count: int, stop: threading.Event) -> None:
    """Open so many sessions; say for each that it is on a page; take in what it is sent."""
    sent = await asyncio.gather(*(_viewer(url, stop) for _ in range(count)))
    assert min(sent) > SECONDS, f"a viewer was sent next to nothing: {sent}"


async def _viewer(url: str, stop: threading.Event) -> int:
    from websockets.asyncio.client import connect
    from websockets.typing import Subprotocol

    page = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
    found = re.search(r'"token":\s*"([^"]+)"', page)
    assert found, "the page has no token"
    names = [Subprotocol("bokeh"), Subprotocol(found[1])]
    received = 0
    async with connect(f"ws{url[4:]}ws", subprotocols=names, max_size=None) as line:
        for _ in range(3):  # it is let in
            await line.recv()
        await _say(line, "PULL-DOC-REQ", {})
        while not stop.is_set():
            try:
                text = await asyncio.wait_for(line.recv(), 0.5)
            except TimeoutError:
                continue
            received += 1
            if theme := re.search(r'"name":"Theme1","id":"([^"]+)"', str(text)):
                change = {"kind": "ModelChanged", "model": {"id": theme[1]}, "attr": "ready"}
                await _say(line, "PATCH-DOC", {"events": [change | {"new": 1}]})
    return received


async def _say(line: Any, kind: str, content: dict[str, Any]) -> None:
    """Send a message as Bokeh's pages do: head, metadata and content."""
    head = {"msgid": uuid.uuid4().hex, "msgtype": kind}
    for part in (head, {}, content):
        await line.send(json.dumps(part))


if __name__ == "__main__":
    print(main())
