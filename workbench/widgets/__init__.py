"""Panel components on the verbs of the rooms below, for notebook cells, ipywidgets and the app."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.widgets.base import Widget, load

__all__ = [
    "Widget",
    "load",
]

_HOMES = {
    "Widget": "base",
    "load": "base",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"workbench.widgets.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
