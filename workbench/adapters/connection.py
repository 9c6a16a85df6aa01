"""Whether an adapter connects, and what its venue says of the key: step by step, never for long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any, cast

from workbench.adapters import registry, secrets
from workbench.core.errors import Cancelled, InputError, Issue
from workbench.core.progress import ShouldStop, never
from workbench.engine.connection import STEPS

# Of the limit, this much is the process's own: it starts, and tells what it found.
_OWN_SECONDS = 1.0
_LONGEST = 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a check found.

    Attributes
    ----------
    name
        ``reachable``, ``clock``, ``authenticated``, ``permissions`` or ``instruments``.
    ok
        True, False, or None where it could not be told.
    detail
        The finding or the reason, in words; holds no credential.
    seconds
        How long it took, None where it was not tried.
    values
        The numbers and names in it: ``address``, ``latency_ms``, ``offset_ms``, ``unsure_ms``,
        ``permissions``, ``count``, ``names``.

    """

    name: str
    ok: bool | None
    detail: str
    seconds: float | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a connection check.

    Attributes
    ----------
    adapter, environment
        What was checked.
    steps
        All five, in order.
    seconds
        How long all took.

    """

    adapter: str
    environment: str
    steps: tuple[Step, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether no step failed."""
        return all(step.ok is not False for step in self.steps)

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain values."""
        return {"adapter": self.adapter, "ok": self.ok, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an adapter is to connect, and with which key: the practice venue of a project.

    Attributes
    ----------
    environment
        What the check calls it: ``practice``.
    url, websocket
        Its addresses.
    credentials
        By field.

    """

    environment: str
    url: str
    websocket: str
    credentials: Mapping[str, str] = field(repr=False)


def check(
    name: str,
    *,
    environment: str = "live",
    settings: Mapping[str, Any] | None = None,
    timeout: float = 20.0,
    on_step: Callable[[Step], None] | None = None,
    should_stop: ShouldStop = never,
    place: Place | None = None,
) -> Check:
    """Connect to an adapter's venue and say what works.

    The steps: whether the venue is reachable and how fast; how far our clock is off; whether the
    stored key is accepted; what the key may do, where the venue tells; which instruments are seen.
    They are taken in a process of its own. Whatever happens to it, a hang, an abort, a kill, is a
    failed step with its reason.

    Parameters
    ----------
    name
        The adapter.
    environment
        ``live``, ``testnet`` or ``demo``: which address and whose credentials.
    settings
        The adapter's settings for market data, as a study writes them.
    timeout
        Seconds for all steps together.
    on_step
        Called with each step as it ends.
    should_stop
        Asked ten times a second.
    place
        Connect there, in the place of the environment's own address and credentials; see
        `workbench.live.connections.check`.

    Raises
    ------
    InputError
        If the adapter, the environment or a setting is not known, or the store of secrets cannot
        be opened with the passphrase given.
    Cancelled
        If `should_stop` said so.

    Notes
    -----
    ``WORKBENCH_URL_<NAME>`` and ``WORKBENCH_URL_<NAME>_WS`` replace the venue's addresses.

    """
    if not 0 < timeout <= _LONGEST:
        message = f"a number of seconds above zero, at most {_LONGEST:g}, is needed"
        raise InputError(f"timeout is {timeout:g}: {message}")
    on_step = on_step or (lambda _: None)
    called = place.environment if place else environment
    if registry.show(name).data is None:
        steps = [Step(step, None, "it has no market data to connect for") for step in STEPS]
        for step in steps:
            on_step(step)
        return Check(name, called, tuple(steps), 0.0)
    secrets.check_environment(name, environment)
    chosen = _checked(name, environment, settings or {})
    locked = ""
    try:
        credentials = _credentials(name, environment, place)
    except secrets.LockedError as error:
        credentials, locked = {}, str(error)
    variable = f"WORKBENCH_URL_{name.upper()}"
    request = {
        "adapter": name,
        "environment": environment,
        "settings": chosen,
        "credentials": {field: value.reveal() for field, value in credentials.items()},
        "url": place.url if place else os.environ.get(variable) or None,
        "ws_url": place.websocket if place else os.environ.get(f"{variable}_WS") or None,
        "timeout": timeout - min(_OWN_SECONDS, timeout / 4),
        "locked": locked,
    }
    began = time.perf_counter()
    found = []
    for step in _steps(request, timeout, credentials, should_stop):
        found.append(step)
        on_step(step)
    return Check(name, called, tuple(found), round(time.perf_counter() - began, 3))


def _credentials(name: str, environment: str, place: Place | None) -> Mapping[str, secrets.Secret]:
    if place is None:
        return secrets.get(name, environment)
    return {field: secrets.Secret(value) for field, value in place.credentials.items()}


