"""The process of a live node: ``python -m workbench.engine.live.main``.

Protocol. One JSON line on standard input says what to run (`read_request`); the end of standard
input tells that the supervisor is gone: the node stops in order. JSON lines on standard output tell
the state: ``{"state": "RUNNING"}``, and at the end ``{"stopped": reason}``, ``{"failed": reason}``
or, where another try may help, ``{"broke": reason, "next": {...}}``, with what is to be requested
besides the next time, if that is known to help. The engine exits with 0 on many failures, so only
that last line counts: a process that ends without it has crashed.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from nautilus_trader.trading import Strategy

from workbench.core.errors import WorkbenchError
from workbench.core.journal import Journal, read
from workbench.core.project import Project
from workbench.engine import log, strategy
from workbench.engine.live import assemble, risk
from workbench.engine.live.control import Control
from workbench.engine.live.desk import DESK, Desk
from workbench.engine.live.doubts import Doubts
from workbench.engine.live.feeds import Feeds, followed, unknown
from workbench.engine.live.guard import Guard, guarded
from workbench.engine.live.limits import Limits, Market
from workbench.engine.live.logbook import Logbook
from workbench.engine.live.memory import Memory
from workbench.engine.live.observe import Recorder, observed
from workbench.engine.live.orders import Orders
from workbench.engine.live.risk import Flattener
from workbench.engine.live.telemetry import Telemetry
from workbench.engine.live.watch import Watchman
from workbench.engine.simulate import Input
from workbench.engine.supervise import Failure, guard_instance, supervised
from workbench.study import Study
from workbench.study.load import build as build_study
from workbench.study.places import Places

JOURNAL = "journal.jsonl"
OUTPUT = "output.txt"
START_SECONDS = 60.0
# The engine compares it only where the quantities are equal.
_AVERAGE = "did not restore the reported average entry price"


def main() -> int:
    """Run a node until it is told to stop."""
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    request = json.loads(line)
    told = _take_over_output(Path(request["folder"]))
    os.chdir(request["project"])
    with Journal(Path(request["folder"]) / JOURNAL, timeout=5.0) as journal:
        recorder = Recorder(journal)
        try:
            reason = Node(request, recorder, told).run()
        except EngineError as error:
            again = _AVERAGE in str(error) and not request.get("quantities_equal")
            if again:
                recorder.note("memory.average_differs", reason=str(error))
            _tell(told, {"broke": str(error), "next": {"quantities_equal": True} if again else {}})
            return 1
        except WorkbenchError as error:
            recorder.note("lifecycle.failed", reason=str(error))
            _tell(told, {"failed": str(error)})
            return 1
        recorder.note("lifecycle.stopped", reason=reason)
    _tell(told, {"stopped": reason})
    return 0


class EngineError(WorkbenchError):
    """The engine could not start or go on: a venue out of reach, say. It may the next time."""


class Node:
    """One run of the engine.

    Parameters
    ----------
    request
        ``project``, ``folder``, ``socket`` (paths), ``study`` (its content), ``inputs`` (files by
        place in the study's data), ``speed``, ``connections`` and ``launch``, which tells the
        engines of one launch from those of others.
    recorder
        Of the node's journal.
    told
        Where the supervisor listens.

    """

    def __init__(self, request: dict[str, Any], recorder: Recorder, told: TextIO) -> None:
        self._request, self._recorder, self._told = request, recorder, told
        self._study: Study = build_study(request["study"], Places(file=request["file"]))
        self._project = Project(Path(request["project"]))
        self._failure = Failure()
        self._reason = "stopped"
        self._refused: str | None = None
        self._started = threading.Event()

    def run(self) -> str:
        """Build the node, run it, return why it ended."""
        # Where instruments go by other names: on the practice venue.
        known = {"listed_as": names} if (names := self._request["listed_as"]) else {}
        live = self._study.live
        assert live is not None
        self._recorder.note(
            "lifecycle.starting",
            pid=os.getpid(),
            study=self._study.name,
            launch=self._request["launch"],
            environment=live.environment,
            **known,
        )
        plan = self._plan()
        played = assemble.tape(plan)
        loaded = strategy.load(self._study, self._project)
        memory = Memory(self._recorder)
        memory.register_currencies()
        if plan.redis:
            memory.catch_up(plan.redis, self._study.trader)
        node = assemble.build(plan, played)
        self._handle, cache = node.handle(), node.cache
        memory.cache = cache
        if played:
            played.unsettled = lambda: bool(self._recorder.awaited or orders.due)
            self._recorder.position = lambda: played.last_ns
            self._recorder.note("feed.started", feed="replay", rows=played.rows)
            played.on_end = lambda: self._recorder.note("feed.ended", feed="replay")
        guard = Guard(Limits(self._study.risk, Market(cache)), self._recorder)
        desk: Any = observed(guarded(Desk, guard), self._recorder)()
        strategies: dict[str, Any] = {DESK: desk}
        flattener = Flattener(desk, strategies, guard)
        feeds = Feeds(played)
        kept = not any(each.adapter == "sandbox" for each in live.execution)
        watchman = Watchman(
            guard,
            equity=desk.equity,
            feeds=desk.feeds,
            flatten=flattener.start,
            past=read(self._recorder.journal.path),
            simulated=not kept,
        )
        doubts = Doubts(
            desk,
            strategies,
            guard.limits.market.gone,
            self._recorder,
            alert=watchman.alert,
            breach=watchman.breach,
        )
        logbook = self._logbook = Logbook(
            Path(self._request["folder"]) / log.FILE,
            self._recorder,
            doubts.heard,
            [each for one in plan.connections for each in one.credentials.values()],
        )
        saves = bool(plan.redis) and loaded.strategy.on_save is not Strategy.on_save
        telemetry = Telemetry(self._recorder, cache, guard.limits.market, desk.equity, desk.feeds)
        orders = Orders(
            self._study,
            desk,
            cache,
            self._recorder,
            read(self._recorder.journal.path),
            guard.closing,
            guard.change_refusal,
        )
        self._recorder.listeners += [watchman.noted, telemetry.noted, orders.noted, memory.noted]

        def status(_: dict[str, Any]) -> dict[str, Any]:
            found: dict[str, Any] = desk.status()
            return found | {"trading": guard.to_dict(), "pnl": telemetry.pnl()}

        def started() -> None:
            memory.tell(kept=kept, saves=saves)
            orders.start()
            self._started.set()

        control = Control(
            Path(self._request["socket"]),
            desk.operations()
            | orders.operations()
            | {"status": status}
            | risk.operations(guard, watchman, flattener)
            | doubts.operations()
            | {"telemetry": lambda _: telemetry.sample()}
            | {"stop": lambda request: self.stop(request.get("reason"))},
            orders.work,
        )
        desk.equip(
            self._study,
            self._recorder,
            played,
            control,
            (
                logbook.look,
                doubts.look,
                memory.look,
                watchman.look,
                flattener.look,
                orders.look,
                telemetry.look,
            ),
            # Limits that nobody watches are none.
            lambda reason: guard.set_state("halted", reason, "workbench"),
            telemetry.lag,
            started,
            feeds.to_list,
            doubts.socket,
        )
        user = observed(guarded(loaded.strategy, guard), self._recorder)
        if not played:
            user = followed(user, feeds, lambda: self._fits(cache))
        kind = supervised(user, self._failure)
        instance = kind(loaded.config) if loaded.config is not None else kind()
        guard_instance(instance, self._failure)
        node.add_strategy(instance)  # first, so that it is numbered as in its backtest
        strategies[str(instance.strategy_id)] = instance
        node.add_strategy(desk)
        for watch in (self._watch_supervisor, self._watch_start):
            threading.Thread(target=watch, daemon=True).start()
        try:
            node.run()
        except Exception as error:
            logbook.look()
            cause = f" ({logbook.last_error})" if logbook.last_error else ""
            raise EngineError(f"the engine stopped: {error}{cause}") from error
        finally:
            control.close()
        if self._refused:
            raise WorkbenchError(self._refused)
        if self._failure.where:
            raise WorkbenchError(self._failure.text)
        return self._reason

    def _fits(self, cache: Any) -> bool:
        """Whether the venues have what the study trades; the node stops if they do not."""
        self._refused = unknown(self._study, cache)
        if self._refused:
            self._handle.stop()
        return self._refused is None

    def stop(self, reason: str | None = None) -> dict[str, Any]:
        """Stop in order; may be called from any thread."""
        self._reason = reason or "stopped on request"
        self._recorder.note("lifecycle.stopping", reason=self._reason)
        _tell(self._told, {"state": "STOPPING"})
        self._handle.stop()
        return {"state": "STOPPING"}

    def _plan(self) -> assemble.Plan:
        request = self._request
        speed = request["speed"]
        return assemble.Plan(
            study=self._study,
            folder=Path(request["folder"]),
            catalog_path=self._project.catalog,
            inputs=[
                Input(self._study.data[index], [Path(name) for name in files])
                for index, files in request["inputs"]
            ],
            speed=math.inf if speed == "max" else float(speed),
            connections=[assemble.Connection(**each) for each in request["connections"]],
            redis=request["redis"],
            quantities_equal=request.get("quantities_equal", False),
        )

    def _watch_supervisor(self) -> None:
        while os.read(0, 4096):  # unbuffered: a buffer's lock would stop the interpreter's end
            pass
        self.stop("the supervisor is gone")

    def _watch_start(self) -> None:
        late = time.monotonic() + START_SECONDS
        while not (self._handle.is_running and self._started.is_set()):
            if time.monotonic() > late:
                self.stop(f"it did not reach RUNNING within {START_SECONDS:g} s")
                return
            if not self._started.is_set():
                self._logbook.look()
                if self._logbook.unconnected:
                    self._give_up(self._logbook.unconnected)
            time.sleep(0.01)
        self._recorder.note("lifecycle.running")
        _tell(self._told, {"state": "RUNNING"})

    def _give_up(self, reason: str) -> None:
        """End before anything was begun: the engine would wait for its clients for long."""
        self._recorder.note("lifecycle.unconnected", reason=reason)
        _tell(self._told, {"broke": reason, "next": {}})
        os._exit(1)


def _take_over_output(folder: Path) -> TextIO:
    """Keep the pipe to the supervisor; whatever else is printed goes to a file."""
    told = os.fdopen(os.dup(1), "w", buffering=1)
    output = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    return told


def _tell(told: TextIO, message: dict[str, Any]) -> None:
    with suppress(OSError, ValueError):  # nobody listens any more
        told.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    sys.exit(main())
