"""Limits looked at while a node runs: losses, silence, refusals; and what is done when one breaks.

The marks that losses are measured from (peak of the equity, equity at midnight) and changes of
limits are journaled, so that a restart does not forget them. A new launch has its study's limits.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from workbench.core.errors import InputError, Issue, choices
from workbench.core.journal import Entry
from workbench.engine.live.guard import Guard
from workbench.study import Risk
from workbench.study.explain import explain
from workbench.study.fields import duration_seconds, split_money
from workbench.study.places import Places

_RECENT = 20
_FEWEST = 5  # orders: a share of fewer tells nothing


@dataclass(slots=True)
class Alert:
    """One limit that was broken.

    Attributes
    ----------
    number
        Counts up.
    limit
        Its name in the risk policy.
    message
        What was found, in words.
    at
        When, UNIX seconds.
    steps
        What was done about it.
    acknowledged
        Who has seen it; None while nobody has.

    """

    number: int
    limit: str
    message: str
    at: float
    steps: list[str] = field(default_factory=list)
    acknowledged: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "number": self.number, "limit": self.limit, "message": self.message, "at": self.at,
            "steps": self.steps, "acknowledged": self.acknowledged,
        }  # fmt: skip


class Watchman:
    """Looks at the node twice a second and escalates.

    Parameters
    ----------
    guard
        Whose state it changes.
    equity
        Returns the equity by currency.
    feeds
        Returns the feeds' states, as the desk's status shows them.
    flatten
        Cancels every order and closes every position.
    past
        The journal so far, with the start of this process.
    simulated
        Whether the account begins anew with each launch: its marks do then, too.

    """

    def __init__(
        self,
        guard: Guard,
        *,
        equity: Callable[[], dict[str, Decimal]],
        feeds: Callable[[], list[dict[str, Any]]],
        flatten: Callable[[str], None],
        past: Iterator[Entry],
        simulated: bool,
    ) -> None:
        self._guard, self._equity, self._feeds, self._flatten = guard, equity, feeds, flatten
        self.alerts: list[Alert] = []
        self._broken: set[tuple[str, str]] = set()  # limit, and of what
        self._peak: dict[str, Decimal] = {}
        self._midnight: dict[str, Decimal] = {}
        self._day = ""
        self._heard = time.monotonic()
        self._sent: dict[str, float] = {}
        self._latencies: deque[float] = deque(maxlen=_RECENT)
        self._answers: deque[bool] = deque(maxlen=_RECENT)
        own, launch, environment = guard.limits.risk, None, None
        for entry in past:
            if entry["type"] == "lifecycle.starting" and entry.get("launch") != launch:
                launch = entry.get("launch")
                guard.limits.risk = own  # a change belongs to the launch it was made in
                if simulated or entry.get("environment") != environment:  # another account
                    self._day, self._peak, self._midnight = "", {}, {}
                environment = entry.get("environment")
            self._remember(entry)

    def _remember(self, entry: Entry) -> None:
        """Take up where an earlier process of the node left off."""
        if entry["type"] == "risk.marks":
            self._day = entry["day"]
            self._peak = {code: Decimal(value) for code, value in entry["peak"].items()}
            self._midnight = {code: Decimal(value) for code, value in entry["midnight"].items()}
        elif entry["type"] in ("risk.halted", "risk.reduce_only", "risk.active"):
            self._guard.state = entry["type"].partition(".")[2]
            self._guard.reason = entry["reason"]
        elif entry["type"] == "risk.limits":
            self._guard.limits.risk = Risk.model_validate(entry["limits"])

    def look(self) -> None:
        """Hold what is against the limits."""
        equity = self._equity()
        self._mark(equity)
        risk = self._guard.limits.risk
        found = {(name, of): message for name, of, message in self._found(risk, equity)}
        for name, of in self._broken - found.keys():
            self._guard.recorder.note("risk.recovered", limit=name, of=of)
        new = found.keys() - self._broken
        self._broken = set(found)
        for name, of in sorted(new):
            self.breach(name, found[name, of])

    def noted(self, group: str, what: str, event: Any) -> None:
        """Note what happened to an order, for the share of refusals and the latency."""
        if group != "order":
            return
        order, at = str(event.client_order_id), time.monotonic()
        if what == "submitted":
            self._sent[order] = at
        elif what in ("accepted", "filled", "rejected") and order in self._sent:
            self._latencies.append(at - self._sent.pop(order))
            self._answers.append(what != "rejected")

    def alive(self) -> None:
        """Somebody watches: the dead man's timer starts anew."""
        self._heard = time.monotonic()

    def breach(self, name: str, message: str) -> Alert:
        """Raise an alert and do what the policy says."""
        risk = self._guard.limits.risk
        alert = self.alert(name, message, *risk.on_breach)
        reason = f"{name}: {message}"
        for step in risk.on_breach:
            if step == "reduce_only" and self._guard.state == "active":
                self._guard.set_state("reduce_only", reason, "policy")
            elif step == "flatten":
                self._flatten(reason)
            elif step == "halt":
                self._guard.set_state("halted", reason, "policy")
        return alert

    def alert(self, name: str, message: str, *steps: str) -> Alert:
        """Raise an alert; `steps` are what is done about it."""
        alert = Alert(len(self.alerts) + 1, name, message, time.time(), list(steps))
        self.alerts.append(alert)
        self._guard.recorder.note("alert.raised", alert.to_dict())
        return alert

    def acknowledge(self, number: int, who: str) -> Alert:
        """Note who has seen an alert."""
        if not 1 <= number <= len(self.alerts):
            raise InputError(Issue(f"there is no alert {number}"))
        alert = self.alerts[number - 1]
        alert.acknowledged = who
        self._guard.recorder.note("alert.acknowledged", number=number, who=who)
        return alert

    def set_limit(self, name: str, value: Any, who: str) -> Risk:
        """Change a limit while the node runs; None removes it."""
        old = self._guard.limits.risk
        if name not in Risk.model_fields:
            raise InputError(Issue(f"no limit '{name}'. {choices(name, Risk.model_fields)}"))
        content = old.model_dump(mode="json", exclude_none=True)
        content[name] = value
        if value is None:
            del content[name]
        try:
            new = Risk.model_validate(content)
        except ValidationError as error:
            raise InputError(explain(error, content, Places())) from None
        self._guard.limits.risk = new
        self._guard.recorder.note(
            "risk.limits",
            who=who,
            limit=name,
            before=old.model_dump(mode="json")[name],
            limits=new.model_dump(mode="json"),
        )
        self._broken = {each for each in self._broken if each[0] != name}
        return new

    def used(self) -> dict[str, Any]:
        """Return how much of each limit is used."""
        equity = self._equity()
        self._mark(equity)  # it may have risen since the last look
        used = self._guard.limits.used()
        falls = {code: f"{fall:.2%}" for code, fall in self._falls(equity).items()}
        return used | {"max_drawdown": falls, "max_daily_loss": self._losses(equity)}

    def _mark(self, equity: dict[str, Decimal]) -> None:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        moved = day != self._day
        if moved:
            self._day, self._midnight = day, dict(equity)
        for code, value in equity.items():
            self._midnight.setdefault(code, value)
            if value > self._peak.get(code, Decimal("-Infinity")):
                moved |= value > self._peak.get(code, Decimal(0)) * Decimal("1.001")
                self._peak[code] = value
        if moved:  # the peak to a thousandth: what is lost in a crash is less than that
            self._guard.recorder.note(
                "risk.marks",
                day=self._day,
                peak={code: str(value) for code, value in self._peak.items()},
                midnight={code: str(value) for code, value in self._midnight.items()},
            )

    def _falls(self, equity: dict[str, Decimal]) -> dict[str, Decimal]:
        return {
            code: 1 - value / self._peak[code]
            for code, value in equity.items()
            if self._peak.get(code, 0) > 0
        }

    def _losses(self, equity: dict[str, Decimal]) -> dict[str, str]:
        return {
            code: str(self._midnight[code] - value)
            for code, value in equity.items()
            if code in self._midnight
        }

    def _found(self, risk: Risk, equity: dict[str, Decimal]) -> Iterator[tuple[str, str, str]]:
        if risk.max_drawdown:
            most = Decimal(risk.max_drawdown.rstrip("%")) / 100
            for code, fall in self._falls(equity).items():
                if fall > most:
                    yield "max_drawdown", code, f"equity in {code} is {fall:.2%} below its peak"
        if risk.max_daily_loss:
            most, currency = split_money(risk.max_daily_loss)
            loss = Decimal(self._losses(equity).get(currency, 0))
            if loss > most:
                yield "max_daily_loss", currency, f"{loss} {currency} lost since midnight UTC"
        if risk.stale_feed:
            yield from self._stale(duration_seconds(risk.stale_feed))
        if risk.max_reject_rate and len(self._answers) >= _FEWEST:
            share = 100 * self._answers.count(False) / len(self._answers)
            if share > float(risk.max_reject_rate.rstrip("%")):
                count = len(self._answers)
                message = f"{share:.0f}% of the last {count} orders were refused"
                yield "max_reject_rate", "", message
        if risk.max_latency and len(self._latencies) >= _FEWEST:
            median = statistics.median(self._latencies)
            if median > duration_seconds(risk.max_latency):
                message = f"the venue takes {median * 1000:.0f} ms to answer an order"
                yield "max_latency", "", message
        if risk.dead_man and time.monotonic() - self._heard > duration_seconds(risk.dead_man):
            yield "dead_man", "", f"nobody has looked for {time.monotonic() - self._heard:.0f} s"

    def _stale(self, most: float) -> Iterator[tuple[str, str, str]]:
        for feed in self._feeds():
            name, age = feed["name"], feed["age_s"]
            if feed.get("ended"):
                yield "stale_feed", name, f"the feed {name} has ended"
            elif age is not None and age > most + feed.get("every_s", 0) and not feed.get("paused"):
                yield "stale_feed", name, f"the feed {name} is silent for {age:.1f} s"
