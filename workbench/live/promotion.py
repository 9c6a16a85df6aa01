"""From a finished backtest to a live node: the gates, the difference, the signed manifest."""

from __future__ import annotations

import datetime as dt
import getpass
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from workbench import backtest, data
from workbench import study as documents
from workbench.backtest import Run
from workbench.checks.gates import Gate, again, gates
from workbench.core.errors import InputError, Issue, WorkbenchError
from workbench.core.files import write_text
from workbench.core.progress import ShouldStop, never
from workbench.core.project import Project
from workbench.live.connections import as_listed
from workbench.live.handle import Node
from workbench.live.launcher import launch
from workbench.study import Change, Study
from workbench.study.load import build
from workbench.study.places import Places

PRACTICE = {
    "environment": "practice",
    "feeds": [{"adapter": "bybit", "product_types": ["linear"]}],
    "execution": [{"adapter": "bybit", "product_types": ["linear"]}],
}
"""The live section of a study that trades on the practice venue."""
_REAL = ("testnet", "live")  # environments whose venues are not ours
_REHEARSAL_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Promotion:
    """A run on its way to a live node: look at it, then `go`.

    Attributes
    ----------
    run
        The backtest that vouches for it.
    study
        As it would go live.
    gates
        What was found at each gate.
    changes
        What differs between the study of the run and this one.

    """

    project: Project
    run: Run
    study: Study
    gates: tuple[Gate, ...]
    changes: tuple[Change, ...]

    @property
    def open(self) -> bool:
        """Whether every gate is open."""
        return all(gate.passed for gate in self.gates)

    @property
    def environment(self) -> str:
        """Whose money: sandbox, practice, testnet or live."""
        assert self.study.live is not None
        return self.study.live.environment

    @property
    def phrase(self) -> str | None:
        """What has to be typed to confirm; None where nothing has to."""
        return f"{self.study.name} {self.environment}" if self.environment in _REAL else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "run_id": self.run.id,
            "study": self.study.name,
            "environment": self.environment,
            "open": self.open,
            "phrase": self.phrase,
            "gates": [gate.to_dict() for gate in self.gates],
            "changes": [change.to_dict() for change in self.changes],
        }

    def go(
        self,
        *,
        confirm: str | None = None,
        who: str | None = None,
        name: str | None = None,
        should_stop: ShouldStop = never,
    ) -> Node:
        """Launch the node.

        Parameters
        ----------
        confirm
            The phrase, typed by whoever takes the responsibility; for testnet and live.
        who
            Their name; default: the user of this machine.
        name
            Of the node; default: the study's.
        should_stop
            Asked until it runs; True ends it.

        Raises
        ------
        InputError
            If a gate is closed, with what to do about each, or the phrase is another.
        WorkbenchError
            If the node did not start.
        Cancelled
            If `should_stop` said so.

        """
        # A strategy may have been changed since the gates were looked at.
        looked_at = [*self.gates, *again(self.study, self.run, self.project)]
        closed = [gate for gate in dict.fromkeys(looked_at) if not gate.passed]
        if closed:
            raise InputError(
                [Issue(f"{gate.name}: {gate.found}. {gate.remedy}") for gate in closed]
            )
        if self.phrase is not None and confirm != self.phrase:
            raise InputError(Issue(f"to confirm, type exactly: {self.phrase}"))
        manifest = self._manifest(who)
        node = launch(self.study, self.project, name=name, should_stop=should_stop)
        manifest["node_id"] = node.id
        self._write(manifest)
        return node

    def _manifest(self, who: str | None) -> dict[str, Any]:
        manifest = {
            "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "who": who or getpass.getuser(),
            **self.to_dict(),
            "digests": self.run.digests,
            "run_digest": self.run.digest,
        }
        if self.environment in _REAL:
            self._write(manifest)  # before anything can trade
        return manifest

    def _write(self, manifest: Mapping[str, Any]) -> None:
        stamp = str(manifest["when"]).replace(":", "-").removesuffix("+00-00")
        path = self.project.gateway / "promotions" / f"{stamp}-{self.study.name}.json"
        write_text(path, json.dumps(manifest, indent=1))


def flip(
    run: Run | str,
    live: Mapping[str, Any] | str | None = None,
    project: Project | None = None,
    *,
    on_gate: Callable[[Gate], None] = lambda _: None,
) -> Promotion:
    """Prepare a finished run's study to go live: look at the gates, change nothing.

    Parameters
    ----------
    run
        A run or its id.
    live
        The study's ``live`` section, or ``"practice"`` for the practice venue; default: its own,
        else a replay of its data within ten minutes, with simulated orders.
    project
        Default: the run's, else the project of the working folder.
    on_gate
        Called with each gate as it is looked at.

    Returns
    -------
    Promotion
        With gates and differences; ``.go()`` launches the node.

    Raises
    ------
    InputError
        If there is no such run.
    StudyError
        If the live section is not valid.

    """
    project = project or (run.project if isinstance(run, Run) else Project.find())
    found = run if isinstance(run, Run) else backtest.RunStore(project).get(run)
    before = build(found.study, Places(file=f"run {found.id}"))
    if isinstance(live, str):
        if live != "practice":
            message = f"live: '{live}' is no environment that needs no more words"
            raise InputError(Issue(f"{message}: give a 'live' section, or 'practice'"))
        live = PRACTICE
    section = live or found.study.get("live") or _rehearsal(before, project)
    after = build(found.study | {"live": dict(section)}, Places(file=f"run {found.id}"))
    looked_at = tuple(gates(after, found, project, on_gate=on_gate))
    return Promotion(project, found, after, looked_at, _changes(before, after, project))


def _changes(before: Study, after: Study, project: Project) -> tuple[Change, ...]:
    """Return what differs from the run, as the study will trade."""
    with suppress(WorkbenchError):  # no practice venue: a gate says so
        after = as_listed(after, project)
    # A node knows no sweep.
    return tuple(
        each for each in documents.diff(before, after) if each.path.split(".")[0] != "sweep"
    )


def _rehearsal(study: Study, project: Project) -> dict[str, Any]:
    """Return how a study without a live section goes live: all of its data in ten minutes."""
    spans = data.digest(study, project).values()
    first = min(dt.datetime.fromisoformat(each["start"]) for each in spans)
    last = max(dt.datetime.fromisoformat(each["end"]) for each in spans)
    speed = max(1, round((last - first).total_seconds() / _REHEARSAL_SECONDS))
    return {
        "environment": "sandbox",
        "feeds": [{"adapter": "replay", "speed": speed}],
        "execution": [{"adapter": "sandbox"}],
    }
