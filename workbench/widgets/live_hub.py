"""What is known of a project's nodes, kept up to date once for every viewer of this process.

One thread follows the journals of all nodes; one thread a node asks it for its figures, with a
short timeout, so that a node that hangs holds up nobody. Nothing runs while nobody looks.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.core.errors import WorkbenchError
from workbench.core.project import Project
from workbench.live import EngineEventBus
from workbench.live.bus import Event
from workbench.live.handle import ENDED, Node, nodes

EVENTS_KEPT = 300
SAMPLES_KEPT = 720
_POLL_SECONDS = 0.03
_ANSWER_SECONDS = 1.0
_LEAST_GAP = 0.2  # between two questions of one kind
_AFTER_SILENCE = 1.0
_UNWATCHED_SECONDS = 5.0
_SAMPLE_SECONDS = 0.5
_TOGETHER_SECONDS = 0.05  # what comes in meanwhile is asked for together
_IDLE_SECONDS = 0.3
_NAMES_SECONDS = 0.5
_SECONDS_A_VIEWER = 0.03
_LEAST_DRAW_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class _Topic:
    op: str
    every: float
    events: tuple[str, ...]  # what makes it worth asking again at once


TOPICS: Mapping[str, _Topic] = {
    "status": _Topic("status", 0.5, ("order.", "position.", "account.", "risk.")),
    "risk": _Topic("risk_show", 1.0, ("risk.", "alert.", "order.")),
    "orders": _Topic("order_list", 1.0, ("order.",)),
    "telemetry": _Topic("telemetry", 2.0, ()),
    "abilities": _Topic("order_abilities", 1.0, ()),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node last said to a question.

    Attributes
    ----------
    value
        The same object as before where nothing has changed.
    at
        When, in seconds of `time.monotonic`.

    """

    value: Any
    at: float


@dataclass(frozen=True, slots=True)
class View:
    """A node as it was last seen.

    Attributes
    ----------
    id
        Its name.
    state
        What its supervisor last said; see `workbench.live.Node.state`.
    answers
        By topic.
    events
        The newest, oldest first; counted by `seen`.
    samples
        UNIX seconds and equity by currency, oldest first.
    trouble
        Why it does not answer; empty while it does.
    looked
        When its state was looked at, in seconds of `time.monotonic`.

    """

    id: str
    state: Mapping[str, Any]
    answers: Mapping[str, Answer] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    seen: int = 0
    samples: tuple[tuple[float, Mapping[str, float]], ...] = ()
    trouble: str = ""
    looked: float = 0.0

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.state.get("state") not in ENDED

    def value(self, topic: str, default: Any = None) -> Any:
        """Return what it last said on a topic."""
        answer = self.answers.get(topic)
        return default if answer is None else answer.value

    def age(self, topic: str) -> float | None:
        """Return how old that is, in seconds; None if it never said."""
        answer = self.answers.get(topic)
        return None if answer is None else time.monotonic() - answer.at


