"""A backtested study on the practice venue for some seconds: the flip, from start to end."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from filelock import FileLock, Timeout

from workbench import data, venue
from workbench.backtest import Run, RunStore
from workbench.checks.gates import GATES, Gate
from workbench.core.errors import Cancelled, InputError, Issue, WorkbenchError
from workbench.core.files import make_folder
from workbench.core.progress import OnProgress, Progress, ShouldStop, ignore, never
from workbench.core.project import Project
from workbench.live import risk
from workbench.live.bus import EngineEventBus, Event
from workbench.live.handle import ENDED, Node
from workbench.live.promotion import Promotion, flip
from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places

_SHARE = 0.25  # of the data is played, the newest
_LONGEST_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of it.

    Attributes
    ----------
    run_id, node_id
        What vouched for the study, and the node that traded it; its journal stays.
    seconds
        How long it traded.
    bars_from, bars_to
        The part of the data that was played.
    orders, fills
        How many the node made, those that closed it in the end among them.
    equity_start, equity_end
        The venue's wallet before and after, in USDT.
    flat
        Whether nothing was open in the end.

    """

    run_id: str
    node_id: str
    seconds: float
    bars_from: str
    bars_to: str
    orders: int
    fills: int
    equity_start: Decimal
    equity_end: Decimal
    flat: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self) | {
            "equity_start": str(self.equity_start),
            "equity_end": str(self.equity_end),
        }


def rehearse(
    run: Run | str,
    project: Project | None = None,
    *,
    seconds: float = 20.0,
    on_flip: Callable[[Promotion], None] = lambda _: None,
    on_event: Callable[[Event], None] = lambda _: None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Rehearsal:
    """Take a run's study to a practice venue of its own, let it trade, flatten and stop it.

    The venue plays the newest quarter of the study's data within `seconds`; node and venue talk
    through NautilusTrader's own Bybit clients. However it ends, neither runs any longer.

    Parameters
    ----------
    run
        A finished backtest or its id.
    project
        Default: the run's, else that of the working folder.
    seconds
        How long it trades.
    on_flip
        Called with gates and differences before the node is launched.
    on_event
        Called with every event of the node.
    on_progress
        Called as it goes: gates looked at, then seconds traded.
    should_stop
        Asked between gates, and several times a second from the launch on.

    Raises
    ------
    InputError
        If there is no such run, or a gate is closed: with what to do.
    WorkbenchError
        If the node did not start, or ended by itself; or the study is being rehearsed already.
    Cancelled
        If `should_stop` said so.

    """
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise InputError(Issue(f"from 0 to {_LONGEST_SECONDS:,}, found {seconds:g}", "seconds"))
    project = project or (run.project if isinstance(run, Run) else Project.find())
    found = run if isinstance(run, Run) else RunStore(project).get(run)
    study = build(found.study, Places(file=f"run {found.id}"))
    first, last = _newest(study, project)
    speed = max(1.0, (last - first).total_seconds() / seconds)
    tally = _Tally(on_event)
    steps = _Steps(on_progress, should_stop)
    node = Node(project, f"{study.name}-rehearsal"[:100])
    with _alone(node):
        steps.at("Starting a practice venue")
        with venue.start(study=study, project=project, start=first.isoformat(), paused=True) as on:
            steps.at("Looking at the gates", 0, len(GATES))
            promotion = flip(found, "practice", project, on_gate=steps.seen)
            on_flip(promotion)
            try:
                steps.at("Launching the node")
                promotion.go(name=node.id, should_stop=should_stop)
                # A node launched again under its name goes on in its journal.
                stream = EngineEventBus(project).subscribe("now", only=[node.id])
                before = Decimal(on.status()["wallet"])
                on.resume(speed)
                began = time.monotonic()
                while (took := time.monotonic() - began) < seconds:
                    steps.at("Trading", took, seconds, tally.told)
                    tally.take(stream.next(0.2))
                    if node.state()["state"] in ENDED:
                        raise WorkbenchError(f"node '{node.id}' ended: {node.state()['reason']}")
                    if on.status()["state"] == "ended":
                        break
                steps.at("Closing what is open", seconds, seconds, tally.told)
                risk.flatten(node, "the rehearsal is over")
                status = risk.wait_flat(node)
                tally.take(stream.next(0.5))
                after = on.status()
                node.stop()
            finally:
                if node.running:
                    node.kill()
    return Rehearsal(
        found.id,
        node.id,
        round(took, 1),
        f"{first:%Y-%m-%d}",
        f"{last:%Y-%m-%d}",
        len(tally.orders),
        tally.fills,
        before,
        Decimal(after["wallet"]),
        not (status["positions"] or status["orders"] or after["positions"]),
    )


@contextmanager
def _alone(node: Node) -> Iterator[None]:
    """See to it that no other rehearsal has this node: it is ended whatever happens."""
    make_folder(node.project.gateway / "locks")
    message = f"node '{node.id}' runs already: wait for its end, or stop it"
    try:
        with FileLock(node.project.gateway / "locks" / f"{node.id}.lock", timeout=0):
            if node.running:
                raise WorkbenchError(message)
            yield
    except Timeout:
        raise WorkbenchError(message) from None


@dataclass(slots=True)
class _Steps:
    """Tells how far it is, and heeds the wish to stop."""

    on_progress: OnProgress
    should_stop: ShouldStop
    gates: int = 0

    def at(self, task: str, done: float = 0, total: float = 0, detail: str = "") -> None:
        self.on_progress(Progress(task, done, total, detail=detail))
        if self.should_stop():
            raise Cancelled("the rehearsal was cancelled; nothing of it runs any longer")

    def seen(self, gate: Gate) -> None:
        self.gates += 1
        self.at("Looking at the gates", self.gates, len(GATES), gate.name)


@dataclass(slots=True)
class _Tally:
    on_event: Callable[[Event], None]
    orders: set[str] = field(default_factory=set)
    fills: int = 0

    @property
    def told(self) -> str:
        """How much it has traded, in words."""
        return f"{len(self.orders)} orders, {self.fills} fills"

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if event["type"] == "order.submitted":
                self.orders.add(event["data"]["client_order_id"])
            self.fills += event["type"] == "order.filled"
            self.on_event(event)


def _newest(study: Study, project: Project) -> tuple[dt.datetime, dt.datetime]:
    """Return begin and end of the newest part of the data."""
    spans = data.digest(study, project).values()
    first = min(dt.datetime.fromisoformat(each["start"]) for each in spans)
    last = max(dt.datetime.fromisoformat(each["end"]) for each in spans)
    return last - (last - first) * _SHARE, last
