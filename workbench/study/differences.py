"""What differs between two studies."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from workbench.study.document import Study
from workbench.study.places import Path, dotted


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs.

    Attributes
    ----------
    path
        Dotted path in the document.
    kind
        ``changed``, ``added`` (only the new study has it) or ``removed``.
    old, new
        The values; None on the side that lacks it.

    """

    path: str
    kind: Literal["changed", "added", "removed"]
    old: Any
    new: Any

    def __str__(self) -> str:
        match self.kind:
            case "added":
                return f"{self.path}: + {self.new!r}"
            case "removed":
                return f"{self.path}: - {self.old!r}"
            case _:
                return f"{self.path}: {self.old!r} -> {self.new!r}"

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain JSON values."""
        return asdict(self)


def diff(old: Study, new: Study) -> list[Change]:
    """Return what differs between two studies, defaults included, in the document's order."""
    return list(_changes(old.to_dict(), new.to_dict(), ()))


def _changes(old: Any, new: Any, path: Path) -> Iterator[Change]:
    if isinstance(old, list) and isinstance(new, list):
        old, new = dict(enumerate(old)), dict(enumerate(new))
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            here = (*path, key)
            if key not in new:
                yield Change(dotted(here), "removed", old[key], None)
            elif key not in old:
                yield Change(dotted(here), "added", None, new[key])
            else:
                yield from _changes(old[key], new[key], here)
    # True equals 1 in Python, not in a study.
    elif type(old) is not type(new) or old != new:
        yield Change(dotted(path), "changed", old, new)
