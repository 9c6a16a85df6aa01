"""Live trading nodes: launched, watched and commanded from anywhere, each in its own process.

::

    from workbench import live

    node = live.launch("studies/ema-cross.yaml")
    node.status()
    node.stop()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.live import history, orders, risk
    from workbench.live.bus import EngineEventBus
    from workbench.live.decisions import Parity, parity
    from workbench.live.handle import Node, node, nodes
    from workbench.live.launcher import launch
    from workbench.live.promotion import Promotion, flip
    from workbench.live.redis_stream import stream
    from workbench.live.rehearsal import Rehearsal, rehearse

__all__ = [
    "EngineEventBus",
    "Node",
    "Parity",
    "Promotion",
    "Rehearsal",
    "flip",
    "history",
    "launch",
    "node",
    "nodes",
    "orders",
    "parity",
    "rehearse",
    "risk",
    "stream",
]

_HOMES = {
    "EngineEventBus": "bus",
    "Node": "handle",
    "Parity": "decisions",
    "Promotion": "promotion",
    "Rehearsal": "rehearsal",
    "flip": "promotion",
    "launch": "launcher",
    "node": "handle",
    "nodes": "handle",
    "parity": "decisions",
    "rehearse": "rehearsal",
    "stream": "redis_stream",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    if name in ("history", "orders", "risk"):
        return importlib.import_module(f"workbench.live.{name}")
    return getattr(importlib.import_module(f"workbench.live.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
