"""A backtested study goes to the practice venue without a word of it changed."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.live.conftest import live_study
from tests.live.test_nodes import wait_for
from workbench import backtest, live, venue
from workbench.core.errors import InputError, StudyError
from workbench.core.project import Project
from workbench.venue import announce
from workbench.venue.relisting import relist

RISK = {
    "max_orders": "100/1s",
    "max_notional_per_order": "2_000_000 USD",
    "max_position": {"AAPL.XNAS": 3000},
    "max_daily_loss": "50_000 USD",
}
LISTED = {"AAPL.XNAS": "AAPLUSDT-LINEAR.BYBIT"}


def test_what_is_renamed(project: Project) -> None:
    study = live_study(project, risk=RISK).with_params(bar_type="AAPL.XNAS-1-DAY-LAST-EXTERNAL")
    there = relist(study, LISTED)
    assert there.data[0].instrument == "AAPLUSDT-LINEAR.BYBIT"
    assert there.strategy.params["bar_type"] == "AAPLUSDT-LINEAR.BYBIT-1-DAY-LAST-EXTERNAL"
    assert there.strategy.params["slow"] == 50
    assert list(there.risk.max_position) == ["AAPLUSDT-LINEAR.BYBIT"]
    assert there.risk.max_notional_per_order == "2000000 USDT"
    assert there.risk.max_daily_loss == "50000 USDT"
    (only,) = there.venues
    assert (only.name, only.balances, only.leverage) == ("BYBIT", ("500000 USDT",), 2)
    assert relist(there, LISTED) is there
    with pytest.raises(StudyError, match=r"does not list it\. Listed: MSFT\.XNAS"):
        relist(study, {"MSFT.XNAS": "MSFTUSDT-LINEAR.BYBIT"})


def test_the_flip(project: Project, launch: Callable[..., live.Node], workbench: Any) -> None:
    study = live_study(project, risk=RISK)
    run = backtest.run(study, project=project)
    closed = {gate.name: gate for gate in live.flip(run, "practice").gates}
    assert not closed["connection"].passed
    assert "no practice venue runs in this project" in closed["connection"].found
    with pytest.raises(InputError, match="workbench venue serve"):
        live.flip(run, "practice").go()

    with venue.start(study=study, project=project, speed=86_400 * 50, start="2011-06-01") as there:
        flip = live.flip(run, "practice")
        assert flip.open, flip.gates
        assert flip.phrase is None
        paths = [change.path for change in flip.changes]
        assert paths[0] == "data.0.instrument"
        assert all(path.split(".")[0] in ("data", "venues", "risk", "live") for path in paths)
        node = flip.go()
        wait_for(node, "order.filled", 20)
        late = time.monotonic() + 10
        while not (held := node.status()["positions"]) and time.monotonic() < late:
            time.sleep(0.1)
        assert (held[0]["instrument"], held[0]["quantity"]) == (LISTED["AAPL.XNAS"], "1000")
        assert there.status()["wallet"] != "500000"
        starting = next(each for each in node.events() if each["type"] == "lifecycle.starting")
        assert starting["listed_as"] == LISTED
        answer = workbench("node", "flip", run.id, "--practice", "--check", "--json")
        assert (answer.code, answer.json["open"]) == (0, True)
        # One that was killed is said to be gone, not asked.
        there.kill()
        gates = {gate.name: gate for gate in live.flip(run, "practice").gates}
        assert "was killed" in gates["connection"].found


def test_a_venue_that_does_not_answer(project: Project) -> None:
    run = backtest.run(live_study(project, risk=RISK), project=project)
    with venue.start(study=live_study(project), project=project, paused=True):
        path = project.gateway / announce.FILE
        known = json.loads(path.read_text())
        path.write_text(json.dumps(known | {"url": "http://127.0.0.1:9"}))
        gates = {gate.name: gate for gate in live.flip(run, "practice").gates}
    assert "does not answer" in gates["connection"].found


def test_an_environment_that_needs_more_words(project: Project) -> None:
    run = backtest.run(live_study(project, risk=RISK), project=project)
    with pytest.raises(InputError, match="give a 'live' section, or 'practice'"):
        live.flip(run, "live")
