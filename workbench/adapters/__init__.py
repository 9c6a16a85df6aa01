"""Adapters: what there are, their settings, their credentials, and whether they connect.

::

    from workbench import adapters, study

    adapters.show("bybit").environments  # ('live', 'testnet', 'demo')
    adapters.check_study(study.load("studies/live.yaml"))  # issues, located
    adapters.secrets.list_()
    adapters.check("bybit", environment="testnet").ok
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.adapters import secrets
    from workbench.adapters.connection import Check, check
    from workbench.adapters.registry import list_, show
    from workbench.adapters.settings import Client, check_study, clients, missing_credentials

__all__ = [
    "Check",
    "Client",
    "check",
    "check_study",
    "clients",
    "list_",
    "missing_credentials",
    "secrets",
    "show",
]

_HOMES = {
    "Check": "connection",
    "Client": "settings",
    "check": "connection",
    "check_study": "settings",
    "clients": "settings",
    "list_": "registry",
    "missing_credentials": "settings",
    "show": "registry",
}


def __getattr__(name: str) -> Any:
    # The engine and the keyring are loaded when a verb is first used, not with the room.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    if name == "secrets":
        return importlib.import_module("workbench.adapters.secrets")
    return getattr(importlib.import_module(f"workbench.adapters.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
