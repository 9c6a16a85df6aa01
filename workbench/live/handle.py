"""A handle on a node: what any process can know of it and tell it.

Everything is read from the node's folder, ``.gateway/nodes/<id>/``, or asked over its socket; the
handle holds nothing that matters.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from workbench.core import journal
from workbench.core.errors import InputError, Issue, WorkbenchError, choices
from workbench.core.project import Project

STATE = "state.json"
KILL = "kill"
JOURNAL = "journal.jsonl"
ENDED = ("STOPPED", "FAILED", "KILLED", "LOST")
_ANSWER_SECONDS = 15.0
_LONGEST_LINE = 2_000  # of a log, on average


class NoAnswer(WorkbenchError):  # noqa: N818 - what happened, not a fault of its own
    """A node was asked and did not answer: whether it did it is not known."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node, running or not.

    Attributes
    ----------
    project
        Whose it is.
    id
        Its name: the study's, unless it was launched with another.

    """

    project: Project
    id: str

    @property
    def folder(self) -> Path:
        """Where its journal, its state and its logs are."""
        return self.project.gateway / "nodes" / self.id

    def state(self) -> dict[str, Any]:
        """Return what its supervisor last said.

        Returns
        -------
        dict
            ``state`` (STARTING, RUNNING, STOPPING, RESTARTING, or one of the ends STOPPED, FAILED,
            KILLED, LOST), ``pid`` of the engine, ``supervisor``, ``since`` (UNIX seconds),
            ``restarts``, ``reason``, ``trader``, ``environment`` and ``socket``.

        """
        try:
            found: dict[str, Any] = json.loads((self.folder / STATE).read_text())
        except FileNotFoundError:
            return {"state": "STOPPED", "pid": None, "reason": "it never started"}
        if found["state"] not in ENDED and not _alive(found["supervisor"], found["born"]):
            # It was killed, or the machine went down: nobody is left to say so.
            alive = _alive(found["pid"], found["engine_born"])
            found |= {"state": "STOPPING" if alive else "LOST"}
            found["reason"] = "its supervisor is gone"
        return found

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.state()["state"] not in ENDED

    def status(self) -> dict[str, Any]:
        """Return state, and of a running node equity, positions, orders and feeds.

        Raises
        ------
        WorkbenchError
            If it runs but does not answer.

        """
        known = self.state()
        shown: dict[str, Any] = {
            "node_id": self.id,
            **{key: known.get(key) for key in ("state", "pid", "restarts", "reason", "trader")},
            "environment": known.get("environment"),
            "equity": {},
            "positions": [],
            "orders": [],
            "feeds": [],
        }
        if known["state"] == "RUNNING":
            shown |= self.ask("status")
        return shown

    def ask(self, op: str, *, timeout: float = _ANSWER_SECONDS, **content: Any) -> Any:
        """Have the engine carry out a command; return its result.

        Parameters
        ----------
        op
            The command; `workbench.engine.live` has them all.
        timeout
            Seconds to wait for the answer.
        content
            What belongs to the command, as JSON values.

        Raises
        ------
        InputError
            If the command is refused.
        NoAnswer
            If the node does not answer: it may have done what it was asked all the same.
        WorkbenchError
            If it does not run, or could not do it.

        """
        known = self.state()
        if known["state"] in ENDED:
            raise WorkbenchError(f"node '{self.id}' does not run: it is {known['state']}")
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(timeout)
                line.connect(known.get("socket") or "")
                line.sendall(json.dumps({"op": op, **content}).encode() + b"\n")
                answer = json.loads(line.makefile("rb").readline() or b"null")
        except (OSError, ValueError) as error:
            reason = "it does not answer" if isinstance(error, TimeoutError) else str(error)
            if isinstance(error, BrokenPipeError):
                reason = "it took no more of the command: one has at most a megabyte"
            kind = NoAnswer if isinstance(error, TimeoutError) else WorkbenchError
            raise kind(f"node '{self.id}' cannot be asked: {reason}") from None
        if answer is None:
            raise NoAnswer(f"node '{self.id}' hung up before it answered")
        if answer["ok"]:
            return answer["result"]
        if answer["kind"] == "input":
            raise InputError([Issue(**issue) for issue in answer["issues"]])
        raise WorkbenchError(answer["error"])

    def events(self, since: int = 0) -> Iterator[journal.Entry]:
        """Yield the entries of its journal after number `since`, those that are there now."""
        return journal.read(self.folder / JOURNAL, since)

    def logs(self, lines: int = 50) -> dict[str, list[str]]:
        """Return the last lines of the engine's log and of what its process printed, by file."""
        found = {}
        for name in ("engine.jsonl", "output.txt"):
            path = self.folder / name
            if path.exists():
                with path.open("rb") as file:
                    file.seek(max(path.stat().st_size - _LONGEST_LINE * lines, 0))
                    found[name] = file.read().decode(errors="replace").splitlines()[-lines:]
        return found

    def stop(self, reason: str = "stopped on request", *, timeout: float = 30.0) -> dict[str, Any]:
        """Stop it in order and wait for its end.

        Raises
        ------
        WorkbenchError
            If it does not run, or has not stopped within `timeout` seconds.

        """
        self.ask("stop", reason=reason)
        return self.wait(ENDED, timeout)

    def kill(self, *, timeout: float = 5.0) -> dict[str, Any]:
        """End it now, from outside; works when it hangs. Its orders stay where they are.

        Raises
        ------
        WorkbenchError
            If it does not run, or has not ended within `timeout` seconds.

        """
        known = self.state()
        if known["state"] in ENDED:
            raise WorkbenchError(f"node '{self.id}' does not run: it is {known['state']}")
        (self.folder / KILL).touch()  # so that the supervisor does not start it again
        # Not once: its supervisor may be about to start an engine.
        return self.wait(ENDED, timeout, _kill_engine)

    def wait(
        self,
        states: tuple[str, ...],
        timeout: float,
        on_look: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Wait until it is in one of these states; return what its supervisor said.

        Parameters
        ----------
        states
            See `state`.
        timeout
            Seconds.
        on_look
            Called with what its supervisor says, as long as it is in none of them.

        Raises
        ------
        WorkbenchError
            After `timeout` seconds.

        """
        late = time.monotonic() + timeout
        while (known := self.state())["state"] not in states:
            if time.monotonic() > late:
                message = f"node '{self.id}' is {known['state']} after {timeout:g} s"
                raise WorkbenchError(message)
            on_look(known)
            time.sleep(0.02)
        return known


def nodes(project: Project | None = None) -> list[Node]:
    """Return the nodes of a project, running or not, by name."""
    project = project or Project.find()
    folders = sorted((project.gateway / "nodes").glob("*/"))
    return [Node(project, folder.name) for folder in folders]


def node(name: str, project: Project | None = None) -> Node:
    """Return the node called `name`.

    Raises
    ------
    InputError
        If there is none.

    """
    known = {each.id: each for each in nodes(project)}
    if name not in known:
        hint = choices(name, known) if known else "There is none yet: workbench node launch STUDY"
        raise InputError(Issue(f"no node '{name}'. {hint}"))
    return known[name]


def _kill_engine(known: Mapping[str, Any]) -> None:
    if known.get("pid") and _alive(known["pid"], known["engine_born"]):
        with suppress(ProcessLookupError):
            os.kill(known["pid"], signal.SIGKILL)


def _alive(pid: int | None, born: float | None) -> bool:
    """Say whether the process is the one that was meant, and not gone."""
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        return process.create_time() == born and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
