"""The connection check of a project's practice venue, and one that nobody waits for any more."""

import threading
import time

import pytest

from workbench import venue
from workbench.core.errors import Cancelled, InputError, WorkbenchError
from workbench.live.connections import check


def test_the_practice_venue_passes_with_its_own_keys(project, workbench):
    with pytest.raises(WorkbenchError, match="workbench venue serve"):
        check("bybit", environment="practice", project=project)
    with pytest.raises(InputError, match="use bybit, not okx"):
        check("okx", environment="practice", project=project)
    symbols = ["BTCUSDT:tick=0.1,step=0.001,price=30000"]
    with venue.start(project=project, symbols=symbols) as practice:
        found = check("bybit", environment="practice", project=project)
        assert [step.ok for step in found.steps] == [True] * 5, found
        assert found.environment == "practice"
        assert practice.url in found["reachable"].detail
        assert practice.ready.secret not in str(found.to_dict())
        told = workbench("adapters", "check", "bybit", "-e", "practice", "--json")
        assert told.code == 0, told.err
        assert told.json["environment"] == "practice"


def test_a_check_can_be_cancelled(project, monkeypatch):
    symbols = ["BTCUSDT:tick=0.1,step=0.001,price=30000"]
    with venue.start(project=project, symbols=symbols) as practice:
        practice.fault("slow:where=rest,seconds=30")
        stop = threading.Event()
        threading.Timer(1.5, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            check("bybit", environment="practice", project=project, should_stop=stop.is_set)
        assert time.monotonic() - began < 8
