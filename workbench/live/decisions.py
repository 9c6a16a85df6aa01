"""Does a strategy on a replay decide as in its backtest? What differs, in words.

A decision is an order as the strategy made it: at which row of the data, for which instrument,
side, quantity, kind and price. What became of it (filled how far, at what price, refused) is
compared too. What the desk was told to do is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench.backtest import Run, RunStore
from workbench.core import journal
from workbench.core.errors import InputError, Issue
from workbench.core.project import Project
from workbench.live.handle import JOURNAL, Node

_DESK = "DESK-DESK"
_SAME = Decimal("1e-9")  # of a price: averages are rounded differently
_WORDS = {"quantity": "quantity", "price": "price", "trigger": "trigger price"}


@dataclass(slots=True)
class Decision:
    """One order of the strategy.

    Attributes
    ----------
    at
        Time of the row of data at which it was made, UNIX nanoseconds.
    instrument, side, kind
        Such as ``AAPL.XNAS``, ``BUY``, ``MARKET``.
    quantity, price, trigger
        In the end, if it was changed.
    filled, average
        What came of it.
    refused
        Why it did not leave; None if it did.

    """

    at: int
    instrument: str
    side: str
    kind: str
    quantity: Decimal
    price: Decimal | None = None
    trigger: Decimal | None = None
    filled: Decimal = Decimal(0)
    average: Decimal | None = None
    refused: str | None = None

    def __str__(self) -> str:
        price = f" at {self.price}" if self.price is not None else ""
        units = self.quantity.normalize()
        return f"{self.side} {units:f} {self.instrument} {self.kind}{price}"


@dataclass(frozen=True, slots=True)
class Parity:
    """What a node on a replay and a backtest have in common.

    Attributes
    ----------
    node, run
        Their ids.
    node_decisions, run_decisions
        How many orders each made, up to where both have come.
    until
        The replay has come so far (UNIX nanoseconds); None if it has ended.
    differences
        In words, by time; nothing if they decided the same.

    """

    node: str
    run: str
    node_decisions: int
    run_decisions: int
    until: int | None
    differences: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether both decided the same."""
        return not self.differences

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "node_id": self.node, "run_id": self.run, "equal": self.equal,
            "node_decisions": self.node_decisions, "run_decisions": self.run_decisions,
            "until_ns": self.until, "differences": self.differences,
        }  # fmt: skip

    def __str__(self) -> str:
        far = f" up to {_when(self.until)}" if self.until is not None else ""
        head = (
            f"node {self.node} made {self.node_decisions} orders{far}, "
            f"run {self.run} made {self.run_decisions}: "
        )
        if self.equal:
            return f"{head}the same decisions"
        return "\n".join([f"{head}{len(self.differences)} differences", *self.differences])


def parity(node: Node | Path | str, run: Run | str, project: Project | None = None) -> Parity:
    """Compare the decisions of a node on a replay with those of a backtest.

    Parameters
    ----------
    node
        The node, its name, or a journal. Of a node that was started several times the last time
        counts: a replay begins anew.
    run
        The backtest, or its id.
    project
        Default: the node's, else that of the working folder.

    Raises
    ------
    InputError
        If there is no such node or run, the run is not done, or the node has no replay.
    DataError
        If the journal is damaged.

    """
    if isinstance(node, Node):
        project = project or node.project
    project = project or Project.find()
    if isinstance(node, str):
        from workbench.live.handle import node as find

        node = find(node, project)
    if isinstance(run, str):
        run = RunStore(project).get(run)
    if run.status != "done":
        raise InputError(Issue(f"run {run.id} is {run.status}: only one that is done can tell"))
    path, name = (node, node.stem) if isinstance(node, Path) else (node.folder / JOURNAL, node.id)
    entries = _last_start(path)
    if not any(entry["type"] == "feed.started" for entry in entries):
        raise InputError(Issue(f"node '{name}' has not played any data: it has no replay"))
    until = _until(entries)
    mine = _of_node(entries)
    theirs = [each for each in _of_run(run) if until is None or each.at <= until]
    return Parity(name, run.id, len(mine), len(theirs), until, list(_differences(mine, theirs)))


def _last_start(path: Path) -> list[journal.Entry]:
    entries: list[journal.Entry] = []
    for entry in journal.read(path):
        if entry["type"] == "lifecycle.starting":
            entries = []
        entries.append(entry)
    return entries


