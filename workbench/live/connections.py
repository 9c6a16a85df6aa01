"""From a study's adapters to what the engine connects with: settings, addresses, credentials.

Practice and real never mix. A practice study takes its address and its keys from the venue that
announced itself in the project, and only if that is on this machine; a testnet or live study takes
keys from the store and refuses an address on this machine.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from workbench import adapters
from workbench.adapters import Check, Client, clients, secrets
from workbench.adapters.connection import Place, Step
from workbench.core.errors import InputError, StudyError, WorkbenchError
from workbench.core.progress import ShouldStop, never
from workbench.core.project import Project
from workbench.study import Study
from workbench.venue import announce
from workbench.venue.relisting import relist

PRACTISED = "bybit"
"""The adapter that speaks the practice venue's protocol."""

# Where an adapter's sockets are, below its address. Others take the address as it is.
_PATHS = {
    "bybit": {
        "base_url_ws_public": "/v5/public/linear",
        "base_url_ws_private": "/v5/private",
        "base_url_ws_trade": "/v5/trade",
    }
}


def as_listed(study: Study, project: Project) -> Study:
    """Return a practice study with its instruments named as the venue lists them; others as is.

    Raises
    ------
    StudyError
        If no practice venue runs, or it does not list what the study trades.

    """
    assert study.live is not None
    if study.live.environment != "practice":
        return study
    try:
        venue = announce.find(project)
    except WorkbenchError as error:
        raise study.error(str(error), "live", "environment") from None
    return relist(study, venue.instruments)


def connections(study: Study, project: Project) -> list[dict[str, Any]]:
    """Return adapter, side, settings and plain credentials of each; for a pipe, never for a file.

    Raises
    ------
    StudyError
        If a practice study finds no practice venue, or a real one an address on this machine.

    """
    assert study.live is not None
    practice = study.live.environment == "practice"
    found = []
    url: str | None
    websocket: str | None
    for client in clients(study):
        if practice:
            url, websocket, credentials = _practice(study, client, project)
        else:
            url, websocket = _addresses(study, client)
            stored = secrets.get(client.adapter, client.environment)
            credentials = {name: secret.reveal() for name, secret in stored.items()}
        found.append(
            {
                "adapter": client.adapter,
                "side": client.config.side,
                "settings": client.settings | dict(_fields(client, url, websocket)),
                "credentials": credentials,
            }
        )
    return found


def check(
    name: str,
    *,
    environment: str,
    project: Project,
    settings: Mapping[str, Any] | None = None,
    timeout: float = 20.0,
    on_step: Callable[[Step], None] | None = None,
    should_stop: ShouldStop = never,
) -> Check:
    """Check an adapter's connection, also to the practice venue of a project.

    Parameters
    ----------
    environment
        ``practice``, or what `workbench.adapters.check` takes.
    project
        Whose practice venue.
    name, settings, timeout, on_step, should_stop
        See `workbench.adapters.check`.

    Raises
    ------
    InputError, Cancelled
        See `workbench.adapters.check`.
    WorkbenchError
        If no practice venue runs, or it is not on this machine.

    """
    place = None
    if environment == "practice":
        if name != PRACTISED:
            raise InputError(f"the practice venue speaks Bybit's protocol: use bybit, not {name}")
        venue = announce.find(project)
        for address in (venue.url, venue.websocket):
            if not on_this_machine(address):
                raise WorkbenchError(f"{address} is not on this machine: no practice venue is")
        keys = {"api_key": venue.key, "api_secret": venue.secret}
        place = Place("practice", venue.url, venue.websocket, keys)
    return adapters.check(
        name,
        environment="live" if place else environment,
        settings=settings,
        timeout=timeout,
        on_step=on_step,
        should_stop=should_stop,
        place=place,
    )


def _practice(study: Study, client: Client, project: Project) -> tuple[str, str, dict[str, str]]:
    """Return address and keys of the practice venue."""
    path = ("live", client.section, client.index, "adapter")
    if client.adapter != PRACTISED:
        message = f"the practice venue speaks Bybit's protocol: use bybit, not {client.adapter}"
        raise study.error(message, *path)
    try:
        venue = announce.find(project)
    except WorkbenchError as error:
        raise study.error(str(error), *path) from None
    for address in (venue.url, venue.websocket):
        if not on_this_machine(address):
            raise study.error(f"{address} is not on this machine: no practice venue is", *path)
    return venue.url, venue.websocket, {"api_key": venue.key, "api_secret": venue.secret}


def _addresses(study: Study, client: Client) -> tuple[str | None, str | None]:
    """Return the addresses the environment sets instead of the venue's own."""
    variable = f"WORKBENCH_URL_{client.adapter.upper()}"
    found = os.environ.get(variable) or None, os.environ.get(f"{variable}_WS") or None
    for name, address in zip((variable, f"{variable}_WS"), found, strict=True):
        if address and on_this_machine(address):
            assert study.live is not None
            message = (
                f"{name} points at this machine, but live.environment is "
                f"{study.live.environment}: for a practice venue it is 'practice'"
            )
            raise StudyError(study.issue(message, "live", client.section, client.index, "adapter"))
    return found


def _fields(client: Client, url: str | None, websocket: str | None) -> Iterator[tuple[str, str]]:
    """Yield the config's address fields that are to be set."""
    paths = _PATHS.get(client.adapter, {})
    for item in client.config.fields:
        if item.role != "address":
            continue
        if "ws" in item.name.split("_") and websocket:
            yield item.name, websocket.rstrip("/") + paths.get(item.name, "")
        elif "http" in item.name.split("_") and url:
            yield item.name, url.rstrip("/")


def on_this_machine(address: str) -> bool:
    """Say whether an address is a loopback one."""
    host = urlsplit(address).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified
