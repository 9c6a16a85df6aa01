"""The process that owns a node: starts its engine, watches it, starts it again after a crash.

``python -m workbench.live.supervisor`` reads one JSON line from its standard input (what the
launcher resolved, credentials among it, which stay in memory) and answers with one on its standard
output: ``{"ok": true}`` once it holds the trader's lock, or ``{"error": ...}``. From then on it
belongs to no session. It keeps ``state.json`` true; the journal is written by the engine while that
lives, and by the supervisor before and after.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from workbench.core.errors import WorkbenchError
from workbench.core.files import write_text
from workbench.core.journal import Journal
from workbench.live.handle import JOURNAL, KILL, STATE

MAX_RESTARTS = 5
BACK_OFF = 1.0
_STABLE_SECONDS = 60.0


def main() -> int:
    """Supervise one node until it ends."""
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    request = json.loads(line)
    lock: Any = FileLock(request["lock"])
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _answer({"error": f"trader {request['trader']} is run by another node already"})
        return 1
    supervisor = Supervisor(request)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _answer({"ok": True})
    try:
        supervisor.run()
    finally:
        lock.release()
    return 0


def _answer(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 - the launcher reads it
    # Whatever comes later has no reader.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)


class Supervisor:
    """The life of one node, over as many engines as it takes."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._folder = Path(request["folder"])
        self._engine: subprocess.Popen[bytes] | None = None
        self._known: dict[str, Any] = {
            "supervisor": os.getpid(),
            "born": psutil.Process().create_time(),
            "pid": None,
            "engine_born": None,
            "restarts": 0,
            "reason": None,
            "trader": request["trader"],
            "environment": request["environment"],
            "socket": request["socket"],
        }
        self._last: dict[str, Any] = {}
        self._ran = False
        self._more: dict[str, Any] = {}  # for the next engine only
        (self._folder / KILL).unlink(missing_ok=True)
        self._tell("STARTING")

    def run(self) -> None:
        """Run engines until one ends for good."""
        crashes = 0
        while True:
            began = time.monotonic()
            code = self._one_engine()
            if (self._folder / KILL).exists():
                return self._end("KILLED", "killed on request", "lifecycle.killed")
            if "stopped" in self._last:
                return self._end("STOPPED", self._last["stopped"])
            if "failed" in self._last:
                return self._end("FAILED", self._last["failed"])
            if more := self._last.get("next"):
                self._more = more
                continue
            reason = self._last.get("broke") or _death(code, self._output())
            if "broke" in self._last and not self._ran:
                return self._end("FAILED", reason, "lifecycle.failed")
            crashes = 1 if time.monotonic() - began > _STABLE_SECONDS else crashes + 1
            self._note("lifecycle.crashed", reason=reason, last_output=self._output())
            if crashes > self._request["max_restarts"]:
                return self._end("FAILED", f"it crashed {crashes} times, last {reason}")
            self._known["restarts"] += 1
            self._tell("RESTARTING", reason)
            self._wait(self._request["back_off"] * 2 ** min(crashes - 1, 10))
            if (self._folder / KILL).exists():
                return self._end("KILLED", "killed on request", "lifecycle.killed")

    def stop(self) -> None:
        """Stop the engine in order: the end of its standard input tells it."""
        if self._engine is not None and self._engine.stdin is not None:
            with suppress(OSError):
                self._engine.stdin.close()

    def _one_engine(self) -> int:
        self._last = {}
        engine = self._engine = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.engine.live.main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert engine.stdin is not None
        assert engine.stdout is not None
        self._known |= {"pid": engine.pid, "engine_born": psutil.Process(engine.pid).create_time()}
        self._tell("STARTING", self._known["reason"])
        with suppress(BrokenPipeError):
            request = self._request["engine"] | self._more
            self._more = {}
            engine.stdin.write(json.dumps(request).encode() + b"\n")
            engine.stdin.flush()
        listener = threading.Thread(target=self._listen, args=(engine,), daemon=True)
        listener.start()
        code = engine.wait()
        listener.join(2.0)
        engine.stdout.close()
        with suppress(OSError):
            engine.stdin.close()
        return code

    def _listen(self, engine: subprocess.Popen[bytes]) -> None:
        assert engine.stdout is not None
        for line in engine.stdout:
            said = json.loads(line)
            self._last = said
            if "state" in said:
                self._ran |= said["state"] == "RUNNING"
                self._tell(said["state"])

    def _end(self, state: str, reason: str, kind: str | None = None) -> None:
        if kind:
            self._note(kind, reason=reason)
        self._known |= {"pid": None, "engine_born": None}
        self._tell(state, reason)

    def _tell(self, state: str, reason: str | None = None) -> None:
        self._known |= {"state": state, "reason": reason, "since": time.time()}
        # A full disk must not end the one who watches: it tells again with the next state.
        with suppress(OSError, WorkbenchError):
            write_text(self._folder / STATE, json.dumps(self._known))

    def _note(self, kind: str, **content: Any) -> None:
        with (
            suppress(OSError, WorkbenchError),
            Journal(self._folder / JOURNAL, timeout=5.0) as journal,
        ):
            journal.append(kind, content, durable=True)

    def _output(self) -> str:
        try:
            return (self._folder / "output.txt").read_text(errors="replace")[-2000:]
        except FileNotFoundError:
            return ""

    def _wait(self, seconds: float) -> None:
        late = time.monotonic() + seconds
        while time.monotonic() < late and not (self._folder / KILL).exists():
            time.sleep(0.05)


def _death(code: int, output: str) -> str:
    """Say in words how a process ended that should not have."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = {"SIGABRT": ": the engine panicked", "SIGKILL": ": killed, or out of memory"}
        return f"the engine's process died of {name}{hint.get(name, '')}"
    last = (output.strip().splitlines() or ["it left no word"])[-1]
    return f"the engine's process ended with {code}: {last}"


if __name__ == "__main__":
    sys.exit(main())
