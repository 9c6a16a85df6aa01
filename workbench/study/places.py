"""Where each value of a study was written: file and line by path."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.core.errors import Issue

type Path = tuple[str | int, ...]
"""Keys and list positions from the top of the document to a value."""


_MAX_SHOWN = 160  # as long as an instrument id may be


def short(text: str) -> str:
    """Return `text` cut to a length a message can carry."""
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def dotted(path: Sequence[str | int]) -> str:
    """Write a path the way errors and ``-p`` do: ``data.0.start``."""
    return ".".join(short(str(part)) for part in path)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of `value`, then of everything in it."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*path, index))


@dataclass(slots=True)
class Places:
    """File and line of every key and item.

    Attributes
    ----------
    lines
        ``(file, line)`` by path; line is None for values from the environment or ``-p``.
    file
        The file named for what is missing altogether.

    """

    lines: dict[Path, tuple[str, int | None]] = field(default_factory=dict)
    file: str | None = None

    def issue(self, message: str, path: Sequence[str | int]) -> Issue:
        """Return an issue at `path`, at the line of the nearest part that was written."""
        known = tuple(path)
        while known and known not in self.lines:
            known = known[:-1]
        file, line = self.lines.get(known, (self.file, None))
        return Issue(message, dotted(path), file, line)
