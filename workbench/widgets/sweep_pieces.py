"""What a board of a sweep shows: its plan, how far it is, what matters, its points."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from workbench.backtest import Run, SweepResult
from workbench.backtest.glossary import TERMS, written
from workbench.backtest.insight import importance, short
from workbench.core.errors import InputError, WorkbenchError
from workbench.core.project import Project
from workbench.study import load
from workbench.widgets.jobs import shortened
from workbench.widgets.look import failure, notice
from workbench.widgets.rows import Cell, Column, Row

FIGURES = {"total_return": True, "sharpe": False, "max_drawdown": False, "trades": False}
"""What the table shows, and whether with the sign of a gain."""


class Plan:
    """The sweep of a study's file, before it is run.

    Attributes
    ----------
    name
        The study's.
    points
        How many; 0 where it cannot be run.
    told
        That in words, or why not.

    """

    def __init__(self, path: Path, project: Project) -> None:
        self.name, self.points = "", 0
        try:
            study = load(path)
        except InputError as error:
            lines = [str(issue) for issue in shortened(error.issues, project)]
            self.told = notice("failure", f"studies/{path.name} cannot be run", lines)
            return
        except (WorkbenchError, OSError) as error:
            self.told = failure(error, f"studies/{path.name} cannot be run")
            return
        self.name = study.name
        if study.sweep is None:
            self.told = notice(
                "hint", f"studies/{path.name} has no sweep",
                ["Add to it, say: sweep: {params: {fast: [5, 10, 20], slow: [50, 100]}}"],
            )  # fmt: skip
            return
        self.points = 1
        for values in study.sweep.params.values():
            self.points *= len(values)
        parts = " \N{MULTIPLICATION SIGN} ".join(
            f"{escape(short(name))} ({len(values)})" for name, values in study.sweep.params.items()
        )
        said = f"<p>{escape(study.description)}</p>" if study.description else ""
        self.told = f'{said}<p class="muted">{parts} = {self.points:,} points</p>'


def counts(result: SweepResult) -> str:
    """Return how far a sweep is, as a bar of its points by status."""
    found, total = result.counts, max(len(result.points), 1)
    parts = "".join(
        f'<i class="{name}" style="width: {count / total:.2%}"></i>'
        for name, count in found.items()
        if count and name != "waiting"
    )
    words = ", ".join(f"{count:,} {name}" for name, count in found.items() if count)
    return (
        f'<div class="head"><h2>{escape(result.name)}</h2><span class="muted">{escape(words)}'
        f'</span><span class="id">{escape(result.id)}</span></div>'
        f'<div class="bar parts" role="img" aria-label="{escape(words)}">{parts}</div>'
    )


def shares(result: SweepResult, statistic: str) -> str:
    """Return how much each parameter matters, as bars."""
    found = importance(result, statistic)
    if not found:
        return ""
    rows = "".join(
        f"<div><dt>{escape(short(name))}</dt><dd><span class='bar'><i style='width: {share:.1%}'>"
        f"</i></span><b>{share:.0%}</b></dd></div>"
        for name, share in found.items()
    )
    label = escape(TERMS[statistic].label)
    return f'<h3>What moves the {label}</h3><dl class="shares">{rows}</dl>'


def columns(names: Sequence[str]) -> list[Column]:
    """Return the columns of the table of points that differ in these parameters."""
    own: list[Column] = [{"label": short(name), "right": True} for name in names]
    figures: list[Column] = [{"label": TERMS[name].label, "right": True} for name in FIGURES]
    return [*own, {"label": "Status"}, *figures]


def row(run: Run, names: Sequence[str]) -> Row:
    """Return what the table shows of a point."""
    at = f" {run.progress:.0%}" if run.status == "running" else ""
    reason = (run.error or "").partition("\n")[0]
    status: Cell = {"text": f"{run.status}{at}", "tone": run.status, "title": reason}
    own = [run.params.get(name) for name in names]
    found = {name: run.statistics.get(name) for name in FIGURES}
    figures = [
        written(value, TERMS[name].kind, sign=FIGURES[name]) for name, value in found.items()
    ]
    return {
        "id": run.id,
        "cells": [*map(str, own), status, *figures],
        "values": [*map(_plain, own), run.status, *found.values()],
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
