"""Faults on request: what goes wrong at an exchange and on the way to it.

A fault is asked for by its name and what belongs to it, as ``silence:where=public,seconds=10`` on
the command line or as the same in JSON to ``/practice/faults``. It strikes the next `times` chances
(default 1), or lasts `seconds`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any

from workbench.core.errors import InputError, choices
from workbench.venue.model import Refusal

PLACES = ("all", "public", "private", "trade", "rest")
"""Where a fault strikes: the three kinds of socket, or requests over HTTP."""

KINDS: dict[str, tuple[str, ...]] = {
    "drop": ("where",),
    "silence": ("where", "seconds"),
    "duplicate": ("where", "times"),
    "reorder": ("where", "times"),
    "reject": ("times", "code", "message", "late"),
    "partial": ("times", "share"),
    "slow": ("where", "times", "seconds"),
    "rate_limit": ("where", "times", "path"),
    "too_many": ("times", "path", "seconds"),
    "http": ("times", "path", "status"),
    "clock": ("seconds",),
    "down": ("seconds",),
}
"""The faults, and what can be said of each.

``drop``: connections are cut. ``silence``: nothing is sent for `seconds`, then all of it.
``duplicate``, ``reorder``: messages come twice, or after the one that follows them. ``reject``:
orders are refused with `code` and `message`; with `late` they are acknowledged first. ``partial``:
only the `share` of an order fills at once. ``slow``: commands are answered after `seconds`.
``rate_limit``: code 10006. ``too_many``: HTTP 429, Retry-After `seconds`. ``http``: an HTTP error
`status`. ``clock``: the venue's clock is off by `seconds`; 0 sets it right. ``down``: connections
are refused for `seconds`.
"""


@dataclass(slots=True)
class Fault:
    """One fault that was asked for; see `KINDS`."""

    fault: str
    where: str = "all"
    times: int = 1
    seconds: float = 1.0
    path: str = ""
    code: int = 110007
    message: str = "ab not enough for new order"
    late: bool = False
    share: Decimal = Decimal("0.5")
    status: int = 503

    def strikes(self, where: str, path: str) -> bool:
        """Whether it bears on what happens there."""
        return self.where in ("all", where) and self.path in path


def read_fault(asked: str | Mapping[str, Any]) -> Fault:
    """Read a fault as it is asked for, as text or as JSON values.

    Raises
    ------
    InputError
        If there is no such fault, or it does not know a word, or a value is out of range.

    """
    if isinstance(asked, str):
        name, _, rest = asked.partition(":")
        pairs = [pair.partition("=") for pair in rest.split(",") if pair]
        asked = {"fault": name} | {key.strip(): value for key, _, value in pairs}
    values = dict(asked)
    kind = values.pop("fault", None)
    if kind not in KINDS:
        raise InputError(f"no fault {kind!r}. {choices(str(kind), KINDS)}")
    types = {field.name: str(field.type) for field in fields(Fault)}
    for name, value in values.items():
        if name not in KINDS[kind]:
            raise InputError(f"fault {kind}: no '{name}'. {choices(name, KINDS[kind])}")
        values[name] = _value(kind, name, value, types[name])
    fault = Fault(kind, **values)
    _check(fault)
    return fault


def _value(kind: str, name: str, value: Any, wanted: str) -> Any:
    read: dict[str, Callable[[Any], Any]] = {
        "int": int,
        "float": float,
        "str": str,
        "Decimal": lambda given: Decimal(str(given)),
        "bool": lambda given: {"true": True, "false": False}[str(given).lower()],
    }
    try:
        return read[wanted](value)
    except (ValueError, TypeError, KeyError, ArithmeticError):
        raise InputError(f"fault {kind}: {name} cannot be {value!r}") from None


def _check(fault: Fault) -> None:
    name = fault.fault
    if fault.where not in PLACES:
        raise InputError(f"fault {name}: no place '{fault.where}'. {choices(fault.where, PLACES)}")
    if not 1 <= fault.times <= 1_000_000:
        raise InputError(f"fault {name}: times must be from 1 to 1,000,000, found {fault.times}")
    least = -86_400 if name == "clock" else 0
    if not least <= fault.seconds <= 86_400:
        raise InputError(f"fault {name}: seconds must be from {least} to 86,400")
    if not 0 < fault.share <= 1:
        raise InputError(f"fault {name}: share must be above 0 and at most 1")
    if not 400 <= fault.status <= 599:
        raise InputError(f"fault {name}: status must be an HTTP error, from 400 to 599")
    if not fault.code:
        raise InputError(f"fault {name}: code 0 means success")


class Faults:
    """The faults under way, and the venue's clock.

    Attributes
    ----------
    strike
        Called with a fault that happens at once: ``drop`` and ``down``.

    """

    def __init__(self) -> None:
        self.strike: Callable[[Fault], None] = lambda _: None
        self._waiting: list[Fault] = []
        self._silent: dict[str, float] = {}
        self._offset = 0.0

    def now(self) -> int:
        """Return the venue's time, UNIX milliseconds."""
        return int((time.time() + self._offset) * 1000)

    def add(self, fault: Fault) -> None:
        """Let a fault strike."""
        if fault.fault == "clock":
            self._offset = fault.seconds
        elif fault.fault == "silence":
            places = PLACES[1:] if fault.where == "all" else (fault.where,)
            self._silent |= dict.fromkeys(places, time.monotonic() + fault.seconds)
        elif fault.fault in ("drop", "down"):
            self.strike(fault)
        else:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Let everything be well from now on."""
        self._waiting.clear()
        self._silent.clear()
        self._offset = 0.0

    def listed(self) -> list[dict[str, Any]]:
        """Return the faults that have not come to their end."""
        found = [
            {"fault": each.fault}
            | {
                key: str(value) if isinstance(value, Decimal) else value
                for key, value in asdict(each).items()
                if key in KINDS[each.fault]
            }
            for each in self._waiting
        ]
        for where, until in self._silent.items():
            if (left := until - time.monotonic()) > 0:
                found.append({"fault": "silence", "where": where, "seconds": round(left, 3)})
        if self._offset:
            found.append({"fault": "clock", "seconds": self._offset})
        return found

    def take(self, kind: str, where: str = "all", path: str = "") -> Fault | None:
        """Return the fault of this kind that strikes here and now; it is used up by that."""
        for each in self._waiting:
            if each.fault == kind and each.strikes(where, path):
                each.times -= 1
                if not each.times:
                    self._waiting.remove(each)
                return each
        return None

    def reject(self) -> str | None:
        """Refuse an order if one is to be refused; return the reason if it is to be told later."""
        fault = self.take("reject")
        if fault is None:
            return None
        if fault.late:
            return fault.message
        raise Refusal(fault.code, fault.message)

    def share(self) -> Decimal:
        """Return which share of an order may fill at once."""
        fault = self.take("partial")
        return Decimal(1) if fault is None else fault.share

    async def hold(self, where: str) -> None:
        """Wait while nothing is to be sent there."""
        while (left := self._silent.get(where, 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.05))

    def slow(self, where: str) -> float:
        """Return by how many seconds the answer to a command is to be late."""
        fault = self.take("slow", where)
        return 0.0 if fault is None else fault.seconds
