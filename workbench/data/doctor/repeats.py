"""Rows that are there twice, and what makes two rows of one moment the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.study.datasets import Kind

CHECKED: tuple[Kind, ...] = ("bars", "quotes", "trades")
"""Order books are not: two equal changes in a row are two changes."""

# Their trade ids are sequence numbers of the feed: trades of one message share theirs, and two of
# the same size at the same price are two trades.
_REPEATED_IDS = ("databento",)


def duplicates(kind: Kind, ts: Any, hashes: Any) -> Any:
    """Return a mask of the rows that equal an earlier one of the same moment.

    Parameters
    ----------
    kind
        One of `CHECKED`. Of quotes only neighbours count: a price may leave and come back within
        one tick of a coarse clock.
    ts, hashes
        Times in order (int64 UNIX nanoseconds), and the hash of each row.

    """
    found = np.zeros(len(ts), dtype=bool)
    if len(ts) < 2:
        return found
    same = ts[1:] == ts[:-1]
    if kind == "quotes":
        found[1:] = same & (hashes[1:] == hashes[:-1])
        return found
    rows = _in_groups(same)
    order = rows[np.lexsort((hashes[rows], ts[rows]))]  # stable: the first of equals stays first
    found[order[1:]] = (np.diff(ts[order]) == 0) & (hashes[order[1:]] == hashes[order[:-1]])
    return found


def _in_groups(same: Any) -> Any:
    """Return the rows that share their moment with a neighbour."""
    return np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))


def _differing(keys: Sequence[Any], hashes: Any, ts: Any) -> Any:
    """Return the moments of rows with equal keys and different hashes, each once."""
    order = np.lexsort((hashes, *keys))
    equal = np.ones(max(len(order) - 1, 0), dtype=bool)
    for key in keys:
        equal &= key[order[1:]] == key[order[:-1]]
    return np.unique(ts[order[1:]][equal & (hashes[order[1:]] != hashes[order[:-1]])])


class Repeats:
    """Counts duplicates of one file as its rows go by, in order of time.

    Parameters
    ----------
    kind
        One of `CHECKED`.
    provider
        Where the rows came from.

    Attributes
    ----------
    twice
        Moments of rows that equal an earlier one.
    conflicts
        Moments at which bars differ; of trades, at which different ones share an id.

    """

    def __init__(self, kind: Kind, provider: str) -> None:
        self._kind = kind
        self._provider = provider
        self._held: list[tuple[Any, ...]] = []
        self.twice: list[Any] = []
        self.conflicts: list[Any] = []

    @property
    def certain(self) -> bool:
        """Whether equal rows are one row twice: of trades, whether ids tell them apart."""
        if self._kind == "quotes":
            return self._provider not in _REPEATED_IDS  # each message gives a quote there
        if self._kind != "trades":
            return True
        return self._provider not in _REPEATED_IDS and not self.count(self.conflicts)

    @staticmethod
    def count(moments: Sequence[Any]) -> int:
        """Return how many there are."""
        return sum(map(len, moments))

    def feed(self, ts: Any, hashes: Any, ids: Any) -> None:
        """Take the next rows; `ids` hashes the trade ids, anything of that length otherwise."""
        columns = [ts, hashes, ids]
        if self._held:
            columns = [np.concatenate(pair) for pair in zip(self._held.pop(), columns, strict=True)]
        ts = columns[0]
        if not len(ts):
            return
        # The last moment may go on in the next rows.
        split = int(np.searchsorted(ts, ts[-1], side="left"))
        self._held.append(tuple(column[split:] for column in columns))
        self._judge(*(column[:split] for column in columns))

    def finish(self) -> None:
        """Judge the last rows."""
        if self._held:
            self._judge(*self._held.pop())

    def _judge(self, ts: Any, hashes: Any, ids: Any) -> None:
        same = ts[1:] == ts[:-1]
        if not same.any():
            return
        self.twice.append(ts[duplicates(self._kind, ts, hashes)])
        rows = _in_groups(same)
        ts, hashes, ids = ts[rows], hashes[rows], ids[rows]
        if self._kind == "bars":
            self.conflicts.append(_differing((ts,), hashes, ts))
        elif self._kind == "trades":
            self.conflicts.append(_differing((ids, ts), hashes, ts))
