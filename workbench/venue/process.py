"""A venue in a process of its own, which goes when this one does.

Protocol of the child: it reads one JSON line from its standard input, what `serve` is asked for,
and writes one to its standard output: ``{"ready": {...}}``, or ``{"error", "kind"}``. The end of
its standard input tells it to stop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workbench.core.errors import DataError, InputError, WorkbenchError
from workbench.core.project import Project
from workbench.study import Study, load
from workbench.study.load import build
from workbench.study.places import Places
from workbench.venue.serving import Ready, serve

_PATIENCE = 60.0
_FAREWELL = 5.0


def start(
    *,
    study: Study | Path | str | None = None,
    project: Project | None = None,
    books: Path | str | None = None,
    **options: Any,
) -> Venue:
    """Start a practice venue in a process of its own; it ends with this one.

    Parameters
    ----------
    study
        A study, or its file.
    project, books
        See `serve`.
    options
        The others of `serve`, but for `on_ready` and `stop`.

    Raises
    ------
    InputError, DataError, WorkbenchError
        See `serve`; the latter also if the process dies before it is ready.

    """
    if study is not None and not isinstance(study, Study):
        study = load(study)
    if project is None and (study is not None or options.get("datasets")):
        project = Project.find()
    request = {
        **options,
        "study": None if study is None else study.to_dict(),
        "project": None if project is None else str(project.root),
        "books": None if books is None else str(Path(books).absolute()),
    }
    return Venue(request)


class Venue:
    """A practice venue in a process of its own; made by `start`.

    Attributes
    ----------
    ready
        Its addresses and credentials.
    process
        The process.

    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            # -P: a file of the user's called json.py must not take the library's place.
            [sys.executable, "-P", "-m", "workbench.venue.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # Ctrl-C in a terminal goes to the whole group: the child is told by us instead.
            start_new_session=True,
        )
        try:
            self.ready = self._launched(request)
        except BaseException:
            self.kill()
            raise

    @property
    def url(self) -> str:
        """Its address, such as ``http://127.0.0.1:40123``."""
        return self.ready.url

    @property
    def instruments(self) -> dict[str, str]:
        """NautilusTrader's id at the venue of each instrument that is listed."""
        return self.ready.instruments

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None

    def status(self) -> dict[str, Any]:
        """Return state, position in the data, prices, connections, topics, faults, account."""
        return self._ask("GET", "status")

    def price(self, symbol: str, **price: Any) -> dict[str, Any]:
        """Set a price: ``last`` (and ``side``), or ``bid`` and ``ask`` (and ``size``)."""
        written = {name: str(value) for name, value in price.items()}
        return self._ask("POST", "price", {"symbol": symbol, **written})

    def fault(self, fault: str, **more: Any) -> dict[str, Any]:
        """Let a fault strike, see `workbench.venue.faults.KINDS`."""
        return self._ask("POST", "faults", {"fault": fault, **more})

    def clear_faults(self) -> None:
        """Let everything be well from now on."""
        self._ask("DELETE", "faults")

    def pause(self) -> None:
        """Stop the replay where it is."""
        self._ask("POST", "pause")

    def resume(self, speed: float | str | None = None) -> None:
        """Go on with the replay, at another speed if one is given."""
        self._ask("POST", "resume", {} if speed is None else {"speed": speed})

    def step(self, count: int = 1, of: str = "events") -> dict[str, Any]:
        """Play `count` events, or as many as close `count` ``bars``; return the status."""
        return self._ask("POST", "step", {"count": count, "of": of})

    def stop(self) -> None:
        """Let it end in order."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_FAREWELL)
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _launched(self, request: Mapping[str, Any]) -> Ready:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):  # it died: the end of its output tells
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self._errors.seek(0)
            reason = self._errors.read().decode(errors="replace").strip() or "without a word"
            raise WorkbenchError(
                f"the venue's process ended ({self.process.returncode}): {reason[-2000:]}"
            )
        told = json.loads(line)
        if "error" in told:
            raise _ERRORS[told["kind"]](told["error"])
        return Ready(**told["ready"])

    def _ask(
        self, method: str, verb: str, content: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.url}/practice/{verb}",
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={"Authorization": f"Bearer {self.ready.token}"},
        )
        try:
            with _DIRECT.open(request, timeout=_PATIENCE) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            told = json.loads(error.read() or b"{}")
            raise InputError(str(told.get("error", error))) from None
        except OSError as error:
            raise WorkbenchError(f"the venue at {self.url} does not answer: {error}") from None


_ERRORS: dict[str, type[WorkbenchError]] = {
    each.__name__: each for each in (InputError, DataError, WorkbenchError)
}
# A proxy for the internet is none for this machine.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> None:
    """Run the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = json.loads(sys.stdin.buffer.readline())
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever is printed is no part of the protocol
    stop = threading.Event()
    threading.Thread(target=_until_orphaned, args=(stop,), name="parent", daemon=True).start()
    project = request.pop("project")
    content = request.pop("study")
    try:
        serve(
            **request,
            study=None if content is None else build(content, Places()),
            project=None if project is None else Project(Path(project)),
            on_ready=lambda ready: print(json.dumps({"ready": asdict(ready)}), file=out),
            stop=stop,
        )
    except WorkbenchError as error:
        kinds = [each.__name__ for each in type(error).__mro__ if each.__name__ in _ERRORS]
        with suppress(OSError):
            print(json.dumps({"error": str(error), "kind": kinds[0]}), file=out)
        sys.exit(error.exit_code)


def _until_orphaned(stop: threading.Event) -> None:
    # Not through sys.stdin: its lock, held by this thread, would abort the end of the process.
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    main()
