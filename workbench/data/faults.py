"""Faults of a source file: every kind with its first lines and how many there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.core.errors import InputError, Issue

_SHOWN = 4

LineOf = Callable[[Any], list[int]]
"""Turns row numbers (from 0) into the line numbers people see."""


@dataclass(slots=True)
class Faults:
    """Collects the faults of one file.

    Attributes
    ----------
    file
        Its name for messages.
    line_of
        Its lines.
    unit
        What they are called: ``line``, or ``row`` in a Parquet file.
    clean
        What the study allows to be mended.

    """

    file: str
    line_of: LineOf
    unit: str
    clean: tuple[str, ...]
    issues: list[Issue] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(
        self, rows: Any, message: Callable[[int], str], cleaning: str | None, done: str = "dropped"
    ) -> None:
        """Note a fault of some rows.

        Parameters
        ----------
        rows
            Row numbers from 0 in order, or a mask.
        message
            Says what is wrong with one row.
        cleaning
            The word in ``clean:`` that mends it, None where nothing does.
        done
            What mending does to the rows, for the warning.

        """
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        if not len(rows):
            return
        lines = self.line_of(rows[:_SHOWN])
        text = message(int(rows[0])) + self._more(lines, len(rows))
        if cleaning in self.clean:
            where = f"{self.file}:{lines[0]}"
            self.warnings.append(f"{where}: {text}: {done}")
            return
        if cleaning:
            text += f". To mend it on import: 'clean: [{cleaning}]'"
        self.issues.append(Issue(text, file=self.file, line=int(lines[0])))

    def _more(self, lines: list[int], count: int) -> str:
        if count == 1:
            return ""
        others = ", ".join(map(str, lines[1:]))
        ellipsis = ", ..." if count > len(lines) else ""
        return f" ({count} {self.unit}s, also {others}{ellipsis})"

    def raise_if_any(self) -> None:
        """Raise `InputError` with every fault that is not mended."""
        if self.issues:
            raise InputError(sorted(self.issues, key=lambda issue: issue.line or 0))
