"""What has to hold before a backtested study goes live; a closed gate says what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from workbench import adapters, backtest, checks, data
from workbench.backtest import Run
from workbench.core.errors import InputError, Issue, WorkbenchError
from workbench.core.project import Project
from workbench.engine.inspection import source_digest
from workbench.study import Study
from workbench.venue import announce
from workbench.venue.relisting import relist

GATES = ("study", "run", "strategy", "smoke", "risk", "credentials", "connection")
"""In the order they are looked at."""

_ANSWER_SECONDS = 5.0
_SMOKE_SHARE = 10  # a tenth of the data, the newest


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate and what was found at it.

    Attributes
    ----------
    name
        ``study``, ``run``, ``strategy``, ``risk``, ``smoke``, ``credentials`` or ``connection``.
    passed
        Whether it is open.
    found
        In words.
    remedy
        What to do; empty where it is open.

    """

    name: str
    passed: bool
    found: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def gates(
    study: Study,
    run: Run,
    project: Project | None = None,
    *,
    on_gate: Callable[[Gate], None] = lambda _: None,
) -> list[Gate]:
    """Look at every gate between a run and the live node of `study`.

    Parameters
    ----------
    study
        As it is to go live.
    run
        The backtest that is to vouch for it.
    project
        Default: the project of the working folder.
    on_gate
        Called with each as it is looked at.

    """
    project = project or Project.find()
    found = []
    for gate in _looked_at(study, run, project):
        on_gate(gate)
        found.append(gate)
    return found


def again(study: Study, run: Run, project: Project) -> list[Gate]:
    """Look once more at the gates that a changed file would close: study, run, strategy, risk.

    They are looked at in well under a second: whoever launches later than they looked does it.
    """
    issues = checks.check(study, project)
    found = [_study(issues), _run(study, run), _risk(study)]
    return found if issues else [*found, _strategy(study, run, project)]


def _looked_at(study: Study, run: Run, project: Project) -> Iterator[Gate]:
    issues = checks.check(study, project)
    yield _study(issues)
    yield _run(study, run)
    if not issues:
        yield _strategy(study, run, project)
        yield _smoke(study, project)
    yield _risk(study)
    if study.live and not issues:
        practice = study.live.environment == "practice"
        yield from _practice(study, project) if practice else _adapters(study)


def _study(issues: list[Issue]) -> Gate:
    if issues:
        found = "; ".join(map(str, issues))
        return Gate("study", False, found, "mend what is named: workbench config check STUDY")
    return Gate("study", True, "valid")


def _run(study: Study, run: Run) -> Gate:
    if not run.finished_well:
        return Gate("run", False, f"{run.id} is {run.status}", "run the backtest to its end")
    if run.digests.get("study") != study.digest:
        return Gate(
            "run",
            False,
            f"{run.id} ran another study: data, venues, strategy parameters or risk differ",
            "backtest the study as it is to go live",
        )
    return Gate("run", True, f"{run.id} is done, {run.n_fills} fills")


def _strategy(study: Study, run: Run, project: Project) -> Gate:
    now = source_digest(study, project)
    if now != run.digests.get("strategy"):
        found = "the strategy's source has changed since the run"
        return Gate("strategy", False, found, "backtest it again as it is now")
    return Gate("strategy", True, f"the source is that of the run ({now[:12]})")


def _smoke(study: Study, project: Project) -> Gate:
    short = _shortened(study, project)
    try:
        run = backtest.run(short, project=project, gate="smoke")
    except WorkbenchError as error:
        return Gate("smoke", False, str(error), "a short backtest has to pass")
    if not run.finished_well:
        reason = (run.error or run.status).splitlines()[0]
        return Gate("smoke", False, f"{run.id}: {reason}", "a short backtest has to pass")
    return Gate("smoke", True, f"{run.id}: the newest tenth of the data ran")


def _shortened(study: Study, project: Project) -> Study:
    """Return the study on the newest part of its data, so that the check takes seconds."""
    spans = [each["end"] for each in data.digest(study, project).values()]
    starts = [each["start"] for each in data.digest(study, project).values()]
    first = dt.datetime.fromisoformat(min(starts))
    last = dt.datetime.fromisoformat(max(spans))
    start = last - (last - first) / _SMOKE_SHARE
    values: dict[tuple[str | int, ...], Any] = {
        ("data", index, "start"): start.replace(microsecond=0)
        for index, spec in enumerate(study.data)
        if spec.provider != "file"  # a file is imported whole and read whole
    }
    values["study",] = f"{study.name}-smoke"[:100]
    return study.with_values(values)


def _risk(study: Study) -> Gate:
    risk = study.risk
    lacking = []
    if not (risk.max_notional_per_order or risk.max_position):
        lacking.append("max_notional_per_order or max_position")
    if not (risk.max_drawdown or risk.max_daily_loss):
        lacking.append("max_drawdown or max_daily_loss")
    if lacking:
        found = "the risk policy sets no " + ", and no ".join(lacking)
        return Gate("risk", False, found, "add it to the study's 'risk', and backtest with it")
    return Gate("risk", True, "orders and losses have limits")


def _practice(study: Study, project: Project) -> Iterator[Gate]:
    yield Gate("credentials", True, "none are needed: the practice venue has its own")
    start = "workbench venue serve --study STUDY, in another terminal"
    try:
        venue = announce.find(project)
        relist(study, venue.instruments)
    except WorkbenchError as error:
        yield Gate("connection", False, str(error), start)
        return
    try:
        with httpx.Client(trust_env=False, timeout=_ANSWER_SECONDS) as client:
            client.get(f"{venue.url}/v5/market/time").raise_for_status()
    except httpx.HTTPError as error:
        found = f"the practice venue at {venue.url} does not answer: {error}"
        yield Gate("connection", False, found, start)
        return
    yield Gate("connection", True, f"the practice venue at {venue.url} answers")


def _adapters(study: Study) -> Iterator[Gate]:
    clients = adapters.clients(study)
    if not clients:
        yield Gate("credentials", True, "none are needed: data and orders stay on this machine")
        return
    lacking = adapters.missing_credentials(study)
    yield Gate(
        "credentials",
        not lacking,
        "; ".join(issue.message for issue in lacking) or "stored",
        "store them" if lacking else "",
    )
    if lacking:
        return
    for name, environment in {(each.adapter, each.environment): None for each in clients}:
        try:
            found = adapters.check(name, environment=environment)
        except InputError as error:
            yield Gate("connection", False, str(error), f"workbench adapters check {name}")
            continue
        failed = [f"{step.name}: {step.detail}" for step in found.steps if step.ok is False]
        yield Gate(
            "connection",
            not failed,
            "; ".join(failed) or f"{name} ({environment}) answers",
            f"workbench adapters check {name} --environment {environment}" if failed else "",
        )
