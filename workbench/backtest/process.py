"""The processes that backtests run in: how they are started, told what to do and listened to.

Protocol. The child imports what it will need, then reads one JSON line from its standard input,
``{"project", "folder", "run_id", "notebook"}``, and writes JSON lines to its standard output:
``{"progress": 0.4}``; ``{"issues": [...]}`` where the study is refused; ``{"finished": 0}`` once
the run is recorded. The end of its standard input tells it that its parent is gone. It can be
launched before it is known what to run: its imports then cost nothing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TextIO

from workbench.core.environment import without_keys

OUTPUT_FILE = "output.txt"
"""What a run's process prints."""

Kind = Literal["worker", "notebook"]


_ahead: dict[Kind, subprocess.Popen[bytes]] = {}


def prepare(kind: Kind) -> None:
    """Start a process for the next `launch` to take; it leaves with this one if none does."""
    _ahead[kind] = launch(kind)


def launch(kind: Kind = "worker") -> subprocess.Popen[bytes]:
    """Start a process that waits to be told what to run."""
    if kind in _ahead:
        return _ahead.pop(kind)
    return subprocess.Popen(
        # -P: a file of the user's called json.py or random.py must not take the library's place.
        [sys.executable, "-P", "-m", f"workbench.backtest.{kind}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C in a terminal goes to the whole group: the child is told by us instead.
        start_new_session=True,
        env=without_keys(),
    )


def tell(process: subprocess.Popen[bytes], request: Mapping[str, Any]) -> None:
    """Tell a launched process what to run."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it died: `wait` finds out how
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()


def dismiss(process: subprocess.Popen[bytes]) -> None:
    """End a launched process that is not needed after all."""
    process.kill()
    process.wait()
    close(process)


def close(process: subprocess.Popen[bytes]) -> None:
    """Close our ends of the pipes."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def receive() -> tuple[dict[str, Any], TextIO] | None:
    """Wait, in the child, for the request; return it and where to write events.

    From here on whatever the process prints goes to `OUTPUT_FILE`. None if the parent left.
    """
    line = sys.stdin.buffer.readline()
    if not line:
        return None
    request: dict[str, Any] = json.loads(line)
    events = os.fdopen(os.dup(1), "w", buffering=1)
    project = Path(request["project"])
    os.chdir(project)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    output = os.open(Path(request["folder"]) / OUTPUT_FILE, flags, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    return request, events