class _Watched:
    """One node: its figures and the thread that asks for them."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.wanted: dict[str, float] = {}  # topics, and when somebody last looked at each
        self.due = threading.Event()
        self.thread: threading.Thread | None = None
        self._stirred: set[str] = set()
        self._asked: dict[str, float] = {}
        self._answers: dict[str, Answer] = {}
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._seen = 0
        self._samples: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=SAMPLES_KEPT)
        self._trouble, self._silent_until = "", 0.0
        self._state: Mapping[str, Any] = node.state()
        self._looked = time.monotonic()

    def view(self) -> View:
        return View(
            self.node.id, self._state, dict(self._answers), tuple(self._events), self._seen,
            tuple(self._samples), self._trouble, self._looked,
        )  # fmt: skip

    def heard(self, event: Event) -> None:
        """Take in an event of its journal."""
        self._events.append(event)
        self._seen += 1
        kind = event["type"]
        if kind == "telemetry":
            self._sample(event["ts"] / 1e9, event["data"]["equity"])
        stirred = [name for name, topic in TOPICS.items() if kind.startswith(topic.events)]
        if kind.startswith("lifecycle."):
            stirred = list(TOPICS)
            self._silent_until = 0.0
        if stirred:
            self._stirred.update(stirred)
            self.due.set()

    def command_sent(self) -> None:
        """Ask for everything again at once."""
        self._stirred = set(TOPICS)
        self.due.set()

    @property
    def running(self) -> bool:
        """Whether it has not ended, looked at twice a second at most."""
        if not (self.thread and self.thread.is_alive()) and time.monotonic() - self._looked > 0.5:
            self._look()
        return self._state["state"] not in ENDED

    def run(self) -> None:
        """Ask while it runs and somebody looks."""
        while topics := self._topics():
            self._look()
            if self._state["state"] in ENDED:
                break
            if self._state["state"] == "RUNNING":
                self._ask(topics)
            time.sleep(_TOGETHER_SECONDS)
            self.due.wait(self._pause(topics))
            self.due.clear()

    def _look(self) -> None:
        self._state, self._looked = self.node.state(), time.monotonic()
        if self._state["state"] != "RUNNING":
            self._trouble = ""

    def _topics(self) -> list[str]:
        now = time.monotonic()
        return [name for name, at in self.wanted.items() if now - at < _UNWATCHED_SECONDS]

    def _pause(self, topics: list[str]) -> float:
        """Return how long nothing has to be asked; events may end it early."""
        now = time.monotonic()
        if now < self._silent_until or self._state["state"] != "RUNNING":
            return _IDLE_SECONDS
        return max(0.0, min(self._next(name) for name in topics) - now)

    def _next(self, name: str) -> float:
        gap = _LEAST_GAP if name in self._stirred else TOPICS[name].every
        return self._asked.get(name, 0.0) + gap

    def _ask(self, topics: list[str]) -> None:
        for name in topics:
            now = time.monotonic()
            if now < max(self._next(name), self._silent_until):
                continue
            self._stirred.discard(name)
            self._asked[name] = now
            try:
                value = self.node.ask(TOPICS[name].op, timeout=_ANSWER_SECONDS)
            except WorkbenchError as error:
                # The old figures stay, with their age.
                self._trouble = str(error)
                self._silent_until = time.monotonic() + _AFTER_SILENCE
                return
            self._trouble = ""
            old = self._answers.get(name)
            same = old is not None and old.value == value
            self._answers[name] = Answer(old.value if same and old else value, time.monotonic())
            if name == "status":
                self._sample(time.time(), value["equity"])

    def _sample(self, at: float, equity: Mapping[str, str]) -> None:
        if equity and (not self._samples or at - self._samples[-1][0] >= _SAMPLE_SECONDS):
            self._samples.append((at, {code: float(value) for code, value in equity.items()}))


class LiveHub:
    """The nodes of one project, for all viewers of this process; get it with `hub`.

    Parameters
    ----------
    project
        Whose nodes.

    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._guard = threading.Lock()
        self._watched: dict[str, _Watched] = {}
        self._names: list[str] = []
        self._listed = 0.0
        self._reader: threading.Thread | None = None
        self._position: dict[str, int] = {}
        self._looked = 0.0
        self._viewers: dict[int, float] = {}

    def names(self, *, now: bool = False) -> list[str]:
        """Return the names of the nodes, running or not: looked up `now`, or half a second ago."""
        if now or time.monotonic() - self._listed > _NAMES_SECONDS:
            self._listed = time.monotonic()
            self._names = [node.id for node in nodes(self.project)]
        return self._names

    def look(self, name: str, *topics: str) -> View:
        """Return a node as it was last seen, and keep it in view for some seconds.

        Never waits: what is not known yet comes with a later look.

        Parameters
        ----------
        name
            Of the node.
        topics
            Which figures are wanted, of `TOPICS`.

        """
        now = time.monotonic()
        with self._guard:
            self._looked = now
            watched = self._watched.get(name)
            if watched is None:
                watched = self._watched[name] = _Watched(Node(self.project, name))
            for topic in topics:
                if topic not in watched.wanted or now - watched.wanted[topic] > 1.0:
                    watched.due.set()
                watched.wanted[topic] = now
            running = watched.running
            if topics and running and not (watched.thread and watched.thread.is_alive()):
                watched.thread = threading.Thread(target=watched.run, daemon=True)
                watched.thread.start()
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, daemon=True)
                self._reader.start()
        return watched.view()

    def stir(self, name: str) -> None:
        """Have a node's figures asked for again at once: something was just done to it."""
        watched = self._watched.get(name)
        if watched is not None:
            watched.command_sent()

    def pace(self, viewer: object) -> float:
        """Return how many seconds a viewer leaves between two drawings: more, the more look."""
        now = time.monotonic()
        self._viewers[id(viewer)] = now
        if len(self._viewers) > 1:
            self._viewers = {key: at for key, at in self._viewers.items() if now - at < 3.0}
        return max(_LEAST_DRAW_SECONDS, _SECONDS_A_VIEWER * len(self._viewers))

    def _read(self) -> None:
        try:
            # The newest of each: one that was followed before hands over nothing twice.
            stream = EngineEventBus(self.project).subscribe(-EVENTS_KEPT)
            while time.monotonic() - self._looked < _UNWATCHED_SECONDS:
                for event in stream.poll():
                    if event["seq"] > self._position.get(event["node"], 0):
                        self._position[event["node"]] = event["seq"]
                        self._of(event["node"]).heard(event)
                time.sleep(_POLL_SECONDS)
        finally:  # whatever went wrong, the next look starts another
            with self._guard:
                self._reader = None

    def _of(self, name: str) -> _Watched:
        with self._guard:
            if name not in self._watched:
                self._watched[name] = _Watched(Node(self.project, name))
            return self._watched[name]


_hubs: dict[str, LiveHub] = {}
_hubs_guard = threading.Lock()


def hub(project: Project) -> LiveHub:
    """Return the hub of a project, the same for everybody in this process."""
    with _hubs_guard:
        return _hubs.setdefault(str(project.root), LiveHub(project))