def _until(entries: Iterable[journal.Entry]) -> int | None:
    """Return how far the replay has come; None if to its end."""
    until = 0
    for entry in entries:
        if entry["type"] == "feed.ended":
            return None
        until = max(until, entry.get("at") or 0)
    return until


def _of_node(entries: Iterable[journal.Entry]) -> list[Decision]:
    made: dict[str, Decision] = {}
    for entry in entries:
        data = entry.get("data") or {}
        name = str(entry.get("client_order_id") or data.get("client_order_id"))
        match entry["type"]:
            case "order.initialized" if data["strategy_id"] != _DESK:
                made[name] = _decision(entry["at"], data)
            case "risk.denied" if entry.get("order") and entry["strategy"] != _DESK:
                made[name] = _decision(entry["at"], entry["order"])
                made[name].refused = entry["reason"]
            case "order.denied" | "order.rejected" if name in made:
                made[name].refused = str(data.get("reason"))
            case "order.updated" if name in made:
                order = made[name]
                order.quantity = Decimal(data["quantity"])
                order.price = _number(data.get("price")) or order.price
                order.trigger = _number(data.get("trigger_price")) or order.trigger
            case "order.filled" if name in made:
                order, units = made[name], Decimal(data["last_qty"])
                cost = (order.average or 0) * order.filled + Decimal(data["last_px"]) * units
                order.filled += units
                order.average = cost / order.filled
    return list(made.values())


def _decision(at: int, data: Mapping[str, Any]) -> Decision:
    return Decision(
        at,
        data["instrument_id"],
        data["order_side"],
        data["order_type"],
        Decimal(data["quantity"]),
        _number(data.get("price")),
        _number(data.get("trigger_price")),
    )


def _of_run(run: Run) -> list[Decision]:
    return [
        Decision(
            row["ts_init"].value,
            row["instrument"],
            row["side"],
            row["type"],
            Decimal(str(row["quantity"])),
            _number(row["price"]),
            _number(row["trigger_price"]),
            Decimal(str(row["filled_qty"])),
            _number(row["avg_px"]),
            row["reason"] if row["status"] in ("DENIED", "REJECTED") else None,
        )
        for row in run.orders().to_dict("records")
    ]


def _differences(mine: Iterable[Decision], theirs: Iterable[Decision]) -> Iterator[str]:
    """Pair the decisions of each moment and say in what they differ."""
    by_time: defaultdict[int, tuple[list[Decision], list[Decision]]] = defaultdict(lambda: ([], []))
    for side, decisions in enumerate((mine, theirs)):
        for each in decisions:
            by_time[each.at][side].append(each)
    for at in sorted(by_time):
        here, there = by_time[at]
        for my, their in zip(here, there, strict=False):
            for text in _compared(my, their):
                yield f"{_when(at)}: {my}: {text}"
        for each in here[len(there) :]:
            yield f"{_when(at)}: only the node: {each}"
        for each in there[len(here) :]:
            yield f"{_when(at)}: only the run: {each}"


def _compared(my: Decision, their: Decision) -> Iterator[str]:
    if (my.instrument, my.side, my.kind) != (their.instrument, their.side, their.kind):
        yield f"the run decided {their}"
        return
    for name, word in _WORDS.items():
        if not _close(getattr(my, name), getattr(their, name)):
            yield f"{word} {getattr(my, name)} in the node, {getattr(their, name)} in the run"
    if my.refused and not their.refused:
        yield f"refused in the node: {my.refused}"
    elif their.refused and not my.refused:
        yield f"refused in the run: {their.refused}"
    elif not _close(my.filled, their.filled):
        yield f"{my.filled} filled in the node, {their.filled} in the run"
    elif not _close(my.average, their.average):
        yield f"filled at {my.average} in the node, at {their.average} in the run"


def _close(one: Decimal | None, other: Decimal | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _SAME * max(abs(one), abs(other))


def _number(value: Any) -> Decimal | None:
    """Return a number; None for what is none: tables have NaN there."""
    if value is None or value != value:
        return None
    return Decimal(str(value))


def _when(nanoseconds: int | None) -> str:
    return f"{datetime.fromtimestamp((nanoseconds or 0) / 1e9, UTC):%Y-%m-%d %H:%M:%S}"
