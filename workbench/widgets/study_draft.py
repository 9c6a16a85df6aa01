"""The text of a study while it is edited: what was saved, what was before, what is wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core.errors import Issue
from workbench.core.files import write_text
from workbench.study import edit, source
from workbench.study.places import Path as Place
from workbench.widgets.study_form import new

_ONE_EDIT_SECONDS = 1.2  # keys typed in a row are undone together
_WRITTEN_SECONDS = 0.1  # a file changed this recently may be half written
_MOST_UNDONE = 200
_MEANT = re.compile(r"'([^']+)'(?: in '[^']*')?\. Did you mean '([^']+)'\?")
_DETAILS: dict[str, Any] = {
    "definition": {"type": "equity", "currency": "USD", "price_precision": 2},
    "latency": {"base": "0ms"},
    "fills": {"model": "default"},
    "columns": {"timestamp": "timestamp"},
}

_NEW = """\
schema: 1
study: {name}
description: ""

data:
  - provider: sample
    instrument: AAPL.XNAS
    bars: 1-DAY-LAST
    start: 2005-01-01
    end: 2013-03-01

venues:
  - name: XNAS
    account: margin
    balances: [500_000 USD]
    fees: {{maker: 0, taker: 0.0001}}

strategy:
  path: workbench.strategies.ema_cross:EMACross
  params: {{fast: 10, slow: 50, trade_size: 100}}

risk:
  max_orders: 100/1s
"""


class Draft:
    """The text of one file that is being edited, with what it was before each change.

    Parameters
    ----------
    path
        The file; for one that is not there the text is a small study that runs.

    Attributes
    ----------
    text
        As it is now.
    base
        As it was read or saved last.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = self._stamp()
        self.base = self.there()
        self.text = self.base or _NEW.format(name=path.stem)
        self._past, self._at, self._typed = [self.text], 0, 0.0

    @property
    def changed(self) -> bool:
        """Whether it is not what the file holds."""
        return self.text != self.base

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether something has been undone."""
        return self._at + 1 < len(self._past)

    def there(self) -> str:
        """Return what the file holds; nothing where there is none."""
        return self.path.read_text(errors="replace") if self.path.exists() else ""

    def overtaken(self) -> bool:
        """Whether somebody else has changed the file since this was last asked."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        if stamp and 0 <= time.time() - stamp[0] / 1e9 < _WRITTEN_SECONDS:
            return False  # next time
        self._seen = stamp
        return self.there() != self.base

    def change(self, text: str, *, typed: bool = False) -> bool:
        """Take another text and remember the one before; say whether it is another."""
        if text == self.text:
            return False
        now = time.monotonic()
        together = typed and now - self._typed < _ONE_EDIT_SECONDS and self._at > 0
        self._typed = now if typed else 0.0
        self._past = [*self._past[: self._at + (not together)], text][-_MOST_UNDONE:]
        self._at, self.text = len(self._past) - 1, text
        return True

    def step(self, by: int) -> bool:
        """Undo (-1) or redo (1); say whether there was something."""
        if not 0 <= self._at + by < len(self._past):
            return False
        self._at += by
        self.text, self._typed = self._past[self._at], 0.0
        return True

    def reload(self) -> None:
        """Take what the file holds."""
        self._seen = self._stamp()  # before it is read: what is written after that shows
        self.base = self.there()
        self.change(self.base)

    def write(self) -> None:
        """Write the text into the file, whole or not at all."""
        write_text(self.path, self.text)
        self.base, self._seen = self.text, self._stamp()

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        # The size too: the clock of a file system stands still for milliseconds.
        return found.st_mtime_ns, found.st_size


def mended(text: str, path: Place, found: str, meant: str) -> str:
    """Return the text with what was meant in the place of what was found at `path`."""
    if path and path[-1] == found:
        return edit.rename(text, path, meant)
    value: Any = source.parse(text, "study")[0]
    for part in path:
        value = value[part]
    return edit.put(text, path, str(value).replace(found, meant))


def acted(text: str, action: str, chosen: str) -> str:
    """Return the text after a button of the form was pressed; see `study_form`."""
    verb, _, place = action.partition(":")
    path: Place = tuple(int(one) if one.isdecimal() else one for one in place.split("."))
    content: Any = source.parse(text, "study")[0]
    match verb:
        case "remove":
            return edit.drop(text, path)
        case "sweep":
            params = (content.get("strategy") or {}).get("params") or {}
            return edit.put(text, ("sweep", "params", chosen), [params.get(chosen, 1)])
        case "setting":
            return edit.put(text, (*path, chosen), "")
        case "detail":
            return edit.put(text, (*path, chosen), _DETAILS.get(chosen, {}))
    value = content
    for part in path:
        value = (value or {}).get(part)
    listed = place in ("data", "venues") or (path[0] == "live" and len(path) > 1)
    at = (*path, len(value or ())) if listed else path
    return edit.put(text, at, new(str(path[-1]), content))


def told(
    issues: Sequence[Issue], *, valid: bool, readable: bool, looked: bool
) -> list[dict[str, Any]]:
    """Return what the editor lists below the text.

    Parameters
    ----------
    issues
        All that were found.
    valid, readable
        Whether the text is a valid study, and YAML.
    looked
        Whether data and strategy have been looked at.

    """
    if not issues:
        words = "Valid: it can run" if looked else "Valid. Checking data and strategy …"
        return [{"line": None, "path": "", "message": words, "tone": "well", "mend": None}]
    return [
        {
            "line": issue.line, "path": issue.path, "message": issue.message,
            "tone": "told" if valid else "wrong", "mend": _mend(issue) if readable else None,
        }
        for issue in issues
    ]  # fmt: skip


def _mend(issue: Issue) -> dict[str, Any] | None:
    """Return the button that sets what was probably meant."""
    meant = _MEANT.search(issue.message)
    if not meant or not issue.path:
        return None
    path = [int(one) if one.isdecimal() else one for one in issue.path.split(".")]
    return {
        "label": f"Use '{meant[2]}'", "path": path,
        "value": {"found": meant[1], "meant": meant[2]},
    }  # fmt: skip
