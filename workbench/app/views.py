"""What the dashboard is made of: each view, its place, what of it stands in the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import widgets
from workbench.app.overview import Overview
from workbench.widgets.base import Widget

if TYPE_CHECKING:
    from workbench.app.dashboard import Dashboard


@dataclass(frozen=True, slots=True)
class View:
    """One view.

    Attributes
    ----------
    name
        In the page's address.
    group, label
        Where it is found.
    make
        Makes its widget for a page.
    keys
        What of it stands in the address: names of the dashboard's parameters, and of the widget's.

    """

    name: str
    group: str
    label: str
    make: Callable[[Dashboard], Widget]
    keys: Mapping[str, str]


def _plain(kind: str) -> Callable[[Dashboard], Widget]:
    def make(page: Dashboard) -> Widget:
        made: Widget = getattr(widgets, kind)(page.project, dark=page.dark)
        return made

    return make


def _overview(page: Dashboard) -> Widget:
    return Overview(page.project, dark=page.dark, on_go=page.go)


def _runs(page: Dashboard) -> Widget:
    return widgets.RunExplorer(page.project, dark=page.dark, on_new=lambda: page.go("backtest"))


def _backtest(page: Dashboard) -> Widget:
    return widgets.BacktestRunner(
        page.project, dark=page.dark, on_open=lambda run: page.go("runs", runs=run)
    )


_STUDY, _NODE = {"study": "study"}, {"node": "node"}

VIEWS: Mapping[str, View] = {
    view.name: view
    for view in (
        View("overview", "Overview", "Overview", _overview, {}),
        View("data", "Data", "Plan and catalog", _plain("DataPlanner"),
             _STUDY | {"dataset": "dataset"}),
        View("adapters", "Data", "Adapters", _plain("AdapterForm"), {"adapter": "adapter"}),
        View("study", "Research", "Study", _plain("StudyEditor"), _STUDY),
        View("backtest", "Research", "Backtest", _backtest, _STUDY),
        View("sweep", "Research", "Sweep", _plain("SweepBoard"), _STUDY | {"sweep": "sweep"}),
        View("runs", "Research", "Runs", _runs, {"runs": "chosen"}),
        View("monitor", "Live", "Nodes", _plain("NodeMonitor"), _NODE),
        View("flip", "Live", "Go live", _plain("FlipPanel"), {"run": "run"}),
        View("order", "Live", "Orders", _plain("OrderTicket"), _NODE),
        View("risk", "Risk", "Risk", _plain("RiskPanel"), _NODE),
    )
}  # fmt: skip

GROUPS = tuple(dict.fromkeys(view.group for view in VIEWS.values()))

OLD_TABS = {"runs": "runs", "run": "backtest", "data": "data"}
"""Views by the names they had in addresses before: ``?tab=run``."""


def named(name: str) -> str:
    """Return the view of a name in an address: a view's, or a group's; the first otherwise."""
    if name in VIEWS:
        return name
    of_group = (view.name for view in VIEWS.values() if view.group.lower() == name)
    return next(of_group, next(iter(VIEWS)))
