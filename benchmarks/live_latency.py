"""From a command to its fill: market orders by hand on a live node in the sandbox.

A node replays daily bars, paused; orders of one share are bought and sold by turns with
`live.orders.submit`, each over a connection of its own, as the command line and a notebook do. The
time is that of the whole call: the intent is on the disk before the order is sent, and submission
and fill are when it returns. The claim: a median under 15 ms.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

ORDERS = 300
CLAIM_MS = 15.0


def main() -> dict[str, object]:
    """Measure; return the figures."""
    from workbench import live, study
    from workbench.core.project import Project
    from workbench.study.load import build
    from workbench.study.places import Places

    here = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".gateway").mkdir()
        document = study.load(here / "studies" / "ema-cross.yaml").written()
        document["live"] = {
            "environment": "sandbox",
            "feeds": [{"adapter": "replay", "speed": 86_400}],
            "execution": [{"adapter": "sandbox"}],
        }
        document["risk"] = {"max_orders": "100000/1s"}
        before = Path.cwd()
        os.chdir(root)
        try:
            node = live.launch(build(document, Places(file="study.yaml")), Project(root))
            try:
                taken = _measured(node)
            finally:
                node.kill()
        finally:
            os.chdir(before)
    median = statistics.median(taken)
    return {
        "orders": len(taken),
        "median_ms": round(median, 2),
        "p99_ms": round(statistics.quantiles(taken, n=100)[98], 2),
        "holds": median < CLAIM_MS,
    }


def _measured(node: object) -> list[float]:
    from workbench import live

    while not node.status()["feeds"][0]["rows"]:  # type: ignore[attr-defined]
        time.sleep(0.05)
    node.ask("pause_feed")  # type: ignore[attr-defined]
    taken = []
    for number in range(ORDERS + 10):
        order = {
            "instrument": "AAPL.XNAS",
            "side": "BUY" if number % 2 == 0 else "SELL",
            "quantity": 1,
        }
        began = time.perf_counter()
        answer = live.orders.submit(node, order)  # type: ignore[arg-type]
        taken.append((time.perf_counter() - began) * 1e3)
        if answer["status"] != "filled":
            raise RuntimeError(answer)
    return taken[10:]
