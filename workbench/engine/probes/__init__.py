"""What can be found out about a venue, step by step."""

from __future__ import annotations

from workbench.engine.probes.base import Outcome, Probe, Request, words

__all__ = ["Outcome", "Probe", "Request", "choose", "words"]


def choose(request: Request) -> Probe:
    """Return the probe for an adapter: its own where it has one, else by way of a node."""
    from workbench.engine.probes import exchanges, vendors
    from workbench.engine.probes.node import Node
    from workbench.engine.probes.tws import Tws

    own: dict[str, type[Probe]] = {
        "binance": exchanges.Binance,
        "bybit": exchanges.Bybit,
        "databento": vendors.Databento,
        "interactive_brokers": Tws,
        "kraken": exchanges.Kraken,
        "okx": exchanges.Okx,
        "tardis": vendors.Tardis,
    }
    return own.get(request.adapter, Node)(request)