def _checked(name: str, environment: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the environment's own; refuse what no study may choose."""
    from workbench.engine.adapters import problems
    from workbench.study.places import dotted

    adapter = registry.show(name)
    assert adapter.data is not None
    kept = {"credential", "address"} if adapter.credentials else {"credential"}
    for item in adapter.data.fields:
        if item.name in settings and item.role in kept:
            source = f"WORKBENCH_URL_{name.upper()}"
            if item.role == "credential":
                source = f"workbench secrets set {name} {item.name}"
            raise InputError(Issue(f"is not a setting: use {source}", item.name))
    chosen = {**settings, **adapter.data.environments.get(environment, {})}
    # What is missing may not be needed here: Databento's history needs no file of publishers.
    found = [problem for problem in problems(adapter.data, chosen) if problem.path[0] in chosen]
    if found:
        raise InputError([Issue(problem.message, dotted(problem.path)) for problem in found])
    return chosen


def _steps(
    request: dict[str, Any],
    timeout: float,
    credentials: Mapping[str, secrets.Secret],
    should_stop: ShouldStop,
) -> Iterator[Step]:
    """Yield every step; those the process did not get to are told with the reason."""
    pending = list(STEPS)
    running = time.perf_counter()
    with _unnamed() as printed, _process(timeout, printed, should_stop) as (process, late):
        _hand_over(process.stdin, request)
        assert process.stdout is not None
        for line in process.stdout:
            message = _message(line)
            if "step" not in message:
                running = time.perf_counter()
                continue
            step = Step(**message["step"])
            pending.remove(step.name)
            detail, values = _clean(step.detail, credentials), _clean(step.values, credentials)
            yield replace(step, detail=detail, values=values)
        if should_stop():
            raise Cancelled
        reason = f"no answer within {timeout:g} s: the check was stopped"
        code = process.wait()
        if not late.is_set():
            reason = _clean(_end(code, printed), credentials)
    if pending:
        yield Step(pending.pop(0), False, reason, round(time.perf_counter() - running, 3))
    for name in pending:
        yield Step(name, None, "not tried: the check had ended")


def _message(line: str) -> dict[str, Any]:
    """Return a line of the process's; one that it was killed within, or did not mean, is none."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _clean[T](value: T, credentials: Mapping[str, secrets.Secret]) -> T:
    """Return `value` with every text in it redacted."""
    clean: Any = value
    if isinstance(value, str):
        clean = secrets.redact(value, credentials)
    elif isinstance(value, list):
        clean = [_clean(item, credentials) for item in value]
    elif isinstance(value, dict):
        clean = {key: _clean(item, credentials) for key, item in value.items()}
    return cast("T", clean)


def _unnamed() -> IO[bytes]:
    """Return a file without a name for what the process prints, in memory where there is such."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("check"), "w+b")
    return tempfile.TemporaryFile()


@contextmanager
def _process(
    timeout: float, printed: IO[bytes], should_stop: ShouldStop
) -> Iterator[tuple[subprocess.Popen[str], threading.Event]]:
    """Start the process; it is killed when the time is up, or nobody waits for it any more.

    The first of these is an event.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "workbench.engine.connection"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=printed,
        env=secrets.child_environment(),
        encoding="utf-8",
        errors="replace",
        # Ctrl-C in a terminal goes to the whole group: we end the process ourselves.
        start_new_session=True,
    )
    late = threading.Event()

    ended = threading.Event()

    def watch() -> None:
        until = time.monotonic() + timeout
        while not ended.wait(min(0.1, max(until - time.monotonic(), 0))):
            if should_stop():
                break
            if time.monotonic() >= until:
                late.set()
                break
        process.kill()

    watcher = threading.Thread(target=watch, name="check", daemon=True)
    watcher.start()
    try:
        yield process, late
    finally:
        ended.set()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _hand_over(stream: IO[str] | None, request: dict[str, Any]) -> None:
    assert stream is not None
    with suppress(BrokenPipeError):  # it died: how, is found out when it is waited for
        stream.write(json.dumps(request))
        stream.close()


def _end(code: int, printed: IO[bytes]) -> str:
    """Say how the process ended, with the last it printed."""
    how = f"exit code {code}"
    if code < 0:
        with suppress(ValueError):
            how = signal.Signals(-code).name
    printed.seek(max(0, printed.seek(0, os.SEEK_END) - 10_000))
    lines = [line.strip() for line in printed.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    start = next((n for n, line in enumerate(lines) if "panicked at" in line), len(lines) - 1)
    words = " ".join(lines[max(start, 0) :][:2])[:300]
    return f"the process of the check ended ({how}){': ' if words else ''}{words}"
