"""What Databento has of an instrument: its range, its symbol, its definition."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import Issue, StudyError, choices
from workbench.core.progress import ShouldStop, never
from workbench.data.databento_client import Client, PassingError, RefusedError
from workbench.data.databento_query import DAY, day_of, midnight, to_ns
from workbench.data.databento_schema import asked, schema_of, step_of, symbol_of
from workbench.data.dbn import Reader
from workbench.data.intervals import Interval, clip, union
from workbench.data.provider import Item
from workbench.engine.databento import Listing, listing
from workbench.study.datasets import DatabentoData

# Symbols resolve on days of trading: weekends and holidays at the ends of a range do not.
_PAUSE_DAYS = 4
_DEFINITION_DAYS = 7


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a symbol stood for.

    Attributes
    ----------
    spans
        Each instrument's number, first day and the day after its last.

    """

    spans: tuple[tuple[str, dt.date, dt.date], ...]

    @property
    def rolls(self) -> list[tuple[dt.date, str, str]]:
        """The days on which a continuous contract changes, with the numbers before and after."""
        pairs = itertools.pairwise(self.spans)
        return [(new[1], old[0], new[0]) for old, new in pairs if old[0] != new[0]]


@dataclass(frozen=True, slots=True)
class Notes:
    """What the user should know of each day."""

    by_day: dict[dt.date, list[str]]

    def of(self, interval: Interval) -> list[str]:
        """Return what is to be said of a span."""
        first, last = map(day_of, interval)
        return [text for day in self.by_day if first <= day <= last for text in self.by_day[day]]


