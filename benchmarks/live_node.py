"""A live node: how soon it runs, what it takes when nothing happens, how soon its events are seen.

- From `live.launch` in a fresh interpreter to RUNNING, with the interpreter's own imports: the
  median of five cold starts of a replay in the sandbox. The claim: under 4 s.
- The node's processes, engine and supervisor, over 20 s with the replay paused: private memory and
  share of a core. The claims: under 250 MB and 2 %.
- A strategy places and cancels orders: more than 200 events a second. A subscriber in this process
  takes them from the bus: from the time in the journal to the event in hand. The claim: p99 under
  50 ms.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

LAUNCHES, IDLE_SECONDS, EVENT_SECONDS = 5, 20.0, 15.0
CLAIM_LAUNCH_S, CLAIM_MB, CLAIM_CPU, CLAIM_EVENT_MS = 4.0, 250.0, 2.0, 50.0

CHATTER = """\
import datetime as dt
from nautilus_trader.model import InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.trading import Strategy

NAME = InstrumentId.from_str("AAPL.XNAS")


class Chatter(Strategy):
    def on_start(self):
        self.clock.set_timer("chat", dt.timedelta(milliseconds=12), callback=self.chat)

    def on_stop(self):
        self.clock.cancel_timer("chat")

    def chat(self, _):
        for order in self.cache.orders_open():
            self.cancel_order(order.client_order_id)
        order = self.order_factory.limit(NAME, OrderSide.BUY, Quantity(1, 0), Price(0.5, 4))
        self.submit_order(order)
"""
LAUNCH = """\
import sys, time
from workbench import live
began = float(sys.argv[1])
node = live.launch("study.json", max_restarts=0)
print(time.time() - began)
node.kill()
"""


def main() -> dict[str, object]:
    """Measure; return the figures."""
    from workbench import live
    from workbench import study as documents
    from workbench.core.project import Project

    here, before = Path(__file__).parents[1], Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in (".gateway", "strategies"):
            (root / name).mkdir()
        document = documents.load(here / "studies" / "ema-cross.yaml").written()
        document["live"] = {
            "environment": "sandbox",
            "feeds": [{"adapter": "replay", "speed": 86_400}],
            "execution": [{"adapter": "sandbox"}],
        }
        _write(root, document)
        os.chdir(root)
        try:
            launches = [_launch(root) for _ in range(LAUNCHES + 1)][1:]  # the first fetches data
            project = Project(root)
            node = live.launch(root / "study.json", project)
            try:
                megabytes, share = _idle(node)
            finally:
                node.kill()
            (root / "strategies" / "chatter.py").write_text(CHATTER)
            document["strategy"] = {"path": "strategies/chatter.py:Chatter"}
            document["risk"] = {"max_orders": "100000/1s"}
            _write(root, document)
            node = live.launch(root / "study.json", project, name="chatter")
            try:
                rate, late = _events(node)
            finally:
                node.kill()
        finally:
            os.chdir(before)
    launch, p99 = statistics.median(launches), statistics.quantiles(late, n=100)[98]
    return {
        "launch_s": round(launch, 2),
        "launch_slowest_s": round(max(launches), 2),
        "idle_mb": round(megabytes, 1),
        "idle_cpu_percent": round(share, 2),
        "events_per_s": round(rate),
        "event_median_ms": round(statistics.median(late), 2),
        "event_p99_ms": round(p99, 2),
        "holds": launch < CLAIM_LAUNCH_S
        and megabytes < CLAIM_MB
        and share < CLAIM_CPU
        and rate >= 200
        and p99 < CLAIM_EVENT_MS,
    }


def _write(root: Path, document: dict[str, Any]) -> None:
    import json

    (root / "study.json").write_text(json.dumps(document))


def _launch(root: Path) -> float:
    command = [sys.executable, "-c", LAUNCH, str(time.time())]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _idle(node: Any) -> tuple[float, float]:
    """Return the memory in MB and the share of a core in percent."""
    while not node.status()["feeds"][0]["rows"]:
        time.sleep(0.05)
    node.ask("pause_feed")
    state = node.state()
    processes = [psutil.Process(state[each]) for each in ("pid", "supervisor")]
    time.sleep(2.0)
    before = sum(_seconds(each) for each in processes)
    time.sleep(IDLE_SECONDS)
    share = 100 * (sum(_seconds(each) for each in processes) - before) / IDLE_SECONDS
    return sum(each.memory_full_info().uss for each in processes) / 1e6, share


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _events(node: Any) -> tuple[float, list[float]]:
    """Return events a second, and of each how many milliseconds it took."""
    from workbench.live import EngineEventBus

    late: list[float] = []
    stream = EngineEventBus(node.project).subscribe("now", only=[node.id])
    began = time.monotonic()
    while (took := time.monotonic() - began) < EVENT_SECONDS:
        late += [(time.time_ns() - event["ts"]) / 1e6 for event in stream.next(0.5)]
    return len(late) / took, late
