"""The plain values a study is made of: what JSON can say, within bounds."""

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from os import PathLike, fspath
from typing import Any

from workbench.core.errors import Issue, StudyError
from workbench.study.places import Path, dotted, short

# A study is some hundred values; aliases can make a small file stand for a huge document.
MAX_VALUES = 20_000
MAX_DEPTH = 40


def fault(value: bool | float | str | None) -> str | None:
    """Say why a single value cannot stand in a study, None if it can."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, found {value}"
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return "is an integer of more than 64 bits"
    if isinstance(value, str):
        if "\0" in value:
            return "holds a NUL character"
        try:
            value.encode()
        except UnicodeEncodeError:
            return "holds half of a surrogate pair, which is no character"
    return None


def plain(value: Any, path: Path = (), origin: str | None = None) -> Any:
    """Turn Python objects into plain values.

    Dates become ISO text, tuples, sets and ranges lists, numpy scalars numbers. A `Decimal`
    becomes a float where that is exact in writing (``0.1``), else text.

    Parameters
    ----------
    value
        Anything.
    path, origin
        Where it goes in the study and where it came from, for the error.

    Raises
    ------
    StudyError
        If a study cannot hold it.

    """
    return _plain(value, path, origin, [MAX_VALUES])


def _plain(value: Any, path: Path, origin: str | None, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0 or len(path) > MAX_DEPTH:
        message = f"is too large: at most {MAX_VALUES} values, {MAX_DEPTH} levels deep"
        raise StudyError(Issue(message, dotted(path[:4]), origin))
    if isinstance(value, Mapping):
        content = {}
        for key, item in value.items():
            if not isinstance(key, str) or fault(key):
                raise StudyError(Issue(f"keys are text, found {shown(key)}", dotted(path), origin))
            content[str(key)] = _plain(item, (*path, key), origin, left)
        return content
    single = _single(value)
    if isinstance(single, bool | int | float | str) or single is None:
        if problem := fault(single):
            raise StudyError(Issue(problem, dotted(path), origin))
        return single
    if isinstance(single, Iterable) and not isinstance(single, bytes | bytearray):
        items = enumerate(
            sorted(single, key=repr) if isinstance(single, set | frozenset) else single
        )
        return [_plain(item, (*path, index), origin, left) for index, item in items]
    message = f"a study cannot hold a {type(value).__name__}; it holds text, numbers, lists, groups"
    raise StudyError(Issue(message, dotted(path), origin))


def _single(value: Any) -> Any:
    """Turn what stands for one value into it; leave the rest."""
    if isinstance(value, Enum):
        return _single(value.value)
    if isinstance(value, dt.date):  # datetimes and pandas' timestamps are dates too
        return value.isoformat()
    if isinstance(value, Decimal):
        number = float(value) if value.is_finite() else math.nan
        return number if Decimal(repr(number)) == value or math.isnan(number) else str(value)
    if isinstance(value, PathLike):
        return fspath(value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)  # drops subclasses such as numpy.float64
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()  # numpy.int64, numpy.bool
    return value


def shown(value: Any) -> str:
    """Return `value` for a message: short, groups and lists by their outline only.

    What stands inside a group is left out because it may be a credential.
    """
    if isinstance(value, Mapping):
        text = f"a group of keys ({', '.join(map(str, value))})"
    elif isinstance(value, list | tuple):
        text = f"a list of {len(value)}"
    elif value is None or isinstance(value, bool):
        text = {None: "nothing", True: "true", False: "false"}[value]
    else:
        text = repr(value)
    return short(text)
