"""The HTTP and WebSocket door: every verb of the workbench as an endpoint.

::

    from workbench import gateway

    app = gateway.build()  # an ASGI application
    token, text = gateway.Tokens(project).create("ci", ["read", "research"])

`workbench.client.Client` has the same verbs for Python programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.gateway.app import build
    from workbench.gateway.server import serve
    from workbench.gateway.settings import Rate, Settings
    from workbench.gateway.tokens import SCOPES, Token, Tokens

__all__ = ["SCOPES", "Rate", "Settings", "Token", "Tokens", "build", "serve"]

_HOMES = {
    "SCOPES": "tokens",
    "Rate": "settings",
    "Settings": "settings",
    "Token": "tokens",
    "Tokens": "tokens",
    "build": "app",
    "serve": "server",
}


def __getattr__(name: str) -> Any:
    # FastAPI and Panel are loaded when a gateway is built, not with the room.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"workbench.gateway.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
