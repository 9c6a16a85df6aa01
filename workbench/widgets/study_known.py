"""What a project knows that a study may name: instruments, strategies, adapters, parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from workbench import adapters, data
from workbench.core.errors import WorkbenchError
from workbench.core.project import Project
from workbench.engine.inspection import check_strategy
from workbench.study import Study
from workbench.widgets.studies import from_data
from workbench.widgets.study_form import Known

EXAMPLES = (
    "workbench.strategies.ema_cross:EMACross",
    "workbench.strategies.breakout:Breakout",
    "workbench.strategies.mean_reversion:MeanReversion",
)


def known_of(project: Project, study: Study, before: Known) -> Known:
    """Return what a form of `study` may offer.

    Takes a second: the strategy is looked at in a process of its own.

    Parameters
    ----------
    before
        What was known; its parameters stay where the strategy cannot be looked at.

    """
    try:
        parameters: Sequence[Mapping[str, Any]] = [
            one for one in check_strategy(study, project) if not from_data(one, study)
        ]
    except WorkbenchError:
        parameters = before.parameters
    return replace(
        before, parameters=parameters, instruments=_instruments(project, study),
        strategies=[*EXAMPLES, *_strategies(project.root / "strategies")], adapters=_adapters(),
    )  # fmt: skip


def _instruments(project: Project, study: Study) -> list[str]:
    names = {spec.instrument for spec in study.data}
    found = data.list_(project)["datasets"]
    return sorted(names | {_instrument(item["kind"], item["identity"]) for item in found})


def _instrument(kind: str, identity: str) -> str:
    """Return the instrument of a dataset: that of bars stands before their type."""
    return identity.rsplit("-", 4)[0] if kind == "bars" else identity


def _strategies(folder: Path) -> Iterator[str]:
    """Yield the strategies in a project's files, by what their classes are called."""
    for path in sorted(folder.glob("*.py")) if folder.is_dir() else ():
        try:
            tree = ast.parse(path.read_text())
        except (OSError, SyntaxError, ValueError):
            continue
        for node in tree.body:
            bases = [ast.unparse(base) for base in getattr(node, "bases", ())]
            if isinstance(node, ast.ClassDef) and any(b.endswith("Strategy") for b in bases):
                yield f"strategies/{path.name}:{node.name}"


@cache
def _adapters() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for adapter in adapters.list_():
        sides = {"feeds": adapter.data, "execution": adapter.execution}
        found[adapter.name] = {
            name: [one.name for one in side.fields if one.role in ("setting", "environment")]
            for name, side in sides.items()
            if side
        }
    found["replay"] = {"feeds": ["speed"]}
    return found
