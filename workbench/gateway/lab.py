"""The gateway inside JupyterLab, under Lab's own login.

jupyter-server-proxy starts it when it is first asked for, at ``/workbench/`` below Lab's address,
and hands on what whoever is logged in to Lab asks, with a token that lives in Lab's process and the
gateway's only. In ``jupyter_server_config.py``::

    from workbench.gateway.lab import proxied

    c.ServerProxy.servers = {"workbench": proxied()}
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core.project import Project

TOKEN_VARIABLE = "WORKBENCH_GATEWAY_TOKEN"  # noqa: S105 - where it is, not what it is
_START_SECONDS = 30


def proxied(
    project: Project | None = None, *, name: str = "workbench", hosts: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what jupyter-server-proxy is to be told of the gateway.

    Parameters
    ----------
    project
        Default: the project of the working folder.
    name
        The path below Lab's address, as it stands in ``ServerProxy.servers``.
    hosts
        Names Lab is asked for by, besides this machine's own: a hub's.

    """
    _end_in_order()
    project = project or Project.find()
    token = f"ntw_{secrets.token_hex(6)}_{secrets.token_hex(32)}"
    command = [sys.executable, "-m", "workbench", "gateway", "serve", "--port", "{port}"]
    command += ["--root-path", f"{{base_url}}{name}"]
    for host in hosts:
        command += ["--name", host]
    return {
        "command": command,
        # Of the process, not in its arguments, which others can see.
        "environment": {TOKEN_VARIABLE: token, "WORKBENCH_PROJECT": str(project.root)},
        "request_headers_override": {"Authorization": f"Bearer {token}"},
        "timeout": _START_SECONDS,
        "absolute_url": False,
        "launcher_entry": {
            "title": "NT Workbench",
            "category": "Notebook",
            "path_info": f"{name}/dashboard",
            "icon_path": str(Path(__file__).with_name("lab.svg")),
        },
    }


def _end_in_order() -> None:
    """Let Ctrl-C and SIGTERM reach Lab once a server of its proxy runs.

    simpervisor, which starts the proxy's servers, takes both signals and raises SystemExit wherever
    Lab's loop is just then: kernels are not shut down, and a thread of AnyIO's that nobody tells
    keeps the process for good, every second time in a trial (simpervisor 1.0, AnyIO 4.16).
    """
    from jupyter_server.serverapp import ServerApp
    from simpervisor import atexitasync

    def end(number: int, _frame: object) -> None:
        for handler in list(atexitasync._handlers):
            handler(number)
        ServerApp.instance().stop(from_signal=True)

    atexitasync._handle_signal = end
