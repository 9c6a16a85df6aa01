"""Risk from outside: limits, halt, resume, flatten, and the switch that ends everything."""

from __future__ import annotations

import getpass
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from workbench.core.errors import WorkbenchError
from workbench.core.project import Project
from workbench.live.handle import ENDED, Node, nodes

_ANSWER_SECONDS = 0.7
_FLAT_SECONDS = 1.2


def show(node: Node) -> dict[str, Any]:
    """Return ``state``, ``reason``, ``limits``, ``used`` and ``alerts`` of a node."""
    found: dict[str, Any] = node.ask("risk_show")
    return found


def set_limit(node: Node, limit: str, value: Any, *, who: str | None = None) -> dict[str, Any]:
    """Change a limit while the node runs; None removes it. Journaled with who did it.

    Raises
    ------
    InputError
        If there is no such limit, or the value is none.

    """
    found: dict[str, Any] = node.ask("risk_set", limit=limit, value=value, who=who or _me())
    return found


def halt(node: Node, reason: str = "on request", *, who: str | None = None) -> dict[str, Any]:
    """Let no order leave from now on; what rests at the venue stays there."""
    found: dict[str, Any] = node.ask("risk_halt", reason=reason, who=who or _me())
    return found


def resume(node: Node, *, who: str | None = None) -> dict[str, Any]:
    """Let orders leave again."""
    found: dict[str, Any] = node.ask("risk_resume", who=who or _me())
    return found


def flatten(
    node: Node, reason: str = "on request", *, stay_halted: bool = False, who: str | None = None
) -> dict[str, Any]:
    """Cancel every order and close every position."""
    found: dict[str, Any] = node.ask(
        "risk_flatten", reason=reason, halt=stay_halted, who=who or _me()
    )
    return found


def wait_flat(node: Node, timeout: float = 5.0) -> dict[str, Any]:
    """Wait until nothing is open; return the node's status, also if something still is."""
    late = time.monotonic() + timeout
    while True:
        status = node.status()
        if not (status["positions"] or status["orders"]) or time.monotonic() > late:
            return status
        time.sleep(0.05)


def alive(node: Node) -> None:
    """Tell the dead man's timer that somebody watches."""
    node.ask("risk_alive")


def acknowledge(node: Node, number: int, *, who: str | None = None) -> dict[str, Any]:
    """Note that an alert has been seen."""
    found: dict[str, Any] = node.ask("risk_acknowledge", number=number, who=who or _me())
    return found


def kill_switch(
    project: Project | None = None, reason: str = "kill switch", *, who: str | None = None
) -> dict[str, Any]:
    """Flatten and halt every node; kill those that do not answer.

    A node that hangs cannot be flattened: its process is killed, so that it sends nothing more,
    and what it leaves open at the venue is reported.

    Returns
    -------
    dict
        By node: ``result`` (``flat``, ``not flat``, ``killed`` or ``failed``), ``seconds`` and
        ``detail``.

    """
    project = project or Project.find()
    running = [node for node in nodes(project) if node.running]
    who = who or _me()
    if not running:
        return {}
    with ThreadPoolExecutor(len(running)) as pool:
        results = list(pool.map(lambda node: _switch_off(node, reason, who), running))
    return {node.id: result for node, result in zip(running, results, strict=True)}


def _switch_off(node: Node, reason: str, who: str) -> dict[str, Any]:
    began = time.monotonic()

    def told(result: str, detail: str = "") -> dict[str, Any]:
        return {"result": result, "seconds": time.monotonic() - began, "detail": detail}

    try:
        node.ask("risk_flatten", timeout=_ANSWER_SECONDS, reason=reason, halt=True, who=who)
        while time.monotonic() - began < _FLAT_SECONDS:
            status = node.ask("status", timeout=_ANSWER_SECONDS)
            if not status["positions"] and not status["orders"]:
                return told("flat")
            time.sleep(0.02)
    except WorkbenchError as error:
        if node.state()["state"] in ENDED:
            return told("failed", "it has ended meanwhile")
        try:
            node.kill()
        except WorkbenchError as stubborn:
            return told("failed", str(stubborn))
        return told("killed", f"{error}: its orders and positions are as they were")
    return told("not flat", f"still open: {len(status['positions'])} positions")


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
