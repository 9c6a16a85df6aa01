"""The first view: every node, what runs and ran, sweeps, alerts, and what to do next."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import panel as pn

from workbench.backtest import Run, RunStore
from workbench.backtest.glossary import NONE, written
from workbench.backtest.model import FINISHED
from workbench.core.errors import WorkbenchError
from workbench.core.project import Project
from workbench.live import history
from workbench.live.handle import JOURNAL, Node
from workbench.widgets import live_html
from workbench.widgets.base import Widget
from workbench.widgets.live_html import nothing, sheet, table
from workbench.widgets.live_hub import View, hub
from workbench.widgets.live_page import Board
from workbench.widgets.look import bar
from workbench.widgets.studies import study_files

MOST_RUNS = 10
MOST_SWEEPS = 6
MOST_ALERTS = 8
_DAY = 86_400

_CUT = "width: 100%; max-width: 0; min-width: 160px; overflow: hidden; text-overflow: ellipsis"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the project's files hold.

    Attributes
    ----------
    studies
        How many.
    data
        Whether the catalog has any.
    runs, sweeps
        The newest.
    counts
        Of each of these sweeps: its points by status.

    """

    studies: int
    data: bool
    runs: Sequence[Run]
    sweeps: Sequence[dict[str, Any]]
    counts: dict[str, dict[str, int]]


class Overview(Widget):
    """Everything at a glance; whatever is named leads to its view.

    Parameters
    ----------
    project, dark
        As for every `Widget`.
    on_go
        Called with the name of a view and what it is to show.

    """

    def __init__(
        self,
        project: Project | None = None,
        *,
        dark: bool | None = None,
        on_go: Callable[..., None] = lambda _: None,
    ) -> None:
        super().__init__(project, dark=dark)
        self._on_go = on_go
        self._store = RunStore(self.project)
        self._hub = hub(self.project)
        self._seen: object = None
        self._kept = Kept(0, False, [], [], {})
        self._past: dict[str, tuple[float, list[dict[str, Any]]]] = {}
        self._figures = Board(on_pick=self._picked)
        self._nodes, self._alerts = Board(on_pick=self._picked), Board(on_pick=self._picked)
        self._runs, self._sweeps = Board(on_pick=self._picked), Board(on_pick=self._picked)
        left = pn.Column(
            self._runs, margin=0, styles={"flex": "1.5 1 560px", "min-width": "0", "gap": "12px"}
        )
        right = pn.Column(
            self._sweeps, self._alerts, margin=0,
            styles={"flex": "1 1 400px", "min-width": "0", "gap": "12px"},
        )  # fmt: skip
        self.place(
            self._figures, self._nodes,
            pn.FlexBox(
                left, right, gap="12px", align_items="flex-start", margin=0,
                sizing_mode="stretch_width",
            ),
        )  # fmt: skip
        self._body.styles = {"gap": "12px"}

    async def refresh(self) -> None:
        """Show the nodes as they were last seen, and what the store has."""
        names = await asyncio.to_thread(self._hub.names)
        views = [self._hub.look(name, "status", "risk") for name in names]
        seen = self._store.stamp()
        under_way = any(run.status not in FINISHED for run in self._kept.runs)
        first = self._seen is None
        if first or seen != self._seen or under_way:
            self._kept = await asyncio.to_thread(_read, self.project, self._store)
            self._seen = seen
        alerts = _alerts(views) + await asyncio.to_thread(self._missed, views)
        alerts.sort(key=lambda one: one[1]["at"], reverse=True)
        self._figures.content = _figures(views, self._kept, alerts) + _steps(self._kept, views)
        self._nodes.content = _nodes(views)
        self._runs.content = _runs(self._kept.runs)
        self._sweeps.content = _sweeps(self._kept)
        self._alerts.content = _alert_table(alerts)

    def _missed(self, views: Sequence[View]) -> list[tuple[str, dict[str, Any]]]:
        """Return the alerts of the last day that nobody has seen, of nodes that have ended.

        A journal is read again only when it has changed; called in a thread.
        """
        since, found = time.time() - _DAY, []
        for view in views:
            node = Node(self.project, view.id)
            path = node.folder / JOURNAL
            if view.running or not path.exists() or (at := path.stat().st_mtime) < since:
                continue
            if self._past.get(view.id, (0.0, []))[0] != at:
                try:
                    self._past[view.id] = (at, history.alerts(node, _DAY))
                except WorkbenchError:  # damaged: its own view says so
                    self._past[view.id] = (at, [])
            found += [
                (view.id, alert | {"ended": True})
                for alert in self._past[view.id][1]
                if alert["acknowledged"] is None and alert["at"] > since
            ]
        return found

    def _picked(self, what: str) -> None:
        kind, _, name = what.partition(":")
        if kind == "node":
            self._on_go("monitor", node=name)
        elif kind == "risk":
            self._on_go("risk", node=name)
        elif kind == "run":
            self._on_go("runs", runs=name)
        elif kind == "sweep":
            self._on_go("sweep", sweep=name)
        elif kind == "view":
            self._on_go(name)


def _read(project: Project, store: RunStore) -> Kept:
    """Read the store; in a thread."""
    sweeps = store.sweeps(limit=MOST_SWEEPS)
    counts = {}
    for each in sweeps:
        newest = {repr(run.params): run.status for run in reversed(store.list(sweep_id=each["id"]))}
        statuses = list(newest.values())
        counts[each["id"]] = {name: statuses.count(name) for name in dict.fromkeys(statuses)}
    files = (project.catalog / "data").glob("*/*/*.parquet")
    return Kept(
        len(study_files(project.root / "studies")),
        next(files, None) is not None,
        store.list(limit=MOST_RUNS),
        sweeps,
        counts,
    )


def _alerts(views: Sequence[View]) -> list[tuple[str, dict[str, Any]]]:
    """Return the alerts of the nodes that run, each with the node's name."""
    return [
        (view.id, alert)
        for view in views
        if view.running
        for alert in (view.value("risk") or {}).get("alerts") or []
    ]


def _figures(
    views: Sequence[View], kept: Kept, alerts: Sequence[tuple[str, dict[str, Any]]]
) -> str:
    running = sum(view.state.get("state") == "RUNNING" for view in views)
    halted = sum(live_html.trading(view).get("state") == "halted" for view in views)
    under_way = sum(run.status not in FINISHED for run in kept.runs)
    open_ = sum(alert["acknowledged"] is None for _, alert in alerts)
    tiles = (
        ("Nodes running", f"{running} of {len(views)}" if views else "0", ""),
        ("Halted", f"{halted}", "loss" if halted else ""),
        ("Alerts not seen", f"{open_}", "loss" if open_ else ""),
        ("Backtests under way", f"{under_way}", ""),
    )
    cells = "".join(
        f'<div class="tile"><span>{name}</span><b class="{tone}">{value}</b></div>'
        for name, value, tone in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _steps(kept: Kept, views: Sequence[View]) -> str:
    """Say what to do next, until everything has been done once."""
    done = any(run.finished_well for run in kept.runs)
    studies = f"{kept.studies} in studies/" if kept.studies else "None in studies/ yet."
    steps = (
        ("Study", kept.studies > 0, studies, "study", "Edit a study"),
        ("Data", kept.data, "The catalog has some." if kept.data else
         "The catalog is empty. Plan what a study needs and fetch it.", "data", "Plan and fetch"),
        ("Backtest", done, "One has finished." if done else
         "None has finished yet. Run a study, then sweep its parameters.", "backtest",
         "Run a study"),
        ("Live", bool(views), "There is a node." if views else
         "A finished backtest goes live as it is: in the sandbox first.", "flip", "Go live"),
    )  # fmt: skip
    if all(step[1] for step in steps):
        return ""
    rows = "".join(
        f'<li class="{"open" if ready else "waiting"}" data-key="{name}"><span class="mark" '
        f'role="img" aria-label="{"done" if ready else "to do"}">{"✓" if ready else "·"}</span>'
        f'<span class="name">{name}</span><span class="found">{escape(said)} '
        f'<button data-pick="view:{view}">{act}</button></span></li>'
        for name, ready, said, view, act in steps
    )
    listed = sheet("What to do next", f'<ul class="checks">{rows}</ul>')
    return f'<div style="margin-top: 12px">{listed}</div>'


def _nodes(views: Sequence[View]) -> str:
    if not views:
        return sheet(
            "Nodes", nothing("No node yet. A finished backtest becomes one under Live, Go live.")
        )
    return live_html.overview(views, "")


def _runs(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        begun = (run.started or run.created)[5:16].replace("T", " ")
        params = " ".join(f"{key.rpartition('.')[2]}={run.params[key]}" for key in run.params)
        share = f" {run.progress:.0%}" if run.status == "running" else ""
        rows.append(
            f'<tr data-key="{escape(run.id)}"><th scope="row" class="left"><button '
            f'data-pick="run:{escape(run.id)}" title="{escape(run.id)}">{escape(run.name)}</button>'
            f'</th><td class="left">{live_html.badge(run.status, run.status + share)}</td>'
            f"<td>{written(run.statistics.get('total_return'), 'percent', sign=True)}</td>"
            f"<td>{written(run.statistics.get('sharpe'), 'ratio')}</td>"
            f'<td class="left">{begun}</td><td class="left" style="{_CUT}" '
            f'title="{escape(params)}">{escape(params) or NONE}</td></tr>'
        )
    heads = ("<Study", "<Status", "Return", "Sharpe", "<Started (UTC)", "<Parameters")
    shown = (
        table(heads, rows, label="Newest runs")
        if rows
        else nothing("No run yet. Run a study under Research, Backtest.")
    )
    more = '<p><button data-pick="view:runs">All runs</button></p>' if rows else ""
    return sheet("Runs", shown + more, "newest first" if rows else "")


def _sweeps(kept: Kept) -> str:
    rows = []
    for each in kept.sweeps:
        counts, name = kept.counts[each["id"]], escape(each["name"])
        finished = sum(counts.get(status, 0) for status in FINISHED)
        running = any(status not in FINISHED for status in counts)
        failed = f", {counts['failed']} failed" if counts.get("failed") else ""
        said = f"{counts.get('done', 0)} of {each['points']} points{failed}"
        progress = bar(said, finished / each["points"]) if running else escape(said)
        rows.append(
            f'<tr data-key="{escape(each["id"])}"><th scope="row" class="left"><button '
            f'data-pick="sweep:{escape(each["id"])}" title="{escape(each["id"])}">{name}</button>'
            f'</th><td class="left">{each["created"][5:16].replace("T", " ")}</td>'
            f'<td class="words">{progress}</td></tr>'
        )
    heads = ("<Study", "<Started (UTC)", "<Points")
    shown = (
        table(heads, rows, label="Newest sweeps")
        if rows
        else nothing("No sweep yet. Run a study over a grid under Research, Sweep.")
    )
    return sheet("Sweeps", shown)


def _alert_table(alerts: Sequence[tuple[str, dict[str, Any]]]) -> str:
    rows = [
        f'<tr data-key="{escape(node)}-{alert["at"]}-{alert["number"]}"><th scope="row" '
        f'class="left"><button data-pick="risk:{escape(node)}">{escape(node)}</button></th>'
        f'<td class="left">{_moment(alert["at"])}</td>'
        f'<td class="words">{escape(alert["message"])}</td>'
        f"<td>{_seen(alert)}</td></tr>"
        for node, alert in alerts[:MOST_ALERTS]
    ]
    heads = ("<Node", "<Time (UTC)", "<What was found", "")
    shown = (
        table(heads, rows, label="Alerts")
        if rows
        else nothing("No running node has broken a limit, and no alert of the last day was missed.")
    )
    return sheet("Alerts", shown)


def _moment(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%m-%d %H:%M:%S}"


def _seen(alert: dict[str, Any]) -> str:
    if alert["acknowledged"]:
        return "seen"
    return "<b>not seen</b>" + (", ended" if alert.get("ended") else "")
