"""Panel components on the verbs of the rooms below, for notebook cells, ipywidgets and the app."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.widgets.adapter_form import AdapterForm
    from workbench.widgets.backtest_runner import BacktestRunner
    from workbench.widgets.base import Widget
    from workbench.widgets.data_planner import DataPlanner
    from workbench.widgets.flip_panel import FlipPanel
    from workbench.widgets.in_notebook import load
    from workbench.widgets.node_monitor import NodeMonitor
    from workbench.widgets.order_ticket import OrderTicket
    from workbench.widgets.risk_panel import RiskPanel
    from workbench.widgets.run_explorer import RunExplorer
    from workbench.widgets.study_editor import StudyEditor
    from workbench.widgets.sweep_board import SweepBoard

__all__ = [
    "AdapterForm",
    "BacktestRunner",
    "DataPlanner",
    "FlipPanel",
    "NodeMonitor",
    "OrderTicket",
    "RiskPanel",
    "RunExplorer",
    "StudyEditor",
    "SweepBoard",
    "Widget",
    "load",
]

_HOMES = {
    "AdapterForm": "adapter_form",
    "BacktestRunner": "backtest_runner",
    "DataPlanner": "data_planner",
    "FlipPanel": "flip_panel",
    "NodeMonitor": "node_monitor",
    "OrderTicket": "order_ticket",
    "RiskPanel": "risk_panel",
    "RunExplorer": "run_explorer",
    "StudyEditor": "study_editor",
    "SweepBoard": "sweep_board",
    "Widget": "base",
    "load": "in_notebook",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"workbench.widgets.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
