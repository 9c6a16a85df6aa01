"""The process of a connection check: NautilusTrader's clients may hang, panic or abort in it.

Protocol. It reads one JSON document from its standard input, the fields of `Request`, and writes
JSON lines to its standard output: ``{"begin": "clock"}`` before a step and ``{"step": {...}}``
after it, in the order of `STEPS`, each once. The credentials are in the document and nowhere else:
not in the arguments, not in the environment.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

STEPS = ("reachable", "clock", "authenticated", "permissions", "instruments")

# Nobody may be left to end this process: it ends itself some time after its limit.
_GRACE_SECONDS = 10


def steps(document: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> None:
    """Take every step of a check and send what each found."""
    from workbench.engine.probes import Outcome, Probe, Request, choose, words

    request = Request(**document)
    probe: Probe | None = None
    skipped = ""
    for name in STEPS:
        send({"begin": name})
        if skipped:
            send({"step": {"name": name, "ok": None, "detail": skipped}})
            continue
        began = time.perf_counter()
        try:
            probe = probe or choose(request)
            outcome: Outcome = getattr(probe, name)()
        except Exception as error:  # whatever a library raises is a finding
            address = probe.base if probe else request.adapter
            outcome = Outcome(False, words(error, address))
        if name == "reachable" and outcome.ok is False:
            skipped = "not tried: the venue cannot be reached"
        elif request.late:
            skipped = "not tried: the time was up"
        seconds = time.perf_counter() - began
        send({"step": {"name": name, "seconds": round(seconds, 3), **asdict(outcome)}})


def main() -> None:
    """Take the steps that standard input asks for; what libraries print is no answer."""
    # An abort must not leave a picture of our memory, keys and all, on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a file of our parent's: see `probes.node`
    document = json.load(sys.stdin)
    signal.alarm(int(document["timeout"]) + _GRACE_SECONDS)

    def send(line: dict[str, Any]) -> None:
        answers.write(json.dumps(line) + "\n")

    steps(document, send)
    os._exit(0)  # threads of a client that hangs do not keep us


if __name__ == "__main__":
    main()
