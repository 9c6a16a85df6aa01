"""Reading what venues answer, and loading instruments with NautilusTrader's clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import httpx

from workbench.engine.probes.base import Failed, Outcome, Probe, Request, quoted, refusal


def config_of(
    request: Request, credentials: Mapping[str, str] = MappingProxyType({}), **more: Any
) -> Any:
    """Return NautilusTrader's config for market data, as a node of this study would have it."""
    from workbench.engine import adapters

    side = adapters.adapter(request.adapter).data
    assert side is not None
    chosen = side.environments.get(request.environment, {})
    return adapters.build(
        request.adapter, "data", {**request.settings, **chosen, **more}, credentials
    )


def load(probe: Probe, ask: Callable[[Any], Awaitable[list[Any]]], kinds: Iterable[Any]) -> Outcome:
    """Load the instruments of each kind with a client of NautilusTrader's."""

    async def names() -> list[str]:
        return [str(instrument.id) for kind in kinds for instrument in await ask(kind)]

    return probe.listed(wait(probe, names))


def wait[T](probe: Probe, ask: Callable[[], Awaitable[T]]) -> T:
    """Return what a client of NautilusTrader's answers in the time that is left."""

    async def answer() -> T:
        return await asyncio.wait_for(ask(), probe.request.left)

    try:
        return asyncio.run(answer())
    except (ValueError, RuntimeError) as error:
        raise Failed(f"NautilusTrader's client reports: {quoted(str(error))}") from None


def read(response: httpx.Response, kind: type[dict[str, Any] | list[Any]] = dict) -> Any:
    """Return the JSON of an answer; venues give their reasons with statuses too."""
    if response.status_code >= 400:
        raise Failed(refusal(response))
    try:
        body = response.json()
    except json.JSONDecodeError:
        body = None
    if not isinstance(body, kind):
        raise Failed(f"the answer is not understood: {quoted(response.text)}")
    return body


def told(permissions: list[str], notes: list[str]) -> Outcome:
    """Return the outcome of a venue's list of what a key may do."""
    values = {"permissions": permissions}
    said = ", ".join(permissions[:12]) + (", ..." if len(permissions) > 12 else "")
    if not permissions:
        return Outcome(False, "the key has no permission", values)
    return Outcome(True, "; ".join([said, *notes]), values)


def origins(addresses: list[str]) -> str:
    """Say from where a key may be used."""
    return f"from {len(addresses)} listed addresses" if addresses else "from any address"
