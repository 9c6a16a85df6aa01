"""A run as its readers see it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import RunError
from workbench.core.project import Project

if TYPE_CHECKING:
    import pandas as pd

FINISHED = ("done", "failed", "cancelled")


@dataclass(frozen=True, repr=False)
class Run:
    """One backtest: what was asked, what came of it, and where its tables are.

    Attributes
    ----------
    id, name, status
        Its id, its study's name, and queued, running, done, failed or cancelled.
    params
        The parameters it was started with, over those of the study.
    study
        The whole study it ran, as plain values.
    created, started, finished
        ISO 8601 in UTC, None where it has not come to that.
    seconds, peak_memory_mb
        Wall time of the run's process and its largest resident size (MiB).
    progress
        Share done, 0 to 1.
    error
        Why it failed, with the traceback of the strategy.
    warnings
        What a reader of the result must know.
    digest
        SHA-256 over fills and final balances: equal for equal inputs.
    digests
        Of study, strategy source, data and engine, and of the fills.
    n_orders, n_fills, balances, pnl
        How many; final balances and profit (final equity less starting balances) by currency, as
        exact text.
    statistics
        See docs/report.md.
    sweep_id, notebook
        The sweep it belongs to; the notebook it was run as.
    gate
        The gate that made it for itself; None for a run somebody asked for.
    folder
        Its artefacts.

    """

    id: str
    name: str
    status: str
    params: dict[str, Any]
    study: dict[str, Any]
    created: str
    folder: Path
    project: Project
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    peak_memory_mb: float | None = None
    progress: float = 0.0
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    digest: str | None = None
    digests: dict[str, Any] = field(default_factory=dict)
    n_orders: int | None = None
    n_fills: int | None = None
    balances: dict[str, str] = field(default_factory=dict)
    pnl: dict[str, str] = field(default_factory=dict)
    statistics: dict[str, Any] = field(default_factory=dict)
    sweep_id: str | None = None
    notebook: str | None = None
    gate: str | None = None

    @property
    def finished_well(self) -> bool:
        """Whether it is done: not failed, not cancelled, not under way."""
        return self.status == "done"

    def headline(self) -> dict[str, str]:
        """Return the few figures one looks at first, in words."""
        numbers = self.statistics
        lines = {"run": self.id, "status": self.status}
        if self.params:
            lines["parameters"] = ", ".join(f"{key} = {self.params[key]}" for key in self.params)
        if self.balances:
            lines["balance"] = ", ".join(f"{float(v):,.2f} {c}" for c, v in self.balances.items())
            lines["profit"] = ", ".join(self._profit(currency) for currency in self.pnl)
        shares = {"return": "total_return", "drawdown": "max_drawdown"}
        for name, key in shares.items():
            if numbers.get(key) is not None:
                lines[name] = f"{numbers[key]:.2%}"
        if numbers.get("sharpe") is not None:
            lines["Sharpe ratio"] = f"{numbers['sharpe']:.2f}"
        if self.n_orders is not None:
            lines["orders"] = f"{self.n_orders:,}, fills {self.n_fills:,}"
        if self.digest:
            lines["digest"] = self.digest
        if self.seconds is not None and self.peak_memory_mb is not None:
            lines["took"] = f"{self.seconds:.2f} s, {self.peak_memory_mb:.0f} MiB"
        if self.warnings:
            lines["warnings"] = "; ".join(self.warnings)
        if self.error:
            lines["error"] = self.error
        return lines

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.status}>"

    def _profit(self, currency: str) -> str:
        """Write a profit, and how much of it is that of positions still open."""
        total = Decimal(self.pnl[currency])
        start = sum(
            Decimal(amount)
            for venue in self.study["venues"]
            for amount, code in (balance.split() for balance in venue["balances"])
            if code == currency
        )
        opened = total - (Decimal(self.balances.get(currency, "0")) - start)
        of_which = f", {opened:+,.2f} of it open" if opened else ""
        return f"{total:+,.2f} {currency}{of_which}"

    def _repr_html_(self) -> str:
        """Draw the headline as a table in a notebook."""
        from html import escape

        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left;white-space:pre-wrap'>{escape(value)}</td></tr>"
            for name, value in self.headline().items()
        )
        return f"<table>{rows}</table>"

    def summary(self) -> dict[str, Any]:
        """Return the result with the keys ``workbench backtest run --json`` prints."""
        return {
            "run_id": self.id,
            "study": self.name,
            "status": self.status,
            "error": self.error,
            "orders": self.n_orders or 0,
            "fills": self.n_fills or 0,
            "balances": self.balances,
            "pnl": self.pnl,
            "digest": self.digest,
            "seconds": self.seconds,
            "params": self.params,
            "warnings": self.warnings,
            "folder": str(self.folder),
            "notebook": self.notebook,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything about the run but its tables, as plain JSON values."""
        skipped = ("folder", "project", "n_orders", "n_fills")
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}
        return self.summary() | rest

    def orders(self) -> pd.DataFrame:
        """Return one row per order; columns in `workbench.engine.records`."""
        return self._table("orders")

    def fills(self) -> pd.DataFrame:
        """Return one row per fill, in time."""
        return self._table("fills")

    def positions(self) -> pd.DataFrame:
        """Return one row per round trip."""
        return self._table("positions")

    def equity(self) -> pd.DataFrame:
        """Return the equity curve, marked to market: ts (UTC), currency, equity."""
        return self._table("equity")

    def prices(self) -> dict[str, pd.DataFrame]:
        """Return the prices the run saw, by instrument; see `workbench.data.read`."""
        from workbench import data
        from workbench.study.load import build
        from workbench.study.places import Places

        study = build(self.study, Places())
        return {
            spec.instrument: data.read(spec, self.project).to_pandas().set_index("ts")
            for spec in study.data
        }

    def log(self) -> list[dict[str, Any]]:
        """Return the engine's log, a mapping per line: timestamp, level, component, message."""
        path = self.folder / "engine.jsonl"
        lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def report(self, path: Path | str | None = None) -> Path:
        """Write the report, one HTML page; return its path."""
        from workbench.backtest.report import report

        return report(self, Path(path) if path else None)

    def _table(self, name: str) -> pd.DataFrame:
        import pyarrow.parquet as pq

        path = self.folder / f"{name}.parquet"
        if not path.is_file():
            raise RunError(f"run {self.id} is {self.status}: it has no {name}", self.id)
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
        return frame
