"""The control channel of a node: JSON lines over a Unix socket, carried out by the engine's thread.

The engine belongs to the thread it runs on, so requests queue up and a timer inside the engine
works them off (`drain`); what takes a while is answered `Later`. A request is ``{"op": "status",
...}``, its answer ``{"ok": true, "result": ...}`` or ``{"ok": false, "error": "...", "kind":
"input" | "failed"}``.
"""

from __future__ import annotations

import json
import os
import queue
import socketserver
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, Issue, WorkbenchError, choices

MAX_LINE = 1 << 20
"""Longest request, in bytes."""

MAX_WAITING = 1_000
"""Requests that may wait to be carried out."""

_TIMEOUT = 10.0

Operation = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that comes once something has happened, or after a while all the same.

    Attributes
    ----------
    done
        Set on the engine's thread.
    seconds
        How long to wait for it at most.
    answer
        Makes the answer, on another thread: of plain values, not of the engine's objects.

    """

    done: threading.Event
    seconds: float
    answer: Callable[[], Any]


class Control:
    """The socket, the queue and the operations.

    Parameters
    ----------
    path
        Of the socket; readable by its owner only.
    operations
        What can be asked for, by name: each takes the request and returns JSON values, or
        `Later`.

    Attributes
    ----------
    wake
        Has `drain` called soon; may be called from any thread.

    """

    def __init__(
        self,
        path: Path,
        operations: dict[str, Operation],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._operations, self._after = operations, after
        self.wake: Callable[[], object] = lambda: None
        self._waiting: queue.Queue[tuple[dict[str, Any], Future[Any]]] = queue.Queue(MAX_WAITING)
        path.unlink(missing_ok=True)
        old = os.umask(0o177)
        try:
            self._server = _Server(str(path), _Connection)
        finally:
            os.umask(old)
        self._server.control = self
        self.path = path
        threading.Thread(target=self._server.serve_forever, name="control", daemon=True).start()

    def drain(self) -> None:
        """Carry out what is waiting. Call on the engine's thread."""
        for _ in range(self._waiting.qsize()):
            try:
                request, answer = self._waiting.get_nowait()
            except queue.Empty:
                break
            if not answer.set_running_or_notify_cancel():
                continue  # whoever asked has given up: it must not happen later
            try:
                answer.set_result(self._operations[request["op"]](request))
            except Exception as error:
                answer.set_exception(error)
        self._after()

    def ask(self, line: bytes) -> dict[str, Any]:
        """Answer one line of a client."""
        answer: Future[Any] = Future()
        try:
            self._waiting.put_nowait((self._parsed(line), answer))
            with suppress(RuntimeError):  # the loop has ended: nobody drains any more
                self.wake()
            return {"ok": True, "result": _waited(answer.result(_TIMEOUT))}
        except queue.Full:
            return _refused("too many commands at once: nothing was done", "failed")
        except Late:
            done = "nothing was done" if answer.cancel() else "it may have been done all the same"
            return _refused(f"the engine did not answer in time: {done}", "failed")
        except InputError as error:
            issues = [issue.to_dict() for issue in error.issues]
            return _refused(str(error), "input") | {"issues": issues}
        except Exception as error:
            text = str(error) if isinstance(error, WorkbenchError) else repr(error)
            return _refused(text, "failed")

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()
        self.path.unlink(missing_ok=True)

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError:
            raise InputError(Issue("a command is one line of JSON")) from None
        name = request.get("op") if isinstance(request, dict) else None
        if name not in self._operations:
            raise InputError(
                Issue(f"no command '{name}'. {choices(str(name), sorted(self._operations))}")
            )
        parsed: dict[str, Any] = request
        return parsed


def _waited(result: Any) -> Any:
    if not isinstance(result, Later):
        return result
    result.done.wait(result.seconds)
    return result.answer()


def _refused(text: str, kind: str) -> dict[str, Any]:
    return {"ok": False, "error": text, "kind": kind}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64
    control: Control

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hung up."""


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(OSError):
            while line := self.rfile.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    answer = _refused(f"a command has at most {MAX_LINE:,} bytes", "input")
                else:
                    answer = self.server.control.ask(line)
                self.wfile.write(json.dumps(answer, default=str).encode() + b"\n")
                if len(line) > MAX_LINE:
                    return
