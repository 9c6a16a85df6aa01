"""Backtests: one run, a grid of them, the store that keeps them, and what is read from it."""

from workbench.backtest.model import Run
from workbench.backtest.run import Running, cancel, run, start
from workbench.backtest.store import RunStore
from workbench.backtest.sweep import SweepResult, grid, resume_sweep, run_sweep, sweep_results

__all__ = [
    "Run",
    "RunStore",
    "Running",
    "SweepResult",
    "cancel",
    "grid",
    "resume_sweep",
    "run",
    "run_sweep",
    "start",
    "sweep_results",
]
