"""The venue's books: orders, executions and the account, kept in a journal.

Every change is one line of the journal: the orders as they are after it and the executions that
led there. It is on the disk before the change is acknowledged to anybody, so that a venue killed at
any moment finds its books again as its clients know them.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench.core.errors import DataError, InputError
from workbench.core.journal import Journal, read
from workbench.venue.account import Account
from workbench.venue.model import COIN, Contract, Execution, Order, exact, text


@dataclass(slots=True)
class Work:
    """What one request, or one change of a price, brought about.

    Attributes
    ----------
    orders
        The orders it touched, by id, as they are now.
    updates
        What their owner is told: each state an order went through.
    executions
        In the order they happened.
    leverages
        Leverages that were set, by symbol.

    """

    orders: dict[str, Order] = field(default_factory=dict)
    updates: list[Order] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    leverages: dict[str, Decimal] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.orders or self.leverages)

    def symbols(self) -> list[str]:
        """Return the contracts whose position it changed."""
        return list(dict.fromkeys(execution.symbol for execution in self.executions))


class Books:
    """Orders, executions and the account.

    Parameters
    ----------
    path
        The journal; None keeps the books in memory.
    contracts
        By symbol; those of the orders in the books must be among them.
    mark
        See `Account`.
    balance
        USDT they are opened with, or must have been; None for any.
    opening
        USDT to open them with where `balance` is None.

    Raises
    ------
    InputError
        If the books were opened with another balance, or hold a contract that is not listed.
    DataError
        If they are damaged.
    WorkbenchError
        If another venue keeps them.

    Attributes
    ----------
    orders
        Every order there ever was, by id.
    open
        Those that may still fill, by symbol, then by id.
    executions
        Oldest first.
    position
        Up to which nanosecond of its data the replay had come; None before it began.
    prices
        Prices set by hand since then, by symbol.

    """

    def __init__(
        self,
        path: Path | None,
        contracts: Mapping[str, Contract],
        mark: Callable[[str], Decimal | None],
        *,
        balance: Decimal | None = None,
        opening: Decimal = Decimal(100_000),
    ) -> None:
        self._contracts, self._mark, self._path = contracts, mark, path
        self.position: int | None = None
        self.prices: dict[str, Any] = {}
        self._journal = Journal(path) if path is not None else None
        try:
            if self._journal is None or self._journal.last == 0:
                start = str(opening if balance is None else balance)
                self._begin({"id": secrets.token_hex(4), "balance": start})
                if self._journal:
                    self._journal.append("opened", self._head, durable=True)
            else:
                self.reload()
            self._check(balance)
        except BaseException:
            self.close()
            raise

    def reload(self) -> None:
        """Take everything from the journal anew."""
        assert self._path is not None
        entries = read(self._path)
        head = next(entries)
        if head["type"] != "opened":
            raise DataError(f"{self._path}: these are no books of a practice venue")
        self._begin({"id": head["id"], "balance": head["balance"]})
        with exact():
            for entry in entries:
                self._restore(entry)

    def next(self) -> int:
        """Return the next number of an order, an execution or a place in the queue."""
        self._counter += 1
        return self._counter

    def name(self) -> str:
        """Return a new id, one no other books give."""
        return f"{self._head['id']}-0000-4000-8000-{self.next():012x}"

    def find(self, order_id: str | None, link: str | None) -> Order | None:
        """Return the order of this id, or else of this orderLinkId."""
        if order_id:
            return self.orders.get(order_id)
        return self.orders.get(self.links.get(link or "", ""))

    def live(self) -> list[Order]:
        """Return every order that may still fill."""
        return [order for orders in self.open.values() for order in orders.values()]

    def commit(self, work: Work, position: int | None) -> None:
        """Put work on the disk, and keep it.

        Executions in it have been applied to the account already.

        Raises
        ------
        DataError
            If it cannot be written; `reload` undoes it.

        """
        if self._journal is not None:
            content: dict[str, Any] = {"at": position}
            if work.orders:
                content["orders"] = [order.to_dict() for order in work.orders.values()]
            if work.executions:
                content["executions"] = [each.to_dict() for each in work.executions]
            if work.leverages:
                content["leverages"] = {k: str(v) for k, v in work.leverages.items()}
            self._journal.append("work", content, durable=True)
        self.position = position
        for order in work.orders.values():
            self._keep(order)
        self.executions += work.executions
        self.account.leverages |= work.leverages

    def note(self, position: int | None, prices: Mapping[str, Any]) -> None:
        """Note where the replay is, and prices set by hand; they need not outlast a power cut."""
        if (position, prices) != (self.position, self.prices):
            if self._journal is not None:
                self._journal.append("replay", {"at": position, "prices": dict(prices)})
            self.position, self.prices = position, dict(prices)

    def close(self) -> None:
        """Let another venue have them."""
        if self._journal is not None:
            self._journal.close()

    def _begin(self, head: dict[str, str]) -> None:
        self._head, self._counter = head, 0
        self.account = Account(Decimal(head["balance"]), self._contracts, self._mark)
        self.orders: dict[str, Order] = {}
        self.links: dict[str, str] = {}
        self.open: defaultdict[str, dict[str, Order]] = defaultdict(dict)
        self.executions: list[Execution] = []
        self.position, self.prices = None, {}

    def _restore(self, entry: Mapping[str, Any]) -> None:
        self.position = entry.get("at", self.position)
        self.prices = entry.get("prices", self.prices)
        for values in entry.get("executions", ()):
            execution = Execution.from_dict(values)
            self.executions.append(execution)
            self.account.apply(execution)
            self._counter = max(self._counter, execution.seq)
        for values in entry.get("orders", ()):
            order = Order.from_dict(values)
            self._keep(order)
            self._counter = max(self._counter, order.rank)
        for symbol, leverage in entry.get("leverages", {}).items():
            self.account.leverages[symbol] = Decimal(leverage)

    def _keep(self, order: Order) -> None:
        self.orders[order.id] = order
        if order.link:
            self.links[order.link] = order.id
        if order.open:
            self.open[order.symbol][order.id] = order
        else:
            self.open[order.symbol].pop(order.id, None)

    def _check(self, balance: Decimal | None) -> None:
        if balance is not None and balance != self.account.start:
            raise InputError(
                f"{self._path}: these books were opened with {text(self.account.start)} {COIN}, "
                f"not {text(balance)}. Leave the balance out, or name other books"
            )
        held = {symbol for symbol, each in self.account.positions.items() if each.size}
        needed = held | {symbol for symbol, orders in self.open.items() if orders}
        if missing := sorted(needed - set(self._contracts)):
            raise InputError(
                f"{self._path}: these books hold {', '.join(missing)}, which this venue does not "
                "list. Serve its data too, or name other books"
            )
