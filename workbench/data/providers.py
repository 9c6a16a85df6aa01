"""The registry of providers, by the name a study gives them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from workbench.core.project import Project
from workbench.study.document import Study

if TYPE_CHECKING:
    from workbench.data.provider import Item, Provider

PROVIDERS = {
    "sample": "workbench.data.sample:SampleProvider",
    "catalog": "workbench.data.present:CatalogProvider",
    "file": "workbench.data.file:FileProvider",
    "databento": "workbench.data.databento:DatabentoProvider",
    "tardis": "workbench.data.tardis:TardisProvider",
    "binance": "workbench.data.exchanges.binance:BinanceProvider",
    "bybit": "workbench.data.exchanges.bybit:BybitProvider",
    "kraken": "workbench.data.exchanges.kraken:KrakenProvider",
    "okx": "workbench.data.exchanges.okx:OKXProvider",
}
"""Module and class of each, imported when a study asks for it."""


def provider(name: str, project: Project) -> Provider:
    """Return the provider a study calls `name`."""
    module, _, kind = PROVIDERS[name].partition(":")
    made: Provider = getattr(importlib.import_module(module), kind)(project)
    return made


def items(study: Study, project: Project, only: str | None = None) -> list[tuple[Item, Provider]]:
    """Return every dataset of a study, or those of the provider `only`, each with its provider."""
    from workbench.data.provider import Item

    return [
        (Item(study, index), provider(spec.provider, project))
        for index, spec in enumerate(study.data)
        if only in (None, spec.provider)
    ]
