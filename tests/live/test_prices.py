"""A node can close what it holds before its strategy has heard a row of data."""

import time

from tests.live.practice import INSTRUMENT, Practice, practice_study, practising, until
from workbench import live
from workbench.core.project import Project

IDLE = '''"""Listens to nothing, as a strategy on daily bars does between two of them."""

from nautilus_trader.trading import Strategy


class Idle(Strategy):
    pass
'''


def test_what_was_held_is_closed_after_a_restart_without_a_row_of_data(project: Project) -> None:
    (project.root / "strategies" / "idle.py").write_text(IDLE)
    study = practice_study(
        project,
        strategy={"path": "strategies/idle.py:Idle"},
        risk={"max_notional_per_order": "100000 USDT"},
    )
    with practising(project) as practice:
        node = live.launch(study, project)
        buy = {"instrument": INSTRUMENT, "side": "BUY", "quantity": "0.5"}
        until(lambda: live.orders.submit(node, buy)["status"] == "filled", "there is a price", 5)
        node.stop()
        node = live.launch(study, project)
        until(lambda: units(practice) == "0.5", "the venue holds it", 5)
        began = time.monotonic()
        live.risk.flatten(node)
        status = live.risk.wait_flat(node)
        assert (status["positions"], status["orders"]) == ([], [])
        until(lambda: not units(practice), "the venue holds nothing", 5)
        assert time.monotonic() - began < 5
        node.stop()


def units(practice: Practice) -> str | None:
    """Return what the venue holds."""
    held: dict[str, str] = practice.venue.status()["positions"]
    return held.get("BTCUSDT")
