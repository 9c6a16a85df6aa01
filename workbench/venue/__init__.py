"""The practice venue: an exchange on loopback that speaks the Bybit v5 protocol.

NautilusTrader's own Bybit clients trade on it, against the prices of cached datasets or prices set
by hand, without a key or a network::

    from workbench import venue

    with venue.start(datasets=["AAPL.XNAS-1-DAY-LAST-EXTERNAL"], speed=86_400) as practice:
        practice.url, practice.instruments  # {'AAPL.XNAS': 'AAPLUSDT-LINEAR.BYBIT'}
        practice.fault("silence:where=public,seconds=10")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.venue.process import Venue, start
    from workbench.venue.serving import Ready, serve

__all__ = ["Ready", "Venue", "serve", "start"]


def __getattr__(name: str) -> Any:
    # aiohttp and numpy are loaded when a venue is started, not when the room is imported.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    home = "process" if name in ("Venue", "start") else "serving"
    return getattr(importlib.import_module(f"workbench.venue.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
