"""The engine's own log: what it says at WARN and above is part of the node's journal.

Some of what matters is only said there. A line that comes again and again is journaled once in a
while, with how often it came.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.engine.live.observe import Recorder

_QUIET_SECONDS = 30.0
_MOST_KINDS = 1_000
_LONGEST = 2_000
_LEVELS = {"WARN": "log.warning", "ERROR": "log.error"}
_NUMBERS = re.compile(r"[0-9a-f]*\d[0-9a-f.\-]*")


@dataclass(slots=True)
class _Kind:
    until: float
    missed: int = 0


class Logbook:
    """Follows the engine's log file from where it is now.

    Parameters
    ----------
    path
        Of the engine's log, JSON lines.
    recorder
        Takes down what it says at WARN and above.
    heard
        Called with the message of each such line.
    secrets
        What must not be taken down: venues repeat the key they refuse.

    Attributes
    ----------
    last_error
        The newest message at ERROR; None if there was none.
    unconnected
        Why a client could not connect; None if none has failed.

    """

    def __init__(
        self,
        path: Path,
        recorder: Recorder,
        heard: Callable[[str], None] = lambda _: None,
        secrets: Collection[str] = (),
    ) -> None:
        self._path, self._recorder, self._heard = path, recorder, heard
        self._secrets = [each for each in secrets if each]
        self.last_error: str | None = None
        self.unconnected: str | None = None
        self._at = path.stat().st_size if path.exists() else 0
        self._kinds: dict[str, _Kind] = {}

    def look(self) -> None:
        """Take in what is new."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # still being written
                    self._at += len(line)
                    if b'"level":"WARN"' in line or b'"level":"ERROR"' in line:
                        self._take(json.loads(line))
        except (FileNotFoundError, ValueError):
            return

    def _take(self, said: dict[str, Any]) -> None:
        component, message = str(said["component"]), str(said["message"])[:_LONGEST]
        for secret in self._secrets:
            message = message.replace(secret, "********")
        self._heard(message)
        if said["level"] == "ERROR":
            self.last_error = message
            if message.startswith("Failed to connect"):
                self.unconnected = message
        key = component + _NUMBERS.sub("#", message)
        now = time.monotonic()
        kind = self._kinds.get(key)
        if kind is not None and now < kind.until:
            kind.missed += 1
            return
        content: dict[str, Any] = {"component": component, "message": message}
        if kind is not None and kind.missed:
            content["missed"] = kind.missed
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        self._kinds[key] = _Kind(now + _QUIET_SECONDS)
        self._recorder.journal.append(_LEVELS[said["level"]], content)
