"""What the doctor says: findings, repairs that were made, and the report of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.data.intervals import Interval, iso

Severity = Literal["error", "warning", "info"]

CODES: dict[str, tuple[Severity, str]] = {
    # the catalog
    "unfinished": ("error", "a repair was cut off"),
    "failed": ("error", "a repair that could not be made"),
    "legacy": ("error", "written by NautilusTrader 1.x"),
    "unknown": ("warning", "belongs to nothing the engine or the workbench knows"),
    "unchecked": ("info", "a kind of data the doctor does not look into"),
    "quarantine": ("info", "broken files were put aside"),
    # instruments
    "instrument": ("error", "an instrument's file cannot be used"),
    "instrument-missing": ("warning", "data of an instrument the catalog does not know"),
    # files
    "stray": ("warning", "left by a writer that was killed"),
    "name": ("error", "not named FIRST_LAST.parquet"),
    "unreadable": ("error", "may not be read"),
    "corrupt": ("error", "cannot be read to its end"),
    "metadata": ("error", "lacks the engine's metadata"),
    "schema": ("error", "columns are not the engine's"),
    "identity": ("error", "holds rows of another dataset"),
    "overlap": ("error", "two files cover the same time"),
    "uncovered": ("info", "time between two files that neither covers"),
    "hash": ("error", "the rows are not those that were stored"),
    # rows
    "unsorted": ("error", "rows out of order"),
    "outside": ("error", "rows outside the time the file's name claims"),
    "duplicate": ("error", "rows that are there twice"),
    "repeated": ("info", "equal rows that may well be right"),
    "conflict": ("error", "bars of one moment that differ"),
    "price": ("error", "a price the instrument cannot have"),
    "bar": ("error", "open, high, low and close do not fit together"),
    "size": ("error", "a size or volume that cannot be"),
    "precision": ("error", "more decimals than the file or the instrument has"),
    "increment": ("warning", "prices or sizes between the instrument's steps"),
    "crossed": ("warning", "the bid is above the ask"),
    "spike": ("warning", "a price that jumps and comes back"),
    # the series
    "gap": ("warning", "nothing where the market was open"),
    "calendar": ("info", "gaps were not looked for"),
}
"""Every code with its usual severity and what it means."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes
    ----------
    code
        One of `CODES`.
    message
        What was found, in words.
    severity
        ``error``: results computed from the data are wrong, or reading fails. ``warning``: likely
        wrong. ``info``: worth knowing.
    dataset
        ``bars/AAPL.XNAS-1-DAY-LAST-EXTERNAL``; None for what belongs to no dataset.
    file
        As seen from the project's root.
    span
        First and last moment concerned (UNIX nanoseconds).
    rows
        How many rows.
    repair
        What a repair does about it; None where nothing is safe.
    advice
        What to do where no repair is safe.

    """

    code: str
    message: str
    severity: Severity
    dataset: str | None = None
    file: str | None = None
    span: Interval | None = None
    rows: int | None = None
    repair: str | None = None
    advice: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the finding with the keys ``workbench data doctor`` prints."""
        return {
            "severity": self.severity,
            "code": self.code,
            "dataset": self.dataset,
            "file": self.file,
            "start": iso(self.span[0]) if self.span else None,
            "end": iso(self.span[1]) if self.span else None,
            "rows": self.rows,
            "message": self.message,
            "repair": self.repair,
            "advice": self.advice,
        }


def finding(code: str, message: str, **details: Any) -> Finding:
    """Return a finding of the usual severity of `code`, or of the one given."""
    return Finding(code, message, **({"severity": CODES[code][0]} | details))


@dataclass(frozen=True, slots=True)
class Repaired:
    """One repair that was made.

    Attributes
    ----------
    action
        ``sort``, ``deduplicate``, ``rename``, ``trim``, ``quarantine``, ``remove``, ``migrate``,
        ``consolidate``, ``finish`` or ``roll back``.
    message
        What was done, in words.
    dataset, file
        See `Finding`.
    rows
        Rows before and after, of the files concerned; None where they cannot be counted.
    hashes
        Their row hash (`workbench.data.rows.rows_hash`) before and after; None likewise.

    """

    action: str
    message: str
    dataset: str | None = None
    file: str | None = None
    rows: tuple[int, int] | None = None
    hashes: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the repair with the keys ``workbench data doctor`` prints."""
        rows, hashes = self.rows or (None, None), self.hashes or (None, None)
        written = [None if each is None else f"{each:016x}" for each in hashes]
        return {
            "action": self.action,
            "dataset": self.dataset,
            "file": self.file,
            "message": self.message,
            "rows_before": rows[0],
            "rows_after": rows[1],
            "hash_before": written[0],
            "hash_after": written[1],
        }


@dataclass(slots=True)
class Report:
    """What an examination of the catalog found.

    Attributes
    ----------
    findings
        Everything that is wrong now, the worst first; after a repair, what it left.
    datasets, files, rows
        How much was looked at.
    repaired
        What a repair did.
    undo
        The id that undoes it; None where nothing was changed.

    """

    findings: list[Finding] = field(default_factory=list)
    datasets: int = 0
    files: int = 0
    rows: int = 0
    repaired: list[Repaired] = field(default_factory=list)
    undo: str | None = None

    @property
    def errors(self) -> list[Finding]:
        """The findings that are errors."""
        return [each for each in self.findings if each.severity == "error"]

    def add(self, found: Iterable[Finding]) -> None:
        """Add findings and keep the worst first."""
        self.findings = sorted([*self.findings, *found], key=_rank)

    def to_dict(self) -> dict[str, Any]:
        """Return the report with the keys ``workbench data doctor`` prints."""
        return {
            "findings": [each.to_dict() for each in self.findings],
            "datasets": self.datasets,
            "files": self.files,
            "rows": self.rows,
            "repaired": [each.to_dict() for each in self.repaired],
            "undo": self.undo,
        }


def _rank(each: Finding) -> tuple[int, str, str, str]:
    return SEVERITIES.index(each.severity), each.dataset or "", each.file or "", each.code
