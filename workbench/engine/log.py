"""Reading the engine's log: what it reports as an error only there."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "engine"
FILE = f"{FILE_NAME}.jsonl"

# How the engine writes down an exception that it caught: Python's own last line, or a traceback.
_EXCEPTION = re.compile(r"(Traceback \(most recent call last\)|^\w*(Error|Exception|Interrupt)\b)")


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of a log.

    Attributes
    ----------
    exception
        The first message that reports a Python exception, None if there is none.
    others
        Every other message and how often it came.

    """

    exception: str | None
    others: Counter[str]


def errors(folder: Path) -> Errors:
    """Read the errors of the log in `folder`; a log that is missing or torn has those it shows."""
    exception: str | None = None
    others: Counter[str] = Counter()
    path = folder / FILE
    if not path.is_file():
        return Errors(None, others)
    with path.open("rb") as lines:
        for line in lines:
            if b'"level":"ERROR"' not in line:
                continue
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a process that was killed
            message = f"{entry.get('component', '')}: {entry.get('message', '')}"
            # What the strategy itself logs as an error is its own word, not an exception of it.
            engine = str(entry.get("component", "")).startswith("nautilus_")
            if engine and _EXCEPTION.search(str(entry.get("message", ""))):
                exception = exception or f"{message} (at {entry.get('timestamp')})"
            else:
                others[message.splitlines()[0]] += 1
    return Errors(exception, others)
