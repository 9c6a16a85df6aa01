"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.core.project import Project

if TYPE_CHECKING:
    from workbench.study import Study

study_argument = click.argument("study", type=str, metavar="STUDY")


def _listed(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> list[str]:
    return list(value)


def study_options[F: Callable[..., Any]](command: F) -> F:
    """Add STUDY, ``-p`` and ``--over``."""
    for decorate in (
        click.option(
            "-p", "params", multiple=True, metavar="NAME=VALUE", callback=_listed,
            help="Override: a strategy parameter (fast=20) or a path (data.0.start=2010-01-01).",
        ),
        click.option(
            "--over", multiple=True, metavar="FILE", callback=_listed,
            help="A further study file laid over STUDY; may be repeated.",
        ),
        study_argument,
    ):  # fmt: skip
        command = decorate(command)
    return command


def project_of(study: str) -> Project:
    """Return the project a study's file lies in, else that of the working folder."""
    path = Path(study)
    return Project.find(path.resolve().parent if path.exists() else None)


def load_study(study: str, over: list[str], params: list[str]) -> Study:
    """Load the study a command names."""
    from workbench.study import load

    return load(study, *over, params=params)


def overrides(params: list[str]) -> dict[str, Any]:
    """Return ``-p`` options as the parameters a run records."""
    from workbench.study.overlay import parameter_overrides
    from workbench.study.places import dotted

    found = {}
    for item in parameter_overrides(params):
        name = dotted(item.path).removeprefix("strategy.params.")
        found[name] = item.value
    return found
