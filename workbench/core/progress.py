"""Progress as data: the rooms say what is done, each front end draws it its own way."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work has come.

    Attributes
    ----------
    task
        What is being worked on, in words.
    done, total
        In `unit`; `total` is 0 where it is not known.
    unit
        ``rows``, ``runs``, ``%`` and the like.
    detail
        What else is worth seeing, in words: ``12.3 MB, 0.04 USD``.

    """

    task: str
    done: float
    total: float
    unit: str = ""
    detail: str = ""

    @property
    def fraction(self) -> float:
        """Share done, 0 to 1 (0 where the total is not known)."""
        return min(self.done / self.total, 1.0) if self.total else 0.0


OnProgress = Callable[[Progress], None]
"""Called from the thread that does the work; must return quickly."""

ShouldStop = Callable[[], bool]
"""Asked between steps; True stops the work with `Cancelled`."""


def ignore(progress: Progress) -> None:
    """Draw nothing."""


def never() -> bool:
    """Do not stop."""
    return False
