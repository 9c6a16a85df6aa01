"""Data: providers, the planner and the catalog.

What a study needs is planned against the catalog and only what it lacks is fetched::

    from workbench import data, study

    ema = study.load("studies/ema-cross.yaml")
    data.plan(ema).to_dict()
    data.fetch(ema)
    data.read(ema.data[0]).to_pandas()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.data.doctor.diagnosis import diagnose
    from workbench.data.doctor.journal import repairs, undo
    from workbench.data.doctor.repairs import repair
    from workbench.data.fetcher import FetchResult, ensure, fetch, over_budget
    from workbench.data.pictures import coverage_map, preview
    from workbench.data.planner import Plan, plan
    from workbench.data.reader import check, digest, inputs, list_, read

__all__ = [
    "FetchResult",
    "Plan",
    "check",
    "coverage_map",
    "diagnose",
    "digest",
    "ensure",
    "fetch",
    "inputs",
    "list_",
    "over_budget",
    "plan",
    "preview",
    "read",
    "repair",
    "repairs",
    "undo",
]

_HOMES = {
    "FetchResult": "fetcher",
    "Plan": "planner",
    "check": "reader",
    "coverage_map": "pictures",
    "diagnose": "doctor.diagnosis",
    "digest": "reader",
    "ensure": "fetcher",
    "fetch": "fetcher",
    "inputs": "reader",
    "list_": "reader",
    "over_budget": "fetcher",
    "plan": "planner",
    "preview": "pictures",
    "read": "reader",
    "repair": "doctor.repairs",
    "repairs": "doctor.journal",
    "undo": "doctor.journal",
}


def __getattr__(name: str) -> Any:
    # numpy and pyarrow are loaded when a verb is first used, not when the room is imported.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"workbench.data.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
