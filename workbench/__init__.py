"""NT Workbench: research on NautilusTrader, from a study to a result one can trust.

::

    import workbench

    study = workbench.study.load("studies/ema-cross.yaml")
    run = workbench.backtest.run(study, {"fast": 20})
    run.report()

Each room is a module, loaded when first used: `study`, `data`, `adapters`, `backtest`, `checks`,
`venue`, `live`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from workbench.core.errors import (
    Cancelled,
    DataError,
    DependencyError,
    InputError,
    Issue,
    RunError,
    StudyError,
    WorkbenchError,
)
from workbench.core.project import Project

if TYPE_CHECKING:
    from workbench import adapters, backtest, checks, data, live, study, venue

__all__ = [
    "Cancelled",
    "DataError",
    "DependencyError",
    "InputError",
    "Issue",
    "Project",
    "RunError",
    "StudyError",
    "WorkbenchError",
    "adapters",
    "backtest",
    "checks",
    "data",
    "live",
    "study",
    "venue",
]

_ROOMS = ("adapters", "backtest", "checks", "data", "live", "study", "venue")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"workbench.{name}")
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
