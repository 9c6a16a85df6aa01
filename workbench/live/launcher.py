"""Launching a node: check, resolve what it needs, hand it to a supervisor of its own."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from workbench import study as documents
from workbench.adapters.redaction import child_environment
from workbench.core.errors import Cancelled, InputError, Issue, StudyError, WorkbenchError
from workbench.core.files import make_folder, write_text
from workbench.core.progress import ShouldStop, never
from workbench.core.project import Project
from workbench.live import redis_server
from workbench.live.connections import as_listed, connections
from workbench.live.handle import ENDED, Node, nodes
from workbench.live.supervisor import BACK_OFF, MAX_RESTARTS
from workbench.study import Study
from workbench.study.fields import is_name

_START_SECONDS = 90.0


def launch(
    study: Study | Path | str,
    project: Project | None = None,
    *,
    name: str | None = None,
    max_restarts: int = MAX_RESTARTS,
    back_off: float = BACK_OFF,
    timeout: float = _START_SECONDS,
    should_stop: ShouldStop = never,
) -> Node:
    """Launch a node for `study` in a supervised process of its own.

    The node outlives the session: any process finds it again with `nodes`.

    Parameters
    ----------
    study
        With a ``live`` section; or the path of its file. On the practice venue its instruments
        go by the names they are listed by there.
    project
        Default: the project of the working folder.
    name
        Of the node; default: the study's name. A node launched again under its name goes on in its
        journal.
    max_restarts
        How often a crashed engine is started again.
    back_off
        Seconds before the first of these; each further pause is twice as long.
    timeout
        Seconds to wait for RUNNING.
    should_stop
        Asked until it is RUNNING; True ends it.

    Returns
    -------
    Node
        Once it is RUNNING.

    Raises
    ------
    StudyError
        If the study cannot go live as it is.
    WorkbenchError
        If another node runs this trader, or this one did not start: with the reason.
    Cancelled
        If `should_stop` said so.

    """
    project = project or Project.find()
    document = study if isinstance(study, Study) else documents.load(study)
    _check(document, project)
    own, document = document, as_listed(document, project)
    node = Node(project, name or document.name)
    if not is_name(node.id):
        message = f"'{node.id}' is no name: letters, digits, '.', '_' and '-', up to 100 of them"
        raise InputError(Issue(message, "name"))
    make_folder(project.gateway / "locks")
    # Of two launches at once the second finds the first one's node; it must not touch its folder.
    with FileLock(project.gateway / "locks" / f"launch-{node.id}.lock"):
        _begin(node, own, document, {"max_restarts": max_restarts, "back_off": back_off})

    def heed(_: Mapping[str, Any]) -> None:
        if should_stop():
            raise Cancelled(f"the launch of '{node.id}' was cancelled")

    try:
        known = node.wait(("RUNNING", *ENDED), timeout, heed)
    except (Cancelled, KeyboardInterrupt):
        if node.running:
            node.kill()
        raise
    if known["state"] != "RUNNING":
        raise WorkbenchError(f"node '{node.id}' did not start: {known['reason']}")
    return node


def _begin(node: Node, own: Study, document: Study, options: dict[str, Any]) -> None:
    """Make the node's folder and hand the node to its supervisor."""
    if node.folder.exists() and node.running:
        raise WorkbenchError(f"node '{node.id}' runs already: {node.state()['state']}")
    new = not node.folder.exists()
    make_folder(node.folder)
    try:
        request = _request(own, document, node.project, node) | options
        write_text(node.folder / "study.json", json.dumps(document.to_dict(), indent=1))
        _hand_over(request)
    except WorkbenchError:
        if new:  # a node that never was leaves nothing behind
            shutil.rmtree(node.folder, ignore_errors=True)
        raise


def _check(study: Study, project: Project) -> None:
    from workbench import checks
    from workbench.adapters import missing_credentials

    if study.live is None:
        raise study.error("is missing: it says how the study goes live", "live")
    issues = checks.check(study, project)
    issues += [] if issues else missing_credentials(study)
    if issues:
        raise StudyError(issues)


def _request(own: Study, study: Study, project: Project, node: Node) -> dict[str, Any]:
    from workbench import data

    assert study.live is not None
    replays = [feed for feed in study.live.feeds if feed.adapter == "replay"]
    inputs: list[tuple[int, list[str]]] = []
    if replays:
        data.ensure(study, project)
        found = data.inputs(study, project)
        inputs = [(index, [str(file) for file in files]) for index, (_, files) in enumerate(found)]
    speed = (replays[0].model_extra or {}).get("speed", 1) if replays else 1
    path = socket_path(node)
    remembers = study.live.persistence == "redis"
    if remembers and replays:
        message = "a replay begins anew each time, there is nothing to remember: leave it at 'none'"
        raise study.error(message, "live", "persistence")
    return {
        "folder": str(node.folder),
        "lock": str(project.gateway / "locks" / f"trader-{study.trader}.lock"),
        "trader": study.trader,
        "environment": study.live.environment,
        "socket": str(path),
        "engine": {
            "project": str(project.root),
            "folder": str(node.folder),
            "socket": str(path),
            "file": str(node.folder / "study.json"),
            "study": study.to_dict(),
            "listed_as": {
                mine.instrument: theirs.instrument
                for mine, theirs in zip(own.data, study.data, strict=True)
                if mine.instrument != theirs.instrument
            },
            "inputs": inputs,
            "speed": speed,
            "launch": secrets.token_hex(4),
            "connections": connections(study, project),
            "redis": redis_server.find(project).to_dict() if remembers else None,
        },
    }


def socket_path(node: Node) -> Path:
    """Return where the node's socket is: in a short folder of the user's own.

    A socket's path may have 107 bytes, a project's may have more.
    """
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    folder = base / f"nt-workbench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise WorkbenchError(f"{folder} is open to others: remove it")
    name = hashlib.sha256(str(node.folder).encode()).hexdigest()[:16]
    return folder / f"{name}.sock"


def _whose(request: dict[str, Any]) -> str:
    """Name the node that runs the trader, if one of this project does."""
    folder = Path(request["folder"])
    for node in nodes(Project(folder.parents[2])):
        known = node.state()
        if node.folder != folder and node.running and known.get("trader") == request["trader"]:
            return f": {node.id}. Stop it, or give this study a 'trader' of its own"
    return ""


def _hand_over(request: dict[str, Any]) -> None:
    """Start the supervisor, wait until it holds the trader's lock, and let go of it."""
    Path(request["lock"]).parent.mkdir(parents=True, exist_ok=True)
    with (Path(request["folder"]) / "supervisor.txt").open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.live.supervisor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            env=child_environment(),
        )
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    supervisor.stdin.write(json.dumps(request).encode() + b"\n")
    supervisor.stdin.close()
    try:
        answer = json.loads(supervisor.stdout.readline() or b'{"error": "the supervisor died"}')
    except KeyboardInterrupt:  # it has started no engine yet
        supervisor.kill()
        raise
    supervisor.stdout.close()
    if "error" in answer:
        supervisor.wait()
        raise WorkbenchError(answer["error"] + _whose(request))
    supervisor.returncode = 0  # it outlives this process: nobody here waits for it
