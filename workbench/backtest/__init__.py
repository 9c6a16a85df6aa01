"""Backtests: one run, a grid of them, the store that keeps them, and what is read from it."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.backtest.comparison import compare
    from workbench.backtest.model import Run
    from workbench.backtest.run_picture import picture
    from workbench.backtest.runner import Running, cancel, run, start
    from workbench.backtest.store import RunStore
    from workbench.backtest.sweep import (
        SweepResult,
        cancel_sweep,
        grid,
        resume_sweep,
        run_sweep,
        sweep_results,
    )

__all__ = [
    "Run",
    "RunStore",
    "Running",
    "SweepResult",
    "cancel",
    "cancel_sweep",
    "compare",
    "grid",
    "picture",
    "resume_sweep",
    "run",
    "run_sweep",
    "start",
    "sweep_results",
]

_HOMES = {
    "Run": "model",
    "RunStore": "store",
    "Running": "runner",
    "SweepResult": "sweep",
    "cancel": "runner",
    "cancel_sweep": "sweep",
    "compare": "comparison",
    "grid": "sweep",
    "picture": "run_picture",
    "resume_sweep": "sweep",
    "run": "runner",
    "run_sweep": "sweep",
    "start": "runner",
    "sweep_results": "sweep",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"workbench.backtest.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
