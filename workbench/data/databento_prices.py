"""What rows cost at Databento, and in which requests to ask for them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from workbench.data.databento_client import RefusedError
from workbench.data.databento_query import EXACT, Query, cuts
from workbench.data.databento_remote import Remote
from workbench.data.databento_schema import asked
from workbench.data.intervals import Interval
from workbench.data.provider import Request

_AT_ONCE = 4  # Databento allows twenty questions a second
_SMALLEST = Decimal("1e-12")


class Prices:
    """Questions that cost nothing, about rows that do.

    Parameters
    ----------
    remote
        The dataset.

    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def streams(self, interval: Interval) -> list[Request]:
        """Return requests for the rows of `interval`, each of about the same size.

        Raises
        ------
        StudyError
            If Databento refuses.

        """
        start, end = self._asked(interval)
        if start >= end:  # bars that would have opened before the first one did
            return [Request(interval, 0, 0, payload=Query(start, start, 0))]
        total, size, cost = self._measured(start, end)
        spans = list(itertools.pairwise([start, *cuts(start, end, size), end]))
        counts = [total] if len(spans) == 1 else self._counts(spans)
        requests, left, step = [], cost, self._remote.step
        for (first, after), count, least in zip(
            spans, counts, self._least(spans, counts), strict=True
        ):
            share = (cost * count / total).quantize(_SMALLEST) if total else Decimal(0)
            share = left if after == end else min(share, left)
            left -= share
            rows = (
                interval[0] if first == start else first + step,
                interval[1] if after == end else after + step - 1,
            )
            portion = size * count // total if total else 0
            # Nobody needs to be asked for nothing.
            query = Query(first, after if count else first, least)
            requests.append(Request(rows, count, portion, share, payload=query))
        return requests

    def order(self, interval: Interval) -> Request:
        """Return one request for all rows of `interval`, to be delivered as files."""
        start, end = self._asked(interval)
        if start >= end:
            return self.streams(interval)[0]
        count, size, cost = self._measured(start, end)
        return Request(interval, count, size, cost, payload=Query(start, end, 0))

    def definition(self) -> Decimal:
        """Return the price of the instrument's definition."""
        start, end = self._remote.definition_days
        with self._remote.located():
            return _money(self._ask("get_cost", start, end, schema="definition"))

    def _asked(self, interval: Interval) -> tuple[int, int]:
        """Return the index time to ask for; of bars a few more, so that they are counted right."""
        start, end = asked(interval, self._remote.step)
        if self._remote.step:
            start, end = start - start % EXACT, -(-end // EXACT) * EXACT
        first, after = self._remote.range
        return max(start, first), min(end, after)

    def _measured(self, start: int, end: int) -> tuple[int, int, Decimal]:
        """Return the number of records of a span, their bytes and their price."""
        with self._remote.located():
            count, size, cost = self._remote.client.together(
                lambda: self._ask("get_record_count", start, end),
                lambda: self._ask("get_billable_size", start, end),
                lambda: self._ask("get_cost", start, end),
            )
        return int(count), int(size), _money(cost)

    def _counts(self, spans: Sequence[tuple[int, int]]) -> list[int]:
        found: list[int] = []
        with self._remote.located():
            for some in itertools.batched(spans, _AT_ONCE):
                calls = [functools.partial(self._ask, "get_record_count", *span) for span in some]
                found += map(int, self._remote.client.together(*calls))
        return found

    def _least(self, spans: Sequence[tuple[int, int]], counts: Sequence[int]) -> list[int]:
        """Return how many records each span has at least.

        Databento counts exactly in steps of ten minutes; of other spans what is certain is the
        number of those inside.
        """
        first, after = self._remote.range
        least = list(counts)
        for place, (start, end) in enumerate(spans):
            inner = (
                start if start == first else -(-start // EXACT) * EXACT,
                end if end == after else end - end % EXACT,
            )
            if inner != (start, end):
                least[place] = self._counts([inner])[0] if inner[0] < inner[1] else 0
        return least

    def _ask(self, method: str, start: int, end: int, **other: Any) -> Any:
        query = self._remote.query | {"start": start, "end": end} | other
        try:
            return self._remote.client.ask(f"metadata.{method}", _is_amount, **query)
        except RefusedError as error:
            # On weekends and holidays a symbol stands for nothing. That it does on other days of
            # the range wanted was found before.
            if error.unresolved:
                return 0
            raise


def _is_amount(answer: Any) -> bool:
    return isinstance(answer, int | float) and not isinstance(answer, bool) and answer >= 0


def _money(amount: float) -> Decimal:
    return Decimal(str(amount))