class Remote:
    """One dataset of a study at Databento.

    Parameters
    ----------
    item
        The dataset; `workbench.data.databento_schema.check` found nothing wrong with it.

    Raises
    ------
    InputError
        If no key is stored.
    DependencyError
        If the client library is missing.

    """

    def __init__(self, item: Item) -> None:
        assert isinstance(item.spec, DatabentoData)
        assert item.spec.dataset
        self.item, self.spec = item, item.spec
        self.dataset = item.spec.dataset
        self.schema = schema_of(self.spec)
        self.symbol = symbol_of(self.spec)
        self.step = step_of(self.spec)
        self.client = Client()

    @property
    def query(self) -> dict[str, Any]:
        """What every request for rows has."""
        return {
            "dataset": self.dataset,
            "symbols": self.symbol,
            "schema": self.schema,
            "stype_in": self.spec.symbology,
        }

    def available(self) -> Interval:
        """Return the span of rows Databento has.

        Raises
        ------
        StudyError
            If there is no such dataset, schema or symbol, or the key may not use it.

        """
        first, after = self.range
        available = (first, after - 1 + self.step)
        if clip(self._wanted, available) and self.spec.symbology != "instrument_id":
            self._check_resolved()
        return available

    def listing(self) -> Listing:
        """Ask for the instrument's definition.

        Raises
        ------
        StudyError
            If Databento has none.
        DataError
            If it did not answer, or the engine has no such instrument.

        """
        start, end = self.definition_days
        query = self.query | {"schema": "definition", "start": start, "end": end}

        def once() -> bytes:
            with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
                path = Path(folder, "definition.dbn.zst")
                with self.client.guarded():
                    self.client.api.timeseries.get_range(path=path, **query).reader.close()
                return _definitions(path)

        with self.located():
            content: bytes = self.client.repeated(once)
        if not content:
            message = f"Databento has no definition of {self.symbol} in {self.dataset}"
            raise self.item.error(message, self._symbol_key)
        return listing(content)

    def notes(self, should_stop: ShouldStop = never) -> Notes:
        """Return what the user should know of the range wanted, day by day."""
        first, after = self._days
        answer = self.client.ask(
            "metadata.get_dataset_condition",
            lambda found: isinstance(found, list) and all("date" in each for each in found),
            should_stop,
            dataset=self.dataset,
            start_date=str(first),
            end_date=str(_before(after)),
        )
        said: dict[dt.date, list[str]] = {}
        for each in answer:
            day, condition = dt.date.fromisoformat(each["date"]), each.get("condition")
            if condition != "available":
                text = f"Databento calls its {self.dataset} data of {day} {condition}"
                said.setdefault(day, []).append(text)
        start = self._wanted[0]
        if self.schema == "mbo" and start % DAY:
            text = (
                f"the order book of {self.symbol} is whole from midnight (UTC) on, where Databento "
                "sends all of it: what rests before 'start' is not known"
            )
            said.setdefault(day_of(start), []).append(text)
        for day, old, new in self.resolved.rolls:
            names = self._names(old, new)
            text = f"{self.symbol} rolls on {day}, {names}: its prices jump, they are not adjusted"
            said.setdefault(day, []).append(text)
        return Notes(said)

    @functools.cached_property
    def resolved(self) -> Symbol:
        """What the symbol stood for in the range wanted; nothing if Databento does not know it."""
        if self.spec.symbology == "instrument_id":
            return Symbol(())
        start, end = self._days
        try:
            with self.located():
                answer = self.client.ask(
                    "symbology.resolve",
                    _is_resolution,
                    dataset=self.dataset,
                    symbols=self.symbol,
                    stype_in=self.spec.symbology,
                    stype_out="instrument_id",
                    start_date=str(start),
                    end_date=str(end),
                )
        except RefusedError as error:
            if not error.unresolved:
                raise
            return Symbol(())
        result = answer["result"]
        found = result.get(self.symbol) or result.get(self.symbol.upper()) or []
        spans = [
            (str(each["s"]), dt.date.fromisoformat(each["d0"]), dt.date.fromisoformat(each["d1"]))
            for each in found
            if each.get("s")
        ]
        return Symbol(tuple(sorted(spans, key=lambda span: span[1])))

    def _names(self, old: str, new: str) -> str:
        """Say which contracts two numbers are."""
        start, end = self._days
        answer = self.client.ask(
            "symbology.resolve",
            _is_resolution,
            dataset=self.dataset,
            symbols=f"{old},{new}",
            stype_in="instrument_id",
            stype_out="raw_symbol",
            start_date=str(start),
            end_date=str(end),
        )
        spans = [answer["result"].get(number) or [{"s": number}] for number in (old, new)]
        return f"from {spans[0][-1]['s']} to {spans[1][-1]['s']}"

    @property
    def _wanted(self) -> Interval:
        assert self.spec.start_ns is not None
        assert self.spec.end_ns is not None
        return self.spec.start_ns, self.spec.end_ns

    @property
    def _days(self) -> tuple[dt.date, dt.date]:
        """The first day of the range wanted, and the one after its last."""
        first, after = self.range
        start, end = asked(self._wanted, self.step)
        return day_of(max(start, first)), day_of(min(end, after) - 1) + dt.timedelta(days=1)

    @functools.cached_property
    def range(self) -> tuple[int, int]:
        """The first nanosecond of the schema's index time, and the one after the last.

        Raises
        ------
        StudyError
            If there is no such dataset or schema, or the key may not use it.

        """
        with self.located():
            found = self.client.ask("metadata.get_dataset_range", _is_range, dataset=self.dataset)
        by_schema = found.get("schema") or {}
        if by_schema and self.schema not in by_schema:
            raise self._no_schema(by_schema)
        span = by_schema.get(self.schema, found)
        return to_ns(span["start"]), to_ns(span["end"])

    @property
    def _symbol_key(self) -> str:
        return "symbol" if self.spec.symbol else "instrument"

    @property
    def _schema_key(self) -> str:
        keys = {"schema": self.spec.schema_, "bars": self.spec.bars, "ticks": self.spec.ticks}
        return next((key for key, value in keys.items() if value), "book")

    def _check_resolved(self) -> None:
        """Refuse a range in which the symbol stood for nothing for longer than markets close."""
        start, end = self._days
        what = f"{self.spec.symbology} '{self.symbol}' in {self.dataset}"
        hint = (
            "Symbols are those of their time (META was FB before June 2022) and of days of trading"
        )
        if not self.resolved.spans:
            message = f"Databento knows no {what} from {start} to {_before(end)}. {hint}"
            raise self.item.error(message, self._symbol_key)
        known = union((d0.toordinal(), d1.toordinal() - 1) for _, d0, d1 in self.resolved.spans)
        edges = [start.toordinal() - 1, *itertools.chain(*known), end.toordinal()]
        holes = [after - before - 1 for before, after in itertools.batched(edges, 2)]
        if max(holes) > _PAUSE_DAYS:
            days = [tuple(map(dt.date.fromordinal, span)) for span in known]
            parts = ", ".join(f"{first} to {last}" for first, last in days)
            message = f"Databento knows {what} only from {parts}: ask for that. {hint}"
            raise self.item.error(message, "start" if holes[0] > _PAUSE_DAYS else "end")

    @functools.cached_property
    def definition_days(self) -> tuple[int, int]:
        """The last days of the range wanted, from and to: a definition is sent once a day."""
        first, after = self.range
        last = min((self.spec.end_ns or after) + 1, after)
        if self.resolved.spans:
            last = min(last, midnight(self.resolved.spans[-1][2]))
        end = -(-last // DAY) * DAY
        start = max(end - _DEFINITION_DAYS * DAY, first - first % DAY)
        return max(start, first), min(end, after)

    def _no_schema(self, known: Any) -> Exception:
        message = f"{self.dataset} has no schema '{self.schema}'. {choices(self.schema, known)}"
        return self.item.error(message, self._schema_key)

    @contextmanager
    def located(self) -> Iterator[None]:
        """Turn Databento's refusal into an issue at the key of the study that it is about."""
        try:
            yield
        except RefusedError as error:
            if issue := self._issue_of(error):
                raise StudyError(issue) from None
            raise

    def _issue_of(self, error: RefusedError) -> Issue | None:
        """Find which key of the study Databento refuses, None if it is none of them."""
        if error.status == 403:
            return self.item.issue(f"the key may not use {self.dataset}: {error}", "dataset")
        if error.status not in (400, 404, 422) or error.unresolved:
            return None
        known = self.client.ask("metadata.list_datasets", _is_names)
        if self.dataset not in known:
            message = f"Databento has no dataset '{self.dataset}'. {choices(self.dataset, known)}"
            return self.item.issue(message, "dataset")
        known = self.client.ask("metadata.list_schemas", _is_names, dataset=self.dataset)
        if self.schema not in known:
            message = f"{self.dataset} has no schema '{self.schema}'. {choices(self.schema, known)}"
            return self.item.issue(message, self._schema_key)
        if error.case.startswith("data_start"):
            return self.item.issue(str(error), "start")
        if error.case.startswith("data_end"):
            return self.item.issue(str(error), "end")
        return None


def _definitions(path: Path) -> bytes:
    """Return a file of definitions as it is, nothing if it holds none."""
    with Reader(path) as reader:
        if reader.header.schema != "definition":
            raise PassingError("did not answer with definitions")
        return path.read_bytes() if any(len(records) for records in reader.records()) else b""


def _is_names(answer: Any) -> bool:
    return isinstance(answer, list) and all(isinstance(each, str) for each in answer)


def _is_range(answer: Any) -> bool:
    return isinstance(answer, dict) and {"start", "end"} <= set(answer)


def _is_resolution(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("result"), dict)


def _before(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=1)
