"""The adapters of the installed NautilusTrader, by the name a study gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.core.errors import InputError, choices

if TYPE_CHECKING:
    from workbench.engine.adapters import Adapter, Config

type Section = Literal["feeds", "execution"]

# What the workbench itself does in a live section: cached data played back, orders simulated.
BUILT_IN: dict[Section, str] = {"feeds": "replay", "execution": "sandbox"}


def list_() -> tuple[Adapter, ...]:
    """Return every adapter, in the order of their names."""
    from workbench.engine import adapters

    return tuple(map(adapters.adapter, adapters.names()))


def show(name: str) -> Adapter:
    """Return the adapter called `name`, with the fields of its configs.

    Raises
    ------
    InputError
        If there is none; names the nearest.

    """
    from workbench.engine import adapters

    if name not in adapters.names():
        raise InputError(f"unknown adapter '{name}'. {choices(name, adapters.names())}")
    return adapters.adapter(name)


def config(name: str, section: Section) -> Config:
    """Return the config of the adapter a study names in a section.

    Raises
    ------
    InputError
        If there is no such adapter or it has no such side.

    """
    from workbench.engine import adapters

    side: Literal["data", "execution"] = "data" if section == "feeds" else "execution"
    found = adapters.adapter(name).config(side) if name in adapters.names() else None
    if found is None:
        fitting = [adapter.name for adapter in list_() if adapter.config(side)]
        known = name in adapters.names() or name in BUILT_IN.values()
        said = f"'{name}' has no {side} side" if known else f"unknown adapter '{name}'"
        allowed = sorted({BUILT_IN[section], *fitting})
        raise InputError(f"{said}. {choices(name, allowed)}")
    return found
