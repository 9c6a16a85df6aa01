"""The exceptions of the workbench.

::

    WorkbenchError              exit 1   anything the workbench says is wrong
    ├── InputError              exit 2   what was handed in is wrong; lists every issue
    │   └── StudyError          exit 2   ... in a study document
    ├── DependencyError         exit 1   a library is missing or of the wrong version
    ├── DataError               exit 1   a file of the catalog or a provider's answer is unusable
    ├── RunError                exit 1   a run failed; carries its run id
    └── Cancelled               exit 130 stopped at the user's wish
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, and where.

    Attributes
    ----------
    message
        What was found, what is allowed and, where one is near, the name that was probably meant.
    path
        Dotted path in the document (``strategy.params.fast``), empty for the document itself.
    file
        The file, or ``environment`` or ``-p`` when the value came from there.
    line
        1-based line in `file`, None where there is no line.

    """

    message: str
    path: str = ""
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        where = self.file or ""
        if self.file and self.line is not None:
            where += f":{self.line}"
        # `-p data.0.start` says the path already.
        path = "" if where.endswith(f" {self.path}") else self.path
        return ": ".join(part for part in (where, path, self.message) if part)

    def to_dict(self) -> dict[str, Any]:
        """Return the issue with the keys the commands print."""
        return asdict(self)


class WorkbenchError(Exception):
    """Base of every error the workbench raises on purpose."""

    exit_code = 1


class InputError(WorkbenchError):
    """What was handed in is wrong.

    Parameters
    ----------
    issues
        One message, one issue or all that were found.

    """

    exit_code = 2

    def __init__(self, issues: str | Issue | Iterable[Issue]) -> None:
        if isinstance(issues, str):
            issues = Issue(issues)
        self.issues: Sequence[Issue] = (issues,) if isinstance(issues, Issue) else tuple(issues)
        super().__init__("\n".join(map(str, self.issues)))


class StudyError(InputError):
    """A study document is not valid."""


class DependencyError(WorkbenchError):
    """A library is missing or not the version the workbench is made for."""


class DataError(WorkbenchError):
    """A file of the catalog is unusable or a provider did not deliver."""


class RunError(WorkbenchError):
    """A run failed.

    Parameters
    ----------
    message
        The reason, with the strategy's traceback where there is one.
    run_id
        The run in the store, None if it never got that far.

    """

    def __init__(self, message: str, run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class Cancelled(WorkbenchError):  # noqa: N818 - a wish, not an error
    """The user stopped the work."""

    exit_code = 130

    def __init__(self, message: str = "cancelled", run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


_MOST = 30


def nearest(found: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name closest to `found`, or None if none is close."""
    names = {name.lower(): name for name in allowed}
    close = difflib.get_close_matches(found.lower(), names, n=1, cutoff=0.6)
    return names[close[0]] if close else None


def choices(found: str, allowed: Iterable[str]) -> str:
    """Say which names are allowed, the nearest one first: the tail of an error message."""
    names = list(allowed)
    near = nearest(found, names)
    hint = f"Did you mean '{near}'? " if near else ""
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{hint}Allowed: {', '.join(names[:_MOST]) if names else 'none'}{more}"
